"""The still scene of a location: what a fixed camera always sees, painted once per picture size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image

from . import paint
from .location import Location, rng_of
from .paint import Canvas, Colour, Noise, Spot

SKY_DEPTH = 1e4
Brush = Callable[[Canvas, Spot, np.random.Generator], None]


@dataclass(frozen=True)
class Plate:
    """A painted scene of H x W pixels.

    `colour` `[H, W, 3]` in neutral noon light, 0..1; `infrared` `[H, W]` under the flash; `depth` `[H, W]` in metres;
    `sky` `[H, W]` share of sky; `altitude` `[H, W]` 0 at the zenith to 1 at the horizon; `cloud` `[H, W]` 0..1;
    `veil` `[H, W]` share of haze before the scene; `corner` `[H, W]` the lens's light fall-off.
    """

    location: Location
    colour: np.ndarray
    infrared: np.ndarray
    depth: np.ndarray
    sky: np.ndarray
    altitude: np.ndarray
    cloud: np.ndarray
    veil: np.ndarray
    corner: np.ndarray


def ground_row(location: Location, z: float) -> float:
    """Row of the ground `z` metres away, as a share of the picture's height (0 is the top)."""
    return location.horizon + location.zoom * location.camera_height / z


def paint_plate(location: Location, height: int, width: int) -> Plate:
    """Paint a location's scene at any size; the same scene at every size."""
    oversample = 4 if height <= 160 else 2
    tall, wide = height * oversample, width * oversample
    canvas = Canvas(*_ground(location, tall, wide))
    for draw in _objects(location, tall, wide):
        draw(canvas)
    colour, depth = canvas.arrays()
    colour = np.asarray(canvas.image.reduce(oversample), dtype=np.float32) / 255
    sky = _reduced((depth >= SKY_DEPTH).astype(np.float32), oversample)
    depth = np.ascontiguousarray(depth[oversample // 2 :: oversample, oversample // 2 :: oversample])
    altitude, cloud = _sky(location, height, width)
    haze = location.haze * np.minimum(depth, 600)
    return Plate(
        location=location,
        colour=colour,
        infrared=_infrared(colour, depth, location),
        depth=depth,
        sky=sky,
        altitude=altitude,
        cloud=cloud,
        veil=(haze / (1 + haze)).astype(np.float32),
        corner=_corner(location, height, width),
    )


def _objects(location: Location, tall: int, wide: int) -> list[Callable[[Canvas], None]]:
    """Brush strokes of everything that stands in the scene, from far to near."""
    rng = rng_of("scene", location.seed)
    strokes: list[tuple[float, Callable[[Canvas], None]]] = []

    def spot(z: float, x: float) -> Spot:
        return Spot(wide / 2 + x * tall, ground_row(location, z) * tall, location.zoom * tall / z, z)

    def scatter(count: float, near: float, far: float, brush: Brush, spread: float = 1.15, edge: float = 0.0) -> None:
        for _ in range(int(count + 0.5)):
            z = near * far / (far - (far - near) * float(rng.random()))
            x = (2 * float(rng.random()) - 1) * 0.667 * spread
            child = np.random.Generator(np.random.PCG64(int(rng.integers(2**62))))
            if abs(x) >= edge or z > 22:
                strokes.append((z, partial(_paint_at, brush, spot(z, x), child)))

    leaf, bark, stone, blade = _palette(location)
    kinds = _tree_kinds(location)

    def tree(canvas: Canvas, where: Spot, child: np.random.Generator) -> None:
        canvas.shade(where.x, where.y, 2.6 * where.scale, 0.055 * where.scale * location.camera_height + 1)
        kind = kinds[int(child.integers(len(kinds)))]
        kind(canvas, where, paint.toned(leaf, 0.85 + 0.3 * float(child.random())), bark, child)

    def bush(canvas: Canvas, where: Spot, child: np.random.Generator) -> None:
        canvas.shade(where.x, where.y, 1.3 * where.scale, 0.1 * where.scale * location.camera_height)
        paint.shrub(canvas, where, paint.toned(leaf, 0.85 + 0.3 * float(child.random())), child)

    def rock(canvas: Canvas, where: Spot, child: np.random.Generator) -> None:
        canvas.shade(where.x, where.y, 1.4 * where.scale, 0.1 * where.scale * location.camera_height)
        paint.boulder(canvas, where, paint.toned(stone, 0.85 + 0.3 * float(child.random())), child)

    def grass(canvas: Canvas, where: Spot, child: np.random.Generator) -> None:
        tall_metres = (0.08 + 0.5 * location.grass_height) * (0.6 + 0.6 * float(child.random()))
        paint.tuft(canvas, where, blade, tall_metres, child)

    nearest = location.zoom * location.camera_height / (1.06 - location.horizon)
    scatter(1 + 34 * location.trees**1.3, 26, 260, tree)
    scatter(4 * location.trees, 11, 26, tree, edge=0.34)
    scatter(2 + 60 * location.bush**1.3, 14, 200, bush)
    scatter(6 * location.bush, 6, 14, bush, edge=0.3)
    scatter(26 * location.rock**1.6, 18, 120, rock)
    scatter(5 * location.rock**2, 6, 18, rock, edge=0.3)
    scatter(150 + 420 * location.grass_height, nearest * 1.02, 26, grass)
    strokes.sort(key=lambda stroke: -stroke[0])
    return [stroke for _, stroke in strokes]


def _paint_at(brush: Brush, where: Spot, rng: np.random.Generator, canvas: Canvas) -> None:
    brush(canvas, where, rng)


def _tree_kinds(location: Location) -> list[Callable[..., None]]:
    """Which trees grow here: acacias where dry, broad leaves where wet, snags among rocks."""
    kinds = [paint.umbrella_tree] * max(1, round(5 * (1.1 - location.wet)))
    kinds += [paint.round_tree] * round(5 * location.wet)
    return kinds + [paint.dead_tree] * (1 + round(location.rock))


def _palette(location: Location) -> tuple[Colour, Colour, Colour, Colour]:
    """Colours of leaf, bark, stone and grass blade."""
    leaf = paint.mix((0.45, 0.43, 0.24), (0.26, 0.36, 0.15), location.wet)
    bark = (0.36, 0.29, 0.23)
    stone = paint.mix((0.52, 0.48, 0.44), (0.60, 0.47, 0.38), location.soil_red)
    blade = paint.mix((0.74, 0.64, 0.42), (0.42, 0.47, 0.23), location.wet)
    return leaf, bark, stone, blade


def _ground(location: Location, tall: int, wide: int) -> tuple[np.ndarray, np.ndarray]:
    """Receding ground, hills on the skyline, water where it is wet; sky left at `SKY_DEPTH`."""
    noise = Noise(rng_of("ground", location.seed))
    rows = ((np.arange(tall, dtype=np.float32) + 0.5) / tall)[:, None]
    across = ((np.arange(wide, dtype=np.float32) + 0.5 - wide / 2) / tall)[None, :]
    below = rows - location.horizon
    z = np.where(below > 0.002, location.zoom * location.camera_height / np.maximum(below, 0.002), SKY_DEPTH)
    z = np.broadcast_to(z, (tall, wide)).astype(np.float32)
    colour = _ground_colour(location, noise, across * np.minimum(z, 400) / location.zoom, np.minimum(z, 400))
    depth = np.where(below > 0.002, z, SKY_DEPTH).astype(np.float32)
    _shade_near(colour, rows - location.horizon)
    _add_hills(colour, depth, location, noise, rows, across)
    return colour, depth


def _ground_colour(location: Location, noise: Noise, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Soil and grass in world coordinates (metres), with bare patches, tracks of light and, when wet, a pool."""
    soil = paint.mix((0.58, 0.50, 0.38), (0.62, 0.40, 0.27), location.soil_red)
    soil = paint.toned(soil, 0.72 + 0.5 * location.soil_light)
    turf = paint.mix((0.68, 0.59, 0.38), (0.41, 0.46, 0.23), location.wet)
    patch = noise.layered(x * 0.22, z * 0.22, 3)
    cover = np.clip((patch - 0.72 + 0.75 * (0.25 + 0.75 * location.grass_height)) * 4, 0, 1)[..., None]
    fine = noise.layered(x * 2.3 + 40, z * 2.3, 3)
    fade = np.clip(14 / z, 0.25, 1)
    grain = 1 + (fine - 0.5) * 0.75 * fade + (noise.layered(x * 0.05, z * 0.05 + 9, 2) - 0.5) * 0.35
    colour = (np.array(soil, dtype=np.float32) * (1 - cover) + np.array(turf, dtype=np.float32) * cover) * grain[
        ..., None
    ]
    if location.wet > 0.7:
        bank = noise.layered(x * 0.03 + 5, z * 0.02, 2)
        pool = np.clip((1 - abs(z - 32 - 30 * (bank - 0.5)) / (10 + 16 * (location.wet - 0.7))) * 5, 0, 1)[..., None]
        ripple = 0.9 + 0.25 * noise(x * 0.6, z * 2.0)[..., None]
        colour = colour * (1 - pool) + np.array((0.47, 0.56, 0.62), dtype=np.float32) * ripple * pool
    return colour.astype(np.float32)


def _shade_near(colour: np.ndarray, below: np.ndarray) -> None:
    """Darken the ground a little towards the camera, as tall grass shades it."""
    colour *= 1 - 0.22 * np.clip(below, 0, 1)[..., None]


def _add_hills(
    colour: np.ndarray, depth: np.ndarray, location: Location, noise: Noise, rows: np.ndarray, across: np.ndarray
) -> None:
    """Two ridges on the skyline, the farther one bluer, and a dark line of distant trees."""
    grey = np.array((0.46, 0.50, 0.52), dtype=np.float32)
    green = np.array(paint.mix((0.46, 0.42, 0.28), (0.30, 0.38, 0.20), location.wet), dtype=np.float32)
    ridges = ((0.13, 2.2, 3.0, 900.0, 0.75), (0.075, 3.4, 11.0, 550.0, 0.4))
    for height, pitch, offset, z, blue in ridges:
        line = noise.layered(across * pitch + offset, np.full_like(across, offset), 3)
        crest = location.horizon - location.hills * height * location.zoom * np.clip(line * 2.2 - 0.55, 0.0, 1.4)
        inside = (rows > crest) & (rows <= location.horizon + 0.003)
        colour[inside] = green * (1 - blue) + grey * blue
        depth[inside] = z
    line = noise.layered(across * 26 + 3, np.full_like(across, 7.7), 3)
    crest = location.horizon - 0.028 * (0.2 + location.trees) * location.zoom * np.clip(line * 2.4 - 0.6, 0.05, 1.3)
    inside = (rows > crest) & (rows <= location.horizon + 0.004)
    colour[inside] = green * 0.8
    depth[inside] = 260


def _sky(location: Location, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """How near the horizon each pixel looks, and the clouds, which shrink towards it."""
    noise = Noise(rng_of("sky", location.seed))
    rows = ((np.arange(height, dtype=np.float32) + 0.5) / height)[:, None]
    across = ((np.arange(width, dtype=np.float32) + 0.5 - width / 2) / height)[None, :]
    above = np.maximum(location.horizon - rows, 0.02)
    altitude = np.broadcast_to(np.clip(1 - above / 0.5, 0, 1), (height, width)).astype(np.float32)
    cover = noise.layered(across / above * 0.5 + 50, 0.9 / above, 4)
    cloud = np.clip((cover - 0.74 + 0.4 * location.cloud) * 4.0, 0, 1) * np.clip(above * 9, 0, 1)
    return altitude, cloud.astype(np.float32)


def _infrared(colour: np.ndarray, depth: np.ndarray, location: Location) -> np.ndarray:
    """Brightness under the infrared flash: living leaves shine, and light falls off with distance."""
    red, green, blue = colour[..., 0], colour[..., 1], colour[..., 2]
    leafy = np.clip((green - 0.5 * (red + blue)) * 3, 0, 0.35)
    reach = location.flash_reach / np.maximum(depth, 1.5)
    return ((0.42 * red + 0.22 * green + 0.12 * blue + 0.6 * leafy) * flash(reach)).astype(np.float32)


def flash(reach: np.ndarray | float) -> np.ndarray | float:
    """Light of the flash where its reach is `reach` times the distance: quadratic far away, saturating near by."""
    square = reach * reach
    return 1.25 * square / (0.6 + square)


def _corner(location: Location, height: int, width: int) -> np.ndarray:
    """The lens's fall-off towards the corners: 1 in the middle."""
    rows = ((np.arange(height, dtype=np.float32) + 0.5) / height - 0.5)[:, None]
    across = ((np.arange(width, dtype=np.float32) + 0.5 - width / 2) / height)[None, :]
    square = rows * rows + across * across
    return (1 - location.vignette * np.clip(square * 2.0 - 0.06, 0, 0.9)).astype(np.float32)


def _reduced(values: np.ndarray, factor: int) -> np.ndarray:
    """Mean over blocks of factor x factor pixels."""
    return np.asarray(Image.fromarray(values).reduce(factor), dtype=np.float32)
