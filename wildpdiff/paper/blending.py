"""Measuring blends of two locations: every method to make one adapter for both, on the photographs of each."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..build.jobs import held_out_pairs, pairs
from ..condition.base import blend
from ..errors import UserError
from ..experiments.baselines import product_average, softmax_merge, weighted
from ..experiments.lab import Data, Lab
from ..measure.statistics import Estimate, estimate
from ..network.folded import Adapter
from ..training.connect import curve, pair_shares
from ..training.loop import Step

#: Ways that start from noise, so that one condition gives many adapters; the others give one.
GENERATED = ("ours", "paper", "latents")
WAYS = (*GENERATED, "curve", "weights", "products", "softmax")
MEANING = {
    "ours": "generated, along a curve whose hubs were trained with other partners",
    "paper": "generated at the blended condition by the paper's plain denoiser, which never saw a blend",
    "latents": "blend of the two latents that both conditions lead to from one noise",
    "curve": "a point of that curve, without a generator",
    "weights": "weighted ensemble of both locations' mean fine-tuned rows",
    "products": "the same of the products BA, not of the factors",
    "softmax": "softmax merge of the three locations most like the blended condition",
    "own": "each location's own fine-tuned adapters at home",
    "joint": "one adapter trained on all seen locations",
    "pretrained": "no adapter",
}
_AT_ONCE = 32

Pair = tuple[str, str]
Stage = Generator[None, None, "Tables"]


@dataclass(frozen=True)
class Blend:
    """Blend weight `weight` between location `a` (0) and location `b` (1)."""

    a: str
    b: str
    weight: float


#: Right and wrong of a blend's adapters, bool `[N, M]`, at its first and at its second location.
Tables = dict[Blend, tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        pairs: those of usable locations, by regime.
        copies: adapters of a blend by way and weight; a way that is not here is left out.
        rows: fine-tuned rows to measure of each location and blend.
    """

    pairs: Mapping[str, Sequence[Pair]]
    copies: Mapping[str, Mapping[float, int]]
    rows: int

    @property
    def all_pairs(self) -> tuple[Pair, ...]:
        """The pairs of any regime, each once."""
        return tuple(dict.fromkeys(pair for group in self.pairs.values() for pair in group))

    @property
    def steps(self) -> int:
        """Steps of `measured`: one a location in each part of it, and one to close each regime."""
        parts = sum(1 + (1 + len(self.copies)) * len(ends(group)) for group in self.pairs.values())
        return len(ends(self.all_pairs)) + parts

    def blends(self, regime: str, way: str) -> list[Blend]:
        """The blends of a way, each as often as it is to be made."""
        times = self.copies[way].items()
        return [Blend(a, b, weight) for a, b in self.pairs[regime] for weight, count in times for _ in range(count)]


@dataclass(frozen=True)
class Known:
    """The usable locations of a regime: mean fine-tuned row `[D]` and embedding `[E]` of each, by name."""

    means: Mapping[str, Tensor]
    embeddings: Mapping[str, Tensor]

    @classmethod
    def of(cls, lab: Lab, regime: str) -> Known:
        """Those of a regime that has any."""
        names = lab.locations(regime)
        means = dict(zip(names, lab.means(regime), strict=True))
        return cls(means, {name: lab.bundle.embedding(name) for name in names})

    def condition(self, one: Blend) -> Tensor:
        """The blended embedding `[E]`."""
        return blend(self.embeddings[one.a], self.embeddings[one.b], one.weight)


def ends(group: Sequence[Pair]) -> tuple[str, ...]:
    """The locations of some pairs, each once."""
    return tuple(dict.fromkeys(name for pair in group for name in pair))


def usable_pairs(lab: Lab, wanted: Sequence[Pair] | None = None) -> dict[str, list[Pair]]:
    """The pairs (of those that are wanted) of usable locations, by regime; a regime without any is left out.

    Raises:
        UserError: if no regime has any.
    """
    found = {}
    for regime in lab.bundle.regimes:
        usable = pairs(lab.locations(regime))
        found[regime] = [pair for pair in usable if wanted is None or pair in wanted]
    if not any(found.values()):
        raise UserError("Blending needs two seen locations with fine-tuned adapters; the bundle or its zoo lacks them.")
    return {regime: group for regime, group in found.items() if group}


def measured(
    lab: Lab, plan: Plan, data: Data, close: Callable[[str, Mapping[str, Tables]], None]
) -> Iterator[tuple[Step, Data]]:
    """Measure a plan into `data`; yields (step, data) after each location of each part.

    `constants[location]` gets `pretrained` and `joint`,
    `own[regime][location]` the fine-tuned rows at home and `cells` the rest. `close(regime, tables by way)` is called
    when a regime is whole.
    """
    data |= {"locations": list(ends(plan.all_pairs)), "regimes": list(plan.pairs)}
    data |= {"constants": {}, "own": {}, "cells": []}
    for index, _ in enumerate(_stages(lab, plan, data, close)):
        yield Step(index + 1, plan.steps, 0.0), data


