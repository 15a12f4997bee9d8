"""Large antelopes: wildebeest, hartebeest, topi, eland."""

from PIL import Image

from .anatomy import Being, Body, Build
from .markings import Horn, creases, horned, limbs, rump_patch, saddle, under
from .outline import Frame, Layer, blend, closed, limb, oval, tone
from .quadruped import along_leg, eye, piece, quadruped

WILDEBEEST = Build(
    coat=(98, 90, 84), belly=(84, 75, 68), legs=(104, 86, 70), length=0.78, rump=0.88, back=0.9, chest=0.46,
    flank=0.53, neck=0.36, neck_from=(0.42, 0.82), neck_width=(0.4, 0.24), neck_angles=(34, 22, -48), head=0.4,
    head_kind="long", head_angles=(-58, -60, -78), ear=0.38, ear_angle=188, tail=((0, 0), (-0.07, -0.1), (-0.09,
    -0.28), (-0.08, -0.4)), tuft=(30, 26, 26), tuft_size=0.09, tail_widths=(0.06, 0.05, 0.05, 0.06),
    frame=Frame(-1.0, 1.4, 1.35, 650),
)  # fmt: skip


def wildebeest(being: Being) -> Image.Image:
    """Dark, sloping back, beard, mane, brindled shoulders, cow-like horns."""
    dark = (36, 31, 30)

    def marks(layer: Layer, body: Body) -> None:
        saddle(layer, body, 1.12)
        creases(layer, body, 0.75)
        s = body.build.length / 2
        for i in range(9):
            x = s + 0.02 - 0.075 * i
            layer.stroke(
                [(x, 0.98), (x - 0.03, 0.8), (x - 0.02, 0.66 - 0.01 * i)],
                (0.008, 0.022, 0.006),
                tone(dark, 1.75),
                0.014,
            )
        for i in range(4):
            t = 0.46 + 0.13 * i
            layer.stroke(
                body.on_neck([(t, 0.9), (t + 0.04, 0.0), (t, -0.7)]), (0.014, 0.02, 0.008), tone(dark, 1.7), 0.014
            )
        face = [(0.1, 0.3), (1.1, 0.2), (1.1, -0.3), (0.72, -0.3), (0.5, -0.12), (0.12, -0.02)]
        layer.paint(body.on_head(face), dark, 0.02)
        eye(layer, body, (0.26, 0.02), 0.035)
        layer.paint(oval(tuple(body.on_head([(0.93, -0.0)])[0]), 0.014, 0.01), (15, 12, 12))

    def hair(canvas: Image.Image, body: Body) -> None:
        mane = body.on_neck([(0.0, 0.75), (0.35, 1.22), (0.7, 1.28), (1.05, 1.2), (1.1, 0.5), (0.5, 0.55)])
        piece(canvas, body.build.frame, closed(mane), dark)
        layer = Layer(body.build.frame, (56, 48, 43) if being.variant != 2 else (118, 106, 90))
        for i in range(9):
            x, y = body.on_neck([(0.3 + 0.09 * i, -0.7)])[0]
            length = 0.13 + 0.05 * (i % 3) + 0.008 * i
            layer.add(
                limb([(x, y + 0.04), (x + 0.004 * i, y - 0.5 * length), (x - 0.01, y - length)], (0.07, 0.06, 0.008)),
                "beard",
                0.03,
            )
        layer.onto(canvas)
        behind(canvas, body)

    shape: Horn = (
        [(0, 0), (-0.1, 0.06), (0.0, -0.02), (0.2, 0.02), (0.28, 0.2), (0.2, 0.36)],
        (0.16, 0.15, 0.13, 0.1, 0.07, 0.02),
        (58, 54, 52),
    )
    behind, front = horned(shape, being, 0.8 if being.female else 1.0)
    return quadruped(WILDEBEEST, being, marks, behind_parts=hair, front_parts=front)


HARTEBEEST = Build(
    coat=(172, 124, 84), belly=(205, 170, 128), legs=(190, 136, 86), length=0.68, rump=0.87, back=0.92, chest=0.5,
    flank=0.57, neck=0.42, neck_from=(0.37, 0.84), neck_width=(0.34, 0.16), neck_angles=(56, 44, -50), head=0.42,
    head_kind="long", head_angles=(-52, -54, -76), ear=0.4, ear_angle=172, frame=Frame(-1.0, 1.4, 1.65, 540),
)  # fmt: skip


def hartebeest(being: Being) -> Image.Image:
    """Tan, very long face, high shoulder, bracket horns, pale rump."""

    def marks(layer: Layer, body: Body) -> None:
        saddle(layer, body, 0.9)
        under(layer, body, HARTEBEEST.belly, -0.02)
        limbs(layer, body)
        rump_patch(layer, body, (222, 192, 150), 1.25, -0.04)
        creases(layer, body, 0.78)
        layer.paint(
            body.on_head([(0.25, 0.14), (0.95, 0.08), (0.95, 0.02), (0.3, 0.06)]), tone(HARTEBEEST.coat, 0.75), 0.02
        )
        layer.paint(body.on_head([(0.9, 0.2), (1.1, 0.2), (1.1, -0.2), (0.92, -0.2)]), (84, 62, 46), 0.02)
        eye(layer, body, (0.22, 0.04), 0.035)

    shape: Horn = (
        [(0, 0), (0.0, 0.16), (0.16, 0.27), (0.22, 0.4), (0.06, 0.48), (-0.16, 0.54)],
        (0.11, 0.1, 0.085, 0.07, 0.05, 0.015),
        (62, 50, 42),
    )
    behind, front = horned(shape, being, 0.85 if being.female else 1.05)
    return quadruped(HARTEBEEST, being, marks, behind_parts=behind, front_parts=front)


