"""Similarity of adapters: the heat map of locations, and cosines by layer."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .common import ACCENT, CIVIDIS, INK, LINE, SOFT, Figure, axis_title, border, by_stage, layout, legend, trace

NEW = "new"
"""What the generated adapter's row and column are called."""
VALUES = "values"
#: Letters of a name that stand side by side; longer ones are turned.
_LEVEL = 5


def similarity_heat(
    locations: Sequence[str],
    alike: Sequence[Sequence[float]],
    generated: Sequence[float] = (),
    *,
    what: str = "factors, whole adapter",
) -> Figure:
    """Cosine of the locations' mean rows with each other `[P][P]`, and of the generated adapter with them `[P]`.

    The colours start at the smallest value, rounded down to a twentieth, because adapters of one start are all alike.

    Args:
        locations: names of the P seen locations.
        alike: cosines between them.
        generated: cosines of the generated adapter with each; empty if there is none.
        what: what was compared, in words.
    """
    row: list[float | None] = list(generated) or [None] * len(locations)
    lines = [[*line, row[place]] for place, line in enumerate(alike)] + [[*row, 1.0 if generated else None]]
    values = [[None if value is None else round(value, 4) for value in line] for line in lines]
    least = min(value for line in values for value in line if value is not None)
    low = max(-1.0, min(math.floor(least * 20) / 20, 0.95))
    names = [*locations, f"<b>{NEW}</b>"]
    shown = _square([*locations, NEW])
    near = _most_similar(locations, generated)
    named = zip([*locations, NEW], values, strict=True)
    rows = [[name, *("" if value is None else f"{value:.3f}" for value in line)] for name, line in named]
    return {
        "data": [_heat(names, values, low), _numbers_in_cells(names, values, low)],
        "layout": shown,
        "narrow": {"xaxis": {"tickangle": -90}, "hidden": [VALUES]},
        "summary": f"Cosine similarity of {len(locations)} locations' mean adapters ({what}), {low:.2f} to 1.{near}",
        "table": {"head": [what, *locations, NEW], "rows": rows},
        "pick": "xy",
    }


def by_layer(
    layers: Sequence[str], stages: Sequence[str], factors: Sequence[float], products: Sequence[float], chosen: int = -1
) -> Figure:
    """Mean cosine between different locations in each adapted convolution: of the factors, and of their products.

    Args:
        layers: readable names, from the stem up.
        stages: the stage of each, which the axis names.
        factors: mean cosines of the factors, one a layer.
        products: mean cosines of the products BA.
        chosen: the layer that the heat map shows; -1 for none.
    """
    depth = list(range(1, len(layers) + 1))
    data = [
        _depth_line("factors", depth, factors, layers, INK, "circle", "solid"),
        _depth_line("products BA", depth, products, layers, ACCENT, "diamond", "6px,3px"),
    ]
    parts = by_stage(stages)
    shown = _deep(parts, len(layers), min([0.0, *factors, *products]), max([0.1, *factors, *products]))
    shown["shapes"] = [border(min(own) - 0.5) for own in list(parts.values())[1:]]
    shown["shapes"] += [_stripe(chosen + 1)] if chosen >= 0 else []
    short = ["", *(name.split()[-1] for name in list(parts)[1:])]
    rows = [[name, f"{f:.3f}", f"{p:.3f}"] for name, f, p in zip(layers, factors, products, strict=True)]
    means = [f"{sum(values) / max(1, len(values)):.2f}" for values in (factors, products)]
    said = f"Mean cosine between different locations over {len(layers)} adapted layers"
    return {
        "data": data,
        "layout": shown,
        "narrow": {"xaxis": {"ticktext": short, "title": axis_title("stage")}},
        "summary": f"{said}: factors {means[0]}, products {means[1]} on average.",
        "table": {"head": ["layer", "factors", "products BA"], "rows": rows},
    }


