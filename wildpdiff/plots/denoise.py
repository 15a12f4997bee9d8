"""Figures of a sampling trajectory: accuracy by step, the histogram of the weights, layers, the trajectory on a map.

Each has traces that the page fills for the step it shows; they are drawn here for the last one. The names of those
traces, and of the step's line, are constants below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from . import common
from .common import ACCENT, GROUND, INK, SOFT, Figure, Point, axis_title, layout, legend, trace

#: Traces, and a line, that the page moves.
NOW, SO_FAR, HERE, OTHERS, CURSOR = "this step", "the way so far", "generated", "other seeds", "cursor"
FINAL = "final row"
_DASHES = ("solid", "7px,3px")


@dataclass(frozen=True)
class Mark:
    """A measured step: photographs named correctly with the row of the noisy latent, the 95% interval of their share
    in 0..1, and how many with the row of the guess."""

    step: int
    right: int
    low: float
    high: float
    guess: int


@dataclass(frozen=True)
class Curve:
    """What was measured at one location.

    Attributes:
        location: its name.
        place: its place among the seen ones, or -1.
        side: 0 for A, 1 for B.
        marks: by step, rising.
        pretrained: photographs that the network names correctly without an adapter.
        count: photographs.
    """

    location: str
    place: int
    side: int
    marks: Sequence[Mark]
    pretrained: int
    count: int

    @property
    def colour(self) -> str:
        """The location's own, or ink."""
        return common.colour(self.place) if self.place >= 0 else (INK, SOFT)[self.side]

    @property
    def shape(self) -> str:
        """The location's own, or a star."""
        return common.shape(self.place) if self.place >= 0 else ("star-diamond", "hexagram")[self.side]


def accuracy(curves: Sequence[Curve], steps: int, *, note: str = "") -> Figure:
    """Accuracy along the trajectory at A and at B: of the noisy latents' rows, of the estimates' rows, and pretrained.

    Args:
        curves: what was measured so far.
        steps: S, where the way ends.
        note: what to say where nothing is measured.
    """
    data = [trace for curve in curves for trace in _lines(curve, steps)]
    grey = [("guess of the end", {"color": SOFT, "width": 1.3}), ("pretrained", {"color": SOFT, "dash": "dot"})]
    data += [trace(name, [None], [None], mode="lines", line=line) for name, line in grey] if curves else []
    shown = layout(margin={"l": 46, "r": 12, "t": 34, "b": 44}, hovermode="closest")
    ticks = [round(part * steps / 5) for part in range(6)]
    shown["xaxis"] |= {"range": [-0.03 * steps, 1.03 * steps], "tickvals": sorted(set(ticks)), "zeroline": False}
    shown["xaxis"] |= {"title": axis_title("sampling steps done"), "fixedrange": True}
    shown["yaxis"] |= {"range": [_lowest(curves), 1.03], "tickformat": ".0%", "nticks": 6, "fixedrange": True}
    shown["yaxis"] |= {"zeroline": False}
    shown["legend"] = legend(SOFT, 1.01, x=1, xanchor="right")
    ends = {"x0": steps, "x1": steps, "y0": 0, "y1": 1, "yref": "paper", "line": {"color": ACCENT, "width": 2}}
    shown["shapes"] = [{"type": "line", "name": CURSOR, "layer": "below"} | ends]
    measured = any(curve.marks for curve in curves)
    shown["annotations"] = [] if measured else [common.centred(note, 14)]
    summary = _summary(curves) if measured else f"Accuracy along the way. {note}"
    narrow = {"legend": {"x": 0, "xanchor": "left", "font": {"size": 11, "color": SOFT}}}
    return {"data": data, "layout": shown, "narrow": narrow, "summary": summary, "table": _table(curves)}


def spread(edges: Sequence[float], counts: Sequence[Sequence[int]]) -> Figure:
    """How the row's numbers are spread.

    Args:
        edges: of B even bins, in raw units; the outermost bins also hold what lies beyond.
        counts: numbers in each bin at each shown step, `[F][B]`.
    """
    middles = [round((low + high) / 2, 6) for low, high in pairwise(edges)]
    last, total = list(counts[-1]), sum(counts[-1])
    hover = "%{y:,} weights near %{x:.3f}<extra>this step</extra>"
    bars = trace(NOW, middles, last, type="bar", marker={"color": ACCENT, "opacity": 0.45}, hovertemplate=hover)
    line = {"color": INK, "width": 1.6, "shape": "hvh"}
    outline = trace(FINAL, middles, last, mode="lines", line=line, hoverinfo="skip")
    shown = layout(margin={"l": 56, "r": 10, "t": 30, "b": 44}, bargap=0)
    shown["xaxis"] |= {"title": axis_title("weight, raw units"), "zeroline": False, "nticks": 7, "fixedrange": True}
    shown["yaxis"] |= {"title": axis_title("weights"), "range": [0, 1.06 * max(max(row) for row in counts)]}
    shown["yaxis"] |= {"fixedrange": True, "nticks": 5, "tickformat": "~s"}
    shown["legend"] = legend(SOFT, 1.01)
    rows = [[f"{at:.3f}", f"{first:,}", f"{end:,}"] for at, first, end in zip(middles, counts[0], last, strict=True)]
    summary = f"Histogram of the row's {total:,} weights at this step, with that of the final row as an outline."
    table = {"head": ["weight near", "from pure noise", "final"], "rows": rows}
    return {"data": [bars, outline], "layout": shown, "summary": summary, "table": table}


