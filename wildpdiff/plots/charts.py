"""Numbers to the figures of the report: plain dicts that plotly.js draws. `chart_grid` joins several in one.

A figure has `data` and `layout` (plotly's), a `title` and a `note` for its caption, a `table` (`head`, `rows`) of its
numbers, and may have `narrow`: what to change in the layout on a narrow screen. Colours are hex values for white
paper (see `chart_series`).
"""

from __future__ import annotations

from collections.abc import Sequence

from . import CIVIDIS, Figure
from .series import INK, LINE, PAPER, SOFT, Series, X, all_x, stretched, styled
from .traces import bar, cloud, line, safe, ticks

#: Brown to teal through white, for values on both sides of zero.
BOTH_SIDES = [[0, "#8c510a"], [0.25, "#d8b365"], [0.5, "#f5f5f5"], [0.75, "#5ab4ac"], [1, "#01665e"]]
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
HEIGHT = 360
#: Rows of a table of points that somebody might still read.
POINTS_IN_TABLE = 400


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
    across = all_x(series)
    data = [trace for one, style in styled(series) for trace in line(stretched(one, across), style, percent)]
    return figure_of(title, note, data, _layout(x, y, percent=percent), _wide_table(x, series, percent))


def scatter(title: str, series: Sequence[Series], *, x: str, y: str, note: str = "") -> Figure:
    """Clouds of points, one marker shape and colour a series; a dashed series is a line (arguments as `lines`)."""
    across = all_x(series)
    data = []
    for one, style in styled(series):
        if one.dashed:
            data += line(stretched(one, across), style, percent=False)
        else:
            data.append(cloud(one, style))
    layout = _layout(x, y) | {"hovermode": "closest"}
    return figure_of(title, note, data, layout, _long_table(series, x, y))


def bars(title: str, groups: Sequence[str], series: Sequence[Series], *, y: str, percent: bool = False) -> Figure:
    """Bars by group, one colour a series, with their intervals; a dashed series is a tick across each group.

    Args:
        title: of the figure, without a full stop.
        groups: names on the horizontal axis, in order.
        series: bars; their `x` are groups. Groups that a series lacks stay empty.
        y: title of the vertical axis, with its unit.
        percent: whether values are shares in 0..1 to be shown in percent.
    """
    place_of = {name: place for place, name in enumerate(groups)}
    data = [bar(one, style, place_of, percent) for one, style in styled(series) if not one.dashed]
    data += [ticks(one, style, place_of, percent) for one, style in styled(series) if one.dashed]
    layout = _layout("", y, percent=percent) | {"barmode": "group", "bargap": 0.28, "bargroupgap": 0.06}
    layout["xaxis"] |= {"tickvals": list(range(len(groups))), "ticktext": list(groups), "showgrid": False}
    layout["xaxis"] |= {"range": [-0.5, len(groups) - 0.5], "zeroline": False}
    layout["yaxis"] |= {"rangemode": "tozero"}
    return figure_of(title, "", data, layout, _wide_table("", series, percent, groups))


def heat(
    title: str,
    columns: Sequence[str],
    rows: Sequence[str],
    values: Sequence[Sequence[float | None]],
    *,
    low: float,
    high: float,
) -> Figure:
    """A matrix as colours from `low` to `high`, with the numbers in the cells where they fit.

    Args:
        title: of the figure, without a full stop.
        columns: names below.
        rows: names at the left, from the top down.
        values: `[rows][columns]`; None stays empty.
        low: value of the darkest colour; if it is `-high`, colours part at zero.
        high: value of the brightest colour.
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
    table = [[name, *(_text(value, form) for value in row)] for name, row in zip(rows, values, strict=True)]
    figure = figure_of(title, "", [trace], layout, {"head": head, "rows": table})
    return figure | {"narrow": {"xaxis": {"tickangle": -90}, "bare": len(columns) > 8}}


def _layout(x: str, y: str, *, percent: bool = False) -> Figure:
    axis: Figure = {
        "gridcolor": LINE, "gridwidth": 0.7, "linecolor": SOFT, "linewidth": 1, "showline": True, "zeroline": False,
        "ticks": "outside", "ticklen": 4, "tickcolor": SOFT, "tickfont": {"size": 12, "color": SOFT},
        "automargin": True, "fixedrange": True,
    }  # fmt: skip
    layout: Figure = {
        "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "height": HEIGHT, "autosize": True,
        "font": {"family": FONT, "color": INK, "size": 13}, "margin": {"l": 12, "r": 12, "t": 14, "b": 12},
        "xaxis": axis | {"title": {"text": safe(x), "standoff": 8, "font": {"size": 13, "color": INK}}},
        "yaxis": axis | {"title": {"text": safe(y), "standoff": 8, "font": {"size": 13, "color": INK}}},
        "legend": {
            "orientation": "h", "x": 0.5, "xanchor": "center", "y": 0, "yref": "container", "yanchor": "bottom",
            "font": {"size": 12, "color": INK}, "bgcolor": "rgba(0,0,0,0)",
        },
        "hoverlabel": {"bgcolor": PAPER, "bordercolor": SOFT, "font": {"color": INK, "size": 13}}, "dragmode": False,
    }  # fmt: skip
    if percent:
        layout["yaxis"] |= {"tickformat": ".0%"}
    return layout


def figure_of(title: str, note: str, data: list[Figure], layout: Figure, table: Figure) -> Figure:
    """The parts of a figure as one; a legend is shown if there is more than one name."""
    shown = {trace.get("name") for trace in data if trace["type"] != "heatmap" and trace.get("showlegend", True)}
    return {
        "title": title,
        "note": note,
        "data": data,
        "layout": layout | {"showlegend": len(shown) > 1},
        "table": table,
    }


def _wide_table(x: str, series: Sequence[Series], percent: bool, order: Sequence[str] = ()) -> Figure:
    """One row an x, one column a series; a baseline of one value is repeated in every row."""
    form = ".1%" if percent else ".4g"
    places = [dict(zip(one.x, one.y, strict=False)) for one in series]
    constant = [one.y[0] if not one.x and len(one.y) == 1 else None for one in series]
    rows = [
        [_text(value, "g"), *(_text(at.get(value, fixed), form) for at, fixed in zip(places, constant, strict=True))]
        for value in (list(order) or all_x(series))
    ]
    return {"head": [x, *(one.name for one in series)], "rows": rows}


def _long_table(series: Sequence[Series], x: str, y: str) -> Figure:
    """One row a point; none if there are too many to read."""
    rows = [[one.name, _text(a, ".4g"), _text(b, ".4g")] for one in series for a, b in zip(one.x, one.y, strict=False)]
    return {"head": ["series", x, y], "rows": rows if len(rows) <= POINTS_IN_TABLE else []}


def _text(value: X | None, form: str) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else format(value, form).replace("-", "−")
