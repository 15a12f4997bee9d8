"""Numbers to the figures of the report: plain dicts that plotly.js draws.

A figure has `data` and `layout` (plotly's), a `title` and a `note` for its caption, a `table` (`head`, `rows`) of its
numbers, and may have `narrow`: what to change in the layout on a narrow screen. Colours are hex values for white
paper; `DARK` says what stands for each on dark ground.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap

from ..plots import CIVIDIS, SHAPES, Figure

X = str | float

#: Location colours, those of the app; marker shapes (`plots.SHAPES`) carry the same meaning.
PLACES = (
    "#332288", "#2b8cbe", "#44aa99", "#117733", "#8a8a1f", "#c9a227", "#cc6677", "#882255", "#aa4499", "#5c5c5c",
)  # fmt: skip
_PLACES_DARK = (
    "#a79cf0", "#6cb8e6", "#5fd0bd", "#5fbf7f", "#c2c25a", "#e8cc66", "#ee93a0", "#d873a6", "#d98ad0", "#bdbdbd",
)  # fmt: skip
INK, SOFT, LINE, PAPER = "#211f1a", "#625d52", "#e4dfd3", "#ffffff"
#: Series of no location: ink first, then others that differ from it in grey too.
NEUTRALS = (INK, "#b3480c", "#8f887a", "#2a7f8e", "#d3a777", "#565149")
#: What stands for a colour on dark ground.
DARK = {
    **dict(zip(PLACES, _PLACES_DARK, strict=True)),
    **dict(zip(NEUTRALS, ("#f1ede3", "#f08c42", "#a39b8b", "#63bccb", "#7d5d3a", "#c8c0b0"), strict=True)),
    SOFT: "#b3ab9b",
    LINE: "#37332b",
    PAPER: "#1f1d19",
}
DASHES = ("dash", "dot", "dashdot", "longdash")
PATTERNS = ("", "", "", "/", "x", ".")
#: Brown to teal through white, for values on both sides of zero.
BOTH_SIDES = [[0, "#8c510a"], [0.25, "#d8b365"], [0.5, "#f5f5f5"], [0.75, "#5ab4ac"], [1, "#01665e"]]
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
HEIGHT = 360
#: Opacity of bands and bars, as the last two digits of a colour.
_BAND, _FAINT_BAND, _BAR = "2e", "16", "a8"
_POINTS_IN_TABLE = 400


@dataclass(frozen=True)
class Series:
    """Numbers that belong together: a line, a cloud or the bars of one colour.

    Attributes:
        name: as the legend shows it.
        x: places on the horizontal axis, numbers or names; empty with one `y`: a line across the whole figure.
        y: values, as many as `x`; None is a gap.
        low: lower ends of the intervals, as many as `y`, or empty.
        high: upper ends of the intervals.
        dashed: a baseline: a dashed line without markers.
        place: number of the location's colour and marker; None: ink, and further neutral colours after it.
    """

    name: str
    x: Sequence[X]
    y: Sequence[float | None]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    dashed: bool = False
    place: int | None = None


def lines(title: str, series: Sequence[Series], *, x: str, y: str, percent: bool = False, note: str = "") -> Figure:
    """Lines with markers; intervals are bands over numbers and bars over names.

    Args:
        title: of the figure, without a full stop.
        series: the lines; a dashed one is a baseline.
        x: title of the horizontal axis, with its unit.
        y: title of the vertical axis, with its unit.
        percent: whether `y` are shares in 0..1 to be shown in percent.
        note: further sentences of the caption.
    """
    across = _all_x(series)
    data = [trace for one, style in _styled(series) for trace in _line(_stretched(one, across), style, percent)]
    return _figure(title, note, data, _layout(x, y, percent=percent), _wide_table(x, series, percent))


def scatter(title: str, series: Sequence[Series], *, x: str, y: str, note: str = "") -> Figure:
    """Clouds of points, one marker shape and colour a series; a dashed series is a line (arguments as `lines`)."""
    across = _all_x(series)
    data = []
    for one, style in _styled(series):
        if one.dashed:
            data += _line(_stretched(one, across), style, percent=False)
        else:
            opacity = 0.85 if len(one.x) <= 60 else 0.6
            marker = _marker(style, 8 if len(one.x) <= 60 else 6) | {"opacity": opacity}
            data.append(_trace(one, "markers", style) | {"marker": marker} | _bars_of_error(one, style.colour))
    layout = _layout(x, y) | {"hovermode": "closest"}
    return _figure(title, note, data, layout, _long_table(series, x, y))


def bars(
    title: str, groups: Sequence[str], series: Sequence[Series], *, y: str, percent: bool = False, note: str = ""
) -> Figure:
    """Bars by group, one colour a series, with their intervals; a dashed series is a tick across each group.

    Args:
        title: of the figure, without a full stop.
        groups: names on the horizontal axis, in order.
        series: bars; their `x` are groups. Groups that a series lacks stay empty.
        y: title of the vertical axis, with its unit.
        percent: whether values are shares in 0..1 to be shown in percent.
        note: further sentences of the caption.
    """
    place_of = {name: place for place, name in enumerate(groups)}
    data = [_bar(one, style, place_of, percent) for one, style in _styled(series) if not one.dashed]
    data += [_ticks(one, style, place_of, percent) for one, style in _styled(series) if one.dashed]
    layout = _layout("", y, percent=percent) | {"barmode": "group", "bargap": 0.28, "bargroupgap": 0.06}
    layout["xaxis"] |= {"tickvals": list(range(len(groups))), "ticktext": list(groups), "showgrid": False}
    layout["xaxis"] |= {"range": [-0.5, len(groups) - 0.5], "zeroline": False}
    layout["yaxis"] |= {"rangemode": "tozero"}
    return _figure(title, note, data, layout, _wide_table("", series, percent, groups))


def heat(
    title: str,
    columns: Sequence[str],
    rows: Sequence[str],
    values: Sequence[Sequence[float | None]],
    *,
    low: float,
    high: float,
    note: str = "",
) -> Figure:
    """A matrix as colours from `low` to `high`, with the numbers in the cells where they fit.

    Args:
        title: of the figure, without a full stop.
        columns: names below.
        rows: names at the left, from the top down.
        values: `[rows][columns]`; None stays empty.
        low: value of the darkest colour; if it is `-high`, colours part at zero.
        high: value of the brightest colour.
        note: further sentences of the caption.
    """
    form = ".2f" if max(abs(low), abs(high)) <= 2 else ".0f"
    fits = len(columns) <= 12
    trace: Figure = {
        "type": "heatmap", "x": list(columns), "y": list(rows), "z": [list(row) for row in values],
        "zmin": low, "zmax": high, "colorscale": BOTH_SIDES if low == -high else CIVIDIS,
        "xgap": 1.5, "ygap": 1.5, "hoverongaps": False,
        "hovertemplate": f"row %{{y}}, column %{{x}}: %{{z:{form}}}<extra></extra>",
        "colorbar": {"thickness": 10, "outlinewidth": 0, "tickfont": {"size": 11, "color": SOFT}, "len": 1, "xpad": 6},
    }  # fmt: skip
    if fits:
        trace |= {"texttemplate": f"%{{z:{form}}}", "textfont": {"size": 10 if len(columns) > 8 else 12}}
    layout = _layout("", "") | {"height": max(240, 34 * len(rows) + 90), "hovermode": "closest"}
    for axis in ("xaxis", "yaxis"):
        layout[axis] |= {"type": "category", "showgrid": False, "showline": False, "ticks": ""}
    layout["yaxis"] |= {"autorange": "reversed"}
    layout["margin"]["b"] = 4
    head = ["", *columns]
    table = [[name, *(_said(value, form) for value in row)] for name, row in zip(rows, values, strict=True)]
    figure = _figure(title, note, [trace], layout, {"head": head, "rows": table})
    return figure | {"narrow": {"xaxis": {"tickangle": -90}, "bare": len(columns) > 8}}


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
    return _figure(title, " ".join(notes), data, layout, _stacked(figures)) | {"narrow": narrow}


def colour(place: int | None) -> str:
    """The colour of the location at a place of the seen ones; ink for None."""
    return INK if place is None else PLACES[place % len(PLACES)]


@dataclass(frozen=True)
class _Style:
    colour: str
    symbol: str
    dash: str
    pattern: str


def _styled(series: Sequence[Series]) -> list[tuple[Series, _Style]]:
    """Each series with its looks; those of no location take the neutral colours in turn."""
    plain = dashed = 0
    pairs = []
    for one in series:
        number = plain if one.place is None else one.place
        tint = NEUTRALS[number % len(NEUTRALS)] if one.place is None else colour(one.place)
        if one.dashed and one.place is None:
            tint = (INK, SOFT)[dashed % 2]
        dash = DASHES[dashed % len(DASHES)] if one.dashed else "solid"
        pattern = PATTERNS[number % len(PATTERNS)] if one.place is None else ""
        pairs.append((one, _Style(tint, SHAPES[number % len(SHAPES)], dash, pattern)))
        plain, dashed = plain + (one.place is None and not one.dashed), dashed + (one.place is None and one.dashed)
    return pairs


def _all_x(series: Sequence[Series]) -> list[X]:
    return list(dict.fromkeys(value for one in series for value in one.x))


def _stretched(one: Series, across: Sequence[X]) -> Series:
    """A baseline of one value, drawn from the first to the last x of the others."""
    if one.x or len(one.y) != 1 or not across:
        return one
    numbers = [value for value in across if not isinstance(value, str)]
    ends: list[X] = [min(numbers), max(numbers)] if len(numbers) == len(across) else [across[0], across[-1]]
    return Series(one.name, ends, list(one.y) * 2, list(one.low) * 2, list(one.high) * 2, one.dashed, one.place)


def _line(one: Series, style: _Style, percent: bool) -> list[Figure]:
    numbers = all(not isinstance(value, str) for value in one.x)
    trace = _trace(one, "lines" if one.dashed else "lines+markers", style, percent=percent)
    trace |= {"line": {"color": style.colour, "width": 1.6 if one.dashed else 2, "dash": style.dash}}
    if not one.dashed:
        trace |= {"marker": _marker(style, 7)}
    if one.low and numbers and len(one.x) > 1:
        return [_band(one, style), trace]
    return [trace | _bars_of_error(one, style.colour)]


def _trace(one: Series, mode: str, style: _Style, *, percent: bool = False) -> Figure:
    number = "%{y:.1%}" if percent else "%{y:.4~g}"
    return {
        "type": "scatter", "mode": mode, "name": one.name, "legendgroup": one.name,
        "x": list(one.x), "y": list(one.y), "marker": {"color": style.colour},
        "hovertemplate": f"%{{x}}: {number}<extra>{_safe(one.name)}</extra>",
    }  # fmt: skip


def _band(one: Series, style: _Style) -> Figure:
    tint = style.colour + (_FAINT_BAND if one.dashed else _BAND)
    return {
        "type": "scatter", "mode": "lines", "name": one.name, "legendgroup": one.name, "showlegend": False,
        "x": [*one.x, *reversed(one.x)], "y": [*one.high, *reversed(one.low)], "fill": "toself", "fillcolor": tint,
        "line": {"width": 0, "color": style.colour}, "hoverinfo": "skip",
    }  # fmt: skip


def _marker(style: _Style, size: int) -> Figure:
    drawn_small = style.symbol in ("triangle-up", "triangle-down", "bowtie")
    line = {"color": PAPER, "width": 0.7}
    return {"color": style.colour, "symbol": style.symbol, "size": size + 3 * drawn_small, "line": line}


def _bars_of_error(one: Series, tint: str) -> Figure:
    if not one.low:
        return {}
    known = [(y, low, high) for y, low, high in zip(one.y, one.low, one.high, strict=True)]
    return {
        "error_y": {
            "type": "data", "symmetric": False, "thickness": 1.2, "width": 3, "color": tint,
            "array": [0 if y is None else max(0.0, high - y) for y, _, high in known],
            "arrayminus": [0 if y is None else max(0.0, y - low) for y, low, _ in known],
        }
    }  # fmt: skip


def _bar(one: Series, style: _Style, place_of: dict[str, int], percent: bool) -> Figure:
    number = "%{y:.1%}" if percent else "%{y:.4~g}"
    marker: Figure = {"color": style.colour + _BAR, "line": {"color": style.colour, "width": 1}}
    if style.pattern:
        marker["pattern"] = {"shape": style.pattern, "fgcolor": PAPER, "size": 5, "solidity": 0.25}
    return {
        "type": "bar", "name": one.name, "legendgroup": one.name, "marker": marker,
        "x": [place_of[str(group)] for group in one.x], "y": list(one.y), "customdata": [str(name) for name in one.x],
        "hovertemplate": f"%{{customdata}}: {number}<extra>{_safe(one.name)}</extra>",
    } | _bars_of_error(one, INK)  # fmt: skip


def _ticks(one: Series, style: _Style, place_of: dict[str, int], percent: bool) -> Figure:
    """A baseline over bars: a dash across each group, or one line across all for a single value."""
    number = "%{y:.1%}" if percent else "%{y:.4~g}"
    pairs = list(zip(one.x, one.y, strict=False))
    x: list[float | None] = [place_of[str(name)] + side for name, _ in pairs for side in (-0.44, 0.44, 0.44)]
    y = [value if corner < 2 else None for _, value in pairs for corner in range(3)]
    names = [str(name) for name, _ in pairs for _ in range(3)]
    if not one.x and len(one.y) == 1:
        x, y, names = [-0.5, len(place_of) - 0.5], list(one.y) * 2, ["all"] * 2
    return {
        "type": "scatter", "mode": "lines", "name": one.name, "legendgroup": one.name, "x": x, "y": y,
        "line": {"color": style.colour, "width": 2, "dash": "dash" if len(x) == 2 else style.dash},
        "customdata": names, "hovertemplate": f"%{{customdata}}: {number}<extra>{_safe(one.name)}</extra>",
    }  # fmt: skip


def _layout(x: str, y: str, *, percent: bool = False) -> Figure:
    axis: Figure = {
        "gridcolor": LINE, "gridwidth": 0.7, "linecolor": SOFT, "linewidth": 1, "showline": True, "zeroline": False,
        "ticks": "outside", "ticklen": 4, "tickcolor": SOFT, "tickfont": {"size": 12, "color": SOFT},
        "automargin": True, "fixedrange": True,
    }  # fmt: skip
    layout: Figure = {
        "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "height": HEIGHT, "autosize": True,
        "font": {"family": FONT, "color": INK, "size": 13}, "margin": {"l": 12, "r": 12, "t": 14, "b": 12},
        "xaxis": axis | {"title": {"text": _safe(x), "standoff": 8, "font": {"size": 13, "color": INK}}},
        "yaxis": axis | {"title": {"text": _safe(y), "standoff": 8, "font": {"size": 13, "color": INK}}},
        "legend": {
            "orientation": "h", "x": 0.5, "xanchor": "center", "y": 0, "yref": "container", "yanchor": "bottom",
            "font": {"size": 12, "color": INK}, "bgcolor": "rgba(0,0,0,0)",
        },
        "hoverlabel": {"bgcolor": PAPER, "bordercolor": SOFT, "font": {"color": INK, "size": 13}}, "dragmode": False,
    }  # fmt: skip
    if percent:
        layout["yaxis"] |= {"tickformat": ".0%"}
    return layout


def _figure(title: str, note: str, data: list[Figure], layout: Figure, table: Figure) -> Figure:
    shown = {trace.get("name") for trace in data if trace["type"] != "heatmap" and trace.get("showlegend", True)}
    return {
        "title": title,
        "note": note,
        "data": data,
        "layout": layout | {"showlegend": len(shown) > 1},
        "table": table,
    }


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
        "text": f"<b>{_safe(title)}</b>", "showarrow": False, "x": 0, "y": 1, "xanchor": "left", "yanchor": "bottom",
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


def _wide_table(x: str, series: Sequence[Series], percent: bool, order: Sequence[str] = ()) -> Figure:
    """One row an x, one column a series; a baseline of one value stands in every row."""
    form = ".1%" if percent else ".4g"
    places = [dict(zip(one.x, one.y, strict=False)) for one in series]
    constant = [one.y[0] if not one.x and len(one.y) == 1 else None for one in series]
    rows = [
        [_said(value, "g"), *(_said(at.get(value, fixed), form) for at, fixed in zip(places, constant, strict=True))]
        for value in (list(order) or _all_x(series))
    ]
    return {"head": [x, *(one.name for one in series)], "rows": rows}


def _long_table(series: Sequence[Series], x: str, y: str) -> Figure:
    """One row a point; none if there are too many to read."""
    rows = [[one.name, _said(a, ".4g"), _said(b, ".4g")] for one in series for a, b in zip(one.x, one.y, strict=False)]
    return {"head": ["series", x, y], "rows": rows if len(rows) <= _POINTS_IN_TABLE else []}


def _stacked(figures: Sequence[Figure]) -> Figure:
    """The parts' tables below each other if their heads agree, else none."""
    heads = {tuple(figure["table"]["head"]) for figure in figures}
    if len(heads) > 1:
        return {"head": [], "rows": []}
    rows = [[figure["title"], *row] for figure in figures for row in figure["table"]["rows"]]
    return {"head": ["part", *figures[0]["table"]["head"]], "rows": rows if len(rows) <= _POINTS_IN_TABLE else []}


def _said(value: X | None, form: str) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else format(value, form).replace("-", "−")


def _safe(text: str) -> str:
    """Text as plotly shows it literally: its labels know some HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
