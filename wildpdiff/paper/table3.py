"""Table 3 (RQ3, section 4.3): adapters written for locations that nothing was trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ..experiments.baselines import gaussian_in_pca, nearest_location, softmax_merge
from ..experiments.lab import Data, Experiment, Lab, Table
from ..measure.statistics import difference, estimate, mean_of, points, size
from ..plots import Figure
from ..plots.charts import Series, bars
from ..training.loop import Step
from . import NUMBERS, QUESTIONS

#: Pretrained accuracy, then generated in L, M, H.
PAPER = NUMBERS["table3"]
#: Ways that need a regime, and those that do not.
OF_REGIME = {
    "generated": "generated",
    "paper": "generated, never saw a blend",
    "nearest": "nearest seen location's adapter",
    "softmax": "softmax merge, top 3",
    "zoo_mean": "mean of the zoo",
    "pca_gaussian": "Gaussian sample in the zoo's PCA",
}
SHARED = {"pretrained": "pretrained", "joint": "one adapter trained on all ten"}


def measure(lab: Lab) -> Iterator[tuple[Step, Data]]:
    """Every method at every unseen location; differences are to the pretrained network."""
    data: Data = {"samples": lab.samples, "shared": {}, "regimes": {}}
    dim, total, done = lab.bundle.backbone.layout.dim, len(lab.bundle.unseen) * (1 + len(lab.regimes)), 0
    plain: dict[str, Tensor] = {}
    for location in lab.bundle.unseen:
        rows = {"pretrained": torch.zeros(1, dim), "joint": lab.bundle.joint[None]}
        tables = {way: lab.correct(row, location) for way, row in rows.items()}
        plain[location] = tables["pretrained"]
        data["shared"][location] = _cells(tables, tables["pretrained"])
        done += 1
        yield Step(done, total, float("nan")), data
    for regime in lab.regimes:
        part: Data = data["regimes"].setdefault(regime, {"locations": {}})
        names, means = lab.locations(regime), lab.means(regime)
        for location in lab.bundle.unseen:
            made = _candidates(lab, regime, location, names, means)
            tables = {way: lab.correct(rows, location) for way, rows in made.items()}
            part["locations"][location] = _cells(tables, plain[location])
            part["mean"] = _means(list(part["locations"].values()))
            done += 1
            yield Step(done, total, float("nan")), data
    data["mean"] = _means(list(data["shared"].values()))
    yield Step(total, total, float("nan")), data


def _candidates(lab: Lab, regime: str, location: str, names: Sequence[str], means: Tensor) -> dict[str, Tensor]:
    condition = lab.bundle.embedding(location)
    known, few = torch.stack([lab.bundle.embedding(name) for name in names]), min(8, lab.samples)
    return {
        "generated": lab.bundle.generator(regime).generate(condition.expand(lab.samples, -1), seed=lab.seed),
        "paper": lab.bundle.generator(regime, way="paper").generate(condition.expand(few, -1), seed=lab.seed),
        "nearest": means[nearest_location(condition, known)][None],
        "softmax": softmax_merge(condition, known, means)[None],
        "zoo_mean": means.mean(dim=0)[None],
        "pca_gaussian": gaussian_in_pca(means, few, seed=lab.seed),
    }


def _cells(tables: dict[str, Tensor], plain: Tensor) -> dict[str, Any]:
    shares = {way: estimate(table) for way, table in tables.items()}
    return shares | {f"{way}_gain": difference(table, plain) for way, table in tables.items()}


def _means(locations: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {name: mean_of([row[name] for row in locations]) for name in locations[0]}


def tables(data: Data) -> list[Table]:
    """Mean over locations for every method, and generated adapters by location beside the paper's."""
    regimes = data["regimes"]
    blank = ("",) * (len(regimes) - 1)
    shared = [(words, points(data["mean"][way]), *blank) for way, words in SHARED.items()]
    own = [(words, *(points(part["mean"][way]) for part in regimes.values())) for way, words in OF_REGIME.items()]
    gain = [("generated minus pretrained, points", *(_gain(part) for part in regimes.values()))]
    head = ("mean over the unseen locations, %", *(f"{regime} (95% interval)" for regime in regimes))
    note = f"{data['samples']} generated adapters a location. What needs no regime stands in the first column."
    return [
        Table("Every way, mean over locations", head, (*shared, *own, *gain), note),
        _by_location(data),
    ]


def _gain(part: Data) -> str:
    return points(part["mean"]["generated_gain"], signed=True)


def _by_location(data: Data) -> Table:
    regimes = data["regimes"]
    head = ("location", "pretrained", *(f"generated {r}" for r in regimes), "paper: pretrained", "L", "M", "H")
    rows = []
    for name, row in data["shared"].items():
        ours = [points(part["locations"][name]["generated"]) for part in regimes.values()]
        paper = [f"{value:.1f}" for value in PAPER.get(name, (float("nan"),) * 4)]
        rows.append((name, points(row["pretrained"]), *ours, *paper))
    return Table("By location, %", head, tuple(rows))


def figures(data: Data) -> list[Figure]:
    """Accuracy by unseen location: pretrained, joint, and generated in each regime."""
    names = list(data["shared"])
    found = [(words, [data["shared"][name][way] for name in names]) for way, words in SHARED.items()]
    for regime, part in data["regimes"].items():
        found.append((f"generated, {regime}", [part["locations"][name]["generated"] for name in names]))
    series = [Series.of(words, names, cells) for words, cells in found]
    return [bars("Accuracy at locations that nothing was trained on", names, series, y="accuracy", percent=True)]


def findings(data: Data) -> list[str]:
    """Whether anything beats the pretrained network there."""
    sentences = []
    for regime, part in data["regimes"].items():
        gain = part["mean"]["generated_gain"]
        if gain["real"]:
            word = "gains" if gain["mean"] > 0 else "costs"
            sentences.append(f"At unseen locations a generated adapter of regime {regime} {word} {size(gain)} points.")
        else:
            shown = points(gain, signed=True)
            sentences.append(f"At unseen locations regime {regime} shows no difference to pretrained: {shown} points.")
    joint = data["mean"]["joint_gain"]
    verdict = "is a difference" if joint["real"] else "no difference is shown"
    sentences.append(f"One adapter trained on all ten, used unchanged: {points(joint, signed=True)} points, {verdict}.")
    return [*sentences, *(_of_the_mean(regime, part) for regime, part in data["regimes"].items())]


def _of_the_mean(regime: str, part: Data) -> str:
    """The simplest adapter of all: the mean of every location's rows."""
    gain = part["mean"].get("zoo_mean_gain")
    if gain is None:
        return f"The mean of the zoo was not measured in regime {regime}."
    verdict = "a difference" if gain["real"] else "no difference is shown"
    return f"The mean of the whole zoo, regime {regime}: {points(gain, signed=True)} points, {verdict}."


EXPERIMENTS = (Experiment("table3", *QUESTIONS["table3"], measure, tables, figures, findings),)
