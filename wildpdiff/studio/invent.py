"""A location that a user invents: its pictures, its animals, its adapter, and how often that is right there; no gradio.

Everything depends on the location's numbers alone: the same ones give the same pictures, photographs and counts.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from ..worlds.base import Images
from ..worlds.savanna.location import BOUNDS, Location, draw_location, rng_of
from ..worlds.savanna.plate import Plate, paint_plate
from ..worlds.savanna.prior import AFFINITY
from ..worlds.savanna.shot import draw_shot, render
from ..worlds.savanna.world import SPECIES, SavannaWorld
from .pictures import Upload
from .setting import Setting
from .studio import Studio
from .trial import Arm, Score, compared, nearest, plain_row, scores, tuned

Stage = Literal["looking", "written", "measuring", "done"]

#: Height and width of the picture while a slider moves and when it rests. Below 161 rows the world paints at four
#: times the size, above at twice, so 162 rows are the quickest; painting the plants costs the same at every size.
QUICK, SHARP = (162, 243), (320, 480)
#: Photographs drawn and named together, and how many there are at most.
BATCH, FEW, MANY = 24, 96, 192
#: Numbers that change only how the camera develops a scene, with their neutral values: they need no new painting.
DEVELOPED: dict[str, Any] = {
    "warmth": 0.0, "tint": 0.0, "exposure": 1.0, "contrast": 1.0, "noise": 0.0, "night_share": 0.0, "distance": 1.0,
    "strip": 0,
}  # fmt: skip


@dataclass(frozen=True)
class Place:
    """An invented location, and the named location `like` whose animals it began with (empty: animals of its own)."""

    location: Location
    like: str = ""


@dataclass(frozen=True)
class Finding:
    """One frame of a measurement.

    Attributes:
        place: what was invented.
        stage: how far the work is.
        alike: seen locations by the cosine of their condition, the most alike first.
        score: what the adapters said so far; the first is the generated one, the second the pretrained classifier.
        pixels: the photographs so far, uint8 `[M, 3, H, W]`.
        seconds: since the beginning.
    """

    place: Place
    stage: Stage
    alike: tuple[tuple[str, float], ...]
    score: Score
    pixels: Tensor
    seconds: float


def place_of(values: Mapping[str, Any]) -> Place:
    """The page's numbers as a place.

    Args:
        values: every number of a `Location` by name, and `like`.

    Raises:
        UserError: if one is missing, no finite number, or out of its bounds.
    """
    try:
        numbers = {key: float(values[key]) for key in BOUNDS}
        strip, seed, like = int(values["strip"]), int(values["seed"]), str(values.get("like") or "")[:20]
    except (KeyError, TypeError, ValueError, OverflowError):
        raise UserError("The invented location lacks a number, or one of them is none; choose a start again.") from None
    if not all(map(math.isfinite, numbers.values())) or not 0 <= seed < 2**31:
        raise UserError("Every number of an invented location must be finite; choose a start again.")
    return Place(Location(name=name_of(seed, like), strip=strip, seed=seed, **numbers), like)


def name_of(seed: int, like: str) -> str:
    """The world's name for an invented location.

    It comes from the start alone, so that a slider changes what it says and nothing else: the same animals pass in the
    same poses, in the light of the same hours, while the scene around them changes.
    """
    return f"invented-{hashlib.sha256(f'{seed}/{like}'.encode()).hexdigest()[:12]}"


def values_of(place: Place) -> dict[str, Any]:
    """A place as the page's numbers; `place_of` turns them back."""
    return {key: value for key, value in asdict(place.location).items() if key != "name"} | {"like": place.like}


def like(world: SavannaWorld, name: str) -> Place:
    """The start from a named location: its numbers and its animals.

    Raises:
        UserError: if there is none of that name.
    """
    location = world.location(name)
    return Place(replace(location, name=name_of(location.seed, name)), name)


def surprise(world: SavannaWorld, seed: int) -> Place:
    """A location drawn as the world draws its own, with animals of its own."""
    drawn = draw_location("surprise", seed=seed, shift=world.config.shift)
    return Place(replace(drawn, name=name_of(drawn.seed, "")))


def upload(studio: Studio, place: Place) -> Upload:
    """A place as a background of the visitor's own, for the page's bar: its embedding is the one that is measured."""
    embedding = studio.bundle.condition(backgrounds(studio.bundle.world, place))
    scene = picture(studio.bundle.world, place, height=SHARP[0], width=SHARP[1])
    left = (SHARP[1] - SHARP[0]) // 2
    square = scene[:, :, left : left + SHARP[0]].contiguous()
    return Upload("an invented place", embedding, square, tuple(nearest(studio, embedding)[:3]))


def animals(world: SavannaWorld, place: Place) -> np.ndarray:
    """Share of each of the K classes among a place's photographs: `[19]`, sums to 1, `empty` last.

    A place that began like a named one has that one's animals, moved by what the habitat differs from it; without a
    start, the world's own rule for new locations holds.
    """
    if not place.like:
        return world.prior(place.location)
    start = world.location(place.like)
    shares = world.prior(start)
    pull = np.array([AFFINITY[name] for name in SPECIES[:-1]]) @ (place.location.habitat - start.habitat)
    moved = shares[:-1] * np.exp(pull)
    return np.append(moved / moved.sum() * (1 - shares[-1]), shares[-1])


