"""One photograph: which animals stand where, in what light; and its pixels on a location's plate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from PIL import Image

from . import animals
from .location import Location
from .plate import Plate, flash, ground_row

MAX_ANIMALS = 5
#: Smallest share of the picture that a labelled animal may cover, and the smallest share of it that must be unhidden.
MIN_AREA, MIN_SEEN = 0.015, 0.5


@dataclass(frozen=True)
class Animal:
    """One animal: `x` in picture heights from the centre, `z` metres away, facing `left` or not."""

    species: str
    pose: str
    variant: int
    x: float
    z: float
    left: bool
    size: float


@dataclass(frozen=True)
class Shot:
    """All that one photograph adds to its location's plate.

    `hour` 0..1 from sunrise to sunset, `overcast` 0..1, `sun_left` the side of the shadows, `night` for an infrared
    frame, `blur` the share of the height by which animals smear, `drift` the clouds' shift, `gain` the exposure's
    jitter, `grain` the seed of the noise, `stamp` the digits of the time stamp. Animals stand from far to near.
    """

    animals: tuple[Animal, ...]
    night: bool
    hour: float
    overcast: float
    sun_left: bool
    blur: float
    drift: float
    gain: float
    grain: int
    stamp: tuple[int, ...]

    def by_day(self) -> Shot:
        """The same photograph in full daylight."""
        return replace(self, night=False, hour=0.2 + 0.6 * self.hour)


def draw_shot(location: Location, species: str | None, rng: np.random.Generator) -> Shot:
    """Draw one photograph of `species` (or of nothing) at a location."""
    night = float(rng.random()) < location.night_share
    return Shot(
        animals=() if species is None else _herd(location, species, rng),
        night=night,
        hour=float(0.04 + 0.92 * rng.random()),
        overcast=float(rng.random() * (0.25 + 0.75 * location.cloud)),
        sun_left=bool(rng.random() < 0.5),
        blur=float(rng.random() * (0.030 if night else 0.0)),
        drift=float(rng.random()),
        gain=float(0.85 + 0.3 * rng.random()),
        grain=int(rng.integers(2**62)),
        stamp=tuple(int(digit) for digit in rng.integers(0, 10, 8)),
    )


def _herd(location: Location, species: str, rng: np.random.Generator) -> tuple[Animal, ...]:
    count = 1 + min(MAX_ANIMALS - 1, int(rng.poisson(animals.HERD[species])))
    first = _animal(location, species, rng, None)
    others = [_animal(location, species, rng, first) for _ in range(count - 1)]
    return tuple(sorted([first, *others], key=lambda animal: -animal.z))


def _animal(location: Location, species: str, rng: np.random.Generator, leader: Animal | None) -> Animal:
    """An animal in view; companions stand beside or behind their leader."""
    metres = animals.HEIGHT[species]
    share = 0.32 + 0.38 * float(rng.random()) ** 2 + 0.12 * min(1.0, metres / 3)
    z = location.distance * location.zoom * metres / share
    nearest = location.zoom * location.camera_height / (0.97 - location.horizon)
    z = max(z, nearest * (1 + 0.4 * float(rng.random())))
    x = 0.8 * (float(rng.random()) - 0.5)
    left = bool(rng.random() < 0.5)
    if leader is not None:
        z = leader.z * (1.03 + 0.9 * float(rng.random()))
        x = leader.x + (float(rng.random()) - 0.5) * 0.9
        left = leader.left if rng.random() < 0.7 else left
    pose = animals.POSES[int(rng.integers(len(animals.POSES)))]
    size = 0.9 + 0.16 * float(rng.random())
    return Animal(species, pose, int(rng.integers(3)), x, z, left, size)


def render(plate: Plate, shot: Shot) -> tuple[np.ndarray, float]:
    """The photograph, uint8 `[H, W, 3]`, and the share of it that its animals cover (0 if there are none)."""
    height, width = plate.sky.shape
    light = _night_light(plate) if shot.night else _day_light(plate, shot)
    frame, covered = light.frame, np.zeros((height, width), dtype=np.float32)
    intended = 0.0
    for animal in shot.animals:
        intended += _place(frame, covered, plate, shot, light, animal)
    seen = float(covered.mean())
    if intended > 0 and seen * height * width < MIN_SEEN * intended:
        seen = 0.0
    return _develop(frame, plate, shot), seen


@dataclass(frozen=True)
class _Light:
    """A lit plate and what lights an animal in it: its colour gain, and the haze's colour."""

    frame: np.ndarray
    ink: np.ndarray
    haze: np.ndarray


