"""What the lessons ask before they tell: the right choice is the one nearest to what was measured; no gradio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .stored import REGIMES, Stored, percent


@dataclass(frozen=True)
class Question:
    """Guess first: choices, which of them is right, and what was measured."""

    text: str
    choices: tuple[str, ...]
    right: int
    answer: str


def nearest(choices: Sequence[float], value: float) -> int:
    """The place of the choice that lies nearest to a value."""
    return min(range(len(choices)), key=lambda place: abs(choices[place] - value))


def gain(stored: Stored) -> Question | None:
    before, after = stored.mean_of("pretrained", "H"), stored.mean_of("fine_tuned", "H")
    if before is None or after is None:
        return None
    choices = (80, 95, 99)
    return Question(
        f"Without an adapter the classifier names {100 * before['mean']:.1f}% of the photographs of the seen locations "
        "right. And with each location's own fine-tuned adapter?",
        tuple(f"about {choice}%" for choice in choices),
        nearest(choices, 100 * after["mean"]),
        f"{percent(after)}, mean of {after['n']} locations, 95% interval in brackets; without an adapter "
        f"{percent(before)}.",
    )


def cosine(stored: Stored) -> Question | None:
    found = {regime: stored.cosine(regime) for regime in REGIMES}
    low, medium, high = found.values()
    if low is None or medium is None or high is None:
        return None
    choices = (0.0, 0.5, 0.9)
    return Question(
        "Two locations, two random starts (L), fine-tuned for the same task. What is the cosine of their rows?",
        tuple(f"about {choice:g}" for choice in choices),
        nearest(choices, low["mean"]),
        f"{low['mean']:.2f} in L, {medium['mean']:.2f} in M and {high['mean']:.2f} in H: the mean over {low['n']} "
        "pairs of locations of the largest cosine between their rows.",
    )


def spread(stored: Stored, location: str) -> Question | None:
    found = stored.fidelity("H", location)
    if found is None:
        return None
    choices = (0.04, 0.5, 1.0)
    return Question(
        f"{found['samples']} adapters for {location}, each begun from noise of its own. How far do they lie apart, "
        "where fine-tuned adapters that the generator never saw lie 1 apart?",
        ("hardly at all: 0.04", "half as far: 0.5", "as far: about 1"),
        nearest(choices, found["spread_raw"]),
        f"{found['spread_raw']:.2f} times as far. The nearest training row is {found['nearest']:.2f} times as far as "
        f"it is for those {found['held_out']} fine-tuned ones, so they are not copies. In version 0.3.1 the answer was "
        "0.04: it wrote one adapter a location.",
    )


def blend(stored: Stored) -> Question | None:
    ours, weights = stored.half_way("ours", "H"), stored.half_way("weights", "H")
    if ours is None or weights is None:
        return None
    choices = (92, 82, 72)
    return Question(
        f"Half-way in H, averaged weights name {100 * weights['mean']:.1f}% right at the weaker of both locations. And "
        "adapters written for the blended condition?",
        tuple(f"about {choice}%" for choice in choices),
        nearest(choices, 100 * ours["mean"]),
        f"{percent(ours)} against {percent(weights)}, mean of {ours['n']} pairs whose curve was never trained, "
        "with 95% intervals.",
    )


def way(stored: Stored) -> Question | None:
    ours, paper = stored.half_way("ours", "L"), stored.half_way("paper", "L")
    if ours is None or paper is None:
        return None
    choices, gain = (10, 20, 30), 100 * (ours["mean"] - paper["mean"])
    return Question(
        "In L, half-way, at the weaker location: how many points does learning curves add to the paper's plain form?",
        tuple(f"about {choice}" for choice in choices),
        nearest(choices, gain),
        f"{gain:+.1f} points: from {percent(paper)} to {percent(ours)}, mean of {ours['n']} pairs whose curve was "
        "never trained, with 95% intervals.",
    )


def novelty(stored: Stored, location: str) -> Question | None:
    found = stored.fidelity("H", location)
    if found is None:
        return None
    choices = (0.0, 1.0, 5.0)
    return Question(
        f"How far from the nearest training row do adapters for {location} lie, where fine-tuned ones that the "
        "generator never saw lie 1 away?",
        ("not at all: they are copies", "about as far: 1", "much farther: 5"),
        nearest(choices, found["nearest"]),
        f"{found['nearest']:.2f} times as far, mean of {found['samples']} adapters. A nearest neighbour that is to "
        f"tell them from {found['held_out']} such fine-tuned ones is right in {100 * found['one_nn']:.0f}% of cases "
        "(50% is guessing, less means that both lie among each other). The mean of a few training rows would lie "
        f"{found['means']:.0f} times as far.",
    )
