"""Studies as plain values for the page, where the bundle stores them: held-out cameras, and places never seen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...experiments.lab import Table
from ...own import held_out
from ...own.advice import sentences
from ...unseen import study as unseen
from .stored import Stored


@dataclass(frozen=True)
class Study:
    """A study as the page shows it.

    Attributes:
        head: of the table; the first column names the way.
        rows: of the table, each cell a figure and what stands small below it.
        note: on what was measured.
        sentences: what was found.
        label: of the table, for a screen reader.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    note: str
    sentences: tuple[str, ...]
    label: str


def real_cameras(stored: Stored) -> Study | None:
    """Whether adapters help at held-out cameras; None if that is not stored."""

    def read(data: Mapping[str, Any]) -> Study:
        whole = dict(data)
        return _study(held_out.tables(whole)[0], (1, 2, 3, 4), sentences(whole), "Held-out cameras")

    return stored.read(held_out.STUDY, read)


def never_seen(stored: Stored) -> Study | None:
    """Every way to serve a place that nothing was trained at; None if that is not stored."""

    def read(data: Mapping[str, Any]) -> Study:
        whole = dict(data)
        return _study(unseen.tables(whole)[0], (1, 2, 3, 4), unseen.findings(whole), "Places never seen")

    return stored.read(unseen.STUDY, read)


@dataclass(frozen=True)
class Curve:
    """A curve as the page draws it.

    Attributes:
        points: what each stands above, and its interval's low end, its share and the high end, in 0..1.
        floor, top: ends of the axis, in 0..1.
        ticks: lines across, in 0..1.
        axis: what the points' names count.
        label: of the drawing, for a screen reader.
        note: on what was measured.
        sentences: what was found.
    """

    points: tuple[tuple[str, float, float, float], ...]
    floor: float
    top: float
    ticks: tuple[float, ...]
    axis: str
    label: str
    note: str
    sentences: tuple[str, ...]


def by_places(stored: Stored) -> Curve | None:
    """Generator U by the number of its training places; None if that is not stored."""

    def read(data: Mapping[str, Any]) -> Curve:
        whole = dict(data)
        counts = whole["counts"].items()
        points = tuple((f"{int(count):,}", own["low"], own["mean"], own["high"]) for count, own in counts)
        ends = (
            math.floor(10 * min(own["low"] for _, own in counts)),
            math.ceil(10 * max(own["high"] for _, own in counts)),
        )
        ticks = tuple(tenth / 10 for tenth in range(ends[0], ends[1] + 1))
        [table] = unseen.scaling_tables(whole)
        found = tuple(unseen.scaling_findings(whole))
        return Curve(points, ticks[0], ticks[-1], ticks, "training places", table.title, table.note, found)

    return stored.read(unseen.SCALING_STUDY, read)


def beginnings(stored: Stored) -> Study | None:
    """Fine-tuning with labels from several starts; None if that is not stored."""

    def read(data: Mapping[str, Any]) -> Study:
        whole = dict(data)
        table = unseen.start_tables(whole)[0]
        return _study(table, (1, 3, 5, 7), unseen.start_findings(whole), "Where fine-tuning begins", first="Start")

    return stored.read(unseen.START_STUDY, read)


def _study(table: Table, shown: tuple[int, ...], found: list[str], label: str, *, first: str = "Way") -> Study:
    rows = tuple((row[0], tuple(_cell(row[place]) for place in shown)) for row in table.rows)
    return Study((first, *(table.head[place] for place in shown)), rows, table.note, tuple(found), label)


def _cell(text: str) -> tuple[str, str]:
    """`41.2 (30.1 to 52.0)` as a figure and its interval."""
    figure, _, interval = text.partition(" (")
    return figure, interval.rstrip(")")
