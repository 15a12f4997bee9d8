"""The six small drawings of the lessons: SVG in the page's own colours, so that light and dark need no second set."""

from __future__ import annotations

import html
import math
import random
from collections.abc import Iterable

#: Width and height of each drawing's canvas.
SIZE = (320, 132)
#: Shares of noise along the strip of the third drawing.
NOISY = (1.0, 0.75, 0.5, 0.25, 0.0)


def lora() -> str:
    """A frozen convolution with two thin tables beside it."""
    parts = (
        _box(14, 30, 84, 72, "var(--hairline)"),
        _words(56, 62, "convolution"),
        _words(56, 79, "frozen", soft=True),
        _words(121, 73, "+", size=22),
        _box(146, 30, 22, 72, "var(--accent-soft)"),
        _words(157, 72, "B"),
        _words(182, 72, "·"),
        _box(196, 54, 84, 22, "var(--accent-soft)"),
        _words(238, 70, "A"),
        _words(225, 120, "adapter: two thin tables", soft=True),
        _words(56, 120, "as it was", soft=True),
    )
    return _drawing("A frozen convolution; beside it the product of two thin tables, B and A, is added.", parts)


def points() -> str:
    """Clouds of adapters: at right angles in L, near one direction in H."""
    parts = [_words(80, 14, "Low (L)"), _words(240, 14, "High (H)")]
    for left, angles in ((34, (4, 86)), (194, (30, 58))):
        origin = (left, 112)
        parts.append(_dot(*origin, 2.5, "var(--ink-soft)"))
        for place, angle in enumerate(angles):
            tip = _polar(origin, angle, 82)
            parts += [_line(origin, tip, "var(--hairline)", 1.5), *_cloud(tip, place)]
    parts.append(_words(80, 128, "right angle: cosine 0", soft=True))
    parts.append(_words(240, 128, "small angle: cosine near 1", soft=True))
    return _drawing("In L two clouds of points stand at right angles; in H they lie in nearly one direction.", parts)


def diffusion() -> str:
    """A code of bars, from noise to clean, with the condition told at every step."""
    rng, clean = random.Random(4), (0.9, 0.35, 0.6, 0.2, 0.75, 0.5)
    noise = [rng.random() for _ in clean]
    parts: list[str] = []
    for place, share in enumerate(NOISY):
        left = 8 + place * 62
        heights = [share * dirty + (1 - share) * pure for dirty, pure in zip(noise, clean, strict=True)]
        colour = "var(--accent)" if share == 0 else "var(--ink-soft)"
        parts += [_bar(left + 8 * at, height, colour, share) for at, height in enumerate(heights)]
        if place:
            parts.append(_arrow((left - 12, 72), (left - 4, 72)))
            parts.append(_arrow((left - 8, 34), (left - 8, 62)))
    parts += [_words(160, 20, "told at every step: what the place looks like", soft=True), _line((54, 28), (250, 28))]
    parts += [_words(32, 122, "noise", soft=True), _words(280, 122, "code → row", soft=True)]
    return _drawing("A code of six bars changes from noise to clean in steps; each step is told the condition.", parts)


def blending() -> str:
    """Two points: the straight line between them, and a written adapter beside it."""
    a, b, c = (40, 92), (280, 92), (160, 36)
    parts = (
        _line(a, b, "var(--ink-soft)", 2, dashed=True),
        f'<path d="M{a[0]} {a[1]} Q {c[0]} -14 {b[0]} {b[1]}" style="fill:none;stroke:var(--accent);stroke-width:2"/>',
        _dot(*a, 7, "var(--place-0)"),
        _dot(*b, 7, "var(--place-1)"),
        _dot(160, 92, 5, "var(--ink-soft)"),
        _star(160, 39, "var(--accent)"),
        _words(40, 116, "A's row"),
        _words(280, 116, "B's row"),
        _words(160, 112, "average of the weights", soft=True),
        _words(160, 22, "written for the blended condition"),
    )
    return _drawing("The average of two rows lies on the line between them; a written adapter need not.", parts)


def regimes() -> str:
    """Accuracy along the blend: a valley, and a bridge."""
    axis = _line((34, 104), (300, 104), "var(--ink-soft)", 1.5)
    valley = "M40 34 C 96 40, 118 88, 166 88 S 240 40, 296 34"
    bridge = "M40 34 C 110 46, 220 46, 296 34"
    parts = (
        axis,
        f'<path d="{valley}" style="fill:none;stroke:var(--ink-soft);stroke-width:2.5;stroke-dasharray:6 4"/>',
        f'<path d="{bridge}" style="fill:none;stroke:var(--accent);stroke-width:3"/>',
        _words(166, 32, "a bridge"),
        _words(166, 80, "a valley", soft=True),
        _words(40, 121, "A"),
        _words(296, 121, "B"),
        _words(166, 121, "blend weight", soft=True),
        _words(20, 70, "good for both", soft=True, turned=True),
    )
    return _drawing("Sketch, not data: along the blend from A to B accuracy sags like a valley or stays up.", parts)