def strengths(layers: Sequence[str], stages: Sequence[str], norms: Sequence[Sequence[float]]) -> Figure:
    """How strongly each layer is changed.

    Args:
        layers: readable names of the P layers, from the stem up.
        stages: the part of the network that each belongs to.
        norms: of the change of each layer's weight at each shown step, `[F][P]`.
    """
    depth, last = list(range(1, len(layers) + 1)), [round(norm, 3) for norm in norms[-1]]
    hover = "%{text}: %{y:.2f}<extra>this step</extra>"
    names = {"text": list(layers), "textposition": "none"}
    bars = trace(NOW, depth, last, type="bar", marker={"color": ACCENT, "opacity": 0.45}, hovertemplate=hover, **names)
    tick = {"symbol": "line-ew", "size": 9, "color": INK, "line": {"color": INK, "width": 2}}
    ticks = trace(FINAL, depth, last, mode="markers", marker=tick, hoverinfo="skip")
    parts = common.by_stage(stages)
    short = [name.split()[-1] for name in parts]
    shown = layout(margin={"l": 46, "r": 8, "t": 30, "b": 44}, bargap=0.25, hovermode="closest")
    shown["xaxis"] |= {"title": axis_title("stage of the network")}
    shown["xaxis"] |= {"tickvals": [sum(own) / len(own) for own in parts.values()], "ticktext": short}
    shown["xaxis"] |= {"range": [0.3, len(layers) + 0.7], "tickangle": 0, "showgrid": False, "fixedrange": True}
    shown["yaxis"] |= {"range": [0, 1.06 * max(max(row) for row in norms)], "nticks": 5, "fixedrange": True}
    shown["yaxis"] |= {"title": axis_title("norm of the change")}
    shown["shapes"] = [common.border(own[0] - 0.5) for own in list(parts.values())[1:]]
    shown["legend"] = legend(SOFT, 1.01)
    rows = [[name, f"{a:.2f}", f"{b:.2f}"] for name, a, b in zip(layers, norms[0], last, strict=True)]
    return {
        "data": [bars, ticks],
        "layout": shown,
        "narrow": {"xaxis": {"ticktext": ["", *short[1:]]}},
        "summary": f"How strongly each of {len(layers)} layers is changed at this step, and by the final row.",
        "table": {"head": ["layer", "from pure noise", "final"], "rows": rows},
    }


def trajectory_on(base: Figure, steps: Sequence[int], points: Sequence[Point], others: Sequence[Point] = ()) -> Figure:
    """A view of the map (`plots.map`) with the trajectory drawn on it; the base is not changed.

    Args:
        base: the view, with nothing generated in it.
        steps: sampling steps done at each place of the way.
        points: places of the way's rows, as many.
        others: places where the ways of other seeds end.
    """
    xs, ys = [round(x, 3) for x, _ in points], [round(y, 3) for _, y in points]
    texts = [f"step {step}" for step in steps]
    dots = {"size": 5, "color": GROUND, "line": {"color": ACCENT, "width": 1.2}}
    whole = trace("the whole way", xs, ys, mode="lines+markers", text=texts, marker=dots, showlegend=False)
    whole |= {"line": {"color": ACCENT, "width": 1, "dash": "2px,3px"}, "hovertemplate": "%{text}<extra></extra>"}
    line = {"color": ACCENT, "width": 2.6}
    passed = trace(SO_FAR, xs, ys, mode="lines", line=line, hoverinfo="skip", showlegend=False)
    star = {"symbol": "star", "size": 20, "color": ACCENT, "line": {"color": GROUND, "width": 1.5}}
    here = trace(HERE, xs[-1:], ys[-1:], mode="markers", marker=star, hoverinfo="skip", showlegend=False)
    small = {"symbol": "star", "size": 10, "color": ACCENT, "opacity": 0.75, "line": {"color": GROUND, "width": 0.8}}
    ends = [[round(point[axis], 3) for point in others] for axis in (0, 1)]
    beside = trace(OTHERS, *ends, mode="markers", marker=small, hoverinfo="skip", showlegend=False)
    rows = [[text, "1", f"{x:.3f}", f"{y:.3f}"] for text, x, y in zip(texts, xs, ys, strict=True)]
    return base | {
        "data": [*(trace for trace in base["data"] if trace["x"]), whole, passed, beside, here],
        "summary": f"{base['summary']} A line leads from the row of pure noise to the final one.",
        "table": base["table"] | {"rows": [*base["table"]["rows"], *rows]},
    }


