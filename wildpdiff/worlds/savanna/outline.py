"""Vector outlines and soft paint: smooth closed curves, tapered limbs, layers with form shading.

World coordinates: x to the right, y up from the ground, 1 unit = shoulder height of the animal being drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, radians, sin

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

Point = tuple[float, float]
Points = Sequence[Point] | np.ndarray
Colour = tuple[int, int, int]
COARSE = 4


def _spline(points: np.ndarray, steps: int) -> np.ndarray:
    """Catmull-Rom through `points[1:-1]`, `[(P - 3) * steps, 2]`; the outer points only give directions."""
    t = (np.arange(steps) / steps)[:, None]
    a, b, c, d = points[:-3, None], points[1:-2, None], points[2:-1, None], points[3:, None]
    cubic = -a + 3 * b - 3 * c + d
    square = 2 * a - 5 * b + 4 * c - d
    return (0.5 * (2 * b + (c - a) * t + square * t**2 + cubic * t**3)).reshape(-1, 2)


def closed(points: Points, steps: int = 10) -> np.ndarray:
    """Smooth closed outline through the control points `[P, 2]`."""
    ring = np.asarray(points, float)
    return _spline(np.concatenate([ring[-1:], ring, ring[:2]]), steps)


def curve(points: Points, steps: int = 10) -> np.ndarray:
    """Smooth open curve from the first to the last of the control points `[P, 2]`."""
    p = np.asarray(points, float)
    first, last = 2 * p[:1] - p[1:2], 2 * p[-1:] - p[-2:-1]
    return np.concatenate([_spline(np.concatenate([first, p, last]), steps), p[-1:]])


def normals(line: np.ndarray) -> np.ndarray:
    """Unit vectors to the left of the direction of travel, `[P, 2]`."""
    along = np.gradient(line, axis=0)
    along /= np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)[:, None]
    return np.stack([-along[:, 1], along[:, 0]], 1)


def limb(points: Points, widths: Sequence[float], steps: int = 10) -> np.ndarray:
    """Outline of a smooth band through `points` that is `widths[i]` wide at point i."""
    line = curve(points, steps)
    where = np.linspace(0, len(widths) - 1, len(line))
    half = np.interp(where, np.arange(len(widths)), widths)[:, None] / 2
    side = normals(line)
    return np.concatenate([line + half * side, (line - half * side)[::-1]])


def oval(centre: Point, rx: float, ry: float, angle: float = 0.0) -> np.ndarray:
    """Ellipse with radii `rx`, `ry`, turned by `angle` degrees, `[24, 2]`."""
    turn = np.arange(24) * (2 * np.pi / 24)
    return place(np.stack([rx * np.cos(turn), ry * np.sin(turn)], 1), centre, angle)


def place(points: Points, origin: Point, angle: float = 0.0, scale: float = 1.0) -> np.ndarray:
    """Turn local points by `angle` degrees, scale them and move them to `origin`."""
    p = np.asarray(points, float) * scale
    c, s = cos(radians(angle)), sin(radians(angle))
    return np.stack([p[:, 0] * c - p[:, 1] * s + origin[0], p[:, 0] * s + p[:, 1] * c + origin[1]], 1)


def tone(colour: Colour, factor: float) -> Colour:
    """The same colour lighter (factor > 1) or darker."""
    r, g, b = (int(min(255, max(0, round(c * factor)))) for c in colour)
    return r, g, b


def blend(a: Colour, b: Colour, share: float) -> Colour:
    """`share` of `b`, the rest of `a`."""
    r, g, bl = (round(x * (1 - share) + y * share) for x, y in zip(a, b, strict=True))
    return r, g, bl


@dataclass(frozen=True)
class Frame:
    """The part of the plane that is drawn (units) and its scale in pixels a unit."""

    left: float
    right: float
    top: float
    scale: float

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, multiples of `COARSE`; the ground is a little above the bottom."""
        w, h = (self.right - self.left) * self.scale, (self.top + 0.06) * self.scale
        return int(w) // COARSE * COARSE, int(h) // COARSE * COARSE

    def pixels(self, points: Points, factor: float = 1.0) -> list[Point]:
        """Units to whole pixels divided by `factor`."""
        p = np.asarray(points, float)
        x = np.rint((p[:, 0] - self.left) * self.scale / factor)
        y = np.rint((self.top - p[:, 1]) * self.scale / factor)
        return list(zip(x.tolist(), y.tolist(), strict=True))


@dataclass
class Group:
    """Parts that are shaded as one form: coarse mask, softness in units, strength."""

    mask: Image.Image
    radius: float
    strength: float


