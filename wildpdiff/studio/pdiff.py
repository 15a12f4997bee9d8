"""The tab p-diff: a stored system, samples drawn from it now, and what they see in the digits; no gradio."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..bundle import Bundle
from ..errors import UserError
from ..evaluate import wilson
from ..pdiff.groups import SHORT, STEPS
from ..pdiff.stored import Stored, Walked, names
from ..plots.common import Figure
from ..plots.pdiff import Group, Star, Stop, accuracies, likeness, plane, trajectory

Json = dict[str, Any]
MOST = 8
#: Steps of the denoising at which the estimates are measured.
MEASURED = (1, 5, 10, 15, 20, 25, 30, 35, 40, 45, STEPS)
#: Pictures with another answer than the base's that are shown of a sample.
SHOWN = 24
#: Groups in the columns of accuracies, and where points are enough.
COLUMNS = ("base", "originals", "average", "noise", "alike", "generated")
CLOUDS = ("originals", "noise", "alike", "generated")
PLACED = ("originals", "noise", "generated", "average", "base")


@dataclass(frozen=True)
class Wish:
    """What is to be sampled: the stored system, how many networks, and the seed of the first one's noise."""

    system: str
    count: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST:
            raise UserError(f"Between 1 and {MOST} networks can be sampled at once, not {self.count}.")
        if not 0 <= self.seed < 2**31:
            raise UserError(f"The seed must be a whole number from 0 to {2**31 - 1}, not {self.seed}.")

    @classmethod
    def of(cls, given: object) -> Wish:
        """What the browser sends, as a wish.

        Raises:
            UserError: if a value is missing, of another kind or out of range.
        """
        if not isinstance(given, Mapping) or not isinstance(given.get("system"), str):
            raise UserError("The wish is not whole; it needs a system, a count of networks and a seed.")
        return cls(given["system"], _whole(given, "count", "The number of networks"), _whole(given, "seed", "The seed"))


def _whole(given: Mapping[str, Any], key: str, what: str) -> int:
    value = given.get(key)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise UserError(f"{what} must be a whole number.")
    return value


class Hall:
    """The stored systems of a bundle, opened when first asked for, for any number of threads at once."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle, self.names = bundle, names(bundle)
        self._open: dict[str, Stored] = {}
        self._lock = threading.RLock()

    def system(self, name: str) -> Stored:
        """A system by its name.

        Raises:
            UserError: naming those that there are.
        """
        with self._lock:
            if name not in self._open:
                self._open[name] = Stored.of(self.bundle, name)
            return self._open[name]

    def ready(self, name: str) -> Stored:
        """A system whose network, generator and pictures are loaded; errors as `system`."""
        system = self.system(name)
        with self._lock:
            _ = system.generator, system.base_says
        return system

    def choices(self) -> list[Json]:
        """Each system's name and title, from the results alone."""
        return [{"name": name, "title": title(self.system(name).results)} for name in self.names]


def title(results: Mapping[str, Any]) -> str:
    """What a system is called where one is chosen."""
    order, rows = results["order"], results["rows"]
    return f"{order['network']}, {chosen(order['parameters'])} ({rows['dim']:,} numbers), {results['data']['name']}"


def chosen(parameters: str) -> str:
    """A choice of parameters in words."""
    kind, _, number = parameters.partition(":")
    words = {
        "all": "whole",
        "norms": "norms",
        "last": f"last {number} layers" if number else "last layer",
        "lora": "LoRA",
    }
    return words.get(kind, parameters)