def _lines(curve: Curve, steps: int) -> list[Figure]:
    """Pretrained, guesses, noisy rows, and the mark of this step, with its interval."""
    name, marks, paint = curve.location, curve.marks, curve.colour
    at, plain = [mark.step for mark in marks], curve.pretrained / curve.count
    said = [f"{mark.right}/{curve.count}" for mark in marks]
    guessed = [f"{mark.guess}/{curve.count}" for mark in marks]
    dash = _DASHES[curve.side]
    hidden: Figure = {"showlegend": False}
    thin = {"color": paint, "width": 1.3, "dash": dash}
    small = {"color": GROUND, "symbol": curve.shape, "size": 5, "line": {"color": paint, "width": 1}}
    mark = {"color": paint, "symbol": curve.shape, "size": 7}
    big = {"color": GROUND, "symbol": curve.shape, "size": 13, "line": {"color": paint, "width": 2.4}}
    shares, guesses = [mark.right / curve.count for mark in marks], [mark.guess / curve.count for mark in marks]
    none = trace(
        f"pretrained at {name}", [0, steps], [plain, plain], mode="lines", hoverinfo="skip", **hidden,
        line={"color": paint, "width": 1.3, "dash": "dot"},
    )  # fmt: skip
    guess = trace(
        f"guess at {name}", at, guesses, mode="lines+markers", line=thin, marker=small, customdata=guessed,
        hovertemplate=f"{name}, guess: %{{y:.0%}} (%{{customdata}})<extra>step %{{x}}</extra>", **hidden,
    )  # fmt: skip
    own = trace(
        f"at {name}", at, shares, mode="lines+markers", marker=mark, customdata=said,
        line={"color": paint, "width": 2.6, "dash": dash},
        hovertemplate=f"{name}: %{{y:.0%}} (%{{customdata}})<extra>step %{{x}}</extra>",
    )  # fmt: skip
    ends = ([mark.low for mark in marks[-1:]], [mark.high for mark in marks[-1:]])
    now = trace(
        f"{NOW} at {name}", at[-1:], shares[-1:], mode="markers", marker=big, hoverinfo="skip", **hidden,
        error_y=common.whiskers(shares[-1:], *ends, paint, thickness=1.4, width=5),
    )  # fmt: skip
    return [none, guess, own, now]


def _lowest(curves: Sequence[Curve]) -> float:
    """Where the axis of shares begins: a tenth below the lowest one."""
    counts = [count for curve in curves for mark in curve.marks for count in (mark.right, mark.guess)]
    lowest = min([*counts, *(curve.pretrained for curve in curves)], default=0)
    whole = max((curve.count for curve in curves), default=1)
    return max(0.0, int(10 * lowest / whole - 0.5) / 10)


def _summary(curves: Sequence[Curve]) -> str:
    ends = [
        f"at {curve.location} from {curve.marks[0].right} to {curve.marks[-1].right} of {curve.count} photographs, "
        f"pretrained {curve.pretrained}"
        for curve in curves
        if curve.marks
    ]
    return f"Accuracy from step {curves[0].marks[0].step} to {curves[0].marks[-1].step}: {'; '.join(ends)}."


def _table(curves: Sequence[Curve]) -> Figure:
    """One line a measured step."""
    head, steps = ["step"], [mark.step for curve in curves[:1] for mark in curve.marks]
    for curve in curves:
        head += [f"{curve.location}", "95% interval", f"{curve.location}, guess"]
    rows = [[str(step), *(text for curve in curves for text in _cells(curve, at))] for at, step in enumerate(steps)]
    plain = [text for curve in curves for text in (f"{curve.pretrained}/{curve.count}", "", "")]
    return {"head": head, "rows": [["pretrained", *plain], *rows] if rows else []}


def _cells(curve: Curve, at: int) -> list[str]:
    mark = curve.marks[at]
    return [f"{mark.right}/{curve.count}", f"{mark.low:.0%} to {mark.high:.0%}", f"{mark.guess}/{curve.count}"]
