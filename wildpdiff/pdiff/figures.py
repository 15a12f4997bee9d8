"""What the ablations found, as figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..experiments.lab import Data
from ..plots import Figure
from ..plots.charts import Series, bars, lines, scatter
from .tables import NAMES, called, last


def figures(data: Data) -> list[Figure]:
    """Bars of noise, checkpoints and guidance, lines of steps and path, points of prediction overlap."""
    mean = data["mean"]
    return [
        _bars("Noise while the codec trains", {NAMES[name]: cell for name, cell in mean["noise"].items()},
              {"codec": "codec only", "generated": "generated"}),
        _bars("Checkpoints a location", mean["checkpoints"], {"generated": "generated"}),
        lines("Sampling steps", [_series("generated", mean["steps"], "generated")], x="sampling steps",
              y="accuracy, percent", percent=True),
        lines(
            "Along the denoising path",
            [_series("mean", mean["path"], "accuracy"), *_noises(mean["path"])],
            x=f"step of {last(mean['path'])}", y="accuracy, percent", percent=True,
            note="Each dashed line starts from one noise at every location.",
        ),
        scatter(
            "Accuracy and likeness to a fine-tuned adapter",
            [
                Series(called(kind), [like for like, _ in cell["points"]], [100 * gain for _, gain in cell["points"]])
                for kind, cell in mean["likeness"].items()
            ],
            x="highest overlap of wrong predictions with a fine-tuned adapter",
            y="accuracy minus that of the fine-tuned, points",
        ),
        _bars("Guidance", mean["guidance"], {"generated": "generated"}),
    ]  # fmt: skip


def _series(name: str, cells: Mapping[str, Any], column: str) -> Series:
    return Series.of(name, list(cells), [cell[column] for cell in cells.values()])


def _bars(title: str, cells: Mapping[str, Any], columns: Mapping[str, str]) -> Figure:
    series = [_series(name, cells, column) for column, name in columns.items()]
    return bars(title, list(cells), series, y="accuracy, percent", percent=True)


def _noises(cells: Mapping[str, Any]) -> list[Series]:
    numbers = next(iter(cells.values()))["by_noise"]
    return [
        Series(
            f"noise {int(number) + 1}",
            list(cells),
            [cell["by_noise"][number]["mean"] for cell in cells.values()],
            dashed=True,
        )
        for number in numbers
    ]
