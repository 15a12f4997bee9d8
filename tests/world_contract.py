"""What any `World` promises, whatever its pictures come from."""

import json
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from wildpdiff.errors import UserError
from wildpdiff.worlds import open_world
from wildpdiff.worlds.base import EMPTY, SPLITS, Images, Split, World


def check_world(world: World, locations: Sequence[str] | None = None, splits: Sequence[Split] = SPLITS) -> None:
    """Hold a world to the protocol at the given locations (all by default) and splits.

    Raises:
        AssertionError: at the first broken promise.
    """
    assert isinstance(world.species, tuple) and len(set(world.species)) == len(world.species)
    assert EMPTY in world.species
    for sentence in (world.about, world.caution):
        assert sentence[0].isupper() and sentence.endswith(".") and "\n" not in sentence
    assert world.kind == json.loads(json.dumps(world.to_json()))["kind"]
    if world.portable:
        assert open_world(world.to_json()).to_json() == world.to_json()
    assert isinstance(world.locations, tuple) and len(set(world.locations)) == len(world.locations) > 0
    with pytest.raises(UserError):
        world.images("no such location", "train")
    with pytest.raises(UserError):
        world.labels("no such location", "train")
    with pytest.raises(UserError):
        world.backgrounds("no such location")
    for location in locations or world.locations:
        _check_location(world, location, splits)


def _check_location(world: World, location: str, splits: Sequence[Split]) -> None:
    sets = {split: world.images(location, split) for split in splits}
    backgrounds = world.backgrounds(location)
    for split, images in sets.items():
        _check_images(images, len(world.species))
        _check_first(world, location, split, images)
        assert images.pixels.shape[2:] == (world.size, world.size)
        again = world.images(location, split)
        assert torch.equal(again.pixels, images.pixels) and torch.equal(again.labels, images.labels)
        assert torch.equal(world.labels(location, split)[: len(images)], images.labels)
    _check_pixels(backgrounds)
    assert backgrounds.shape[2:] == (world.size, world.size)
    assert torch.equal(world.backgrounds(location), backgrounds)
    shown = world.show(location, 50)
    assert shown.dtype == torch.uint8 and shown.shape[:2] == (3, 50)
    pictures = {split: _pictures(images.pixels) for split, images in sets.items()}
    assert not pictures.get("train", set()) & pictures["eval"], f"{location}: train and eval share a picture"
    assert not _pictures(backgrounds) & pictures["eval"], f"{location}: a background is an eval picture"


def _check_first(world: World, location: str, split: Split, whole: Images) -> None:
    for first in (1, len(whole) // 2 or 1, len(whole)):
        some = world.images(location, split, first=first)
        assert len(some) == first
        assert torch.equal(some.pixels, whole.pixels[:first]) and torch.equal(some.labels, whole.labels[:first])
        assert torch.equal(world.labels(location, split, first=first), whole.labels[:first])
    more = world.images(location, split, first=len(whole) + 3)
    assert torch.equal(more.pixels[: len(whole)], whole.pixels)


def _check_images(images: Images, classes: int) -> None:
    _check_pixels(images.pixels)
    assert images.labels.dtype == torch.int64
    assert images.labels.shape == images.pixels.shape[:1]
    assert len(images) == len(images.pixels)
    assert images.labels.min() >= 0 and images.labels.max() < classes


def _check_pixels(pixels: Tensor) -> None:
    assert pixels.dtype == torch.uint8
    assert pixels.device.type == "cpu"
    assert pixels.ndim == 4 and pixels.shape[1] == 3
    assert len(pixels) > 0


def _pictures(pixels: Tensor) -> set[bytes]:
    return {picture.numpy().tobytes() for picture in pixels.contiguous()}
