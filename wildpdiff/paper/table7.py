"""Which parameters to adapt: Tables 7 and 8 (paper, appendix B.3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..evaluate import NONE
from ..experiments.lab import NO_GENERATOR, Data, Experiment, Lab, Table
from ..measure.statistics import difference, estimate, mean_of, points
from ..network.backbone import ADAPTED
from ..network.subset import Parameters, Subset
from ..plots import Figure
from ..plots.charts import Series, bars, scatter
from ..training.finetune import FinetuneRecipe
from ..training.loop import Step
from . import NUMBERS, QUESTIONS, column_means
from .parameter_runs import Run, do_all

LORA = "lora"
#: What may be adapted (paper, Table 7), as the names of the table's rows.
KINDS = {
    "all": "all",
    "bn": "batch norm",
    "first5": "first 5 layers",
    "first6": "first 6 layers",
    "first7": "first 7 layers",
    "last1": "last layer",
    "last2": "last 2 layers",
    "last3": "last 3 layers",
    LORA: "LoRA in the first 6 layers",
}
#: The same as parameters of EfficientNet-B0 in nine layers: stem, seven stages, head; each convolution with the batch
#: norm behind it. The classifier belongs to none of them: so counted, in units of 2^20, the paper's numbers come out.
SUBSETS: dict[str, Subset] = {
    "all": Parameters(r""),
    "bn": Parameters(r"(^|\.)bn\d\."),
    "first5": Parameters(r"^(conv_stem|bn1|blocks\.[0-3])\."),
    "first6": Parameters(r"^(conv_stem|bn1|blocks\.[0-4])\."),
    "first7": Parameters(r"^(conv_stem|bn1|blocks\.[0-5])\."),
    "last1": Parameters(r"^(conv_head|bn2)\."),
    "last2": Parameters(r"^(blocks\.6|conv_head|bn2)\."),
    "last3": Parameters(r"^(blocks\.[56]|conv_head|bn2)\."),
    LORA: ADAPTED,
}
#: Every choice gets this budget; the last four checkpoints are measured.
BUDGET = FinetuneRecipe(converge=160, rows=4, interval=5)
#: The shorter budget by which a rate is chosen; its end is measured, on training photographs that were kept back.
TRIAL = FinetuneRecipe(converge=48, rows=1, interval=2)
#: Learning rates to choose from: few numbers bear more.
RATES = dict.fromkeys(KINDS, (3e-4, 1e-3, 3e-3)) | {
    "bn": (1e-3, 3e-3, 1e-2), "last1": (1e-3, 3e-3, 1e-2), LORA: (1e-3, 2e-3, 4e-3),
}  # fmt: skip
#: The rate falls to this share of itself.
SETTLED = 0.2
SEEDS = 3
#: Table 7 at R10: numbers in units of 2^20, accuracy in %.
PAPER = NUMBERS["table7"]
#: Table 8: pretrained, all, LoRA, in %.
PAPER_LOCATIONS = NUMBERS["table8"]
#: First layers against last layers that hold more numbers: (first, last).
ENDS = (("first6", "last2"), ("first7", "last3"))


def measure_table7(lab: Lab) -> Iterator[tuple[Step, Data]]:
    """Accuracy of every choice at the first seen location, with rates chosen there on training photographs."""
    location, seeds = lab.bundle.seen[0], SEEDS if lab.samples >= 50 else 1
    trials = _trials(lab, tuple(KINDS))
    total = len(trials) + len(KINDS) * seeds
    for step in do_all(trials, lab.workers):
        yield _part(step, total, 0), {}
    rates = chosen_rates(lab, tuple(KINDS))
    runs = {kind: [_run(lab, location, kind, rates[kind], seed) for seed in range(seeds)] for kind in KINDS}
    for step in do_all([run for own in runs.values() for run in own], lab.workers):
        if step.index < step.total:
            yield _part(step, total, len(trials)), {}
    right = {kind: torch.stack([run.share() for run in own]) for kind, own in runs.items()}
    data: Data = {"location": location, "seeds": seeds, "pretrained": estimate(_pretrained(lab, location)), "kinds": {}}
    for kind in KINDS:
        data["kinds"][kind] = {
            "parameters": SUBSETS[kind].layout(lab.bundle.backbone.network).dim,
            "rate": rates[kind],
            "accuracy": estimate(right[kind]),
            "gain": difference(right[kind], _pretrained(lab, location)),
            "minus_lora": None if kind == LORA else difference(right[kind], right[LORA]),
        }
    data["ends"] = [
        {"first": first, "last": last} | {"difference": difference(right[first], right[last])} for first, last in ENDS
    ]
    yield Step(total, total, float("nan")), data


def measure_table8(lab: Lab) -> Iterator[tuple[Step, Data]]:
    """All parameters against LoRA at every seen location, one run each, at the rates that the first location chose."""
    kinds, data = ("all", LORA), dict[str, Any]()
    trials = _trials(lab, kinds)
    total = len(trials) + len(kinds) * len(lab.bundle.seen)
    for step in do_all(trials, lab.workers):
        yield _part(step, total, 0), {}
    rates = chosen_rates(lab, kinds)
    runs = {name: {kind: _run(lab, name, kind, rates[kind], 0) for kind in kinds} for name in lab.bundle.seen}
    for step in do_all([run for own in runs.values() for run in own.values()], lab.workers):
        if step.index < step.total:
            yield _part(step, total, len(trials)), {}
    data["locations"] = {name: _location(lab, name, own) for name, own in runs.items()}
    data["mean"] = {
        name: mean_of([own[name] for own in data["locations"].values()])
        for name in ("pretrained", "all", LORA, "difference")
    }
    yield Step(total, total, float("nan")), data | {"rates": rates}


def chosen_rates(lab: Lab, kinds: Sequence[str]) -> dict[str, float]:
    """The rate of each kind that names most of the photographs kept back from training; the lowest of equal ones."""
    shares = {
        (run.kind, run.recipe.learning_rate): (float(run.share().mean()), -run.recipe.learning_rate)
        for run in _trials(lab, kinds)
    }
    return {kind: max(RATES[kind], key=lambda rate: shares[kind, rate]) for kind in kinds}


def _trials(lab: Lab, kinds: Sequence[str]) -> list[Run]:
    location = lab.bundle.seen[0]
    return [_run(lab, location, kind, rate, 0, choosing=True) for kind in kinds for rate in RATES[kind]]


def _run(lab: Lab, location: str, kind: str, rate: float, seed: int, *, choosing: bool = False) -> Run:
    recipe = replace(TRIAL if choosing else BUDGET, learning_rate=rate, settled_rate=SETTLED * rate)
    ends = range(recipe.converge + recipe.interval, recipe.steps + 1, recipe.interval)
    return Run(
        lab.work / "parameters",
        lab.bundle.folder / "backbone.safetensors",
        lab.bundle.backbone.fingerprint,
        lab.recipe.world,
        location,
        kind,
        SUBSETS[kind],
        recipe,
        lab.recipe.seed * 1000 + 900 + seed,
        tuple(ends),
        choosing,
        device=str(lab.bundle.device),
    )


def _part(step: Step, total: int, before: int) -> Step:
    return Step(before + step.index, total, step.loss)


def _pretrained(lab: Lab, location: str) -> Tensor:
    """Which evaluation photographs the pretrained classifier names correctly, `[1, M]`."""
    return lab.correct([NONE], location)


def _location(lab: Lab, name: str, runs: Mapping[str, Run]) -> Data:
    right = {kind: run.share()[None] for kind, run in runs.items()}
    return {
        "pretrained": estimate(_pretrained(lab, name)),
        **{kind: estimate(table) for kind, table in right.items()},
        "difference": difference(right["all"], right[LORA]),
    }


def tables7(data: Data) -> list[Table]:
    """Ours beside the paper's Table 7."""
    head = ("adapted", "numbers (2^20)", "paper", "learning rate", "accuracy %", "minus LoRA, points", "paper %")
    rows = [
        (
            KINDS[kind],
            f"{own['parameters'] / 2**20:.2f}",
            f"{PAPER[kind][0]:.2f}",
            f"{own['rate']:g}",
            points(own["accuracy"]),
            points(own["minus_lora"], signed=True) if own["minus_lora"] else "",
            f"{PAPER[kind][1]:.1f}",
        )
        for kind, own in data["kinds"].items()
    ]
    plain = f"{NUMBERS['table1']['pretrained']:.1f}"
    first = ("none (pretrained)", "0", "0", "", points(data["pretrained"]), "", plain)
    note = (
        f"{data['location']}, {data['pretrained']['images']} evaluation photographs, {data['seeds']} "
        f"{'run' if data['seeds'] == 1 else 'runs'} a row, {BUDGET.steps} steps of {BUDGET.batch_size}; the mean of "
        f"the last {BUDGET.rows} checkpoints, {BUDGET.interval} steps apart. In brackets 95% intervals. Rates were "
        f"chosen on training photographs that were kept back. Our LoRA has rank {ADAPTED.rank} and leaves grouped "
        "convolutions out, hence fewer numbers than the paper's."
    )
    return [Table(f"Which parameters to adapt at {data['location']} (paper: Table 7)", head, (first, *rows), note)]


