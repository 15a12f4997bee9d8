"""What an adapter changes: evaluation photographs whose prediction flips when it goes in, and pictures of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from ..evaluate import best_batch, correct_by, wilson
from ..network.folded import prepared_batches
from ..worlds.base import Enlarging
from .results import picture_uri
from .setting import IMAGES, Setting
from .studio import Studio
from .trial import plain_row

Kind = Literal["fixed", "broken", "still wrong"]

#: How many photographs of each kind are drawn for a location, in this order; all of them are counted.
DRAWN: dict[Kind, int] = {"fixed": 8, "broken": 4, "still wrong": 2}
#: Pixels a side of their pictures, three times what the classifier sees; and how many pictures are kept.
SIZE, KEPT = 288, 600


@dataclass(frozen=True)
class Flip:
    """One photograph whose prediction changed.

    Attributes:
        index: its number in the location's evaluation stream.
        kind: `fixed` from wrong to right, `broken` from right to wrong, `still wrong` from one wrong to another.
        truth: the species that it shows.
        before: what it is named without the adapter.
        after: what it is named with the adapter.
        sure_before: the softmax confidence in `before`, 0..1.
        sure_after: the softmax confidence in `after`, 0..1.
        gain: by how much the confidence in the truth grew, -1..1.
    """

    index: int
    kind: Kind
    truth: str
    before: str
    after: str
    sure_before: float
    sure_after: float
    gain: float


@dataclass(frozen=True)
class Change:
    """What one adapter changes at one location: of `images` photographs, how many are named rightly without and with
    it, and all whose prediction flips, in the order of `DRAWN`, the largest change of confidence first."""

    location: str
    images: int
    right_before: int
    right_after: int
    flips: tuple[Flip, ...]

    def count(self, kind: Kind) -> int:
        """How many flips are of a kind."""
        return sum(flip.kind == kind for flip in self.flips)

    @property
    def drawn(self) -> tuple[Flip, ...]:
        """The flips that are shown as pictures."""
        of = {kind: [flip for flip in self.flips if flip.kind == kind] for kind in DRAWN}
        return tuple(flip for kind, most in DRAWN.items() for flip in of[kind][:most])

    @property
    def intervals(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The 95% Wilson intervals of both accuracies."""
        return wilson(self.right_before, self.images), wilson(self.right_after, self.images)


@dataclass(frozen=True)
class Picture:
    """A photograph as JPEG data addresses: `large` for people if the world can, and as the classifier sees it."""

    large: str
    seen: str


class Flips:
    """Compares adapters with none, for any number of threads at once.

    It keeps what depends on a location alone: what its photographs are named without an adapter, and their pictures.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.plain = lru_cache(maxsize=None)(self._plain)
        self.picture = lru_cache(maxsize=KEPT)(self._picture)

    def row(self, setting: Setting) -> Tensor:
        """The setting's first adapter as a raw row, `[D]`.

        Raises:
            UserError: as `Studio.write`.
        """
        return self.studio.write(replace(setting, samples=1))[0]

    def at(self, row: Tensor, location: str, count: int) -> Change:
        """What a raw row `[D]` changes at a location's first `count` evaluation photographs, at most `IMAGES[-1]`, and
        as many as there are."""
        labels = self.studio.images(location, count).labels[:count]
        before, after = self.plain(location)[:count], self._named(row, location, count)
        right_before, right_after = (int(correct_by(named, labels).sum()) for named in (before, after))
        found = flips(before, after, labels, self.studio.bundle.world.species)
        return Change(location, len(labels), right_before, right_after, found)

    def _plain(self, location: str) -> Tensor:
        """Confidences `[IMAGES[-1], K]` of a location's photographs without an adapter."""
        return self._named(plain_row(self.studio), location, IMAGES[-1])

    @torch.inference_mode()
    def _named(self, row: Tensor, location: str, count: int) -> Tensor:
        """Confidences `[count, K]` of a location's photographs under a raw row, on the CPU; each line sums to 1."""
        device, pixels = self.studio.bundle.device, self.studio.images(location, count).pixels[:count]
        with self.studio.wearing(row[None]) as [network]:
            batches = prepared_batches(pixels, best_batch(device), device, network.standard)
            parts = [network(batch) for batch in batches]
        return torch.cat(parts).softmax(dim=1).cpu()

    def _picture(self, location: str, index: int) -> Picture:
        """Evaluation photograph `index` of a location, as large as the world can draw it and as it is."""
        world, pixels = self.studio.bundle.world, self.studio.images(location, IMAGES[-1]).pixels[index]
        seen = picture_uri(pixels, width=world.size, quality=90)
        if not isinstance(world, Enlarging):
            return Picture(seen, seen)
        return Picture(picture_uri(world.enlarged(location, index, SIZE), width=SIZE, quality=80), seen)


def flips(before: Tensor, after: Tensor, labels: Tensor, species: Sequence[str]) -> tuple[Flip, ...]:
    """The photographs whose prediction changes, as `Change` orders them.

    Args:
        before: confidences without the adapter, `[M, K]`.
        after: confidences with it, `[M, K]`.
        labels: the true species, `[M]`.
        species: names of the K classes.
    """
    changed = (before.argmax(dim=1) != after.argmax(dim=1)).nonzero().flatten().tolist()
    found = [_flip(index, before[index], after[index], int(labels[index]), species) for index in changed]
    order = list(DRAWN)
    return tuple(sorted(found, key=lambda flip: (order.index(flip.kind), -abs(flip.gain), flip.index)))


def _flip(index: int, before: Tensor, after: Tensor, truth: int, species: Sequence[str]) -> Flip:
    first, last = int(before.argmax()), int(after.argmax())
    kind: Kind = "fixed" if last == truth else "broken" if first == truth else "still wrong"
    names = (species[truth], species[first], species[last])
    return Flip(index, kind, *names, float(before[first]), float(after[last]), float(after[truth] - before[truth]))
