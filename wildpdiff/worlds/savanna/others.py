"""Warthog, spotted hyena and baboon."""

import numpy as np
from PIL import Image

from .anatomy import Being, Body, Build
from .markings import creases, saddle
from .outline import Frame, Layer, Point, Points, closed, curve, limb, oval, place, tone
from .quadruped import along_leg, eye, far_ear, horn, on_ground, piece, quadruped

IVORY = (228, 216, 186)


WARTHOG = Build(
    coat=(122, 104, 92), belly=(108, 90, 78), legs=(104, 88, 76), length=0.98, rump=0.94, back=0.97, chest=0.42,
    flank=0.46, thick=1.0, neck=0.22, neck_from=(0.52, 0.76), neck_width=(0.5, 0.4), neck_angles=(18, 10, -34),
    head=0.62, head_kind="hog", ear=0.26, ear_angle=120, head_angles=(-34, -36, -50), tail=((0, 0), (-0.05,
    -0.12), (-0.06, -0.3), (-0.06, -0.44)), tail_widths=(0.04, 0.03, 0.022, 0.02), tail_up=True, tuft=(50, 40,
    34), mouth_at=0.06, frame=Frame(-1.1, 1.6, 1.55, 370),
)  # fmt: skip


def warthog(being: Being) -> Image.Image:
    """Low, grey-brown, big flat head with warts and tusks, dark mane, tail upright when walking."""
    dark = (66, 48, 38)
    size = 0.6 if being.female else 1.0

    def marks(layer: Layer, body: Body) -> None:
        saddle(layer, body, 0.86)
        creases(layer, body, 0.75)
        for x, y, r in ((0.36, -0.16, 0.05), (0.62, -0.02, 0.035)):
            spot = tuple(body.on_head([(x, y)])[0])
            layer.paint(oval((spot[0], spot[1] - 0.015), r * 1.1, r), tone(WARTHOG.coat, 0.62), 0.02)
            layer.paint(oval((spot[0], spot[1] + 0.012), r * 0.7, r * 0.6), tone(WARTHOG.coat, 1.18), 0.015)
        layer.paint(body.on_head([(0.9, 0.2), (1.1, 0.2), (1.1, -0.3), (0.94, -0.2)]), (78, 62, 56), 0.02)
        layer.stroke(
            body.on_head([(0.2, -0.24), (0.45, -0.27), (0.6, -0.2)]), (0.01, 0.04, 0.01), (190, 174, 150), 0.01
        )
        eye(layer, body, (0.22, 0.08), 0.028)

    def mane(canvas: Image.Image, body: Body) -> None:
        far_ear(canvas, body)
        s = body.build.length / 2
        outline = [
            (-s + 0.3, 0.92),
            (0.0, 0.99),
            (s - 0.1, 1.08),
            (s + 0.06, 1.05),
            *body.on_neck([(0.7, 1.3), (1.0, 1.15), (1.0, 0.5)]),
            (0.1, 0.8),
        ]
        piece(canvas, body.build.frame, closed(outline), dark)
        horn(
            canvas, body, [(0, 0), (0.14, 0.0), (0.2, 0.14 * size)], (0.06, 0.05, 0.015), tone(IVORY, 0.8), (0.72, 0.0)
        )

    def front(canvas: Image.Image, body: Body) -> None:
        tusk = body.on_head(curve([(0.74, -0.08), (0.78, -0.2 * size), (0.8, 0.06), (0.7, 0.12 + 0.12 * size)]))
        piece(canvas, body.build.frame, limb(tusk, (0.036, 0.036, 0.03, 0.008), 2), IVORY, 0.02)

    return quadruped(WARTHOG, being, marks, behind_parts=mane, front_parts=front)


HYENA = Build(
    coat=(170, 142, 106), belly=(150, 124, 94), legs=(150, 120, 88), length=0.78, rump=0.8, back=0.88, chest=0.48,
    flank=0.52, thick=1.05, neck=0.4, neck_from=(0.4, 0.8), neck_width=(0.46, 0.27), neck_angles=(34, 18, -46),
    head=0.35, head_kind="dog", ear=0.0, head_angles=(-18, -14, -58), tail=((0, 0), (-0.05, -0.1), (-0.06, -0.22),
    (-0.05, -0.3)), tail_widths=(0.05, 0.05, 0.06, 0.05), tuft=(42, 34, 30), tuft_size=0.07, hoof=(74, 58, 46),
    frame=Frame(-1.0, 1.4, 1.3, 480),
)  # fmt: skip


