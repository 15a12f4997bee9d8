"""Markings that several animals share: belly, saddle, creases, rump, horns."""

from functools import partial

from PIL import Image

from .anatomy import Being, Body
from .outline import Colour, Layer, Point, limb, oval, tone
from .quadruped import along_leg, far_ear, horn

WHITE = (236, 230, 216)
Horn = tuple[list[Point], tuple[float, ...], Colour]
LYRE: Horn = (
    [(0, 0), (-0.1, 0.3), (-0.3, 0.62), (-0.42, 0.95), (-0.36, 1.2)],
    (0.13, 0.13, 0.11, 0.08, 0.02),
    (54, 47, 43),
)


def horned(shape: Horn | None, being: Being, size: float = 1.0) -> tuple[partial[None], partial[None]]:
    """Parts behind (far ear, far horn) and in front (near horn) of the silhouette."""
    return partial(_behind, shape=shape, size=size), partial(_front, shape=shape, size=size)


def _behind(canvas: Image.Image, body: Body, shape: Horn | None, size: float) -> None:
    if body.build.ear:
        far_ear(canvas, body)
    if shape:
        points, widths, colour = shape
        horn(
            canvas,
            body,
            [(x * size * 0.8 + 0.08, y * size * 0.97) for x, y in points],
            widths,
            tone(colour, 0.7),
            (0.13, 0.12),
        )


def _front(canvas: Image.Image, body: Body, shape: Horn | None, size: float) -> None:
    if shape:
        points, widths, colour = shape
        horn(canvas, body, [(x * size, y * size) for x, y in points], widths, colour)


def under(layer: Layer, body: Body, colour: Colour, edge: float = 0.0, soft: float = 0.05) -> None:
    """Pale belly up to `edge` above the belly line."""
    b, s = body.build, body.build.length / 2
    low = min(b.chest, b.flank) - 0.1
    line = [
        (-s + 0.02, b.flank + 0.1 + edge),
        (-0.1, b.flank + 0.07 + edge),
        (s - 0.1, b.chest + 0.11 + edge),
        (s + 0.02, b.chest + 0.08 + edge),
    ]
    layer.paint([*line, (s + 0.06, low), (-s, low)], tone(colour, body.being.coat), soft)


def limbs(layer: Layer, body: Body, coat: Colour | None = None) -> None:
    """Coat colour down the near legs, over the pale belly, into the leg colour."""
    b, factor = body.build, body.being.coat
    upper = tone(coat or b.coat, factor)
    hind, fore = body.near
    along_leg(layer, fore, 0.7, 1.9, 0.115, upper, 0.03)
    along_leg(layer, hind, 0.9, 2.2, 0.17, upper, 0.05)
    along_leg(layer, fore, 1.7, 4.1, 0.1, tone(b.legs, factor), 0.03)
    along_leg(layer, hind, 2.0, 4.1, 0.12, tone(b.legs, factor), 0.04)


def creases(layer: Layer, body: Body, depth: float = 0.8) -> None:
    """Soft shade behind the elbow, before the thigh and under the jaw."""
    b, s = body.build, body.build.length / 2
    shade = tone(b.coat, depth * body.being.coat)
    layer.paint(
        limb([(s - 0.12, b.withers - 0.25), (s - 0.13, 0.7), (s - 0.1, b.chest + 0.02)], (0.01, 0.04, 0.05)),
        shade,
        0.03,
    )
    layer.paint(
        limb([(-s + 0.2, b.rump - 0.22), (-s + 0.19, 0.72), (-s + 0.14, b.flank)], (0.01, 0.04, 0.06)), shade, 0.03
    )
    layer.paint(body.on_neck([(0.1, -1.0), (0.9, -0.9), (0.9, -0.35), (0.1, -0.45)]), shade, 0.04, 0.6)


def saddle(layer: Layer, body: Body, factor: float = 0.88) -> None:
    """Darker back."""
    b, s = body.build, body.build.length / 2
    line = [
        (-s - 0.2, b.rump - 0.12),
        (0, b.back - 0.1),
        (s + 0.1, b.withers - 0.12),
        (s + 0.1, b.withers + 0.1),
        (0, 1.1),
        (-s - 0.2, 1.1),
    ]
    layer.paint(line, tone(b.coat, factor * body.being.coat), 0.08)


def rump_patch(layer: Layer, body: Body, colour: Colour, size: float = 1.0, high: float = 0.0) -> None:
    """Pale patch on the buttocks."""
    x, y = body.hip - 0.17, body.build.rump - 0.24 + high
    layer.paint(oval((x, y), 0.075 * size, 0.19 * size, 8), colour, 0.02)