def tables8(data: Data) -> list[Table]:
    """Ours beside the paper's Table 8."""
    head = ("location", "pretrained %", "all %", "LoRA %", "all minus LoRA, points", "paper: pretrained, all, LoRA %")
    known = {name: PAPER_LOCATIONS[name] for name in data["locations"] if name in PAPER_LOCATIONS}
    paper = {name: ", ".join(map(str, row)) for name, row in known.items()}
    paper["mean"] = ", ".join(f"{mean:.1f}" for mean in column_means(known))
    rows = tuple(
        (
            name,
            *(points(own[key]) for key in ("pretrained", "all", LORA)),
            points(own["difference"], signed=True),
            paper.get(name, ""),
        )
        for name, own in (*data["locations"].items(), ("mean", data["mean"]))
    )
    note = (
        f"One run a cell of {BUDGET.steps} steps, the mean of its last {BUDGET.rows} checkpoints; rates "
        f"{data['rates']['all']:g} (all) and {data['rates'][LORA]:g} (LoRA), chosen at the first location. In brackets "
        "95% intervals over photographs; how runs vary is not in them."
    )
    return [Table("All parameters against LoRA at every location (paper: Table 8)", head, rows, note)]


def figures7(data: Data) -> list[Figure]:
    """Accuracy by choice, and by how many numbers it costs."""
    names = [KINDS[kind] for kind in data["kinds"]]
    own = [value["accuracy"] for value in data["kinds"].values()]
    ours = Series.of("ours", names, own)
    paper = Series("paper", names, [PAPER[kind][1] / 100 for kind in data["kinds"]], dashed=True)
    pretrained = Series("ours, pretrained", [], [data["pretrained"]["mean"]], dashed=True)
    groups = {"first layers": "first", "last layers": "last", "all": "all", "batch norm": "bn", "LoRA": LORA}
    clouds = [
        _cloud(name, [v for k, v in data["kinds"].items() if k.startswith(start)]) for name, start in groups.items()
    ]
    line = Series("pretrained", [], [100 * data["pretrained"]["mean"]], dashed=True)
    title = f"Accuracy at {data['location']} by what is adapted"
    return [
        bars(title, names, [ours, paper, pretrained], y="accuracy", percent=True),
        scatter(f"{title}, against its cost", [*clouds, line], x="adapted numbers (2^20)", y="accuracy in %"),
    ]


