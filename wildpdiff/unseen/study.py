"""Table 3 asked properly (RQ3): new places without end, every way to serve one, and what each step is worth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..build.claim import claimed
from ..build.stock import SHELF
from ..build.universal import Site, UniversalRecipe, prepare
from ..build.workers import each
from ..experiments.lab import Data, Experiment, Lab
from ..measure.statistics import over_units
from ..training.loop import Step
from ..universal.learn import MapRecipe
from .cell import Cell, Training, What, answer, answers_of, do_training, labels_of, opened
from .far import far_gain, far_pictures
from .site import test_stock
from .told import figures, findings, tables
from .ways import WAYS

#: What `wildpdiff reproduce` calls it.
STUDY = "unseen"
#: Training seeds, new places and their photographs, and the numbers of training places of the scaling curve.
SEEDS, PLACES, PHOTOGRAPHS = 3, 60, 1000
SCALING = (10, 100, 1000)
#: The same where it is to be quick.
FEW_PLACES, FEW_PHOTOGRAPHS = 5, 420
#: How a generator U of the scaling curve is trained: the same for every number of places, and shorter.
SHORT = MapRecipe(joint_steps=800, steps=300, prior_steps=2000)
#: Gains that are told: a way, minus another.
GAINS: tuple[tuple[str, str], ...] = (
    *((way, "pretrained") for way in WAYS if way != "pretrained"),
    *((way, "joint") for way in ("u", "u_16", "u_unlabelled", "u_most", "joint_prior", "u_words", "paste80", "oracle")),
    *(("u", way) for way in ("joint_prior", "u_prior", "u_shuffled", "paste80", "paste80_prior", "zoo_mean", "merge")),
    ("u_unlabelled", "joint_prior16"),
    ("u_unlabelled", "joint_em16"),
    ("u_most", "joint_em200"),
    ("u_samples", "u"),
)


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
    """Every U of the study: its seeds, the control of the first one, and the scaling curve."""
    site = site_of(lab)
    seeds = range(lab.seed, lab.seed + (1 if lab.quick else SEEDS))
    kinds = [(seed, site.recipe.kind) for seed in seeds]
    kinds.insert(1, (lab.seed, "none"))
    whole = [Training(lab.bundle.folder, site.work, site.recipe, seed, kind) for seed, kind in kinds]
    brief = replace(site.recipe, map=site.recipe.map if lab.quick else SHORT)
    counts = [count for count in SCALING if count <= site.recipe.places]
    scaling = [
        Training(lab.bundle.folder, site.work, brief, lab.seed, brief.kind, count, f"scaling-{count}")
        for count in counts
    ]
    return [*whole, *scaling]


def cells(lab: Lab, every: Sequence[Training]) -> list[Cell]:
    """What is asked where."""
    places, photographs = (FEW_PLACES, FEW_PHOTOGRAPHS) if lab.quick else (PLACES, PHOTOGRAPHS)
    shelves = [tuple(range(first, min(first + SHELF, places))) for first in range(0, places, SHELF)]
    names = () if lab.quick else tuple(lab.bundle.unseen)
    parts: list[tuple[tuple[int, ...], tuple[str, ...]]] = [(shelf, ()) for shelf in shelves]
    parts += [((), names)] if names else []
    asked: list[tuple[What, Training]] = []
    for place, own in enumerate(every):
        asked.append(("joint" if own.kind == "none" else "universal" if place == 0 else "seed", own))
        if place == 0:
            asked += [("pretrained", own), ("oracle", own)]
        if place == 1:
            asked.append(("pasting", own))
    return [Cell(what, own, *part, places, photographs) for what, own in asked for part in parts]


def measure(lab: Lab) -> Iterator[tuple[Step, Data]]:
    """Draw places, train, ask; what is done already is left as it is. Then count."""
    site, every = site_of(lab), trainings(lab)
    asked = cells(lab, every)
    with claimed(site.work, site.work.name):
        for _, step in prepare(site):
            yield step, {}
        for step in test_stock(site, asked[0].count, asked[0].photographs).fill(workers=lab.workers):
            yield step, {}
        for work, jobs in ((do_training, every), (answer, asked)):
            for count in each(work, jobs, workers=lab.workers):
                yield Step(count, len(jobs), float("nan")), {}
    yield Step(1, 1, float("nan")), counted(every, asked, site)


def counted(every: Sequence[Training], asked: Sequence[Cell], site: Site) -> Data:
    """All that is told, from the answers in the cells' files."""
    seeds = [own for own in every if not own.name and own.kind != "none"]
    parts = [cell for cell in asked if cell.trained is every[0] and cell.what == "universal"]
    read = [labels_of(cell) for cell in parts]
    names, labels = [name for own, _ in read for name in own], torch.cat([own for _, own in read])
    shares: dict[str, Tensor] = {}
    classes: dict[str, Tensor] = {}
    for way, tables_of in _tables(every, asked).items():
        right = torch.stack([(own == (labels[:, None] if own.ndim == 3 else labels)).float() for own in tables_of])
        shares[way] = right.flatten(2, -2).mean(dim=(0, 2, 3)) if right.ndim == 4 else right.mean(dim=(0, 2))
        classes[way] = torch.stack([by_class(own, labels) for own in tables_of]).mean(dim=0)
    data: Data = {
        "places": len(names), "named": sum(not name.startswith("new") for name in names),
        "photographs": labels.shape[1], "seeds": len(seeds), "training_places": site.recipe.places,
    }  # fmt: skip
    data["ways"] = {way: {"all": over_units(own.tolist()), "classes": over_units(classes[way].tolist())}
                    for way, own in shares.items() if not way.startswith("scaling")}  # fmt: skip
    data["gains"] = {f"{a}-{b}": over_units((shares[a] - shares[b]).tolist())
                     for a, b in GAINS if a in shares and b in shares}  # fmt: skip
    data["by_place"] = {
        way: [round(value, 3) for value in shares[way].tolist()] for way in ("pretrained", "joint", "u", "oracle")
    }
    data["names"] = names
    data["share_of_oracle"] = {
        way: _way_to(shares, way) for way in ("joint", "joint_prior", "u", "u_16", "u_unlabelled", "u_most")
    }
    data["scaling"] = {way.partition(":")[2]: over_units((own - shares["pretrained"]).tolist())
                       for way, own in shares.items() if way.startswith("scaling:")}  # fmt: skip
    data["by_seed"] = _by_seed(every, asked, labels)
    pictures = far_pictures(site.work.parent.parent / "far", site.bundle.world.size)
    data["far"] = far_gain(site.bundle.backbone, opened(seeds[0]), parts[0].places(), pictures)
    return data


