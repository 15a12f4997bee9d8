"""Brushes of the savanna's still scene: a canvas that keeps colour and depth together, plants, rocks and noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

Colour = tuple[float, float, float]


class Canvas:
    """Colour and depth of a scene under construction; every brush stroke writes both. Pixels, y downwards."""

    def __init__(self, colour: np.ndarray, depth: np.ndarray) -> None:
        self.image = Image.fromarray((np.clip(colour, 0, 1) * 255 + 0.5).astype(np.uint8))
        self.distance = Image.fromarray(depth.astype(np.float32))
        self._image, self._distance = ImageDraw.Draw(self.image), ImageDraw.Draw(self.distance)

    def polygon(self, points: list[tuple[float, float]], colour: Colour, z: float) -> None:
        """Fill a closed outline that stands `z` metres away."""
        corners = [(round(x), round(y)) for x, y in points]
        self._image.polygon(corners, fill=_ink(colour))
        self._distance.polygon(corners, fill=z)

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour: Colour, z: float) -> None:
        """Fill an ellipse around (x, y) that stands `z` metres away."""
        box = (round(x - rx), round(y - ry), round(x + rx), round(y + ry))
        self._image.ellipse(box, fill=_ink(colour))
        self._distance.ellipse(box, fill=z)

    def ellipses(self, shapes: np.ndarray, colours: np.ndarray, z: float) -> None:
        """Fill N ellipses, one after the other: centres and radii `[4, N]` as for `ellipse`, colours `[N, 3]`."""
        x, y, rx, ry = shapes
        boxes = np.rint([x - rx, y - ry, x + rx, y + ry]).T.tolist()
        inks = (np.clip(colours, 0.0, 1.0) * 255 + 0.5).astype(np.int64).tolist()
        paint, measure = self._image.ellipse, self._distance.ellipse
        for box, ink in zip(boxes, inks, strict=True):
            paint(box, fill=tuple(ink))
            measure(box, fill=z)

    def shade(self, x: float, y: float, rx: float, ry: float) -> None:
        """Darken an ellipse of ground, softly: the shadow under what will stand there."""
        left, top = round(x - rx), round(y - ry)
        right, bottom = max(left + 3, round(x + rx)), max(top + 3, round(y + ry))
        spot = _SOFT_SPOT.resize((right - left, bottom - top), Image.Resampling.BILINEAR)
        self.image.paste((22, 20, 16), (left, top), spot)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Colour `[H, W, 3]` in 0..1 and depth `[H, W]` in metres."""
        return np.asarray(self.image, dtype=np.float32) / 255, np.array(self.distance, dtype=np.float32)


def _soft_spot(size: int = 64, strength: int = 120) -> Image.Image:
    """A round patch that fades to its rim, as a mask."""
    line = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    square = line[:, None] * line[:, None] + line[None, :] * line[None, :]
    return Image.fromarray((np.clip(1 - square, 0, 1) * strength).astype(np.uint8))


_SOFT_SPOT = _soft_spot()


@dataclass(frozen=True)
class Spot:
    """Where an object stands: pixels of its foot, pixels per metre there, and metres from the camera."""

    x: float
    y: float
    scale: float
    z: float


class Noise:
    """Smooth value noise in the plane: lattice numbers in 0..1, blended; built of products and sums only."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.lattice = rng.random((256, 256), dtype=np.float32)

    def __call__(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Value in 0..1 at every (x, y); one lattice cell is one unit."""
        column, row = np.floor(x), np.floor(y)
        u, v = (x - column).astype(np.float32), (y - row).astype(np.float32)
        u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
        i, j = column.astype(np.int64) & 255, row.astype(np.int64) & 255
        i1, j1 = (i + 1) & 255, (j + 1) & 255
        top = self.lattice[j, i] * (1 - u) + self.lattice[j, i1] * u
        below = self.lattice[j1, i] * (1 - u) + self.lattice[j1, i1] * u
        return top * (1 - v) + below * v

    def layered(self, x: np.ndarray, y: np.ndarray, octaves: int = 3) -> np.ndarray:
        """Sum of `octaves` noises, each twice as fine and half as strong, scaled to 0..1."""
        total, weight = np.zeros(np.broadcast(x, y).shape, dtype=np.float32), 0.0
        for octave in range(octaves):
            factor = 2.0**octave
            total += self(x * factor + 17 * octave, y * factor + 31 * octave) / factor
            weight += 1 / factor
        return total / weight


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """The colour `share` of the way from `a` to `b`."""
    return (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share)


