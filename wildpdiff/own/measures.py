"""From chances to figures: accuracy by photograph and by event, by class, and what is mistaken for an animal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..measure.statistics import Estimate, over_units
from .cell import Answers

#: Measures of a way at a camera: their names and what they are called.
MEASURES = {
    "accuracy": "all photographs",
    "species": "species, animals",
    "event": "species, by event",
    "empty": "empties called empty",
}


def of_camera(chances: Tensor, labels: Tensor, bursts: Tensor) -> dict[str, float]:
    """The measures of one way at one camera, as far as it has photographs for them; shares.

    Args:
        chances: of the K classes, `empty` last, `[M, K]`.
        labels: `[M]`.
        bursts: `[M]`.
    """
    empty = chances.shape[1] - 1
    named, animal = chances.argmax(dim=1), labels != empty
    found = {"accuracy": _share(named == labels)}
    if bool(animal.any()):
        found["species"] = _share(chances[animal, :empty].argmax(dim=1) == labels[animal])
        events = [_event(chances[animal & (bursts == burst)], labels[animal & (bursts == burst)])
                  for burst in bursts[animal].unique()]  # fmt: skip
        found["event"] = sum(events) / len(events)
    if not bool(animal.all()):
        found["empty"] = _share(named[~animal] == empty)
    return found


def _share(right: Tensor) -> float:
    return float(right.double().mean())


def _event(chances: Tensor, labels: Tensor) -> float:
    """Whether the mean chances of an event's animals name its (most frequent) species."""
    return float(chances[:, :-1].mean(dim=0).argmax() == labels.mode().values)


def by_camera(answers: Answers, way: str, *, among: Sequence[str] | None = None) -> dict[str, dict[str, float]]:
    """The measures of a way at every camera that it said something of."""
    found = {}
    for place, name in enumerate(answers.names):
        own = (answers.cameras == place) & answers.chances[way].isfinite().all(dim=1)
        if bool(own.any()) and (among is None or name in among):
            found[name] = of_camera(answers.chances[way][own], answers.labels[own], answers.bursts[own])
    return found


def over_seeds(
    every: Sequence[Answers], way: str, *, among: Sequence[str] | None = None
) -> dict[str, dict[str, float]]:
    """The measures of a way at every camera, each the mean over seeds."""
    found = [by_camera(answers, way, among=among) for answers in every]
    means: dict[str, dict[str, float]] = {}
    for name in found[0]:
        own = [one[name] for one in found if name in one]
        means[name] = {what: sum(one[what] for one in own) / len(own) for what in own[0]}
    return means


def summary(
    cameras: dict[str, dict[str, float]], base: dict[str, dict[str, float]] | None = None
) -> dict[str, Estimate]:
    """The mean of each measure over cameras, or its difference to another way at the same cameras, with intervals
    over cameras."""
    found = {}
    for what in MEASURES:
        values = [
            own[what] - (base[name][what] if base else 0.0)
            for name, own in cameras.items()
            if what in own and (base is None or what in base.get(name, {}))
        ]
        if values:
            found[what] = over_units(values)
    return found


def by_class(every: Sequence[Answers], way: str, species: Sequence[str]) -> dict[str, Any]:
    """The share named right of each class that was met, and their mean with an interval over cameras."""
    recall: dict[str, list[float]] = {}
    for answers in every:
        named = answers.chances[way].argmax(dim=1)
        for label in answers.labels.unique().tolist():
            own = answers.labels == label
            recall.setdefault(species[label], []).append(_share(named[own] == label))
    shares = {name: sum(values) / len(values) for name, values in sorted(recall.items())}
    low, high = _over_cameras(every, lambda answers, keep: _macro(answers, way, keep))
    return {"classes": shares, "mean": sum(shares.values()) / len(shares), "low": low, "high": high}


def _macro(answers: Answers, way: str, keep: Tensor) -> float:
    """Mean recall over the classes among some photographs, by their numbers, each as often as it is drawn."""
    labels, right = answers.labels[keep], (answers.chances[way].argmax(dim=1) == answers.labels)[keep].double()
    return float(torch.stack([right[labels == label].mean() for label in labels.unique()]).mean())


def _over_cameras(
    every: Sequence[Answers], value: Callable[[Answers, Tensor], float], rounds: int = 300
) -> tuple[float, float]:
    """The 95% interval of a value when cameras are drawn anew."""
    rng, found = torch.Generator().manual_seed(0), []
    for place in range(rounds):
        answers = every[place % len(every)]
        photographs = [(answers.cameras == camera).nonzero()[:, 0] for camera in range(len(answers.names))]
        drawn = torch.randint(len(answers.names), (len(answers.names),), generator=rng).tolist()
        found.append(value(answers, torch.cat([photographs[camera] for camera in drawn])))
    ordered = sorted(found)
    return ordered[int(0.025 * rounds)], ordered[int(0.975 * rounds) - 1]