def by_class(named: Tensor, labels: Tensor) -> Tensor:
    """The mean over a place's classes of the share that is named right, `[P]`, for classes `[P, M]` or `[P, N, M]`."""
    named = named[:, None] if named.ndim == 2 else named
    right = (named == labels[:, None]).float().mean(dim=1)
    found = []
    for own, true in zip(right, labels, strict=True):
        found.append(torch.stack([own[true == label].mean() for label in true.unique()]).mean())
    return torch.stack(found)


def _tables(every: Sequence[Training], asked: Sequence[Cell]) -> dict[str, list[Tensor]]:
    """By way what was named, of each seed that it was asked of."""
    found: dict[str, list[Tensor]] = {}
    for own in every:
        for what in ("pretrained", "oracle", "universal", "seed", "joint", "pasting"):
            files = [answers_of(cell) for cell in asked if cell.trained is own and cell.what == what]
            for way in files[0] if files else ():
                name = way if not own.name else f"scaling:{own.places}" if way == "u" else ""
                if name:
                    found.setdefault(name, []).append(torch.cat([part[way] for part in files]))
    return found


def _way_to(shares: Mapping[str, Tensor], way: str) -> dict[str, Any]:
    """The share of the way from pretrained to the oracle, of means over places, with a bootstrap interval."""
    first, own, last = (shares[name] for name in ("pretrained", way, "oracle"))
    rng = torch.Generator().manual_seed(0)
    drawn = torch.randint(len(own), (4000, len(own)), generator=rng)
    rooms = (last - first)[drawn].mean(dim=1)
    found = ((own - first)[drawn].mean(dim=1) / rooms).sort().values
    mean = float((own - first).mean() / (last - first).mean())
    return {"mean": mean, "low": float(found[100]), "high": float(found[3899]), "n": len(own)}


def _by_seed(every: Sequence[Training], asked: Sequence[Cell], labels: Tensor) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for way, parts in _tables(every, asked).items():
        if way in ("u", "joint", "u_unlabelled"):
            found[way] = [round(float((own == labels).float().mean()), 4) for own in parts]
    return found


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
)
