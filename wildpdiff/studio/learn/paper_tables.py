"""The paper's tables 2 and 3 beside ours, as plain values; no gradio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ...paper.table2 import PAPER as PAPER_SEEN
from ...paper.table2 import TUNED
from ...paper.table3 import PAPER as PAPER_UNSEEN
from ...paper.table7 import PAPER_LOCATIONS
from .stored import REGIMES, Stored

#: A cell: its figure, and what stands small below it.
Cell = tuple[str, str]
NONE: Cell = ("–", "")
#: What the paper's figures are of.
PAPER = "Paper: real photographs of Snapshot Serengeti"


@dataclass(frozen=True)
class Comparison:
    """A table: groups of two columns (ours, paper), and a row of cells for each location.

    Attributes:
        name: what to choose it by.
        caption: what is measured, where, and how often.
        groups: headings over two columns each; the paper's own column heading stands below.
        rows: name of the location and its cells.
    """

    name: str
    caption: str
    groups: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


def seen(stored: Stored) -> tuple[Comparison, ...]:
    """Table 2 for every regime that is stored; none if the result is missing."""
    return stored.read("table2", partial(_seen, stored.about)) or ()


def unseen(stored: Stored) -> tuple[Comparison, ...]:
    """Table 3; none if the result is missing."""
    return stored.read("table3", partial(_unseen, stored.about)) or ()


def _seen(about: str, data: Mapping[str, Any]) -> tuple[Comparison, ...]:
    return tuple(_of_regime(about, data, regime) for regime in REGIMES if regime in data["regimes"])


def _of_regime(about: str, data: Mapping[str, Any], regime: str) -> Comparison:
    part, paper = data["regimes"][regime], PAPER_SEEN[regime]
    rows: list[tuple[str, tuple[Cell, ...]]] = []
    for name, row in part["locations"].items():
        plain = (f"{PAPER_LOCATIONS[name][0]:.0f}", "") if name in PAPER_LOCATIONS else NONE
        tuned, made = paper.get(name, (None, None))
        gap = None if tuned is None or made is None else made - tuned
        cells = (_ours(row["pretrained"]), plain, _ours(row["fine_tuned"]), _theirs(tuned))
        rows.append(
            (name, (*cells, _ours(row["generated"]), _theirs(made), _gap(row["gap"]), _theirs(gap, signed=True)))
        )
    rows.append(("mean", _mean_row(part["mean"], regime)))
    images = next(iter(part["locations"].values()))["generated"]["images"]
    caption = (
        f"Table 2, regime {regime}: accuracy at the seen locations, percent. Ours: {images} photographs a "
        f"location, {data['samples']} generated and {TUNED} fine-tuned adapters, 95% intervals below. {about} {PAPER}, "
        "15 to 281 for evaluation at a location. Compare gaps, not levels."
    )
    groups = ("Pretrained", "Fine-tuned there", "Generated", "Generated − fine-tuned")
    return Comparison(regime, caption, groups, tuple(rows))


def _mean_row(mean: Mapping[str, Any], regime: str) -> tuple[Cell, ...]:
    pairs = list(PAPER_SEEN[regime].values())
    tuned, made = (_average([pair[place] for pair in pairs]) for place in (0, 1))
    plain = _average([row[0] for row in PAPER_LOCATIONS.values()])
    cells = (_ours(mean["pretrained"]), _theirs(plain, digits=1), _ours(mean["fine_tuned"]), _theirs(tuned))
    return (*cells, _ours(mean["generated"]), _theirs(made), _gap(mean["gap"]), _theirs(made - tuned, signed=True))


def _unseen(about: str, data: Mapping[str, Any]) -> tuple[Comparison, ...]:
    regimes = [regime for regime in REGIMES if regime in data["regimes"]]
    rows = []
    for name, row in data["shared"].items():
        paper = PAPER_UNSEEN.get(name, (None,) * 4)
        cells = [_ours(row["pretrained"]), _theirs(paper[0])]
        for regime in regimes:
            made = data["regimes"][regime]["locations"][name]["generated"]
            cells += [_ours(made), _theirs(paper[1 + REGIMES.index(regime)])]
        rows.append((name, tuple(cells)))
    rows.append(("mean", tuple(_unseen_mean(data, regimes))))
    images = next(iter(data["shared"].values()))["pretrained"]["images"]
    caption = (
        f"Table 3: accuracy at locations that nothing was trained on, percent. Ours: {images} photographs a "
        f"location, {data['samples']} generated adapters, 95% intervals below. {about} {PAPER}. {_verdict(data)}"
    )
    groups = ("Pretrained", *(f"Generated, {regime}" for regime in regimes))
    return (Comparison("Unseen", caption, groups, tuple(rows)),)


def _unseen_mean(data: Mapping[str, Any], regimes: Sequence[str]) -> list[Cell]:
    paper = [_average([row[place] for row in PAPER_UNSEEN.values()]) for place in range(4)]
    cells = [_ours(data["mean"]["pretrained"]), _theirs(paper[0])]
    for regime in regimes:
        cells += [_ours(data["regimes"][regime]["mean"]["generated"]), _theirs(paper[1 + REGIMES.index(regime)])]
    return cells


def _verdict(data: Mapping[str, Any]) -> str:
    better = [name for name, part in data["regimes"].items() if part["mean"]["generated_gain"]["low"] > 0]
    if better:
        return (
            "In the paper no generated adapters beat the pretrained classifier on average; ours do in "
            f"{' and '.join(better)}, here, with one training of each."
        )
    return "In neither do generated adapters beat the pretrained classifier on average."


def _average(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _ours(found: Mapping[str, Any]) -> Cell:
    mean, low, high = (100 * found[key] for key in ("mean", "low", "high"))
    return f"{mean:.1f}", f"{low:.1f} to {high:.1f}"


def _gap(found: Mapping[str, Any]) -> Cell:
    mean, low, high = (_minus(f"{100 * found[key]:+.1f}") for key in ("mean", "low", "high"))
    return mean, f"{low} to {high}"


def _theirs(value: float | None, *, signed: bool = False, digits: int = 2) -> Cell:
    if value is None:
        return NONE
    return _minus(f"{value:{'+' if signed else ''}.{digits}f}"), ""


def _minus(text: str) -> str:
    return text.replace("-", "\u2212")
