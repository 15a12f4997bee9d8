"""Draws a four-legged animal: far legs, tail, near silhouette, ears, horns."""

import numpy as np
from PIL import Image

from .anatomy import EAR, FORE_WIDTHS, HEADS, HIND_WIDTHS, Being, Body, Build, Marks, Paint, nothing, pose_body, torso
from .outline import Colour, Frame, Layer, Point, Points, blend, closed, curve, limb, normals, oval, place, tone


def _add_leg(layer: Layer, joints: np.ndarray, widths: tuple[float, ...], b: Build) -> None:
    scaled = [
        w * (b.thick if i > 1 else 0.5 + 0.5 * b.thick) * (b.hind if widths is HIND_WIDTHS else 1)
        for i, w in enumerate(widths)
    ]
    if b.columns:
        scaled[:2] = [min(w, 0.36) for w in scaled[:2]]
    down = np.concatenate([joints, joints[-1:] - (0, 0.05)])
    layer.add(limb(down, [*scaled, scaled[-1]]), "leg", 0.06 * b.thick, 0.55)


def hooves(layer: Layer, legs: list[np.ndarray], b: Build) -> None:
    """Dark hooves at the toes."""
    for joints in legs:
        x, _ = joints[-1]
        w = 0.06 * b.thick
        layer.paint([(x - w, -0.1), (x - w, 0.035), (x + w, 0.035), (x + w, -0.1)], b.hoof)


def _far_legs(canvas: Image.Image, body: Body, marks: Marks) -> None:
    b = body.build
    layer = Layer(b.frame, tone(b.legs, body.being.coat))
    for joints, widths in zip(body.far, (HIND_WIDTHS, FORE_WIDTHS), strict=True):
        _add_leg(layer, joints, widths, b)
    marks(layer, Body(b, body.being, body.neck, body.head_at, body.head_angle, body.far, body.near))
    hooves(layer, body.far, b)
    layer.colours = layer.colours.point([int(v * 0.62) for v in range(256)] * 3)
    layer.onto(canvas, 5)


def ear_shape(body: Body, at: Point = (0.0, 0.1), angle: float | None = None, scale: float = 1.0) -> np.ndarray:
    """Outline of an ear on the head."""
    b = body.build
    return body.on_head(place(closed(EAR), at, b.ear_angle if angle is None else angle, b.ear * 1.9 * scale))


def draw_tail(canvas: Image.Image, body: Body) -> None:
    """Tail with a tuft, behind the body."""
    b = body.build
    layer = Layer(b.frame, tone(b.coat, body.being.coat * 0.9))
    root = (-b.length / 2 - 0.14, b.rump - 0.1)
    swing = {"stand": 0.0, "walk": -10.0, "feed": 5.0}[body.being.pose] + 4 * body.being.variant
    swing -= 175 if b.tail_up and body.being.pose == "walk" else 0
    line = place(b.tail, root, swing)
    layer.add(limb(line, b.tail_widths), "tail", 0.03, 0.4)
    if b.tuft:
        tip, before = line[-1], line[-2]
        end = tip + (tip - before) * 0.9
        tuft = limb([tuple(before), tuple(tip), tuple(end)], (b.tail_widths[-1], b.tuft_size, 0.012))
        layer.add(tuft, "tail")
        layer.paint(tuft, b.tuft)
    layer.onto(canvas, 3)


def draw_head(layer: Layer, body: Body) -> None:
    """Head outline and the nearer ear joined to the silhouette."""
    if body.build.head_kind in HEADS:
        layer.add(body.on_head(closed(HEADS[body.build.head_kind])), "head", 0.07, 0.45)


def _ears(layer: Layer, body: Body) -> None:
    b = body.build
    if b.ear:
        ear = ear_shape(body)
        layer.add(ear, "ear", 0.04, 0.3)
        layer.paint(ear, tone(b.coat, 0.8 * body.being.coat))
        layer.paint(
            place(ear - ear.mean(0), tuple(ear.mean(0)), 0, 0.62),
            blend(tone(b.coat, body.being.coat), (236, 214, 190), 0.55),
            0.01,
        )


