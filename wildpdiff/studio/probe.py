"""What the tab Probe shows of sweeps, as plain values and sentences; no gradio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..bundle import Bundle
from ..plots.common import Figure
from ..plots.probe import WAYS, Curve, Dot, Stop, novelty_dots, regime_name, weaker_curves
from ..sweep import Cell, Record, Sweep, by_weight, compare
from ..sweep.known import Known
from ..sweep.record import KEPT_ROWS

Json = dict[str, Any]
#: Runs that can be pinned.
PINS = 2
#: What the browser's table gets of a record, in this order.
TABLE = (
    "a", "b", "weight", "regime", "way", "seed", "right_a", "right_b", "low_a", "high_a", "low_b", "high_b",
    "cosine_a", "cosine_b", "near_location", "near_row", "near_cosine", "near_distance", "novelty",
    "map_location", "map_distance", "norm",
)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """What a session keeps of a sweep: no rows, only what was asked and its cells."""

    sweep: Sweep
    cells: tuple[Cell, ...]
    adapters: int

    @property
    def name(self) -> str:
        """The run in a few words."""
        sweep = self.sweep
        pairs = "\u2013".join(sweep.pairs[0]) if len(sweep.pairs) == 1 else f"{len(sweep.pairs)} pairs"
        weights = _counted(len(sweep.weights), "weight")
        kinds = f"{', '.join(map(regime_name, sweep.regimes))}; {', '.join(WAYS[name] for name in sweep.ways)}"
        return f"{pairs} \u00b7 {weights} \u00b7 {kinds} \u00b7 {_counted(sweep.seeds, 'seed')} from {sweep.seed}"


def seconds_words(seconds: float) -> str:
    """A duration as people say it: `8 s`, `40 s`, `12 min`, `2.5 h`."""
    if seconds < 90:
        return f"{max(1, round(seconds)) if seconds < 20 else 5 * round(seconds / 5)} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def price_words(sweep: Sweep, seconds: float, device: str) -> str:
    """What a sweep costs, in one line."""
    return f"{_counted(sweep.size, 'adapter')}, about {seconds_words(seconds)} on this {device}"


def table_of(sweep: Sweep, records: Sequence[Record], notes: Sequence[str] = ()) -> Json:
    """The records for the browser's table: an array of values each, see `TABLE`."""
    values = ([getattr(record, name) for name in TABLE] for record in records)
    rows = [[round(value, 5) if isinstance(value, float) else value for value in own] for own in values]
    return {"columns": list(TABLE), "rows": rows, "images": sweep.images, "steps": sweep.steps, "notes": list(notes)}


def notes_of(bundle: Bundle, sweep: Sweep, records: Sequence[Record]) -> list[str]:
    """What to know when reading the table: among how many rows a nearest one was looked for, and whether any adapter
    is so near that it could be a copy."""
    notes = []
    for regime in sweep.regimes:
        own, known = [record for record in records if record.regime == regime], Known.of(bundle, regime)
        if own:
            head = f"{regime_name(regime)} similarity: " if len(sweep.regimes) > 1 else ""
            notes.append(f"{head}{known.words} {_memory(own, known.apart)}")
    if len(records) > KEPT_ROWS:
        notes.append(f"The NPZ holds the weights of the first {KEPT_ROWS} of {len(records):,} adapters.")
    return notes


def curves_of(cells: Sequence[Cell], *, stage: str = "yes") -> Figure:
    """Accuracy at the weaker location along the blend."""
    pairs = {(cell.regime, cell.way, cell.weight): 0 for cell in cells}
    for cell in cells:
        pairs[cell.regime, cell.way, cell.weight] += 1
    curves = [
        Curve(regime, way, [Stop(w, at["mean"], at["low"], at["high"], pairs[regime, way, w]) for w, at in ats.items()])
        for (regime, way), ats in by_weight(cells).items()
    ]
    return weaker_curves(curves, stage=stage)


def dots_of(cells: Sequence[Cell], *, stage: str = "yes") -> Figure:
    """Novelty against diversity of the cells that have several seeds."""
    dots = [
        Dot(cell.regime, cell.way, f"{cell.a}\u2013{cell.b} at {cell.weight:g}", cell.novelty, cell.diversity)
        for cell in cells
        if cell.diversity is not None
    ]
    return novelty_dots(dots, stage=stage)


def pinned(pins: Sequence[Run], run: Run) -> list[Run]:
    """The pins with one more; of three the oldest goes, and none is there twice."""
    return [*(pin for pin in pins if pin != run), run][-PINS:]


def compared(pins: Sequence[Run]) -> str:
    """What two pinned runs tell about each other, in a sentence or two; what is missing, if there are fewer."""
    if len(pins) < PINS:
        return "Pin a second run to compare both." if pins else "Pin a run to keep it here; pin two to compare them."
    found = compare(pins[0].cells, pins[1].cells)
    if found is None:
        return "These two runs have no pair and weight in common, so there is nothing to compare."
    gap = found.difference
    mean, low, high = (f"{100 * gap[key]:+.1f}".replace("-", "\u2212") for key in ("mean", "low", "high"))
    verdict = "The interval excludes zero." if gap["real"] else "The interval includes zero: no difference is shown."
    over = f"{_counted(found.cells, 'cell')} of the same pair and weight, {found.images} photographs of each location"
    return f"Second minus first at the weaker location: {mean} points (95% interval {low} to {high}; {over}). {verdict}"


def _memory(records: Sequence[Record], apart: float) -> str:
    nearest = min(records, key=lambda record: record.map_distance)
    where = f"{nearest.a}\u2013{nearest.b} at {nearest.weight:g}, seed {nearest.seed}"
    text = f"The adapter nearest to any of them ({where}) lies about {nearest.map_distance:.2f} from one"
    if nearest.map_distance > apart:
        return f"{text}, further off than that: no sign of a copy."
    return f"{text}, no further than that: look whether it is a copy."


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