def _round_ear(body: Body, at: Point, size: float) -> np.ndarray:
    centre = tuple(body.on_head([at])[0])
    return oval((centre[0], centre[1]), size, size * 1.15, body.head_angle + 20)


def spotted_hyena(being: Being) -> Image.Image:
    """Sloping back, heavy neck, round ears, dark spots, dark muzzle."""

    def marks(layer: Layer, body: Body) -> None:
        saddle(layer, body, 0.95)
        creases(layer, body, 0.78)
        rng = np.random.default_rng(60 + being.variant)
        for row in range(6):
            for col in range(13):
                x = -0.58 + 0.085 * col + 0.04 * (row % 2) + rng.uniform(-0.018, 0.018)
                y = 0.93 - 0.078 * row + rng.uniform(-0.018, 0.018)
                layer.paint(oval((x, y), 0.024 + rng.uniform(-0.006, 0.006), 0.018, 30), (80, 61, 48), 0.012)
        for i in range(12):
            centre = body.on_neck([(0.34 + 0.14 * (i // 3), -0.3 + 0.5 * (i % 3) + rng.uniform(-0.1, 0.1))])[0]
            layer.paint(oval((centre[0], centre[1]), 0.02, 0.016, 40), (88, 68, 52), 0.012)
        for joints in body.near:
            along_leg(layer, joints, 2.2, 4.1, 0.16, (92, 70, 54), 0.06)
            for i in range(4):
                x, y = curve(joints, 10)[9 + 4 * i]
                layer.paint(oval((x + 0.02 * (-1) ** i, y), 0.017, 0.015), (62, 46, 36), 0.008)
        layer.paint(body.on_head([(0.5, 0.3), (1.1, 0.3), (1.1, -0.3), (0.55, -0.3)]), (66, 52, 44), 0.05)
        eye(layer, body, (0.36, 0.1), 0.045)
        ear = _round_ear(body, (0.02, 0.26), 0.06)
        layer.add(ear, "ear", 0.03)
        layer.paint(ear, tone(HYENA.coat, 0.85))
        layer.paint(_round_ear(body, (0.04, 0.25), 0.036), (78, 60, 50), 0.015)

    def behind(canvas: Image.Image, body: Body) -> None:
        piece(canvas, body.build.frame, _round_ear(body, (0.16, 0.28), 0.05), tone(HYENA.coat, 0.6))
        piece(
            canvas,
            body.build.frame,
            closed(body.on_neck([(-0.1, 0.6), (0.2, 1.1), (0.6, 1.2), (0.95, 1.05), (0.9, 0.5)])),
            tone(HYENA.coat, 0.75),
        )

    return quadruped(HYENA, being, marks, behind_parts=behind)


BABOON = Build(
    coat=(122, 106, 72), belly=(132, 116, 88), legs=(104, 90, 64), length=0.66, rump=0.86, back=0.92, chest=0.56,
    flank=0.6, thick=1.15, hind=0.85, neck=0.2, neck_from=(0.36, 0.88), neck_width=(0.36, 0.28), neck_angles=(38,
    24, -30), head=0.36, head_kind="none", ear=0.0, head_angles=(-22, -18, -40), tail=((0.02, 0.0), (-0.12, 0.2),
    (-0.26, 0.14), (-0.34, -0.12), (-0.36, -0.42)), tail_widths=(0.06, 0.055, 0.05, 0.045, 0.03), tuft=None,
    hoof=(58, 48, 42), frame=Frame(-1.1, 1.1, 1.35, 480),
)  # fmt: skip


def _baboon_head(layer: Layer, at: Point, angle: float, size: float, coat: float) -> None:
    def on(points: Points) -> np.ndarray:
        return place(points, at, angle, size)

    layer.add(
        on(
            closed(
                [
                    (-0.26, -0.02),
                    (-0.16, 0.24),
                    (0.1, 0.34),
                    (0.32, 0.26),
                    (0.46, 0.1),
                    (0.42, -0.12),
                    (0.2, -0.3),
                    (-0.12, -0.32),
                ]
            )
        ),
        "head",
        0.07,
        0.5,
    )
    muzzle = on(
        closed(
            [
                (0.3, 0.12),
                (0.5, 0.08),
                (0.86, -0.02),
                (0.97, -0.1),
                (0.94, -0.24),
                (0.76, -0.29),
                (0.42, -0.27),
                (0.28, -0.1),
            ]
        )
    )
    layer.add(muzzle, "muzzle", 0.05, 0.5)
    layer.paint(muzzle, (64, 52, 48), 0.02)
    layer.paint(on([(0.3, 0.24), (0.48, 0.12), (0.46, 0.02), (0.26, 0.06)]), tone((76, 60, 52), coat), 0.02)
    layer.stroke(on([(0.55, -0.2), (0.75, -0.2), (0.94, -0.17)]), (0.004, 0.01, 0.006), (34, 27, 26))
    eye_at = on([(0.37, 0.1)])[0]
    layer.paint(oval((eye_at[0], eye_at[1]), 0.016, 0.013), (20, 15, 14))
    ear = on([(0.0, 0.02)])[0]
    layer.paint(oval((ear[0], ear[1]), 0.032, 0.042), (74, 60, 52), 0.012)
    layer.paint(on([(-0.2, -0.1), (0.25, -0.14), (0.2, -0.36), (-0.14, -0.38)]), tone((150, 132, 98), coat), 0.05, 0.7)


def baboon(being: Being) -> Image.Image:
    """Olive, dog-like muzzle, tail kinked up then down; sits when it feeds."""
    return _baboon_sitting(being) if being.pose == "feed" else _baboon_walking(being)


def _baboon_walking(being: Being) -> Image.Image:
    def ruff(layer: Layer, body: Body) -> None:
        layer.add(oval((0.28, 0.85), 0.24, 0.24), "body")

    def marks(layer: Layer, body: Body) -> None:
        saddle(layer, body, 0.88)
        creases(layer, body, 0.75)
        layer.paint(oval((0.24, 0.88), 0.2, 0.16), tone((146, 126, 88), being.coat), 0.12)
        layer.paint(oval((body.hip - 0.16, 0.7), 0.05, 0.07), (92, 70, 68), 0.02)
        _baboon_head(layer, body.head_at, body.head_angle, 0.42, being.coat)

    return quadruped(BABOON, being, marks, extra=ruff)


def _baboon_sitting(being: Being) -> Image.Image:
    frame = BABOON.frame
    canvas = Image.new("RGBA", frame.size)
    piece(
        canvas,
        frame,
        limb([(-0.3, 0.1), (-0.5, 0.06), (-0.72, 0.03), (-0.84, 0.06)], (0.07, 0.06, 0.05, 0.03)),
        tone(BABOON.coat, 0.7),
    )
    piece(
        canvas,
        frame,
        limb([(0.1, 0.6), (0.3, 0.36), (0.42, 0.12), (0.46, 0.03)], (0.14, 0.1, 0.07, 0.06)),
        tone(BABOON.coat, 0.6),
    )
    layer = Layer(frame, tone(BABOON.coat, being.coat))
    layer.add(
        closed(
            [
                (-0.36, 0.02),
                (-0.42, 0.2),
                (-0.34, 0.5),
                (-0.18, 0.78),
                (0.02, 0.93),
                (0.2, 0.86),
                (0.26, 0.62),
                (0.2, 0.36),
                (0.14, 0.1),
                (0.0, 0.0),
            ]
        ),
        "body",
        0.16,
        0.6,
    )
    layer.fillet(0.02)
    thigh = limb([(-0.2, 0.2), (0.06, 0.4), (0.26, 0.44), (0.26, 0.2), (0.22, 0.05)], (0.26, 0.26, 0.16, 0.1, 0.07))
    layer.add(thigh, "thigh", 0.07, 0.6)
    layer.add(limb([(0.18, 0.04), (0.3, 0.03), (0.44, 0.02)], (0.08, 0.07, 0.05)), "foot", 0.03, 0.5)
    layer.paint(oval((0.06, 0.76), 0.2, 0.18), tone((146, 126, 88), being.coat), 0.12)
    arm = limb([(0.1, 0.72), (0.2, 0.52), (0.42, 0.46), (0.5, 0.6)], (0.2, 0.14, 0.09, 0.06))
    layer.add(arm, "arm", 0.05, 0.6)
    layer.paint(oval((0.5, 0.62), 0.05, 0.05), (60, 50, 44), 0.02)
    layer.paint([(0.2, -0.1), (0.6, -0.1), (0.6, 0.06), (0.3, 0.06)], (66, 54, 46), 0.03)
    _baboon_head(layer, (0.16, 0.98), -18, 0.42, being.coat)
    layer.onto(canvas, being.variant)
    on_ground(canvas, frame)
    return canvas
