"""Table 2 (RQ1, section 4.3): generated against fine-tuned adapters at the seen locations, in three regimes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ..evaluate import among, overlap
from ..experiments.baselines import codec_prior, ensemble, gaussian_in_pca, nearest_location, noisy, softmax_merge
from ..experiments.lab import Data, Experiment, Lab, Table
from ..measure.statistics import difference, estimate, mean_of, number, points, size
from ..plots import Figure
from ..plots.charts import Series, bars
from ..plots.grid import grid
from ..training.loop import Step
from ..weightspace import nearest
from . import NUMBERS, QUESTIONS, column_means

#: Rows of a location that are measured as fine-tuned, out of all that were saved.
TUNED = 12
#: Adapters of the paper's plain form that are measured: they hardly differ.
PLAIN = 16
#: Fine-tuned and generated accuracy at each location.
PAPER = NUMBERS["table2"]
#: What is measured at each location, in the order of the tables.
WAYS = {
    "pretrained": "pretrained",
    "fine_tuned": "fine-tuned there",
    "codec": "fine-tuned, codec only",
    "generated": "generated",
    "paper": "generated, the paper's plain form",
    "ensemble": "ensemble (mean of its rows)",
    "joint": "one adapter trained on all ten",
    "zoo_mean": "mean of the zoo",
    "nearest": "nearest other location's adapter",
    "softmax": "softmax merge, top 3",
    "noise": "fine-tuned + noise at equal distance",
    "pca_gaussian": "Gaussian sample in its PCA",
    "prior": "the codec's prior",
}
GAPS = {
    "gap": ("generated", "fine_tuned"),
    "codec_gap": ("codec", "fine_tuned"),
    "diffusion_gap": ("generated", "codec"),
    "over_ensemble": ("generated", "ensemble"),
    "over_joint": ("generated", "joint"),
}


def measure(lab: Lab) -> Iterator[tuple[Step, Data]]:
    """Every method at every seen location of every regime; `gap` is generated minus fine-tuned, in 0..1."""
    data: Data = {"samples": lab.samples, "regimes": {}}
    plans = [(regime, location) for regime in lab.regimes for location in lab.locations(regime)]
    shared = {regime: _Shared(lab, regime) for regime in lab.regimes}
    for place, (regime, location) in enumerate(plans):
        tables = {way: lab.correct(rows, location) for way, rows in candidates(lab, shared[regime], location).items()}
        tables["pretrained"] = _pretrained(lab, location)
        part = data["regimes"].setdefault(regime, {"locations": {}})
        part["locations"][location] = {way: estimate(tables[way]) for way in WAYS} | {
            gap: difference(tables[first], tables[second]) for gap, (first, second) in GAPS.items()
        }
        part["locations"][location]["wrong_overlap"] = {
            "fine_tuned": among(tables["fine_tuned"]),
            "generated": among(tables["generated"]),
            "between": float(overlap(tables["generated"], tables["fine_tuned"]).mean()),
        }
        part["mean"] = _means(list(part["locations"].values()))
        yield Step(place + 1, len(plans), float("nan")), data


class _Shared:
    """What all locations of a regime use: mean rows, conditions and generators."""

    def __init__(self, lab: Lab, regime: str) -> None:
        self.regime, self.means = regime, lab.means(regime)
        self.names = lab.locations(regime)
        self.known = torch.stack([lab.bundle.embedding(name) for name in self.names])
        self.generator = lab.bundle.generator(regime)
        self.paper = lab.bundle.generator(regime, way="paper")


def candidates(lab: Lab, shared: _Shared, location: str) -> dict[str, Tensor]:
    """Raw rows `[N, D]` of every method but `pretrained`, for one seen location."""
    regime, generator = shared.regime, shared.generator
    tuned = lab.rows(regime, location, at_most=TUNED)
    every = lab.rows(regime, location)
    condition = lab.bundle.embedding(location)
    generated = generator.generate(condition.expand(lab.samples, -1), seed=lab.seed)
    few = generated[:8]
    others = [index for index, name in enumerate(shared.names) if name != location]
    return {
        "fine_tuned": tuned,
        "codec": generator.reconstruct(tuned),
        "generated": generated,
        "paper": shared.paper.generate(condition.expand(min(PLAIN, lab.samples), -1), seed=lab.seed),
        "ensemble": ensemble(every)[None],
        "joint": lab.bundle.joint[None],
        "zoo_mean": shared.means.mean(dim=0)[None],
        "nearest": _nearest_other(shared, condition, others),
        "softmax": softmax_merge(condition, shared.known, shared.means)[None],
        "noise": noisy(tuned[: len(few)], nearest(few, every)[1][: len(tuned)], lab.seed),
        "pca_gaussian": gaussian_in_pca(every, len(few), seed=lab.seed),
        "prior": codec_prior(generator, min(4, len(few)), lab.seed),
    }


def _nearest_other(shared: _Shared, condition: Tensor, others: list[int]) -> Tensor:
    """The mean row `[1, D]` of the most similar other location; of the only one, its own."""
    if not others:
        return shared.means[:1]
    return shared.means[others][nearest_location(condition, shared.known[others])][None]


def _pretrained(lab: Lab, location: str) -> Tensor:
    """The network without an adapter: a row of zeros adds nothing."""
    return lab.correct(torch.zeros(1, lab.bundle.backbone.layout.dim), location)


def _means(locations: Sequence[dict[str, Any]]) -> dict[str, Any]:
    means = {name: mean_of([row[name] for row in locations]) for name in (*WAYS, *GAPS)}
    return means | {"worst": min(row["gap"]["mean"] for row in locations)}


def tables(data: Data) -> list[Table]:
    """One table over regimes, one of attribution, one a regime."""
    regimes = data["regimes"]
    head = ("mean over the seen locations, %", *(f"{regime} (95% interval)" for regime in regimes))
    rows = tuple((words, *(points(part["mean"][way]) for part in regimes.values())) for way, words in WAYS.items())
    split = (
        ("codec only minus fine-tuned", *(_points(part, "codec_gap") for part in regimes.values())),
        ("generated minus codec only", *(_points(part, "diffusion_gap") for part in regimes.values())),
        ("generated minus fine-tuned", *(_points(part, "gap") for part in regimes.values())),
        ("the same in the paper", *map(paper_gap, regimes)),
        ("worst single location", *(f"{100 * part['mean']['worst']:+.1f}" for part in regimes.values())),
        ("generated minus ensemble", *(_points(part, "over_ensemble") for part in regimes.values())),
        ("generated minus the joint adapter", *(_points(part, "over_joint") for part in regimes.values())),
    )
    note = f"{data['samples']} generated adapters a location. Intervals count adapters and images."
    return [
        Table("Every way, mean over locations", head, rows, note),
        Table("Where the gap comes from, points", ("", *regimes), split),
        *(_by_location(regime, part) for regime, part in regimes.items()),
    ]


def _points(part: Data, gap: str) -> str:
    return points(part["mean"][gap], signed=True)


def paper_gap(regime: str) -> str:
    """The paper's mean of generated minus fine-tuned accuracy, in points."""
    tuned, generated = column_means(PAPER[regime])
    return number(generated - tuned, "+.2f")


