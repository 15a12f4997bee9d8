"""The way from noise to an adapter as plain JSON for the browser; no gradio.

F counts the steps that are shown.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from ..evaluate import wilson
from ..network.lora import factors
from ..plots.common import Figure
from ..plots.denoise import Curve, Mark, accuracy, spread, strengths, trajectory_on
from ..plots.map import Scene, pca, umap
from .layers import layer_names, stages
from .places import Plane
from .setting import Setting
from .studio import Studio
from .trajectory import Film, Statistics, Way

Json = dict[str, Any]
#: Levels by which the drawn latents count one unit; one byte holds values up to about 4 units.
LEVELS = 32
BEING_NAMED = "The first photographs are being named …"
NOT_LABELLED = "There are no labelled photographs of your own place to name."


def messages(studio: Studio, films: Iterable[Film]) -> Iterator[Json]:
    """Frames for the browser; each holds all that the earlier ones did, so that any of them may be skipped.

    Keys: `stage`, `step`, `state` (of the page), `said`. Once the way is walked also `frames` (lists of F entries),
    `regions`, `figures`, and what was measured: `places`, `photographs` of each, and counts by place, of `pretrained`
    and of all `marks`.
    """
    fixed: Json = {}
    for film in films:
        told: Json = {"stage": film.stage, "step": film.step, "state": _state(film.setting), "said": said(film)}
        if film.way is None or film.statistics is None:
            yield told
            continue
        drawn = fixed.get("figures") or _figures(studio, film.setting, film.way, film.statistics)
        fixed = fixed or {
            "frames": _frames(film.way, film.statistics),
            "regions": regions(studio) if film.way.noisy.shape[1] > 1 else [],
            "figures": drawn,
        }
        note = BEING_NAMED if film.setting.chosen else NOT_LABELLED
        measured = accuracy(curves(studio.bundle.seen, film, film.way), film.setting.steps, note=note)
        yield told | fixed | _counted(film) | {"figures": drawn | {"accuracy": measured}}


def said(film: Film) -> str:
    """The end of the way in one sentence; nothing before it is reached."""
    if film.stage != "done":
        return ""
    step = f"Step {film.setting.steps} of {film.setting.steps}"
    if not film.marks:
        return f"{step}: the adapter is written. {NOT_LABELLED}"
    _, right, _ = film.marks[-1]
    total = film.photographs * len(right)
    return f"{step}: names {sum(right.values())} of {total} photographs; pretrained {sum(film.pretrained.values())}."


def regions(studio: Studio) -> list[list[Any]]:
    """The parts of the network in the order of the row, each with the share of its numbers that it takes."""
    layout, parts = studio.bundle.layout, dict[str, int]()
    pairs = factors(layout, torch.empty(layout.dim, device="meta")).values()
    for stage, (down, up) in zip(stages(layout), pairs, strict=True):
        parts[stage] = parts.get(stage, 0) + down.numel() + up.numel()
    return [[stage, round(size / layout.dim, 5)] for stage, size in parts.items()]


def packed(latents: Tensor) -> list[str]:
    """Latents `[F, C, L]` as bytes in base64, `LEVELS` a unit, row by row; what lies beyond a byte is cut."""
    levels = (latents * LEVELS).round().clamp(-127, 127).to(torch.int8)
    return [base64.b64encode(each.numpy().tobytes()).decode() for each in levels]


def curves(seen: tuple[str, ...], film: Film, way: Way) -> list[Curve]:
    """What was measured so far, by location, that of A first."""
    found = []
    for name in film.setting.chosen if film.pretrained else ():
        points = [
            Mark(way.steps[at], right[name], *wilson(right[name], film.photographs), guess[name])
            for at, right, guess in film.marks
        ]
        place, side = seen.index(name) if name in seen else -1, 0 if name == film.setting.a else 1
        found.append(Curve(name, place, side, points, film.pretrained[name], film.photographs))
    return found


def _state(setting: Setting) -> Json:
    """The part of the page's state that the first adapter depends on."""
    place = {"a": setting.a, "b": setting.b, "t": setting.weight}
    return place | {"m": setting.regime, "w": setting.way, "seed": setting.seed, "steps": setting.steps}


def _counted(film: Film) -> Json:
    names = film.setting.chosen
    marks = [
        {"at": at, "right": [right[name] for name in names], "guess": [guess[name] for name in names]}
        for at, right, guess in film.marks
    ]
    pretrained = [film.pretrained[name] for name in names] if film.pretrained else []
    return {"places": list(names), "photographs": film.photographs, "marks": marks, "pretrained": pretrained}


def _frames(way: Way, known: Statistics) -> Json:
    return {
        "steps": list(way.steps),
        "noise": [round(share, 4) for share in way.noise],
        "shape": list(_shape(way.noisy)),
        "levels": LEVELS,
        "noisy": packed(way.noisy),
        "guesses": packed(way.guesses),
        "norm": _rounded(known.norm, 2),
        "gap": _rounded(known.gap, 4),
        "spread": known.counts.tolist(),
        "layers": _rounded(known.layers, 3),
        "others": {view: _rounded(places, 3) for view, places in known.others.items()},
        "umap": _rounded(known.umap, 3),
        "pca": _rounded(known.pca, 3),
    }


def _shape(latents: Tensor) -> tuple[int, int]:
    """Rows and columns to draw latents `[F, C, L]` in: those of the linear codec, one long row, in several."""
    channels, length = latents.shape[1:]
    rows = max((rows for rows in (2, 4, 8) if length % rows == 0 and rows * rows <= length), default=1)
    return (rows, length // rows) if channels == 1 else (channels, length)


def _rounded(values: Tensor, places: int) -> list[Any]:
    return list(torch.round(values.double(), decimals=places).tolist())


def _figures(studio: Studio, setting: Setting, way: Way, known: Statistics) -> dict[str, Figure]:
    layout = studio.bundle.layout
    return {
        "spread": spread(known.edges.tolist(), known.counts.tolist()),
        "layers": strengths(layer_names(layout), stages(layout), known.layers.tolist()),
        "map": {"views": _maps(studio, setting, way, known)},
    }


def _maps(studio: Studio, setting: Setting, way: Way, known: Statistics) -> dict[str, Figure]:
    """The way on the flat map, and along the two widest directions."""
    flat, seen = studio.map(setting.regime), studio.bundle.seen
    plane, ends = Plane.of(flat.anchors), [name for name in (setting.a, setting.b) if name in seen]
    on_map, on_plane = (
        Scene(seen, _pairs(points), flat.index.tolist(), ends=ends)
        for points in (flat.points, plane.place(flat.anchors))
    )
    drawn = {
        "umap": (umap(on_map), known.umap),
        "pca": (pca(on_plane, (plane.shares[0], plane.shares[1])), known.pca),
    }
    return {
        name: trajectory_on(figure, way.steps, _pairs(places), _pairs(known.others[name][-1]))
        for name, (figure, places) in drawn.items()
    }


def _pairs(points: Tensor) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in points.tolist()]
