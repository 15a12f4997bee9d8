"""What every figure shares: colours, markers, and the layout that all begin with."""

from __future__ import annotations

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