def _cloud(name: str, own: Sequence[Mapping[str, Any]]) -> Series:
    x = [value["parameters"] / 2**20 for value in own]
    mean, low, high = ([100 * value["accuracy"][key] for value in own] for key in ("mean", "low", "high"))
    return Series(name, x, mean, low, high)


def figures8(data: Data) -> list[Figure]:
    """Accuracy at every location: pretrained, all, LoRA."""
    names = list(data["locations"])
    labels = {"pretrained": "pretrained", "all": "all parameters", LORA: "LoRA"}
    series = [
        Series.of(label, names, [own[key] for own in data["locations"].values()]) for key, label in labels.items()
    ]
    return [bars("All parameters against LoRA", names, series, y="accuracy", percent=True)]


def findings7(data: Data) -> list[str]:
    """What the numbers of Table 7 show."""
    kinds = data["kinds"]
    share = 100 * kinds[LORA]["parameters"] / kinds["all"]["parameters"]
    sentences = [
        f"LoRA adapts {share:.1f}% as many numbers as there are (paper: 8.8%). "
        + _compared("All parameters", "LoRA", kinds["all"]["minus_lora"])
        + f" The paper: {PAPER['all'][1] - PAPER[LORA][1]:+.1f}."
    ]
    for end in data["ends"]:
        first, last = end["first"], end["last"]
        gap = PAPER[first][1] - PAPER[last][1]
        sentences.append(
            _compared(f"The {KINDS[first]}", f"the {KINDS[last]}, which hold more numbers", end["difference"])
            + f" The paper: {gap:+.1f}."
        )
    return [*sentences, _compared("Batch norm alone", "the pretrained classifier", kinds["bn"]["gain"])]


def findings8(data: Data) -> list[str]:
    """What the numbers of Table 8 show."""
    sentence = _compared("Over all locations, all parameters", "LoRA", data["mean"]["difference"])
    real = [name for name, own in data["locations"].items() if own["difference"]["real"]]
    single = (
        f"Looked at one by one, the two differ at {', '.join(real)}."
        if real
        else "At no single location is a difference shown."
    )
    return [f"{sentence} The paper: +0.9.", single]


def _compared(first: str, second: str, value: Mapping[str, Any]) -> str:
    """A difference in words, if it is one."""
    if not value["real"]:
        return f"{first} against {second}: no difference is shown, {points(value, signed=True)} points."
    return f"{first} {'beat' if value['mean'] > 0 else 'fall behind'} {second} by {points(value, signed=True)} points."


_PARTS = {
    "table7": (measure_table7, tables7, figures7, findings7),
    "table8": (measure_table8, tables8, figures8, findings8),
}
EXPERIMENTS = tuple(
    Experiment(name, *QUESTIONS[name], measure, tables, figures, findings, trains=True, depends=NO_GENERATOR)
    for name, (measure, tables, figures, findings) in _PARTS.items()
)
