"""A location that a user invents: its adapter, and how often that is right there; no gradio.

What a place is, its world knows; the same numbers give the same pictures, photographs and counts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from ..errors import UserError
from ..universal.universal import Universal
from ..worlds.base import EMPTY, Images, Inventing, Inventive
from .pictures import Upload
from .setting import Setting
from .studio import Studio
from .trial import Arm, Score, compared, nearest, plain_row, scores, tuned
from .universal import BOTH, NEITHER, Halves, served

Stage = Literal["looking", "written", "measuring", "done"]

#: Height and width of the picture while a slider moves and when it rests.
QUICK, SHARP = (162, 243), (320, 480)
#: How many photographs are drawn and named, few or at most.
FEW, MANY = 96, 192


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

    place: Any
    stage: Stage
    alike: tuple[tuple[str, float], ...]
    score: Score
    pixels: Tensor
    seconds: float


def inventing_in(studio: Studio) -> Inventing:
    """The way to invent a location of the studio's world.

    Raises:
        UserError: if it has none.
    """
    world = studio.bundle.world
    if not isinstance(world, Inventive):
        raise UserError("No location can be invented in this world.")
    return world.inventing()


def upload(studio: Studio, place: Any) -> Upload:
    """A place as a background of the visitor's own, for the page's bar: its embedding is the one that is measured."""
    inventing = inventing_in(studio)
    pictures = inventing.empty_place(place)
    embedding = studio.bundle.condition(pictures)
    left = (SHARP[1] - SHARP[0]) // 2
    square = inventing.scene(place, *SHARP)[:, :, left : left + SHARP[0]].contiguous()
    near = tuple(nearest(studio, embedding)[:3])
    return Upload("an invented place", embedding, square, near, known=studio.known(pictures))


def findings(studio: Studio, place: Any, setting: Setting, count: int, halves: Halves = BOTH) -> Iterator[Finding]:
    """Write a place's adapter and measure it beside others, in growing frames.

    Args:
        studio: where the bundle is open.
        place: the invented location.
        setting: regime, way, seed and DDIM steps are taken from it.
        count: photographs to draw and name.
        halves: which halves of generator U's adapter are the place's own.

    Raises:
        UserError: if the count is out of range or an adapter is not finite.
    """
    if not 1 <= count <= MANY:
        raise UserError(f"Between 1 and {MANY} photographs can be drawn, not {count}.")
    began, inventing = time.perf_counter(), inventing_in(studio)
    pictures = inventing.empty_place(place)
    embedding = studio.bundle.condition(pictures)
    alike = tuple(nearest(studio, embedding))
    size = studio.bundle.world.size
    empty = Finding(place, "looking", alike, Score.nothing(()), torch.zeros(0, 3, size, size, dtype=torch.uint8), 0.0)
    yield replace(empty, seconds=time.perf_counter() - began)
    arms = _arms(studio, setting, embedding, alike[0][0])
    if (universal := studio.bundle.universal) is not None:
        arms = _universal_arms(studio, universal, pictures, halves, setting.regime, arms)
    frame = replace(empty, stage="written", score=Score.nothing([arm.name for arm in arms]))
    yield replace(frame, seconds=time.perf_counter() - began)
    shown: list[Tensor] = []
    for score in scores(studio, arms, _noted(inventing.photographs(place, count), shown)):
        stage: Stage = "done" if len(score.labels) == count else "measuring"
        frame = replace(frame, stage=stage, score=score, pixels=torch.cat(shown))
        yield replace(frame, seconds=time.perf_counter() - began)


def commonest(studio: Studio, place: Any, count: int = 4) -> list[tuple[str, float]]:
    """The classes that a place's photographs show most often, with their shares; `empty` stands last."""
    shares = dict(zip(studio.bundle.world.species, inventing_in(studio).shares(place), strict=True))
    empty = shares.pop(EMPTY)
    return [*sorted(shares.items(), key=lambda item: -item[1])[:count], (EMPTY, empty)]


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


def _universal_arms(
    studio: Studio, universal: Universal, pictures: Tensor, halves: Halves, regime: str, arms: Sequence[Arm]
) -> list[Arm]:
    """The arms with generator U's adapter as the first, and its joint row for all places in the shared one's stead."""
    known = universal.known(studio.bundle.backbone, pictures)
    own, every = (served(studio, universal, known, which) for which in (halves, NEITHER))
    old = {arm.name: arm for arm in arms if arm.name != "shared"}
    generated, pretrained, *others = old.values()
    return [
        Arm("generated by U", own.adapter),
        pretrained,
        Arm("for all places", every.adapter),
        Arm(f"generated, {regime}", generated.adapter),
        *others,
    ]


def _noted(batches: Iterator[Images], kept: list[Tensor]) -> Iterator[Images]:
    """The batches as they come, with their pixels noted."""
    for batch in batches:
        kept.append(batch.pixels)
        yield batch
