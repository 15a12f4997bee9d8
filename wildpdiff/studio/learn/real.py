"""What adapters are worth at held-out cameras, as plain values for the page, where the bundle stores that study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...own.advice import sentences
from ...own.held_out import STUDY, tables
from .stored import Stored

#: Measures that the page shows, by their place in the study's table.
SHOWN = (1, 2, 3, 4)


@dataclass(frozen=True)
class RealCameras:
    """The study as the page shows it.

    Attributes:
        head: of the table; the first column names the way.
        rows: of the table, each cell a figure and what stands small below it.
        note: on what was measured.
        sentences: whether an adapter helps, and where labels would.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    note: str
    sentences: tuple[str, ...]


def real_cameras(stored: Stored) -> RealCameras | None:
    """The stored study; None if there is none."""
    return stored.read(STUDY, _of)


def _of(data: Mapping[str, Any]) -> RealCameras:
    whole = dict(data)
    table = tables(whole)[0]
    rows = tuple((row[0], tuple(_cell(row[place]) for place in SHOWN)) for row in table.rows)
    head = ("Way", *(table.head[place] for place in SHOWN))
    return RealCameras(head, rows, table.note, tuple(sentences(whole)))


def _cell(text: str) -> tuple[str, str]:
    """`41.2 (30.1 to 52.0)` as a figure and its interval."""
    figure, _, interval = text.partition(" (")
    return figure, interval.rstrip(")")
