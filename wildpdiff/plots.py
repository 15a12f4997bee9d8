"""Numbers to plotly figures, nothing else.

A figure is a plain dict that plotly.js draws (`data`, `layout`), with what to change on a narrow screen (`narrow`),
and a `summary` in words and a `table` (`head`, `rows`) for readers who do not see it. Colours are names of CSS
variables, so that one figure fits light and dark pages.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Figure = dict[str, Any]
Point = tuple[float, float]

INK, SOFT, LINE, GROUND = "var(--ink)", "var(--ink-soft)", "var(--hairline)", "var(--panel)"
ACCENT, ACCENT_SOFT = "var(--accent)", "var(--accent-soft)"
#: Marker shapes by location, so that colour is never the only code.
SHAPES = ("circle", "square", "diamond", "triangle-up", "pentagon", "cross", "x", "triangle-down", "hexagon2", "bowtie")
#: Cividis: readable with every kind of colour blindness, and in grey.
CIVIDIS = [[0, "#00224e"], [0.25, "#434e6c"], [0.5, "#7d7c78"], [0.75, "#bcae6c"], [1, "#fee838"]]


@dataclass(frozen=True)
class Measured:
    """An accuracy measured now: share in 0..1, its interval, images named correctly and images; one share a sample."""

    share: float
    low: float
    high: float
    right: int
    count: int
    samples: tuple[float, ...] = ()


@dataclass(frozen=True)
class Column:
    """One location's column; what was not measured is None."""

    location: str
    pretrained: float | None
    fine_tuned: float | None
    own: float | None
    live: Measured | None = None


def colour(place: int) -> str:
    """The colour of the location at a place of the seen ones."""
    return f"var(--place-{place % len(SHAPES)})"


def shape(place: int) -> str:
    """The marker of the location at a place of the seen ones."""
    return SHAPES[place % len(SHAPES)]


def accuracy_bars(columns: Sequence[Column], chosen: Sequence[str], *, live: bool) -> Figure:
    """Accuracy by location: a bar for the generated adapter, ticks for pretrained and fine-tuned.

    Args:
        columns: one a location, in order.
        chosen: the locations to stress.
        live: whether to draw what was measured now (with its interval, and k/n), or what was measured beforehand.
    """
    names = [column.location for column in columns]
    main = _live_bars(columns, names, chosen) if live else _known_bars(columns, names)
    ticks = [
        _ticks(names, [column.pretrained for column in columns], "pretrained", "line-ew", SOFT, 3),
        _ticks(names, [column.fine_tuned for column in columns], "fine-tuned", "diamond-open", INK, 2),
    ]
    layout = _layout(margin={"l": 42, "r": 4, "t": 30, "b": 46}, bargap=0.34)
    layout["yaxis"] |= {
        "range": [0, 1.09],
        "tickvals": [0, 0.25, 0.5, 0.75, 1],
        "tickformat": ".0%",
        "fixedrange": True,
    }
    layout["xaxis"] |= {"showgrid": False, "tickangle": 0, "type": "category", "fixedrange": True}
    layout["xaxis"] |= {"tickvals": names, "ticktext": [_tick(column, chosen, live=live) for column in columns]}
    font = {"size": 12.5, "color": SOFT}
    layout["legend"] = {"orientation": "h", "x": 0, "y": 1.01, "yanchor": "bottom", "font": font}
    named = [_tick(column, chosen, live=False) for column in columns]
    narrow = {"xaxis": {"ticktext": named, "tickfont": {"size": 10, "color": SOFT}}, "markers": {"pretrained": 11}}
    return {"data": [*main, *ticks], "layout": layout, "narrow": narrow} | _bars_in_words(columns, live)


def weight_map(
    locations: Sequence[str],
    points: Sequence[Point],
    index: Sequence[int],
    stars: Sequence[Point],
    trail: Sequence[Point],
    ends: Sequence[str] = (),
) -> Figure:
    """The map of rows: one marker a fine-tuned row, this session's earlier adapters as a trail, the new ones as stars.

    Args:
        locations: names; `index` points into it.
        points: places of the fine-tuned rows `[J, 2]`, and the location `index` `[J]` of each.
        stars: places of the newest adapters.
        trail: places of earlier ones, oldest first.
        ends: the locations to name with stress.
    """
    groups = [
        [point for point, own in zip(points, index, strict=True) if own == place] for place in range(len(locations))
    ]
    data = [_cloud(name, place, groups[place]) for place, name in enumerate(locations)]
    data.append(_trail([*trail, *stars[:1]]))
    data.append(_stars(stars))
    layout = _layout(margin={"l": 8, "r": 8, "t": 8, "b": 8}, hovermode="closest")
    for axis in ("xaxis", "yaxis"):
        layout[axis] |= {"showticklabels": False, "zeroline": False, "ticks": "", "showgrid": False}
    layout["annotations"] = [
        _label(name, groups[place], name in ends) for place, name in enumerate(locations) if groups[place]
    ]
    table = {
        "head": ["location", "rows", "x", "y"],
        "rows": [_middle_row(n, groups[i]) for i, n in enumerate(locations) if groups[i]],
    }
    where = f" The newest adapter lies nearest to {_nearest(stars[0], locations, groups)}." if stars else ""
    summary = f"Map of {len(points)} fine-tuned rows of {len(locations)} locations.{where}"
    return {"data": data, "layout": layout, "summary": summary, "table": table}


