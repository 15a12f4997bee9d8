"""A location in words, and pairs of backgrounds and captions to train a CLIP on."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .location import Location
from .plate import Plate, paint_plate
from .shot import draw_shot, render


def caption(location: Location) -> str:
    """What a person would say of the empty place: vegetation, ground, sky and camera."""
    trees = _word(location.trees, "treeless", "scattered trees", "open woodland", "dense woodland")
    bush = _word(location.bush, "no bushes", "few bushes", "bushes", "thicket")
    ground = _word(location.wet, "dry straw", "dry grass", "green grass", "lush green grass by water")
    height = _word(location.grass_height, "short", "knee-high", "tall")
    soil = _word(location.soil_red, "grey soil", "brown soil", "red soil")
    rock = _word(location.rock, "no rocks", "a few rocks", "granite boulders")
    hills = _word(location.hills, "a flat horizon", "low hills", "hills")
    sky = _word(location.cloud, "clear sky", "some clouds", "cloudy sky")
    air = _word(location.haze / 0.05, "clear air", "light haze", "thick haze")
    light = _word((location.exposure - 0.6) / 0.9, "dark picture", "well exposed picture", "bright picture")
    tone = _word(location.warmth + 0.5, "bluish colours", "neutral colours", "warm colours")
    view = _word((location.zoom - 0.75) / 0.8, "wide view", "normal view", "close view")
    ground = f"{height} {ground}"
    return "savanna with " + ", ".join([trees, bush, ground, soil, rock, hills, sky, air, light, tone, view])


def _word(value: float, *words: str) -> str:
    """The word for a value in 0..1, in equal steps."""
    return words[min(len(words) - 1, max(0, int(value * len(words))))]


class Pairs:
    """Backgrounds of many places with their captions, drawn with fresh light each time."""

    def __init__(self, locations: list[Location], size: int) -> None:
        """Paint every location once; `size` is the pictures' height and width in pixels."""
        self.plates: list[Plate] = [paint_plate(location, size, size) for location in locations]
        self.captions = [caption(location) for location in locations]

    def __call__(self, rng: torch.Generator, count: int) -> tuple[Tensor, list[str]]:
        """`count` pictures of different places by day, uint8 `[B, 3, H, W]`, and their captions."""
        drawn = torch.randperm(len(self.plates), generator=rng)[:count].tolist()
        numbers = np.random.Generator(np.random.PCG64(int(torch.randint(2**62, (1,), generator=rng))))
        plates = [self.plates[index] for index in drawn]
        frames = [render(plate, draw_shot(plate.location, None, numbers).by_day())[0] for plate in plates]
        pixels = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).contiguous()
        return pixels, [self.captions[index] for index in drawn]
