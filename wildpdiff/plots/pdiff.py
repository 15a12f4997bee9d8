"""Figures of the tab p-diff: accuracies by group, accuracy against likeness, the plane, and the way of a sample.

Dots of a group are stored, stars are live.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .common import ACCENT, GROUND, INK, SOFT, Figure, Point, axis_title, centred, colour, layout, legend, trace

LIVE = "live samples"
#: Colour, marker and size by group; the order is that of the figures.
STYLES = {
    "originals": (SOFT, "circle", 7),
    "average": (INK, "diamond", 11),
    "noise": (colour(1), "square-open", 7),
    "alike": (colour(2), "triangle-up-open", 8),
    "generated": (ACCENT, "circle-open", 7),
    "base": (INK, "x", 9),
}
#: How far dots of a group are spread sideways, and the step of the spread: the golden section repeats nowhere.
WIDE, GOLDEN = 0.6, 0.618034


@dataclass(frozen=True)
class Group:
    """The stored networks of one group: `key` of `STYLES`, its name, and a value or point each."""

    key: str
    name: str
    values: Sequence[float]
    points: Sequence[Point] = ()


@dataclass(frozen=True)
class Star:
    """A live sample: its name, test accuracy 0..1, likeness 0..1 and place."""

    name: str
    accuracy: float
    likeness: float
    place: Point


@dataclass(frozen=True)
class Stop:
    """A step of a sample's way: its estimate's accuracy 0..1 and place."""

    step: int
    accuracy: float
    place: Point


def accuracies(groups: Sequence[Group], stars: Sequence[Star]) -> Figure:
    """Test accuracies as columns of dots, one a group, the live samples among the last column."""
    data = [_dots(group, _columns(len(group.values), at), group.values, "%{y:.1%}") for at, group in enumerate(groups)]
    data.append(_stars(stars, _columns(len(stars), len(groups)), [star.accuracy for star in stars], "%{y:.1%}"))
    names = [*(group.name for group in groups), "live"]
    shown = layout(hovermode="closest", showlegend=False, margin={"l": 8, "r": 10, "t": 12, "b": 8})
    shown["xaxis"] |= {"tickvals": list(range(len(names))), "ticktext": names, "showgrid": False, "zeroline": False}
    shown["xaxis"] |= {"range": [-0.5, len(names) - 0.5], "automargin": True, "fixedrange": True}
    shown["yaxis"] |= _shares("test accuracy")
    rows = [[group.name, "stored", str(len(group.values)), *_three(group.values)] for group in groups]
    rows += [[star.name, "live", "1", *_three([star.accuracy])] for star in stars]
    told = "; ".join(f"{group.name} {_mean(group.values):.1%}" for group in groups)
    now = ", ".join(f"{star.accuracy:.1%}" for star in stars) or "none yet"
    return {
        "data": data,
        "layout": shown,
        "narrow": {"xaxis": {"tickangle": -55}},
        "summary": f"Test accuracy by group, on average: {told}; live samples: {now}.",
        "table": {"head": ["networks", "stored or live", "count", "mean", "lowest", "highest"], "rows": rows},
    }


def likeness(groups: Sequence[Group], stars: Sequence[Star]) -> Figure:
    """Test accuracy against the largest overlap of wrong predictions with an original (p-diff, figure 4)."""
    form = "likeness %{x:.2f}, accuracy %{y:.1%}"
    data = [_dots(group, [x for x, _ in group.points], [y for _, y in group.points], form) for group in groups]
    data.append(_stars(stars, [star.likeness for star in stars], [star.accuracy for star in stars], form))
    shown = _square("largest IoU of wrong predictions with an original", "")
    shown["yaxis"] |= _shares("test accuracy")
    rows = [[g.name, "stored", f"{x:.3f}", f"{y:.1%}"] for g in groups for x, y in g.points]
    rows += [[star.name, "live", f"{star.likeness:.3f}", f"{star.accuracy:.1%}"] for star in stars]
    told = "; ".join(f"{g.name} {_mean([x for x, _ in g.points]):.2f}" for g in groups if g.points)
    return {
        "data": data,
        "layout": shown,
        "narrow": {"xaxis": {"title": axis_title("largest IoU of wrong predictions")}},
        "summary": f"Accuracy against likeness to the nearest original in errors; mean likeness: {told}.",
        "table": {"head": ["network", "stored or live", "largest IoU", "test accuracy"], "rows": rows},
    }


def plane(groups: Sequence[Group], stars: Sequence[Star], way: Sequence[Stop], share: float) -> Figure:
    """Networks in the two widest directions of the originals; the way of one sample as a line."""
    form = "%{x:.2f}, %{y:.2f}"
    data = [_dots(group, [x for x, _ in group.points], [y for _, y in group.points], form) for group in groups]
    places = [stop.place for stop in way]
    line = {"color": ACCENT, "width": 1.6}
    data.append(
        trace("way of the sample", [x for x, _ in places], [y for _, y in places], mode="lines+markers", line=line,
              marker={"size": 4, "color": ACCENT}, customdata=[stop.step for stop in way],
              hovertemplate="after step %{customdata}<extra>%{fullData.name}</extra>")
    )  # fmt: skip
    data.append(_stars(stars, [star.place[0] for star in stars], [star.place[1] for star in stars], form))
    shown = _square(f"widest direction of the originals (both hold {share:.0%} of their variance)", "second widest")
    rows = [[g.name, "stored", f"{x:.3f}", f"{y:.3f}"] for g in groups for x, y in g.points]
    rows += [[star.name, "live", f"{star.place[0]:.3f}", f"{star.place[1]:.3f}"] for star in stars]
    return {
        "data": data,
        "layout": shown,
        "narrow": {"xaxis": {"title": axis_title(f"widest direction (with the second: {share:.0%})")}},
        "summary": f"The plane of the originals' two widest directions, which hold {share:.0%} of their variance.",
        "table": {"head": ["network", "stored or live", "first", "second"], "rows": rows},
    }


def trajectory(ways: Sequence[tuple[str, Sequence[Stop]]], originals: float, base: float) -> Figure:
    """Test accuracy of the estimates along the denoising, a line a live sample; dashed: originals' mean and base."""
    data = [_line("originals, mean (stored)", originals, "4px,3px"), _line("base (stored)", base, "1px,3px")]
    for at, (name, stops) in enumerate(ways):
        tint = ACCENT if at == 0 else SOFT
        data.append(
            trace(name, [stop.step for stop in stops], [stop.accuracy for stop in stops], mode="lines+markers",
                  line={"color": tint, "width": 2 if at == 0 else 1.2}, marker={"size": 6, "color": tint},
                  hovertemplate="after step %{x}: %{y:.1%}<extra>%{fullData.name}</extra>")
        )  # fmt: skip
    shown = layout(hovermode="closest", showlegend=True, legend=legend(INK, 1.02))
    shown |= {"margin": {"l": 8, "r": 12, "t": 40, "b": 8}}
    shown["xaxis"] |= {"range": [0, 51], "title": axis_title("denoising step"), "automargin": True, "fixedrange": True}
    shown["yaxis"] |= _shares("test accuracy")
    known = [originals, base, *(stop.accuracy for _, stops in ways for stop in stops)]
    shown["yaxis"]["range"] = _around(known)
    if not ways:
        shown["annotations"] = [centred("Sample, and the way appears here.", 13)]
    rows = [[name, str(stop.step), f"{stop.accuracy:.1%}"] for name, stops in ways for stop in stops]
    ends = "; ".join(f"{name} from {stops[0].accuracy:.0%} to {stops[-1].accuracy:.0%}" for name, stops in ways)
    return {
        "data": data,
        "layout": shown,
        "summary": f"Accuracy of the estimates along the denoising: {ends or 'nothing yet'}.",
        "table": {"head": ["live sample", "step", "test accuracy"], "rows": rows},
    }


