"""Chapters to one self-contained HTML page: opens offline, reads on a phone, prints on A4."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import count
from pathlib import Path
from typing import Any

from ..plots import Figure
from ..plots.series import DARK
from .lab import Table

TITLE = "Wild-P-Diff: every table and figure, measured"
#: The opening, for readers who know neither the paper nor this program.
OPENING = (
    "Wild-P-Diff is a diffusion model that makes adapters where others make pictures. It is shown what a camera-trap "
    "location looks like and writes some 65,000 numbers that fit a wildlife classifier to that location; the "
    "classifier itself stays as it is. These words return in every chapter:",
    "{world} Absolute numbers are therefore not comparable with the paper's, which come from photographs of Snapshot "
    "Serengeti. What can be compared is the pattern: which way does better, and whether a gap is there at all.",
    "Numbers in brackets after a value are its 95% interval. That of an accuracy counts both the adapters and the "
    "photographs, because others of either would have given another share. A difference is called one only if its "
    "interval excludes zero.",
)
WORDS = (
    ("pretrained", "The classifier without an adapter, trained at other locations."),
    ("fine-tuned", "With an adapter trained on photographs of the location: the usual way, and the one to match."),
    (
        "codec only",
        "With a fine-tuned adapter packed into the model's short code and unpacked again. What is lost here is lost "
        "before any diffusion.",
    ),
    ("generated", "With an adapter that the diffusion model wrote, from noise and the location's picture."),
    (
        "L, M, H",
        "Low, medium and high similarity between the adapters of different locations. L: each location starts from "
        "random numbers of its own; M: all start from the same random numbers; H: all start from one adapter that was "
        "already trained.",
    ),
)
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
_NUMBER = re.compile(r"^[+\u2212-]?[\d.]")


@dataclass(frozen=True)
class Chapter:
    """One experiment's findings, ready to be set.

    Attributes:
        name: of the experiment, also the chapter's anchor.
        title: of the chapter.
        question: what it asks.
        says: its findings, in sentences.
        tables: the numbers.
        figures: see `charts`.
        made: how it was made, as (what, text) pairs for the foot.
        problem: a sentence on what could not be measured, or nothing.
    """

    name: str
    title: str
    question: str
    says: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    made: tuple[tuple[str, str], ...] = ()
    problem: str = ""


def html(chapters: Sequence[Chapter], *, about: str = "", title: str = TITLE) -> str:
    """The whole page, with the script that draws the figures in it; it asks no server for anything.

    `about` says what the photographs are and what figures of them do not say.
    """
    from plotly.offline import get_plotlyjs

    number = count(1)
    body = [_opening(title, about), _contents(chapters), *(_chapter(chapter, number) for chapter in chapters)]
    style = (Path(__file__).parent / "report.css").read_text(encoding="utf-8")
    drawing = _DRAWING.replace("DARK_COLOURS", embedded(DARK))
    scripts = f"<script>{get_plotlyjs()}</script>\n<script>{drawing}</script>" if _draws(chapters) else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{escape(title)}</title>
<style>{style}</style>
</head>
<body>
<main>
{"".join(body)}</main>
{scripts}
</body>
</html>
"""


def plain(figure: Figure, *keys: str) -> Figure:
    """Some parts of a figure as JSON knows them: what is not a finite number becomes a gap."""
    return {key: _finite(figure[key]) for key in keys if key in figure}


def embedded(value: Any) -> str:
    """JSON that may stand inside a script element: no text in it can close the element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _draws(chapters: Sequence[Chapter]) -> bool:
    return any(chapter.figures for chapter in chapters)


def _opening(title: str, about: str) -> str:
    paragraphs = [f"<p>{escape(text.format(world=about).strip())}</p>\n" for text in OPENING]
    words = "".join(f"<dt>{escape(word)}</dt><dd>{escape(text)}</dd>\n" for word, text in WORDS)
    first, *rest = paragraphs
    return f'<header>\n<h1>{escape(title)}</h1>\n{first}<dl class="words">\n{words}</dl>\n{"".join(rest)}</header>\n'


def _contents(chapters: Sequence[Chapter]) -> str:
    """The table of contents: each chapter with its first finding."""
    lines = []
    for chapter in chapters:
        first = chapter.problem or next(iter(chapter.says), "")
        link = f'<a href="#{escape(chapter.name)}">{escape(chapter.title)}</a>'
        lines.append(f"<li>{link}<span>{escape(first)}</span></li>\n")
    return f'<nav class="contents" aria-label="Contents">\n<h2>Contents</h2>\n<ol>\n{"".join(lines)}</ol>\n</nav>\n'


def _chapter(chapter: Chapter, number: Iterator[int]) -> str:
    """A chapter; its charts take the next numbers of the page."""
    findings = "".join(f"<p>{escape(sentence)}</p>\n" for sentence in chapter.says)
    problem = f'<p class="problem">{escape(chapter.problem)}</p>\n' if chapter.problem else ""
    parts = [
        f'<section class="chapter" id="{escape(chapter.name)}">\n<h2>{escape(chapter.title)}</h2>\n',
        f'<p class="question">{escape(chapter.question)}</p>\n{problem}',
        f'<div class="findings">\n{findings}</div>\n' if findings else "",
        *(_table(table) for table in chapter.tables),
        *(
            _figure(next(number), f"{chapter.name}-figure{place}", one)
            for place, one in enumerate(chapter.figures, start=1)
        ),
        _made(chapter.made),
        "</section>\n",
    ]
    return "".join(parts)


def _table(table: Table) -> str:
    note = f'<p class="note">{escape(table.note)}</p>\n' if table.note else ""
    box = _scrolling(table.title, table.head, table.rows)
    return f'<div class="block">\n<h3>{escape(table.title)}</h3>\n{box}{note}</div>\n'


def _scrolling(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in a box that scrolls sideways by itself; columns of numbers are set to the right."""
    numeric = [place > 0 and _is_numeric([row[place] for row in rows]) for place in range(len(head))]
    heads = "".join(f"<th{_right(right)}>{escape(text)}</th>" for text, right in zip(head, numeric, strict=True))
    body = "".join(_row(row, numeric) for row in rows)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(title)}">\n'
        f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n</div>\n"
    )


