"""Series of numbers and their styles: colours, markers, dashes.

Colours are hex values for white paper; `DARK` says what stands for each on dark ground.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import SHAPES

#: A place on the horizontal axis: a name or a number.
X = str | float
#: Location colours on light and on dark ground, after Paul Tol's muted scheme; marker shapes (`plots.SHAPES`) carry
#: the same meaning.
PLACES = (
    "#332288", "#2b8cbe", "#44aa99", "#117733", "#8a8a1f", "#c9a227", "#cc6677", "#882255", "#aa4499", "#5c5c5c",
)  # fmt: skip
PLACES_DARK = (
    "#a79cf0", "#6cb8e6", "#5fd0bd", "#5fbf7f", "#c2c25a", "#e8cc66", "#ee93a0", "#d873a6", "#d98ad0", "#bdbdbd",
)  # fmt: skip
INK, SOFT, LINE, PAPER = "#211f1a", "#625d52", "#e4dfd3", "#ffffff"
#: Series of no location: ink first, then others that differ from it in grey too.
NEUTRALS = (INK, "#b3480c", "#8f887a", "#2a7f8e", "#d3a777", "#565149")
#: What stands for a colour on dark ground.
DARK = {
    **dict(zip(PLACES, PLACES_DARK, strict=True)),
    **dict(zip(NEUTRALS, ("#f1ede3", "#f08c42", "#a39b8b", "#63bccb", "#7d5d3a", "#c8c0b0"), strict=True)),
    SOFT: "#b3ab9b",
    LINE: "#37332b",
    PAPER: "#1f1d19",
}
DASHES = ("dash", "dot", "dashdot", "longdash")
PATTERNS = ("", "", "", "/", "x", ".")


@dataclass(frozen=True)
class Series:
    """Numbers that belong together: a line, a cloud or the bars of one colour.

    Attributes:
        name: as the legend shows it.
        x: places on the horizontal axis, numbers or names; empty with one `y`: a line across the whole figure.
        y: values, as many as `x`; None is a gap.
        low: lower ends of the intervals, as many as `y`, or empty.
        high: upper ends of the intervals.
        dashed: a baseline: a dashed line without markers.
        place: number of the location's colour and marker; None: ink, and further neutral colours after it.
    """

    name: str
    x: Sequence[X]
    y: Sequence[float | None]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    dashed: bool = False
    place: int | None = None

    @classmethod
    def of(
        cls, name: str, x: Sequence[X], estimates: Iterable[Mapping[str, Any]], *, place: int | None = None
    ) -> Series:
        """Estimates with their intervals (`mean`, `low`, `high`), one an x."""
        ends = [[estimate[key] for key in ("mean", "low", "high")] for estimate in estimates]
        mean, low, high = map(list, zip(*ends, strict=True))
        return cls(name, x, mean, low, high, place=place)


@dataclass(frozen=True)
class Style:
    """Style of a series: its colour, and marker, dash and pattern of bars for those who cannot see it."""

    colour: str
    symbol: str
    dash: str
    pattern: str


def colour(place: int | None) -> str:
    """The colour of the location at a place of the seen ones; ink for None."""
    return INK if place is None else PLACES[place % len(PLACES)]


def styled(series: Sequence[Series]) -> list[tuple[Series, Style]]:
    """Each series with its style; those of no location take the neutral colours in turn."""
    plain = dashed = 0
    pairs = []
    for one in series:
        number = plain if one.place is None else one.place
        tint = NEUTRALS[number % len(NEUTRALS)] if one.place is None else colour(one.place)
        if one.dashed and one.place is None:
            tint = (INK, SOFT)[dashed % 2]
        dash = DASHES[dashed % len(DASHES)] if one.dashed else "solid"
        pattern = PATTERNS[number % len(PATTERNS)] if one.place is None else ""
        pairs.append((one, Style(tint, SHAPES[number % len(SHAPES)], dash, pattern)))
        plain, dashed = plain + (one.place is None and not one.dashed), dashed + (one.place is None and one.dashed)
    return pairs


def all_x(series: Sequence[Series]) -> list[X]:
    """Every x of several series, each once, in the order in which they come."""
    return list(dict.fromkeys(value for one in series for value in one.x))


def stretched(one: Series, across: Sequence[X]) -> Series:
    """A baseline of one value, drawn from the first to the last x of the others."""
    if one.x or len(one.y) != 1 or not across:
        return one
    numbers = [value for value in across if not isinstance(value, str)]
    ends: list[X] = [min(numbers), max(numbers)] if len(numbers) == len(across) else [across[0], across[-1]]
    return Series(one.name, ends, list(one.y) * 2, list(one.low) * 2, list(one.high) * 2, one.dashed, one.place)
