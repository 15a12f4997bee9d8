"""Which fine-tunings a zoo is made of, by regime and saving interval; and which pairs are held out."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..training.finetune import FinetuneRecipe
from .recipes import Recipe
from .starts import checked_regime, start_file

#: Saving intervals from which on a row costs so much that there are fewer.
LONG = 100


@dataclass(frozen=True)
class Job:
    """One fine-tuning to do: rows named `name` in the zoo `folder`.

    Attributes:
        folder: of the zoo.
        regime: of the zoo.
        name: of the rows, a location's or a blend's.
        start: file that holds the starting row, as `row` `[D]` or as the last of `rows` `[J, D]`.
        parts: locations whose photographs are trained on, each with its share of them.
        recipe: how long and how fast.
        seed: of the batches.
    """

    folder: Path
    regime: str
    name: str
    start: Path
    parts: tuple[tuple[str, float], ...]
    recipe: FinetuneRecipe
    seed: int


def zoo_folder(work: Path, regime: str, interval: int) -> Path:
    """Where the rows of a regime and saving interval are kept."""
    return work / f"zoo-{regime}-{interval}"


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
    return tuple((a, b) for a, b in pairs(locations) if count > 4 and place[b] - place[a] in far)
