"""A visitor's labelled photographs under the adapters of the present state; no gradio."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..errors import UserError
from ..labelled import Archive, shortened
from ..worlds.base import EMPTY, Images, World
from .setting import Setting
from .studio import Studio
from .trial import Arm, Score, compared, nearest, plain_row, scores, tuned
from .words import spoken

BATCH = 24


@dataclass(frozen=True)
class Photographs:
    """A visitor's photographs as far as they are read.

    Attributes:
        images: those that could be decoded, as the classifier sees them.
        read: how many of the archive's photographs were tried.
        total: how many it has.
        problems: the sentence of each one that was left out.
        notes: sentences about folders and files that were skipped, and pictures that are not whole.
    """

    images: Images
    read: int
    total: int
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def said(self) -> str:
        """What was read and what was left out."""
        parts = [f"{len(self.images)} photographs were read.", *self.notes]
        if self.problems:
            many = f"{len(self.problems)} pictures were" if len(self.problems) > 1 else "1 picture was"
            parts.append(f"{many} left out, the first because: {self.problems[0]}")
        return " ".join(parts)


def caution(world: World) -> str:
    """What must be said beside every number on photographs that are not of the world."""
    return (
        f"{world.about} The classifier has seen no others, so yours may score near chance, about 1 in "
        f"{len(world.species)}."
    )


def reading(archive: Archive, size: int) -> Iterator[Photographs]:
    """Decode an archive's photographs to `size` pixels; yields what is there after every `BATCH` of them, and at last.

    Raises:
        UserError: at the end, if none could be decoded.
    """
    pixels: list[Tensor] = []
    labels, problems, short, total = [], [], 0, len(archive.members)
    for place, picture in enumerate(archive.pictures(size), start=1):
        if picture.pixels is None:
            problems.append(picture.problem)
        else:
            pixels.append(picture.pixels)
            labels.append(picture.label)
            short += bool(picture.note)
        if place % BATCH == 0 or place == total:
            if place == total and not pixels:
                raise UserError(f"None of the {total} pictures could be read; the first: {problems[0]}")
            stacked = torch.stack(pixels) if pixels else torch.zeros(0, 3, size, size, dtype=torch.uint8)
            images = Images(stacked, torch.tensor(labels, dtype=torch.int64))
            yield Photographs(images, place, total, tuple(problems), notes(archive, short))


def notes(archive: Archive, short: int = 0) -> tuple[str, ...]:
    """What of an archive is skipped, and how many pictures lack their end, in sentences."""
    found = []
    if short:
        found.append(f"The end of {short} of them is missing; what is there was read.")
    if archive.unknown:
        found.append(f"Skipped, because no species has that name: {shortened(archive.unknown)}.")
    if archive.others:
        many = "files that are no picture or lie" if archive.others > 1 else "file that is no picture or lies"
        found.append(f"Skipped: {archive.others} {many} in no folder.")
    return tuple(found)


def own_scores(studio: Studio, setting: Setting, images: Images) -> Iterator[Score]:
    """What the present adapters say of labelled photographs, after every `BATCH` of them.

    The first adapter is the present one.

    Raises:
        UserError: as `Studio.write`.
    """
    batches = zip(images.pixels.split(BATCH), images.labels.split(BATCH), strict=True)
    yield from scores(studio, own_arms(studio, setting, images), (Images(*batch) for batch in batches))


def own_arms(studio: Studio, setting: Setting, images: Images) -> list[Arm]:
    """The present adapter and those of A and B, one from the photographs' own background, and those written for none.

    The background is the mean condition of the photographs labelled empty; without any, of all of them, and then no
    adapter is written from it.
    """
    species = studio.bundle.world.species
    empties = images.pixels[images.labels == species.index(EMPTY)]
    embedding = studio.bundle.condition(empties if len(empties) else images.pixels)
    near = nearest(studio, embedding)[0][0]
    arms = _present(studio, setting)
    if len(empties):
        row = studio.generator(setting).generate(embedding[None], steps=setting.steps, seed=setting.seed)[0].cpu()
        arms.append(Arm("from your empty photos", row))
    return [
        *arms,
        Arm("pretrained", plain_row(studio)),
        Arm(f"fine-tuned at {near}", tuned(studio, setting.regime, near)),
        Arm("shared", studio.bundle.joint),
    ]


def _present(studio: Studio, setting: Setting) -> list[Arm]:
    """Adapters at the present weight, at A and at B, each once."""
    (a, b), weight = studio.names(setting), setting.weight
    named = {weight: f"blend at {weight:.2f}", 0.0: f"A ({a})", 1.0: f"B ({b})"}
    if setting.a == setting.b:
        named = {0.0: f"A and B ({a})"}
    present_first = sorted(named.items(), key=lambda item: (item[0] != weight, item[0]))
    return [Arm(name, studio.write(replace(setting, weight=at, samples=1))[0]) for at, name in present_first]


def told(score: Score, total: int) -> str:
    """The score so far, or at last, in sentences."""
    first = score.shares()[0]
    if len(score.labels) < total:
        return f"So far the present adapter, {first.name}: {first.text} \u2026"
    interval = f"95% interval {first.low:.0%} to {first.high:.0%}"
    begin = f"The present adapter, {first.name}, names {first.text} of your photographs correctly ({interval})."
    return f"{begin} {compared(score.gaps())}"


def species_table(score: Score, species: Sequence[str]) -> dict[str, list[list[str]] | list[str]]:
    """k/n of every adapter for each species that has photographs, with the first one's interval: `head` and `rows`."""
    rows = []
    for label, name in enumerate(species):
        shares = score.shares(label=label)
        if shares and shares[0].count:
            interval = f"{shares[0].low:.0%} to {shares[0].high:.0%}"
            rows.append([spoken(name), *(f"{share.right}/{share.count}" for share in shares), interval])
    return {"head": ["species", *score.arms, f"95% interval, {score.arms[0]}"], "rows": rows}


def mistakes(score: Score, species: Sequence[str], most: int = 8) -> list[str]:
    """The present adapter's commonest mistakes in words."""
    found = score.mistakes()[:most]
    return [f"{spoken(species[t])} named {spoken(species[n])}: {k} of {total}" for t, n, k, total in found]
