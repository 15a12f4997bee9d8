"""An owner's questions: at which of my cameras does an adapter help, how sure is that, and where would labels help."""

from __future__ import annotations

from typing import Any

from ..errors import readable
from ..measure.statistics import points, size
from .measures import MEASURES

#: Cameras that are named.
NAMED = 3


def sentences(data: dict[str, Any]) -> list[str]:
    """The answers in words, from what `held_out` counted."""
    return [_adapters(data), *_labels(data), _weakest(data)]


def _adapters(data: dict[str, Any]) -> str:
    minus = data["ways"]["generated"]["minus"].get("accuracy")
    if minus is None:
        return "No camera has empty photographs, so no adapter could be written for any."
    if minus["real"] and minus["mean"] > 0:
        gain = size(minus)
        return f"An adapter written from a camera's empty photographs helps here: {gain} points over a shared one."
    if minus["real"]:
        harm = points(minus, signed=True)
        return f"An adapter written from empty photographs harms here: use the shared one ({harm} points)."
    return (
        f"An adapter written from empty photographs does not help you here as far as {minus['n']} cameras can tell "
        f"({points(minus, signed=True)} points): use the shared one."
    )


def _labels(data: dict[str, Any]) -> list[str]:
    """What labels of a camera's own are worth, measured at those with two events, and where they were worth most."""
    minus, own, base = (data["ways"]["labels"]["minus"], data["by_camera"]["labels"], data["by_camera"]["joint"])
    if "accuracy" not in minus:
        return ["No camera met animals at two times, so what labels of its own are worth cannot be measured."]
    parts = [f"{words} {points(minus[what], signed=True)}" for what, words in MEASURES.items() if what in minus]
    helps = any(minus[what]["real"] and minus[what]["mean"] > 0 for what in ("accuracy", "event") if what in minus)
    verdict = "helps" if helps else "shows no difference"
    count = minus["accuracy"]["n"]
    found = [
        f"Labelling up to twenty photographs of a camera {verdict} at the {count} cameras with two events, points: "
        f"{', '.join(parts)}."
    ]
    gains = sorted(own, key=lambda name: base[name]["accuracy"] - own[name]["accuracy"])
    helped = [name for name in gains if own[name]["accuracy"] > base[name]["accuracy"]][:NAMED]
    if helped:
        each = ", ".join(
            f"{readable(name)} ({100 * (own[name]['accuracy'] - base[name]['accuracy']):+.0f} points, "
            f"{data['counts'][name]['photographs']} photographs)"
            for name in helped
        )
        found.append(f"Twenty labels helped most at {each}; one camera alone is a hint, not a finding.")
    return found


def _weakest(data: dict[str, Any]) -> str:
    """Cameras where the shared adapter errs most, of those whose gain by labels cannot be measured."""
    base, two = data["by_camera"]["joint"], data["by_camera"]["labels"]
    single = [name for name in base if name not in two]
    weak = sorted(single, key=lambda name: (base[name]["accuracy"], -data["counts"][name]["photographs"]))[:NAMED]
    if not weak:
        return "Every camera met animals at two times."
    each = ", ".join(
        f"{readable(name)} ({100 * base[name]['accuracy']:.0f}% of {data['counts'][name]['photographs']} photographs)"
        for name in weak
    )
    return (
        f"Of cameras with one event the shared adapter errs most at {each}: labels of a second event are wanted there."
    )