def about(results: Mapping[str, Any]) -> str:
    """How a system was made and measured, in sentences."""
    rows, data, order = results["rows"], results["data"], results["order"]
    every = results["network"]["numbers"]
    vary = "all of which" if rows["dim"] == every else f"of which {rows['dim']:,}"
    stored = results["groups"]["generated"]["n"]
    return (
        f"The generator learned from {rows['shown']} fine-tuned checkpoints of one base network ({every:,} numbers, "
        f"{vary} vary), and never saw {rows['held_out']} others. All accuracies, stored and live, are on the same "
        f"{data['measured']['test']} test pictures of {data['name']}. The stored samples are those of the seeds "
        f"{order['seed']} to {order['seed'] + stored - 1}: live, they are drawn and measured again. "
        "These pictures are real, unlike the photographs of the other tabs: scanned handwriting, from scikit-learn."
    )


def opened(hall: Hall, name: str) -> Json:
    """The first message of a system: all that is stored.

    Raises:
        UserError: as `Hall.system`.
    """
    results = hall.system(name).results
    groups = results["groups"]
    rows = [
        [SHORT[key], groups[key]["n"], *(round(groups[key]["test"][end], 4) for end in ("mean", "low", "high"))]
        for key in COLUMNS
        if key in groups
    ]
    return {
        "stage": "stored",
        "system": name,
        "about": about(results),
        "said": stored_words(results),
        "groups": rows,
        "figures": figures(results, (), ()),
    }


def stored_words(results: Mapping[str, Any]) -> str:
    """What was measured, in a sentence."""
    groups = results["groups"]
    parts = [f"{SHORT[key]} {groups[key]['test']['mean']:.1%}" for key in COLUMNS if key in groups]
    return f"Stored, mean test accuracy: {', '.join(parts)}."


@dataclass(frozen=True)
class Sample:
    """A live sample: its seed, what it sees in the test pictures `[M]`, how many are right, likeness, place, way."""

    seed: int
    says: Tensor
    right: int
    likeness: float
    place: tuple[float, float]
    way: tuple[Stop, ...] = ()

    @property
    def name(self) -> str:
        """What the page calls it."""
        return f"seed {self.seed}, live"


def sampled(hall: Hall, wish: Wish, wanted: Callable[[], bool] = lambda: True) -> Iterator[Json]:
    """Sample and measure: a message with all samples, then one more with each sample's way, until unwanted.

    The first one has all figures and the changed pictures, the later ones the figures that are new.

    Raises:
        UserError: as `Hall.system`.
    """
    system = hall.ready(wish.system)
    walked = [stop for stop in system.walk(wish.count, wish.seed) if stop.step in MEASURED]
    samples = measured(system, wish, walked[-1])
    drawn = _figures_of(system, samples)
    yield message(system, wish, samples, "measured") | {"figures": drawn, "changed": changed(system, samples)}
    for at in range(wish.count):
        if not wanted():
            return
        samples[at] = with_way(system, samples[at], walked, at)
        drawn, moved = _figures_of(system, samples), ("pdiff-way", "pdiff-map")[: 2 if at == 0 else 1]
        stage = "done" if at == wish.count - 1 else "walking"
        yield message(system, wish, samples, stage) | {"figures": {name: drawn[name] for name in moved}}


def measured(system: Stored, wish: Wish, last: Walked) -> list[Sample]:
    """The samples, measured on all test pictures."""
    labels = system.images.labels
    says = system.shared.predicted(last.rows, system.images.pixels)
    right = says == labels
    alike = system.likeness(right).tolist()
    return [
        Sample(wish.seed + at, says[at], int(right[at].sum()), alike[at], tuple(last.places[at].tolist()))
        for at in range(wish.count)
    ]


def with_way(system: Stored, sample: Sample, walked: Sequence[Walked], at: int) -> Sample:
    """A sample with the accuracies and places of its estimates."""
    rows = torch.stack([stop.rows[at] for stop in walked[:-1]])
    shares = system.shared.correct(rows, system.images.pixels, system.images.labels).float().mean(dim=1).tolist()
    shares.append(sample.right / len(system.images))
    way = tuple(
        Stop(stop.step, share, tuple(stop.places[at].tolist())) for stop, share in zip(walked, shares, strict=True)
    )
    return Sample(sample.seed, sample.says, sample.right, sample.likeness, sample.place, way)


