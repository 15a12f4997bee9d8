"""The photographs of every location: Tables 4 and 5 (paper, section 4.1 and appendix B.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ..evaluate import NONE
from ..experiments.lab import NO_GENERATOR, Data, Experiment, Lab, Table
from ..measure.statistics import estimate, mean_of, points
from ..plots import Figure
from ..plots.charts import Series, bars, heat
from ..training.loop import Step
from ..worlds.base import EMPTY, World
from . import NUMBERS, QUESTIONS, column_means

#: Photographs with and without the empty ones, of them to train and to evaluate on.
PAPER = NUMBERS["table5"]
#: The pretrained classifier at seen and unseen locations, in %.
PAPER_PRETRAINED = {name: row[0] for name, row in (NUMBERS["table8"] | NUMBERS["table3"]).items()}


def measure(lab: Lab) -> Iterator[tuple[Step, Data]]:
    """Count every named location's photographs, and those of the pretraining locations together."""
    bundle, world = lab.bundle, lab.bundle.world
    named = [*((name, "seen") for name in bundle.seen), *((name, "unseen") for name in bundle.unseen)]
    data: Data = {"species": list(world.species), "locations": {}, "pretraining": {}}
    total = len(named) + 1
    for done, (name, kind) in enumerate(named, 1):
        counted = _counts(world, world.labels(name, "train"), world.labels(name, "eval"))
        data["locations"][name] = {"kind": kind} | counted
        data["locations"][name]["pretrained"] = estimate(lab.correct([NONE], name))
        yield Step(done, total, float("nan")), data
    data["pretraining"] = _pretraining(lab)
    data["mean"] = {
        kind: mean_of([own["pretrained"] for own in parts]) for kind, parts in _by_kind(data).items() if parts
    }
    yield Step(total, total, float("nan")), data


def _counts(world: World, train: Tensor, held_out: Tensor) -> Data:
    """Photographs of a location, by split, with and without empty ones, and of each species."""
    labels = torch.cat([train, held_out])
    by_species = torch.bincount(labels, minlength=len(world.species)).tolist()
    empty = by_species[world.species.index(EMPTY)]
    animals = sum(count > 0 for name, count in zip(world.species, by_species, strict=True) if name != EMPTY)
    return {
        "photographs": len(labels),
        "with_animal": len(labels) - empty,
        "train": len(train),
        "eval": len(held_out),
        "species": animals,
        "by_species": by_species,
    }


def _pretraining(lab: Lab) -> Data:
    """The photographs that the classifier was pretrained on, of all its locations together."""
    world, count = lab.bundle.world, lab.recipe.pretrain.images_per_location
    labels = torch.cat([world.labels(name, "train", first=count) for name in lab.recipe.pretraining])
    counted = _counts(world, labels, labels[:0])
    return {"locations": len(lab.recipe.pretraining), "per_location": count} | counted


def tables(data: Data) -> list[Table]:
    """Ours beside the paper's Table 5, and the totals beside its Table 4."""
    return [_by_location(data), _totals(data)]


def _by_location(data: Data) -> Table:
    head = ("location", "with empty", "without", "train", "eval", "species", "pretrained %", "paper: with empty",
            "without", "train", "eval", "pretrained %")  # fmt: skip
    rows = [
        (
            name if own["kind"] == "seen" else f"{name} (unseen)",
            *(f"{own[key]:,}" for key in ("photographs", "with_animal", "train", "eval", "species")),
            points(own["pretrained"]),
            *(f"{count:,}" if count else "" for count in PAPER.get(name, (0,) * 4)),
            f"{PAPER_PRETRAINED[name]:.1f}" if name in PAPER_PRETRAINED else "",
        )
        for name, own in data["locations"].items()
    ]
    note = (
        "In brackets 95% intervals over the evaluation photographs. The paper's seen locations have "
        f"{_paper_range()} of them, so that one photograph is worth up to 7 points; it gives no counts of its unseen "
        "locations one by one."
    )
    return Table("Photographs of the named locations (paper: Table 5)", head, tuple(rows), note)


