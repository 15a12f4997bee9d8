"""The photographs that are trained on, of one location or of several together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch

from ..worlds.base import Images, Split, World


def mixed(world: World, parts: Sequence[tuple[str, float]], split: Split) -> Images:
    """Photographs of several locations, of each the first ones, as many as its share says; one location gives all."""
    pieces = []
    for location, share in parts:
        images = _kept(world, location, split)
        count = round(share * len(images))
        pieces.append(Images(images.pixels[:count], images.labels[:count]))
    return joined(pieces)


def photographs(world: World, locations: Sequence[str], count: int | None = None) -> Images:
    """The first `count` training photographs of each of several locations, or all of them, together."""
    return joined([world.images(name, "train", first=count) for name in locations])


def joined(pieces: Sequence[Images]) -> Images:
    """Several sets of photographs as one."""
    return Images(torch.cat([piece.pixels for piece in pieces]), torch.cat([piece.labels for piece in pieces]))


@lru_cache(maxsize=24)
def _kept(world: World, location: str, split: Split) -> Images:
    """A location's photographs, kept for the next job of this process."""
    return world.images(location, split)
