"""LoRA (low-rank adaptation) as a choice of parameters: targets, rank and alpha, and what a row's factors multiply to.

The only module that knows how factors lie in a row: `A [R, in, k, k]` before `B [out, R, 1, 1]`, layer by layer. What
concerns peft and its folders is in `peft_folder`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UserError
from .adapter import AdapterLayout, once

_A, _B = ".lora_A", ".lora_B"


@dataclass(frozen=True)
class LoRA:
    """A row stands for the factors of low-rank differences B A of convolutions' and linear layers' weights.

    Attributes:
        targets: regular expression that the whole name of an adapted module matches, as in peft; grouped convolutions
            must not be among them.
        rank: R, rows of A and columns of B.
        alpha: a difference is alpha / rank * B A.
    """

    targets: str
    rank: int = 4
    alpha: float = 4

    def names(self, network: nn.Module) -> tuple[str, ...]:
        """The weights that a row changes, in network order."""
        return tuple(
            f"{name}.weight"
            for name, module in network.named_modules()
            if isinstance(module, nn.Conv2d | nn.Linear) and re.fullmatch(self.targets, name)
        )

    @once
    def layout(self, network: nn.Module) -> AdapterLayout:
        """Names and shapes of the factors.

        Raises:
            UserError: if the network has none of the targets.
        """
        names = self.names(network)
        if not names:
            raise UserError(f"No layer of the network that LoRA can adapt matches '{self.targets}'.")
        shapes: dict[str, tuple[int, ...]] = {}
        for name in names:
            out, *inner = network.get_parameter(name).shape
            module = name.removesuffix(".weight")
            shapes[module + _A] = (self.rank, *inner)
            shapes[module + _B] = (out, self.rank, *(1 for _ in inner[1:]))
        return AdapterLayout(tuple(shapes), tuple(shapes.values()))

    def initial(self, network: nn.Module, rng: torch.Generator) -> Tensor:
        """A fresh row `[D]` that changes nothing: A uniform within 1/sqrt(fan in), as peft draws it, and B zero."""
        layout, named = self.layout(network), {}
        for name, shape in zip(layout.names, layout.shapes, strict=True):
            values = (torch.rand(shape, generator=rng) * 2 - 1) / math.prod(shape[1:]) ** 0.5
            named[name] = values if name.endswith(_A) else torch.zeros(shape)
        return layout.pack(named)

    def weights(self, network: nn.Module, row: Tensor) -> dict[str, Tensor]:
        """The network's adapted weights with a row's `[D]` products added, by name; differentiable in the row.

        Raises:
            UserError: if D is not the layout's.
        """
        added = self.products(self.layout(network), row)
        return {name: network.get_parameter(name).detach() + value for name, value in added.items()}

    def products(self, layout: AdapterLayout, row: Tensor) -> dict[str, Tensor]:
        """What one row `[D]` adds to each adapted weight, by name: alpha / rank * B A."""
        return {
            f"{name}.weight": (b.flatten(1) @ a.flatten(1)).view(b.shape[0], *a.shape[1:]) * (self.alpha / self.rank)
            for name, (a, b) in factors(layout, row).items()
        }

    def to_json(self) -> dict[str, Any]:
        """As a JSON value."""
        return {"kind": "LoRA", "targets": self.targets, "rank": self.rank, "alpha": self.alpha}


def adapted(layout: AdapterLayout) -> tuple[str, ...]:
    """Names of the adapted modules, in network order."""
    return tuple(name.removesuffix(_A) for name in layout.names if name.endswith(_A))


def factors(layout: AdapterLayout, rows: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """The factors of raw rows `[..., D]` by module: A `[..., R, in, k, k]` and B `[..., out, R, 1, 1]`.

    Raises:
        UserError: if the rows have another D.
    """
    named = layout.unpack(rows)
    return {name: (named[name + _A], named[name + _B]) for name in adapted(layout)}


def packed(layout: AdapterLayout, pairs: Mapping[str, tuple[Tensor, Tensor]]) -> Tensor:
    """Raw rows `[..., D]` of factors by module: the inverse of `factors`."""
    named = {name + _A: a for name, (a, _) in pairs.items()} | {name + _B: b for name, (_, b) in pairs.items()}
    return layout.pack(named)
