"""Places drawn anew: a world without end, as tensors in files that a killed run goes on from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from ..errors import UserError
from ..files import load_tensors, save_tensors
from ..worlds.base import Inventing, Inventive, World

#: Where the seeds of each kind of place begin, so that no two kinds share a place.
FIRST = {"train": 0, "validation": 1_000_000, "test": 2_000_000, "scenes": 3_000_000}


@dataclass(frozen=True)
class Places:
    """P places of a world: M labelled photographs and G pictures without animals of each.

    Attributes:
        pixels: photographs, uint8 `[P, M, 3, H, W]`.
        labels: the class of each, int64 `[P, M]`.
        empties: pictures of the empty place, uint8 `[P, G, 3, H, W]`.
        shares: share of each of the K classes among a place's photographs, `[P, K]`; rows sum up to 1.
        captions: what a person would say of each.
        values: the numbers that the world drew for each, by name; only what tests read.
    """

    pixels: Tensor
    labels: Tensor
    empties: Tensor
    shares: Tensor
    captions: tuple[str, ...]
    values: tuple[dict[str, Any], ...]

    def __len__(self) -> int:
        return len(self.empties)

    def __getitem__(self, wanted: slice) -> Self:
        """Some of the places."""
        parts = (self.pixels[wanted], self.labels[wanted], self.empties[wanted], self.shares[wanted])
        return type(self)(*parts, self.captions[wanted], self.values[wanted])

    @classmethod
    def together(cls, parts: Sequence[Places]) -> Self:
        """Several sets of places as one."""
        tensors: dict[str, Any] = {name: torch.cat([getattr(part, name) for part in parts]) for name in _TENSORS}
        captions = tuple(text for part in parts for text in part.captions)
        return cls(**tensors, captions=captions, values=tuple(own for part in parts for own in part.values))

    def save(self, path: Path) -> None:
        """Write them as one file, whole or not at all."""
        words = {"captions": json.dumps(self.captions), "values": json.dumps(self.values)}
        save_tensors(path, {name: getattr(self, name) for name in _TENSORS}, words)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            UserError: if the file is missing or damaged.
        """
        tensors, words = load_tensors(path)
        captions, values = (tuple(json.loads(words[name])) for name in ("captions", "values"))
        whole: dict[str, Any] = {name: tensors[name] for name in _TENSORS}
        return cls(**whole, captions=captions, values=values)


_TENSORS = ("pixels", "labels", "empties", "shares")


def draw(world: World, seeds: Sequence[int], *, photographs: int, empties: int) -> Places:
    """Draw places as the world draws its own, one for each seed.

    Args:
        world: one in which places can be invented.
        seeds: of the places; the same one is always the same place.
        photographs: M, of each place.
        empties: G, of each place.

    Raises:
        UserError: if no place can be invented in the world.
    """
    inventing = inventing_in(world)
    places = [inventing.surprise(seed) for seed in seeds]
    shots = [list(inventing.photographs(place, photographs)) for place in places]
    size, shape = world.size, (len(places), photographs)
    return Places(
        _joined([[part.pixels for part in own] for own in shots], (*shape, 3, size, size), torch.uint8),
        _joined([[part.labels for part in own] for own in shots], shape, torch.int64),
        torch.stack([inventing.empties(place, empties) for place in places]),
        torch.tensor([inventing.shares(place) for place in places], dtype=torch.float32),
        tuple(inventing.caption(place) for place in places),
        tuple(inventing.values_of(place) for place in places),
    )


def _joined(parts: Sequence[Sequence[Tensor]], shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Batches of each place as one tensor; of no photographs an empty one."""
    if not shape[1]:
        return torch.zeros(shape, dtype=dtype)
    return torch.stack([torch.cat(list(own)) for own in parts])


def inventing_in(world: World) -> Inventing:
    """The world's way to invent places.

    Raises:
        UserError: if it has none.
    """
    if not isinstance(world, Inventive):
        raise UserError("This needs a world that draws places anew, and this world only has the places that it names.")
    return world.inventing()
