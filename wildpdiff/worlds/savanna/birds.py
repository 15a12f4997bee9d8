"""A stork-like bird and the guineafowl."""

import numpy as np
from PIL import Image

from .anatomy import Being
from .outline import Colour, Frame, Layer, Point, closed, limb, oval, place, tone
from .quadruped import on_ground, piece


def _bird_leg(canvas: Image.Image, frame: Frame, joints: list[Point], width: float, colour: Colour) -> None:
    piece(canvas, frame, limb(joints, (width * 2.2, width, width * 1.15, width), 6), colour, 0.02)
    x, y = joints[-1]
    toes = [(x - 0.05, 0.0), (x - 0.01, y + 0.03), (x + 0.02, y + 0.03), (x + 0.11, 0.0)]
    piece(canvas, frame, toes, colour, 0.02)


BIRD = Frame(-0.9, 1.1, 1.5, 540)


def bird(being: Being) -> Image.Image:
    """A stork-like ground bird: white body, black wings, long legs, long red bill."""
    canvas = Image.new("RGBA", BIRD.size)
    red, stride = (176, 74, 52), {"stand": 0.03, "walk": 0.2, "feed": 0.08}[being.pose] + 0.03 * being.variant
    _bird_leg(
        canvas,
        BIRD,
        [(-0.02, 0.62), (0.04 + stride * 0.6, 0.36), (stride, 0.06), (stride + 0.02, 0.0)],
        0.028,
        tone(red, 0.66),
    )
    _bird_leg(
        canvas,
        BIRD,
        [(-0.08, 0.62), (-0.06 - stride * 0.3, 0.36), (-0.06 - stride, 0.06), (-0.04 - stride, 0.0)],
        0.03,
        red,
    )
    layer = Layer(BIRD, tone((234, 229, 218), being.coat if being.variant else 1))
    layer.add(
        closed(
            [
                (-0.58, 0.52),
                (-0.4, 0.68),
                (-0.1, 0.84),
                (0.16, 0.86),
                (0.3, 0.74),
                (0.24, 0.6),
                (0.02, 0.5),
                (-0.25, 0.5),
            ]
        ),
        "body",
        0.13,
        0.7,
    )
    down = being.pose == "feed"
    neck = (
        [(0.1, 0.72), (0.3, 0.8), (0.44, 0.68), (0.53, 0.5), (0.56, 0.38)]
        if down
        else [(0.1, 0.7), (0.27, 0.82), (0.3, 1.0), (0.28, 1.14), (0.34, 1.26)]
    )
    layer.add(limb(neck, (0.3, 0.2, 0.11, 0.09, 0.1)), "body")
    layer.fillet(0.02)
    hx, hy, angle = (0.57, 0.37, -62) if down else (0.36, 1.28, -8 - 3 * being.variant)
    layer.add(oval((hx, hy), 0.085, 0.07, angle), "head", 0.04, 0.4)
    layer.paint(place([(0.0, 0.03), (0.2, 0.03), (0.2, -0.09), (0.0, -0.06)], (hx, hy), angle), (52, 44, 44), 0.015)
    wing = closed(
        [
            (0.2, 0.8),
            (0.05, 0.84),
            (-0.2, 0.76),
            (-0.45, 0.62),
            (-0.66, 0.48),
            (-0.42, 0.54),
            (-0.1, 0.56),
            (0.14, 0.64),
        ]
    )
    layer.add(wing, "wing", 0.08, 0.6)
    layer.paint(wing, (40, 40, 46), 0.012)
    for i in range(6):
        layer.stroke(
            [(0.1 - 0.08 * i, 0.72 - 0.02 * i), (-0.1 - 0.08 * i, 0.62 - 0.02 * i)], (0.004, 0.012), (84, 86, 96), 0.008
        )
    spot = place([(0.02, 0.02)], (hx, hy), angle)[0]
    layer.paint(oval((spot[0], spot[1]), 0.016, 0.016), (20, 16, 16))
    layer.onto(canvas, being.variant)
    bill = place([(0.06, 0.045), (0.2, 0.02), (0.42, -0.05), (0.2, -0.045), (0.06, -0.05)], (hx, hy), angle)
    piece(canvas, BIRD, bill, red, 0.03)
    on_ground(canvas, BIRD)
    return canvas


