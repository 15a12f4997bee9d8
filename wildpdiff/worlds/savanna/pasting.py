"""Cut-out animals on pictures of an empty place: labelled photographs of a place where nobody labelled any."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from ..base import Images
from . import animals
from .location import rng_of

#: Height of a cut-out as a share of the picture's, and where its feet stand.
TALL, FEET = (0.22, 0.72), (0.55, 0.97)


def pasted(grounds: Tensor, labels: Sequence[int], *, seed: int, others: Tensor | None = None) -> Images:
    """Photographs made of pictures of an empty place.

    Args:
        grounds: pictures of the place, uint8 `[G, 3, H, W]`.
        labels: the class of each; the last one is left empty.
        seed: of all draws.
        others: pictures of other empty places, uint8 `[J, 3, H, W]`: an animal is then cut out of one of them with a
            rough mask, a soft ellipse around it, as boxes of real photographs give; None cuts along its outline.
    """
    frames = []
    for index, label in enumerate(labels):
        rng = rng_of("pasted", seed, index)
        ground = grounds[int(rng.integers(len(grounds)))].permute(1, 2, 0).numpy()
        frame = Image.fromarray(ground).convert("RGB")
        if label < len(animals.SPECIES):
            name = animals.SPECIES[label]
            for _ in range(1 + min(2, int(rng.poisson(animals.HERD[name] / 2)))):
                _paste(frame, name, rng, others)
        frames.append(torch.from_numpy(np.array(frame)).permute(2, 0, 1))
    return Images(torch.stack(frames), torch.tensor(list(labels), dtype=torch.int64))


def _paste(frame: Image.Image, species: str, rng: np.random.Generator, others: Tensor | None) -> None:
    width, height = frame.size
    tall = max(4, round(height * (TALL[0] + (TALL[1] - TALL[0]) * float(rng.random()) ** 1.5)))
    pose = animals.POSES[int(rng.integers(len(animals.POSES)))]
    drawn = animals.sprite(species, pose, tall, int(rng.integers(animals.VARIANTS)))
    if rng.random() < 0.5:
        drawn = np.ascontiguousarray(drawn[:, ::-1])
    light = 0.55 + 0.6 * float(rng.random())
    colour = np.clip(drawn[..., :3] * light, 0, 255).astype(np.uint8)
    cut, mask = Image.fromarray(colour), Image.fromarray(drawn[..., 3])
    if others is not None:
        cut, mask = _roughly(cut, mask, others[int(rng.integers(len(others)))], rng)
    feet = FEET[0] + (FEET[1] - FEET[0]) * float(rng.random())
    left = round((0.1 + 0.8 * float(rng.random())) * width - cut.width / 2)
    frame.paste(cut, (left, round(feet * height) - cut.height), mask)


def _roughly(
    cut: Image.Image, mask: Image.Image, ground: Tensor, rng: np.random.Generator
) -> tuple[Image.Image, Image.Image]:
    """An animal with some of the ground that it stood on, and a soft ellipse as its mask."""
    wide, tall = max(6, round(cut.width * 1.25)), max(6, round(cut.height * 1.25))
    patch = Image.fromarray(ground.permute(1, 2, 0).numpy())
    left, top = (int(rng.integers(max(1, side - own + 1))) for side, own in zip(patch.size, (wide, tall), strict=True))
    patch = patch.crop((left, top, left + wide, top + tall))
    patch.paste(cut, ((wide - cut.width) // 2, (tall - cut.height) // 2), mask)
    y, x = np.mgrid[0:tall, 0:wide].astype(np.float32)
    inside = ((x + 0.5) / wide * 2 - 1) ** 2 + ((y + 0.5) / tall * 2 - 1) ** 2 <= 1.0
    soft = Image.fromarray((inside * 255).astype(np.uint8)).filter(ImageFilter.BoxBlur(1))
    return patch, soft
