"""Adapters layer by layer: the layers in plain words, and cosines of factors and of what the factors multiply to.

P and N count adapters, L the adapted convolutions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..network.adapter import AdapterLayout
from ..network.lora import adapted, factors

#: What a cosine compares: the numbers of a row as they are, or what each pair of factors multiplies to.
KINDS = ("factors", "products")
_ROLES = {
    "conv_stem": "",
    "conv_pw": "widen",
    "conv_pwl": "narrow",
    "se.conv_reduce": "squeeze",
    "se.conv_expand": "excite",
}


@dataclass(frozen=True)
class Factors:
    """The factors of rows, by convolution and flattened: down `[N, R, I]`, up `[N, R, O]`."""

    down: list[Tensor]
    up: list[Tensor]

    @classmethod
    def of(cls, layout: AdapterLayout, rows: Tensor) -> Factors:
        """Of raw rows `[N, D]`.

        Raises:
            UserError: if they have another D.
        """
        pairs = factors(layout, rows.float()).values()
        return cls([a.flatten(2).contiguous() for a, _ in pairs], [b.flatten(2).mT.contiguous() for _, b in pairs])

    @cached_property
    def squares(self) -> tuple[Tensor, Tensor]:
        """Squared lengths `[L, N]` of each row's factors and products."""
        down = torch.stack([part @ part.mT for part in self.down])
        up = torch.stack([part @ part.mT for part in self.up])
        return (down + up).diagonal(dim1=-2, dim2=-1).sum(dim=-1), (down * up).sum(dim=(-2, -1))


def cosines(ours: Factors, theirs: Factors) -> dict[str, Tensor]:
    """Cosines of N adapters with P others by kind, `[1 + L, N, P]`: of whole adapters first, then layer by layer.

    The same numbers as `similarity.compare`; this one is quick enough to be asked at every move of the slider.
    """
    found = {}
    parts = zip(KINDS, _inner(ours, theirs), ours.squares, theirs.squares, strict=True)
    for kind, dots, first, last in parts:
        dots, first, last = (torch.cat([each.sum(dim=0, keepdim=True), each]) for each in (dots, first, last))
        size = (first[:, :, None] * last[:, None, :]).clamp(min=0).sqrt()
        found[kind] = (dots / size.clamp(min=1e-30)).clamp(-1, 1)
    return found


def layer_names(layout: AdapterLayout) -> tuple[str, ...]:
    """The adapted convolutions in plain words, from the stem up."""
    names = adapted(layout)
    return tuple(_plain(name, names) for name in names)


def stages(layout: AdapterLayout) -> tuple[str, ...]:
    """The part of the network that each adapted convolution belongs to."""
    names = adapted(layout)
    return tuple(f"stage {name.split('.')[1]}" if name.startswith("blocks.") else "stem" for name in names)


def between(alike: Tensor) -> list[float]:
    """Mean cosine between different locations in each layer, from cosines `[..., P, P]`."""
    count = alike.shape[-1]
    apart = alike.sum(dim=(-2, -1)) - alike.diagonal(dim1=-2, dim2=-1).sum(dim=-1)
    return list((apart / max(1, count * (count - 1))).tolist())


def _inner(ours: Factors, theirs: Factors) -> tuple[Tensor, Tensor]:
    """Dot products `[L, N, P]` of factors, and of products BA: <BA, B'A'> is the sum of (B^T B') * (A A'^T)."""
    down = torch.stack([_blocks(a, b) for a, b in zip(ours.down, theirs.down, strict=True)])
    up = torch.stack([_blocks(a, b) for a, b in zip(ours.up, theirs.up, strict=True)])
    return (down + up).diagonal(dim1=2, dim2=4).sum(dim=-1), (down * up).sum(dim=(2, 4))


def _blocks(a: Tensor, b: Tensor) -> Tensor:
    """`[N, R, I]` with `[P, R, I]`: all dot products, `[N, R, P, R]`."""
    return (a.flatten(0, 1) @ b.flatten(0, 1).T).view(a.shape[0], a.shape[1], b.shape[0], b.shape[1])


def _plain(name: str, names: Sequence[str]) -> str:
    """`blocks.2.1.conv_pwl` as `stage 2, block 1: narrow`."""
    if not name.startswith("blocks."):
        return "stem"
    _, stage, block, role = name.split(".", 3)
    alone = role == "conv_pw" and f"blocks.{stage}.{block}.conv_pwl" not in names
    return f"stage {stage}, block {block}: {'narrow' if alone else _ROLES.get(role, role)}"
