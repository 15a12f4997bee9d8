"""Zebra, buffalo and giraffe."""

import numpy as np
from PIL import Image

from .anatomy import Being, Body, Build
from .markings import creases, saddle, under
from .outline import Frame, Layer, closed, curve, oval, place, tone
from .quadruped import along_leg, eye, horn, piece, quadruped

INK = (36, 31, 30)


ZEBRA = Build(
    coat=(228, 220, 204), belly=(238, 232, 220), legs=(228, 220, 204), length=0.8, rump=1.0, back=0.95,
    chest=0.47, flank=0.52, thick=1.15, neck=0.46, neck_from=(0.43, 0.82), neck_width=(0.42, 0.22),
    neck_angles=(50, 36, -48), head=0.38, head_kind="horse", head_angles=(-42, -44, -74), ear=0.34, ear_angle=110,
    tail=((0, 0), (-0.06, -0.12), (-0.07, -0.3), (-0.06, -0.4)), tuft=INK, tuft_size=0.07, frame=Frame(-1.0, 1.4,
    1.5, 560),
)  # fmt: skip


def _leg_bands(layer: Layer, body: Body) -> None:
    for joints, wide in zip(body.near, (0.3, 0.2), strict=True):
        for i in range(11):
            t = (1.1 if wide > 0.25 else 1.25) + 0.26 * i
            along_leg(layer, joints, t, t + 0.13, max(0.12, wide - 0.03 * i), INK, 0.0)


def _barrel_stripes(layer: Layer, s: float) -> None:
    for i in range(7):
        x = s - 0.02 - 0.085 * i
        lean = 0.02 - 0.02 * i
        low = 0.56 + 0.004 * i
        layer.stroke(
            [(x + lean - 0.02, 1.04), (x + 0.01, 0.86), (x + 0.01, 0.7), (x + 0.03, low)],
            (0.035, 0.044, 0.04, 0.008),
            INK,
        )


def _shoulder_stripe(layer: Layer, s: float) -> None:
    layer.stroke([(s + 0.03, 1.04), (s + 0.1, 0.84), (s + 0.15, 0.62)], (0.03, 0.042, 0.012), INK)


def _rump_stripes(layer: Layer, s: float) -> None:
    for i in range(6):
        y = 1.03 - 0.085 * i
        start = (-s + 0.3 - 0.02 * i, 0.84 - 0.06 * i)
        layer.stroke(
            [(-s - 0.24, y - 0.16), (-s - 0.06, y - 0.07), (start[0] - 0.12, start[1] + 0.03), start],
            (0.05, 0.05, 0.045, 0.01),
            INK,
        )
    layer.stroke([(-s + 0.08, 1.04), (-s + 0.18, 0.9), (-s + 0.3, 0.72)], (0.045, 0.04, 0.008), INK)


def zebra(being: Being) -> Image.Image:
    """Black stripes on white that follow the body, banded legs, striped upright mane, white belly."""

    def marks(layer: Layer, body: Body) -> None:
        creases(layer, body, 0.86)
        s = body.build.length / 2
        _rump_stripes(layer, s)
        _barrel_stripes(layer, s)
        _shoulder_stripe(layer, s)
        for i in range(5):
            t = 0.42 + 0.125 * i
            layer.stroke(
                body.on_neck([(t + 0.02, 1.1), (t + 0.01, 0.2), (t - 0.06, -1.05)]), (0.036, 0.036, 0.012), INK
            )
        for i in range(4):
            x = 0.12 + 0.13 * i
            layer.stroke(body.on_head([(x - 0.06, 0.2), (x, 0.0), (x - 0.06, -0.3)]), (0.014, 0.02, 0.008), INK)
        layer.paint(body.on_head([(0.78, 0.2), (1.1, 0.2), (1.1, -0.3), (0.82, -0.25)]), (46, 40, 40), 0.025)
        eye(layer, body, (0.25, 0.04), 0.04)

    def mane(canvas: Image.Image, body: Body) -> None:
        layer = Layer(body.build.frame, (226, 218, 202))
        layer.add(
            closed(
                body.on_neck([(-0.05, 0.7), (0.2, 1.2), (0.6, 1.45), (1.0, 1.5), (1.12, 1.0), (0.8, 0.6), (0.4, 0.6)])
            ),
            "mane",
            0.06,
        )
        for i in range(5):
            t = 0.42 + 0.125 * i
            layer.stroke(body.on_neck([(t - 0.01, 1.8), (t, 0.5)]), (0.04, 0.036), INK)
        layer.onto(canvas, 4)

    return quadruped(ZEBRA, being, marks, leg_marks=_leg_bands, behind_parts=mane)


BUFFALO = Build(
    coat=(60, 51, 46), belly=(48, 41, 38), legs=(52, 44, 40), length=0.92, rump=0.94, back=0.95, chest=0.38,
    flank=0.42, thick=1.45, neck=0.36, neck_from=(0.5, 0.78), neck_width=(0.5, 0.32), neck_angles=(22, 14, -42),
    head=0.42, head_kind="ox", ear=0.5, ear_angle=215, head_angles=(-46, -48, -72), tail=((0, 0), (-0.05, -0.14),
    (-0.05, -0.36), (-0.05, -0.5)), tuft=(30, 26, 25), frame=Frame(-1.1, 1.5, 1.2, 480),
)  # fmt: skip