TOPI = Build(
    coat=(112, 68, 50), belly=(128, 78, 52), legs=(184, 140, 92), length=0.68, rump=0.86, back=0.91, chest=0.5,
    flank=0.57, neck=0.42, neck_from=(0.37, 0.84), neck_width=(0.34, 0.16), neck_angles=(54, 42, -50), head=0.4,
    head_kind="long", head_angles=(-50, -54, -76), ear=0.4, ear_angle=172, frame=Frame(-1.0, 1.4, 1.65, 540),
)  # fmt: skip


def topi(being: Being) -> Image.Image:
    """Dark reddish brown with bluish-black thighs and upper forelegs, tan lower legs, dark face."""
    purple = (62, 49, 52)

    def leg_marks(layer: Layer, body: Body) -> None:
        for joints, wide in zip(body.near, (0.3, 0.2), strict=True):
            along_leg(layer, joints, 1.5, 4.1, 0.2, tone(TOPI.legs, being.coat), 0.03)
            along_leg(layer, joints, 0.35, 1.75, wide, tone(purple, being.coat), 0.05)

    def marks(layer: Layer, body: Body) -> None:
        saddle(layer, body, 0.92)
        creases(layer, body, 0.72)
        layer.paint(body.on_head([(0.08, 0.2), (1.1, 0.2), (1.1, -0.2), (0.8, -0.14), (0.35, 0.0)]), (48, 36, 36), 0.03)
        eye(layer, body, (0.22, 0.03), 0.035)

    shape: Horn = (
        [(0, 0), (-0.12, 0.14), (-0.2, 0.3), (-0.22, 0.46), (-0.16, 0.62)],
        (0.13, 0.12, 0.1, 0.07, 0.02),
        (56, 46, 42),
    )
    behind, front = horned(shape, being, 0.85 if being.female else 1.05)
    return quadruped(TOPI, being, marks, leg_marks=leg_marks, behind_parts=behind, front_parts=front)


ELAND = Build(
    coat=(198, 164, 118), belly=(206, 178, 136), legs=(190, 156, 112), length=0.84, rump=0.95, back=0.94,
    chest=0.4, flank=0.47, thick=1.15, neck=0.4, neck_from=(0.45, 0.82), neck_width=(0.42, 0.22), neck_angles=(48,
    36, -48), head=0.33, head_kind="ox", ear=0.42, ear_angle=178, head_angles=(-32, -36, -74), tail=((0, 0),
    (-0.05, -0.14), (-0.05, -0.36), (-0.05, -0.5)), frame=Frame(-1.0, 1.4, 1.65, 540),
)  # fmt: skip


def eland(being: Being) -> Image.Image:
    """Ox-like, pale fawn, dewlap, shoulder hump, straight spiral horns, thin white stripes."""

    def hump(layer: Layer, body: Body) -> None:
        s = ELAND.length / 2
        layer.add(oval((s - 0.02, 0.97), 0.16, 0.07, -6), "body")
        layer.add(closed(body.on_neck([(0.25, -0.6), (0.3, -1.75), (0.5, -2.1), (0.75, -1.7), (0.97, -0.7)])), "body")

    def marks(layer: Layer, body: Body) -> None:
        saddle(layer, body, 1.04)
        creases(layer, body, 0.8)
        for i in range(8):
            x = ELAND.length / 2 - 0.12 - 0.085 * i
            layer.stroke([(x, 0.94), (x - 0.015, 0.76), (x - 0.01, 0.58)], (0.004, 0.011, 0.004), (228, 208, 174), 0.01)
        grey = (168, 150, 126) if not being.female else (206, 170, 122)
        layer.paint(body.on_neck([(0.1, 1.1), (1, 1.1), (1, -1.2), (0.1, -1.3)]), tone(grey, being.coat), 0.08, 0.8)
        layer.paint(
            body.on_head([(0.12, 0.3), (0.42, 0.28), (0.4, 0.1), (0.15, 0.12)]),
            blend((84, 62, 44), ELAND.coat, 0.2),
            0.03,
        )
        layer.paint(body.on_head([(0.86, 0.2), (1.1, 0.2), (1.1, -0.3), (0.88, -0.25)]), (74, 62, 54), 0.02)
        eye(layer, body, (0.3, 0.05), 0.04)

    shape: Horn = ([(0, 0), (-0.2, 0.28), (-0.4, 0.56), (-0.62, 0.86)], (0.17, 0.15, 0.1, 0.03), (70, 60, 52))
    behind, front = horned(shape, being, 1.1 if being.female else 1.0)
    return quadruped(ELAND, being, marks, extra=hump, behind_parts=behind, front_parts=front)
