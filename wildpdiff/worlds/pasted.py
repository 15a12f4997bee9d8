"""Animals of some cameras, cut out and pasted on the empty places of others: more tasks than labelled photographs give.

In a sketch on 1,275 real photographs no variant of this had a gain at held-out cameras that an interval resolves, and
classifiers learned that something was pasted. So patches of background are pasted, too, as `empty`, and how often they
are called an animal is measured beside every accuracy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ..errors import UserError
from ..picture import resized
from ..survey.look import is_infrared
from ..survey.records import Box
from .base import EMPTY, Images, Split, location_of
from .cameras import CameraWorld
from .cameras import open_world as open_cameras
from .hashed import fraction
from .reader import cropped
from .shots import Shot
from .strips import Strips

Mask = Literal["box", "difference"]
#: Height in pixels of the photographs that are cut and pasted.
_HEIGHT = 384
#: An animal is made at most this many times brighter or darker, to fit its new place.
_GAIN = 2.0
#: Tries of finding files that can be read.
_TRIES = 8
#: Levels of 255 by which an animal differs from the burst's median picture.
_DIFFERENT = 18.0


@dataclass(frozen=True)
class Pasting:
    """How pictures are pasted.

    Attributes:
        count: of pasted pictures at each location.
        cutters: cameras whose animals are cut out.
        prior: chance of each class, `empty` (a patch of background) among them; of none given, the shares among the
            cutters' training photographs.
        mask: the whole box with a soft edge, or what in it differs from the median of the burst's frames.
        real: whether a location's own training photographs stand before the pasted ones.
        seed: of all draws.
    """

    count: int = 100
    cutters: tuple[str, ...] = ()
    prior: Mapping[str, float] | None = None
    mask: Mask = "box"
    real: bool = True
    seed: int = 0


class PastedWorld:
    """A `CameraWorld` whose training photographs are added to by pasting; what is measured on stays real.

    Attributes:
        real: the world without what was pasted.
        prior: chance of each class among the pasted pictures, `[K]`.
    """

    kind = "pasted"
    portable = False

    def __init__(self, world: CameraWorld, pasting: Pasting) -> None:
        """Paste by a plan.

        Raises:
            UserError: if a cutter is not known, none has a box, or the prior names no class of the world.
        """
        self.real, self.pasting = world, pasting
        self.species, self.locations, self.size, self.caution = (
            world.species,
            world.locations,
            world.size,
            world.caution,
        )
        cutters = [location_of(name, world.locations) for name in pasting.cutters]
        animals = [shot for name in cutters for shot in world.shots_at(name, "train") if self._cuttable(shot)]
        self._animals = {
            label: [shot for shot in animals if shot.label == label] for label in {s.label for s in animals}
        }
        self._boxes = [shot.box for shot in animals]
        self._patches = [file for name in cutters for file in world.background_files(name)]
        if not animals or not self._patches:
            raise UserError(
                "There is nothing to paste: the cameras to cut from need boxes of animals, and empty frames."
            )
        self.prior = self._prior()
        self._read = lru_cache(maxsize=200)(lambda file: world.frame(file, _HEIGHT))

    @property
    def about(self) -> str:
        """What the photographs are."""
        return f"{self.real.about} Adapters also learned from animals that were pasted on empty places."

    @property
    def notes(self) -> tuple[str, ...]:
        """As the world's own."""
        return self.real.notes

    def to_json(self) -> dict[str, Any]:
        """The spec that it is opened again from."""
        own = {name: getattr(self.pasting, name) for name in ("count", "mask", "real", "seed")}
        prior = None if self.pasting.prior is None else dict(self.pasting.prior)
        return {
            "kind": self.kind,
            "of": self.real.to_json(),
            "cutters": list(self.pasting.cutters),
            "prior": prior,
            **own,
        }

    def labels(self, location: str, split: Split, first: int | None = None) -> Tensor:
        """Labels `[M]` of the real photographs and then of the pasted ones; no file is opened."""
        if split == "eval":
            return self.real.labels(location, split, first)
        real = self.real.labels(location, "train") if self.pasting.real else torch.empty(0, dtype=torch.int64)
        drawn = torch.tensor(
            [self._label(location, place) for place in range(self._count(location))], dtype=torch.int64
        )
        return torch.cat([real, drawn])[:first]

    def images(self, location: str, split: Split, first: int | None = None) -> Images:
        """The (first) pictures of a location: real ones, and for training pasted ones after them.

        Raises:
            UserError: as `CameraWorld.images`.
        """
        if split == "eval":
            return self.real.images(location, split, first)
        real = Images(torch.empty(0, 3, self.size, self.size, dtype=torch.uint8), torch.empty(0, dtype=torch.int64))
        if self.pasting.real and self.real.shots_at(location, "train"):
            real = self.real.images(location, split, first)
        wanted = self._count(location) if first is None else min(self._count(location), first - len(real))
        pasted = [self.pasted(location, place) for place in range(wanted)]
        if not pasted:
            return real if len(real) else self.real.images(location, split, first)
        pixels = torch.cat([real.pixels, torch.stack([picture for picture, _ in pasted])])
        return Images(pixels, torch.cat([real.labels, torch.tensor([label for _, label in pasted])]))

    def backgrounds(self, location: str) -> Tensor:
        """As the world's own."""
        return self.real.backgrounds(location)

    def show(self, location: str, height: int) -> Tensor:
        """As the world's own."""
        return self.real.show(location, height)

    def pasted(self, location: str, place: int) -> tuple[Tensor, int]:
        """Pasted picture number `place` of a location: uint8 `[3, size, size]` and its label.

        Raises:
            UserError: if no file that is needed can be read.
        """
        rng, label = self._rng(location, place), self._label(location, place)
        places = self.real.background_files(location)
        for _ in range(_TRIES):
            ground = self._read(places[_draw(rng, len(places))])
            cut = None if ground is None else self._cut(label, rng, is_infrared(ground))
            if ground is not None and cut is not None:
                frame, box = _paste(ground, *cut, rng)
                return resized(cropped(Strips(), frame, box), self.size, self.size), label
        raise UserError(f"The photographs to paste at location '{location}' cannot be read; fetch their files anew.")

    def _cut(self, label: int, rng: torch.Generator, grey: bool) -> tuple[Tensor, Tensor, Box] | None:
        """Something to paste of a class: the frame that it is cut from, how much of each pixel is it, and its box.

        `grey` is the light of the place: of as many tries one in the same light is taken, and colour is never brought
        to an infrared picture.
        """
        frame, best, shot = None, None, None
        for _ in range(_TRIES):
            drawn = self._something(label, rng)
            frame = self._read(drawn.file)
            if frame is not None:
                best, shot = frame, drawn
                if is_infrared(frame) == grey:
                    break
        if best is None or shot is None or shot.box is None:
            return None
        box = without_strips(shot.box, self.real.strips)
        mask = _soft(best, box)
        if self.pasting.mask == "difference" and label != self.species.index(EMPTY):
            mask = mask * self._different(shot, best)
        return (best.float().mean(dim=0, keepdim=True).expand(3, -1, -1) if grey else best), mask, box

    def _something(self, label: int, rng: torch.Generator) -> Shot:
        """An animal of a class, or a patch of background in the shape of an animal's box."""
        if label != self.species.index(EMPTY):
            return self._animals[label][_draw(rng, len(self._animals[label]))]
        file, shape = self._patches[_draw(rng, len(self._patches))], self._boxes[_draw(rng, len(self._boxes))]
        return Shot(file, label, "train", "", shape)

    def _different(self, shot: Shot, frame: Tensor) -> Tensor:
        """How much each pixel differs from the median of the burst's frames, 0 to 1; all 1 where there is no burst."""
        files = sorted({other.file for other in self._animals[shot.label] if other.burst == shot.burst})
        frames = [other for other in map(self._read, files) if other is not None and other.shape == frame.shape]
        if len(frames) < 3:
            return torch.ones(frame.shape[1:])
        median = torch.stack([other.float().mean(dim=0) for other in frames]).median(dim=0).values
        apart = (frame.float().mean(dim=0) - median).abs() / _DIFFERENT
        return torch.nn.functional.avg_pool2d(apart.clamp(0, 1)[None], 9, stride=1, padding=4)[0].mul(2).clamp(0, 1)

    def _prior(self) -> Tensor:
        """Chance of each class, `[K]`, of those that there is something to paste of."""
        have = set(self._animals) | {self.species.index(EMPTY)}
        if self.pasting.prior is None:
            labels = [shot.label for name in self.pasting.cutters for shot in self.real.shots_at(name, "train")]
            chances = torch.bincount(torch.tensor(labels), minlength=len(self.species)).double()
            chances[-1] = chances[-1].clamp(min=1)
        else:
            unknown = set(self.pasting.prior) - set(self.species)
            if unknown:
                raise UserError(
                    f"The prior names '{min(unknown)}', which is no class; choose of: {', '.join(self.species)}."
                )
            chances = torch.tensor([float(self.pasting.prior.get(name, 0.0)) for name in self.species]).double()
        chances = torch.tensor(
            [value if place in have else 0.0 for place, value in enumerate(chances.tolist())]
        ).double()
        if not bool((chances >= 0).all()) or not 0 < float(chances.sum()) < float("inf"):
            raise UserError("The prior leaves nothing to paste; give shares above 0 of classes that have boxes.")
        return chances / chances.sum()

    def _cuttable(self, shot: Shot) -> bool:
        return shot.box is not None and shot.label != self.species.index(EMPTY)

    def _count(self, location: str) -> int:
        return self.pasting.count if self.real.background_files(location) else 0

    def _label(self, location: str, place: int) -> int:
        level = fraction("class", f"{location}\0{place}", self.pasting.seed)
        return min(int(torch.searchsorted(self.prior.cumsum(0), level, right=True)), len(self.species) - 1)

    def _rng(self, location: str, place: int) -> torch.Generator:
        return torch.Generator().manual_seed(int(fraction("paste", f"{location}\0{place}", self.pasting.seed) * 2**53))


