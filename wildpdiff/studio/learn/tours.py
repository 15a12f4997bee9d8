"""The guided tour: a lecture of five steps as plain values for the browser; no gradio."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from ...bundle import Bundle
from ...measure.statistics import points
from .guesses import Question, nearest
from .lessons import Places, State
from .stored import REGIMES, Stored, percent


@dataclass(frozen=True)
class Step:
    """A step: its words, the state it sets, what it points at; a question's state is set when it is revealed."""

    title: str
    text: str
    state: State
    point: str
    tab: str = "play"
    question: Question | None = None
    then: State = field(default_factory=dict)
    share: bool = False


def tours(bundle: Bundle) -> dict[str, list[dict[str, Any]]]:
    """All tours by name, as JSON for the browser."""
    return {"valley": [asdict(step) for step in valley(bundle)]}


def valley(bundle: Bundle) -> tuple[Step, ...]:
    """The lecturer's five minutes: a seen location, a smooth blend, the valley, why, and an unseen location."""
    places, stored = Places.of(bundle), Stored.of(bundle)
    makers = (_seen, _smooth, _guess, _why, _unseen)
    return tuple(make(places, stored) for make in makers)


def _seen(places: Places, stored: Stored) -> Step:
    made, tuned = stored.mean_of("generated", "H"), stored.mean_of("fine_tuned", "H")
    measured = (
        f" Mean of {made['n']} seen locations: generated {100 * made['mean']:.1f}%, fine-tuned "
        f"{100 * tuned['mean']:.1f}%."
        if made and tuned
        else f" {stored.absent('table2')}"
    )
    text = (
        f"The generator was shown an empty background of {places.a} and wrote this adapter, without any training step. "
        f"Compare its bar with the mark of the adapters that were fine-tuned there.{measured}"
    )
    return Step("A location it knows", text, places.state(), "bars")


def _smooth(places: Places, stored: Stored) -> Step:
    found, (a, b) = stored.pair_at(places.apart, "H", "ours", 0.5), places.apart
    measured = f" At 0.5: {_both(places, found)}." if found else ""
    text = (
        f"Half-way from {a} to {b}, two very different places, high similarity, our blending: one adapter for both. "
        f"Drag the slider, or use the arrow keys: between the ends both lines stay up.{measured}"
    )
    return Step("A smooth blend", text, places.state_apart(t=0.5), "curve")


def _guess(places: Places, stored: Stored) -> Step:
    text = (
        "Now low similarity and the paper's plain form: the rows stand at right angles, and this denoiser never saw a "
        "blend. Guess before you look."
    )
    question = _valley_question(places, stored)
    then = places.state_apart(t=0.5, m="L", w="paper")
    if question is None:
        return Step("Guess first", f"{text} {stored.absent('figure2')}", then, "curve")
    return Step("Guess first", text, places.state_apart(t=0.5), "way", question=question, then=then)


def _valley_question(places: Places, stored: Stored) -> Question | None:
    found, mean = stored.pair_at(places.apart, "L", "paper", 0.5), stored.half_way("paper", "L")
    if found is None:
        return None
    weaker = min(found[:2])
    choices = (90, 70, 50, 35)
    pairs = f" Mean of the weaker over {mean['n']} pairs: {percent(mean)}." if mean else ""
    return Question(
        "Half-way, how many of 100 photographs are right at the weaker of both locations?",
        tuple(f"about {choice}" for choice in choices),
        nearest(choices, 100 * weaker),
        f"{_both(places, found)}.{pairs} Drag the slider and look for the valley between the ends.",
    )


def _both(places: Places, found: tuple[float, float, int]) -> str:
    a, b, images = found
    return f"{places.apart[0]} {100 * a:.0f}%, {places.apart[1]} {100 * b:.0f}% (of {images} photographs each)"


def _why(places: Places, stored: Stored) -> Step:
    found = [(regime, stored.cosine(regime)) for regime in REGIMES]
    measured = ", ".join(f"{part['mean']:.2f} in {regime}" for regime, part in found if part)
    told = f" Mean over pairs of locations: {measured}." if measured else f" {stored.absent('figure6')}"
    text = (
        "Every cell is the cosine of two locations' adapters; in L they stand at right angles, which the paper takes "
        f"for the reason.{told} But choose Blending: ours in the bar, and the curve sags less in L too: between rows "
        "at right angles runs a short path of better adapters, which this generator follows."
    )
    return Step("Why: right angles", text, places.state_apart(t=0.5, m="L", w="paper", view="ruler"), "heat")


def _unseen(places: Places, stored: Stored) -> Step:
    gain = stored.unseen_gain("H")
    told = (
        f"Over {gain['n']} unseen locations generated adapters change accuracy by {points(gain, signed=True)} points "
        f"against no adapter: {_verdict(gain)}, and the paper found no gain either."
        if gain
        else stored.absent("table3")
    )
    far = places.far or places.b
    text = f"No adapter was ever fine-tuned at {far}; the generator gets a picture of it and nothing else. {told}"
    state = places.state(b=far, t=1.0)
    return Step("A location it never saw", text, state, "bars", share=True)


def _verdict(gain: Any) -> str:
    if not gain["low"] > 0 and not gain["high"] < 0:
        return "no difference is shown"
    return "a gain" if gain["mean"] > 0 else "a loss"
