"""The results of a p-diff system in sentences; a difference is called one only if its interval excludes zero."""

from __future__ import annotations

from typing import Any

from ..measure.statistics import number, points, ranged
from .groups import GROUPS, SHORT
from .results import Data


def title(data: Data) -> str:
    """The title of the report."""
    return f"p-diff: {data['order']['parameters']} of {data['order']['network']} on {data['data']['name']}"


def about(data: Data) -> str:
    """What was made, in three sentences."""
    rows, measured = data["rows"], data["data"]["measured"]
    return (
        f"The network has {data['network']['numbers']:,} numbers, of which a row stands for {rows['dim']:,}. "
        f"The generator learned from {rows['shown']} checkpoints; {rows['held_out']} were held out. "
        f"Measured on {measured['selection']:,} pictures to select on and {measured['test']:,} to report on."
    )


def compared(name: str, gap: Any, other: str) -> str:
    """A difference as a sentence; it is called one only if its interval excludes zero."""
    if not gap["real"]:
        return f"{name} and {other} do not differ by more than chance: {points(gap, signed=True)} points."
    word = "more" if gap["mean"] > 0 else "less"
    return f"{name} is {word} accurate than {other}: {points(gap, signed=True)} points."


def accuracy_findings(data: Data) -> list[str]:
    """Generated against originals and base, and whether anything simpler is better."""
    gaps, groups = data["differences"], data["groups"]
    found = [
        compared("A generated network", gaps["generated"]["originals"], "an original"),
        compared("An original", gaps["originals"]["base"], "the base that it started from"),
    ]
    made = groups["generated"]["test"]["mean"]
    better = [name for name in ("base", "average", "means", "gaussian") if groups[name]["test"]["mean"] >= made]
    if better:
        listed = ", ".join(f"{SHORT[name]} {points(groups[name]['test'])}" for name in better)
        found.append(f"As accurate as generated networks ({points(groups['generated']['test'])}) or more: {listed}.")
    own = groups["originals"]
    if alike(own["test"]["std"], own["iou"]["mean"]):
        found.append(f"Originals {hardly(own['test']['std'])}, so it says little that generated networks are as good.")
    return [*found, *data.get("notes", ())]


def alike(std: float, likeness: float) -> bool:
    """Whether checkpoints hardly differ, by the standard deviation of their accuracies and the overlap of errors."""
    return std < 0.001 and likeness > 0.99


def hardly(std: float) -> str:
    """In words, what `alike` finds."""
    return f"hardly differ (standard deviation of accuracy {100 * std:.2f} points)"


def best_findings(data: Data) -> list[str]:
    """Best generated against best original, and the optimism of the paper's way."""
    cell = data["groups"]["generated"]["best"]
    return [
        compared("The best generated network", data["best_difference"], "the best original")
        + " Both were chosen on the selection part.",
        f"Chosen on the test part itself, as in the paper, the best of {cell['of']} generated networks shows "
        f"{100 * cell['by_test']['test']:.1f} percent, {number(100 * cell['optimism'], '+.1f')} points against the "
        "honest choice.",
    ]


def diversity_findings(data: Data) -> list[str]:
    """Spread, copies, and section 4 of the paper."""
    groups = data["groups"]
    made_, held, own = (groups[name] for name in ("generated", "held_out", "originals"))
    found = [
        f"Generated networks lie {made_['spread']:.2f} times as far from one another as originals do.",
        f"To the nearest original it is {made_['nearest']:.2f} of the distance between originals for generated "
        f"networks, {held['nearest']:.2f} for held-out checkpoints and {own['nearest']:.2f} between originals.",
    ]
    return [*found, section_four(data)]


def section_four(data: Data) -> str:
    """Whether generated networks are less like originals than noise-added ones of the same accuracy."""
    gap = data["novelty"].get("alike")
    if gap is None:
        return (
            "Originals without any noise are no more accurate than generated networks, so no noise makes them as "
            "accurate: the paper's comparison at equal accuracy has nothing to compare."
        )
    words = ranged(gap["iou"], "+.3f")
    if not gap["iou"]["real"]:
        return f"At equal accuracy they are as like to originals as noise-added ones are: {words} in likeness."
    less = "less" if gap["iou"]["mean"] < 0 else "more"
    verdict = "as the paper says" if less == "less" else "against what the paper says"
    return f"At equal accuracy they are {less} like originals than noise-added ones, {verdict}: {words} in likeness."


def summary(data: Data) -> str:
    """The results for the terminal: a line a group, and the findings."""
    lines = [
        title(data),
        about(data),
        f"{'':<20}{'n':>5}{'test':>22}{'best, selected':>17}{'spread':>8}{'likeness':>10}",
    ]
    for name in GROUPS:
        if (cell := data["groups"].get(name)) is not None:
            top = "–" if not cell["best"] else f"{100 * cell['best']['by_selection']['test']:.1f}"
            spread = "–" if cell["spread"] is None else f"{cell['spread']:.2f}"
            lines.append(
                f"{SHORT[name]:<20}{cell['n']:>5}{points(cell['test']):>22}{top:>17}{spread:>8}"
                f"{cell['iou']['mean']:>10.3f}"
            )
    return "\n".join([*lines, "", *accuracy_findings(data), *best_findings(data), *diversity_findings(data)])
