"""The studies' rows of README's table: what, ours, the paper's."""

from __future__ import annotations

from collections.abc import Iterator

from ...measure.statistics import points
from .. import NUMBERS
from ..groups import SHORT
from ..results import Data
from .told import COMPARED

Row = tuple[object, ...]


def systems(data: Data) -> Iterator[Row]:
    """Two rows for each system: accuracies, and differences from the originals."""
    published = NUMBERS[data["setting"]["published"]]
    for name, row in data["rows"].items():
        shown = [f"{100 * row['groups'][group]['test']['mean']:.1f}" for group in COMPARED]
        what = f"p-diff, {name}, {row['numbers']['dim']:,} numbers, {_seeds(row)}"
        yield (
            f"{what}: {'; '.join(SHORT[group] for group in COMPARED)}",
            "; ".join(shown),
            f"best of 200: {published[name]}",
        )
        gap = points(row["minus_originals"]["generated"], signed=True)
        best = points(row["best_difference"], signed=True)
        yield "the same: generated minus originals, points; best generated minus best original", f"{gap}; {best}", ""


def _seeds(row: Data) -> str:
    return f"{len(row['seeds'])} seed{'s'[: len(row['seeds']) != 1]}"


def checkpoints(data: Data) -> Iterator[Row]:
    """A row for each way to fine-tune checkpoints: what they lose against their base."""
    for name, row in data["rows"].items():
        gap = points(row["minus_base"]["originals"], signed=True)
        yield f"p-diff, checkpoints of mlp-mini ({name}) minus their base, points, {_seeds(row)}", gap, ""


def memory(data: Data) -> Iterator[Row]:
    """A row for the largest size that the paper has, and for the largest that we have."""
    published = NUMBERS["table13"]
    for size in ("300288", "4000000"):
        if size in data["sizes"]:
            theirs = f"{published[size] / 1024:.1f}" if size in published else ""
            ours = f"{data['sizes'][size]['after'] / 1024:.1f}"
            yield f"p-diff, memory of training on 300 rows of {int(size):,} numbers, GB", ours, theirs


def minutes(data: Data, seconds: float) -> float:
    """What measuring took; of grown systems also their growing, which a later run finds done."""
    rows = data.get("rows", {})
    grown = sum(len(row["seeds"]) * stage["mean"] for row in rows.values() for stage in row["seconds"].values())
    return float(max(seconds, grown) / 60)
