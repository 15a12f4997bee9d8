"""Figures of a trial: accuracy of several adapters on the same photographs, and their differences.

Both figures list the adapters from top to bottom in the same rows, so that they can stand side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .common import ACCENT, INK, LINE, SOFT, Figure, axis_title, layout, trace, whiskers

#: The trace with the numbers beside the marks; where there is no room for it, they stand below the rows' names.
VALUES = "values"
#: Bars of adapters that the first one is compared with.
OTHER = "rgba(134, 126, 112, 0.45)"


@dataclass(frozen=True)
class Share:
    """One adapter: photographs named correctly of those shown to it, and the 95% interval of the share in 0..1."""

    name: str
    right: int
    count: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The share in 0..1; 0 before the first photograph."""
        return self.right / self.count if self.count else 0.0

    @property
    def text(self) -> str:
        """Percent and k/n."""
        return f"{self.value:.0%} ({self.right}/{self.count})" if self.count else "not yet measured"


@dataclass(frozen=True)
class Gap:
    """The first adapter minus another: mean and 95% interval in percentage points; `real` if it excludes zero."""

    name: str
    mean: float
    low: float
    high: float
    real: bool

    @property
    def text(self) -> str:
        """Points with the interval, with true minus signs."""
        if self.low == self.high == 0:
            return "0.0 (right on the same ones)"
        return f"{_signed(self.mean)} ({_signed(self.low)} to {_signed(self.high)})"


def share_bars(shares: Sequence[Share], *, stage: str = "yes") -> Figure:
    """Accuracy of each adapter with its Wilson interval; the first one is stressed."""
    names = [share.name for share in shares]
    bars: Figure = {
        "type": "bar",
        "orientation": "h",
        "y": names,
        "x": [share.value for share in shares],
        "marker": {"color": [ACCENT, *[OTHER] * (len(shares) - 1)]},
        "customdata": [share.text for share in shares],
        "hovertemplate": "%{y}: %{customdata}<extra></extra>",
        "error_x": _whiskers([(share.value, share.low, share.high) for share in shares if share.count]),
    }
    ends = [(share.name, share.high if share.count else 0.0, share.text if share.count else "") for share in shares]
    shown = _rows(names) | {"margin": {"l": 8, "r": 8, "t": 6, "b": 44}, "bargap": 0.42}
    ticks = {"tickvals": [0, 0.25, 0.5, 0.75, 1], "tickformat": ".0%", "range": [0, 1.42]}
    shown["xaxis"] |= ticks | {"title": axis_title("photographs named correctly"), "fixedrange": True}
    rows = [[share.name, share.text, f"{share.low:.1%} to {share.high:.1%}" if share.count else ""] for share in shares]
    table = {"head": ["adapter", "named correctly", "95% interval"], "rows": rows}
    summary = "Accuracy on the same photographs: " + "; ".join(f"{share.name} {share.text}" for share in shares) + "."
    below = [f"{share.name}<br>{share.text}" for share in shares]
    narrow = {
        "yaxis": {"tickvals": names, "ticktext": below},
        "xaxis": {"range": [0, 1.03], "tickvals": [0, 0.5, 1]},
        "hidden": [VALUES],
    }
    return _figure([bars, _texts(ends)], shown, summary, table, stage, narrow)


def gap_dots(first: str, gaps: Sequence[Gap], *, stage: str = "yes") -> Figure:
    """The first adapter's accuracy minus each other's, in points, with intervals around a line at zero.

    A filled dot is a difference; an open one is none that these photographs show.
    """
    names = [f"minus {gap.name}" for gap in gaps]
    reach = max([10.0, *(abs(end) for gap in gaps for end in (gap.low, gap.high))]) * 1.12
    dots: Figure = {
        "type": "scatter",
        "mode": "markers",
        "y": names,
        "x": [gap.mean for gap in gaps],
        "marker": {
            "size": 11,
            "symbol": ["circle" if gap.real else "circle-open" for gap in gaps],
            "color": [ACCENT if gap.real else SOFT for gap in gaps],
            "line": {"width": 2},
        },
        "customdata": [gap.text for gap in gaps],
        "hovertemplate": "%{y}: %{customdata} points<extra></extra>",
        "error_x": _whiskers([(gap.mean, gap.low, gap.high) for gap in gaps]),
    }
    ends = [(name, max(gap.high, 0.0) + 0.02 * reach, gap.text) for name, gap in zip(names, gaps, strict=True)]
    ends.insert(0, (first, 0.0, "compared with each below"))
    shown = _rows([first, *names]) | {"margin": {"l": 8, "r": 8, "t": 6, "b": 44}}
    shown["xaxis"] |= {"range": [-reach, reach * 2.3], "title": axis_title(f"{first} minus each other, points")}
    shown["xaxis"] |= {"zeroline": True, "zerolinecolor": INK, "zerolinewidth": 1.2, "fixedrange": True, "nticks": 7}
    rows = [[gap.name, gap.text, "yes" if gap.real else "no"] for gap in gaps]
    table = {"head": [f"{first} minus", "points (95% interval)", "excludes zero"], "rows": rows}
    told = "; ".join(f"{gap.name} {gap.text}{'' if gap.real else ', no difference shown'}" for gap in gaps)
    summary = f"{first} minus each other adapter, in points: {told}."
    below = [first, *(f"{name}<br>{gap.text}" for name, gap in zip(names, gaps, strict=True))]
    narrow = {
        "yaxis": {"tickvals": [first, *names], "ticktext": below},
        "xaxis": {"range": [-reach, reach], "title": axis_title("difference in points"), "nticks": 5},
        "hidden": [VALUES],
    }
    return _figure([dots, _texts(ends)], shown, summary, table, stage, narrow)


def _signed(value: float) -> str:
    """Points with a true sign, none for zero."""
    text = f"{value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "\u2212")


def _rows(names: Sequence[str]) -> Figure:
    """A layout with one row a name, the first on top, names at the left."""
    shown = layout(showlegend=False, hovermode="closest")
    shown["yaxis"] |= {"range": [len(names) - 0.5, -0.5], "type": "category", "categoryarray": list(names)}
    shown["yaxis"] |= {"automargin": True, "fixedrange": True, "showgrid": False, "ticks": ""}
    shown["yaxis"] |= {"tickfont": {"size": 13, "color": INK}}
    shown["xaxis"] |= {"gridcolor": LINE, "zeroline": False, "tickangle": 0}
    return shown


def _whiskers(ends: Sequence[tuple[float, float, float]]) -> Figure:
    """Error bars from value, low and high."""
    values, lows, highs = ([end[place] for end in ends] for place in range(3))
    return whiskers(values, lows, highs, INK, thickness=1.4, width=4)


def _texts(ends: Sequence[tuple[str, float, str]]) -> Figure:
    """The text at the right of each row's whisker."""
    looks: Figure = {"textposition": "middle right", "textfont": {"size": 12.5, "color": INK}, "cliponaxis": False}
    texts = [f"  {text}" for _, _, text in ends]
    xs, ys = [end for _, end, _ in ends], [name for name, _, _ in ends]
    return trace(VALUES, xs, ys, mode="text", text=texts, hoverinfo="skip", **looks)


def _figure(data: list[Figure], shown: Figure, summary: str, table: Figure, stage: str, narrow: Figure) -> Figure:
    narrow["yaxis"] = narrow.get("yaxis", {}) | {"tickfont": {"size": 11.5, "color": INK}}
    return {"data": data, "layout": shown, "narrow": narrow, "summary": summary, "table": table, "stage": stage}