def _day_light(plate: Plate, shot: Shot) -> _Light:
    elevation = 4 * shot.hour * (1 - shot.hour)
    ink = _blend((1.02, 0.80, 0.60), (1.06, 1.02, 0.95), elevation) * (0.62 + 0.42 * elevation)
    ink = ink * (1 - shot.overcast) + np.float32(0.82) * shot.overcast
    zenith = _blend((0.40, 0.47, 0.62), (0.33, 0.53, 0.82), elevation)
    horizon = _blend((0.97, 0.76, 0.55), (0.80, 0.87, 0.92), elevation)
    grey = np.float32(0.84)
    zenith = zenith * (1 - shot.overcast) + grey * 0.92 * shot.overcast
    horizon = horizon * (1 - shot.overcast) + grey * shot.overcast
    veil, sky = plate.veil[..., None], plate.sky[..., None]
    frame = plate.colour * ink * (1 - veil) + horizon * veil
    rise = plate.altitude[..., None]
    dome = zenith + (horizon - zenith) * (rise * rise)
    cloud = np.roll(plate.cloud, int(shot.drift * plate.cloud.shape[1]), axis=1)[..., None]
    dome = dome + (np.float32(0.97) * (0.75 + 0.25 * elevation) - dome) * cloud * 0.85
    return _Light(frame * (1 - sky) + dome * sky, ink, horizon)


def _night_light(plate: Plate) -> _Light:
    frame = np.repeat((plate.infrared * (1 - plate.sky))[..., None], 3, axis=2) + np.float32(0.015)
    return _Light(frame, np.ones(3, np.float32), np.zeros(3, np.float32))


def _place(frame: np.ndarray, covered: np.ndarray, plate: Plate, shot: Shot, light: _Light, animal: Animal) -> float:
    """Paint one animal and its shadow, hidden by whatever stands nearer; returns the area of all of it, in pixels."""
    height, width = plate.sky.shape
    location = plate.location
    tall = animals.HEIGHT[animal.species] * animal.size * location.zoom / animal.z * height
    sprite = _sprite(animal, _rung(tall), _smear(shot, height))
    h, w = sprite.shape[:2]
    bottom = round(ground_row(location, animal.z) * height)
    left = round(width / 2 + animal.x * height - w / 2)
    if not shot.night:
        _shadow(frame, plate, sprite, bottom, left, shot)
    rows, cols = slice(max(0, bottom - h), min(height, bottom)), slice(max(0, left), min(width, left + w))
    if rows.stop <= rows.start or cols.stop <= cols.start:
        return 0.0
    part = sprite[rows.start - bottom + h : rows.stop - bottom + h, cols.start - left : cols.stop - left]
    alpha = part[..., 3:] * (plate.depth[rows, cols, None] > animal.z * 0.985)
    body = _lit(part[..., :3], plate, shot, light, animal.z)
    frame[rows, cols] = frame[rows, cols] * (1 - alpha) + body * alpha
    covered[rows, cols] = np.maximum(covered[rows, cols], alpha[..., 0])
    return float(sprite[..., 3].sum())


def _lit(colour: np.ndarray, plate: Plate, shot: Shot, light: _Light, z: float) -> np.ndarray:
    if shot.night:
        grey = 0.45 * colour[..., 0] + 0.35 * colour[..., 1] + 0.2 * colour[..., 2]
        lit = (0.12 + 0.95 * grey) * np.float32(flash(1.25 * plate.location.flash_reach / z))
        return np.repeat(lit[..., None], 3, axis=2)
    haze = plate.location.haze * z
    veil = np.float32(haze / (1 + haze))
    return colour * light.ink * (1 - veil) + light.haze * veil