def _totals(data: Data) -> Table:
    own = data["pretraining"]
    groups = _by_kind(data)
    train = (own["locations"] + len(groups["seen"]), own["photographs"] + _sum(groups["seen"], "photographs"))
    test = (len(groups["unseen"]), _sum(groups["unseen"], "photographs"))
    seen, unseen = (f"{len(PAPER)}", f"{sum(photographs for photographs, *_ in PAPER.values()):,}"), _paper("test")
    rows = (
        ("pretraining", f"{own['locations']}", f"{own['photographs']:,}", f"{own['with_animal']:,}", "100", ""),
        *(
            (kind, f"{len(parts)}", f"{_sum(parts, 'photographs'):,}", f"{_sum(parts, 'with_animal'):,}", *paper)
            for (kind, parts), paper in zip(groups.items(), (seen, unseen), strict=True)
        ),
        ("train set (pretraining and seen)", f"{train[0]}", f"{train[1]:,}", "", *_paper("train")),
        ("test set (unseen)", f"{test[0]}", f"{test[1]:,}", "", *unseen),
    )
    head = ("locations of", "locations", "photographs", "with an animal", "paper: locations", "paper: photographs")
    note = f"Each pretraining location gives {own['per_location']:,} photographs, of {own['species']} species together."
    return Table("Photographs in all (paper: Table 4)", head, rows, note)


def _by_kind(data: Data) -> dict[str, list[Data]]:
    parts = data["locations"].values()
    return {kind: [part for part in parts if part["kind"] == kind] for kind in ("seen", "unseen")}


def _paper(split: str) -> tuple[str, str]:
    locations, photographs = NUMBERS["table4"][split]
    return f"{locations}", f"{photographs:,}"


def _sum(parts: Sequence[Data], key: str) -> int:
    return sum(part[key] for part in parts)


def figures(data: Data) -> list[Figure]:
    """Pretrained accuracy by location, and each location's species."""
    own, names = data["locations"], list(data["locations"])
    ours = Series.of("ours", names, [own[name]["pretrained"] for name in names])
    known = [name for name in names if name in PAPER_PRETRAINED]
    paper = Series("paper", known, [PAPER_PRETRAINED[name] / 100 for name in known], dashed=True)
    shares = [
        [100 * own[name]["by_species"][place] / own[name]["photographs"] for name in names]
        for place in range(len(data["species"]))
    ]
    rows = [species.replace("_", " ") for species in data["species"]]
    return [
        bars("The pretrained classifier", names, [ours, paper], y="accuracy",
             percent=True),
        heat("What the photographs show, in % of a location's", names, rows, shares, low=0.0,
             high=max(max(row) for row in shares)),
    ]  # fmt: skip


def findings(data: Data) -> list[str]:
    """What the counts and the classifier's accuracies show."""
    own = data["locations"].values()
    empty = [1 - part["with_animal"] / part["photographs"] for part in own]
    evals, species = [part["eval"] for part in own], [part["species"] for part in own]
    paper = (f"{column_means(NUMBERS[table])[0]:.1f}" for table in ("table8", "table3"))
    means = " and ".join(f"{points(value)} at the {kind} locations" for kind, value in data["mean"].items())
    return [
        f"{100 * min(empty):.0f}% to {100 * max(empty):.0f}% of a location's photographs show no animal "
        f"(paper, seen locations: {_paper_empty()}), and {_range(species)} species pass it.",
        f"Accuracies here are measured on {_range(evals)} photographs a location (paper: {_paper_range()}).",
        f"The pretrained classifier names {means} (in %; paper: {' and '.join(paper)}).",
    ]


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low}" if low == high else f"{low} to {high}"


def _paper_range() -> str:
    return _range([evaluated for *_, evaluated in PAPER.values()])


def _paper_empty() -> str:
    shares = [100 * (1 - animals / photographs) for photographs, animals, *_ in PAPER.values()]
    return f"{min(shares):.0f}% to {max(shares):.0f}%"


EXPERIMENTS = (Experiment("table5", *QUESTIONS["table5"], measure, tables, figures, findings, depends=NO_GENERATOR),)