def alike_heat(locations: Sequence[str], alike: Sequence[Sequence[float]], generated: Sequence[float] = ()) -> Figure:
    """Cosine of the locations' mean rows with each other `[P][P]`, and of the generated adapter with them `[P]`.

    The colours start at the smallest value, rounded down to a twentieth, because adapters of one start are all alike.
    """
    names = [*locations, "<b>new</b>"]
    row: list[float | None] = list(generated) or [None] * len(locations)
    values = [[*line, row[place]] for place, line in enumerate(alike)] + [[*row, 1.0 if generated else None]]
    present = [value for line in values for value in line if value is not None]
    low = max(-1.0, min(math.floor(min(present) * 20) / 20, 0.95))
    heat = {
        "type": "heatmap",
        "x": names,
        "y": names,
        "z": values,
        "zmin": low,
        "zmax": 1,
        "colorscale": CIVIDIS,
        "xgap": 1.5,
        "ygap": 1.5,
        "hoverongaps": False,
        "hovertemplate": "%{y} with %{x}: %{z:.3f}<extra></extra>",
        "colorbar": {
            "thickness": 8,
            "outlinewidth": 0,
            "tickfont": {"size": 11, "color": SOFT},
            "tickformat": ".2f",
            "nticks": 4,
            "len": 0.9,
            "x": 1.01,
            "xpad": 4,
        },
    }
    layout = _layout(margin={"l": 44, "r": 8, "t": 8, "b": 34})
    for axis in ("xaxis", "yaxis"):
        layout[axis] |= {"showgrid": False, "ticks": "", "type": "category", "fixedrange": True, "tickangle": 0}
    layout["yaxis"] |= {"autorange": "reversed"}
    layout["xaxis"] |= {"tickfont": {"size": 10.5, "color": SOFT}}
    rows = [[name, *(_number(value) for value in line)] for name, line in zip([*locations, "new"], values, strict=True)]
    near = _most_alike(locations, generated)
    return {
        "data": [heat],
        "layout": layout,
        "narrow": {"xaxis": {"tickangle": -90}},
        "summary": f"Cosine similarity of {len(locations)} locations' mean adapters, {low:.2f} to 1.{near}",
        "table": {"head": ["", *locations, "new"], "rows": rows},
    }


def _live_bars(columns: Sequence[Column], names: list[str], chosen: Sequence[str]) -> list[Figure]:
    shown = [(name, column, column.live) for name, column in zip(names, columns, strict=True) if column.live]
    bars = {
        "type": "bar",
        "name": "generated, live",
        "x": names,
        "y": [column.live.share if column.live else None for column in columns],
        "marker": {"color": [ACCENT if column.location in chosen else ACCENT_SOFT for column in columns]},
        "customdata": [f"{column.live.right}/{column.live.count}" if column.live else "" for column in columns],
        "hovertemplate": "%{x}: %{y:.0%} (%{customdata})<extra>generated, live</extra>",
        "error_y": {
            "type": "data",
            "symmetric": False,
            "thickness": 1.2,
            "width": 4,
            "color": INK,
            "array": [column.live.high - column.live.share if column.live else 0 for column in columns],
            "arrayminus": [column.live.share - column.live.low if column.live else 0 for column in columns],
        },
    }
    waiting = {
        "type": "bar",
        "name": "being measured",
        "showlegend": False,
        "hoverinfo": "skip",
        "x": names,
        "y": [0.02 if column.live is None else None for column in columns],
        "marker": {"color": LINE},
    }
    return [bars, waiting, _sample_dots(shown)]


def _sample_dots(shown: Sequence[tuple[str, Column, Measured]]) -> Figure:
    """One dot a sample: the spread over seeds, which the interval does not show."""
    pairs = [(name, share) for name, _, live in shown if len(live.samples) > 1 for share in live.samples]
    marker = {"size": 5, "color": GROUND, "line": {"color": INK, "width": 1}}
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "each sample",
        "showlegend": bool(pairs),
        "marker": marker,
        "x": [name for name, _ in pairs],
        "y": [share for _, share in pairs],
        "hoverinfo": "skip",
    }


def _known_bars(columns: Sequence[Column], names: list[str]) -> list[Figure]:
    marker = {"color": ACCENT_SOFT, "line": {"color": ACCENT, "width": 1}}
    hover = "%{x}: %{y:.0%}<extra>its own generated adapter, precomputed</extra>"
    own = [column.own for column in columns]
    bar = {"type": "bar", "name": "generated for each location, precomputed", "x": names, "y": own, "marker": marker}
    return [bar | {"hovertemplate": hover}]