def _shadow(frame: np.ndarray, plate: Plate, sprite: np.ndarray, bottom: int, left: int, shot: Shot) -> None:
    """Darken the ground by the animal's flattened outline, drawn out away from the sun."""
    height, width = plate.sky.shape
    h, w = sprite.shape[:2]
    low = 1 - 4 * shot.hour * (1 - shot.hour)
    flat = max(2, h // 7)
    outline = np.asarray(Image.fromarray(sprite[..., 3]).resize((w, flat), Image.Resampling.BOX))
    reach = int((0.25 + 0.9 * low) * h) * (1 if shot.sun_left else -1)
    strength = np.float32(0.5 * (1 - 0.85 * shot.overcast))
    for row in range(flat):
        y = bottom - flat + row + max(1, flat // 3)
        shift = reach * (flat - 1 - row) // flat
        start, stop = max(0, left + shift), min(width, left + shift + w)
        if 0 <= y < height and stop > start:
            shade = outline[row, start - left - shift : stop - left - shift] * strength
            frame[y, start:stop] *= (1 - shade)[:, None]


def _develop(frame: np.ndarray, plate: Plate, shot: Shot) -> np.ndarray:
    """What the camera makes of the light: fall-off, gains, tone, grain, eight bits, time stamp."""
    location = plate.location
    frame = frame * plate.corner[..., None] * np.float32(shot.gain * (1.0 if shot.night else location.exposure))
    if shot.night:
        corner = plate.corner[..., None]
        frame = frame * (0.55 + 0.45 * corner) * _night_tint(location)
    else:
        frame = frame * _gains(location)
    frame = _tone(frame, location.contrast)
    rng = np.random.Generator(np.random.PCG64(shot.grain))
    spread = np.float32(location.noise * (1.5 if shot.night else 1.0) * 2.45 / 255)
    grain = rng.integers(0, 256, (2, *frame.shape), dtype=np.uint8).astype(np.float32)
    frame = frame + (grain[0] + grain[1] - 255) * spread
    pixels = (np.clip(frame, 0, 1) * 255 + 0.5).astype(np.uint8)
    _stamp(pixels, location.strip, shot.stamp)
    return pixels


def _gains(location: Location) -> np.ndarray:
    """White balance as gains of red, green and blue: warm is red up, blue down."""
    warm, tint = location.warmth, location.tint
    return np.array([1 + 0.42 * warm, 1 + 0.42 * tint, 1 - 0.42 * warm], dtype=np.float32)


def _night_tint(location: Location) -> np.ndarray:
    return np.array([1 + 0.18 * location.warmth, 1.0, 1 - 0.18 * location.warmth], dtype=np.float32)


def _tone(frame: np.ndarray, contrast: float) -> np.ndarray:
    """An S-curve around middle grey for contrast above 1, its opposite below; highlights roll off."""
    clipped = np.clip(frame, 0, 1.6)
    over = np.maximum(clipped - 0.8, 0)
    rolled = np.minimum(clipped, 0.8) + over / (1 + 2.2 * over)
    curve = rolled * rolled * (3 - 2 * np.minimum(rolled, 1.0))
    return (rolled + (curve - rolled) * np.float32(1.4 * (contrast - 1))).astype(np.float32)


def _rung(tall: float) -> int:
    """The height in whole pixels, in steps of at most 5%, so that few sprites serve many photographs."""
    step = max(1, int(tall) // 20)
    return max(3, round(tall / step) * step)


def _smear(shot: Shot, height: int) -> int:
    return int(shot.blur * height)


#: Rows of pixels up to which a sprite is kept: those of small photographs, which come by the thousand.
_KEPT = 110


def _body(species: str, pose: str, tall: int, variant: int, left: bool) -> np.ndarray:
    drawn = _kept_body if tall <= _KEPT else _kept_body.__wrapped__
    return drawn(species, pose, tall, variant, left)


@lru_cache(maxsize=8192)
def _kept_body(species: str, pose: str, tall: int, variant: int, left: bool) -> np.ndarray:
    pixels = animals.sprite(species, pose, tall, variant)
    pixels = pixels[:, ::-1] if left else pixels
    return np.ascontiguousarray(pixels, dtype=np.float32) / np.float32(255)


def _sprite(animal: Animal, tall: int, smear: int) -> np.ndarray:
    """The animal's picture, float32 RGBA in 0..1; smeared sideways by `smear` pixels."""
    body = _body(animal.species, animal.pose, tall, animal.variant, animal.left)
    if smear < 2:
        return body
    wide = np.zeros((body.shape[0], body.shape[1] + smear, 4), dtype=np.float32)
    for shift in range(smear):
        wide[:, shift : shift + body.shape[1], :3] += body[..., :3] * body[..., 3:]
        wide[:, shift : shift + body.shape[1], 3] += body[..., 3]
    wide[..., :3] /= np.maximum(wide[..., 3:], 1e-3)
    wide[..., 3] /= smear
    return wide


def _stamp(pixels: np.ndarray, strip: int, digits: tuple[int, ...]) -> None:
    """The camera's strip with date and time, in light digits of five by seven dots."""
    if strip == 0:
        return
    height, width = pixels.shape[:2]
    band = max(4, round(0.055 * height))
    top = height - band if strip == 1 else 0
    pixels[top : top + band] = 18
    dot = band / 11
    for place, digit in enumerate(digits):
        left = width * 0.5 + (place - 4 + (0.4 if place > 3 else 0)) * 7 * dot - 3 * dot
        for bit, on in enumerate(_DIGITS[digit]):
            if on == "1":
                y, x = top + round((2 + bit // 3 * 1.6) * dot), round(left + bit % 3 * 1.7 * dot)
                pixels[y : y + max(1, round(1.4 * dot)), max(0, x) : x + max(1, round(1.4 * dot))] = 205


#: Digits as three by five dots, row by row.
_DIGITS = (
    "111101101101111", "010110010010111", "111001111100111", "111001111001111", "101101111001001",
    "111100111001111", "111100111101111", "111001001001001", "111101111101111", "111101111001111",
)  # fmt: skip


def _blend(a: tuple[float, float, float], b: tuple[float, float, float], share: float) -> np.ndarray:
    return np.array([x + (y - x) * share for x, y in zip(a, b, strict=True)], dtype=np.float32)
