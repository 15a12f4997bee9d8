"""An inspection in words."""

from __future__ import annotations

from ..errors import readable
from .inspection import Inspection, day_of
from .look import Pictures

_MOST = 12


def as_text(found: Inspection) -> str:
    """What was found, a paragraph of lines; names of the survey are made readable."""
    species = len(found.species)
    guessed = ", guessed by a program" if found.guessed else ""
    lines = [
        f"{found.source}: {found.kind}; {found.photographs:,} photographs at {len(found.sites):,} locations.",
        f"Labels{guessed}: {found.animal:,} with an animal ({species:,} species), {found.empty:,} empty, "
        f"{found.human:,} with people or vehicles, {found.unlabelled:,} without a label.",
        *([f"Species: {_listed(found.species)}."] if found.species else []),
        f"Dates: {day_of(found.dates[0])} to {day_of(found.dates[1])}." if found.dates else "Dates: none are told.",
        f"Bursts: {found.bursts:,}, told by {found.burst_by}.",
        _boxes(found),
        _pictures(found.pictures),
        *_sites(found),
    ]
    if found.problems:
        lines += ["Problems:", *(f"- {problem}" for problem in found.problems)]
    return "\n".join(map(readable, lines))


def _listed(counts: dict[str, int]) -> str:
    shown = [f"{name} {count:,}" for name, count in list(counts.items())[: 2 * _MOST]]
    rest = len(counts) - len(shown)
    return ", ".join(shown) + (f" and {rest:,} more" if rest else "")


def _boxes(found: Inspection) -> str:
    if not found.boxed:
        return "Boxes: none."
    kinds = ", ".join(f"{count:,} of kind {kind}" for kind, count in found.boxes.items()) or "none"
    whose = f" by '{found.detector}'" if found.detector else ""
    return f"Boxes: {kinds}; {found.boxed:,} photographs were looked at{whose}."


def _pictures(pictures: Pictures | None) -> str:
    if pictures is None:
        return "Pictures: none at hand; name their folder with --images."
    sizes = ", ".join(f"{width} x {height}" for (width, height), _ in pictures.sizes.most_common(3))
    return (
        f"Pictures: {pictures.read:,} of {pictures.asked:,} that were tried in '{pictures.folder}' can be read: "
        f"{pictures.day:,} by day, {pictures.infrared:,} infrared ({sizes or 'no size'}).{_strips(pictures)}"
    )


def _strips(pictures: Pictures) -> str:
    """Where caption strips were found."""
    ends = zip(("top", "bottom"), pictures.strips or (), strict=False)
    found = [f"{share:.1%} of the height at the {end}" for end, share in ends if share]
    return f" Caption strips take {' and '.join(found)}; mask them." if found else ""


def _sites(found: Inspection) -> list[str]:
    """A table of the largest locations."""
    shown = found.sites[:_MOST]
    if not shown:
        return []
    width = max(8, *(len(readable(site.name)[:30]) for site in shown))
    lines = [f"{'location':<{width}} {'photographs':>11} {'empty':>9} {'animal':>9} {'species':>8}"]
    lines += [
        f"{readable(site.name)[:30]:<{width}} {site.photographs:>11,} {site.empty:>9,} {site.animal:>9,} "
        f"{site.species:>8,}"
        for site in shown
    ]
    rest = len(found.sites) - len(shown)
    return [*lines, f"... and {rest:,} locations more"] if rest else lines
