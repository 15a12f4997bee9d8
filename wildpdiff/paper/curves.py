"""Curves: accuracy at both locations all along the blend, for every pair - what the app shows before it computes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from ..build.jobs import held_out_pairs, pairs
from ..bundle import WAYS as GENERATED
from ..bundle import Bundle, opened_bundle
from ..evaluate import correct
from ..experiments.baselines import weighted
from ..experiments.lab import Data, Experiment, Lab, Table
from ..files import load_json, save_json
from ..measure.statistics import over_units, points
from ..plots import Figure
from ..plots.charts import Series, lines
from ..plots.grid import grid
from ..training.loop import Step
from ..workers.pool import each
from ..worlds.base import Images
from . import QUESTIONS

#: Blend weights: every stop of the app's slider.
WEIGHTS = tuple(round(place / 10, 1) for place in range(11))
#: Photographs of a location that every adapter is measured on: the first ones of its evaluation split.
IMAGES = 100
#: The app's choices of how the middle is written, and the baseline beside them.
WAYS = (*GENERATED, "weights")
#: The parts of a bundle that the counts depend on.
DEPENDS = ("classifier", "condition", "world", "generator", "curves")
#: DDIM steps and seed of the generated adapters, as the app starts with.
STEPS, SEED = 50, 0


@dataclass(frozen=True)
class Curve:
    """One pair of locations in one regime, and the file that its counts go to."""

    file: Path
    bundle: Path
    regime: str
    a: str
    b: str


def curve_pairs(bundle: Bundle) -> tuple[tuple[str, str], ...]:
    """All pairs of seen locations, and the first seen one with each unseen one."""
    return (*pairs(bundle.seen), *((bundle.seen[0], location) for location in bundle.unseen))


def work_on(curve: Curve) -> None:
    """Measure one curve, unless its file is there."""
    if curve.file.exists():
        return
    bundle = opened_bundle(curve.bundle)
    counts = {}
    for way in WAYS:
        rows = _rows(bundle, curve, way)
        if rows is not None:
            counts[way] = [_right(bundle, rows, name) for name in (curve.a, curve.b)]
    save_json(curve.file, counts)


def _rows(bundle: Bundle, curve: Curve, way: str) -> Tensor | None:
    """One adapter a weight `[W, D]`; None if an end has no fine-tuned rows to average."""
    if way == "weights":
        if curve.b in bundle.unseen:
            return None
        means = bundle.means(curve.regime)[[bundle.seen.index(name) for name in (curve.a, curve.b)]]
        return torch.stack([weighted(means, torch.tensor([1 - weight, weight])) for weight in WEIGHTS])
    first, last = bundle.embedding(curve.a), bundle.embedding(curve.b)
    generator = bundle.generator(curve.regime, way=way)
    # One at a time, from the same noise: as the app does it.
    made = [
        generator.generate(first[None], other=last[None], weight=weight, seed=SEED, steps=STEPS) for weight in WEIGHTS
    ]
    return torch.cat(made).cpu()


def _right(bundle: Bundle, rows: Tensor, location: str) -> list[int]:
    images = _images(bundle.folder, location)
    return [int(count) for count in correct(bundle.backbone, rows, images.pixels, images.labels).sum(dim=1)]


@lru_cache(maxsize=16)
def _images(folder: Path, location: str) -> Images:
    return opened_bundle(folder).world.images(location, "eval", first=IMAGES)


def measure(lab: Lab) -> Iterator[tuple[Step, Data]]:
    """Every pair in every regime: correct predictions at both locations, at each blend weight, by each method.

    Data: `weights`, `images` (asked for) and `photographs[location]` (that there are), `seed`, `steps`,
    `pretrained[location]` and `curves[regime]["A+B"][way]`, the counts at A and at B. It needs a training folder for
    what is half done.
    """
    bundle = lab.bundle
    folder = lab.work / f"curves-{_digest(bundle)}"
    wanted = [
        Curve(folder / f"{regime}-{a}-{b}.json", bundle.folder, regime, a, b)
        for regime in bundle.regimes
        for a, b in curve_pairs(bundle)
    ]
    waiting = [curve for curve in wanted if not curve.file.exists()]
    total, done = len(wanted) + 1, len(wanted) - len(waiting)
    for count in each(work_on, waiting, workers=lab.workers):
        yield Step(done + count, total, float("nan")), {}
    data: Data = {"weights": list(WEIGHTS), "images": IMAGES, "seed": SEED, "steps": STEPS}
    nothing = torch.zeros_like(bundle.joint)[None]
    named = (*bundle.seen, *bundle.unseen)
    data["pretrained"] = {name: _right(bundle, nothing, name)[0] for name in named}
    data["photographs"] = {name: len(_images(bundle.folder, name)) for name in named}
    data["curves"] = {regime: {} for regime in bundle.regimes}
    for curve in wanted:
        data["curves"][curve.regime][f"{curve.a}+{curve.b}"] = load_json(curve.file)
    yield Step(total, total, float("nan")), data


def _digest(bundle: Bundle) -> str:
    """Of all that the counts depend on."""
    parts = [bundle.depends(DEPENDS), WEIGHTS, IMAGES, STEPS, SEED]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def _weaker(data: Data, regime: str, way: str, *, held_out: bool) -> list[list[float]]:
    """Accuracy at the weaker of both locations: a list by weight of each pair of seen locations."""
    names = [name for name in data["pretrained"] if any(f"{name}+" in key or f"+{name}" in key for key in _seen(data))]
    chosen = {f"{a}+{b}" for a, b in held_out_pairs(names)}
    found = [(key, ways[way]) for key, ways in data["curves"][regime].items() if key in _seen(data)]
    return [
        [min(pair) for pair in zip(*_shares(data, key, both), strict=True)]
        for key, both in found
        if (key in chosen) == held_out
    ]


def _shares(data: Data, key: str, both: Sequence[Sequence[int]]) -> list[list[float]]:
    """Counts at A and at B of a pair `A+B` as shares of the photographs there."""
    return [[count / of(data, name) for count in counts] for name, counts in zip(key.split("+"), both, strict=True)]


def of(data: Data, location: str) -> int:
    """How many photographs of a location the counts are of."""
    return int(data.get("photographs", {}).get(location, data["images"]))


def _seen(data: Data) -> list[str]:
    """The pairs of seen locations: those that the weights of both can be averaged for."""
    first = next(iter(data["curves"].values()))
    return [key for key, ways in first.items() if "weights" in ways]


def _bends(curves: Sequence[Sequence[float]], data: Data) -> list[float]:
    """How far each curve's middle lies above the straight line between its ends."""
    middle = data["weights"].index(0.5)
    return [curve[middle] - (curve[0] + curve[-1]) / 2 for curve in curves]


