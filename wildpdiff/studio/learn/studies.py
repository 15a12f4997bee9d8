"""Studies as plain values for the page, where the bundle stores them: held-out cameras, and places never seen."""

from __future__ import annotations

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


def _study(table: Table, shown: tuple[int, ...], found: list[str], label: str) -> Study:
    rows = tuple((row[0], tuple(_cell(row[place]) for place in shown)) for row in table.rows)
    return Study(("Way", *(table.head[place] for place in shown)), rows, table.note, tuple(found), label)


def _cell(text: str) -> tuple[str, str]:
    """`41.2 (30.1 to 52.0)` as a figure and its interval."""
    figure, _, interval = text.partition(" (")
    return figure, interval.rstrip(")")