def _stages(
    lab: Lab, plan: Plan, data: Data, close: Callable[[str, Mapping[str, Tables]], None]
) -> Generator[None, None, None]:
    for location in data["locations"]:
        right = lab.correct(torch.stack([torch.zeros_like(lab.bundle.joint), lab.bundle.joint]), location)
        data["constants"][location] = {"pretrained": short(estimate(right[:1])), "joint": short(estimate(right[1:]))}
        yield
    for regime, group in plan.pairs.items():
        known, by_way = Known.of(lab, regime), {}
        data["own"][regime] = {}
        for location in ends(group):
            rows = lab.rows(regime, location, at_most=plan.rows)
            data["own"][regime][location] = short(estimate(lab.correct(rows, location)))
            yield
        for way in plan.copies:
            blends = plan.blends(regime, way)
            items = made(lab, regime, way, blends, known)
            by_way[way] = yield from rights(lab, items, blends, ends(group))
            data["cells"] += _cells(lab, regime, way, by_way[way])
        close(regime, by_way)
        yield


def made(lab: Lab, regime: str, way: str, blends: Sequence[Blend], known: Known) -> list[Adapter]:
    """One adapter a blend, made in one of `WAYS`; generated ones start from the noise of seed, seed + 1 and so on."""
    if way in GENERATED:
        starts = range(0, len(blends), _AT_ONCE)
        parts = (_generated(lab, regime, way, blends[i : i + _AT_ONCE], known, lab.seed + i) for i in starts)
        return [row for part in parts for row in part]
    return [_merged(lab, regime, way, one, known) for one in blends]


def _generated(lab: Lab, regime: str, way: str, blends: Sequence[Blend], known: Known, seed: int) -> Tensor:
    generator = lab.bundle.generator(regime, way="ours" if way == "ours" else "paper")
    a = torch.stack([known.embeddings[one.a] for one in blends])
    b = torch.stack([known.embeddings[one.b] for one in blends])
    weight = torch.tensor([one.weight for one in blends])
    if way != "latents":
        return generator.generate(a, other=b, weight=weight, seed=seed)
    *_, first = generator.path(a, seed=seed)
    *_, second = generator.path(b, seed=seed)
    return generator.decode(first + (second - first) * weight.to(first)[:, None, None])


def _merged(lab: Lab, regime: str, way: str, one: Blend, known: Known) -> Adapter:
    if way == "curve":
        anchors, hubs = lab.bundle.curves(regime)
        a, b = (lab.bundle.seen.index(name) for name in (one.a, one.b))
        return curve(anchors, hubs, pair_shares(len(anchors), a, b, torch.tensor([one.weight])))[0]
    if way == "softmax":
        embeddings, means = (torch.stack(list(part.values())) for part in (known.embeddings, known.means))
        return softmax_merge(known.condition(one), embeddings, means)
    rows = torch.stack([known.means[one.a], known.means[one.b]])
    shares = torch.tensor([1 - one.weight, one.weight])
    return weighted(rows, shares) if way == "weights" else product_average(lab.bundle.backbone, rows, shares)


def rights(lab: Lab, items: Sequence[Adapter], blends: Sequence[Blend], locations: Sequence[str]) -> Stage:
    """Measure the adapter of each blend at both its locations; equal blends become the rows of one table.

    Yields after each location; all that concerns one is measured together.
    """
    found: dict[tuple[Blend, str], list[Tensor]] = {}
    for location in locations:
        mine = [place for place, one in enumerate(blends) if location in (one.a, one.b)]
        if mine:
            for place, right in zip(mine, lab.correct([items[i] for i in mine], location), strict=True):
                found.setdefault((blends[place], location), []).append(right)
        yield
    return {one: (torch.stack(found[one, one.a]), torch.stack(found[one, one.b])) for one in dict.fromkeys(blends)}


def _cells(lab: Lab, regime: str, way: str, tables: Tables) -> list[dict[str, Any]]:
    held_out = held_out_pairs(lab.bundle.seen)
    return [
        {
            "regime": regime,
            "way": way,
            "pair": [one.a, one.b],
            "held_out": (one.a, one.b) in held_out,
            "weight": one.weight,
            "at": [short(estimate(right)) for right in both],
        }
        for one, both in tables.items()
    ]


def short(value: Estimate) -> Estimate:
    """An estimate with its fractions rounded to five places."""
    return {key: round(part, 5) if isinstance(part, float) else part for key, part in value.items()}
