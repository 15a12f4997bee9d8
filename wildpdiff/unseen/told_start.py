"""Where fine-tuning begins at a new place, in a table, a figure and sentences."""

from __future__ import annotations

from ..experiments.lab import Data, Table
from ..measure.statistics import points
from ..plots import Figure
from ..plots.charts import Series, lines
from .ways import START_RATE, STARTS

#: How far below fine-tuning there a start is counted as arrived, as a share.
SHORT = 0.01


def arrived(data: Data, start: str) -> int | None:
    """The steps after which a start's mean accuracy is within a point of the oracle's; None if it never is."""
    goal = data["oracle"]["mean"] - SHORT
    return next((int(step) for step, own in data["curves"][start].items() if own["mean"] >= goal), None)


def start_tables(data: Data) -> list[Table]:
    """Accuracy by steps for each start, and when it arrives."""
    steps = list(data["curves"]["start_u"])
    rows = tuple(
        (STARTS[start], *(points(own[step]) for step in steps), _arrival(arrived(data, start)))
        for start, own in data["curves"].items()
    )
    minus = tuple(
        (STARTS[start], *(points(data["gains"][step][start], signed=True) for step in steps))
        for start in STARTS
        if start != "start_u"
    )
    head = tuple(f"{step} steps" for step in steps)
    note = (
        f"{data['places']} places never seen, {data['photographs']} photographs each, with labels, batch 16, learning "
        f"rate {START_RATE:g}; one seed, 95% intervals over places. Fine-tuned there as the zoo is: "
        f"{points(data['oracle'])}%."
    )
    return [
        Table("Accuracy from four starts", ("start", *head, "within a point of that"), rows, note),
        Table("U minus another start, points", ("start", *head), minus),
    ]


def _arrival(steps: int | None) -> str:
    return "never" if steps is None else f"{steps} steps"


def start_figures(data: Data) -> list[Figure]:
    """Accuracy by steps."""
    series = [
        Series.of(STARTS[start], [int(step) for step in own], list(own.values()))
        for start, own in data["curves"].items()
    ]
    return [lines("Fine-tuning from four starts", series, x="steps", y="accuracy", percent=True)]


def start_findings(data: Data) -> list[str]:
    """What a start is worth before the first step, and when each arrives."""
    first = {start: points(own["0"]) for start, own in data["curves"].items()}
    arrivals = "; ".join(f"{STARTS[start]}, {_arrival(arrived(data, start))}" for start in data["curves"])
    last = max(data["gains"], key=int)
    ends = "; ".join(f"{STARTS[start]}, {points(own, signed=True)}" for start, own in data["gains"][last].items())
    return [
        f"Before the first step U names {first['start_u']}%, its joint row {first['start_joint']}%, a new one "
        f"{first['start_new']}%.",
        f"Steps to within a point of what fine-tuning as in the zoo reaches there: {arrivals}.",
        f"After {last} steps from U, points more than from others: {ends}.",
    ]
