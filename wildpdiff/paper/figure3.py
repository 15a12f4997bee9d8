"""Generated adapters as a start for fine-tuning at locations that nothing was trained on: Figures 3 and 8 (RQ3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..build.starts import save_row
from ..errors import UserError
from ..experiments.lab import Data, Experiment, Lab, Table
from ..measure.statistics import Estimate, difference, estimate, mean_of, over_units, points
from ..plots import Figure
from ..plots.charts import Series, lines
from ..plots.grid import grid
from ..training.finetune import FinetuneRecipe
from ..training.loop import Step
from . import QUESTIONS
from .parameter_runs import Run, do_all

#: One rate for every start, and no schedule, so that a short run is the beginning of a long one.
BUDGET = FinetuneRecipe(converge=0, rows=15, interval=10, settled_rate=1e-3)
#: Steps after which the adapters are measured.
AT = (0, 10, 20, 40, 80, 150)
GAUSSIAN = "gaussian"
STARTS = {
    GAUSSIAN: "Gaussian",
    "L": "generated, L",
    "M": "generated, M",
    "H": "generated, H",
    "joint": "joint adapter",
    "mean": "mean of the zoo, H",
}
#: Steps whose losses are averaged for a point of the curve, and last steps that count as final.
BLOCK, FINAL = 10, 30
#: Locations that it takes for an interval over them to mean anything.
FEWEST = 3


def measure(lab: Lab) -> Iterator[tuple[Step, Data]]:
    """Fine-tune from every start at every unseen location, with the same batches, and compare with Gaussian."""
    starts = start_rows(lab)
    recipe = BUDGET if lab.samples >= 50 else FinetuneRecipe(converge=0, rows=4, interval=10, settled_rate=1e-3)
    at = tuple(step for step in AT if step <= recipe.steps)
    runs = {
        location: {name: _run(lab, place, location, recipe, at, path) for name, path in own.items()}
        for place, (location, own) in enumerate(starts.items())
    }
    for step in do_all([run for own in runs.values() for run in own.values()], lab.workers):
        if step.index < step.total:
            yield step, {}
    count = sum(len(own) for own in runs.values())
    yield Step(count, count, float("nan")), found(runs, at)


def start_rows(lab: Lab) -> dict[str, dict[str, Path]]:
    """For each unseen location the files of the rows to start from, by name as in `STARTS`.

    What the bundle cannot give is left out, and said so.
    """
    folder, backbone, shared = lab.work / "figure3", lab.bundle.backbone, _shared(lab)
    files: dict[str, dict[str, Path]] = {}
    for place, location in enumerate(lab.bundle.unseen):
        rng = torch.Generator().manual_seed(lab.seed * 1000 + place)
        rows = {GAUSSIAN: backbone.subset.initial(backbone.network, rng)} | _generated(lab, location) | shared
        files[location] = {name: folder / f"start-{location}-{name}.safetensors" for name in STARTS if name in rows}
        for name, path in files[location].items():
            save_row(path, rows[name], backbone)
    return files


def _generated(lab: Lab, location: str) -> dict[str, Tensor]:
    rows = {}
    for regime in lab.bundle.regimes:
        try:
            condition = lab.bundle.embedding(location)[None]
            rows[regime] = lab.bundle.generator(regime).generate(condition, seed=lab.seed)[0].cpu()
        except UserError as error:
            lab.leave_out(str(error))
    return rows


def _shared(lab: Lab) -> dict[str, Tensor]:
    """The starts that are the same at every location."""
    rows = {}
    try:
        rows["joint"] = lab.bundle.joint
    except UserError as error:
        lab.leave_out(str(error))
    if lab.locations("H"):
        rows["mean"] = lab.means("H").mean(dim=0)
    return rows


def _run(lab: Lab, place: int, location: str, recipe: FinetuneRecipe, at: tuple[int, ...], start: Path) -> Run:
    return Run(
        lab.work / "figure3",
        lab.bundle.folder / "backbone.safetensors",
        lab.bundle.backbone.fingerprint,
        lab.recipe.world,
        location,
        "lora",
        lab.bundle.backbone.subset,
        recipe,
        lab.recipe.seed * 1000 + 950 + place,
        at,
        start=start,
        device=str(lab.bundle.device),
    )


def found(runs: Mapping[str, Mapping[str, Run]], at: Sequence[int]) -> Data:
    """What finished runs say: by location and start accuracies and losses, and their means over locations."""
    right = {location: {name: run.right() for name, run in own.items()} for location, own in runs.items()}
    losses = {location: {name: run.losses() for name, run in own.items()} for location, own in runs.items()}
    names = [name for name in STARTS if all(name in own for own in runs.values())]
    return {
        "at": list(at),
        "rate": BUDGET.settled_rate,
        "locations": {
            location: {
                name: {
                    "accuracy": [estimate(table[None]) for table in own[name]],
                    "loss": curve(losses[location][name]),
                }
                for name in names
            }
            for location, own in right.items()
        },
        "mean": {name: _mean(name, right, losses) for name in names},
        "against": {name: _against(name, right, losses) for name in names if name != GAUSSIAN},
    }


def curve(losses: Tensor) -> list[float]:
    """Means of the training loss over blocks of steps, a shorter last one included."""
    return [float(block.mean()) for block in losses.split(BLOCK)]


def _mean(name: str, right: Mapping[str, Any], losses: Mapping[str, Any]) -> Data:
    tables = [own[name] for own in right.values()]
    per_step = [mean_of([estimate(table[None]) for table in step]) for step in zip(*tables, strict=True)]
    return {"accuracy": per_step, "loss": curve(torch.stack([own[name] for own in losses.values()]).mean(dim=0))}


def _against(name: str, right: Mapping[str, Any], losses: Mapping[str, Any]) -> Data:
    """A start minus the Gaussian one: accuracy after each step of `AT`, and final loss."""
    steps = range(len(next(iter(right.values()))[name]))
    accuracy: list[Estimate] = [
        mean_of([difference(own[name][step][None], own[GAUSSIAN][step][None]) for own in right.values()])
        for step in steps
    ]
    final = [float((own[name] - own[GAUSSIAN])[-FINAL:].mean()) for own in losses.values()]
    loss = over_units(final)
    return {"accuracy": accuracy, "loss": loss | {"real": loss["real"] and len(final) >= FEWEST}}


def tables(data: Data) -> list[Table]:
    """Accuracy by start and step, and each start against the Gaussian one."""
    steps = [f"step {step}" for step in data["at"]]
    count = len(data["locations"])
    own = tuple((STARTS[name], *(points(value) for value in mean["accuracy"])) for name, mean in data["mean"].items())
    gaps = tuple(
        (STARTS[name], *(points(value, signed=True) for value in gap["accuracy"]), _loss(gap["loss"]))
        for name, gap in data["against"].items()
    )
    note = (
        f"Mean over {count} unseen locations, one run each, rate {data['rate']:g} throughout. In brackets 95% "
        "intervals over photographs; how runs vary is not in them. The rate was chosen for no start in particular."
    )
    same = (
        "On the same photographs and the same batches. The loss is the mean of the last steps "
        f"(at most {FINAL}); its interval is over locations. The paper shows curves for D03, D04 and E03 and gives no "
        "numbers."
    )
    return [
        Table("Accuracy in % while fine-tuning (paper: Figures 3 and 8)", ("start", *steps), own, note),
        Table("Minus the Gaussian start, in points", ("start", *steps, "final loss"), gaps, same),
    ]


def _loss(value: Mapping[str, Any]) -> str:
    mean, low, high = (f"{value[key]:+.3f}".replace("-", "\u2212") for key in ("mean", "low", "high"))
    return f"{mean} ({low} to {high})"


def figures(data: Data) -> list[Figure]:
    """Loss and accuracy over steps: means, then each location."""
    mean = grid("Fine-tuning at unseen locations: means", [_losses("Training loss", data["mean"]),
                _accuracies("Accuracy", data["mean"], data["at"])])  # fmt: skip
    single = [
        part
        for name, own in data["locations"].items()
        for part in (_losses(f"{name}: loss", own), _accuracies(f"{name}: accuracy", own, data["at"]))
    ]
    return [mean, grid("Fine-tuning at each unseen location", single)]


def _losses(title: str, own: Mapping[str, Any]) -> Figure:
    series = [
        Series(STARTS[name], [BLOCK * (place + 0.5) for place in range(len(value["loss"]))], value["loss"])
        for name, value in own.items()
    ]
    return lines(title, series, x="step", y="cross-entropy")


def _accuracies(title: str, own: Mapping[str, Any], at: Sequence[int]) -> Figure:
    series = []
    for name, value in own.items():
        mean, low, high = ([part[key] for part in value["accuracy"]] for key in ("mean", "low", "high"))
        shown = (low, high) if name in (GAUSSIAN, "H") else ((), ())
        series.append(Series(STARTS[name], list(at), mean, *shown))
    return lines(title, series, x="step", y="accuracy", percent=True, note="Bands: 95% intervals of two starts.")


def findings(data: Data) -> list[str]:
    """What the numbers show of each start, against the Gaussian one."""
    sentences = []
    for name, gap in data["against"].items():
        before, after = gap["accuracy"][0], gap["accuracy"][-1]
        sentences.append(
            f"Start '{STARTS[name]}': {_compared(before)} before the first step and {_compared(after)} after "
            f"{data['at'][-1]}; final training loss {_worded(gap['loss'])}."
        )
    return [*sentences, "The paper finds a slightly lower final loss and a slightly higher accuracy for H."]


def _compared(value: Mapping[str, Any]) -> str:
    if not value["real"]:
        return f"no difference in accuracy is shown ({points(value, signed=True)} points)"
    return f"accuracy {'higher' if value['mean'] > 0 else 'lower'} by {points(value, signed=True)} points"


def _worded(value: Mapping[str, Any]) -> str:
    if not value["real"]:
        return f"shows no difference, {_loss(value)}"
    return f"{'higher' if value['mean'] > 0 else 'lower'}, {_loss(value)}"


EXPERIMENTS = (Experiment("figure3", *QUESTIONS["figure3"], measure, tables, figures, findings, trains=True),)