def _by_location(regime: str, part: Data) -> Table:
    head = ("location", "images", "pretrained", "fine-tuned", "codec only", "generated", "gap", "paper: fine-tuned",
            "paper: generated", "paper: gap")  # fmt: skip
    rows = []
    for name, row in part["locations"].items():
        tuned, made = PAPER[regime].get(name, (float("nan"),) * 2)
        ours = [f"{100 * row[way]['mean']:.1f} \u00b1{100 * row[way]['std']:.1f}" for way in ("fine_tuned", "codec")]
        generated = f"{100 * row['generated']['mean']:.1f} \u00b1{100 * row['generated']['std']:.1f}"
        cells = (name, str(row["generated"]["images"]), f"{100 * row['pretrained']['mean']:.1f}", *ours, generated)
        rows.append((*cells, points(row["gap"], signed=True), f"{tuned:.1f}", f"{made:.1f}", f"{made - tuned:+.1f}"))
    note = "\u00b1 is the standard deviation over adapters; the gap has its 95% interval, in points."
    return Table(f"Regime {regime}, by location, %", head, tuple(rows), note)


def figures(data: Data) -> list[Figure]:
    """Small multiples: accuracy by location for each regime."""
    drawn = []
    for regime, part in data["regimes"].items():
        names, rows = list(part["locations"]), list(part["locations"].values())
        series = [
            Series.of(WAYS[way], names, [row[way] for row in rows]) for way in ("pretrained", "fine_tuned", "generated")
        ]
        drawn.append(bars(f"Regime {regime}", names, series, y="accuracy", percent=True))
    return [grid("Accuracy at the seen locations", drawn, note="Bars: 95% intervals over adapters and images.")]


def findings(data: Data) -> list[str]:
    """What the numbers show, regime by regime."""
    return [sentence for regime, part in data["regimes"].items() for sentence in _sentences(regime, part["mean"])]


def _sentences(regime: str, mean: Data) -> Iterator[str]:
    gap = mean["gap"]
    if gap["real"]:
        word = "better" if gap["mean"] > 0 else "worse"
        yield f"In regime {regime} generated adapters are {word} than fine-tuned ones by {size(gap)} points."
    else:
        shown = points(gap, signed=True)
        yield f"In regime {regime} no difference between generated and fine-tuned adapters is shown: {shown} points."
    over = mean["over_ensemble"]
    if not over["real"]:
        shown = points(over, signed=True)
        yield f"To the plain mean of each location's rows no difference is shown ({regime}): {shown} points."
    else:
        word = "better" if over["mean"] > 0 else "worse"
        yield f"Generated adapters are {word} than the mean of each location's rows ({regime}) by {size(over)} points."


EXPERIMENTS = (Experiment("table2", *QUESTIONS["table2"], measure, tables, figures, findings),)