def _line(name: str, value: float, dash: str) -> Figure:
    line = {"color": INK, "width": 1.4, "dash": dash}
    return trace(name, [0, 51], [value, value], mode="lines", line=line, hovertemplate="%{y:.1%}")


def _columns(count: int, at: int) -> list[float]:
    if count == 1:
        return [float(at)]
    return [at + WIDE * ((place * GOLDEN) % 1 - 0.5) for place in range(count)]


def _dots(group: Group, x: Sequence[float], y: Sequence[float], form: str) -> Figure:
    tint, symbol, size = STYLES[group.key]
    marker = {"color": tint, "symbol": symbol, "size": size, "opacity": 0.8}
    hover = f"{form}<extra>{group.name}, stored</extra>"
    return trace(group.name, x, y, mode="markers", marker=marker, hovertemplate=hover)


def _stars(stars: Sequence[Star], x: Sequence[float], y: Sequence[float], form: str) -> Figure:
    marker = {"color": ACCENT, "symbol": "star", "size": 15, "line": {"color": GROUND, "width": 1}}
    names = [star.name for star in stars]
    return trace(
        LIVE,
        x,
        y,
        mode="markers",
        marker=marker,
        customdata=names,
        hovertemplate=f"{form}<extra>%{{customdata}}</extra>",
    )


def _square(x: str, y: str) -> Figure:
    shown = layout(hovermode="closest", showlegend=True, legend=legend(INK, 1.02))
    shown |= {"margin": {"l": 8, "r": 12, "t": 30, "b": 8}}
    for axis, text in (("xaxis", x), ("yaxis", y)):
        shown[axis] |= {"title": axis_title(text), "zeroline": False, "automargin": True, "fixedrange": True}
    return shown


def _shares(text: str) -> Figure:
    return {
        "title": axis_title(text), "tickformat": ".1~%", "zeroline": False, "automargin": True, "fixedrange": True,
    }  # fmt: skip


def _around(values: Sequence[float]) -> list[float]:
    """An axis around shares that is wide enough for its ticks to differ in their first decimal."""
    low, high = min(values), max(values)
    half = max(0.6 * (high - low), 0.006)
    return [(low + high) / 2 - half, (low + high) / 2 + half]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _three(values: Sequence[float]) -> list[str]:
    return [f"{value:.1%}" for value in (_mean(values), min(values), max(values))]
