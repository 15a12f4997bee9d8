"""Slender antelopes: the gazelles, impala and reedbuck."""

from PIL import Image

from .anatomy import Being, Body, Build
from .markings import LYRE, WHITE, Horn, creases, horned, limbs, rump_patch, saddle, under
from .outline import Colour, Frame, Layer, closed, limb, oval
from .quadruped import along_leg, eye, quadruped

THOMSON = Build(
    coat=(182, 138, 92), belly=WHITE, legs=(206, 164, 116), length=0.72, rump=1.0, back=0.95, chest=0.53,
    flank=0.58, thick=0.78, neck=0.46, neck_from=(0.39, 0.84), neck_width=(0.26, 0.125), neck_angles=(66, 54,
    -52), head=0.31, ear=0.55, ear_angle=172, head_angles=(-26, -30, -74), tail=((0, 0), (-0.06, -0.06), (-0.08,
    -0.17), (-0.06, -0.25)), tail_widths=(0.06, 0.055, 0.05, 0.04), tuft=(25, 22, 22), frame=Frame(-0.9, 1.3,
    1.95, 530),
)  # fmt: skip


GRANT = Build(
    coat=(212, 172, 124), belly=WHITE, legs=(222, 190, 148), length=0.72, rump=0.99, back=0.95, chest=0.5,
    flank=0.56, thick=0.85, neck=0.5, neck_from=(0.39, 0.84), neck_width=(0.3, 0.15), neck_angles=(64, 52, -52),
    head=0.3, ear=0.52, ear_angle=172, head_angles=(-26, -30, -74), tail=((0, 0), (-0.06, -0.1), (-0.07, -0.2),
    (-0.06, -0.28)), tail_widths=(0.05, 0.03, 0.025, 0.02), frame=Frame(-0.9, 1.3, 2.15, 420),
)  # fmt: skip


IMPALA = Build(
    coat=(164, 104, 66), belly=WHITE, legs=(200, 148, 98), length=0.72, rump=0.99, back=0.95, chest=0.51,
    flank=0.57, thick=0.82, neck=0.5, neck_from=(0.39, 0.84), neck_width=(0.26, 0.12), neck_angles=(64, 52, -52),
    head=0.3, ear=0.58, ear_angle=170, head_angles=(-26, -30, -74), tail=((0, 0), (-0.06, -0.1), (-0.07, -0.2),
    (-0.06, -0.3)), tail_widths=(0.05, 0.04, 0.035, 0.03), tuft=WHITE, frame=Frame(-0.9, 1.3, 2.15, 420),
)  # fmt: skip


REEDBUCK = Build(
    coat=(186, 160, 112), belly=(226, 216, 190), legs=(176, 148, 102), length=0.74, rump=1.0, back=0.96,
    chest=0.5, flank=0.56, thick=0.9, neck=0.44, neck_from=(0.4, 0.84), neck_width=(0.3, 0.16), neck_angles=(58,
    46, -52), head=0.31, ear=0.62, ear_angle=165, tail=((0, 0), (-0.08, -0.08), (-0.11, -0.2), (-0.09, -0.3)),
    tail_widths=(0.07, 0.11, 0.11, 0.05), tuft=WHITE, frame=Frame(-0.9, 1.3, 1.75, 510),
)  # fmt: skip


def gazelle_face(layer: Layer, body: Body, stripe: Colour, pale: Colour) -> None:
    """White eye line, dark cheek stripe, dark nose."""
    layer.paint(
        body.on_head([(0.2, 0.12), (0.5, 0.08), (0.95, 0.0), (0.95, -0.06), (0.4, 0.01), (0.15, 0.0)]), pale, 0.012
    )
    layer.paint(
        body.on_head([(0.25, 0.0), (0.6, -0.04), (0.85, -0.05), (0.85, -0.1), (0.55, -0.11), (0.25, -0.06)]),
        stripe,
        0.012,
    )
    layer.paint(body.on_head([(0.5, -0.12), (0.95, -0.09), (0.9, -0.3), (0.3, -0.4)]), pale, 0.03)
    layer.paint(oval(tuple(body.on_head([(0.97, 0.0)])[0]), 0.018, 0.014), (30, 25, 24))
    eye(layer, body, (0.26, 0.05), 0.055)


def side_band(layer: Layer, body: Body, colour: Colour, width: float, soft: float = 0.012) -> None:
    """Stripe along the flank from the elbow to the thigh."""
    s = body.build.length / 2
    layer.stroke(
        [(s + 0.05, 0.64), (s - 0.2, 0.645), (0, 0.665), (-s + 0.12, 0.72)],
        (width * 0.8, width * 1.1, width, width * 0.5),
        colour,
        soft,
    )


def thomsons_gazelle(being: Being) -> Image.Image:
    """Small, tan above, bold black side band, white below, black tail."""

    def marks(layer: Layer, body: Body) -> None:
        saddle(layer, body, 0.92)
        creases(layer, body, 0.82)
        under(layer, body, WHITE, 0.02, 0.015)
        side_band(layer, body, (226, 198, 156), 0.2, 0.03)
        under(layer, body, WHITE, 0.0, 0.015)
        side_band(layer, body, (30, 25, 24), 0.105)
        limbs(layer, body)
        rump_patch(layer, body, WHITE, 0.85)
        layer.paint(limb([(body.hip - 0.06, 0.92), (body.hip - 0.1, 0.72)], (0.02, 0.025)), (35, 29, 27), 0.012)
        gazelle_face(layer, body, (40, 30, 27), WHITE)

    behind, front = horned(LYRE, being, 0.45 if being.female else 1.0)
    return quadruped(THOMSON, being, marks, behind_parts=behind, front_parts=front)


