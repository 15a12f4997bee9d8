"""Generation without a condition at one location, by saving interval: Table 1, Figures 4 and 5 (paper, section 4.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..evaluate import NONE
from ..experiments.baselines import ensemble
from ..experiments.lab import NO_GENERATOR, Data, Experiment, Lab, Table
from ..measure.statistics import difference, estimate, over_units, points, ranged
from ..plots import Figure
from ..plots.charts import Series, lines, scatter
from ..similarity import diversity, novelty
from ..training.loop import Step
from . import NUMBERS, QUESTIONS
from .alone import INTERVALS, REGIME, candidates, generated, generator_of, grown, location_of, ready, rows_of

#: Pretrained accuracy, and fine-tuned and generated accuracy by interval.
PAPER = NUMBERS["table1"]
#: Adapters that generated ones are held against, in words.
KINDS = {
    "generated": "generated",
    "held_out": "a checkpoint against the others",
    "noise": "nearest checkpoint + noise of that size",
    "scaled_noise": "the same, noise as large as weights vary",
    "means": "means of 2 to 4 checkpoints",
    "gaussian": "normal distribution in the principal directions",
}
SCALES = {"cosine": "cosine", "deviation": "cosine of deviations", "distance": "distance"}


def measure_table1(lab: Lab) -> Iterator[tuple[Step, Data]]:
    """Accuracies by interval."""
    yield from ((step, {}) for step in ready(lab))
    location = location_of(lab)
    pretrained = lab.correct([NONE], location)
    data: Data = {"location": location, "pretrained": estimate(pretrained), "intervals": {}}
    for done, interval in enumerate(INTERVALS, 1):
        data["intervals"][str(interval)] = _accuracies(lab, interval)
        yield Step(done, len(INTERVALS), float("nan")), data


def measure_figure4(lab: Lab) -> Iterator[tuple[Step, Data]]:
    """How unlike the checkpoints are, by interval."""
    yield from ((step, {}) for step in grown(lab))
    first = rows_of(lab, INTERVALS[0])[0]
    data: Data = {"location": location_of(lab), "intervals": {}}
    for done, interval in enumerate(INTERVALS, 1):
        data["intervals"][str(interval)] = diversity(rows_of(lab, interval), first)
        yield Step(done, len(INTERVALS), float("nan")), data


def measure_figure5(lab: Lab) -> Iterator[tuple[Step, Data]]:
    """How new generated adapters are, and what noise of the same size would do, by interval."""
    yield from ((step, {}) for step in ready(lab))
    data: Data = {"location": location_of(lab), "intervals": {}}
    total = len(INTERVALS) * len(KINDS)
    for place, interval in enumerate(INTERVALS):
        found = data["intervals"][str(interval)] = {}
        known, rows = rows_of(lab, interval), candidates(lab, interval)
        right = {}
        for done, (kind, own) in enumerate(rows.items(), 1):
            right[kind] = lab.correct(own, location_of(lab))
            measured = novelty(own, known, is_known=kind == "held_out")
            found[kind] = measured | {
                "accuracy": estimate(right[kind]),
                "gap": difference(right["generated"], right[kind]) if kind != "generated" else None,
            }
            yield Step(place * len(KINDS) + done, total, float("nan")), data


def tables_of_table1(data: Data) -> list[Table]:
    """Accuracies beside the paper's."""
    rows = []
    for name, cell in data["intervals"].items():
        parts = ("fine_tuned", "codec", "generated", "ensemble")
        measured = [points(cell[part]) for part in parts]
        paper = (f"{value:.2f}" for value in PAPER["interval"][name])
        rows.append((name, *measured, points(cell["gap"], signed=True), *paper))
    head = ("interval", "fine-tuned", "codec only", "generated", "ensemble", "generated \u2212 fine-tuned")
    note = (
        f"Accuracy in % at {data['location']}, {data['pretrained']['images']} photographs, with 95% intervals over "
        f"adapters and photographs; pretrained {points(data['pretrained'])}, in the paper {PAPER['pretrained']}. "
        "Codec only: fine-tuned rows there and back. Ensemble: the mean of all checkpoints."
    )
    title = "Table 1: generation without a condition, by saving interval"
    return [Table(title, (*head, "paper: fine-tuned", "paper: generated"), tuple(rows), note)]


