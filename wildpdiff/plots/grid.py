"""Small multiples: several charts in one figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from textwrap import wrap

from . import Figure
from .charts import POINTS_IN_TABLE, figure_of
from .series import INK
from .traces import safe


def grid(title: str, figures: Sequence[Figure], *, note: str = "") -> Figure:
    """Small multiples in one figure: each part keeps its axes and carries its title above; one legend serves all.

    Args:
        title: of the whole.
        figures: parts as `lines`, `scatter`, `bars` or `heat` make them.
        note: further sentences of the caption; the parts' own notes follow it.

    Raises:
        ValueError: if there are no parts.
    """
    if not figures:
        raise ValueError("a grid needs at least one figure")
    columns = 2 if len(figures) in (2, 4) else min(3, len(figures))
    data: list[Figure] = []
    layout: Figure = {key: value for key, value in figures[0]["layout"].items() if key not in ("xaxis", "yaxis")}
    known: set[str] = set()
    for place, figure in enumerate(figures):
        data += _placed(figure, place, known)
        layout[_axis("xaxis", place)] = figure["layout"]["xaxis"] | {"anchor": _axis("y", place)}
        layout[_axis("yaxis", place)] = figure["layout"]["yaxis"] | {"anchor": _axis("x", place)}
    layout["annotations"] = [_heading(figure["title"], place) for place, figure in enumerate(figures)]
    layout["margin"] = {"l": 12, "r": 12, "t": 34, "b": 12}
    notes = dict.fromkeys(text for text in (note, *(figure["note"] for figure in figures)) if text)
    narrow = _cells(figures, 1)
    _change(layout, _cells(figures, columns))
    return figure_of(title, " ".join(notes), data, layout, _stacked(figures)) | {"narrow": narrow}


def _placed(figure: Figure, place: int, known: set[str]) -> list[Figure]:
    """A part's traces on its own axes; a name that the legend has is not shown again."""
    data = []
    for trace in figure["data"]:
        moved = trace | {"xaxis": _axis("x", place), "yaxis": _axis("y", place)}
        if trace["type"] == "heatmap":
            moved["showscale"] = place == 0
            if len(trace["x"]) > 5:
                moved.pop("texttemplate", None)
        elif trace.get("showlegend", True):
            moved["showlegend"] = trace["name"] not in known
            known.add(trace["name"])
        data.append(moved)
    return data


def _axis(name: str, place: int) -> str:
    return name if place == 0 else f"{name}{place + 1}"


def _heading(title: str, place: int) -> Figure:
    return {
        "text": f"<b>{safe(title)}</b>", "showarrow": False, "x": 0, "y": 1, "xanchor": "left", "yanchor": "bottom",
        "xref": f"{_axis('x', place)} domain", "yref": f"{_axis('y', place)} domain", "yshift": 4,
        "font": {"size": 12.5, "color": INK},
    }  # fmt: skip


def _cells(figures: Sequence[Figure], columns: int) -> Figure:
    """Where each part's axes lie in a grid of so many columns, how they are titled, and its height in pixels.

    A vertical title that all parts share stands at the left only.
    """
    rows = math.ceil(len(figures) / columns)
    height = 240 * rows + 90
    vertical = {figure["layout"]["yaxis"]["title"]["text"] for figure in figures}
    aside, above = (0.1 if columns > 1 else 0.0), 100 / height
    wide, tall = (1 - aside * (columns - 1)) / columns, (1 - above * (rows - 1)) / rows
    cells: Figure = {"height": height}
    for place, figure in enumerate(figures):
        row, column = divmod(place, columns)
        left, top = column * (wide + aside), 1 - row * (tall + above)
        across, up = (figure["layout"][axis]["title"] for axis in ("xaxis", "yaxis"))
        up = up | {"text": "" if column and len(vertical) == 1 else up["text"]}
        across = across | {"text": "<br>".join(wrap(across["text"], 26 if columns > 2 else 44))}
        cells[_axis("xaxis", place)] = {"domain": [left, left + wide], "title": across}
        cells[_axis("yaxis", place)] = {"domain": [max(0.0, top - tall), top], "title": up}
    return cells


def _change(layout: Figure, cells: Figure) -> None:
    for name, change in cells.items():
        layout[name] = layout[name] | change if isinstance(change, dict) else change


def _stacked(figures: Sequence[Figure]) -> Figure:
    """The parts' tables below each other if their heads agree, else none."""
    heads = {tuple(figure["table"]["head"]) for figure in figures}
    if len(heads) > 1:
        return {"head": [], "rows": []}
    rows = [[figure["title"], *row] for figure in figures for row in figure["table"]["rows"]]
    return {"head": ["part", *figures[0]["table"]["head"]], "rows": rows if len(rows) <= POINTS_IN_TABLE else []}
