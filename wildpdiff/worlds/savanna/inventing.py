"""A location that a visitor invents: its numbers, its pictures, its animals and its photographs.

Everything depends on the location's numbers alone: the same ones give the same pictures, photographs and counts.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...errors import UserError
from ..base import Images
from . import animals, factors
from .caption import caption
from .location import BOUNDS, Location, draw_location, rng_of
from .pasting import pasted
from .plate import Plate, paint_plate
from .prior import AFFINITY
from .shot import draw_shot, render

if TYPE_CHECKING:
    from .world import SavannaWorld

#: Photographs that are drawn together.
BATCH = 24
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
class SavannaInventing:
    """Inventing locations of a savanna; see `base.Inventing`."""

    world: SavannaWorld

    def sliders(self) -> list[dict[str, Any]]:
        """The groups of numbers for the page."""
        return factors.groups()

    def place_of(self, values: Mapping[str, Any]) -> Place:
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
            raise UserError(
                "The invented location lacks a number, or one of them is none; choose a start again."
            ) from None
        if not all(map(math.isfinite, numbers.values())) or not 0 <= seed < 2**31:
            raise UserError("Every number of an invented location must be finite; choose a start again.")
        return Place(Location(name=name_of(seed, like), strip=strip, seed=seed, **numbers), like)

    def values_of(self, place: Place) -> dict[str, Any]:
        """A place as the page's numbers; `place_of` turns them back."""
        return {key: value for key, value in asdict(place.location).items() if key != "name"} | {"like": place.like}

    def like(self, location: str) -> Place:
        """The start from a named location: its numbers and its animals.

        Raises:
            UserError: if there is none of that name.
        """
        named = self.world.location(location)
        return Place(replace(named, name=name_of(named.seed, location)), location)

    def surprise(self, seed: int) -> Place:
        """A location drawn as the world draws its own, with animals of its own."""
        drawn = draw_location("surprise", seed=seed, shift=self.world.config.shift)
        return Place(replace(drawn, name=name_of(drawn.seed, "")))

    def scene(self, place: Place, height: int, width: int) -> Tensor:
        """The empty place by day, uint8 `[3, H, W]`: what `world.empties` gives first, but kept out of its cache.

        Below 161 rows a scene is painted at four times the size, above at twice, so 162 rows are the quickest;
        painting the plants costs the same at every size.
        """
        location = place.location
        plate = _scene(replace(location, name="", **DEVELOPED), height, width)
        shot = draw_shot(location, None, rng_of("background", self.world.config.seed, location.name, 0)).by_day()
        pixels, _ = render(replace(plate, location=location), shot)
        return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()

    def empty_place(self, place: Place) -> Tensor:
        """The pictures that the condition is made of, as many and as large as a bundle's: uint8 `[G, 3, H, W]`."""
        return self.world.empties(place.location, self.world.config.background_images)

    def empties(self, place: Place, count: int) -> Tensor:
        """`count` pictures of the empty place by day, which begin as `empty_place` does: uint8 `[count, 3, H, W]`."""
        return self.world.empties(place.location, count)

    def pasted(self, grounds: Tensor, labels: Sequence[int], *, seed: int, others: Tensor | None = None) -> Images:
        """Cut-out animals on pictures of an empty place; see `pasting.pasted`."""
        return pasted(grounds, labels, seed=seed, others=others)

    def caption(self, place: Place) -> str:
        """What a person would say of the empty place."""
        return caption(place.location)

    def shares(self, place: Place) -> list[float]:
        """Share of each of the K classes among a place's photographs; they sum up to 1, `empty` stands last.

        A place that began like a named one has that one's animals, moved by what the habitat differs from it; without
        a start, the world's own rule for new locations holds.
        """
        if not place.like:
            return self.world.prior(place.location).tolist()
        start = self.world.location(place.like)
        shares = self.world.prior(start)
        pull = np.array([AFFINITY[name] for name in animals.SPECIES]) @ (place.location.habitat - start.habitat)
        moved = shares[:-1] * np.exp(pull)
        return np.append(moved / moved.sum() * (1 - shares[-1]), shares[-1]).tolist()

    def photographs(self, place: Place, count: int) -> Iterator[Images]:
        """The first `count` labelled photographs of a place in batches; number i is the same whatever the count."""
        chances = np.cumsum(np.array(self.shares(place)))
        for batch in range(math.ceil(count / BATCH)):
            rng = rng_of("invented", self.world.config.seed, place.location.name, batch)
            labels = np.searchsorted(chances, rng.random(BATCH) * chances[-1], side="right").clip(max=len(chances) - 1)
            some = labels[: min(BATCH, count - batch * BATCH)].tolist()
            yield self.world.photograph(place.location, f"invented/{batch}", len(some), classes=some)


def name_of(seed: int, like: str) -> str:
    """The world's name for an invented location.

    It comes from the start alone, so that a slider changes what it says and nothing else: the same animals pass in the
    same poses, in the light of the same hours, while the scene around them changes.
    """
    return f"invented-{hashlib.sha256(f'{seed}/{like}'.encode()).hexdigest()[:12]}"


@lru_cache(maxsize=8)
def _scene(location: Location, height: int, width: int) -> Plate:
    """A painted scene, kept for sliders that only develop it anew; at most 6 MB each."""
    return paint_plate(location, height, width)
