"""Chapters to one self-contained HTML page: opens offline, reads on a phone, prints on A4."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..plots import Figure
from ..plots.series import DARK
from .lab import Table

TITLE = "Wild-P-Diff: every table and figure, measured"
_HERE = Path(__file__).parent
_NUMBER = re.compile(r"^[+\u2212-]?[\d.]")


@dataclass(frozen=True)
class Chapter:
    """One experiment's findings, ready to be set.

    Attributes:
        name: of the experiment, also the chapter's anchor.
        title: of the chapter.
        question: what it asks.
        findings: its findings, in sentences.
        tables: the numbers.
        figures: see `charts`.
        made: how it was made, as (what, text) pairs for the foot.
        problem: a sentence on what could not be measured, or nothing.
    """

    name: str
    title: str
    question: str
    findings: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    made: tuple[tuple[str, str], ...] = ()
    problem: str = ""


def html(chapters: Sequence[Chapter], *, about: str = "", title: str = TITLE, page: str = "report") -> str:
    """The whole page, with the script that draws the figures in it; it asks no server for anything.

    Args:
        chapters: in order.
        about: what the photographs are and what figures of them do not say.
        title: of the page.
        page: whose opening words it has: `report` for Wild-P-Diff, `report.pdiff` for p-diff.
    """
    from jinja2 import Environment, FileSystemLoader
    from plotly.offline import get_plotlyjs

    pages = Environment(loader=FileSystemLoader(_HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    pages.filters |= {"embedded": embedded, "parted": _parted}
    pages.globals |= {"numeric_columns": _numeric_columns, "plain": plain, "plotly": get_plotlyjs, "file": _file}
    template = pages.get_template(f"{page}.html.jinja")
    return template.render(chapters=chapters, title=title, about=about, dark=DARK).lstrip()


def plain(figure: Figure, *keys: str) -> Figure:
    """Some parts of a figure as JSON knows them: what is not a finite number becomes a gap."""
    return {key: _finite(figure[key]) for key in keys if key in figure}


def embedded(value: Any) -> str:
    """JSON safe inside a script element: no text in it can close the element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _file(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _parted(text: str) -> tuple[str, str]:
    """A cell's value and the interval in brackets behind it, which is not broken and may wrap below."""
    value, bracket, rest = text.partition(" (")
    return (value, f"({rest}") if bracket and _NUMBER.match(text) else (text, "")


def _numeric_columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[bool]:
    """Which columns, the first one apart, hold more numbers than words."""
    columns = [[row[place] for row in rows if row[place].strip(" –—-")] for place in range(len(head))]
    numbers = [sum(bool(_NUMBER.match(cell)) for cell in cells) for cells in columns]
    return [
        place > 0 and 2 * count > len(cells) for place, (cells, count) in enumerate(zip(columns, numbers, strict=True))
    ]


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value