def toned(colour: Colour, gain: float) -> Colour:
    """The colour, `gain` times as bright."""
    return (colour[0] * gain, colour[1] * gain, colour[2] * gain)


def _ink(colour: Colour) -> tuple[int, int, int]:
    red, green, blue = (int(min(1.0, max(0.0, value)) * 255 + 0.5) for value in colour)
    return red, green, blue


def umbrella_tree(canvas: Canvas, spot: Spot, leaf: Colour, bark: Colour, rng: np.random.Generator) -> None:
    """An acacia: forked trunk, wide flat crown in one to three shelves."""
    height = (4.5 + 3.5 * rng.random()) * spot.scale
    width = height * (0.55 + 0.3 * rng.random())
    lean = (rng.random() - 0.5) * 0.25 * height
    fork_x, fork_y = spot.x + 0.5 * lean, spot.y - 0.42 * height
    _limb(canvas, (spot.x, spot.y), (fork_x, fork_y), 0.05 * height, 0.034 * height, bark, spot.z)
    for _ in range(int(rng.integers(1, 4))):
        cx = spot.x + lean + (rng.random() - 0.5) * 0.9 * width
        cy = spot.y - height * (0.78 + 0.2 * rng.random())
        _limb(canvas, (fork_x, fork_y), (cx, cy + 0.06 * height), 0.03 * height, 0.012 * height, bark, spot.z)
        _leaves(canvas, cx, cy, 0.8 * width * (0.6 + 0.4 * rng.random()), 0.085 * height, leaf, spot, rng)
    _leaves(canvas, spot.x + lean, spot.y - 0.93 * height, width, 0.1 * height, leaf, spot, rng)


def round_tree(canvas: Canvas, spot: Spot, leaf: Colour, bark: Colour, rng: np.random.Generator) -> None:
    """A broad-leaved tree: short trunk under a full, lumpy crown."""
    height = (4.0 + 4.0 * rng.random()) * spot.scale
    lean = (rng.random() - 0.5) * 0.1 * height
    top = (spot.x + lean, spot.y - 0.5 * height)
    _limb(canvas, (spot.x, spot.y), top, 0.07 * height, 0.05 * height, bark, spot.z)
    for _ in range(int(rng.integers(4, 7))):
        dx, dy = (rng.random() - 0.5) * 0.62 * height, (rng.random() - 0.5) * 0.34 * height
        radius = (0.2 + 0.1 * rng.random()) * height
        _leaves(canvas, top[0] + dx, spot.y - 0.68 * height + dy, radius, 0.75 * radius, leaf, spot, rng)


def dead_tree(canvas: Canvas, spot: Spot, leaf: Colour, bark: Colour, rng: np.random.Generator) -> None:
    """A bare, bleached trunk with broken branches."""
    height = (2.5 + 2.5 * rng.random()) * spot.scale
    wood = mix(bark, (0.62, 0.58, 0.52), 0.6)
    tip = (spot.x + (rng.random() - 0.5) * 0.3 * height, spot.y - height)
    _limb(canvas, (spot.x, spot.y), tip, 0.06 * height, 0.015 * height, wood, spot.z)
    for _ in range(5):
        share = 0.35 + 0.55 * rng.random()
        x, y = spot.x + (tip[0] - spot.x) * share, spot.y + (tip[1] - spot.y) * share
        end = (x + (rng.random() - 0.5) * 0.7 * height, y - (0.1 + 0.25 * rng.random()) * height)
        _limb(canvas, (x, y), end, 0.025 * height, 0.006 * height, wood, spot.z)


def shrub(canvas: Canvas, spot: Spot, leaf: Colour, rng: np.random.Generator) -> None:
    """A bush of several leafy lumps on the ground."""
    size = (0.5 + 0.9 * rng.random()) * spot.scale
    for _ in range(int(rng.integers(2, 5))):
        dx, radius = (rng.random() - 0.5) * 1.3 * size, (0.35 + 0.3 * rng.random()) * size
        _leaves(canvas, spot.x + dx, spot.y - 0.62 * radius, radius, 0.75 * radius, leaf, spot, rng)


