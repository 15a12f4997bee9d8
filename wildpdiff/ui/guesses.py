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
    made, tuned = (stored.at_home(location, way, "H") for way in ("generated", "fine_tuned"))
    if made is None or tuned is None or not {"std", "n", "images"} <= set(made) & set(tuned):
        return None
    choices = (5.0, 2.0, 0.0)
    return Question(
        f"{made['n']} adapters for {location}, each begun from noise of its own. How far do their accuracies spread "
        "(standard deviation)?",
        ("by about 5 points", "by about 2 points", "hardly at all"),
        nearest(choices, 100 * made["std"]),
        f"{100 * made['std']:.1f} points around {100 * made['mean']:.1f}% of {made['images']} photographs. The picture "
        f"decides, the noise hardly matters. {tuned['n']} fine-tuned adapters spread by {100 * tuned['std']:.1f} "
        "points.",
    )


def blend(stored: Stored) -> Question | None:
    ours, weights = stored.half_way("ours", "H"), stored.half_way("weights", "H")
    if ours is None or weights is None:
        return None
    choices = (92, 82, 72)
    return Question(
        f"Half-way in H, averaged weights name {100 * weights['mean']:.1f}% right at the weaker of both locations. And "
        "adapters written for the blended condition, our way?",
        tuple(f"about {choice}%" for choice in choices),
        nearest(choices, 100 * ours["mean"]),
        f"{percent(ours)} against {percent(weights)}, mean of {ours['n']} pairs whose blends the generator was never "
        "trained on, with 95% intervals.",
    )


def way(stored: Stored) -> Question | None:
    ours, paper = stored.half_way("ours", "L"), stored.half_way("paper", "L")
    if ours is None or paper is None:
        return None
    choices, gain = (10, 20, 30), 100 * (ours["mean"] - paper["mean"])
    return Question(
        "In L, half-way, at the weaker location: how many points does learning from blends add to the paper's way?",
        tuple(f"about {choice}" for choice in choices),
        nearest(choices, gain),
        f"{gain:+.1f} points: from {percent(paper)} to {percent(ours)}, mean of {ours['n']} pairs whose blends it was "
        "never trained on, with 95% intervals.",
    )


def novelty(stored: Stored) -> Question | None:
    found = stored.novelty()
    if found is None:
        return None
    choices = (1.0, 0.5, 0.15)
    return Question(
        f"How far is a row generated for {found['location']} from the nearest training row, as a share of the mean "
        "distance between two training rows?",
        ("as far as they are: 1", "half as far: 0.5", "near: 0.2 or less"),
        nearest(choices, found["distance"]),
        f"{found['distance']:.2f}, with a cosine of {found['cosine']:.4f} (mean of {found['n']} adapters; training "
        f"rows {found['interval']} steps apart). A training row itself lies at {found['kept_back']:.2f} from the next, "
        f"means of two to four of them at {found['averages']:.2f}: "
        + ("what is generated is as new as an average is. " if found["distance"] > found["kept_back"] else "not new. ")
        + "The paper reports a cosine of 0.89 and calls its adapters new.",
    )
