"""The paper's tables 2 and 3 beside ours, as plain values; no gradio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ...paper import column_means
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
    part, seen = data["regimes"][regime], PAPER_SEEN[regime]
    paper = seen | {"mean": column_means(seen)}
    plain = {name: f"{row[0]:.0f}" for name, row in PAPER_LOCATIONS.items()}
    plain["mean"] = f"{column_means(PAPER_LOCATIONS)[0]:.1f}"
    rows: list[tuple[str, tuple[Cell, ...]]] = []
    for name, row in (*part["locations"].items(), ("mean", part["mean"])):
        tuned, made = paper.get(name, (None, None))
        gap = None if tuned is None or made is None else made - tuned
        cells = (_ours(row["pretrained"]), (plain.get(name, "–"), ""), _ours(row["fine_tuned"]), _theirs(tuned))
        rows.append(
            (name, (*cells, _ours(row["generated"]), _theirs(made), _gap(row["gap"]), _theirs(gap, signed=True)))
        )
    images = next(iter(part["locations"].values()))["generated"]["images"]
    caption = (
        f"Table 2, regime {regime}: accuracy at the seen locations, percent. Ours: {images} photographs a "
        f"location, {data['samples']} generated and {TUNED} fine-tuned adapters, 95% intervals below. {about} {PAPER}, "
        "15 to 281 for evaluation at a location. Compare gaps, not levels."
    )
    groups = ("Pretrained", "Fine-tuned there", "Generated", "Generated − fine-tuned")
    return Comparison(regime, caption, groups, tuple(rows))


def _unseen(about: str, data: Mapping[str, Any]) -> tuple[Comparison, ...]:
    regimes = [regime for regime in REGIMES if regime in data["regimes"]]
    papers, rows = PAPER_UNSEEN | {"mean": column_means(PAPER_UNSEEN)}, []
    for name, row in (*data["shared"].items(), ("mean", data["mean"])):
        paper = papers.get(name, (None,) * 4)
        cells = [_ours(row["pretrained"]), _theirs(paper[0])]
        for regime in regimes:
            part = data["regimes"][regime]
            made = part["mean"] if name == "mean" else part["locations"][name]
            cells += [_ours(made["generated"]), _theirs(paper[1 + REGIMES.index(regime)])]
        rows.append((name, tuple(cells)))
    images = next(iter(data["shared"].values()))["pretrained"]["images"]
    caption = (
        f"Table 3: accuracy at locations that nothing was trained on, percent. Ours: {images} photographs a "
        f"location, {data['samples']} generated adapters, 95% intervals below. {about} {PAPER}. {_verdict(data)}"
    )
    groups = ("Pretrained", *(f"Generated, {regime}" for regime in regimes))
    return (Comparison("Unseen", caption, groups, tuple(rows)),)


def _verdict(data: Mapping[str, Any]) -> str:
    better = [name for name, part in data["regimes"].items() if part["mean"]["generated_gain"]["low"] > 0]
    if better:
        return (
            "In the paper no generated adapters beat the pretrained classifier on average; ours do in "
            f"{' and '.join(better)}, here, with one training of each."
        )
    return "In neither do generated adapters beat the pretrained classifier on average."


def _ours(found: Mapping[str, Any]) -> Cell:
    mean, low, high = (100 * found[key] for key in ("mean", "low", "high"))
    return f"{mean:.1f}", f"{low:.1f} to {high:.1f}"


def _gap(found: Mapping[str, Any]) -> Cell:
    mean, low, high = (_minus(f"{100 * found[key]:+.1f}") for key in ("mean", "low", "high"))
    return mean, f"{low} to {high}"


def _theirs(value: float | None, *, signed: bool = False) -> Cell:
    return NONE if value is None else (_minus(f"{value:{'+' if signed else ''}.2f}"), "")


def _minus(text: str) -> str:
    return text.replace("-", "\u2212")
