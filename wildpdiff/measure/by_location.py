"""The main table: accuracy at the seen locations - pretrained, fine-tuned, codec only, generated (paper Table 2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from ..bundle import Bundle, opened_bundle
from ..errors import UserError
from ..evaluate import NONE, accuracy
from ..files import load_json, save_json
from ..training.loop import Step
from ..workers.pool import Workers, each
from ..worlds.base import EMPTY, Freshening, Images
from .statistics import over_units

COLUMNS = ("pretrained", "fine_tuned", "generated", "one_picture")


def chosen_locations(bundle: Bundle, choice: str) -> tuple[str, ...]:
    """Locations by name: `seen`, `unseen`, or a comma-separated list of known ones.

    Raises:
        UserError: if one is not known.
    """
    named = {"seen": bundle.seen, "unseen": bundle.unseen}
    locations = named.get(choice) or tuple(part.strip() for part in choice.split(","))
    for location in locations:
        bundle.embedding(location)
    return locations


def evaluate_locations(
    bundle: Bundle, locations: Sequence[str], *, regime: str, samples: int, seed: int, steps: int = 50
) -> Iterator[tuple[Step, dict[str, Any]]]:
    """Measure `samples` adapters a location of a regime's generator beside fine-tuned ones; yields the growing report.

    Accuracies lie in 0..1; `std` is over adapters. `generated` adapters follow the location's mean embedding,
    `one_picture` ones a single new background each, where there is one. `fine_tuned` rows are those of known runs that
    the generator never saw, as the codec keeps them. At unseen locations there are none, so they are left out.
    """
    if samples < 1:
        raise UserError(f"The number of samples must be at least 1, not {samples}.")
    generator = bundle.generator(regime)
    report: dict[str, Any] = {"regime": regime, "samples": samples, "seed": seed, "locations": {}, "mean": {}}
    for place, location in enumerate(locations):
        images = bundle.world.images(location, "eval")
        condition = bundle.embedding(location).expand(samples, -1)
        generated = generator.generate(condition, steps=steps, seed=seed)
        fresh = fresh_views(bundle, location, samples)
        row: dict[str, Any] = {
            "images": len(images),
            "pretrained": float(accuracy(bundle.backbone, [NONE], images.pixels, images.labels)),
            "generated": spread(bundle, generated, images),
        }
        if len(fresh):
            row["one_picture"] = spread(bundle, generator.generate(fresh, steps=steps, seed=seed), images)
        if location in bundle.seen:
            row["fine_tuned"] = spread(bundle, bundle.zoo(regime).rows(location, "held_out"), images)
        report["locations"][location] = row
        report["mean"] = _means(report["locations"])
        yield Step(place + 1, len(locations), 0.0), report


@dataclass(frozen=True)
class _Place:
    """One location to measure in a process of its own, and the file for its report."""

    bundle: Path
    device: str
    location: str
    how: dict[str, Any]
    path: Path


def evaluate_shared(
    bundle: Bundle, locations: Sequence[str], workers: Workers, **how: Any
) -> Iterator[tuple[Step, dict[str, Any]]]:
    """As `evaluate_locations`, by several workers, a location each; the last report is the same.

    Raises:
        UserError: as `evaluate_locations` and `each`.
    """
    with TemporaryDirectory(dir=Path(), prefix=".evaluate-") as kept:
        places = [
            _Place(bundle.folder.resolve(), bundle.device.type, name, how, Path(kept).resolve() / f"{number}.json")
            for number, name in enumerate(locations)
        ]
        for count in each(_measure, places, workers=workers):
            reports = [load_json(place.path) for place in places if place.path.exists()]
            yield Step(count, len(places), 0.0), together(reports)


def _measure(place: _Place) -> None:
    *_, (_, report) = evaluate_locations(opened_bundle(place.bundle, place.device), (place.location,), **place.how)
    save_json(place.path, report)


def fresh_views(bundle: Bundle, location: str, count: int) -> Tensor:
    """Embeddings `[N, E]` of single backgrounds of a location that nothing was trained on, `count` of them at most.

    A world that has no further backgrounds gives its empty evaluation photographs.
    """
    world = bundle.world
    if isinstance(world, Freshening):
        pictures = world.fresh_backgrounds(location, count)
    else:
        images = world.images(location, "eval")
        pictures = images.pixels[images.labels == world.species.index(EMPTY)][:count]
    return bundle.condition.views(pictures) if len(pictures) else torch.zeros(0, bundle.condition.dim)


def spread(bundle: Bundle, rows: Tensor, images: Images) -> dict[str, float]:
    """Mean and standard deviation of the accuracy of raw rows `[N, D]`, and n = N."""
    values = accuracy(bundle.backbone, rows, images.pixels, images.labels)
    deviation = float(values.std()) if len(values) > 1 else 0.0
    return {"mean": float(values.mean()), "std": deviation, "n": len(values)}


def crossed_conditions(
    bundle: Bundle, *, regime: str, seed: int, steps: int = 50
) -> Iterator[tuple[Step, dict[str, Any]]]:
    """Accuracy at each seen location of the adapter made for it, and of those made for the others.

    The last report holds `accuracy[made for][measured at]`, each location's `drop` (own minus the mean of the others)
    and the `mean_drop` over locations with its 95% bootstrap interval.
    """
    conditions = torch.stack([bundle.embedding(name) for name in bundle.seen])
    rows = bundle.generator(regime).generate(conditions, steps=steps, seed=seed)
    columns: dict[str, list[float]] = {}
    for place, location in enumerate(bundle.seen):
        images = bundle.world.images(location, "eval")
        columns[location] = accuracy(bundle.backbone, rows, images.pixels, images.labels).tolist()
        yield Step(place + 1, len(bundle.seen), 0.0), _crossed(bundle.seen[: place + 1], bundle.seen, columns)


def as_table(report: dict[str, Any]) -> str:
    """A report of `evaluate_locations` for people: accuracies in percent, standard deviation over adapters behind."""
    columns = [column for column in COLUMNS if column in report["mean"]]
    lines = [f"{'location':<10}{'images':>8}" + "".join(f"{column.replace('_', ' '):>16}" for column in columns)]
    for name, row in report["locations"].items():
        lines.append(f"{name:<10}{row['images']:>8}" + "".join(f"{_cell(row.get(column)):>16}" for column in columns))
    lines.append(f"{'mean':<18}" + "".join(f"{_cell(report['mean'][column]):>16}" for column in columns))
    if "crossed" in report:
        drop, low, high = (100 * value for value in (report["crossed"]["mean_drop"], *report["crossed"]["interval"]))
        lines.append(f"Another location's condition costs {drop:.1f} points ({low:.1f} to {high:.1f}).")
    return "\n".join(lines)


def _cell(value: dict[str, float] | float | None) -> str:
    if value is None:
        return "-"
    return f"{100 * value['mean']:.1f} ±{100 * value['std']:.1f}" if isinstance(value, dict) else f"{100 * value:.1f}"


def _crossed(measured: Sequence[str], made: Sequence[str], columns: dict[str, list[float]]) -> dict[str, Any]:
    drops = {}
    for place, location in enumerate(measured):
        others = [value for index, value in enumerate(columns[location]) if index != place]
        drops[location] = columns[location][place] - sum(others) / max(1, len(others))
    table = {name: {at: columns[at][index] for at in measured} for index, name in enumerate(made)}
    drop = over_units(list(drops.values()), rounds=2000)
    return {
        "accuracy": table,
        "drop": drops,
        "mean_drop": sum(drops.values()) / len(drops),
        "interval": [drop["low"], drop["high"]],
    }


def together(reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One report of several that differ in their locations alone."""
    locations = {name: row for report in reports for name, row in report["locations"].items()}
    return reports[0] | {"locations": locations, "mean": _means(locations)}


def _means(locations: dict[str, dict[str, Any]]) -> dict[str, float]:
    means = {}
    for column in COLUMNS:
        values = [row[column] for row in locations.values() if column in row]
        numbers = [value["mean"] if isinstance(value, dict) else value for value in values]
        if numbers:
            means[column] = sum(numbers) / len(numbers)
    return means
