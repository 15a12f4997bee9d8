"""Values of records, as programs write them into JSON and tables, made plain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .records import ANIMAL, Box


def text_of(value: Any) -> str | None:
    """A name or number as text, whole floats as whole numbers; None for anything else, NaN and nothing included."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, int) or (isinstance(value, str) and value) else None


def cell(value: str | None) -> str | None:
    """What a table's cell says; None for nothing and for what tables write instead. Whole floats lose their `.0`."""
    text = (value or "").strip()
    if text.casefold() in ("", "na", "nan", "none", "null", "n/a"):
        return None
    return text[:-2] if text.endswith(".0") and text[:-2].isdecimal() else text


def number_of(value: Any) -> float | None:
    """A finite number, also if it is written as text."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def box_of(
    edges: Any, kind: str = ANIMAL, confidence: float = 1.0, *, width: float = 1, height: float = 1
) -> Box | None:
    """A box from left and top edge, width and height, cut to the picture; None if nothing of it lies inside.

    Args:
        edges: the four numbers.
        width: of the picture in the same unit; 1 where they are shares already.
        height: as `width`.
    """
    if not isinstance(edges, Sequence) or isinstance(edges, str) or len(edges) != 4 or width <= 0 or height <= 0:
        return None
    numbers = [number_of(edge) for edge in edges]
    if None in numbers:
        return None
    left, top, wide, high = (float(number or 0) for number in numbers)
    first, above = max(0.0, left / width), max(0.0, top / height)
    last, below = min(1.0, (left + wide) / width), min(1.0, (top + high) / height)
    if last <= first or below <= above:
        return None
    return Box(round(first, 6), round(above, 6), round(last - first, 6), round(below - above, 6), kind, confidence)