def eye(layer: Layer, body: Body, at: Point = (0.25, 0.05), size: float = 0.045) -> None:
    """Dark eye with a paler rim above."""
    centre = tuple(body.on_head([at])[0])
    r = size * body.build.head
    layer.paint(oval(centre, r * 1.15, r, body.head_angle), (22, 17, 15))
    layer.paint(oval((centre[0] + r * 0.3, centre[1] + r * 0.4), r * 0.28, r * 0.28), (150, 140, 130))


def _silhouette(body: Body, extra: Marks) -> Layer:
    """Trunk, neck, head and near legs as one outline."""
    b = body.build
    layer = Layer(b.frame, tone(b.coat, body.being.coat))
    layer.add(torso(b), "body", 0.17, 0.6)
    layer.add(
        limb(body.neck, (b.neck_width[0] * 1.05, b.neck_width[0], sum(b.neck_width) / 2, b.neck_width[1])), "body"
    )
    for joints, widths in zip(body.near, (HIND_WIDTHS, FORE_WIDTHS), strict=True):
        if b.columns:
            _add_leg(layer, joints, widths, b)
        else:
            knee = (joints[1] * 0.6 + joints[2] * 0.4, joints[1] * 0.25 + joints[2] * 0.75)
            layer.add(
                limb([joints[0], joints[1], *knee], (widths[0], widths[1] * 1.02, widths[1] * 0.7, widths[2])), "body"
            )
    extra(layer, body)
    layer.fillet(0.045)
    draw_head(layer, body)
    for joints, widths in zip(body.near, (HIND_WIDTHS, FORE_WIDTHS), strict=True):
        _add_leg(layer, joints, widths, b)
    return layer


def quadruped(b: Build, being: Being, marks: Marks, behind: Marks = nothing, leg_marks: Marks = nothing,
              extra: Marks = nothing,
              behind_parts: Paint | None = None, front_parts: Paint | None = None) -> Image.Image:  # fmt: skip
    """Draw one animal, RGBA.

    `marks` paints the near silhouette, `leg_marks` both pairs of legs, `extra` adds to the silhouette before it is
    rounded, `behind_parts` and `front_parts` draw on the canvas before and after the near silhouette.
    """
    body = pose_body(b, being)
    canvas = Image.new("RGBA", b.frame.size)
    _far_legs(canvas, body, leg_marks)
    draw_tail(canvas, body)
    if behind_parts:
        behind_parts(canvas, body)
    layer = _silhouette(body, extra)
    marks(layer, body)
    leg_marks(layer, body)
    hooves(layer, body.near, b)
    _ears(layer, body)
    layer.onto(canvas, being.variant + 11)
    if front_parts:
        front_parts(canvas, body)
    on_ground(canvas, b.frame)
    return canvas


def on_ground(canvas: Image.Image, frame: Frame) -> None:
    """Clear what lies below the ground."""
    w, h = canvas.size
    canvas.paste((0, 0, 0, 0), (0, round(frame.top * frame.scale), w, h))


def piece(canvas: Image.Image, frame: Frame, outline: Points, colour: Colour, radius: float = 0.05) -> None:
    """Draw one shaded part of one colour."""
    layer = Layer(frame, colour)
    layer.add(outline, "part", radius, 0.6)
    layer.onto(canvas, 2)


def horn(
    canvas: Image.Image,
    body: Body,
    points: Points,
    widths: tuple[float, ...],
    colour: Colour,
    base: Point = (0.06, 0.13),
) -> None:
    """Draw a horn; `points` are relative to its base in head lengths, upright when the head is held as in standing."""
    upright = place(points, base, -body.build.head_angles[0])
    band = limb(body.on_head(upright), [w * body.build.head for w in widths])
    piece(canvas, body.build.frame, band, colour, 0.03)


def far_ear(canvas: Image.Image, body: Body, shade: float = 0.7, turn: float = -25) -> None:
    """Draw the ear on the other side of the head."""
    angle = body.build.ear_angle + turn
    piece(
        canvas, body.build.frame, ear_shape(body, (0.08, 0.12), angle), tone(body.build.coat, shade * body.being.coat)
    )


def along_leg(
    layer: Layer, joints: np.ndarray, start: float, end: float, width: float, colour: Colour, soft: float = 0.01
) -> None:
    """Paint a leg between two places (0 = top joint, 4 = toe)."""
    line = curve(joints, 10)
    part = line[round(start * 10) : round(end * 10) + 1]
    side = normals(part) * width / 2
    layer.paint(np.concatenate([part + side, (part - side)[::-1]]), colour, soft)
