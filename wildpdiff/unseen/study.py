"""Table 3 asked properly (RQ3): new places without end, every way to serve one, and what each step is worth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch

from ..build.claim import claimed
from ..build.stock import SHELF
from ..build.universal import Site, UniversalRecipe, prepare
from ..experiments.lab import Data, Experiment, Lab
from ..training.loop import Step
from ..universal.learn import MapRecipe
from ..workers.pool import each
from .balanced import EXPERIMENT
from .cell import Cell, Training, What, answer, answers_of, do_training, labels_of
from .counted import counted, over, right_at
from .site import test_stock
from .told import figures, findings, scaling_figures, scaling_findings, scaling_tables, tables
from .told_start import start_figures, start_findings, start_tables

#: The starts of fine-tuning that are compared.
STARTING: tuple[What, ...] = ("start_u", "start_joint", "start_mean", "start_new")
#: Folder of the run for photographs of other worlds, to hold the gate against.
FAR = "far"
#: What `wildpdiff reproduce` calls it.
STUDY, SCALING_STUDY, START_STUDY = "unseen", "unseen-scaling", "unseen-start"
#: Training seeds, new places and their photographs, and the numbers of training places of the scaling curve.
SEEDS, PLACES, PHOTOGRAPHS = 3, 60, 1000
SCALING = (10, 30, 100, 300, 1000)
#: The same where it is to be quick.
FEW_PLACES, FEW_PHOTOGRAPHS = 5, 420
#: How a generator U of the scaling curve is trained: the same for every number of places, and shorter.
SHORT = MapRecipe(joint_steps=800, steps=300, prior_steps=2000)


def recipe_of(lab: Lab) -> UniversalRecipe:
    """How U is trained for the study."""
    if not lab.quick:
        return UniversalRecipe()
    few = MapRecipe(joint_steps=6, joint_batch=8, prior_steps=20, steps=4, places=2, photographs=4)
    small = replace(UniversalRecipe(), places=30, photographs=12, validation=8, validation_photographs=24, scenes=25)
    brief = replace(small.sight, steps=6, batch_size=8, hidden=16)
    return replace(small, map=few, sight=brief, spread=replace(small.spread, steps=20))


def site_of(lab: Lab) -> Site:
    """Where U is trained for the study."""
    work = lab.work / ("universal-quick" if lab.quick else "universal")
    return Site(lab.bundle, recipe_of(lab), work, workers=lab.workers)


def trainings(lab: Lab) -> list[Training]:
    """Every U of the study: its seeds; and beside the first one its control and the other form of what is written."""
    site = site_of(lab)
    seeds = range(lab.seed, lab.seed + (1 if lab.quick else SEEDS))
    kinds = [(seed, site.recipe.kind) for seed in seeds]
    kinds[1:1] = [(lab.seed, "none"), (lab.seed, "codec")]
    return [Training(lab.bundle.folder, site.work, site.recipe, seed, kind) for seed, kind in kinds]


def scaling(lab: Lab) -> list[Training]:
    """The same training, shorter, at more and more places."""
    site = site_of(lab)
    brief = replace(site.recipe, map=site.recipe.map if lab.quick else SHORT)
    counts = [count for count in SCALING if count <= site.recipe.places]
    where = (lab.bundle.folder, site.work, brief, lab.seed, brief.kind)
    return [Training(*where, count, f"scaling-{count}") for count in counts]


def cells(lab: Lab, every: Sequence[Training], kinds: Callable[[int, Training], Sequence[What]]) -> list[Cell]:
    """What is asked where; `kinds` says of which groups of ways the training of a number is asked."""
    places, photographs = (FEW_PLACES, FEW_PHOTOGRAPHS) if lab.quick else (PLACES, PHOTOGRAPHS)
    shelves = [tuple(range(first, min(first + SHELF, places))) for first in range(0, places, SHELF)]
    names = () if lab.quick else tuple(lab.bundle.unseen)
    parts: list[tuple[tuple[int, ...], tuple[str, ...]]] = [(shelf, ()) for shelf in shelves]
    parts += [((), names)] if names else []
    return [
        Cell(what, own, *part, places, photographs)
        for number, own in enumerate(every)
        for what in kinds(number, own)
        for part in parts
        if what != "pasting" or part[1] or part[0][:1] == (0,)  # two fine-tunings a place: some places must do
    ]


def groups(number: int, own: Training) -> Sequence[What]:
    """The groups of ways that a training of the study is asked of."""
    if own.kind == "none":
        return ("joint", "merge", "pasting")
    if own.kind == "codec":
        return ("codec",)
    return ("universal", "pretrained", "oracle") if number == 0 else ("seed",)


def measure(lab: Lab) -> Iterator[tuple[Step, Data]]:
    """Draw places, train, ask; what is done already is left as it is. Then count."""
    site, every = site_of(lab), trainings(lab)
    asked = cells(lab, every, groups)
    yield from _done(lab, site, every, asked)
    yield Step(1, 1, float("nan")), counted(every, asked, site, far=lab.work.parent / FAR)


def measure_scaling(lab: Lab) -> Iterator[tuple[Step, Data]]:
    """As `measure`, at more and more training places."""
    site, every = site_of(lab), scaling(lab)
    asked = cells(lab, every, lambda number, own: ("seed",))
    yield from _done(lab, site, every, asked)
    first = [cell for cell in asked if cell.trained is every[0]]
    labels = torch.cat([labels_of(cell)[1] for cell in first])
    found = {}
    for own in every:
        told = torch.cat([answers_of(cell)["u"] for cell in asked if cell.trained is own])
        found[str(own.places)] = over(right_at(told, labels))
    yield Step(1, 1, float("nan")), {"places": len(labels), "photographs": labels.shape[1], "counts": found}


def measure_start(lab: Lab) -> Iterator[tuple[Step, Data]]:
    """Fine-tuning with labels from four starts, at the first new places (figures 3 and 8, with U's adapters)."""
    site, every = site_of(lab), trainings(lab)[:1]
    shelf = [cell for cell in cells(lab, every, lambda number, own: STARTING) if cell.numbers[:1] == (0,)]
    bar = replace(shelf[0], what="oracle")
    yield from _done(lab, site, every, [*shelf, bar])
    labels = labels_of(bar)[1]
    oracle = right_at(answers_of(bar)["oracle"], labels)
    found = {
        cell.what: {way.removeprefix("@"): right_at(own, labels) for way, own in answers_of(cell).items()}
        for cell in shelf
    }
    curves = {start: {step: over(own[step]) for step in sorted(own, key=int)} for start, own in found.items()}
    gains = {
        step: {start: over(found["start_u"][step] - own[step]) for start, own in found.items() if start != "start_u"}
        for step in curves["start_u"]
    }
    data = {
        "places": len(labels),
        "photographs": labels.shape[1],
        "oracle": over(oracle),
        "curves": curves,
        "gains": gains,
    }
    yield Step(1, 1, float("nan")), data


def _done(lab: Lab, site: Site, every: Sequence[Training], asked: Sequence[Cell]) -> Iterator[tuple[Step, Data]]:
    """Everything that is trained and asked, with what was done before left as it is."""
    with claimed(site.work, site.work.name):
        for _, step in prepare(site):
            yield step, {}
        for step in test_stock(site, asked[0].count, asked[0].photographs).fill(workers=lab.workers):
            yield step, {}
        for work, jobs in ((do_training, every), (answer, asked)):
            for count in each(work, jobs, workers=lab.workers):
                yield Step(count, len(jobs), float("nan")), {}


EXPERIMENTS = (
    Experiment(
        STUDY,
        "Places never seen: generator U beside every other way (RQ3)",
        "What can be done for a place where nobody labelled a photograph, from a picture of it or from unlabelled "
        "photographs, and how much of what fine-tuning there would gain?",
        measure,
        tables,
        figures,
        findings,
        trains=True,
        depends=("classifier", "condition", "world", "zoo", "curves"),
    ),
    Experiment(
        SCALING_STUDY,
        "Places never seen, by the number of training places",
        "Does generator U get better with more places to learn at, and where does that end?",
        measure_scaling,
        scaling_tables,
        scaling_figures,
        scaling_findings,
        trains=True,
        depends=("classifier", "world"),
    ),
    Experiment(
        START_STUDY,
        "Places never seen: where fine-tuning begins (figures 3 and 8)",
        "With labels of the new place at hand: how many steps of fine-tuning does an adapter of generator U save?",
        measure_start,
        start_tables,
        start_figures,
        start_findings,
        trains=True,
        depends=("classifier", "world", "zoo", "curves"),
    ),
    EXPERIMENT,
)
