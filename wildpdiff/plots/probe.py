"""Figures of a sweep: accuracy at the weaker location along the blend, and novelty against diversity by cell."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .common import ACCENT, GROUND, INK, SOFT, Figure, axis_title, centred, layout, legend, trace, whiskers

REGIMES = {"L": "Low", "M": "Medium", "H": "High"}
WAYS = {"ours": "ours", "paper": "paper's"}
_COLOURS = {"H": ACCENT, "M": INK, "L": SOFT}
_MARKERS = {"H": "circle", "M": "square", "L": "triangle-up"}
#: What is smaller is drawn here: a logarithmic axis has no zero.
FLOOR = 1e-6


@dataclass(frozen=True)
class Stop:
    """Accuracy 0..1 at one blend weight, with its 95% interval; the mean over `pairs`."""

    weight: float
    mean: float
    low: float
    high: float
    pairs: int


@dataclass(frozen=True)
class Curve:
    """The stops of one regime and method, by weight."""

    regime: str
    way: str
    stops: Sequence[Stop]


@dataclass(frozen=True)
class Dot:
    """One cell of several seeds: 1 - the largest cosine with a checkpoint (mean), 1 - the mean cosine among seeds."""

    regime: str
    way: str
    cell: str
    novelty: float
    diversity: float


def regime_name(regime: str) -> str:
    """The paper's regimes of similarity in a word, any other by its name."""
    return REGIMES.get(regime, regime)


def named(regime: str, way: str) -> str:
    """The legend's name of a regime and method."""
    return f"{regime_name(regime)} similarity, {WAYS.get(way, way)}"


def weaker_curves(curves: Sequence[Curve], *, stage: str = "yes") -> Figure:
    """Accuracy at the weaker location of each pair along the blend, one line a regime and method.

    Lines stand a little beside each other so that their whiskers can be told apart; the axes are always the same.
    """
    middle = (len(curves) - 1) / 2
    data = [_curve(curve, 0.009 * (place - middle)) for place, curve in enumerate(curves)]
    shown = layout(
        hovermode="closest", showlegend=True, legend=legend(INK, 1.02), margin={"l": 8, "r": 14, "t": 30, "b": 8}
    )
    shown["xaxis"] |= {"range": [-0.05, 1.05], "tickvals": [0, 0.25, 0.5, 0.75, 1], "zeroline": False}
    shown["xaxis"] |= {"title": axis_title("blend weight: 0 is A, 1 is B"), "fixedrange": True, "automargin": True}
    shown["yaxis"] |= {"range": [0, 1.03], "tickformat": ".0%", "zeroline": False, "fixedrange": True}
    shown["yaxis"] |= {"title": axis_title("accuracy at the weaker location"), "automargin": True}
    rows = [[named(curve.regime, curve.way), *_texts(stop)] for curve in curves for stop in curve.stops]
    ends = "; ".join(_summary(curve) for curve in curves) or "nothing yet"
    head = ["similarity, blending", "weight", "weaker location", "95% interval", "pairs"]
    return {
        "data": data,
        "layout": shown,
        "narrow": {"xaxis": {"title": axis_title("blend weight")}},
        "summary": f"Accuracy at the weaker location along the blend: {ends}.",
        "table": {"head": head, "rows": rows},
        "stage": stage,
    }


def novelty_dots(dots: Sequence[Dot], *, stage: str = "yes") -> Figure:
    """Novelty against diversity, one marker a cell; without a cell of several seeds a note instead."""
    groups = dict.fromkeys((dot.regime, dot.way) for dot in dots)
    data = [_dots(group, [dot for dot in dots if (dot.regime, dot.way) == group]) for group in groups]
    shown = layout(
        hovermode="closest", showlegend=True, legend=legend(INK, 1.02), margin={"l": 8, "r": 14, "t": 30, "b": 8}
    )
    for axis, text, values in (
        ("xaxis", "novelty: 1 \u2212 largest cosine with a checkpoint", [dot.novelty for dot in dots]),
        ("yaxis", "diversity: 1 \u2212 mean cosine among seeds", [dot.diversity for dot in dots]),
    ):
        shown[axis] |= _log(values) | {"title": axis_title(text), "automargin": True, "fixedrange": True}
    if not dots:
        shown["annotations"] = [centred("Diversity needs at least two adapters of each combination.", 13)]
    told = f"{len(dots)} cells" if dots else "no cell has two adapters yet"
    rows = [[dot.cell, named(dot.regime, dot.way), f"{dot.novelty:.4g}", f"{dot.diversity:.3g}"] for dot in dots]
    return {
        "data": data,
        "layout": shown,
        "narrow": {"yaxis": {"title": axis_title("diversity")}, "xaxis": {"title": axis_title("novelty")}},
        "summary": f"Novelty against diversity of generated adapters: {told}.",
        "table": {"head": ["cell", "similarity, blending", "novelty", "diversity"], "rows": rows},
        "stage": stage,
    }


def _curve(curve: Curve, aside: float) -> Figure:
    colour, stops = _COLOURS.get(curve.regime, INK), curve.stops
    means = [stop.mean for stop in stops]
    dash = "solid" if curve.way == "ours" else "5px,4px"
    return trace(
        named(curve.regime, curve.way),
        [stop.weight + aside for stop in stops],
        means,
        mode="lines+markers",
        line={"color": colour, "width": 2.2, "dash": dash},
        marker=_marker(curve.regime, curve.way),
        error_y=whiskers(
            means, [stop.low for stop in stops], [stop.high for stop in stops], colour, thickness=1.2, width=3
        ),
        customdata=[" \u00b7 ".join(_texts(stop)[:3]) for stop in stops],
        hovertemplate="weight %{customdata}<extra>%{fullData.name}</extra>",
    )


def _dots(group: tuple[str, str], dots: Sequence[Dot]) -> Figure:
    return trace(
        named(*group),
        [max(FLOOR, dot.novelty) for dot in dots],
        [max(FLOOR, dot.diversity) for dot in dots],
        mode="markers",
        marker=_marker(*group) | {"size": 10},
        customdata=[f"{dot.cell}: {dot.novelty:.4g}, {dot.diversity:.3g}" for dot in dots],
        hovertemplate="%{customdata}<extra>%{fullData.name}</extra>",
    )


def _marker(regime: str, way: str) -> Figure:
    colour = _COLOURS.get(regime, INK)
    fill = colour if way == "ours" else GROUND
    return {"symbol": _MARKERS.get(regime, "circle"), "size": 9, "color": fill, "line": {"color": colour, "width": 2}}


def _log(values: Iterable[float]) -> Figure:
    """A logarithmic axis over some values, whole decades of it."""
    held = [math.log10(max(FLOOR, value)) for value in values] or [-4.0, -1.0]
    low, high = math.floor(min(held) - 0.1), math.ceil(max(held) + 0.1)
    ticks = list(range(low, high + 1))
    names = [f"{10.0**power:g}" if power > -4 else f"10<sup>\u2212{-power}</sup>" for power in ticks]
    return {"type": "log", "range": [low, high], "tickvals": [10.0**power for power in ticks], "ticktext": names}


def _texts(stop: Stop) -> list[str]:
    return [f"{stop.weight:g}", f"{stop.mean:.1%}", f"{stop.low:.1%} to {stop.high:.1%}", str(stop.pairs)]


def _summary(curve: Curve) -> str:
    shares = ", ".join(f"{stop.mean:.0%} at {stop.weight:g}" for stop in curve.stops)
    return f"{named(curve.regime, curve.way)}: {shares}"
