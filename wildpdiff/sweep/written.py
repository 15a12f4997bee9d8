"""A sweep into a file, and as text: what is there when it is stopped stays."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ..bundle import Bundle
from ..measure.statistics import points
from ..training.loop import Step
from ..workers.pool import Workers
from .cells import Cell, Gathered
from .known import Known
from .record import csv_writer, format_of, write_csv, write_json, write_npz
from .run import run
from .shared import run_shared
from .spec import Sweep

HEAD = ("pair", "weight", "regime", "way", "n", "weaker", "accuracy there, %", "novelty", "diversity")


def about(bundle: Bundle, sweep: Sweep, cells: Sequence[Cell]) -> dict[str, Any]:
    """What stands beside the records in a JSON document."""
    return {
        "sweep": sweep.to_json(),
        "bundle": bundle.manifest["sum"],
        "known": {regime: Known.of(bundle, regime).words for regime in sweep.regimes},
        "cells": [cell.to_json() for cell in cells],
    }


def save(path: Path, bundle: Bundle, sweep: Sweep, gathered: Gathered) -> None:
    """Write what was gathered as the path's suffix says.

    Raises:
        UserError: if the suffix is another one, or the file cannot be written.
    """
    form = format_of(path)
    if form == ".csv":
        write_csv(path, gathered.records)
    elif form == ".npz":
        write_npz(path, gathered.records, gathered.rows)
    else:
        write_json(path, gathered.records, about(bundle, sweep, gathered.cells))


def run_into(
    bundle: Bundle, sweep: Sweep, out: Path | None, workers: Workers | None = None
) -> Generator[tuple[Step, Gathered], None, None]:
    """Run a sweep into a file, in this process or by `workers`; yields after each adapter.

    A CSV grows line by line; JSON and NPZ are written at the end, and also when the iterator is closed early.

    Raises:
        UserError: as `run` and `save`.
    """
    sweep.check(bundle)
    gathered, form = Gathered(), format_of(out) if out else ""
    with ExitStack() as stack:
        line = stack.enter_context(csv_writer(out)) if out and form == ".csv" else None
        if out and form != ".csv":
            stack.callback(_save_any, out, bundle, sweep, gathered)
        made_by = run_shared(bundle, sweep, workers, out.parent if out else Path()) if workers else run(bundle, sweep)
        for index, made in enumerate(made_by, start=1):
            gathered.add(made)
            if line:
                line(made.record)
            yield Step(index, sweep.size, 0.0), gathered


def _save_any(path: Path, bundle: Bundle, sweep: Sweep, gathered: Gathered) -> None:
    if gathered.records:
        save(path, bundle, sweep, gathered)


def as_table(cells: Sequence[Cell]) -> str:
    """The cells as text, a line each."""
    lines = [HEAD, *(_line(cell) for cell in cells)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(HEAD))]
    padded = ("  ".join(part.ljust(width) for part, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(line.rstrip() for line in padded)


def _line(cell: Cell) -> tuple[str, ...]:
    spread = "-" if cell.diversity is None else f"{cell.diversity:.2g}"
    ends = (f"{cell.a}:{cell.b}", f"{cell.weight:g}", cell.regime, cell.way, str(cell.at["n"]), cell.weaker)
    return (*ends, points(cell.at), f"{cell.novelty:.3g}", spread)
