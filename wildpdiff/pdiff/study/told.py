"""A study's findings for readers: tables with the paper's figures beside ours, figures, and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...experiments.lab import Table
from ...measure.statistics import number, points, ranged
from ...plots import Figure
from ...plots.charts import lines, scatter
from ...plots.series import Series
from .. import NUMBERS
from ..findings import alike, hardly
from ..groups import SHORT
from ..results import Data
from ..tables import NAMES

#: Groups of the table of accuracy.
COMPARED = ("base", "originals", "average", "gaussian", "generated")
#: Groups whose difference from the originals is told.
AGAINST = ("generated", "average", "gaussian")


def tables(data: Data) -> list[Table]:
    """Accuracy, differences, the best of many and diversity, a line a system; then what was looked at beside."""
    rows = data["rows"]
    found = [_accuracy(data), _differences(rows), _best(rows), _diversity(rows)]
    if looks := _looks(rows):
        found += [LOOK_TABLES[name](cell) for name, cell in looks.items() if name in LOOK_TABLES]
    if noisy := {name: row["looks"]["noise"] for name, row in rows.items() if "noise" in row["looks"]}:
        found.append(_noise(noisy))
    return found


def figures(data: Data) -> list[Figure]:
    """Accuracy against the originals', and for each system accuracy against likeness."""
    rows = data["rows"]
    found = [_gaps(rows)]
    if data["setting"]["likeness"]:
        found += [_likeness(name, row) for name, row in rows.items()]
    if data["setting"]["counts"]:
        found.append(_novelty(rows))
    if "path" in (looks := _looks(rows)):
        found.append(_path(looks["path"]))
    return found


def findings(data: Data) -> list[str]:
    """What the numbers show; a difference is called one only if its interval excludes zero."""
    return [sentence for name, row in data["rows"].items() for sentence in _of_row(name, row)] + [_seeds(data)]


def _worse(row: Data, other: str) -> bool:
    """Whether samples are shown to be better than something else: their differences keep apart."""
    if other == "base":
        return bool(row["minus_base"]["generated"]["low"] > 0)
    generated, own = (row["minus_originals"][name] for name in ("generated", other))
    return bool(generated["low"] > own["high"])


def _of_row(name: str, row: Data) -> Iterator[str]:
    made = _compared(row["minus_originals"]["generated"], "originals")
    yield f"{name}: generated {made}; originals {_compared(row['minus_base']['originals'], 'the base')}."
    own = row["groups"]["originals"]
    if alike(own["std"]["mean"], own["iou"]["mean"]):
        yield f"{name}: its checkpoints {hardly(own['std']['mean'])}, so that generated ones are as good says little."
    rivals = [SHORT[other] for other in ("base", "average", "gaussian") if not _worse(row, other)]
    simple = f"not shown to be worse: {', '.join(rivals)}" if rivals else "base, average and Gaussian are worse"
    best = _compared(row["best_difference"], "the best originals")
    yield f"{name}: {simple}; the best generated networks {best}."
    if row["alike"]:
        iou = row["alike"]["iou"]
        word = (
            "as like originals as"
            if not iou["real"]
            else f"{'less' if iou['mean'] < 0 else 'more'} like originals than"
        )
        yield f"{name}: {word} noise-added ones of equal accuracy; difference in likeness {_by_seeds(iou)}."


def _by_seeds(value: Data) -> str:
    """An estimate that only some seeds may have, with their number."""
    return f"{ranged(value, '+.3f')}, {value['n']} seed{'s'[: value['n'] != 1]}"


def _compared(gap: Data, other: str) -> str:
    shown = f"{points(gap, signed=True)} points"
    if not gap["real"]:
        return f"do not differ from {other} by more than chance, {shown}"
    return f"are {'better' if gap['mean'] > 0 else 'worse'} than {other}, {shown}"


