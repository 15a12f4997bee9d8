"""What a sweep found, by cell: accuracy at the weaker location, novelty, diversity; and how two runs differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor

from ..measure.statistics import Estimate, Z, difference, estimate, mean_of
from ..similarity import exact_cosine
from .record import KEPT_ROWS, Record
from .run import Made

#: Two locations and a weight; with regime and way it is a cell's key.
Blend = tuple[str, str, float]
Key = tuple[str, str, float, str, str]


@dataclass(frozen=True)
class Cell:
    """The adapters of several seeds at one blend.

    Attributes:
        a: the first location; b: the second; weight, regime, way: of the blend.
        weaker: at which of the two locations the adapters name fewer photographs correctly.
        at: accuracy there, with its 95% interval over adapters and photographs (`measure.statistics.estimate`).
        novelty: mean of 1 - the largest cosine with a known row.
        alike: mean cosine between two of the adapters; None of one adapter alone.
        right: which photographs each of the N adapters names correctly at a and at b, bool `[2, N, M]`.
    """

    a: str
    b: str
    weight: float
    regime: str
    way: str
    weaker: str
    at: Estimate
    novelty: float
    alike: float | None
    right: Tensor = field(compare=False, repr=False)

    @property
    def diversity(self) -> float | None:
        """1 - `alike`, at least 0."""
        return None if self.alike is None else max(0.0, 1 - self.alike)

    def to_json(self) -> dict[str, Any]:
        """The cell as a JSON object."""
        held = {part.name: getattr(self, part.name) for part in fields(self) if part.name != "right"}
        return held | {"diversity": self.diversity}


@dataclass
class Gathered:
    """What came so far: all records, their cells, and the rows of the first `KEPT_ROWS` in half precision."""

    records: list[Record] = field(default_factory=list)
    rows: list[Tensor] = field(default_factory=list)
    _closed: list[Cell] = field(default_factory=list)
    _open: list[Made] = field(default_factory=list)

    def add(self, made: Made) -> None:
        """Take in the next adapter of a run."""
        if self._open and _key(self._open[0].record) != _key(made.record):
            self._closed.append(_cell(self._open))
            self._open = []
        self._open.append(made)
        self.records.append(made.record)
        if len(self.rows) < KEPT_ROWS:
            self.rows.append(made.row.half())

    @property
    def cells(self) -> list[Cell]:
        """The cells in order; the last one with the adapters that are there."""
        return [*self._closed, _cell(self._open)] if self._open else list(self._closed)


@dataclass(frozen=True)
class Comparison:
    """The second run minus the first: the mean `difference` over `cells` that both have, on the same `images`
    photographs, at the location of each where both runs together name fewer correctly (see `statistics.difference`)."""

    cells: int
    images: int
    difference: Estimate


def compare(first: Sequence[Cell], second: Sequence[Cell]) -> Comparison | None:
    """How two runs differ where both have the same pair and weight; None where they share none.

    What else a run varied (regimes, ways, seeds) is pooled within a pair and weight. Cells that are measured at the
    same location share its photographs, so their errors are taken to go together.
    """
    before, after = _by_blend(first), _by_blend(second)
    gaps: dict[str, list[Estimate]] = {}
    for blend in before:
        if blend in after:
            location, gap = _gap(blend, before[blend], after[blend])
            gaps.setdefault(location, []).append(gap)
    parts = [gap for own in gaps.values() for gap in own]
    if not parts:
        return None
    mean = sum(gap["mean"] for gap in parts) / len(parts)
    error = sum(sum(gap["se"] for gap in own) ** 2 for own in gaps.values()) ** 0.5 / len(parts)
    low, high = mean - Z * error, mean + Z * error
    found = {"mean": mean, "low": low, "high": high, "se": error, "n": len(parts), "real": low > 0 or high < 0}
    return Comparison(len(parts), min(gap["images"] for gap in parts), found)


def by_weight(cells: Sequence[Cell]) -> dict[tuple[str, str], dict[float, Estimate]]:
    """Accuracy at the weaker location by (regime, way) and weight: the mean over pairs, with its interval."""
    groups: dict[tuple[str, str], dict[float, list[Estimate]]] = {}
    for cell in cells:
        groups.setdefault((cell.regime, cell.way), {}).setdefault(cell.weight, []).append(cell.at)
    return {
        group: {weight: parts[0] if len(parts) == 1 else _mean(parts) for weight, parts in sorted(found.items())}
        for group, found in groups.items()
    }


def _mean(parts: Sequence[Estimate]) -> Estimate:
    """The mean of several cells' estimates, its interval within 0..1."""
    found = mean_of(parts)
    return found | {"low": max(0.0, found["low"]), "high": min(1.0, found["high"])}


def _by_blend(cells: Sequence[Cell]) -> dict[Blend, Tensor]:
    """Right and wrong, bool `[2, N, M]`, of all adapters of a pair and weight."""
    groups: dict[Blend, list[Tensor]] = {}
    for cell in cells:
        groups.setdefault((cell.a, cell.b, cell.weight), []).append(cell.right)
    return {blend: torch.cat(parts, dim=1) for blend, parts in groups.items()}


def _gap(blend: Blend, before: Tensor, after: Tensor) -> tuple[str, Estimate]:
    """At which location both runs together are weaker, and the second minus the first there."""
    images = min(before.shape[2], after.shape[2])
    first, second = before[..., :images], after[..., :images]
    shares = [float(first[side].double().mean() + second[side].double().mean()) for side in (0, 1)]
    side = 0 if shares[0] <= shares[1] else 1
    return (blend[0], blend[1])[side], difference(second[side], first[side])


def _key(record: Record) -> Key:
    return record.a, record.b, record.weight, record.regime, record.way


def _cell(parts: Sequence[Made]) -> Cell:
    right, first = torch.stack([made.right for made in parts], dim=1), parts[0].record
    both = [estimate(right[side]) for side in (0, 1)]
    side = 0 if both[0]["mean"] <= both[1]["mean"] else 1
    novelty = sum(made.record.novelty for made in parts) / len(parts)
    alike = _alike(torch.stack([made.row for made in parts]))
    return Cell(*_key(first), (first.a, first.b)[side], both[side], novelty, alike, right)


def _alike(rows: Tensor) -> float | None:
    """The mean cosine between two different rows of `[N, D]`; None of one alone."""
    count = len(rows)
    if count < 2:
        return None
    among = exact_cosine(rows, rows)
    return float((among.sum() - among.trace()) / (count * (count - 1)))