def tables_of_figure4(data: Data) -> list[Table]:
    """The range of cosines by interval."""
    rows = tuple(
        (
            name,
            str(len(found["from_first"])),
            f"{found['from_first'][-1]:.3f}",
            *(f"{sum(found[part]) / len(found[part]):.3f}" for part in ("largest", "smallest")),
        )
        for name, found in data["intervals"].items()
    )
    head = ("interval", "checkpoints", "last with the converged", "mean largest with others", "mean smallest")
    note = f"Cosine of raw rows of {data['location']}. The paper shows curves only: larger intervals, lower cosines."
    return [Table("Figure 4: diversity of checkpoints, by saving interval", head, rows, note)]


def tables_of_figure5(data: Data) -> list[Table]:
    """Novelty and accuracy of generated adapters and of what they are held against."""
    rows = tuple(
        (
            f"{name}, {KINDS[kind]}",
            *(ranged(over_units(cell[scale])) for scale in SCALES),
            ranged(over_units(cell["among"])),
            f"{cell['spread']:.2f}",
            points(cell["accuracy"]),
            "" if cell["gap"] is None else points(cell["gap"], signed=True),
        )
        for name, found in data["intervals"].items()
        for kind, cell in found.items()
    )
    head = (
        "interval, adapters", "largest cosine with training", "of deviations", "nearest distance",
        "largest cosine among themselves", "spread", "accuracy", "generated better by",
    )  # fmt: skip
    note = (
        "Deviations: from the mean training row, which raw cosines are dominated by. Distance: to the nearest training "
        "row, 1 being the mean distance between training rows. Spread: standard deviation over the training rows'. "
        f"Paper, raw cosine with training: about 1 at small intervals, about {NUMBERS['figure5']['cosine']} at 100."
    )
    return [Table("Figure 5: novelty of generated adapters, by saving interval", head, rows, note)]


def figures_of_table1(data: Data) -> list[Figure]:
    """Accuracy by interval."""
    names = list(data["intervals"])
    series = []
    for place, part in enumerate(("fine_tuned", "codec", "generated", "ensemble")):
        cells = [data["intervals"][name][part] for name in names]
        series.append(Series.of(part.replace("_", "-"), names, cells, place=place))
    return [lines("Accuracy by saving interval", series, x="saving interval", y="accuracy", percent=True)]


def figures_of_figure4(data: Data) -> list[Figure]:
    """Figure 4 (a) and (b)."""
    first, range_ = [], []
    for place, (name, found) in enumerate(data["intervals"].items()):
        numbers = list(range(1, len(found["from_first"]) + 1))
        first.append(Series(f"interval {name}", numbers, found["from_first"], place=place))
        range_.append(Series(f"interval {name}, largest", numbers, found["largest"], place=place))
        range_.append(Series(f"interval {name}, smallest", numbers, found["smallest"], dashed=True, place=place))
    return [
        lines("Cosine with the converged adapter", first, x="checkpoint", y="cosine"),
        lines("Largest and smallest cosine with the other checkpoints", range_, x="checkpoint", y="cosine"),
    ]