def _seeds(data: Data) -> str:
    setting = data["setting"]
    counts = sorted({len(row["seeds"]) for row in data["rows"].values()})
    told = f"{' or '.join(map(str, counts))} seed{'s'[: counts[-1] != 1]}"
    counted = "networks and pictures" if counts == [1] else "seeds, networks and pictures"
    return (
        f"Each line is of {told}, on real pictures ({setting['data']}), {setting['test']:,} of them to report on, the "
        f"same for all. Intervals (95%) count {counted}."
    )


def _accuracy(data: Data) -> Table:
    rows, setting = data["rows"], data["setting"]
    published = {} if setting["quick"] else _published(setting["published"])
    head = (setting["first"], "numbers", *(SHORT[group] for group in COMPARED), "p-diff")
    lines_of = tuple(
        (
            name,
            f"{row['numbers']['dim']:,}",
            *(points(row["groups"][group]["test"]) for group in COMPARED),
            str(published.get(name, "–")),
        )
        for name, row in rows.items()
    )
    return Table("Test accuracy, percent", head, lines_of, setting["note"] if published else "")


def _differences(rows: Mapping[str, Any]) -> Table:
    head = ("", *(f"{SHORT[group]} − originals" for group in AGAINST), "generated − base", "originals − base")
    lines_of = tuple(
        (
            name,
            *(points(row["minus_originals"][group], signed=True) for group in AGAINST),
            *(points(row["minus_base"][group], signed=True) for group in ("generated", "originals")),
        )
        for name, row in rows.items()
    )
    return Table("Differences on the same pictures, points", head, lines_of)


def _published(name: str) -> Mapping[str, Any]:
    """The paper's figures by a row's name."""
    if name != "table3a":
        return NUMBERS.get(name, {})
    return {NAMES[kind]: value for kind, value in NUMBERS[name].items()} | NUMBERS["table3bc"]


def _best(rows: Mapping[str, Any]) -> Table:
    head = (
        "", "originals", "generated", "minus, points", "generated, chosen on the test part", "optimism, points",
    )  # fmt: skip
    lines_of = []
    for name, row in rows.items():
        made = row["groups"]["generated"]
        gain = 100 * (made["best_by_test"]["mean"] - made["best"]["mean"])
        lines_of.append(
            (
                name, _share(row["groups"]["originals"]["best"]), _share(made["best"]),
                points(row["best_difference"], signed=True), _share(made["best_by_test"]), number(gain, "+.1f"),
            )
        )  # fmt: skip
    note = (
        "The best of 200 (or of all, if there are fewer), chosen on the selection part and reported on the test part."
    )
    return Table("The best of many, test accuracy in percent", head, tuple(lines_of), note)


def _diversity(rows: Mapping[str, Any]) -> Table:
    head = (
        "", "spread", "nearest original", "of held-out ones", "likeness of originals", "of generated",
        "generated minus noise at equal accuracy",
    )  # fmt: skip
    lines_of = tuple(
        (
            name, _plain(row["groups"]["generated"]["spread"]), _plain(row["groups"]["generated"]["nearest"]),
            _plain(row["groups"]["held_out"]["nearest"]), _plain(row["groups"]["originals"]["iou"]),
            _plain(row["groups"]["generated"]["iou"]),
            _by_seeds(row["alike"]["iou"]) if row["alike"] else "–",
        )
        for name, row in rows.items()
    )  # fmt: skip
    note = (
        "Spread and distances in units of the mean distance between originals; likeness: the highest overlap of wrong "
        "predictions with an original. A dash: originals are no more accurate than generated ones, so no noise makes "
        "them so."
    )
    return Table("Diversity", head, lines_of, note)


def _looks(rows: Mapping[str, Any]) -> Data:
    """The looks of the first system that has any."""
    return next((row["looks"] for row in rows.values() if row["looks"]), {})


