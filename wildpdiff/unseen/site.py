"""The places of the study: as they are asked, and what every way of serving one may look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..build.stock import Stock
from ..build.universal import Site
from ..bundle import Bundle
from ..universal.places import Places
from ..worlds.base import Captioned, Freshening, Images

#: Photographs of a place that every way is asked about, and further ones of which any number may be looked at without
#: their labels; the rest are for whoever fine-tunes there.
ASKED, LOOKED_AT = 200, 200
#: Pictures of the empty place.
EMPTIES = 16


@dataclass(frozen=True)
class Place:
    """One place that nothing was trained at.

    Attributes:
        name: of the place.
        asked: labelled photographs that every way is asked about.
        unlabelled: other photographs, uint8 `[n, 3, H, W]`.
        labelled: photographs to fine-tune on, which only the oracle may see.
        empties: pictures of the empty place, uint8 `[G, 3, H, W]`.
        shares: the true share of each class, `[K]`.
        caption: what a person would say of it.
    """

    name: str
    asked: Images
    unlabelled: Tensor
    labelled: Images
    empties: Tensor
    shares: Tensor
    caption: str


def test_stock(site: Site, count: int, photographs: int) -> Stock:
    """New places, and how many photographs of each."""
    return Stock(site.work / "stock", site.bundle.manifest["world"], "test", count, photographs, EMPTIES)


def drawn(places: Places, numbers: Sequence[int]) -> list[Place]:
    """New places of a file of the test stock, by where they lie in it."""
    return [_drawn(places, number) for number in numbers]


def _drawn(places: Places, number: int) -> Place:
    pixels, labels = places.pixels[number], places.labels[number]
    asked, rest = Images(pixels[:ASKED], labels[:ASKED]), Images(pixels[ASKED:], labels[ASKED:])
    shown = (places.empties[number], places.shares[number], places.captions[number])
    return Place(f"new {number}", asked, rest.pixels[:LOOKED_AT], rest, *shown)


def named(bundle: Bundle, name: str, labelled: int) -> Place:
    """One of the bundle's own unseen locations, which are the paper's; true shares are those of its photographs."""
    world = bundle.world
    asked, rest = world.images(name, "eval", ASKED), world.images(name, "train", labelled)
    few = world.backgrounds(name)
    fresh = [world.fresh_backgrounds(name, EMPTIES - len(few))] if isinstance(world, Freshening) else []
    counts = torch.bincount(rest.labels, minlength=len(world.species)).float() + 0.5
    caption = world.caption(name) if isinstance(world, Captioned) else ""
    shown = (torch.cat([few, *fresh])[:EMPTIES], counts / counts.sum(), caption)
    return Place(name, asked, rest.pixels[:LOOKED_AT], rest, *shown)
