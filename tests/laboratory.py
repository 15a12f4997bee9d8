"""The fake laboratory of the experiments' tests: what they ask of a bundle, and a rule in place of photographs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from wildpdiff.experiments.lab import Lab
from wildpdiff.network.folded import Adapter
from wildpdiff.worlds.base import Images

#: Which photographs of a location raw rows `[N, D]` name correctly, bool `[N, M]`.
Rule = Callable[[Tensor, str], Tensor]


@dataclass(frozen=True)
class RuledLab(Lab):
    """A lab that asks a rule what adapters, and products, are right about."""

    rule: Rule = lambda rows, location: rows > 0
    product_rule: Callable[[Sequence[Adapter], str], Tensor] | None = None

    def correct(self, adapters: Tensor | Sequence[Adapter], location: str) -> Tensor:
        rows = [adapter for adapter in adapters if isinstance(adapter, Tensor)]
        if len(rows) == len(adapters):
            return self.rule(torch.stack(rows), location)
        assert self.product_rule is not None, "no rule for products"
        return self.product_rule(adapters, location)  # type: ignore[arg-type]


class NoiseWorld:
    """Four photographs of noise at every location, other ones at each."""

    def images(self, location: str, split: str) -> Images:
        rng = torch.Generator().manual_seed(sum(map(ord, location)))
        return Images(torch.randint(256, (4, 3, 32, 32), generator=rng, dtype=torch.uint8), torch.tensor([0, 1, 0, 1]))


def fake_bundle(
    seen: Sequence[str], regimes: Sequence[str], rows: Callable[[str, str], Tensor] | None = None, **parts: Any
) -> Any:
    """A bundle of the parts that an experiment asks for; its zoo gives `rows(regime, location)`, raw `[J, D]`."""
    if rows is not None:
        parts["zoo"] = lambda regime: SimpleNamespace(rows=lambda name: rows(regime, name))
        parts.setdefault("means", lambda regime: torch.stack([rows(regime, name).mean(dim=0) for name in seen]))
    return SimpleNamespace(
        **{"seen": tuple(seen), "unseen": (), "regimes": tuple(regimes), "world": NoiseWorld()} | parts
    )


def planes(names: Sequence[str], images: int, *, offset: float = 0, seed: int = 50) -> Rule:
    """The rule that a row is right about an image if it lies on one side of a plane, by location and image."""

    def rule(rows: Tensor, location: str) -> Tensor:
        rng = torch.Generator().manual_seed(seed + list(names).index(location))
        return (rows @ torch.randn(rows.shape[1], images, generator=rng) + offset) > 0

    return rule