def numbers(rows: Iterable[tuple[str, float, float, float]]) -> str:
    """Whiskers of two counts: name, low end, share and high end of each, in 0..1."""
    parts, told = [_line((60, 108), (300, 108), "var(--ink-soft)", 1.5)], []
    parts += [_words(60 + 240 * at, 124, f"{at:.0%}", soft=True) for at in (0, 0.5, 1)]
    for place, (name, low, share, high) in enumerate(rows):
        y, (left, middle, right) = 36 + 42 * place, (60 + 240 * value for value in (low, share, high))
        parts += [_line((left, y), (right, y), "var(--accent)", 3), _words(30, y + 4, name)]
        parts += [_line((x, y - 7), (x, y + 7), "var(--accent)", 2) for x in (left, right)]
        parts.append(_dot(middle, y, 5, "var(--ink)"))
        told.append(f"{name}: {share:.0%}, {low:.0%} to {high:.0%}")
    return _drawing(f"About the same share with its 95% interval. {'; '.join(told)}.", parts)


def _drawing(told: str, parts: Iterable[str]) -> str:
    width, height = SIZE
    inside = "".join(parts)
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(told)}">{inside}</svg>'


def _box(x: float, y: float, width: float, height: float, colour: str) -> str:
    style = f"fill:{colour};stroke:var(--ink-soft);stroke-width:1"
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="4" style="{style}"/>'


def _bar(x: float, height: float, colour: str, share: float) -> str:
    tall = 6 + 30 * height
    style = f"fill:{colour};opacity:{1 - 0.5 * share:.2f}"
    return f'<rect x="{x:.1f}" y="{104 - tall:.1f}" width="6" height="{tall:.1f}" rx="1.5" style="{style}"/>'


def _words(x: float, y: float, text: str, *, soft: bool = False, size: int = 12, turned: bool = False) -> str:
    colour = "var(--ink-soft)" if soft else "var(--ink)"
    turn = f' transform="rotate(-90 {x:g} {y:g})"' if turned else ""
    style = f"fill:{colour};font-size:{size}px;text-anchor:middle"
    return f'<text x="{x:g}" y="{y:g}"{turn} style="{style}">{html.escape(text)}</text>'


def _dot(x: float, y: float, radius: float, colour: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" style="fill:{colour}"/>'


def _line(
    start: tuple[float, float],
    end: tuple[float, float],
    colour: str = "var(--hairline)",
    width: float = 1.5,
    *,
    dashed: bool = False,
) -> str:
    dash = ";stroke-dasharray:5 4" if dashed else ""
    style = f"stroke:{colour};stroke-width:{width}{dash}"
    return f'<path d="M{start[0]:.1f} {start[1]:.1f} L{end[0]:.1f} {end[1]:.1f}" style="{style}"/>'


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    turn = math.atan2(end[1] - start[1], end[0] - start[0])
    left, right = ((end[0] - 5 * math.cos(turn + side), end[1] - 5 * math.sin(turn + side)) for side in (-0.6, 0.6))
    return "".join(_line(*ends, "var(--ink-soft)", 1.5) for ends in ((start, end), (left, end), (right, end)))


def _star(x: float, y: float, colour: str) -> str:
    tips = []
    for place in range(10):
        reach, angle = (9 if place % 2 == 0 else 4), math.radians(36 * place - 90)
        tips.append(f"{x + reach * math.cos(angle):.1f},{y + reach * math.sin(angle):.1f}")
    return f'<polygon points="{" ".join(tips)}" style="fill:{colour}"/>'


def _polar(origin: tuple[float, float], degrees: float, reach: float) -> tuple[float, float]:
    angle = math.radians(degrees)
    return origin[0] + reach * math.cos(angle), origin[1] - reach * math.sin(angle)


def _cloud(centre: tuple[float, float], place: int) -> list[str]:
    rng = random.Random(place)
    return [
        _dot(centre[0] + rng.gauss(0, 5), centre[1] + rng.gauss(0, 5), 3, f"var(--place-{place * 6})") for _ in range(9)
    ]