def buffalo(being: Being) -> Image.Image:
    """Massive, black-brown, heavy horn boss with drooping horns that hook upwards."""
    grey = (118, 108, 100)
    size = 0.75 if being.female else 1.0
    points = [(0.2, 0.04), (0.04, 0.1), (-0.1, -0.08), (-0.2, -0.28), (-0.36, -0.32), (-0.5, -0.16), (-0.5, 0.08)]
    widths = (0.2, 0.27, 0.22, 0.18, 0.15, 0.11, 0.03)

    def marks(layer: Layer, body: Body) -> None:
        saddle(layer, body, 1.18)
        creases(layer, body, 0.7)
        layer.paint(body.on_head([(0.84, 0.25), (1.15, 0.25), (1.15, -0.3), (0.88, -0.25)]), (30, 26, 26), 0.03)
        eye(layer, body, (0.36, 0.08), 0.035)

    def behind(canvas: Image.Image, body: Body) -> None:
        horn(
            canvas,
            body,
            [(0, 0), (0.2, -0.04), (0.34 * size, 0.02), (0.38 * size, 0.2)],
            (0.2, 0.17, 0.12, 0.03),
            tone(grey, 0.75),
            (0.16, 0.16),
        )

    def front(canvas: Image.Image, body: Body) -> None:
        horn(canvas, body, [(x * size, y * size) for x, y in points], widths, grey, (0.02, 0.14))

    return quadruped(BUFFALO, being, marks, behind_parts=behind, front_parts=front)


GIRAFFE = Build(
    coat=(226, 198, 150), belly=(232, 212, 174), legs=(228, 204, 160), length=0.5, rump=0.84, back=0.89,
    chest=0.58, flank=0.62, thick=0.95, neck=0.86, neck_from=(0.27, 0.86), neck_width=(0.32, 0.13),
    neck_angles=(62, 54, 72), head=0.235, head_kind="antelope", ear=0.5, ear_angle=165, head_angles=(-24, -24,
    12), browses=True, tail=((0, 0), (-0.06, -0.12), (-0.06, -0.28), (-0.06, -0.36)), tuft_size=0.06,
    frame=Frame(-0.8, 1.2, 1.95, 370),
)  # fmt: skip


def _patch(layer: Layer, corners: np.ndarray, being: Being, rng: np.random.Generator) -> None:
    colour = tone(((138, 84, 44), (112, 68, 38), (158, 98, 54))[being.variant], float(rng.uniform(0.88, 1.1)))
    layer.paint(closed(corners, 3), colour)


def _cell(x: float, y: float, rx: float, ry: float, rng: np.random.Generator) -> np.ndarray:
    turn = np.arange(6) * (np.pi / 3) + rng.uniform(-0.25, 0.25, 6)
    reach = rng.uniform(0.85, 1.12, 6)
    return np.stack([x + rx * reach * np.cos(turn), y + ry * reach * np.sin(turn)], 1)


def giraffe(being: Being) -> Image.Image:
    """Brown patches on cream, long sloping neck, ossicones, back that falls to the rump."""

    def marks(layer: Layer, body: Body) -> None:
        rng = np.random.default_rng(40 + being.variant)
        for row in range(6):
            for col in range(10):
                x, y = -0.47 + 0.1 * col + 0.05 * (row % 2), 1.02 - 0.088 * row
                if y > 0.5 and (x - 0.27) * 0.47 + (y - 0.86) * 0.88 < 0.1:
                    _patch(layer, _cell(x, y, 0.047, 0.046, rng), being, rng)
        for row in range(9):
            for col in range(4):
                t, size = 0.34 + 0.075 * row, 0.046 - 0.002 * row
                across = -1.0 + 0.72 * (col + 0.5 * (row % 2))
                centre = body.on_neck([(t, across)])[0]
                _patch(layer, _cell(centre[0], centre[1], size, size * 0.95, rng), being, rng)
        under(layer, body, GIRAFFE.belly, -0.05, 0.03)
        layer.paint(
            body.on_head([(0.1, 0.2), (0.9, 0.1), (0.9, 0.03), (0.3, 0.05), (0.1, 0.06)]), (150, 108, 70), 0.015
        )
        layer.paint(body.on_head([(0.85, 0.2), (1.1, 0.2), (1.1, -0.3), (0.87, -0.25)]), (120, 98, 80), 0.015)
        eye(layer, body, (0.3, 0.04), 0.06)

    def leg_marks(layer: Layer, body: Body) -> None:
        rng = np.random.default_rng(7 + being.variant)
        for joints in body.near:
            line = curve(joints, 10)
            for i in range(8):
                x, y = line[5 + 3 * i]
                _patch(layer, _cell(x + 0.03 * (-1) ** i, y, 0.034 - 0.002 * i, 0.034 - 0.002 * i, rng), being, rng)

    def mane(canvas: Image.Image, body: Body) -> None:
        piece(
            canvas,
            body.build.frame,
            closed(body.on_neck([(0.1, 0.6), (0.4, 1.22), (0.8, 1.35), (1.0, 1.3), (1.0, 0.6), (0.5, 0.5)])),
            (128, 78, 46),
        )
        horn(canvas, body, [(0.04, 0), (-0.02, 0.3)], (0.11, 0.1), (140, 106, 72), (0.12, 0.1))

    def front(canvas: Image.Image, body: Body) -> None:
        horn(canvas, body, [(0, 0), (-0.07, 0.3)], (0.12, 0.1), (196, 158, 112), (0.08, 0.1))
        tip = body.on_head(place([(-0.07, 0.31)], (0.08, 0.1), -body.build.head_angles[0]))[0]
        piece(canvas, body.build.frame, oval((tip[0], tip[1]), 0.016, 0.014), (44, 36, 32))

    return quadruped(GIRAFFE, being, marks, leg_marks=leg_marks, behind_parts=mane, front_parts=front)
