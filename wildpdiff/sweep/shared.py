"""A sweep that several workers write, a cell each; its records come in the same order as those of one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from ..bundle import Bundle, opened_bundle
from ..files import load_tensors, save_tensors
from ..workers.pool import Workers, each
from .record import Record
from .run import Made, run
from .spec import Sweep


@dataclass(frozen=True)
class _Cell:
    """One cell to write: the sweep of it alone, the bundle's folder, and the file for what is made."""

    sweep: Sweep
    bundle: Path
    device: str
    path: Path


def run_shared(bundle: Bundle, sweep: Sweep, workers: Workers, folder: Path) -> Iterator[Made]:
    """As `run`, by several workers.

    Args:
        bundle: as `run`; workers open its folder.
        sweep: what to do.
        workers: who does it.
        folder: that all workers see; a temporary folder is made in it.

    Raises:
        UserError: as `run` and `each`.
    """
    sweep.check(bundle)
    with TemporaryDirectory(dir=folder, prefix=".sweep-") as kept:
        cells = [
            _Cell(own, bundle.folder.resolve(), bundle.device.type, Path(kept).resolve() / f"{number}.safetensors")
            for number, own in enumerate(_cells(sweep))
        ]
        waiting = iter(cells)
        following = next(waiting, None)
        for _ in each(_write, cells, workers=workers):
            while following and following.path.exists():
                yield from _read(following.path)
                following = next(waiting, None)


def _cells(sweep: Sweep) -> list[Sweep]:
    return [
        replace(sweep, pairs=((spot.a, spot.b),), weights=(spot.weight,), regimes=(spot.regime,), ways=(spot.way,))
        for spot in sweep.spots
    ]


def _write(cell: _Cell) -> None:
    made = list(run(opened_bundle(cell.bundle, cell.device), cell.sweep))
    tensors = {"rows": torch.stack([one.row for one in made]), "right": torch.stack([one.right for one in made])}
    save_tensors(cell.path, tensors, {"records": json.dumps([one.record.to_json() for one in made])})


def _read(path: Path) -> Iterator[Made]:
    tensors, about = load_tensors(path)
    for value, row, right in zip(json.loads(about["records"]), tensors["rows"], tensors["right"], strict=True):
        yield Made(Record(**value), row, right)
