"""A four-legged animal in numbers: proportions, and the joints, neck and head of each pose."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from .outline import Colour, Frame, Layer, Point, Points, closed, curve, normals, place

HEADS: dict[str, list[Point]] = {
    "antelope": [(-0.12, 0.0), (0.03, 0.15), (0.28, 0.17), (0.6, 0.09), (0.9, 0.06), (1.0, -0.02), (0.97, -0.1),
                 (0.8, -0.13), (0.5, -0.2), (0.2, -0.3), (-0.06, -0.24)],
    "long": [(-0.1, 0.0), (0.0, 0.12), (0.22, 0.14), (0.6, 0.09), (0.92, 0.07), (1.0, -0.02), (0.96, -0.1),
             (0.8, -0.11), (0.5, -0.15), (0.2, -0.25), (-0.06, -0.2)],
    "horse": [(-0.1, 0.02), (0.04, 0.16), (0.3, 0.17), (0.62, 0.1), (0.9, 0.09), (1.0, 0.0), (0.99, -0.1),
              (0.84, -0.15), (0.55, -0.18), (0.25, -0.3), (-0.04, -0.26)],
    "ox": [(-0.12, 0.02), (0.04, 0.2), (0.3, 0.2), (0.62, 0.14), (0.9, 0.14), (1.02, 0.03), (1.0, -0.13),
           (0.82, -0.19), (0.5, -0.22), (0.2, -0.34), (-0.08, -0.28)],
    "hog": [(-0.14, 0.02), (0.0, 0.2), (0.25, 0.17), (0.6, 0.07), (0.9, 0.08), (1.0, 0.06), (1.02, -0.12),
            (0.9, -0.16), (0.6, -0.2), (0.25, -0.33), (-0.1, -0.3)],
    "hippo": [(-0.3, 0.1), (-0.02, 0.22), (0.12, 0.25), (0.28, 0.18), (0.5, 0.13), (0.68, 0.2), (0.88, 0.2),
              (1.02, 0.04), (1.06, -0.3), (0.96, -0.54), (0.74, -0.62), (0.48, -0.56), (0.2, -0.6), (-0.25, -0.62)],
    "dog": [(-0.16, 0.0), (0.02, 0.2), (0.25, 0.25), (0.5, 0.13), (0.85, 0.1), (1.0, 0.04), (0.98, -0.1),
            (0.8, -0.16), (0.5, -0.2), (0.2, -0.32), (-0.12, -0.28)],
}  # fmt: skip


EAR: list[Point] = [(0, -0.06), (0.16, -0.09), (0.34, -0.06), (0.5, 0.02), (0.34, 0.07), (0.14, 0.07), (0, 0.05)]


@dataclass(frozen=True)
class Being:
    """One drawing: pose, variant 0..2, coat factor, sex."""

    pose: str
    variant: int

    @property
    def coat(self) -> float:
        """Factor on all coat colours."""
        return (1.0, 0.92, 1.07)[self.variant]

    @property
    def female(self) -> bool:
        """Variant 1 is a female."""
        return self.variant == 1


@dataclass(frozen=True)
class Build:
    """Proportions in shoulder heights, angles in degrees above the horizontal for (stand, walk, feed)."""

    coat: Colour
    belly: Colour
    legs: Colour
    dark: Colour = (40, 34, 30)
    length: float = 0.74
    rump: float = 0.98
    back: float = 0.95
    chest: float = 0.5
    flank: float = 0.56
    withers: float = 1.0
    thick: float = 1.0
    hind: float = 1.0
    neck: float = 0.42
    neck_from: Point = (0.4, 0.82)
    neck_width: tuple[float, float] = (0.3, 0.14)
    neck_angles: tuple[float, float, float] = (58, 48, -52)
    head: float = 0.3
    head_kind: str = "antelope"
    head_angles: tuple[float, float, float] = (-32, -36, -72)
    ear: float = 0.5
    ear_angle: float = 168
    tail: tuple[Point, ...] = ((0, 0), (-0.07, -0.12), (-0.07, -0.3), (-0.06, -0.42))
    tail_widths: tuple[float, ...] = (0.05, 0.03, 0.025, 0.02)
    tuft: Colour | None = (40, 34, 30)
    tuft_size: float = 0.05
    hoof: Colour = (45, 38, 34)
    mouth_at: float = 0.03
    browses: bool = False
    columns: bool = False
    tail_up: bool = False
    frame: Frame = field(default_factory=lambda: Frame(-1.1, 1.5, 1.75, 510))


@dataclass
class Body:
    """Where everything is in one drawing, for the markings."""

    build: Build
    being: Being
    neck: np.ndarray
    head_at: Point
    head_angle: float
    near: list[np.ndarray]
    far: list[np.ndarray]

    def on_head(self, points: Points) -> np.ndarray:
        """Head coordinates (poll at 0, 1 = head length towards the muzzle, y towards the forehead) to units."""
        return place(points, self.head_at, self.head_angle, self.build.head)

    def on_neck(self, points: Points) -> np.ndarray:
        """(0..1 along the neck, -1 throat .. 1 mane) to units."""
        p = np.asarray(points, float)
        line, side = self.neck, normals(self.neck)
        at = np.clip(p[:, 0], 0, 1) * (len(line) - 1)
        index = np.arange(len(line))
        widths = self.build.neck_width
        half = (widths[0] + (widths[1] - widths[0]) * p[:, 0]) / 2 * p[:, 1]
        x = np.interp(at, index, line[:, 0]) + half * np.interp(at, index, side[:, 0])
        y = np.interp(at, index, line[:, 1]) + half * np.interp(at, index, side[:, 1])
        return np.stack([x, y], 1)

    @property
    def hip(self) -> float:
        """x of the hip; the shoulder is at minus that."""
        return -self.build.length / 2


Paint = Callable[[Image.Image, Body], None]
Marks = Callable[[Layer, Body], None]


def nothing(layer: Layer, body: Body) -> None:
    """No markings."""


def _between(back: Points, middle: Points, ahead: Points, phase: float) -> np.ndarray:
    b, m, a = (np.asarray(p, float) for p in (back, middle, ahead))
    return m + phase * (a - b) / 2 + phase**2 * (a + b - 2 * m) / 2


def hind_leg(b: Build, phase: float) -> np.ndarray:
    """Hip, stifle, hock, fetlock, toe `[5, 2]`; phase -1 (behind) .. 1 (ahead)."""
    back = [(0.0, 1.0), (0.01, 0.74), (-0.19, 0.47), (-0.26, 0.13), (-0.24, 0)]
    middle = [(0.0, 1.0), (0.05, 0.74), (-0.08, 0.46), (-0.05, 0.11), (-0.01, 0)]
    ahead = [(0.0, 1.0), (0.12, 0.76), (0.05, 0.44), (0.13, 0.1), (0.18, 0)]
    if b.columns:
        back, ahead = (
            [(0.0, 1.0), (0.0, 0.7), (-0.1, 0.42), (-0.2, 0.14), (-0.18, 0)],
            [(0.0, 1.0), (0.08, 0.7), (0.08, 0.4), (0.12, 0.12), (0.16, 0)],
        )
        middle = [(0.0, 1.0), (0.04, 0.7), (0.0, 0.42), (0.0, 0.12), (0.02, 0)]
    p = _between(back, middle, ahead, phase)
    return p * (1, 0.8 * b.rump) + (-b.length / 2, 0)


def fore_leg(b: Build, phase: float) -> np.ndarray:
    """Shoulder, elbow, carpus, fetlock, toe `[5, 2]`; phase -1 (behind) .. 1 (ahead)."""
    back = [(0.02, 1.0), (-0.02, 0.76), (-0.06, 0.44), (-0.2, 0.12), (-0.2, 0)]
    middle = [(0.04, 1.0), (0.0, 0.76), (0.02, 0.43), (0.0, 0.11), (0.03, 0)]
    ahead = [(0.05, 1.0), (0.03, 0.77), (0.12, 0.45), (0.21, 0.12), (0.26, 0)]
    p = _between(back, middle, ahead, phase)
    return p * (1, 0.76 * b.withers) + (b.length / 2, 0)


HIND_WIDTHS = (0.32, 0.25, 0.085, 0.05, 0.06)
FORE_WIDTHS = (0.2, 0.13, 0.075, 0.045, 0.055)
GAIT = {
    "stand": ((-0.12, 0.3), (0.1, -0.25)),
    "walk": ((-0.85, 0.75), (0.8, -0.8)),
    "feed": ((-0.25, 0.35), (0.5, -0.3)),
}


def torso(b: Build) -> np.ndarray:
    """Outline of the trunk."""
    h, s = -b.length / 2, b.length / 2
    return closed(
        [
            (h - 0.17, b.rump - 0.12), (h - 0.1, b.rump - 0.02), (h + 0.05, b.rump), (h + 0.22, (b.rump + b.back) / 2),
            (0.03, b.back), (s - 0.12, (b.withers + b.back) / 2 + 0.02), (s + 0.0, b.withers),
            (s + 0.1, b.withers - 0.06),
            (s + 0.16, b.withers - 0.25), (s + 0.13, b.chest + 0.1), (s + 0.02, b.chest), (s - 0.14, b.chest - 0.02),
            (0.0, (b.chest + b.flank) / 2 - 0.02), (h + 0.2, b.flank), (h + 0.06, b.flank + 0.02),
            (h - 0.1, b.flank + 0.08),
            (h - 0.18, b.rump - 0.28),
        ]
    )  # fmt: skip


def _neck(b: Build, being: Being) -> tuple[np.ndarray, Point, float]:
    at = ("stand", "walk", "feed").index(being.pose)
    shift = (0.0, 4.0, -4.0)[being.variant] * (being.pose != "feed")
    angle, head_angle = b.neck_angles[at] + shift, b.head_angles[at] + 0.5 * shift
    x, y = b.neck_from
    if being.pose != "feed" or b.browses:
        end = place([(b.neck, 0)], (x, y), angle)[0]
        bent = place([(b.neck * 0.5, -0.03 * b.neck)], (x, y), angle)[0]
    else:
        muzzle = place([(1, -0.1)], (0, 0), head_angle, b.head)[0]
        drop = y - 0.06 - (b.mouth_at - muzzle[1])
        end = np.array([x + 0.04 + max(0.3 * b.neck, (max(0.0, b.neck**2 * 1.1 - drop**2)) ** 0.5), y - 0.06 - drop])
        bent = np.array([x + 0.04, y - 0.08]) * 0.5 + end * 0.5 + (0.0, 0.01)
    low = 0.09 if being.pose == "feed" and not b.browses else 0.0
    line = curve([(x - 0.16, y - 0.06 - low / 3), (x, y - low), tuple(bent), tuple(end)], 8)
    return line, (float(end[0]), float(end[1])), head_angle


def pose_body(b: Build, being: Being) -> Body:
    """Joints of one drawing."""
    neck, head_at, angle = _neck(b, being)
    phases = GAIT[being.pose]
    drift = (0.0, 0.08, -0.08)[being.variant]
    near = [hind_leg(b, phases[0][0] + drift), fore_leg(b, phases[1][0] - drift)]
    far = [hind_leg(b, phases[0][1] - drift), fore_leg(b, phases[1][1] + drift)]
    return Body(b, being, neck, head_at, angle, near, far)
