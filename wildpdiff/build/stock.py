"""A stock of places drawn anew, in files of a few places each: made by several processes, and gone on with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..training.loop import Step
from ..universal.places import FIRST, Places, draw
from ..workers.pool import Workers, each
from ..worlds import open_world

#: Places in one file.
SHELF = 25


@dataclass(frozen=True)
class Stock:
    """Places of one kind.

    Attributes:
        folder: of the files.
        world: the spec of the world that they are drawn of.
        kind: one of `places.FIRST`.
        count: places.
        photographs: of each place.
        empties: pictures without animals of each place.
    """

    folder: Path
    world: dict[str, Any]
    kind: str
    count: int
    photographs: int
    empties: int

    def path(self, first: int) -> Path:
        """The file of the places from number `first` on."""
        last = min(first + SHELF, self.count) - 1
        return self.folder / f"{self.kind}-{self.photographs}-{self.empties}-{first:05d}-{last:05d}.safetensors"

    def path_of(self, number: int) -> Path:
        """The file that holds a place by its number."""
        return self.path(number - number % SHELF)

    @property
    def shelves(self) -> list[int]:
        """Numbers of the first place of each file."""
        return list(range(0, self.count, SHELF))

    def fill(self, *, workers: Workers) -> Iterator[Step]:
        """Draw what is not there yet.

        Raises:
            UserError: if no place can be invented in the world, or the disk is full.
        """
        missing = [(self, first) for first in self.shelves if not self.path(first).exists()]
        done = len(self.shelves) - len(missing)
        for count in each(_fill, missing, workers=workers):
            yield Step(done + count, len(self.shelves), float("nan"))

    def open(self, count: int | None = None) -> Places:
        """The first `count` places, or all.

        Raises:
            UserError: if there are not so many, or a file is missing or damaged.
        """
        wanted = self.count if count is None else count
        if wanted > self.count:
            raise UserError(f"There are {self.count} places of kind '{self.kind}', not {wanted}.")
        return Places.together([Places.load(self.path(first)) for first in self.shelves if first < wanted])[:wanted]


def _fill(job: tuple[Stock, int]) -> None:
    stock, first = job
    start = FIRST[stock.kind]
    seeds = range(start + first, start + min(first + SHELF, stock.count))
    draw(open_world(stock.world), seeds, photographs=stock.photographs, empties=stock.empties).save(stock.path(first))