def grants_gazelle(being: Being) -> Image.Image:
    """Larger and paler, no black band, white rump above the tail with a dark edge, very long lyre horns."""

    def marks(layer: Layer, body: Body) -> None:
        saddle(layer, body, 0.95)
        creases(layer, body, 0.84)
        side_band(layer, body, (190, 148, 104), 0.09, 0.03)
        under(layer, body, WHITE, -0.01, 0.015)
        limbs(layer, body)
        layer.paint(
            limb([(body.hip + 0.0, 1.02), (body.hip - 0.04, 0.86), (body.hip - 0.09, 0.66)], (0.03, 0.04, 0.03)),
            (74, 56, 44),
            0.015,
        )
        layer.paint(
            closed(
                [
                    (body.hip - 0.25, 1.05),
                    (body.hip - 0.02, 1.06),
                    (body.hip - 0.05, 0.86),
                    (body.hip - 0.12, 0.62),
                    (body.hip - 0.25, 0.6),
                ]
            ),
            WHITE,
            0.012,
        )
        gazelle_face(layer, body, (92, 66, 48), WHITE)

    shape: Horn = (
        [(0, 0), (-0.04, 0.4), (-0.24, 0.85), (-0.46, 1.25), (-0.46, 1.62)],
        (0.16, 0.16, 0.13, 0.09, 0.02),
        LYRE[2],
    )
    behind, front = horned(shape, being, 0.6 if being.female else 1.0)
    return quadruped(GRANT, being, marks, behind_parts=behind, front_parts=front)


def impala(being: Being) -> Image.Image:
    """Reddish saddle, tan flank, white belly, black streaks on the rump; long lyre horns on males only."""
    tan = (216, 170, 118)

    def marks(layer: Layer, body: Body) -> None:
        under(layer, body, tan, 0.13, 0.02)
        creases(layer, body, 0.8)
        under(layer, body, WHITE, 0.0, 0.015)
        limbs(layer, body, tan)
        rump_patch(layer, body, (232, 214, 188), 0.7)
        layer.paint(
            limb([(body.hip - 0.1, 0.98), (body.hip - 0.1, 0.8), (body.hip - 0.12, 0.62)], (0.02, 0.035, 0.02)),
            (30, 24, 22),
            0.008,
        )
        for joints in body.near[:1]:
            along_leg(layer, joints, 2.7, 3.05, 0.09, (34, 26, 24), 0.01)
        layer.paint(body.on_head([(0.5, -0.1), (0.95, -0.07), (0.9, -0.3), (0.2, -0.4)]), WHITE, 0.03)
        layer.paint(body.on_neck([(0.8, -0.4), (1.0, -0.3), (1.0, -1.2), (0.75, -1.2)]), (226, 204, 172), 0.03)
        layer.paint(oval(tuple(body.on_head([(0.97, 0.0)])[0]), 0.018, 0.014), (30, 25, 24))
        eye(layer, body, (0.26, 0.05), 0.055)

    shape: Horn = (
        [(0, 0), (0.06, 0.22), (-0.1, 0.5), (-0.42, 0.74), (-0.55, 1.05), (-0.42, 1.45)],
        (0.14, 0.14, 0.12, 0.1, 0.07, 0.02), LYRE[2],
    )  # fmt: skip
    behind, front = horned(None if being.female else shape, being)
    return quadruped(IMPALA, being, marks, behind_parts=behind, front_parts=front)


def reedbuck(being: Being) -> Image.Image:
    """Plain yellowish grey, short horns curved forward, bushy tail."""

    def marks(layer: Layer, body: Body) -> None:
        saddle(layer, body, 0.9)
        creases(layer, body, 0.82)
        under(layer, body, REEDBUCK.belly, -0.03, 0.04)
        limbs(layer, body)
        for joints in body.near[1:]:
            along_leg(layer, joints, 1.6, 3.2, 0.03, (110, 90, 66), 0.015)
        layer.paint(body.on_neck([(0.55, -0.45), (0.98, -0.3), (1.0, -1.2), (0.5, -1.2)]), REEDBUCK.belly, 0.04)
        layer.paint(body.on_head([(0.55, -0.1), (0.95, -0.07), (0.9, -0.3), (0.3, -0.4)]), REEDBUCK.belly, 0.03)
        layer.paint(oval(tuple(body.on_head([(0.97, 0.0)])[0]), 0.018, 0.014), (34, 28, 26))
        layer.paint(oval(tuple(body.on_head([(-0.02, -0.03)])[0]), 0.02, 0.02), (90, 74, 60), 0.01)
        eye(layer, body, (0.26, 0.05), 0.05)

    shape: Horn = ([(0, 0), (-0.12, 0.18), (-0.14, 0.4), (0.02, 0.56)], (0.13, 0.12, 0.08, 0.02), (58, 50, 44))
    behind, front = horned(None if being.female else shape, being, 1.15)
    return quadruped(REEDBUCK, being, marks, behind_parts=behind, front_parts=front)