def tables(data: Data) -> list[Table]:
    """Mean accuracy of the weaker location along the blend, over held-out and training pairs."""
    rows = []
    for regime in data["curves"]:
        for group, held_out in (("held out", True), ("training", False)):
            for way in WAYS:
                curves = _weaker(data, regime, way, held_out=held_out)
                if curves:
                    shares = (points(over_units(list(part))) for part in zip(*curves, strict=True))
                    rows.append((regime, group, way, *shares, str(len(curves))))
    head = ("regime", "pairs", "way", *(f"{weight:g}" for weight in data["weights"]), "number of pairs")
    note = (
        f"Percent of at most {data['images']} photographs a location, one adapter a cell (seed {data['seed']}), with a "
        "95% interval over pairs, which share locations. At weights near 0 and 1 the weaker location is the other one."
    )
    return [Table("Accuracy at the weaker of two locations, along the blend", head, tuple(rows), note)]


def figures(data: Data) -> list[Figure]:
    """Mean curves of all pairs, one panel a regime: at the location whose share is on the x axis."""
    return [
        grid("Accuracy by share of the location, mean of all pairs", [_panel(data, name) for name in data["curves"]])
    ]


def _panel(data: Data, regime: str) -> Figure:
    series = []
    for way in WAYS:
        found = data["curves"][regime].items()
        curves = [_shares(data, key, ways[way]) for key, ways in found if key in _seen(data)]
        at = [both[1] for both in curves] + [list(reversed(both[0])) for both in curves]
        shares = [over_units(list(part)) for part in zip(*at, strict=True)]
        series.append(Series.of(way, data["weights"], shares))
    return lines(f"Regime {regime}", series, x="share of the location", y="accuracy", percent=True)


def findings(data: Data) -> list[str]:
    """At the midpoint: each method's mean at the weaker location, and its height above the line between the ends."""
    found = []
    for regime in data["curves"]:
        for way in WAYS:
            curves = _weaker(data, regime, way, held_out=True) or _weaker(data, regime, way, held_out=False)
            middle = over_units([curve[data["weights"].index(0.5)] for curve in curves])
            steepest = max((abs(b - a) for curve in curves for a, b in pairwise(curve)), default=0.0)
            found.append(
                f"Regime {regime}, {way}: {points(middle)}% at the weaker location of {len(curves)} pairs half-way, "
                f"{points(over_units(_bends(curves, data)), signed=True)} points above the line between the ends; the "
                f"largest jump from one stop to the next is {100 * steepest:.0f} points."
            )
    return found


CURVES = Experiment("curves", *QUESTIONS["curves"], measure, tables, figures, findings, trains=True, depends=DEPENDS)
EXPERIMENTS = (CURVES,)
