"""The eighteen animals of the savanna as sprites: names, sizes, herds, and one function that draws."""

from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import Image

from ...errors import UserError
from . import antelopes, big, birds, gazelles, others, pachyderms
from .anatomy import Being

Draw = Callable[[Being], Image.Image]

_TABLE: dict[str, tuple[Draw, float, float]] = {
    "wildebeest": (antelopes.wildebeest, 1.5, 3.0),
    "zebra": (big.zebra, 1.6, 2.5),
    "buffalo": (big.buffalo, 1.65, 1.6),
    "hartebeest": (antelopes.hartebeest, 1.65, 0.9),
    "thomsons_gazelle": (gazelles.thomsons_gazelle, 1.05, 1.8),
    "impala": (gazelles.impala, 1.45, 2.2),
    "bird": (birds.bird, 1.1, 0.3),
    "warthog": (others.warthog, 0.75, 0.7),
    "giraffe": (big.giraffe, 4.8, 0.5),
    "elephant": (pachyderms.elephant, 3.2, 0.8),
    "grants_gazelle": (gazelles.grants_gazelle, 1.5, 1.0),
    "guineafowl": (birds.guineafowl, 0.55, 3.0),
    "spotted_hyena": (others.spotted_hyena, 0.95, 0.3),
    "hippopotamus": (pachyderms.hippopotamus, 1.5, 0.2),
    "reedbuck": (gazelles.reedbuck, 1.15, 0.2),
    "eland": (antelopes.eland, 2.1, 0.6),
    "baboon": (others.baboon, 0.8, 1.2),
    "topi": (antelopes.topi, 1.55, 0.8),
}

SPECIES: tuple[str, ...] = tuple(_TABLE)
"""Names in label order."""
HEIGHT: dict[str, float] = {name: row[1] for name, row in _TABLE.items()}
"""Metres from the feet to the top of the standing sprite, horns included."""
HERD: dict[str, float] = {name: row[2] for name, row in _TABLE.items()}
"""Mean number of animals in a frame beyond the first."""
POSES: tuple[str, ...] = ("stand", "walk", "feed")
VARIANTS = 3


@cache
def _master(species: str, pose: str, variant: int) -> Image.Image:
    """Large RGBA drawing, tightly cropped, at the species' own scale."""
    image = _TABLE[species][0](Being(pose, variant)).reduce(2)
    return image.crop(image.getchannel("A").point([0] * 64 + [255] * 192).getbbox())


def _check(species: str, pose: str, height: int, variant: int) -> None:
    if species not in _TABLE:
        raise UserError(f"Species '{species}' is not known; choose one of: {', '.join(SPECIES)}.")
    if pose not in POSES:
        raise UserError(f"Pose '{pose}' is not known; choose one of: {', '.join(POSES)}.")
    if height < 1 or not 0 <= variant < VARIANTS:
        raise UserError(
            f"A sprite needs a height of at least 1 pixel and a variant from 0 to {VARIANTS - 1}, "
            f"not {height} and {variant}."
        )


def sprite(species: str, pose: str, height: int, variant: int = 0) -> np.ndarray:
    """Draw one animal, uint8 `[h, w, 4]` straight-alpha RGBA, facing right, tightly cropped, feet on the bottom row.

    `height` is the height in pixels of variant 0 of the species when it stands: every pose and variant is drawn to that
    scale, so that a grazing animal or a female without horns is lower.

    Raises:
        UserError: for an unknown species or pose, a height below 1 or a variant other than 0, 1, 2.
    """
    _check(species, pose, height, variant)
    master = _master(species, pose, variant)
    scale = height / _master(species, "stand", 0).height
    size = max(1, round(master.width * scale)), max(1, round(master.height * scale))
    method = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    return np.array(master.resize(size, method))
