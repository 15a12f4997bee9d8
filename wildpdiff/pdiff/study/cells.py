"""Growing the systems of a study: each in a folder of its own, bases and checkpoints shared where they are the same."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...errors import UserError
from ...files import load_json, save_json, write_whole
from ...training.loop import Step
from ...workers.pool import Workers, each
from ..order import Order
from ..results import Data
from ..system import BASE, RESULTS, ROWS, System
from .looks import LOOKS

#: Points of a group that a figure shows.
SHOWN = 20
#: Groups that a figure shows.
DRAWN = ("originals", "noise", "alike", "generated")


@dataclass(frozen=True)
class Cell:
    """One system of a study.

    Attributes:
        name: of its row in the table; cells of one name differ in their seed.
        order: what it is made of.
        looks: what is measured beside its results, see `looks.LOOKS`.
    """

    name: str
    order: Order
    looks: tuple[str, ...] = ()

    def folder(self, work: Path) -> Path:
        """Where it grows; cells of the same order share it, whichever study they belong to."""
        return work / "pdiff" / f"{self.order.network}-{self.order.seed}-{_digest(self.order.to_json() | _ROOTLESS)}"

    @property
    def base(self) -> str:
        """A name for its base network, the same for cells that share it."""
        return f"base-{_digest(self._of_base())}"

    @property
    def rows(self) -> str:
        """A name for its checkpoints, the same for cells that share them."""
        order = self.order
        return f"rows-{_digest(self._of_base() | {'parameters': order.parameters, 'rows': asdict(order.recipe.rows)})}"

    def _of_base(self) -> dict[str, Any]:
        names = ("network", "data", "size", "seed", "pretrained", "checkpoint")
        return {name: str(getattr(self.order, name)) for name in names} | asdict(self.order.recipe.base)


_ROOTLESS = {"root": None}


@dataclass(frozen=True)
class _Job:
    """Cells of one base, grown one after the other in one process."""

    cells: tuple[Cell, ...]
    work: Path


def grow(cells: Sequence[Cell], work: Path, *, workers: Workers) -> Iterator[Step]:
    """Grow every cell that is not finished, in order, `workers` bases at once; killed, it goes on where it was.

    Raises:
        UserError: what a worker complained of.
    """
    waiting = [cell for cell in cells if not finished(cell, work)]
    by_base: dict[str, list[Cell]] = {}
    for cell in waiting:
        by_base.setdefault(cell.base, []).append(cell)
    jobs = [_Job(tuple(some), work) for some in by_base.values()]
    for done in each(_grow, jobs, workers=workers):
        yield Step(done, len(jobs), float("nan"))


def finished(cell: Cell, work: Path) -> bool:
    """Whether a cell is measured, with all looks."""
    folder = cell.folder(work)
    return (folder / RESULTS).exists() and all((folder / look_file(name)).exists() for name in cell.looks)


def look_file(name: str) -> str:
    """The file of a look in a system's folder."""
    return f"look-{name}.json"


def _grow(job: _Job) -> None:
    for cell in job.cells:
        if not finished(cell, job.work):
            _grow_one(cell, job.work)


def _grow_one(cell: Cell, work: Path) -> None:
    folder, shelf = cell.folder(work), work / "pdiff" / "shelf"
    system = System(cell.order, folder)
    system.begin()
    shelved = ((shelf / cell.base, folder / BASE), (shelf / cell.rows, folder / ROWS))
    for kept, own in shelved:
        if kept.exists() and not own.exists():
            _copy(kept, own)
    for _ in system.run():
        for kept, own in shelved:
            if own.exists() and not kept.exists():
                _copy(own, kept)
    for name in cell.looks:
        if not (folder / look_file(name)).exists():
            save_json(folder / look_file(name), LOOKS[name](system))


def _copy(source: Path, target: Path) -> None:
    write_whole(target, lambda temporary: shutil.copyfile(source, temporary))


def brief(cell: Cell, work: Path, *, points: bool) -> Data:
    """What is kept of a grown cell: its numbers and looks, and with `points` those of at most `SHOWN` networks a group.

    Raises:
        UserError: if it is not grown.
    """
    folder = cell.folder(work)
    if not finished(cell, work):
        raise UserError(f"'{folder.name}' is not measured yet; run the same command again.")
    results = load_json(folder / RESULTS)
    novelty, fidelity = results["novelty"].get("alike"), results["fidelity"]
    return {
        "seed": cell.order.seed,
        "numbers": {"network": results["network"]["numbers"], **results["rows"]},
        "seconds": results["seconds"],
        "groups": {name: _group(group) for name, group in results["groups"].items()},
        "minus_originals": _against(results, "originals"),
        "minus_base": _against(results, "base"),
        "best_difference": results["best_difference"],
        "alike": novelty and {"accuracy": novelty["accuracy"], "iou": novelty["iou"]},
        "copies": fidelity and fidelity["nearest"],
        "looks": {name: load_json(folder / look_file(name)) for name in cell.looks},
        "points": {
            name: _points(group["points"]) for name, group in results["groups"].items() if points and name in DRAWN
        },
    }  # fmt: skip


def _against(results: Data, other: str) -> Data:
    """The differences of every group from another, by the group's name."""
    return {name: own[other] for name, own in results["differences"].items() if other in own}


def _group(group: Data) -> Data:
    """Accuracy, its deviation over networks, the best in both ways, spread, distance and likeness of a group."""
    best = group["best"] or {}
    return {
        "test": group["test"],
        "std": group["test"]["std"],
        "best": best and best["by_selection"]["test"],
        "best_by_test": best and best["by_test"]["test"],
        "spread": group["spread"],
        "nearest": group["nearest"],
        "iou": group["iou"],
    }


def _points(points: Data) -> list[list[float]]:
    """(likeness, test accuracy) of some networks of a group, evenly spaced."""
    pairs = list(zip(points["iou"], points["test"], strict=True))
    every = max(1, -(-len(pairs) // SHOWN))
    return [[round(value, 4) for value in pair] for pair in pairs[::every]]


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:10]