FOWL = Frame(-0.95, 0.95, 1.1, 600)


def guineafowl(being: Being) -> Image.Image:
    """Round dark body with white dots, small bare blue head with red wattles and a casque."""
    canvas = Image.new("RGBA", FOWL.size)
    grey, stride = (92, 84, 80), {"stand": 0.05, "walk": 0.17, "feed": 0.1}[being.pose] + 0.02 * being.variant
    _bird_leg(
        canvas, FOWL, [(0.02, 0.34), (0.06 + stride * 0.5, 0.2), (stride, 0.05), (stride, 0.0)], 0.034, tone(grey, 0.6)
    )
    _bird_leg(
        canvas,
        FOWL,
        [(-0.06, 0.34), (-0.02 - stride * 0.3, 0.2), (-0.05 - stride, 0.05), (-0.05 - stride, 0.0)],
        0.036,
        grey,
    )
    layer = Layer(FOWL, tone((62, 62, 70), being.coat))
    layer.add(
        closed(
            [
                (-0.68, 0.2),
                (-0.6, 0.36),
                (-0.4, 0.56),
                (-0.1, 0.7),
                (0.16, 0.66),
                (0.34, 0.5),
                (0.32, 0.32),
                (0.14, 0.2),
                (-0.15, 0.15),
                (-0.45, 0.18),
            ]
        ),
        "body",
        0.18,
        0.8,
    )
    down = being.pose == "feed"
    neck = (
        [(0.16, 0.52), (0.36, 0.5), (0.48, 0.34), (0.54, 0.2)]
        if down
        else [(0.14, 0.52), (0.27, 0.64), (0.31, 0.76), (0.33, 0.86)]
    )
    layer.add(limb(neck, (0.36, 0.2, 0.11, 0.09)), "body")
    layer.fillet(0.02)
    rng = np.random.default_rng(90 + being.variant)
    for row in range(8):
        for col in range(17):
            x = -0.66 + 0.062 * col + 0.031 * (row % 2) + rng.uniform(-0.008, 0.008)
            y = 0.64 - 0.062 * row - 0.25 * (x + 0.1) ** 2 + rng.uniform(-0.008, 0.008)
            layer.paint(oval((x, y), 0.0135, 0.0125), (226, 226, 226))
    layer.paint(limb(neck[2:], (0.13, 0.11)), (84, 112, 150), 0.03)
    hx, hy, angle = (0.55, 0.2, -58) if down else (0.35, 0.87, -10 + 4 * being.variant)
    layer.add(oval((hx, hy), 0.082, 0.066, angle), "head", 0.04, 0.4)
    layer.paint(oval((hx, hy), 0.1, 0.08, angle), (104, 146, 186), 0.01)
    spot = place([(0.02, 0.015)], (hx, hy), angle)[0]
    layer.paint(oval((spot[0], spot[1]), 0.014, 0.014), (18, 15, 15))
    layer.onto(canvas, being.variant)
    for outline, colour in (
        ([(0.06, 0.03), (0.19, -0.02), (0.06, -0.04)], (176, 150, 110)),
        ([(-0.07, 0.04), (-0.06, 0.16), (-0.01, 0.13), (0.05, 0.05)], (170, 110, 70)),
        ([(0.02, -0.03), (0.08, -0.04), (0.05, -0.14), (0.0, -0.12)], (190, 52, 44)),
    ):
        piece(canvas, FOWL, place(outline, (hx, hy), angle), colour, 0.02)
    on_ground(canvas, FOWL)
    return canvas
