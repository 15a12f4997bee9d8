"""The report of a p-diff system: its results as sentences, tables and figures."""

from __future__ import annotations

from pathlib import Path

from ..experiments.lab import Table
from ..experiments.report import Chapter, html
from ..files import load_json, write_whole
from ..measure.statistics import number, points, ranged
from ..plots import Figure
from ..plots.charts import lines, scatter
from ..plots.series import Series
from .findings import about, accuracy_findings, best_findings, diversity_findings, title
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


def chapters(data: Data, command: str) -> list[Chapter]:
    """Accuracy, the best of many, diversity; how it was made stands under the last."""
    return [
        Chapter(
            "accuracy", "Accuracy", "Are generated networks as good as the checkpoints that they were learned "
            "from, and as simpler ways to make a network from these?",
            tuple(accuracy_findings(data)), (accuracy_table(data),), (gaps(data),),
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


def gaps(data: Data) -> Figure:
    """Test accuracy of each group less that of the originals, on the same pictures."""
    names = [name for name in GROUPS if name in data["groups"] and name != "originals"]
    cells = [data["differences"][name]["originals"] for name in names]
    points_of = [{key: 100 * cell[key] for key in ("mean", "low", "high")} for cell in cells]
    labels = [SHORT[name] for name in names]
    series = [
        Series.of("minus originals", labels, points_of),
        Series("originals", labels, [0.0] * len(labels), dashed=True),
    ]
    figure = lines("Test accuracy minus that of the originals", series, x="", y="points")
    figure["data"][0]["mode"] = "markers"  # groups have no order that a line could follow
    return figure


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
