"""The savanna: procedural camera traps, deterministic and without end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import UserError
from ..base import EMPTY, Images, Split, location_of
from . import animals
from .caption import Pairs, caption
from .inventing import SavannaInventing
from .location import Location, draw_location, rng_of, with_habitat
from .plate import Plate, paint_plate
from .prior import empty_share, fitted_habitat, species_prior
from .shot import MIN_AREA, Shot, draw_shot, render

SPECIES: tuple[str, ...] = (*animals.SPECIES, EMPTY)
#: The paper's ten locations to fine-tune at (Table 5) and five to generalise to (Table 3).
SEEN = ("R10", "R12", "U11", "Q08", "M08", "D09", "H13", "S09", "U13", "S12")
UNSEEN = ("D03", "D04", "E03", "E01", "F05")
PRETRAINING = tuple(f"P{index:03d}" for index in range(100))


#: What a savanna's numbers may be.
RANGES = {
    "size": (16, 2_048), "shift": (0, 10), "seed": (0, 2**31 - 1), "train_images": (1, 1_000_000),
    "eval_images": (1, 1_000_000), "background_images": (1, 1_000),
}  # fmt: skip


@dataclass(frozen=True)
class SavannaConfig:
    """What fixes every pixel of a savanna.

    `size`: picture height and width in pixels. `shift`: how far locations differ, set on the pretraining locations.
    `train_images`, `eval_images`, `background_images`: how many a location has.
    """

    size: int = 96
    shift: float = 0.8
    seed: int = 0
    train_images: int = 1200
    eval_images: int = 200
    background_images: int = 8

    def __post_init__(self) -> None:
        for name, (low, high) in RANGES.items():
            value: Any = getattr(self, name)
            fits = isinstance(value, int | float if name == "shift" else int) and not isinstance(value, bool)
            if not fits or not low <= value <= high:
                raise UserError(f"A savanna's {name} must be a number from {low} to {high:,}, not {value!r}.")


@dataclass(frozen=True)
class SavannaWorld:
    """115 named locations (100 to pretrain, the paper's ten and five) and any other that is handed in."""

    config: SavannaConfig = field(default_factory=SavannaConfig)

    kind: str = "savanna"
    species: tuple[str, ...] = SPECIES
    locations: tuple[str, ...] = (*SEEN, *UNSEEN, *PRETRAINING)
    about: str = f"All photographs here are drawn by a program, a procedural savanna with {len(SPECIES) - 1} species."
    caution: str = "No real animal was photographed, and no number of this savanna is about real photographs."
    portable: bool = True

    @property
    def size(self) -> int:
        """Height and width of the photographs in pixels."""
        return self.config.size

    def to_json(self) -> dict[str, Any]:
        """The spec that it is opened again from."""
        return {"kind": self.kind, "config": asdict(self.config)}

    def location(self, name: str) -> Location:
        """The numbers of a named location.

        Raises:
            UserError: if there is none of that name.
        """
        return _named(location_of(name, self.locations), self.config.seed, self.config.shift)

    def prior(self, location: Location) -> np.ndarray:
        """Share of each of the K classes among a location's photographs: `[19]`, `empty` last."""
        empty = empty_share(location, seed=self.config.seed)
        return np.append(species_prior(location, seed=self.config.seed) * (1 - empty), empty)

    def images(self, location: str, split: Split, first: int | None = None) -> Images:
        """Photographs of a named location, pixels uint8 `[M, 3, H, W]`; each split draws from a stream of its own.

        The streams have no end: `first` may ask for more than the usual number.
        """
        return self.photograph(self.location(location), split, self._usual(split) if first is None else first)

    def labels(self, location: str, split: Split, first: int | None = None) -> Tensor:
        """The labels of `images`, int64 `[M]`, without painting one."""
        place, count = self.location(location), self._usual(split) if first is None else first
        chances = np.cumsum(self.prior(place))
        labels = [self._begun(place, split, index, chances)[0] for index in range(count)]
        return torch.tensor(labels, dtype=torch.int64)

    def backgrounds(self, location: str) -> Tensor:
        """Pictures of the empty place by day: uint8 `[G, 3, H, W]`."""
        return self.empties(self.location(location), self.config.background_images)

    def fresh_backgrounds(self, location: str, count: int) -> Tensor:
        """`count` more pictures of the empty place by day, none of `backgrounds`: uint8 `[count, 3, H, W]`."""
        known = self.config.background_images
        return self.empties(self.location(location), known + count)[known:]

    def show(self, location: str, height: int) -> Tensor:
        """The first background to look at, uint8 `[3, height, W]`, four to three."""
        return self.empties(self.location(location), 1, height=height, width=height * 4 // 3)[0]

    def caption(self, location: str) -> str:
        """What a person would say of the empty place."""
        return caption(self.location(location))

    def captioned(self, locations: Sequence[str]) -> Pairs:
        """Backgrounds of named locations with their captions."""
        return Pairs([self.location(name) for name in locations], self.config.size)

    def captioned_others(self, count: int, seed: int) -> Pairs:
        """Backgrounds with captions of `count` places that differ a little more than the named ones do."""
        shift = self.config.shift * 1.2
        return Pairs([draw_location(f"C{place:04d}", seed=seed, shift=shift) for place in range(count)], self.size)

    def inventing(self) -> SavannaInventing:
        """The way to invent a location."""
        return SavannaInventing(self)

    def photograph(
        self, location: Location, stream: str, count: int, *, classes: Sequence[int] | None = None
    ) -> Images:
        """`count` photographs at any location; `classes` fixes the labels, otherwise the location's prior draws them.

        Picture number i depends on (seed, location, stream, i) alone.
        """
        plate = self.plate(location, self.config.size)
        chances = np.cumsum(self.prior(location))
        pixels, labels = [], []
        for index in range(count):
            drawn, rng = self._begun(location, stream, index, chances)
            label = drawn if classes is None else int(classes[index])
            pixels.append(_photo(plate, label, rng))
            labels.append(label)
        stacked = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous()
        return Images(stacked, torch.tensor(labels, dtype=torch.int64))

    def enlarged(self, location: str, index: int, size: int) -> Tensor:
        """Evaluation photograph `index` of a named location, drawn again larger: uint8 `[3, size, size]`.

        The same animals stand in the same light on the same scene: of the tries, the one that the photograph's own size
        chose is drawn. Only the sensor's grain differs, which is a matter of pixels.

        Raises:
            UserError: if there is no such location, or the size is not 16 to 2048 pixels.
        """
        if not 16 <= size <= 2048:
            raise UserError(f"A photograph can be drawn with 16 to 2048 pixels a side, not {size}.")
        place = self.location(location)
        label, rng = self._begun(place, "eval", index, np.cumsum(self.prior(place)))
        shot, pixels = _chosen(self.plate(place, self.config.size), label, rng)
        if size != self.config.size:
            pixels = render(self.plate(place, size), shot)[0]
        return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()

    def _usual(self, split: Split) -> int:
        return self.config.train_images if split == "train" else self.config.eval_images

    def _begun(
        self, location: Location, stream: str, index: int, chances: np.ndarray
    ) -> tuple[int, np.random.Generator]:
        """The drawn label of a photograph, and the random numbers that its shot goes on with.

        `chances` `[K]` sums up the classes' shares.
        """
        rng = rng_of("shot", self.config.seed, location.name, stream, index)
        drawn = int(np.searchsorted(chances, float(rng.random()) * chances[-1]))
        return min(drawn, len(SPECIES) - 1), rng

    def empties(self, location: Location, count: int, *, height: int | None = None, width: int | None = None) -> Tensor:
        """`count` daylight pictures of an empty location, uint8 `[count, 3, H, W]`."""
        tall = height or self.config.size
        plate = self.plate(location, tall, width or tall)
        frames = []
        for index in range(count):
            rng = rng_of("background", self.config.seed, location.name, index)
            frames.append(render(plate, draw_shot(location, None, rng).by_day())[0])
        return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).contiguous()

    def plate(self, location: Location, height: int, width: int | None = None) -> Plate:
        """The location's painted scene, kept for the next call."""
        return _plate(location, height, width or height)


@lru_cache(maxsize=160)
def _plate(location: Location, height: int, width: int) -> Plate:
    return paint_plate(location, height, width)


@lru_cache(maxsize=512)
def _named(name: str, seed: int, shift: float) -> Location:
    location = draw_location(name, seed=seed, shift=shift)
    return with_habitat(location, **fitted_habitat(name, seed=seed)) if name in SEEN + UNSEEN else location


def _photo(plate: Plate, label: int, rng: np.random.Generator) -> np.ndarray:
    """A photograph whose animal can be seen: hidden or tiny ones are drawn again."""
    return _chosen(plate, label, rng)[1]


def _chosen(plate: Plate, label: int, rng: np.random.Generator) -> tuple[Shot, np.ndarray]:
    """The shot of a photograph and its pixels: of up to eight tries the first, or else the best, to show its animal."""
    species = None if label == len(SPECIES) - 1 else SPECIES[label]
    best, most = None, -1.0
    for _ in range(8):
        shot = draw_shot(plate.location, species, rng)
        pixels, seen = render(plate, shot)
        if species is None or seen >= MIN_AREA:
            return shot, pixels
        if seen > most:
            best, most = (shot, pixels), seen
    if best is None:
        raise UserError(f"No photograph of a {species} could be made at '{plate.location.name}'.")
    return best
