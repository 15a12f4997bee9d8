"""What every experiment has at hand, and the shape that its findings take."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..build.jobs import zoo_folder
from ..build.recipes import Recipe
from ..build.runs import rows_at, run_file, shown
from ..bundle import Bundle
from ..errors import UserError
from ..evaluate import correct
from ..network.folded import Adapter
from ..plots import Figure
from ..training.loop import Step
from ..workers.pool import TWO, Workers
from ..worlds.base import Images
from ..zoo import Zoo

Data = dict[str, Any]


@dataclass(frozen=True)
class Lab:
    """A bundle to measure, and where there is one the training folder that it came from.

    Attributes:
        bundle: the trained bundle.
        recipe: what it was trained by.
        run: folder of `wildpdiff train`; its `work` holds the whole zoo. None: only what the bundle keeps.
        samples: generated adapters a cell: 100 as in the paper, 8 to be quick.
        seed: of the first generated adapter; the next ones count up.
        workers: processes that may train at once.
        left_out: sentences on what could not be used.
        quick: whether studies of p-diff are to be small.
    """

    bundle: Bundle
    recipe: Recipe
    run: Path | None = None
    samples: int = 8
    seed: int = 0
    workers: Workers = TWO
    left_out: list[str] = field(default_factory=list)
    quick: bool = False

    @property
    def work(self) -> Path:
        """Folder for what experiments train.

        Raises:
            UserError: if there is no training folder.
        """
        if self.run is None:
            raise UserError("This experiment trains; name a folder for it with --run DIR.")
        return self.run / "work"

    def zoo(self, regime: str, interval: int | None = None) -> Zoo:
        """The rows of long runs that `wildpdiff zoo` grew in the training folder, by saving interval.

        Raises:
            UserError: if there is no training folder.
        """
        folder = zoo_folder(self.work, regime, interval or self.recipe.finetune.interval)
        return Zoo(folder, self.bundle.backbone.layout, regime=regime)

    def rows(self, regime: str, location: str, *, at_most: int | None = None, interval: int | None = None) -> Tensor:
        """Raw fine-tuned rows `[J, D]` of a location, evenly spaced if there are more than `at_most`.

        With an interval, of the long run that `zoo` keeps. Without, of the short runs that the generator knows: as they
        were trained if the training folder has them, else as the codec gives them back. A row that is not finite is
        left out, and said so.

        Raises:
            UserError: if the location has no usable rows.
        """
        rows = self._known(regime, location) if interval is None else self.zoo(regime, interval).of(location)[0]
        finite = rows.isfinite().all(dim=1)
        if not bool(finite.all()):
            self.leave_out(f"{int((~finite).sum())} rows of {location} in regime {regime} are not finite.")
            rows = rows[finite]
        if not len(rows):
            raise UserError(f"Location '{location}' has no usable rows in regime {regime}.")
        if at_most is None or len(rows) <= at_most:
            return rows
        return rows[torch.linspace(0, len(rows) - 1, at_most).round().long()]

    def _known(self, regime: str, location: str) -> Tensor:
        if self.run is not None and run_file(self.work, regime, location, 0).exists():
            return rows_at(self.recipe, self.work, self.bundle.backbone.layout, regime, location)[shown(self.recipe)]
        return self.bundle.zoo(regime).rows(location)

    def locations(self, regime: str, interval: int | None = None) -> tuple[str, ...]:
        """The seen locations with usable rows in a regime, as for `rows`; problems of the others are noted, once."""
        usable = []
        for location in self.bundle.seen:
            try:
                self.rows(regime, location, at_most=1, interval=interval)
                usable.append(location)
            except UserError as error:
                self.leave_out(str(error))
        return tuple(usable)

    def means(self, regime: str) -> Tensor:
        """The mean fine-tuned row of each usable location, `[Q, D]`.

        Raises:
            UserError: if the regime has none.
        """
        locations = self.locations(regime)
        if not locations:
            raise UserError(f"Regime {regime} has no usable location; grow its zoo with `wildpdiff zoo`.")
        every = dict(zip(self.bundle.seen, self.bundle.means(regime), strict=True))
        return torch.stack([every[location] for location in locations])

    @property
    def regimes(self) -> tuple[str, ...]:
        """The bundle's regimes that have usable locations; problems of the others are noted, once."""
        usable = tuple(regime for regime in self.bundle.regimes if self.locations(regime))
        for regime in set(self.bundle.regimes) - set(usable):
            self.leave_out(f"Regime {regime} has no usable location.")
        return usable

    def images(self, location: str) -> Images:
        """The evaluation photographs of a named location."""
        return _images(self.bundle.world, location)

    def correct(self, adapters: Tensor | Sequence[Adapter], location: str) -> Tensor:
        """Which evaluation photographs of a location each of N adapters classifies correctly: bool `[N, M]`."""
        images = self.images(location)
        return correct(self.bundle.backbone, adapters, images.pixels, images.labels)

    def leave_out(self, sentence: str) -> None:
        """Note, once, what could not be used."""
        if sentence not in self.left_out:
            self.left_out.append(sentence)


@lru_cache(maxsize=32)
def _images(world: Any, location: str) -> Images:
    images: Images = world.images(location, "eval")
    return images


def where(cells: Sequence[Data], **wanted: Any) -> list[Data]:
    """The cells whose entries are the wanted ones."""
    return [cell for cell in cells if all(cell[key] == value for key, value in wanted.items())]


@dataclass(frozen=True)
class Table:
    """A table for people: a title, column heads, rows of text as long as the head, and a note below."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


#: What an experiment of generated, fine-tuned and shared adapters reads.
EVERYTHING = ("classifier", "condition", "world", "joint", "generator", "zoo", "curves")
#: What one reads that writes no adapter with the bundle's generators, and knows none of its zoo.
NO_GENERATOR = ("classifier", "world")


@dataclass(frozen=True)
class Experiment:
    """One table or figure of the paper, measured on our world.

    Attributes:
        name: as given to `wildpdiff reproduce`.
        title: of its chapter in the report.
        question: what it asks, in a sentence or two for a reader who does not know the paper.
        measure: yields (step, data) as it goes; the last data is whole, and JSON.
        tables: the data as tables, ours beside the paper's figures.
        figures: the data as figures (`plots.charts`).
        findings: sentences drawn from the numbers; a difference is called one only if its interval excludes zero.
        trains: whether it needs long training, so that the stored result is read unless told otherwise.
        depends: the parts of a bundle that it reads (see `Bundle.depends`).
    """

    name: str
    title: str
    question: str
    measure: Callable[[Lab], Iterator[tuple[Step, Data]]]
    tables: Callable[[Data], list[Table]]
    figures: Callable[[Data], list[Figure]]
    findings: Callable[[Data], list[str]]
    trains: bool = False
    depends: tuple[str, ...] = EVERYTHING