def figures_of_figure5(data: Data) -> list[Figure]:
    """Figure 5, and novelty against accuracy's controls by distance."""
    generated = [
        Series(f"interval {name}", found["generated"]["cosine"], found["generated"]["among"], place=place)
        for place, (name, found) in enumerate(data["intervals"].items())
    ]
    last = list(data["intervals"].values())[-1]
    kinds = [
        Series(KINDS[kind], cell["distance"], cell["deviation"], place=place)
        for place, (kind, cell) in enumerate(last.items())
    ]
    return [
        scatter("Generated adapters", generated, x="largest cosine with training", y="largest cosine among themselves"),
        scatter(
            f"Interval {INTERVALS[-1]}: generated adapters and what they are held against",
            kinds,
            x="distance to the nearest checkpoint (1: mean between checkpoints)",
            y="largest cosine of deviations",
        ),
    ]


def findings_of_table1(data: Data) -> list[str]:
    """Whether generated adapters differ from fine-tuned ones in accuracy."""
    return [
        f"Interval {name}: {_verdict(cell['gap'], 'generated', 'fine-tuned')}"
        for name, cell in data["intervals"].items()
    ]


def findings_of_figure4(data: Data) -> list[str]:
    """How far each interval leads away."""
    ends = [(name, found["from_first"][-1], min(found["smallest"])) for name, found in data["intervals"].items()]
    return [
        f"Interval {name}: the last checkpoint has cosine {end:.3f} with the converged adapter; the most unlike two "
        f"have {least:.3f}."
        for name, end, least in ends
    ]


def findings_of_figure5(data: Data) -> list[str]:
    """How new generated adapters are, whether they are distinct, and whether noise would do."""
    sentences = []
    for name, found in data["intervals"].items():
        own, held_out = found["generated"], found["held_out"]
        far, usual = (over_units(cell["distance"])["mean"] for cell in (own, held_out))
        sentences.append(
            f"Interval {name}: generated adapters have a largest cosine of {ranged(over_units(own['cosine']))} with a "
            f"training checkpoint and lie {far:.2f} of the mean distance between checkpoints from the nearest one, "
            f"where a checkpoint itself lies {usual:.2f} from the nearest other; their spread is {own['spread']:.2f} "
            "of the checkpoints'."
        )
        sentences += [
            f"Interval {name}: {_verdict(cell['gap'], 'generated', KINDS[kind])}"
            for kind, cell in found.items()
            if kind not in ("generated", "held_out")
        ]
    return sentences


def _accuracies(lab: Lab, interval: int) -> Data:
    location, generator = location_of(lab), generator_of(lab, interval)
    fine_tuned = lab.rows(REGIME, location, at_most=lab.samples, interval=interval)
    rows = {
        "fine_tuned": fine_tuned,
        "codec": generator.reconstruct(fine_tuned).cpu(),
        "generated": generated(lab, generator),
        "ensemble": ensemble(rows_of(lab, interval))[None],
    }
    right = {name: lab.correct(own, location) for name, own in rows.items()}
    gap = difference(right["generated"], right["fine_tuned"])
    return {name: estimate(table) for name, table in right.items()} | {"gap": gap}


def _verdict(gap: Mapping[str, Any], first: str, second: str) -> str:
    size = f"{points(gap, signed=True)} points"
    if not gap["real"]:
        return f"no difference in accuracy is shown between {first} and {second} ({size})."
    return f"{first} adapters are {'better' if gap['mean'] > 0 else 'worse'} than {second} ({size})."


_PARTS = {
    "table1": (measure_table1, tables_of_table1, figures_of_table1, findings_of_table1),
    "figure4": (measure_figure4, tables_of_figure4, figures_of_figure4, findings_of_figure4),
    "figure5": (measure_figure5, tables_of_figure5, figures_of_figure5, findings_of_figure5),
}
#: Figure 4 is about checkpoints alone; the others read the generator's condition, too.
_DEPENDS = {"table1": (*NO_GENERATOR, "condition"), "figure4": NO_GENERATOR, "figure5": (*NO_GENERATOR, "condition")}
EXPERIMENTS = tuple(
    Experiment(name, *QUESTIONS[name], measure, tables, figures, findings, trains=True, depends=_DEPENDS[name])
    for name, (measure, tables, figures, findings) in _PARTS.items()
)
