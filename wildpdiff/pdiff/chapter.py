"""The report of a p-diff system: its results as sentences, tables and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..experiments.lab import Table
from ..experiments.report import Chapter, html
from ..files import load_json, write_whole
from ..measure.statistics import number, points, ranged
from ..plots import Figure
from ..plots.charts import Series, bars, scatter
from .groups import GROUPS, SHORT
from .results import Data
from .system import REPORT, RESULTS

#: Groups of many rows.
MANY = ("originals", "held_out", "means", "gaussian", "noise", "alike", "generated")


def write_report(out: Path, command: str) -> Path:
    """Write `report.html` beside the results that it is made of; returns its path."""
    data = load_json(out / RESULTS)
    page = html(chapters(data, command), about=about(data), title=title(data), page="report.pdiff")
    write_whole(out / REPORT, lambda path: path.write_text(page, encoding="utf-8"))
    return out / REPORT


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


def chapters(data: Data, command: str) -> list[Chapter]:
    """Accuracy, the best of many, diversity; how it was made stands under the last."""
    return [
        Chapter(
            "accuracy", "Accuracy", "Are generated networks as good as the checkpoints that they were learned "
            "from, and as simpler ways to make a network from these?",
            tuple(accuracy_findings(data)), (accuracy_table(data),), (accuracy_bars(data),),
        ),
        Chapter(
            "best", "The best of many", "p-diff reports the best of 200. How much of that is choosing on the part "
            "that is reported?",
            tuple(best_findings(data)), (best_table(data),),
        ),
        Chapter(
            "diversity", "Copies, noise, or new", "Are generated networks as different from one another as checkpoints "
            "are, further from them than a copy, and less like them than noise of the same accuracy?",
            tuple(diversity_findings(data)), (diversity_table(data),), (likeness(data), plane(data)),
            made(data, command),
        ),
    ]  # fmt: skip


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
    own = groups["generated"]["test"]["mean"]
    better = [name for name in ("base", "average", "means", "gaussian") if groups[name]["test"]["mean"] >= own]
    if better:
        listed = ", ".join(f"{SHORT[name]} {points(groups[name]['test'])}" for name in better)
        found.append(f"As accurate as generated networks ({points(groups['generated']['test'])}) or more: {listed}.")
    return found


def accuracy_table(data: Data) -> Table:
    """Accuracy by group, with the difference from the originals."""
    rows = []
    for name, words in GROUPS.items():
        if (cell := data["groups"].get(name)) is not None:
            gap = data["differences"][name].get("originals")
            rows.append(
                (
                    words,
                    str(cell["n"]),
                    points(cell["test"]),
                    number(100 * cell["test"]["std"], ".2f") if cell["n"] > 1 else "–",
                    points(cell["selection"]),
                    points(gap, signed=True) if gap else "–",
                )
            )
    head = ("", "networks", "test accuracy, percent", "deviation", "selection accuracy", "minus originals, points")
    return Table("Accuracy", head, tuple(rows), "In brackets 95% intervals over networks and pictures.")


def accuracy_bars(data: Data) -> Figure:
    """Test accuracy of each group."""
    names = [name for name in GROUPS if name in data["groups"] and name != "base"]
    groups, base = data["groups"], data["groups"]["base"]["test"]["mean"]
    labels = [SHORT[name] for name in names]
    series = [
        Series.of("test accuracy", labels, [groups[name]["test"] for name in names]),
        Series("base network", labels, [base] * len(labels), dashed=True),
    ]
    return bars("Test accuracy", labels, series, y="accuracy, percent", percent=True)


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


def best_table(data: Data) -> Table:
    """The best of each group of many, chosen in both ways."""
    rows = []
    for name in MANY:
        if (cell := data["groups"].get(name)) is not None and cell["best"]:
            ours, theirs = cell["best"]["by_selection"], cell["best"]["by_test"]
            share = {"mean": ours["test"], "low": ours["low"], "high": ours["high"]}
            rows.append(
                (
                    GROUPS[name],
                    str(cell["best"]["of"]),
                    f"{100 * ours['selection']:.1f}",
                    points(share),
                    f"{100 * theirs['test']:.1f}",
                    number(100 * cell["best"]["optimism"], "+.1f"),
                )
            )
    head = (
        "", "best of", "on the selection part", "on the test part", "chosen on the test part (the paper's way)",
        "optimism",
    )  # fmt: skip
    return Table("The best of many, percent", head, tuple(rows))


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


def diversity_table(data: Data) -> Table:
    """Spread, distance to the nearest original, and likeness."""
    rows = []
    for name, words in GROUPS.items():
        if (cell := data["groups"].get(name)) is not None:
            spread = "–" if cell["spread"] is None else f"{cell['spread']:.2f}"
            rows.append((words, spread, f"{cell['nearest']:.2f}", ranged(cell["iou"])))
    head = ("", "spread", "to the nearest original", "likeness to the nearest in errors")
    note = "Spread and distances in units of the mean distance between originals."
    return Table("Diversity", head, tuple(rows), note)


def likeness(data: Data) -> Figure:
    """Accuracy against likeness, a point a network (the paper's figure 4)."""
    series = []
    for name in ("originals", "noise", "alike", "generated"):
        if (cell := data["groups"].get(name)) is not None:
            accuracy = [100 * value for value in cell["points"]["test"]]
            series.append(Series(SHORT[name], cell["points"]["iou"], accuracy))
    return scatter(
        "Accuracy and likeness",
        series,
        x="highest overlap of wrong predictions with an original",
        y="test accuracy, percent",
        note="Networks that are new lie to the left, good ones at the top.",
    )


def plane(data: Data) -> Figure:
    """Rows in the two widest directions of the originals."""
    cells = data["plane"]["points"]
    series = [Series(SHORT[name], [x for x, _ in some], [y for _, y in some]) for name, some in cells.items()]
    return scatter(
        "Where the networks lie",
        series,
        x="widest direction of the originals",
        y="second widest",
        note=f"These two directions hold {100 * data['plane']['share']:.0f}% of the originals' variance.",
    )


def made(data: Data, command: str) -> tuple[tuple[str, str], ...]:
    """How it was made, for the foot."""
    order, rows = data["order"], data["rows"]
    return (
        ("command", command),
        ("recipe", order["recipe"]["name"]),
        ("seed", str(order["seed"])),
        ("rate of the checkpoints", f"{rows['rate']:g}" if rows["rate"] else "not known"),
        ("seconds", ", ".join(f"{name} {value:.0f}" for name, value in data["seconds"].items())),
        ("threads", str(data["threads"])),
        ("versions", ", ".join(f"{name} {text}" for name, text in data["versions"].items())),
    )


def summary(data: Data) -> str:
    """The results for the terminal: a line a group, and the findings."""
    lines = [
        title(data),
        about(data),
        f"{'':<12}{'n':>5}{'test':>22}{'best (selected)':>17}{'spread':>8}{'likeness':>10}",
    ]
    for name in GROUPS:
        if (cell := data["groups"].get(name)) is not None:
            top = "–" if not cell["best"] else f"{100 * cell['best']['by_selection']['test']:.1f}"
            spread = "–" if cell["spread"] is None else f"{cell['spread']:.2f}"
            lines.append(
                f"{SHORT[name][:11]:<12}{cell['n']:>5}{points(cell['test']):>22}{top:>17}{spread:>8}"
                f"{cell['iou']['mean']:>10.3f}"
            )
    return "\n".join([*lines, "", *accuracy_findings(data), *best_findings(data), *diversity_findings(data)])
