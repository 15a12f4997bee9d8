"""The five presets that tell the story."""

from __future__ import annotations

from typing import Any

from ...build.jobs import held_out_pairs
from ...bundle import Bundle
from ..results import curves

Preset = dict[str, Any]


def presets(bundle: Bundle) -> list[Preset]:
    """Name, the state to set and a sentence on what to look at; for locations that the bundle has.

    The first two seen locations are the usual pair. The valley is shown where it is deep, see `apart_in`; how deep it
    is on average stands in the tour and in README.
    """
    usual = {"w": "ours", "seed": 0, "n": 1, "steps": 50, "images": 100}
    first, second, few, other = usual_places(bundle)
    apart = apart_in(bundle)
    low = "L" if "L" in bundle.regimes else bundle.regime
    made = [
        (
            "A seen location",
            {"a": first, "b": second, "t": 0.0, "m": bundle.regime},
            f"The generator has only looked at a picture of {first}, and writes an adapter about as good as one that "
            "was fine-tuned there: compare the bar with the diamond. Another seed writes another one: see the map.",
        ),
        (
            "A smooth blend",
            {"a": first, "b": second, "t": 0.5, "m": bundle.regime},
            f"Half-way between {first} and {second} one adapter serves both, on a path that bends where the average "
            "sags. Now drag the slider, or choose the paper's plain form, which never saw a blend.",
        ),
        (
            "The valley",
            {"a": apart[0], "b": apart[1], "t": 0.5, "m": low, "w": "paper"},
            "Two very different locations, adapters from unrelated random starts, blended by the paper's plain form. "
            "Guess first, then drag: half-way the generated adapter fails at both. Now choose our blending.",
        ),
        (
            "The trap of few images",
            {"a": few, "b": other, "t": 0.0, "m": bundle.regime, "images": 15},
            "Only 15 photographs, as many as the paper's smallest location has: look how wide the whiskers are. One "
            "photograph more or less is seven points.",
        ),
    ]
    if bundle.unseen:
        far = bundle.unseen[0]
        made.append(
            (
                "An unseen location",
                {"a": first, "b": far, "t": 1.0, "m": bundle.regime},
                f"No adapter was ever fine-tuned at {far}, so nothing promises that what is written there helps: "
                "compare the bar with the mark of the pretrained classifier, in Low and High too.",
            )
        )
    return [{"name": name, "state": usual | state, "story": story} for name, state, story in made]


def apart_in(bundle: Bundle) -> tuple[str, str]:
    """A pair held out from training on which the paper's plain form fails most, half-way: of the stored curves of L,
    the one whose weaker location falls lowest; where there are none, two that stand opposite in the list."""
    stored = curves(bundle)["curves"].get("L", {})
    middle = {
        (a, b): min(way[5] for way in stored[f"{a}+{b}"]["paper"])
        for a, b in held_out_pairs(bundle.seen)
        if len(stored.get(f"{a}+{b}", {}).get("paper", [[]])[0]) == 11
    }
    if middle:
        return min(middle, key=lambda pair: middle[pair])
    count = len(bundle.seen)
    return bundle.seen[1 % count], bundle.seen[(1 + count // 2) % count]


def usual_places(bundle: Bundle) -> tuple[str, str, str, str]:
    """The seen locations that stories are told of: the usual pair, and two more for few photographs."""
    first, second, few, other = (bundle.seen[place % len(bundle.seen)] for place in (0, 1, -3, -2))
    return first, second, few, other