class Layer:
    """One silhouette with paint that is clipped to it. Parts in one group are shaded as one rounded form."""

    def __init__(self, frame: Frame, colour: Colour) -> None:
        self.frame = frame
        self.mask = Image.new("L", frame.size)
        self.colours = Image.new("RGB", frame.size, colour)
        self.groups: dict[str, Group] = {}

    def _coarse(self) -> Image.Image:
        w, h = self.frame.size
        return Image.new("L", (w // COARSE, h // COARSE))

    def add(self, outline: Points, group: str = "body", radius: float = 0.15, strength: float = 0.5) -> None:
        """Add a part to the silhouette."""
        ImageDraw.Draw(self.mask).polygon(self.frame.pixels(outline), fill=255)
        found = self.groups.setdefault(group, Group(self._coarse(), radius, strength))
        ImageDraw.Draw(found.mask).polygon(self.frame.pixels(outline, COARSE), fill=255)

    def fillet(self, radius: float) -> None:
        """Round the corners of the silhouette so far, so that joined parts flow into each other."""
        blurred = self.mask.reduce(COARSE).filter(ImageFilter.BoxBlur(radius * self.frame.scale / COARSE))
        blurred = blurred.filter(ImageFilter.BoxBlur(radius * self.frame.scale / COARSE))
        smooth = blurred.resize(self.mask.size, Image.Resampling.BICUBIC)
        self.mask = smooth.point([0] * 122 + [255] * 134)

    def paint(self, outline: Points, colour: Colour, soft: float = 0.0, strength: float = 1.0) -> None:
        """Fill an outline with colour, inside the silhouette; `soft` is the width of its blurred edge in units."""
        if soft <= 0 and strength >= 1:
            ImageDraw.Draw(self.colours).polygon(self.frame.pixels(outline), fill=colour)
            return
        p = np.asarray(outline, float)
        near = 3 * soft * self.frame.scale / COARSE + 2
        spots = np.asarray(self.frame.pixels(p, COARSE))
        x0, y0 = (int(v) for v in np.maximum(spots.min(0) - near, 0))
        wide, high = (v // COARSE for v in self.frame.size)
        x1, y1 = int(min(spots[:, 0].max() + near, wide)), int(min(spots[:, 1].max() + near, high))
        if x1 <= x0 or y1 <= y0:
            return
        small = Image.new("L", (x1 - x0, y1 - y0))
        ImageDraw.Draw(small).polygon([(x - x0, y - y0) for x, y in spots.tolist()], fill=round(255 * min(1, strength)))
        small = small.filter(ImageFilter.GaussianBlur(soft * self.frame.scale / COARSE / 2))
        big = small.resize(((x1 - x0) * COARSE, (y1 - y0) * COARSE), Image.Resampling.BILINEAR)
        self.colours.paste(colour, (x0 * COARSE, y0 * COARSE), big)

    def stroke(self, points: Points, widths: Sequence[float], colour: Colour, soft: float = 0.0) -> None:
        """Paint a tapered smooth line."""
        self.paint(limb(points, widths), colour, soft)

    def onto(self, canvas: Image.Image, seed: int = 0, grain: float = 0.05) -> None:
        """Shade the layer and lay it over `canvas` (RGBA of the frame's size)."""
        box = self.mask.getbbox()
        if box is None:
            return
        x0, y0 = box[0] // COARSE, box[1] // COARSE
        x1, y1 = -(-box[2] // COARSE), -(-box[3] // COARSE)
        light = self._light((x0, y0, x1, y1)) * _grain(seed, (x1 - x0, y1 - y0), grain)
        small = Image.fromarray(np.clip(light * 128, 0, 255).astype(np.uint8))
        crop = (x0 * COARSE, y0 * COARSE, x1 * COARSE, y1 * COARSE)
        big = small.resize((crop[2] - crop[0], crop[3] - crop[1]), Image.Resampling.BILINEAR)
        lit = ImageChops.multiply(self.colours.crop(crop), Image.merge("RGB", [big] * 3))
        lit = ImageChops.add(lit, lit)
        lit.putalpha(self.mask.crop(crop))
        canvas.alpha_composite(lit, crop[:2])

    def _light(self, box: tuple[int, int, int, int]) -> np.ndarray:
        light = np.ones((box[3] - box[1], box[2] - box[0]), np.float32)
        for group in self.groups.values():
            pixels = group.radius * self.frame.scale / COARSE
            form, edge = _form(group, pixels, box)
            light = light * (1 - edge) + form * edge
        return light


def _form(group: Group, pixels: float, box: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Light on a rounded form lit from above and a little from the front, and where it applies (0..1)."""
    step = max(1, round(pixels * 0.6))
    rim = round(2 * pixels) + step
    mask = group.mask.crop((box[0] - rim, box[1] - rim, box[2] + rim, box[3] + rim))
    inner = slice(rim, -rim)
    soft = np.asarray(mask.filter(ImageFilter.GaussianBlur(pixels * 0.6)), np.float32) / 255
    padded = np.pad(soft, step)
    down = padded[2 * step :, step:-step] - padded[: -2 * step, step:-step]
    ahead = padded[step:-step, : -2 * step] - padded[step:-step, 2 * step :]
    slope = 0.85 * down + 0.3 * ahead
    form = 1 + group.strength * np.where(slope > 0, 0.45 * slope, 0.95 * slope)
    edge = np.asarray(mask.filter(ImageFilter.GaussianBlur(max(1.0, pixels * 0.25))), np.float32) / 255
    return form[inner, inner], np.minimum(1, edge[inner, inner] * 1.3)


def _grain(seed: int, size: tuple[int, int], amount: float) -> np.ndarray:
    """Brush-like unevenness, `[h, w]` around 1."""
    rng = np.random.default_rng(seed)
    w, h = size
    noise = Image.fromarray(rng.integers(0, 256, (max(2, h // 3), max(2, w // 3)), np.uint8))
    broad = Image.fromarray(rng.integers(0, 256, (max(2, h // 16), max(2, w // 16)), np.uint8))
    total = [np.asarray(i.resize(size, Image.Resampling.BICUBIC), np.float32) for i in (noise, broad)]
    return 1 + amount * ((total[0] + total[1]) / 255 - 1)