def _deep(parts: dict[str, list[int]], count: int, low: float, high: float) -> Figure:
    """The layout over depth; the axis names the parts of the network in their middles."""
    shown = layout(margin={"l": 50, "r": 8, "t": 26, "b": 34}, hovermode="closest")
    shown["xaxis"] |= {"tickvals": [sum(own) / len(own) for own in parts.values()], "ticktext": list(parts)}
    shown["xaxis"] |= {"fixedrange": True, "range": [0.4, count + 0.6], "tickangle": 0, "zeroline": False}
    shown["xaxis"] |= {"showgrid": False}
    shown["yaxis"] |= {"fixedrange": True, "nticks": 5, "range": [low - 0.04, min(1.02, high * 1.1)]}
    shown["yaxis"] |= {"title": axis_title("mean cosine"), "tickformat": ".2~f"}
    shown["legend"] = legend(SOFT, 1.0)
    return shown


def _heat(names: list[str], values: list[list[float | None]], low: float) -> Figure:
    ticks = {"tickfont": {"size": 11, "color": SOFT}, "tickformat": ".2f", "nticks": 4}
    bar = {"thickness": 8, "outlinewidth": 0, "len": 0.9, "x": 1.01, "xpad": 4} | ticks
    looks = {
        "colorscale": CIVIDIS,
        "colorbar": bar,
        "zmin": low,
        "zmax": 1,
        "xgap": 1.5,
        "ygap": 1.5,
        "hoverongaps": False,
    }
    hover = "%{y} with %{x}: %{z:.3f}<extra></extra>"
    return {"type": "heatmap", "x": names, "y": names, "z": values, "hovertemplate": hover} | looks


def _numbers_in_cells(names: list[str], values: list[list[float | None]], low: float) -> Figure:
    """Each value in its cell, white on the dark half of the colours and dark on the light one."""
    cells = [(x, y, z) for y, line in zip(names, values, strict=True) for x, z in zip(names, line, strict=True)]
    shown = [(x, y, z) for x, y, z in cells if z is not None]
    tints = ["#ffffff" if (z - low) / (1 - low) < 0.5 else "#1c1a15" for _, _, z in shown]
    texts, font = [f"{z:.2f}" for _, _, z in shown], {"size": 10, "color": tints}
    xs, ys = [x for x, _, _ in shown], [y for _, y, _ in shown]
    return trace(VALUES, xs, ys, mode="text", text=texts, textfont=font, hoverinfo="skip", showlegend=False)


def _square(names: Sequence[str]) -> Figure:
    longest = max(map(len, names), default=0)
    turned = -45 if longest > _LEVEL else 0
    shown = layout(margin={"l": max(44, 7 * longest + 8), "r": 8, "t": 8, "b": 34 if not turned else 12 + 5 * longest})
    for axis in ("xaxis", "yaxis"):
        shown[axis] |= {"showgrid": False, "ticks": "", "type": "category", "fixedrange": True, "tickangle": 0}
    shown["xaxis"]["tickangle"] = turned
    shown["yaxis"] |= {"autorange": "reversed"}
    shown["xaxis"] |= {"tickfont": {"size": 10.5, "color": SOFT}}
    return shown


def _depth_line(
    name: str, depth: list[int], values: Sequence[float], layers: Sequence[str], tint: str, symbol: str, dash: str
) -> Figure:
    hover = f"%{{text}}: %{{y:.3f}}<extra>{name}</extra>"
    looks: Figure = {
        "line": {"color": tint, "width": 1.6, "dash": dash},
        "marker": {"color": tint, "symbol": symbol, "size": 6},
    }
    shares = [round(value, 4) for value in values]
    return trace(name, depth, shares, mode="lines+markers", text=list(layers), hovertemplate=hover, **looks)


def _stripe(depth: int) -> Figure:
    """A light band behind the chosen layer."""
    place: Figure = {"x0": depth - 0.5, "x1": depth + 0.5, "y0": 0, "y1": 1, "yref": "paper"}
    return {"type": "rect", "layer": "below", "line": {"width": 0}, "fillcolor": LINE} | place


def _most_similar(locations: Sequence[str], generated: Sequence[float]) -> str:
    if not generated:
        return ""
    best, name = max(zip(generated, locations, strict=True))
    return f" The generated adapter is most like {name} ({best:.3f})."
