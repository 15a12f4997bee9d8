"""Where adapters lie: the flat map (UMAP), the two widest directions (PCA), and the ruler from A to B."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .common import ACCENT, ACCENT_SOFT, GROUND, INK, SOFT, Figure, Point, axis_title, colour, layout, shape, trace

A_TO_B = "A to B"
_PLACES = 3
"""Decimals of a coordinate: more cannot be seen."""


@dataclass(frozen=True)
class Scene:
    """Everything that one view draws, in the coordinates of that view.

    Attributes:
        locations: names of the seen locations; `index` points into it.
        points: places of fine-tuned rows.
        index: the location of each of them.
        stars: places of the newest adapters.
        cloud: places of what other seeds would give.
        trail: places of earlier ones, oldest first.
        told: what each earlier one is, for its tooltip.
        ends: names of A and B, as far as they are seen locations.
        near: the location whose mean row is truly nearest to the newest adapter.
    """

    locations: Sequence[str]
    points: Sequence[Point]
    index: Sequence[int]
    stars: Sequence[Point] = ()
    cloud: Sequence[Point] = ()
    trail: Sequence[Point] = ()
    told: Sequence[str] = ()
    ends: Sequence[str] = ()
    near: str = ""

    def group(self, name: str) -> list[Point]:
        """Places of one location's fine-tuned rows."""
        place = list(self.locations).index(name)
        return [point for point, own in zip(self.points, self.index, strict=True) if own == place]


def umap(scene: Scene) -> Figure:
    """The flat map; its axes mean nothing, so they are not drawn."""
    shown = layout(margin={"l": 8, "r": 8, "t": 14, "b": 8}, hovermode="closest")
    for axis in ("xaxis", "yaxis"):
        shown[axis] |= {"showticklabels": False, "zeroline": False, "ticks": "", "showgrid": False, "showline": False}
    what = f"UMAP of {len(scene.points)} fine-tuned rows of {len(scene.locations)} locations."
    return _view(scene, shown, f"{what}{_nearest(scene)}", ("x", "y"))


def pca(scene: Scene, shares: Sequence[float]) -> Figure:
    """The two widest directions of the fine-tuned rows, one unit as long on both axes.

    Args:
        scene: what to draw.
        shares: the part of the rows' spread (squared distances from their mean) along each direction, 0..1; the first
            two are named.
    """
    shown = layout(margin={"l": 52, "r": 10, "t": 14, "b": 44}, hovermode="closest")
    titles = [f"{nth} direction: {share:.0%} of the spread" for nth, share in zip(("1st", "2nd"), shares, strict=False)]
    for axis, title in zip(("xaxis", "yaxis"), titles, strict=True):
        shown[axis] |= {"title": axis_title(title), "zeroline": False, "nticks": 6}
    shown["yaxis"] |= {"scaleanchor": "x"}
    what = f"The two widest directions of {len(scene.points)} fine-tuned rows: {titles[0]}, {titles[1]}."
    return _view(scene, shown, f"{what}{_nearest(scene)}", ("1st direction", "2nd direction"))


def ruler(scene: Scene, weight: float) -> Figure:
    """How far along from A to B adapters lie, and how far off the straight line.

    Args:
        scene: what to draw; x is the share of the way from A's mean row to B's, y the distance off the line in units
            of the distance between A and B. Two `ends` that differ.
        weight: the blend weight, where the weighted average of the two mean rows lies on the line.
    """
    a, b = scene.ends
    shown = layout(margin={"l": 52, "r": 10, "t": 14, "b": 44}, hovermode="closest")
    shown["xaxis"] |= {"tickvals": [0, 0.5, 1], "ticktext": [f"<b>{a}</b>", "half-way", f"<b>{b}</b>"]}
    shown["xaxis"] |= {"title": axis_title(f"share of the way from {a} to {b}"), "zeroline": False}
    shown["yaxis"] |= {"title": axis_title("off the line, in distances A to B"), "scaleanchor": "x", "nticks": 6}
    said = [f" {_along(star)}" for star in scene.stars[:1]]
    summary = f"Ruler from {a} to {b}: the newest adapter lies{said[0]}." if said else f"Ruler from {a} to {b}."
    figure = _view(scene, shown, summary, ("share of the way", "off the line"))
    figure["data"] = [_average(weight), *(trace for trace in figure["data"] if trace["name"] != A_TO_B)]
    figure["layout"]["annotations"] += [_reading(f"★ {_along(star)}") for star in scene.stars[:1]]
    return figure


def absent(text: str) -> Figure:
    """A view that cannot be drawn, with the reason in a sentence."""
    shown = layout(margin={"l": 8, "r": 8, "t": 8, "b": 8})
    for axis in ("xaxis", "yaxis"):
        shown[axis] |= {"visible": False, "range": [0, 1], "fixedrange": True}
    font = {"size": 14, "color": SOFT}
    shown["annotations"] = [{"x": 0.5, "y": 0.5, "text": _wrapped(text), "showarrow": False, "font": font}]
    table: Figure = {"head": ["note"], "rows": [[text]]}
    return {"data": [], "layout": shown, "summary": text, "table": table}


def views(umap: Figure, pca: Figure, ruler: Figure) -> Figure:
    """One figure of three, of which the page shows the one that its state names."""
    return {"views": {"umap": umap, "pca": pca, "ruler": ruler}}


