"""The slider as a path: how an adapter moves through weight space while the condition goes from place to place."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from ..build.jobs import held_out_pairs, pairs
from ..bundle import Bundle
from ..experiments.lab import Data, Experiment, Lab, Table, where
from ..plots import Figure
from ..plots.charts import Series, scatter
from ..plots.grid import grid
from ..training.loop import Step
from . import QUESTIONS

#: Equal steps of the blend weight from one end to the other.
STEPS = 20


def path_of(bundle: Bundle, regime: str, way: str, a: str, b: str, *, seed: int) -> Tensor:
    """Raw rows `[21, D]` of one seed, from location `a` to location `b`."""
    first, last = bundle.embedding(a), bundle.embedding(b)
    generator = bundle.generator(regime, way=way)
    rows = [
        generator.generate(first[None], other=last[None], weight=place / STEPS, seed=seed)[0].cpu()
        for place in range(STEPS + 1)
    ]
    return torch.stack(rows)


def shape_of(path: Tensor) -> dict[str, float]:
    """Largest step and length of a path of rows `[S + 1, D]` over the distance of its ends, and cosines of its middle.

    `lost` is how much smaller the middle's smaller cosine to both ends is than that of the ends' average.
    """
    steps, ends = (path[1:] - path[:-1]).norm(dim=1), (path[0] - path[-1]).norm().clamp(min=1e-12)
    middle, average = path[len(path) // 2], (path[0] + path[-1]) / 2
    to_ends = [float(cosine_similarity(middle, path[end], dim=0)) for end in (0, -1)]
    plain = [float(cosine_similarity(average, path[end], dim=0)) for end in (0, -1)]
    found = {"largest": steps.max() / ends, "length": steps.sum() / ends}
    lost = max(one - other for one, other in zip(plain, to_ends, strict=True))
    return {key: round(float(value), 4) for key, value in found.items()} | {
        "cosine": round(min(to_ends), 4),
        "lost": round(lost, 4),
    }


def measure(lab: Lab) -> Iterator[tuple[Step, Data]]:
    """All pairs of seen locations in every regime, blend-trained and zero-shot; one seed."""
    bundle = lab.bundle
    data: Data = {"seed": lab.seed, "steps": STEPS, "cells": []}
    held_out = held_out_pairs(bundle.seen)
    plans = [
        (regime, way, a, b) for regime in bundle.regimes for way in ("ours", "paper") for a, b in pairs(bundle.seen)
    ]
    for count, (regime, way, a, b) in enumerate(plans, start=1):
        cell = {"regime": regime, "way": way, "pair": [a, b], "held_out": (a, b) in held_out}
        data["cells"].append(cell | shape_of(path_of(bundle, regime, way, a, b, seed=lab.seed)))
        yield Step(count, len(plans), float("nan")), data


def _regimes(data: Data) -> list[str]:
    return list(dict.fromkeys(cell["regime"] for cell in data["cells"]))


def tables(data: Data) -> list[Table]:
    """Worst and mean over all pairs, by regime and method."""
    rows = []
    for regime in _regimes(data):
        for way in ("ours", "paper"):
            cells = where(data["cells"], regime=regime, way=way)
            shown = []
            for key in ("largest", "length", "lost"):
                values = [cell[key] for cell in cells]
                shown.append(f"{sum(values) / len(values):.2f}, worst {max(values):.2f}")
            rows.append((regime, way, *shown, str(len(cells))))
    head = ("regime", "way", "largest of 20 steps / ends", "path / ends", "cosine lost in the middle", "pairs")
    note = "A straight line has 0.05, 1 and 0. The cosine is set against that of the average of the ends."
    return [Table("The slider's path in weight space", head, tuple(rows), note)]


def figures(data: Data) -> list[Figure]:
    """Largest step against length, a panel a regime."""
    drawn = []
    for regime in _regimes(data):
        series = []
        for way in ("ours", "paper"):
            cells = where(data["cells"], regime=regime, way=way)
            series.append(Series(way, [cell["length"] for cell in cells], [cell["largest"] for cell in cells]))
        drawn.append(scatter(f"Regime {regime}", series, x="path / ends", y="largest step / ends"))
    return [
        grid("A path, or a switch", drawn, note="Each mark is a pair of locations; a straight line is at (1, 0.05).")
    ]


def findings(data: Data) -> list[str]:
    """The worst pair of each regime and method."""
    found = []
    for regime in _regimes(data):
        for way in ("ours", "paper"):
            cells = where(data["cells"], regime=regime, way=way)
            largest, length = (max(cell[key] for cell in cells) for key in ("largest", "length"))
            found.append(
                f"Regime {regime}, {way}: of {data['steps']} equal steps the largest covers at most {largest:.2f} of "
                f"the distance of the ends, and the path is at most {length:.2f} times that, over {len(cells)} pairs."
            )
    return found


DEPENDS = ("classifier", "condition", "generator")
EXPERIMENTS = (Experiment("slider", *QUESTIONS["slider"], measure, tables, figures, findings, depends=DEPENDS),)
