"""How far outside the known conditions something lies, in words and as numbers to draw; no gradio."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor

from ..bundle import Bundle
from ..errors import UserError
from ..experiments.result import stored_result
from ..ood import Gauge, Reading, Verdict
from ..reproduce import EXPERIMENTS
from ..unseen.study import STUDY

Json = dict[str, Any]

#: What each verdict means.
MEANING: dict[Verdict, str] = {
    "like a known location": "The generator learned from conditions like this one.",
    "between": "Farther out than the known locations' own ones, not as far as those of other locations.",
    "outside": "As far out as a location that nothing was trained on, or farther. Whether it shows such a place at all "
    "this gauge cannot say: it knows nothing else.",
    "cannot tell": "Known and other locations lie in one another on this scale, so no place on it means anything.",
}
PAPER = "The paper found no gain at locations that its generator had never met (its Table 3)."


def scale(gauge: Gauge, unseen: Sequence[str], kind: str) -> Json:
    """What the drawn gauge needs: two groups, the zones between them, and what they are.

    Args:
        gauge: with equally many distances for each location.
        unseen: the locations of the second group.
        kind: what was measured, `pictures` or `captions`.
    """
    return {
        "kind": kind,
        "known": _by_location(gauge.known, gauge.names),
        "others": _by_location(gauge.others, unseen),
        "near": round(gauge.near, 4),
        "far": round(gauge.far, 4),
        "tells": gauge.tells,
        "known_label": f"{_counted(len(gauge.known), kind, len(gauge.names))} known locations",
        "others_label": f"{_counted(len(gauge.others), kind, len(unseen))} other locations",
    }


def standing(reading: Reading, gauge: Gauge, kind: str) -> str:
    """A reading in words, with counts; `kind` is what the gauge was calibrated on."""
    known, others = len(gauge.known), len(gauge.others)
    far = f"{reading.known_as_far} of {known}" if reading.known_as_far else f"None of the {known}"
    return (
        f"Distance {reading.distance:.2f} from {reading.nearest[0][0]}, the nearest known location. {far} {kind} of "
        f"known locations lie as far out; {reading.others_nearer} of {others} {kind} of other locations lie nearer."
    )


def compared(like_noise: float, like_near: float, near: str) -> Json:
    """Whether a condition made a difference: the cosine of its adapter with the one for noise and with one that is
    written for the nearest known location."""
    if like_noise > like_near:
        said = f"It is nearer to the adapter for pure noise than to the one for {near}: the condition mattered little."
    else:
        said = f"It is nearer to the adapter for {near} than to the one for pure noise: the condition mattered."
    like = [["pure noise", round(like_noise, 4)], [near, round(like_near, 4)]]
    return {"like": like, "mattered": "This is the noise itself." if like_noise > 0.9999 else said}


def findings(bundle: Bundle, regime: str) -> list[str]:
    """What was found out about adapters for locations that the generator never met: the paper's word and, if the bundle
    has it, what generator U is worth, or else its own Table 3."""
    told = [PAPER, *_measured(bundle, regime)]
    if not bundle.has_universal:
        return told
    try:
        experiment = EXPERIMENTS[STUDY]
        return [PAPER, *experiment.findings(stored_result(bundle, experiment).data)]
    except UserError as error:
        return [*told, str(error)]


def reading_skill(bundle: Bundle) -> str:
    """How well the bundle's CLIP tells captions apart, as measured when it was trained; empty if it was not."""
    about = bundle.manifest.get("clip")
    if not about:
        return ""
    return (
        f"This small CLIP learned words from captions of this world only. Of the pictures of {about['places']} new "
        f"places, the own caption came first for {about['retrieval']:.0%} (chance: {1 / about['places']:.0%})."
    )


def _by_location(values: Tensor, names: Sequence[str]) -> list[list[Any]]:
    """Each distance with its location; equally many stand for each, in order."""
    count = len(values) // len(names)
    return [[names[place // count], round(value, 4)] for place, value in enumerate(values.tolist())]


def _counted(count: int, kind: str, places: int) -> str:
    return f"{kind} of {places}" if count == places else f"{count} {kind} of {places}"


def _measured(bundle: Bundle, regime: str) -> Iterator[str]:
    try:
        data = stored_result(bundle, EXPERIMENTS["table3"]).data
        plain, mean = data["mean"]["pretrained"], data["regimes"][regime]["mean"]
        made, gain = mean["generated"], mean["generated_gain"]
    except UserError as error:
        yield str(error)
        return
    except (KeyError, TypeError):
        return
    verdict = ("a gain" if gain["mean"] > 0 else "a loss") if gain["real"] else "no difference is shown"
    yield (
        f"Measured here at {gain['n']} such locations, regime {regime}: generated {made['mean']:.1%}, pretrained "
        f"{plain['mean']:.1%}, difference {_points(gain)}: {verdict}."
    )
    if "zoo_mean_gain" in mean:
        yield f"The plain mean of all known locations' adapters, beside pretrained: {_points(mean['zoo_mean_gain'])}."


def _points(gain: Json) -> str:
    middle, low, high = (f"{100 * gain[key]:+.1f}".replace("-", "−") for key in ("mean", "low", "high"))
    return f"{middle} points (95% interval {low} to {high})"
