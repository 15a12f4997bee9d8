"""Which fine-tunings a zoo is made of: three regimes of similarity, saving intervals; and which pairs are held out."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from ..backbone import Backbone
from ..errors import UserError
from .grow import Job, save_row
from .recipes import Recipe

#: Paper, appendix D: each location its own random initialisation; one for all; one converged adapter for all.
REGIMES = ("L", "M", "H")
#: Saving intervals from which on a row costs so much that there are fewer.
LONG = 100


def zoo_folder(work: Path, regime: str, interval: int) -> Path:
    """Where the rows of a regime and saving interval are kept."""
    return work / f"zoo-{regime}-{interval}"


def checked_regime(regime: str) -> str:
    """The regime, if it is one.

    Raises:
        UserError: naming the known ones.
    """
    if regime not in REGIMES:
        raise UserError(f"Regime '{regime}' is not known; choose one of: {', '.join(REGIMES)}.")
    return regime


def start_file(work: Path, regime: str, location: str) -> Path:
    """The starting row of a location in a regime: its own, the shared one, or the converged one."""
    names = {"L": f"start-L-{location}", "M": "start-M", "H": "start-H"}
    return work / f"{names[checked_regime(regime)]}.safetensors"


def write_starts(recipe: Recipe, backbone: Backbone, work: Path) -> None:
    """Draw the random starting rows of regimes L and M; H's is fine-tuned (see `build`)."""
    for place, location in enumerate(("", *recipe.seen)):
        path = start_file(work, "L" if location else "M", location)
        if not path.exists():
            rng = torch.Generator().manual_seed(recipe.seed * 1000 + place)
            save_row(path, backbone.subset.initial(backbone.network, rng), backbone)


def location_jobs(
    recipe: Recipe,
    work: Path,
    regime: str,
    *,
    interval: int | None = None,
    rows: int | None = None,
    locations: Sequence[str] = (),
) -> list[Job]:
    """One job for each seen location (or each of `locations`) in a regime; at intervals of `LONG` steps or more the
    recipe saves fewer rows."""
    tuning, interval = recipe.finetune, interval or recipe.finetune.interval
    usual = recipe.long_rows if interval >= LONG else tuning.rows
    tuning = replace(tuning, interval=interval, rows=rows or usual)
    folder = zoo_folder(work, checked_regime(regime), tuning.interval)
    return [
        Job(
            folder,
            regime,
            location,
            start_file(work, regime, location),
            ((location, 1.0),),
            tuning,
            recipe.seed * 1000 + place,
        )
        for place, location in enumerate(recipe.seen)
        if not locations or location in locations
    ]


def pairs(locations: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """All pairs of locations, in order."""
    return tuple(itertools.combinations(locations, 2))


def held_out_pairs(locations: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The pairs whose curve nothing is trained on: neighbours in a circle of the locations, and opposite ones.

    Of ten locations that holds out 15 of 45 pairs, three with each location.
    """
    count = len(locations)
    far = {1, count - 1} | ({count // 2} if count % 2 == 0 else set())
    place = {location: index for index, location in enumerate(locations)}
    return tuple((a, b) for a, b in pairs(locations) if count > 3 and place[b] - place[a] in far)