def _ticks(names: list[str], values: list[float | None], name: str, symbol: str, tint: str, width: int) -> Figure:
    size = 22 if symbol == "line-ew" else 9
    marker = {"symbol": symbol, "size": size, "color": tint, "line": {"color": tint, "width": width}}
    hover = f"%{{x}}: %{{y:.0%}}<extra>{name}, precomputed</extra>"
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": names,
        "y": values,
        "marker": marker,
        "hovertemplate": hover,
    }


def _cloud(name: str, place: int, points: list[Point]) -> Figure:
    marker = {
        "color": colour(place),
        "symbol": shape(place),
        "size": 8,
        "opacity": 0.8,
        "line": {"color": GROUND, "width": 0.5},
    }
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [x for x, _ in points],
        "y": [y for _, y in points],
        "marker": marker,
        "showlegend": False,
        "hovertemplate": f"{name}, fine-tuned<extra></extra>",
    }


def _trail(points: list[Point]) -> Figure:
    marker = {"symbol": "star", "size": 7, "color": ACCENT_SOFT, "line": {"color": ACCENT, "width": 0.8}}
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "this session",
        "x": [x for x, _ in points],
        "y": [y for _, y in points],
        "marker": marker,
        "line": {"color": ACCENT, "width": 1, "dash": "dot"},
        "showlegend": False,
        "hovertemplate": "earlier in this session<extra></extra>",
    }


def _stars(points: Sequence[Point]) -> Figure:
    marker = {"symbol": "star", "size": 19, "color": ACCENT, "line": {"color": GROUND, "width": 1.5}}
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "generated",
        "x": [x for x, _ in points],
        "y": [y for _, y in points],
        "marker": marker,
        "showlegend": False,
        "hovertemplate": "generated (place is approximate)<extra></extra>",
    }


def _label(name: str, points: list[Point], stressed: bool) -> Figure:
    x, _ = _middle(points)
    top = max(y for _, y in points)
    font = {"size": 13 if stressed else 11.5, "color": INK if stressed else SOFT}
    text = f"<b>{name}</b>" if stressed else name
    return {"x": x, "y": top, "text": text, "showarrow": False, "yshift": 13, "font": font}


def _layout(**more: Any) -> Figure:
    axis = {"gridcolor": LINE, "linecolor": LINE, "zerolinecolor": LINE, "tickfont": {"size": 12, "color": SOFT}}
    layout: Figure = {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "xaxis": dict(axis),
        "yaxis": dict(axis),
        "font": {"family": "IBM Plex Sans, sans-serif", "color": INK, "size": 13},
        "autosize": True,
        "barmode": "overlay",
        "hoverlabel": {"bgcolor": GROUND, "bordercolor": LINE, "font": {"color": INK, "size": 13}},
        "dragmode": False,
    }
    return layout | more


def _bars_in_words(columns: Sequence[Column], live: bool) -> Figure:
    head = ["location", "pretrained", "fine-tuned", "generated for it", "this adapter", "right / images"]
    rows = [_bar_row(column) for column in columns]
    if live:
        said = [f"{column.location} {column.live.share:.0%}" for column in columns if column.live]
        summary = "Accuracy of this adapter, live: " + (", ".join(said) or "being measured") + "."
    else:
        said = [f"{column.location} {column.own:.0%}" for column in columns if column.own is not None]
        summary = "Accuracy of each location's own generated adapter, precomputed: " + ", ".join(said) + "."
    return {"summary": summary, "table": {"head": head, "rows": rows}}


def _bar_row(column: Column) -> list[str]:
    known = [_percent(value) for value in (column.pretrained, column.fine_tuned, column.own)]
    now = [_percent(column.live.share), f"{column.live.right}/{column.live.count}"] if column.live else ["", ""]
    return [column.location, *known, *now]


def _tick(column: Column, chosen: Sequence[str], *, live: bool) -> str:
    """A column's name, and below it the images named correctly out of those looked at."""
    name = f"<b>{column.location}</b>" if column.location in chosen else column.location
    if not live:
        return name
    return f"{name}<br>{column.live.right}/{column.live.count}" if column.live else f"{name}<br>…"


def _middle(points: Sequence[Point]) -> Point:
    return sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)


def _middle_row(name: str, points: list[Point]) -> list[str]:
    x, y = _middle(points)
    return [name, str(len(points)), f"{x:.2f}", f"{y:.2f}"]


def _nearest(star: Point, locations: Sequence[str], groups: Sequence[list[Point]]) -> str:
    return min((math.dist(star, _middle(group)), locations[place]) for place, group in enumerate(groups) if group)[1]


def _most_alike(locations: Sequence[str], generated: Sequence[float]) -> str:
    if not generated:
        return ""
    best, name = max(zip(generated, locations, strict=True))
    return f" The generated adapter is most like {name} ({best:.3f})."


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