def _view(scene: Scene, shown: Figure, summary: str, axes: tuple[str, str]) -> Figure:
    labelled = scene.locations if len(scene.points) > 5 * len(scene.locations) else scene.ends
    groups = {name: scene.group(name) for name in scene.locations}
    shown["annotations"] = [_label(name, groups[name], name in scene.ends) for name in labelled if groups[name]]
    data = [_cloud(name, place, groups[name]) for place, name in enumerate(scene.locations)]
    data = [*_line(scene, groups), *data, _trail(scene), _cloud_of(scene.cloud), _stars(scene.stars)]
    table = {"head": ["what", "rows", *axes], "rows": _rows(scene, groups)}
    return {"data": data, "layout": shown, "summary": summary, "table": table, "pick": "trace", "zoom": True}


def _line(scene: Scene, groups: dict[str, list[Point]]) -> list[Figure]:
    """The dotted line between the means of A and B; none if they are the same, or one has no fine-tuned rows."""
    if len(set(scene.ends)) < 2:
        return []
    line = {"color": SOFT, "width": 1.5, "dash": "dot"}
    return [_marks(A_TO_B, [_middle(groups[name]) for name in scene.ends], mode="lines", line=line, hoverinfo="skip")]


def _cloud(name: str, place: int, points: list[Point]) -> Figure:
    many = len(points) > 12
    marker = {"color": colour(place), "symbol": shape(place), "size": 6 if many else 9, "opacity": 0.6 if many else 0.9}
    return _marks(name, points, mode="markers", marker=marker, hovertemplate=f"{name}, fine-tuned<extra></extra>")


def _trail(scene: Scene) -> Figure:
    points = [*scene.trail, *scene.stars[:1]]
    texts = [*scene.told, *["the newest"][: len(scene.stars)]]
    marker: Figure = {"symbol": "star", "size": [8] * len(scene.trail) + [0] * (len(points) - len(scene.trail))}
    marker |= {"color": ACCENT_SOFT, "line": {"color": ACCENT, "width": 0.8}}
    line = {"color": ACCENT_SOFT, "width": 1}
    hover = "%{text}<extra>earlier in this session</extra>"
    given: Figure = {"mode": "lines+markers", "text": texts, "marker": marker, "line": line, "hovertemplate": hover}
    return _marks("earlier in this session", points, **given)


def _stars(points: Sequence[Point]) -> Figure:
    marker = {"symbol": "star", "size": 19, "color": ACCENT, "line": {"color": GROUND, "width": 1.5}}
    hover = "the generated adapter<extra></extra>"
    return _marks("generated", points, mode="markers", marker=marker, hovertemplate=hover)


def _cloud_of(points: Sequence[Point]) -> Figure:
    marker = {"symbol": "star", "size": 10, "color": ACCENT, "opacity": 0.75, "line": {"color": GROUND, "width": 0.8}}
    hover = "what another seed would give<extra></extra>"
    return _marks("other seeds", points, mode="markers", marker=marker, hovertemplate=hover)


def _average(weight: float) -> Figure:
    """The line of weighted averages of the two mean rows, with a tick at this weight."""
    marker: Figure = {"symbol": "line-ns", "size": [0, 16, 0], "color": INK}
    marker["line"] = {"color": INK, "width": 2}
    hover = "%{x:.2f}: the weighted average of the two mean rows<extra></extra>"
    given: Figure = {"mode": "lines+markers", "marker": marker, "line": {"color": INK, "width": 1.5}}
    return trace("weighted averages", [0, weight, 1], [0, 0, 0], hovertemplate=hover, showlegend=False, **given)


def _marks(name: str, points: Sequence[Point], **more: object) -> Figure:
    """A trace of places, with as many decimals as can be seen."""
    xs, ys = ([round(point[axis], _PLACES) for point in points] for axis in (0, 1))
    return trace(name, xs, ys, showlegend=False, **more)


def _label(name: str, points: list[Point], stressed: bool) -> Figure:
    """A location's name above its rows; the page fades it with the rows by its `name`."""
    top = max(y for _, y in points)
    font = {"size": 13 if stressed else 11.5, "color": INK if stressed else SOFT}
    text = f"<b>{name}</b>" if stressed else name
    place = {"x": _middle(points)[0], "y": top, "yshift": 11}
    return place | {"name": name, "text": text, "showarrow": False, "font": font}


def _reading(text: str) -> Figure:
    """The newest adapter's coordinates on the ruler, in the corner, where they hide nothing."""
    corner: Figure = {"xref": "paper", "yref": "paper", "x": 1, "y": 1, "xanchor": "right", "yanchor": "top"}
    return corner | {"text": text, "showarrow": False, "font": {"size": 13, "color": ACCENT}}


def _along(star: Point) -> str:
    return f"{star[0]:.2f} of the way, {star[1]:.2f} off the line"


def _nearest(scene: Scene) -> str:
    return f" The newest adapter is nearest to the mean row of {scene.near}." if scene.stars and scene.near else ""


def _rows(scene: Scene, groups: dict[str, list[Point]]) -> list[list[str]]:
    rows = [[f"{name}, mean", str(len(own)), *_numbers(_middle(own))] for name, own in groups.items() if own]
    rows += [[told, "1", *_numbers(point)] for told, point in zip(scene.told, scene.trail, strict=True)]
    return rows + [["newest", "1", *_numbers(point)] for point in scene.stars]


def _numbers(point: Point) -> list[str]:
    return [f"{value:.3f}" for value in point]


def _middle(points: Sequence[Point]) -> Point:
    return sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)


def _wrapped(text: str, width: int = 44) -> str:
    """A sentence in lines of about equal length, with the line breaks of plotly."""
    words, count = text.split(), max(1, math.ceil(len(text) / width))
    lines: list[str] = [""]
    for word in words:
        full = len(lines[-1]) + len(word) > len(text) / count and len(lines) < count
        lines = [*lines, word] if full and lines[-1] else [*lines[:-1], f"{lines[-1]} {word}".strip()]
    return "<br>".join(lines)
