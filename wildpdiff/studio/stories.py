"""The five presets that tell the story."""

from __future__ import annotations

from typing import Any

from ..build.jobs import held_out_pairs
from ..bundle import Bundle
from .results import curves

Preset = dict[str, Any]


def presets(bundle: Bundle) -> list[Preset]:
    """Name, the state to set and a sentence on what to look at; for locations that the bundle has.

    R10 and R12 are the paper's own pair; S09 is its location of only fifteen photographs. The valley is shown where it
    is deep, see `apart_in`; how deep it is on average stands in the tour and in README.
    """
    usual = {"w": "ours", "seed": 0, "n": 1, "steps": 50, "images": 100}
    first, second = _of(bundle, "R10", 0), _of(bundle, "R12", 1)
    few, other = _of(bundle, "S09", 2), _of(bundle, "U13", 3)
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
            "Only 15 photographs, as many as the paper has at S09: look how wide the whiskers are. One photograph more "
            "or less is seven points.",
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
    the one whose weaker location falls lowest; R12 and H13, or the bundle's first two, where there are none."""
    stored = curves(bundle)["curves"].get("L", {})
    middle = {
        (a, b): min(way[5] for way in stored[f"{a}+{b}"]["paper"])
        for a, b in held_out_pairs(bundle.seen)
        if len(stored.get(f"{a}+{b}", {}).get("paper", [[]])[0]) == 11
    }
    return min(middle, key=lambda pair: middle[pair]) if middle else (_of(bundle, "R12", 1), _of(bundle, "H13", 0))


def _of(bundle: Bundle, wanted: str, index: int) -> str:
    return wanted if wanted in bundle.seen else bundle.seen[index % len(bundle.seen)]
