"""A series as plotly's traces: a line with its band, a cloud of points, bars, ticks across bars."""

from __future__ import annotations

from . import Figure
from .series import INK, PAPER, Series, Style

#: Opacity of bands and bars, as the last two digits of a colour.
_BAND, _FAINT_BAND, _BAR = "2e", "16", "a8"


def line(one: Series, style: Style, percent: bool) -> list[Figure]:
    """A line with markers, dashed and without them for a baseline; below it the band of its intervals over numbers."""
    numbers = all(not isinstance(value, str) for value in one.x)
    trace = _trace(one, "lines" if one.dashed else "lines+markers", style, percent=percent)
    trace |= {"line": {"color": style.colour, "width": 1.6 if one.dashed else 2, "dash": style.dash}}
    if not one.dashed:
        trace |= {"marker": _marker(style, 7)}
    if one.low and numbers and len(one.x) > 1:
        return [_band(one, style), trace]
    return [trace | _bars_of_error(one, style.colour)]


def cloud(one: Series, style: Style) -> Figure:
    """Points; many are smaller and let others shine through."""
    opacity = 0.85 if len(one.x) <= 60 else 0.6
    marker = _marker(style, 8 if len(one.x) <= 60 else 6) | {"opacity": opacity}
    return _trace(one, "markers", style) | {"marker": marker} | _bars_of_error(one, style.colour)


def bar(one: Series, style: Style, place_of: dict[str, int], percent: bool) -> Figure:
    """One bar a group, at its place on the axis, with its interval."""
    number = "%{y:.1%}" if percent else "%{y:.4~g}"
    marker: Figure = {"color": style.colour + _BAR, "line": {"color": style.colour, "width": 1}}
    if style.pattern:
        marker["pattern"] = {"shape": style.pattern, "fgcolor": PAPER, "size": 5, "solidity": 0.25}
    return {
        "type": "bar", "name": one.name, "legendgroup": one.name, "marker": marker,
        "x": [place_of[str(group)] for group in one.x], "y": list(one.y), "customdata": [str(name) for name in one.x],
        "hovertemplate": f"%{{customdata}}: {number}<extra>{safe(one.name)}</extra>",
    } | _bars_of_error(one, INK)  # fmt: skip


def ticks(one: Series, style: Style, place_of: dict[str, int], percent: bool) -> Figure:
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
        "customdata": names, "hovertemplate": f"%{{customdata}}: {number}<extra>{safe(one.name)}</extra>",
    }  # fmt: skip


def safe(text: str) -> str:
    """Text as plotly shows it literally: its labels know some HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _trace(one: Series, mode: str, style: Style, *, percent: bool = False) -> Figure:
    number = "%{y:.1%}" if percent else "%{y:.4~g}"
    return {
        "type": "scatter", "mode": mode, "name": one.name, "legendgroup": one.name,
        "x": list(one.x), "y": list(one.y), "marker": {"color": style.colour},
        "hovertemplate": f"%{{x}}: {number}<extra>{safe(one.name)}</extra>",
    }  # fmt: skip


def _band(one: Series, style: Style) -> Figure:
    tint = style.colour + (_FAINT_BAND if one.dashed else _BAND)
    return {
        "type": "scatter", "mode": "lines", "name": one.name, "legendgroup": one.name, "showlegend": False,
        "x": [*one.x, *reversed(one.x)], "y": [*one.high, *reversed(one.low)], "fill": "toself", "fillcolor": tint,
        "line": {"width": 0, "color": style.colour}, "hoverinfo": "skip",
    }  # fmt: skip


def _marker(style: Style, size: int) -> Figure:
    drawn_small = style.symbol in ("triangle-up", "triangle-down", "bowtie")
    rim = {"color": PAPER, "width": 0.7}
    return {"color": style.colour, "symbol": style.symbol, "size": size + 3 * drawn_small, "line": rim}


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