def _row(row: Sequence[str], numeric: Sequence[bool]) -> str:
    cells = "".join(f"<td{_right(right)}>{_cell(text)}</td>" for text, right in zip(row[1:], numeric[1:], strict=True))
    mean = ' class="mean"' if row[0].casefold().startswith("mean") else ""
    return f'<tr{mean}><th scope="row">{escape(row[0])}</th>{cells}</tr>\n'


def _cell(text: str) -> str:
    """A cell's text; an interval in brackets stays in one piece and may stand below its value."""
    value, bracket, rest = text.partition(" (")
    if not bracket or not _NUMBER.match(text):
        return escape(text)
    return f'{escape(value)} <span class="interval">({escape(rest)}</span>'


def _is_numeric(cells: Sequence[str]) -> bool:
    told = [cell for cell in cells if cell.strip(" –—-")]
    return bool(told) and 2 * sum(bool(_NUMBER.match(cell)) for cell in told) > len(told)


def _right(right: bool) -> str:
    return ' class="number"' if right else ""


def _figure(number: int, name: str, figure: Figure) -> str:
    """A drawing, its caption and, folded up, its numbers."""
    anchor, title = escape(name), escape(_sentence(figure["title"]))
    note = escape(figure.get("note", ""))
    table = figure.get("table") or {"rows": []}
    numbers = _scrolling(figure["title"], table["head"], table["rows"]) if table["rows"] else ""
    folded = f"<details><summary>The numbers of this figure</summary>\n{numbers}</details>\n" if numbers else ""
    return (
        f'<figure id="{anchor}">\n<div class="plot" role="img" aria-label="{title}" data-name="{anchor}"></div>\n'
        f'<script type="application/json">{embedded(plain(figure, "data", "layout", "narrow"))}</script>\n'
        f"<figcaption><b>Chart {number}. {title}</b> {note}</figcaption>\n"
        f'<div class="tools">{folded}<button type="button" class="save">Save as SVG</button></div>\n</figure>\n'
    )


def _made(made: Sequence[tuple[str, str]]) -> str:
    if not made:
        return ""
    lines = "".join(
        f"<dt>{escape(what)}</dt><dd>{f'<code>{escape(text)}</code>' if what == 'command' else escape(text)}</dd>\n"
        for what, text in made
    )
    return f'<div class="made">\n<h3>How this was made</h3>\n<dl>\n{lines}</dl>\n</div>\n'


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


#: Draws each figure at the width it has, in the page's colours; for print in light ones at the width of the paper.
_DRAWING = """
"use strict";
const DARK = DARK_COLOURS, NARROW = 560, PAPER_WIDTH = 670;
const night = matchMedia("(prefers-color-scheme: dark)"), boxes = [...document.querySelectorAll(".plot")];
let printing = false;
function tinted(text) {
  const dark = night.matches && !printing;
  return JSON.parse(text, (key, value) => {
    const other = dark && typeof value === "string" && DARK[value.slice(0, 7)];
    return other ? other + value.slice(7) : value;
  });
}
function draw(box) {
  const width = printing ? PAPER_WIDTH : box.clientWidth;
  const { data, layout, narrow } = tinted(box.nextElementSibling.textContent);
  if (narrow && width < NARROW) {
    for (const [key, change] of Object.entries(narrow)) {
      layout[key] = typeof change === "object" ? { ...layout[key], ...change } : change;
    }
    if (narrow.bare) data.forEach((trace) => delete trace.texttemplate);
    delete layout.bare;
  }
  box.drawn = width;
  Plotly.react(box, data, { ...layout, width }, { displayModeBar: false });
}
const seen = new ResizeObserver((changes) => changes.forEach(({ target }) => {
  if (!printing && target.clientWidth && target.clientWidth !== target.drawn) draw(target);
}));
boxes.forEach((box) => { draw(box); seen.observe(box); });
night.addEventListener("change", () => boxes.forEach(draw));
addEventListener("beforeprint", () => { printing = true; boxes.forEach(draw); });
addEventListener("afterprint", () => { printing = false; boxes.forEach(draw); });
document.querySelectorAll(".save").forEach((button) => button.addEventListener("click", () => {
  const box = button.closest("figure").querySelector(".plot");
  Plotly.downloadImage(box, { format: "svg", filename: box.dataset.name, width: 900, height: box.clientHeight });
}));
"""