def without_strips(box: Box, strips: Strips) -> Box:
    """A box of a photograph, as shares of what is left when the strips are cut away."""
    left = 1.0 - strips.top - strips.bottom
    top = max(0.0, (box.top - strips.top) / left)
    return Box(box.left, top, box.width, min(box.height / left, 1.0 - top), box.kind, box.confidence)


def _draw(rng: torch.Generator, count: int) -> int:
    return int(torch.randint(count, (), generator=rng))


def _soft(frame: Tensor, box: Box) -> Tensor:
    """How much of each pixel of a frame `[3, H, W]` belongs to a box, `[H, W]`: softly at its rounded edge."""
    height, width = frame.shape[-2:]
    y = (torch.arange(height)[:, None] / height - box.top - box.height / 2) / max(box.height / 2, 1e-3)
    x = (torch.arange(width)[None] / width - box.left - box.width / 2) / max(box.width / 2, 1e-3)
    return ((1.15 - (x**4 + y**4) ** 0.25) / 0.3).clamp(0, 1)


def _paste(ground: Tensor, cut: Tensor, mask: Tensor, box: Box, rng: torch.Generator) -> tuple[Tensor, Box]:
    """A frame with something of another one pasted on it, `[3, H, W]` uint8, and the box where it is now.

    It keeps its size and about its height above the lower edge, as perspective wants; its brightness follows the place.
    """
    height, width = ground.shape[-2:]
    if cut.shape[-2:] != ground.shape[-2:]:
        cut = resized(cut.to(torch.uint8), height, width)
        mask = torch.nn.functional.interpolate(mask[None, None], (height, width), mode="bilinear")[0, 0]
    right = round(float(torch.rand((), generator=rng)) * (1 - box.width) * width - box.left * width)
    most = 0.05 * height
    down = round(float(torch.rand((), generator=rng)) * 2 * most - most)
    down = min(max(down, -int(box.top * height)), int((1 - box.top - box.height) * height))
    moved, there = _moved(cut.float(), right, down), _moved(mask[None], right, down)
    weight = there.sum().clamp(min=1e-3)
    gain = ((ground.float() * there).sum() / (moved * there).sum().clamp(min=1e-3)).clamp(1 / _GAIN, _GAIN)
    pasted = ground.float() * (1 - there) + (moved * gain).clamp(0, 255) * there if weight > 0.01 else ground.float()
    new = Box(box.left + right / width, box.top + down / height, box.width, box.height)
    return pasted.round().clamp(0, 255).to(torch.uint8), new


def _moved(frame: Tensor, right: int, down: int) -> Tensor:
    """A frame `[C, H, W]` moved by whole pixels; what comes in from outside is black, or no mask."""
    height, width = frame.shape[-2:]
    moved = torch.zeros_like(frame)
    into_y, from_y = slice(max(0, down), height + min(0, down)), slice(max(0, -down), height + min(0, -down))
    into_x, from_x = slice(max(0, right), width + min(0, right)), slice(max(0, -right), width + min(0, -right))
    moved[:, into_y, into_x] = frame[:, from_y, from_x]
    return moved


def open_world(spec: Mapping[str, Any], folder: Path) -> PastedWorld:
    """A world from its spec: `of`, the spec of a `CameraWorld`, and the fields of `Pasting`.

    Raises:
        UserError: as `PastedWorld`, or if the spec lacks something or names something unknown.
    """
    options: dict[str, Any] = {key: value for key, value in spec.items() if key not in ("kind", "of")}
    try:
        cutters: Sequence[str] = options.pop("cutters")
        return PastedWorld(open_cameras(spec["of"], folder), Pasting(cutters=tuple(cutters), **options))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"The world's spec does not fit pasted photographs ({error}).") from None
