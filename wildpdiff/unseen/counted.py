"""From the answers of all cells to accuracies, differences and shares, with intervals over places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..build.universal import Site
from ..experiments.lab import Data
from ..measure.statistics import over_units
from .cell import Cell, Training, What, answers_of, labels_of, opened
from .far import far_gain, far_pictures
from .ways import WAYS

#: The groups of ways; ways that are told by place, and those whose share of the oracle's gain is.
KINDS: tuple[What, ...] = ("pretrained", "oracle", "universal", "seed", "codec", "joint", "merge", "pasting")
TOLD = ("pretrained", "joint", "u", "oracle")
WAY_TO = ("joint", "joint_prior", "u", "u_16", "u_unlabelled", "u_most")
#: Pasting: 80 steps, the same with the prior, and the best of all that were tried.
PASTING = ("paste80", "paste80_prior", "rough40_prior")
#: Gains that are told: a way, minus another.
GAINS: tuple[tuple[str, str], ...] = (
    *((way, "pretrained") for way in WAYS if way != "pretrained"),
    *((way, "joint") for way in ("u", "u_16", "u_unlabelled", "u_most", "joint_prior", "u_words", "paste80", "oracle")),
    *(("u", way) for way in ("joint_prior", "u_prior", "u_shuffled", "codec", *PASTING, "zoo_mean", "zoo_merge")),
    ("codec", "joint_prior"),
    ("u_unlabelled", "joint_prior16"),
    ("u_unlabelled", "joint_em16"),
    ("u_most", "joint_em200"),
    ("u_samples", "u"),
)


def counted(every: Sequence[Training], asked: Sequence[Cell], site: Site, *, far: Path) -> Data:
    """All that is told, from the answers in the cells' files; what was asked at some places only counts these.

    Args:
        every: the trainings.
        asked: all cells.
        site: of the trainings.
        far: folder of photographs that show none of this world's places; there may be none.
    """
    seeds = [own for own in every if not own.name and own.kind == site.recipe.kind]
    parts = [cell for cell in asked if cell.trained is every[0] and cell.what == "universal"]
    read = [labels_of(cell) for cell in parts]
    names, labels = [name for own, _ in read for name in own], torch.cat([own for _, own in read])
    named = _named(
        every, asked, [(cell.numbers, cell.names, len(own)) for cell, (own, _) in zip(parts, read, strict=True)]
    )
    right = {way: [right_at(own, labels) for own in tables] for way, tables in named.items()}
    shares = {way: torch.stack(own).mean(dim=0) for way, own in right.items()}
    classes = {way: torch.stack([by_class(own, labels) for own in tables]).mean(dim=0) for way, tables in named.items()}
    data: Data = {
        "places": len(names), "named": sum(not name.startswith("new") for name in names),
        "photographs": labels.shape[1], "seeds": len(seeds), "training_places": site.recipe.places, "names": names,
    }  # fmt: skip
    data["ways"] = {way: {"all": over(shares[way]), "classes": over(classes[way])} for way in shares}
    data["gains"] = {f"{a}-{b}": over(shares[a] - shares[b]) for a, b in GAINS if a in shares and b in shares}
    data["by_place"] = {way: [round(value, 3) for value in shares[way].tolist()] for way in TOLD}
    data["share_of_oracle"] = {way: _way_to(shares, way) for way in WAY_TO if way in shares}
    data["by_seed"] = {way: [round(float(own.nanmean()), 4) for own in right[way]] for way in ("u", "u_unlabelled")}
    pictures = far_pictures(far, site.bundle.world.size)
    data["far"] = far_gain(site.bundle.backbone, opened(seeds[0]), parts[0].places(), pictures)
    return data


def over(values: Tensor) -> Data:
    """A mean over places with its interval, of the places that have a value."""
    return over_units(values[values.isfinite()].tolist())


def right_at(named: Tensor, labels: Tensor) -> Tensor:
    """The share of each place's photographs that is named right, `[P]`, for classes `[P, M]` or `[P, N, M]`; NaN where
    nothing was asked."""
    right = (named == (labels if named.ndim == 2 else labels[:, None])).float().flatten(1).mean(dim=1)
    return right.masked_fill((named < 0).flatten(1).any(dim=1), float("nan"))


def by_class(named: Tensor, labels: Tensor) -> Tensor:
    """The mean over a place's classes of the share that is named right, `[P]`, for classes `[P, M]` or `[P, N, M]`."""
    asked = ~(named < 0).flatten(1).any(dim=1)
    named = named[:, None] if named.ndim == 2 else named
    right = (named == labels[:, None]).float().mean(dim=1)
    found = []
    for own, true in zip(right, labels, strict=True):
        found.append(torch.stack([own[true == label].mean() for label in true.unique()]).mean())
    return torch.stack(found).masked_fill(~asked, float("nan"))


def _named(
    every: Sequence[Training], asked: Sequence[Cell], parts: Sequence[tuple[tuple[int, ...], tuple[str, ...], int]]
) -> dict[str, list[Tensor]]:
    """By way what was named at all places, in order, by each training that it was asked of; -1 where it was not asked.

    Args:
        every: the trainings.
        asked: all cells.
        parts: numbers, names and count of the places of each part.
    """
    found: dict[str, list[Tensor]] = {}
    for own in every:
        for what in KINDS:
            files = {
                (cell.numbers, cell.names): answers_of(cell)
                for cell in asked
                if (cell.trained, cell.what) == (own, what)
            }
            for way, like in next(iter(files.values()), {}).items():
                none = torch.full_like(like[:1], -1)
                told = [files[part[:2]][way] if part[:2] in files else none.expand(part[2], *none.shape[1:])
                        for part in parts]  # fmt: skip
                found.setdefault(way, []).append(torch.cat(told))
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
