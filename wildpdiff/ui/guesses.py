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


def novelty(stored: Stored) -> Question | None:
    found = stored.novelty()
    if found is None:
        return None
    choices = (1.0, 0.5, 0.1)
    return Question(
        f"How far is a row generated for {found['location']} alone from the nearest training row, as a share of the "
        "mean distance between two training rows?",
        ("as far as they are: 1", "half as far: 0.5", "near: 0.1"),
        nearest(choices, found["distance"]),
        f"{found['distance']:.2f}, with a cosine of {found['cosine']:.4f} (mean of {found['n']} adapters; training "
        f"rows {found['interval']} steps apart, of one run). A training row itself lies at {found['kept_back']:.2f} "
        f"from the next, means of two to four of them at {found['averages']:.2f}. The paper reports a cosine of 0.89 "
        "and calls its adapters new; rows that share their start have 0.99 and more, so the cosine cannot tell.",
    )
