"""Elephant and hippopotamus: heavy bodies on columns."""

from PIL import Image

from .anatomy import Being, Body, Build
from .markings import creases, under
from .outline import Frame, Layer, Point, closed, limb, oval, tone
from .quadruped import eye, piece, quadruped

ELEPHANT = Build(
    coat=(134, 124, 116), belly=(112, 104, 98), legs=(124, 115, 107), length=0.78, rump=0.9, back=1.0,
    withers=0.94, chest=0.4, flank=0.42, thick=3.3, hind=0.85, neck=0.2, neck_from=(0.42, 0.76), neck_width=(0.56,
    0.42), neck_angles=(25, 15, 2), head=0.4, head_kind="none", ear=0.0, columns=True, browses=True, tail=((0, 0),
    (-0.06, -0.12), (-0.06, -0.3), (-0.04, -0.42)), hoof=(150, 138, 124), frame=Frame(-0.9, 1.4, 1.2, 540),
)  # fmt: skip


TRUNKS: dict[str, list[Point]] = {
    "stand": [(0.1, 0.0), (0.24, -0.16), (0.27, -0.4), (0.24, -0.64), (0.26, -0.78)],
    "walk": [(0.1, 0.0), (0.25, -0.16), (0.3, -0.38), (0.24, -0.58), (0.12, -0.66)],
    "feed": [(0.1, 0.0), (0.26, -0.18), (0.3, -0.45), (0.3, -0.7), (0.44, -0.78), (0.5, -0.7)],
}


def elephant(being: Being) -> Image.Image:
    """Grey, domed back, big fan ears, long trunk, tusks."""

    def head(layer: Layer, body: Body) -> None:
        x, y = body.head_at
        layer.add(closed([(x - 0.2, y + 0.1), (x - 0.06, y + 0.19), (x + 0.08, y + 0.17), (x + 0.2, y + 0.02),
                          (x + 0.22, y - 0.12),
                          (x + 0.16, y - 0.24), (x + 0.02, y - 0.3), (x - 0.16, y - 0.22)]), "body")  # fmt: skip
        layer.add(
            closed(
                [
                    (x + 0.02, y - 0.18),
                    (x + 0.13, y - 0.26),
                    (x + 0.13, y - 0.34),
                    (x + 0.04, y - 0.36),
                    (x - 0.06, y - 0.26),
                ]
            ),
            "body",
        )
        trunk = [(x + px, y + py) for px, py in TRUNKS[being.pose]]
        layer.add(limb(trunk, (0.26, 0.19, 0.13, 0.1, 0.07)), "trunk", 0.06, 0.6)

    def marks(layer: Layer, body: Body) -> None:
        creases(layer, body, 0.78)
        x, y = body.head_at
        for i in range(9):
            layer.stroke(
                [(x + 0.18, y - 0.2 - 0.05 * i), (x + 0.34, y - 0.22 - 0.05 * i)],
                (0.008, 0.008),
                tone(ELEPHANT.coat, 0.8),
                0.006,
            )
        layer.paint(oval((x + 0.1, y - 0.0), 0.05, 0.05), tone(ELEPHANT.coat, 0.82), 0.03)
        layer.paint(oval((x + 0.105, y - 0.01), 0.014, 0.012), (24, 19, 17))

    def front(canvas: Image.Image, body: Body) -> None:
        x, y = body.head_at
        if not being.female:
            size = 1.0 if being.variant == 0 else 0.7
            tusk = [
                (x + 0.12, y - 0.22),
                (x + 0.2, y - 0.22 - 0.16 * size),
                (x + 0.2 + 0.16 * size, y - 0.22 - 0.17 * size),
            ]
            piece(canvas, body.build.frame, limb(tusk, (0.05, 0.042, 0.01)), (232, 222, 196), 0.03)
        layer = Layer(body.build.frame, tone(ELEPHANT.coat, 0.93 * being.coat))
        fan = closed([(x + 0.0, y + 0.1), (x - 0.1, y + 0.16), (x - 0.26, y + 0.12), (x - 0.35, y - 0.02),
                      (x - 0.34, y - 0.2), (x - 0.26, y - 0.36), (x - 0.16, y - 0.42), (x - 0.08, y - 0.3),
                      (x - 0.01, y - 0.16)])  # fmt: skip
        layer.add(fan, "ear", 0.1, 0.7)
        layer.paint(
            closed(
                [(x - 0.02, y), (x - 0.14, y + 0.05), (x - 0.24, y - 0.1), (x - 0.18, y - 0.3), (x - 0.06, y - 0.14)]
            ),
            tone(ELEPHANT.coat, 0.8),
            0.07,
        )
        layer.onto(canvas, 8)

    return quadruped(ELEPHANT, being, marks, extra=head, front_parts=front)


HIPPO = Build(
    coat=(116, 92, 88), belly=(176, 128, 118), legs=(118, 90, 86), length=1.16, rump=0.86, back=0.99,
    withers=0.93, chest=0.22, flank=0.24, thick=2.7, neck=0.34, neck_from=(0.6, 0.62), neck_width=(0.66, 0.36),
    neck_angles=(10, 6, -16), head=0.5, head_kind="hippo", ear=0.24, ear_angle=95, head_angles=(-22, -18, -42),
    columns=True, tail=((0, 0), (-0.04, -0.1), (-0.03, -0.22)), tail_widths=(0.05, 0.03, 0.02), tuft=None,
    hoof=(78, 62, 60), frame=Frame(-1.1, 1.75, 1.15, 480),
)  # fmt: skip


def hippopotamus(being: Being) -> Image.Image:
    """Barrel on short legs, huge muzzle, purple-brown above and pinkish below."""

    def marks(layer: Layer, body: Body) -> None:
        under(layer, body, HIPPO.belly, 0.02, 0.12)
        creases(layer, body, 0.88)
        layer.paint(body.on_neck([(0.0, -0.5), (1.0, -0.5), (1.1, -1.3), (0.0, -1.3)]), tone(HIPPO.belly, 0.95), 0.12)
        layer.paint(
            body.on_head([(0.3, -0.42), (0.7, -0.36), (1.1, -0.25), (1.1, -0.7), (0.3, -0.7)]), (188, 138, 126), 0.07
        )
        layer.stroke(
            body.on_head([(0.3, -0.36), (0.5, -0.4), (0.8, -0.36), (1.05, -0.28)]),
            (0.006, 0.016, 0.016, 0.01),
            (74, 54, 52),
            0.008,
        )
        layer.paint(oval(tuple(body.on_head([(0.9, 0.15)])[0]), 0.025, 0.016), (54, 40, 40), 0.008)
        layer.paint(oval(tuple(body.on_head([(0.2, 0.15)])[0]), 0.05, 0.04), (178, 132, 122), 0.03)
        eye(layer, body, (0.22, 0.17), 0.035)

    return quadruped(HIPPO, being, marks)
