"""What every figure shares: colours, markers, and the layout that all begin with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Figure = dict[str, Any]
Point = tuple[float, float]

INK, SOFT, LINE, GROUND = "var(--ink)", "var(--ink-soft)", "var(--hairline)", "var(--panel)"
ACCENT, ACCENT_SOFT = "var(--accent)", "var(--accent-soft)"
#: Marker shapes by location, so that colour is never the only code.
SHAPES = ("circle", "square", "diamond", "triangle-up", "pentagon", "cross", "x", "triangle-down", "hexagon2", "bowtie")
#: Cividis: readable with every kind of colour blindness, and in grey.
CIVIDIS = [[0, "#00224e"], [0.25, "#434e6c"], [0.5, "#7d7c78"], [0.75, "#bcae6c"], [1, "#fee838"]]


def colour(place: int) -> str:
    """The colour of the location at a place of the seen ones."""
    return f"var(--place-{place % len(SHAPES)})"


def shape(place: int) -> str:
    """The marker of the location at a place of the seen ones."""
    return SHAPES[place % len(SHAPES)]


def layout(**more: Any) -> Figure:
    """The layout that every figure begins with, with further entries of plotly's; the axes are new dicts."""
    axis = {"gridcolor": LINE, "linecolor": LINE, "zerolinecolor": LINE, "tickfont": {"size": 12, "color": SOFT}}
    face = "IBM Plex Sans, sans-serif"
    shared: Figure = {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "xaxis": dict(axis),
        "yaxis": dict(axis),
        "font": {"family": face, "color": INK, "size": 13},
        "autosize": True,
        "hoverlabel": {"bgcolor": GROUND, "bordercolor": LINE, "font": {"family": face, "color": INK, "size": 13}},
        "dragmode": False,
    }
    return shared | more


def axis_title(text: str) -> Figure:
    """An axis title in the page's quiet style."""
    return {"text": text, "font": {"size": 12.5, "color": SOFT}, "standoff": 8}


def trace(name: str, x: Iterable[Any], y: Iterable[Any], **more: Any) -> Figure:
    """A scatter trace (or of another `type`) with further entries of plotly's."""
    return {"type": "scatter", "name": name, "x": list(x), "y": list(y)} | more


def whiskers(
    values: Iterable[float], lows: Iterable[float], highs: Iterable[float], tint: str, *, thickness: float, width: float
) -> Figure:
    """Error bars from each value to the ends of its interval."""
    ends = list(zip(values, lows, highs, strict=True))
    reach = {
        "array": [max(0.0, high - at) for at, _, high in ends],
        "arrayminus": [max(0.0, at - low) for at, low, _ in ends],
    }
    return {"type": "data", "symmetric": False, "color": tint, "thickness": thickness, "width": width} | reach


def legend(tint: str, y: float, **more: Any) -> Figure:
    """A legend in one line above the plot, from the left."""
    return {"orientation": "h", "x": 0, "y": y, "yanchor": "bottom", "font": {"size": 12, "color": tint}} | more


def centred(text: str, size: float) -> Figure:
    """An annotation in the middle of an empty plot."""
    place = {"x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper", "showarrow": False}
    return place | {"text": text, "font": {"color": SOFT, "size": size}}


def border(x: float) -> Figure:
    """A hairline across the plot, between two stages of the network."""
    line = {"type": "line", "layer": "below", "line": {"width": 1, "color": LINE}}
    return line | {"x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper"}


def by_stage(stages: Sequence[str]) -> dict[str, list[int]]:
    """The layers of each stage by their numbers, from 1."""
    return {name: [at for at, own in enumerate(stages, start=1) if own == name] for name in dict.fromkeys(stages)}