def message(system: Stored, wish: Wish, samples: Sequence[Sample], stage: str) -> Json:
    """What every message for the browser says."""
    total = len(system.images)
    return {
        "stage": stage,
        "system": wish.system,
        "said": live_words(samples, total),
        "samples": [_sample(sample, total) for sample in samples],
    }


def _figures_of(system: Stored, samples: Sequence[Sample]) -> dict[str, Figure]:
    total = len(system.images)
    stars = [Star(sample.name, sample.right / total, sample.likeness, sample.place) for sample in samples]
    return figures(system.results, stars, [(sample.name, sample.way) for sample in samples if sample.way])


def live_words(samples: Sequence[Sample], total: int) -> str:
    """What was measured now, in a sentence."""
    rights = [sample.right for sample in samples]
    low, high = min(rights), max(rights)
    if len(rights) == 1:
        return f"Live, seed {samples[0].seed}: names {low} of {total} test pictures correctly ({low / total:.1%})."
    between = f"{low} to {high}" if low < high else f"{low}"
    mean = sum(rights) / len(rights) / total
    seeds = f"seeds {samples[0].seed} to {samples[-1].seed}"
    named = f"{len(rights)} networks name {between} of {total} test pictures correctly, {mean:.1%} on average"
    return f"Live, {seeds}: {named}."


def _sample(sample: Sample, total: int) -> Json:
    low, high = wilson(sample.right, total)
    return {
        "seed": sample.seed, "right": sample.right, "total": total, "low": round(low, 4), "high": round(high, 4),
        "likeness": round(sample.likeness, 3), "way": [[stop.step, *stop.place] for stop in sample.way],
    }  # fmt: skip


def changed(system: Stored, samples: Sequence[Sample]) -> Json:
    """Pictures that a sample names otherwise than the base: those that it wins, loses, and both get wrong.

    `pixels` by the picture's number (grey bytes in base64), and for each sample its counts and
    `[number, truth, base's answer, sample's answer]` of the first ones.
    """
    base, labels = system.base_says, system.images.labels
    size, pixels, found = system.order.size, {}, []
    for sample in samples:
        other = (sample.says != base).nonzero()[:, 0].tolist()
        kinds = [(int(labels[at]), int(base[at]), int(sample.says[at])) for at in other]
        shown = [[at, *kind] for at, kind in zip(other, kinds, strict=True)][:SHOWN]
        for at, *_ in shown:
            pixels[at] = base64.b64encode(system.images.pixels[at, 0].numpy().tobytes()).decode()
        found.append({
            "gained": sum(truth == now for truth, _, now in kinds),
            "lost": sum(truth == before for truth, before, _ in kinds),
            "all": len(kinds),
            "shown": shown,
        })  # fmt: skip
    return {"size": size, "pixels": pixels, "samples": found}


def figures(
    results: Mapping[str, Any], stars: Sequence[Star], ways: Sequence[tuple[str, Sequence[Stop]]]
) -> dict[str, Figure]:
    """The four figures, by the names of their charts."""
    groups, points = results["groups"], results["plane"]["points"]
    columns = [Group(key, SHORT[key], groups[key]["points"]["test"]) for key in COLUMNS if key in groups]
    clouds = [
        Group(key, SHORT[key], (), list(zip(groups[key]["points"]["iou"], groups[key]["points"]["test"], strict=True)))
        for key in CLOUDS
        if key in groups
    ]
    placed = [Group(key, SHORT[key], (), [tuple(one) for one in points[key]]) for key in PLACED if key in points]
    means = [groups[key]["test"]["mean"] for key in ("originals", "base")]
    return {
        "pdiff-likeness": likeness(clouds, stars),
        "pdiff-accuracy": accuracies(columns, stars),
        "pdiff-map": plane(placed, stars, ways[0][1] if ways else (), results["plane"]["share"]),
        "pdiff-way": trajectory(ways, *means),
    }
