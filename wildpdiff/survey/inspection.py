"""What an inspection of a survey found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .look import Pictures
from .survey import Oddity


@dataclass(frozen=True)
class Site:
    """One location: its photographs, how many of them are known to be empty, of an animal, without a label."""

    name: str
    photographs: int
    empty: int
    animal: int
    unlabelled: int
    species: int


@dataclass(frozen=True)
class Inspection:
    """What was found.

    Attributes:
        kind: the format, in words.
        source: name of the file or folder.
        photographs: all of them; `animal`, `empty`, `human` and `unlabelled` are parts that add up to it, but for those
            that are called two of these at once.
        guessed: whether labels are a program's guesses.
        species: photographs by species, the most frequent first; one with two species counts for both.
        sites: locations, the largest first.
        dates: first and last moment in seconds, if any is told.
        bursts: how many; `burst_by` says what tells them: sequence, time, or both.
        boxed: photographs that somebody or a detector looked at; `boxes` counts what they have, by kind.
        pictures: what a sample of them shows, if they are at hand.
        problems: what may matter, with counts and an example each.
    """

    kind: str
    source: str
    photographs: int
    animal: int
    empty: int
    human: int
    unlabelled: int
    guessed: bool
    species: dict[str, int]
    sites: tuple[Site, ...]
    dates: tuple[int, int] | None
    bursts: int
    burst_by: str
    boxed: int
    boxes: dict[str, int]
    detector: str
    pictures: Pictures | None
    problems: tuple[Oddity, ...]

    def to_json(self) -> dict[str, Any]:
        """All of it, for programs."""
        labels = {name: getattr(self, name) for name in ("animal", "empty", "human", "unlabelled", "guessed")}
        return {
            "kind": self.kind,
            "source": self.source,
            "photographs": self.photographs,
            "labels": labels,
            "species": self.species,
            "locations": {site.name: {"photographs": site.photographs, "empty": site.empty, "animal": site.animal,
                                      "unlabelled": site.unlabelled, "species": site.species} for site in self.sites},
            "dates": [day_of(moment) for moment in self.dates] if self.dates else None,
            "bursts": {"count": self.bursts, "by": self.burst_by},
            "boxes": {"photographs": self.boxed, "by_kind": self.boxes, "detector": self.detector or None},
            "pictures": self.pictures.to_json() if self.pictures else None,
            "problems": [
                {"what": one.what, "count": one.count, "example": one.example or None} for one in self.problems
            ],
        }  # fmt: skip


def day_of(seconds: int) -> str:
    """The day of a moment."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
    except (ValueError, OverflowError, OSError):
        return "unknown"