def picture(world: SavannaWorld, place: Place, *, height: int, width: int) -> Tensor:
    """The empty place by day, uint8 `[3, H, W]`: what `world.empties` gives first, but kept out of its cache."""
    location = place.location
    scene = _scene(replace(location, name="", **DEVELOPED), height, width)
    shot = draw_shot(location, None, rng_of("background", world.config.seed, location.name, 0)).by_day()
    pixels, _ = render(replace(scene, location=location), shot)
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def backgrounds(world: SavannaWorld, place: Place) -> Tensor:
    """The pictures that the condition is made of, as many and as large as the bundle's: uint8 `[G, 3, H, W]`."""
    return world.empties(place.location, world.config.background_images)


def photographs(world: SavannaWorld, place: Place, count: int) -> Iterator[Images]:
    """The first `count` labelled photographs of a place in batches; number i is the same whatever the count."""
    chances = np.cumsum(animals(world, place))
    for batch in range(math.ceil(count / BATCH)):
        rng = rng_of("invented", world.config.seed, place.location.name, batch)
        labels = np.searchsorted(chances, rng.random(BATCH) * chances[-1], side="right").clip(max=len(chances) - 1)
        some = labels[: min(BATCH, count - batch * BATCH)].tolist()
        yield world.photograph(place.location, f"invented/{batch}", len(some), classes=some)


def findings(studio: Studio, place: Place, setting: Setting, count: int) -> Iterator[Finding]:
    """Write a place's adapter and measure it beside others, in growing frames.

    Args:
        studio: where the bundle is open.
        place: the invented location.
        setting: regime, way, seed and DDIM steps are taken from it.
        count: photographs to draw and name.

    Raises:
        UserError: if the count is out of range or an adapter is not finite.
    """
    if not 1 <= count <= MANY:
        raise UserError(f"Between 1 and {MANY} photographs can be drawn, not {count}.")
    began, world = time.perf_counter(), studio.bundle.world
    embedding = studio.bundle.condition(backgrounds(world, place))
    alike = tuple(nearest(studio, embedding))
    size = world.config.size
    empty = Finding(place, "looking", alike, Score.nothing(()), torch.zeros(0, 3, size, size, dtype=torch.uint8), 0.0)
    yield replace(empty, seconds=time.perf_counter() - began)
    arms = _arms(studio, setting, embedding, alike[0][0])
    frame = replace(empty, stage="written", score=Score.nothing([arm.name for arm in arms]))
    yield replace(frame, seconds=time.perf_counter() - began)
    shown: list[Tensor] = []
    for score in scores(studio, arms, _noted(photographs(world, place, count), shown)):
        stage: Stage = "done" if len(score.labels) == count else "measuring"
        frame = replace(frame, stage=stage, score=score, pixels=torch.cat(shown))
        yield replace(frame, seconds=time.perf_counter() - began)


def commonest(world: SavannaWorld, place: Place, count: int = 4) -> list[tuple[str, float]]:
    """The classes that a place's photographs show most often, with their shares; `empty` stands last."""
    shares = dict(zip(SPECIES, animals(world, place).tolist(), strict=True))
    empty = shares.pop(SPECIES[-1])
    return [*sorted(shares.items(), key=lambda item: -item[1])[:count], (SPECIES[-1], empty)]


def told(finding: Finding) -> str:
    """A frame in a sentence or two."""
    near, cosine = finding.alike[0]
    if finding.stage == "looking":
        return f"The place looks most like {near} (cosine {cosine:.2f}); its adapter is being written …"
    if finding.stage == "written":
        return f"The adapter was written in {finding.seconds:.1f} s; now photographs of the place are drawn …"
    shares = finding.score.shares()
    if finding.stage == "measuring":
        return f"So far: generated {shares[0].text}, pretrained {shares[1].text} …"
    first = shares[0]
    interval = f"95% interval {first.low:.0%} to {first.high:.0%}"
    return f"The generated adapter names {first.text} of the place's photographs correctly ({interval}). " + compared(
        finding.score.gaps()
    )


def _arms(studio: Studio, setting: Setting, embedding: Tensor, near: str) -> list[Arm]:
    """The adapters of a trial: generated here, none, the nearest location's, the shared one, the mean of all."""
    bundle = studio.bundle
    row = studio.generator(setting).generate(embedding[None], steps=setting.steps, seed=setting.seed)[0].cpu()
    if not bool(row.isfinite().all()):
        raise UserError("This sample is not usable (some of its weights are not finite); choose another seed.")
    return [
        Arm("generated", row),
        Arm("pretrained", plain_row(studio)),
        Arm(f"fine-tuned at {near}", tuned(studio, setting.regime, near)),
        Arm("shared", bundle.joint),
        Arm(f"mean of all {len(bundle.seen)}", studio.means(setting.regime).mean(dim=0)),
    ]


def _noted(batches: Iterator[Images], kept: list[Tensor]) -> Iterator[Images]:
    """The batches as they come, with their pixels noted."""
    for batch in batches:
        kept.append(batch.pixels)
        yield batch


@lru_cache(maxsize=8)
def _scene(location: Location, height: int, width: int) -> Plate:
    """A painted scene, kept for sliders that only develop it anew; at most 6 MB each."""
    return paint_plate(location, height, width)
