"""What needs no adapter: whole frames named by frozen features, and animals told from empties by image difference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..measure.statistics import over_units
from ..network.backbone import Backbone
from ..survey.records import ANIMAL
from ..training.head import fit_head
from ..worlds.base import Images
from ..worlds.cameras import CameraWorld
from ..worlds.shots import Shot
from .cell import Answers, Cell, empty_of, learned, with_photographs, worlds_of
from .methods import chances

#: Side in pixels of the pictures whose difference is taken.
_SIDE = 96


def of_frames(cell: Cell) -> Cell:
    """The same fold with whole frames instead of crops; its answers lie beside."""
    return replace(cell, world=dict(cell.world) | {"crops": False}, work=cell.work / "frames")


def answer_frames(cell: Cell) -> None:
    """Whole frames of held-out cameras, named by a last layer on frozen features, unless that was done."""
    if cell.path.exists():
        return
    world, held_out = worlds_of(cell)
    known = [own for _, own in learned(world, held_out) if len(own.labels)]
    everything = Images(torch.cat([own.pixels for own in known]), torch.cat([own.labels for own in known]))
    backbone = Backbone.with_weights(cell.weights, world.species, architecture=cell.architecture)
    fit_head(backbone, everything, cell.plan.head)
    cameras = with_photographs(world, held_out)
    said = [chances(backbone, None, own.pixels) for own in cameras.values()]
    Answers.of(cameras, {"head": said}).save(cell.path)


def differences(world: CameraWorld) -> dict[str, Any]:
    """How well the difference to an empty picture tells an animal from none: area under the curve, by where the empty
    is from, the mean over cameras with its interval.

    The score of a frame is its mean difference to the nearest empty of the camera. Of the same burst that is a
    different task: nothing but the animal has moved.
    """
    found: dict[str, list[float]] = {"another burst": [], "the same burst": []}
    for name in world.locations:
        shots = {shot.file: shot for shot in [*world.shots_at(name, "train"), *world.shots_at(name, "eval")]}
        frames = {file: _grey(world, file) for file in shots}
        for where, values in found.items():
            area = _area(shots, frames, empty_of(world), same=where == "the same burst")
            if area is not None:
                values.append(area)
    return {where: over_units(values) for where, values in found.items() if values}


def _grey(world: CameraWorld, file: str) -> Tensor | None:
    frame = world.frame(file, 384)
    if frame is None:
        return None
    small = torch.nn.functional.interpolate(frame.float().mean(dim=0)[None, None], (_SIDE, _SIDE), mode="area")[0, 0]
    return small - small.mean()


def _area(shots: Mapping[str, Shot], frames: Mapping[str, Tensor | None], empty: int, *, same: bool) -> float | None:
    """The area under the curve at one camera; None if it lacks animals, empties, or empties to compare with."""
    from sklearn.metrics import roc_auc_score

    scores, animals = [], []
    for file, shot in shots.items():
        own = frames[file]
        others = [
            frames[other]
            for other, its in shots.items()
            if other != file and its.label == empty and (its.burst == shot.burst) == same
        ]
        gaps = [float((own - other).abs().mean()) for other in others if own is not None and other is not None]
        if gaps:
            scores.append(min(gaps))
            animals.append(shot.label != empty)
    return float(roc_auc_score(animals, scores)) if len(set(animals)) == 2 else None


def detector(world: CameraWorld) -> dict[str, int]:
    """Boxes against labels, frame by frame: animals that got none, and empties that got one."""
    least = float(world.spec["confidence"])
    found = {"animals": 0, "missed": 0, "empties": 0, "false": 0}
    for frame in world.frames():
        if not frame.species and not frame.empty:
            continue
        boxed = any(box.kind == ANIMAL and box.confidence >= least for box in frame.boxes or ())
        kind, error = ("empties", "false") if frame.empty else ("animals", "missed")
        found[kind] += 1
        found[error] += boxed == frame.empty
    return found
