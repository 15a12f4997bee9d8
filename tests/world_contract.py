"""What any `World` promises, whatever its pictures come from."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from wildpdiff.errors import UserError
from wildpdiff.worlds.base import EMPTY, Images, World


def check_world(world: World, locations: Sequence[str] | None = None) -> None:
    """Hold a world to the protocol at the given locations (all by default).

    Raises:
        AssertionError: at the first broken promise.
    """
    assert isinstance(world.species, tuple) and len(set(world.species)) == len(world.species)
    assert EMPTY in world.species
    assert isinstance(world.locations, tuple) and len(set(world.locations)) == len(world.locations) > 0
    with pytest.raises(UserError):
        world.images("no such location", "train")
    with pytest.raises(UserError):
        world.backgrounds("no such location")
    shapes = {_check_location(world, location) for location in locations or world.locations}
    assert len(shapes) == 1, f"pixels differ in shape: {shapes}"


def _check_location(world: World, location: str) -> torch.Size:
    train, held_out = world.images(location, "train"), world.images(location, "eval")
    backgrounds = world.backgrounds(location)
    for images in (train, held_out):
        _check_images(images, len(world.species))
    _check_pixels(backgrounds)
    assert train.pixels.shape[1:] == held_out.pixels.shape[1:] == backgrounds.shape[1:]
    _check_repeatable(world, location, train, held_out, backgrounds)
    assert not _pictures(train.pixels) & _pictures(held_out.pixels), f"{location}: train and eval share a picture"
    assert not _pictures(backgrounds) & _pictures(held_out.pixels), f"{location}: a background is an eval picture"
    return train.pixels.shape[1:]


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


def _check_repeatable(world: World, location: str, train: Images, held_out: Images, backgrounds: Tensor) -> None:
    again = world.images(location, "train")
    assert torch.equal(again.pixels, train.pixels) and torch.equal(again.labels, train.labels)
    again = world.images(location, "eval")
    assert torch.equal(again.pixels, held_out.pixels) and torch.equal(again.labels, held_out.labels)
    assert torch.equal(world.backgrounds(location), backgrounds)


def _pictures(pixels: Tensor) -> set[bytes]:
    return {picture.numpy().tobytes() for picture in pixels.contiguous()}