def _steps(cell: Data) -> Table:
    published = NUMBERS["table9"]
    rows = tuple(
        (count, points(own["test"]), points(own["against_finest"], signed=True), _plain(own["spread"]),
         _plain(own["distance"]), str(published.get(count, "–")))
        for count, own in cell.items()
    )  # fmt: skip
    head = (
        "sampling steps",
        "test accuracy, percent",
        "minus the finest, points",
        "spread",
        "distance to it",
        "p-diff",
    )
    note = "p-diff varies the steps of its diffusion (averages, ResNet-18 on CIFAR-100); we those of sampling alone."
    return Table("Sampling steps", head, rows, note)


def _codec(cell: Data) -> Table:
    row = (
        "autoencoder alone", points(cell["test"]), points(cell["against_originals"], signed=True),
        points(cell["best"]["by_selection"]["test"]), _plain(cell["spread"]), _plain(cell["iou"]),
    )  # fmt: skip
    head = ("", "test accuracy, percent", "minus originals, points", "best of 200", "spread", "likeness")
    note = "Networks decoded from the prior of the autoencoder with both noises. p-diff: average 76.6, best 77.3."
    return Table("Without diffusion", head, (row,), note)


def _noise(cells: Mapping[str, Any]) -> Table:
    rows = tuple(
        (name, scale, points(own["test"]), _plain(own["iou"]))
        for name, cell in cells.items()
        for scale, own in cell.items()
    )
    head = ("originals with noise", "scale", "test accuracy, percent", "likeness")
    return Table("Noise of fixed scales", head, rows)


LOOK_TABLES = {"steps": _steps, "codec": _codec}


def _gaps(rows: Mapping[str, Any]) -> Figure:
    names = list(rows)
    series = []
    for group in ("base", "average", "gaussian", "generated"):
        cells = [rows[name]["minus_originals"][group] for name in names]
        scaled = [{key: 100 * cell[key] for key in ("mean", "low", "high")} for cell in cells]
        series.append(Series.of(SHORT[group], names, scaled))
    figure = lines("Test accuracy minus that of the originals", series, x="", y="points")
    for trace in figure["data"]:
        trace["mode"] = "markers"  # systems have no order that a line could follow
    return figure


def _likeness(name: str, row: Data) -> Figure:
    groups = {SHORT[group]: pairs for group, pairs in row["points"].items()}
    groups |= {f"noise {scale}": cell["points"] for scale, cell in row["looks"].get("noise", {}).items()}
    series = [Series(own, [x for x, _ in pairs], [100 * y for _, y in pairs]) for own, pairs in groups.items()]
    return scatter(
        f"Accuracy and likeness: {name}",
        series,
        x="highest overlap of wrong predictions with an original",
        y="test accuracy, percent",
        note="One seed. Networks that are new lie to the left, good ones at the top.",
    )


def _novelty(rows: Mapping[str, Any]) -> Figure:
    names = list(rows)
    series = [
        Series.of(SHORT[group], names, [rows[name]["groups"][group]["iou"] for name in names])
        for group in ("originals", "held_out", "generated")
    ]
    return lines(
        "From copies to new networks", series, x="checkpoints", y="highest overlap of wrong predictions",
        note="The fewer checkpoints, the fewer there are to be like.",
    )  # fmt: skip


def _path(cell: Data) -> Figure:
    walks = cell["noises"]
    across = [float(step) for step in range(1, len(walks[0]) + 1)]
    series = [Series(f"noise {place}", across, walk) for place, walk in enumerate(walks, start=1)]
    mean = cell["originals"]
    series.append(
        Series("originals", across, [mean["mean"] if isinstance(mean, dict) else mean] * len(across), dashed=True)
    )
    return lines("The way of five noises", series, x="sampling step", y="test accuracy, percent", percent=True)


def _share(value: Data) -> str:
    """A share in percent, with its interval if there is one."""
    return points(value) if value["low"] != value["high"] else f"{100 * value['mean']:.1f}"


def _plain(value: Any) -> str:
    return "–" if not value else ranged(value, ".2f") if value["low"] != value["high"] else f"{value['mean']:.2f}"