def boulder(canvas: Canvas, spot: Spot, stone: Colour, rng: np.random.Generator) -> None:
    """A weathered granite block: a lumpy dome on a flat foot, lit from above, with a crack or two."""
    width, height = (0.6 + 1.3 * rng.random()) * spot.scale, (0.5 + 1.3 * rng.random()) * spot.scale
    wobble = 0.82 + 0.18 * rng.random(len(_DOME))
    for gain, shrink, shift in ((0.5, 1.0, 0.0), (0.68, 0.93, -0.03), (0.86, 0.8, -0.08), (1.02, 0.58, -0.14)):
        points = [
            (spot.x + (x * shrink + shift) * width * lump, spot.y - height * (y * lump - (1 - shrink) * 0.35 * y))
            for (x, y), lump in zip(_DOME, wobble, strict=True)
        ]
        points = [(x, min(y, spot.y - (1 - shrink) * 0.7 * height)) for x, y in points]
        canvas.polygon(points, toned(stone, gain), spot.z)
    for start in rng.random((2, 3)):
        x, y = spot.x + (start[0] - 0.6) * width, spot.y - (0.35 + 0.4 * start[1]) * height
        end = (x + (start[2] - 0.5) * 0.5 * width, y + 0.3 * height)
        _limb(canvas, (x, y), end, 0.02 * height, 0.012 * height, toned(stone, 0.45), spot.z)


def tuft(canvas: Canvas, spot: Spot, blade: Colour, tall: float, rng: np.random.Generator) -> None:
    """A tuft of `tall` metres: thin blades that lean apart."""
    for number in rng.random((int(rng.integers(4, 9)), 4)):
        x = spot.x + (number[0] - 0.5) * 0.32 * spot.scale
        height = tall * (0.5 + 0.7 * number[1]) * spot.scale
        bend = (number[2] - 0.5) * 0.9 * height
        half = max(0.5, 0.007 * spot.scale)
        tip = (x + bend, spot.y - height)
        waist = (x + 0.3 * bend, spot.y - 0.55 * height)
        colour = toned(blade, 0.72 + 0.5 * float(number[3]))
        canvas.polygon(
            [(x - half, spot.y), waist, tip, (waist[0] + half, waist[1]), (x + half, spot.y)], colour, spot.z
        )


def _limb(
    canvas: Canvas,
    start: tuple[float, float],
    end: tuple[float, float],
    wide: float,
    thin: float,
    colour: Colour,
    z: float,
) -> None:
    """A tapered branch with a lit left side."""
    (x0, y0), (x1, y1) = start, end
    a, b = max(0.6, wide / 2), max(0.5, thin / 2)
    canvas.polygon([(x0 - a, y0), (x1 - b, y1), (x1 + b, y1), (x0 + a, y0)], toned(colour, 0.72), z)
    canvas.polygon([(x0 - a, y0), (x1 - b, y1), (x1, y1), (x0, y0)], toned(colour, 1.05), z)


def _leaves(
    canvas: Canvas, x: float, y: float, rx: float, ry: float, leaf: Colour, spot: Spot, rng: np.random.Generator
) -> None:
    """A lump of foliage: dark below and inside, light on top, made of leaf clusters, finer the nearer it stands."""
    canvas.ellipse(x, y + 0.12 * ry, 0.84 * rx, 0.78 * ry, toned(leaf, 0.48), spot.z)
    fine = min(1.0, 14 / spot.z)
    numbers = rng.random((int(40 + 220 * fine), 5))
    numbers = numbers[np.argsort(-numbers[:, 1], kind="stable")]
    size = (0.13 - 0.075 * fine) * (rx + ry) * 0.5
    across, up, jitter, radius, tone = numbers.T
    half = (1 - (2 * up - 1) ** 2) ** 0.5
    cx = x + (2 * across - 1) * rx * (0.3 + 0.7 * half)
    cy = y + (2 * up - 1) * ry * 0.95 + (jitter - 0.5) * 0.25 * ry
    r = (0.6 + 0.8 * radius) * size
    gain = 0.52 + 0.5 * (1 - up) + 0.34 * (tone - 0.5) + 0.1 * (0.5 - across)
    canvas.ellipses(np.stack([cx, cy, 1.35 * r, 0.8 * r]), np.outer(gain, leaf), spot.z)


#: A dome's outline from its right foot over the top to its left foot: half-widths and heights, in shares.
_DOME = (
    (1.0, 0.0), (1.02, 0.25), (0.94, 0.55), (0.74, 0.82), (0.42, 0.97), (0.05, 1.0),
    (-0.36, 0.96), (-0.7, 0.8), (-0.92, 0.52), (-1.0, 0.24), (-0.98, 0.0),
)  # fmt: skip
