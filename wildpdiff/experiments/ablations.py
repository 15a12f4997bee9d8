"""Ablations after p-diff: codec noise, number of checkpoints, sampling steps, likeness, denoising path, guidance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch

from ..loop import Step
from ..plots import Figure
from ..weightspace import nearest
from .ablation_runs import (
    COUNTS,
    GENERATED,
    NOISES,
    REGIME,
    Place,
    among,
    apart,
    even,
    most_alike,
    overlap,
    own_nearest,
    train_all,
    variants,
)
from .baselines import noisy
from .charts import Series, bars, lines, scatter
from .lab import Data, Experiment, Lab, Table
from .statistics import Estimate, difference, estimate, mean_of, over_units, points

STEPS = (10, 20, 50, 100, 200, 1000)
GUIDANCE = (0.0, 1.0, 2.0, 3.0)
#: Sampling steps of a traced path, and after which of them its estimate is measured.
PATH_STEPS, PATH_AT = 50, (1, 2, 5, 10, 20, 35, 50)
#: Gaussian noise on fine-tuned rows, in multiples of the distance of generated rows to their nearest checkpoint.
DISTANCES = (0.5, 1.0, 2.0)
#: Adapters of a location: through the codec; compared with; with noise; traced along the path.
CODED, KNOWN, NOISY, TRACED = 2, 10, 2, 2
NAMES = {"neither": "neither", "input": "rows only", "latent": "latents only", "both": "both"}
#: Average accuracies in percent of p-diff's Tables 3a, 3e and 9, and the ranges of highest overlap of its Table 8.
P_DIFF_NOISE = {"neither": 76.7, "input": 76.7, "latent": 77.6, "both": 77.7}
P_DIFF_COUNTS = {"10": 76.6, "50": 77.2, "200": 77.5, "300": 77.7, "400": 77.6}
P_DIFF_STEPS = {"10": 70.5, "100": 77.6, "1000": 77.7}
P_DIFF_LIKENESS = {"fine_tuned": "0.93 to 0.98", "generated": "0.85 to 0.87"}


def noise(place: Place) -> Data:
    """Noise on rows and on latents while the codec trains (p-diff, Table 3a)."""
    whole, known = place.made("both").right, even(place.tuned, CODED)
    return {
        name: {
            "codec": estimate(place.right(place.generators[name].reconstruct(known).cpu())),
            "generated": estimate(place.made(name).right),
            "against_both": difference(place.made(name).right, whole),
            "spread": apart(place.made(name).rows) / place.spread,
        }
        for name in NOISES
    }


def checkpoints(place: Place) -> Data:
    """Fewer checkpoints a location (p-diff, Table 3e), and how near generated rows come to those that were known."""
    most = max(place.counts)
    found = {}
    for count in place.counts:
        made, known = place.made("both" if count == most else str(count)), even(place.tuned, count)
        reach, usual = float(nearest(made.rows, known)[1].mean()) / place.spread, own_nearest(known) / place.spread
        found[str(count)] = {
            "generated": estimate(made.right),
            "against_all": difference(made.right, place.made("both").right),
            "nearest": reach,
            "known_nearest": usual,
            "nearest_difference": reach - usual,
        }
    return found


def steps(place: Place) -> Data:
    """Sampling steps of the bundle's generator, from the same noise (p-diff, Table 9)."""
    finest = place.made("ours", steps=STEPS[-1])
    found = {}
    for count in STEPS:
        made = place.made("ours", steps=count)
        found[str(count)] = {
            "generated": estimate(made.right),
            "against_finest": difference(made.right, finest.right),
            "seconds": made.seconds,
            "distance": float((made.rows - finest.rows).norm(dim=1).mean()) / place.spread,
        }
    return found


def likeness(place: Place) -> Data:
    """Whether adapters err on the same images: fine-tuned, generated, and fine-tuned with noise (p-diff, Figure 4)."""
    known, made = even(place.tuned, KNOWN), place.made("ours")
    distance = float(nearest(made.rows, place.tuned)[1].mean())
    scale = place.generators["ours"].standardizer.scale.cpu()
    right = {"fine_tuned": place.right(known), "generated": made.right}
    origins = even(known, NOISY)
    for factor in DISTANCES:
        reach = torch.full((len(origins),), factor * distance)
        right[f"noise_{factor:g}"] = place.right(noisy(origins, reach, place.lab.seed, scale=scale))
    highest = {kind: most_alike(table, right["fine_tuned"], same=kind == "fine_tuned") for kind, table in right.items()}
    usual = float(right["fine_tuned"].double().mean())
    return {
        kind: {
            "accuracy": estimate(table),
            "against_fine_tuned": difference(table, right["fine_tuned"]),
            "among": among(table),
            "to_fine_tuned": among(table)
            if kind == "fine_tuned"
            else float(overlap(table, right["fine_tuned"]).mean()),
            "highest": float(highest[kind].mean()),
            "highest_difference": float(highest[kind].mean() - highest["fine_tuned"].mean()),
            "points": torch.stack([highest[kind], table.double().mean(dim=1) - usual], dim=1).tolist(),
        }
        for kind, table in right.items()
    }


def path(place: Place) -> Data:
    """The estimates along the way from noise, decoded and measured (p-diff, Figure 5b)."""
    generator, condition = place.generators["ours"], place.condition(min(place.lab.samples, TRACED))
    estimates = generator.path(condition, steps=PATH_STEPS, seed=place.lab.seed)
    kept = {step: generator.decode(latents).cpu() for step, latents in enumerate(estimates, start=1) if step in PATH_AT}
    right = {step: place.right(rows) for step, rows in kept.items()}
    return {
        str(step): {
            "accuracy": estimate(table),
            "against_last": difference(table, right[PATH_STEPS]),
            "distance": float((kept[step] - kept[PATH_STEPS]).norm(dim=1).mean()) / place.spread,
            "by_noise": {str(number): float(own) for number, own in enumerate(table.double().mean(dim=1))},
        }
        for step, table in right.items()
    }


def guidance(place: Place) -> Data:
    """How far the condition is followed: 0 ignores it, 1 is as trained."""
    trained = place.made("ours").right
    return {
        f"{value:g}": {
            "generated": estimate(place.made("ours", guidance=value).right),
            "against_1": difference(place.made("ours", guidance=value).right, trained),
        }
        for value in GUIDANCE
    }


PARTS: dict[str, Callable[[Place], Data]] = {
    "noise": noise,
    "checkpoints": checkpoints,
    "steps": steps,
    "likeness": likeness,
    "path": path,
    "guidance": guidance,
}


def over_locations(trees: Sequence[Any]) -> Any:
    """Several locations' findings as one of the same shape: cells and numbers become means, lists are joined."""
    first = trees[0]
    if isinstance(first, dict) and "se" in first:
        return mean_of(trees) | {"adapters": first["n"], "images": sum(tree["images"] for tree in trees)}
    if isinstance(first, dict):
        return {key: over_locations([tree[key] for tree in trees]) for key in first}
    return [item for tree in trees for item in tree] if isinstance(first, list) else over_units(trees)


def measure(lab: Lab) -> Iterator[tuple[Step, Data]]:
    """Train the variants that are missing, then measure location after location.

    Data: `setting`, `locations[location][ablation]` and `mean[ablation]`, a tree of the same shape.
    """
    wanted = variants(lab)
    whole = wanted["both"]
    setting = {
        "checkpoints": whole.checkpoints,
        "missing": [count for count in COUNTS if count > whole.checkpoints],
        "generated": min(lab.samples, GENERATED),
        "training_steps": whole.steps,
    }
    training = sum(variant.finished() is None for variant in wanted.values())
    total = training + len(PARTS) * len(whole.locations)
    data: Data = {"setting": setting, "locations": {}, "mean": {}}
    for step in train_all(list(wanted.values()), workers=lab.workers):
        yield Step(step.index, total, step.loss), data
    trained = {name: generator for name, variant in wanted.items() if (generator := variant.finished())}
    counts = [variant.checkpoints for name, variant in wanted.items() if name.isdigit()] + [whole.checkpoints]
    for number, location in enumerate(whole.locations):
        place = Place(lab, trained | {"ours": lab.bundle.generator(REGIME)}, counts, location)
        tree: Data = {}
        for part, (name, look) in enumerate(PARTS.items(), start=1):
            tree[name] = look(place)
            if part == len(PARTS):
                data["locations"][location] = tree
                data["mean"] = over_locations(list(data["locations"].values()))
            yield Step(training + len(PARTS) * number + part, total, float("nan")), data


def tables(data: Data) -> list[Table]:
    """One table for each ablation, p-diff's averages beside ours."""
    return [
        _noise_table(data), _checkpoints_table(data), _steps_table(data),
        _likeness_table(data), _path_table(data), _guidance_table(data),
    ]  # fmt: skip


def _noise_table(data: Data) -> Table:
    return _table(
        "Noise while the codec trains",
        ("noise on", "codec only, %", "generated, %", "against both, points", "spread"),
        [
            (NAMES[name], points(cell["codec"]), points(cell["generated"]), _points(cell["against_both"]),
             _number(cell["spread"]), f"{P_DIFF_NOISE[name]:.1f}")
            for name, cell in data["mean"]["noise"].items()
        ],
        f"{_note(data)} Spread: mean distance of two generated adapters, as a multiple of that of two fine-tuned ones. "
        "p-diff's Table 3a lost its tick marks in our copy; its rows are matched by Tables 3b and 3c.",
    )  # fmt: skip


def _checkpoints_table(data: Data) -> Table:
    return _table(
        "Checkpoints a location",
        ("checkpoints", "generated, %", "against all, points", "nearest checkpoint", "of checkpoints themselves"),
        [
            (count, points(cell["generated"]), _points(cell["against_all"]), _number(cell["nearest"]),
             _number(cell["known_nearest"]), _figure(P_DIFF_COUNTS, count))
            for count, cell in data["mean"]["checkpoints"].items()
        ],
        f"{_note(data)} Distances in multiples of the mean distance of two fine-tuned adapters of a location: from a "
        "generated adapter to its nearest training checkpoint, and from a checkpoint to its nearest other one. "
        + _missing(data),
    )  # fmt: skip


def _steps_table(data: Data) -> Table:
    return _table(
        "Sampling steps",
        ("steps", "generated, %", f"against {STEPS[-1]}, points", "seconds an adapter", "distance"),
        [
            (count, points(cell["generated"]), _points(cell["against_finest"]), _number(cell["seconds"]),
             _number(cell["distance"]), _figure(P_DIFF_STEPS, count))
            for count, cell in data["mean"]["steps"].items()
        ],
        f"{_note(data)} Distance to the adapter of {STEPS[-1]} steps from the same noise, in multiples of the mean "
        "distance of two fine-tuned ones. p-diff varies the steps of its diffusion, by default 1,000; we vary the "
        "steps of sampling alone.",
    )  # fmt: skip


def _path_table(data: Data) -> Table:
    return _table(
        "Along the denoising path",
        ("after step", "estimate, %", "against the last, points", "distance to the last"),
        [
            (step, points(cell["accuracy"]), _points(cell["against_last"]), _number(cell["distance"]), "\u2013")
            for step, cell in data["mean"]["path"].items()
        ],
        f"Estimates of the clean adapter along {PATH_STEPS} steps; distances in multiples of the mean distance of two "
        "fine-tuned ones. p-diff shows a figure (5b) and states no numbers.",
    )


def _guidance_table(data: Data) -> Table:
    return _table(
        "Guidance",
        ("guidance", "generated, %", "against 1, points"),
        [
            (value, points(cell["generated"]), _points(cell["against_1"]), "\u2013")
            for value, cell in data["mean"]["guidance"].items()
        ],
        f"{_note(data)} 0 ignores the location, 1 follows it as trained. p-diff has no condition.",
    )


def figures(data: Data) -> list[Figure]:
    """Bars of noise, checkpoints and guidance, lines of steps and path, points of likeness."""
    mean = data["mean"]
    return [
        _bars("Noise while the codec trains", {NAMES[name]: cell for name, cell in mean["noise"].items()},
              {"codec": "codec only", "generated": "generated"}),
        _bars("Checkpoints a location", mean["checkpoints"], {"generated": "generated"}),
        lines("Sampling steps", [_series("generated", mean["steps"], "generated")], x="sampling steps",
              y="accuracy, percent", percent=True),
        lines(
            "Along the denoising path",
            [_series("mean", mean["path"], "accuracy"), *_noises(mean["path"])],
            x=f"step of {PATH_STEPS}", y="accuracy, percent", percent=True,
            note="Each dashed line starts from one noise at every location.",
        ),
        scatter(
            "Accuracy and likeness to a fine-tuned adapter",
            [
                Series(_kind(kind), [like for like, _ in cell["points"]], [100 * gain for _, gain in cell["points"]])
                for kind, cell in mean["likeness"].items()
            ],
            x="highest overlap of wrong predictions with a fine-tuned adapter",
            y="accuracy minus that of the fine-tuned, points",
        ),
        _bars("Guidance", mean["guidance"], {"generated": "generated"}),
    ]  # fmt: skip


def says(data: Data) -> list[str]:
    """What the numbers show, and what they do not."""
    mean = data["mean"]
    return [
        *_noise_says(mean["noise"]),
        *_checkpoints_says(mean["checkpoints"], str(data["setting"]["checkpoints"])),
        _missing(data),
        *(
            f"{count} sampling steps: {_compared(cell['against_finest'], f'{STEPS[-1]} steps')}, in "
            f"{cell['seconds']['mean']:.2f} seconds an adapter."
            for count, cell in mean["steps"].items()
            if count != str(STEPS[-1])
        ),
        *(
            f"Highest overlap of wrong predictions with a fine-tuned adapter, {_kind(kind)}: "
            f"{_beside(cell['highest_difference'], 'lower', 'higher')}; accuracy: "
            f"{_compared(cell['against_fine_tuned'], 'fine-tuned')}."
            for kind, cell in mean["likeness"].items()
            if kind != "fine_tuned"
        ),
        *(
            f"The estimate after step {step} of {PATH_STEPS}: {_compared(cell['against_last'], 'the last')}."
            for step, cell in mean["path"].items()
            if step == str(PATH_AT[0])
        ),
        *(
            f"Guidance {value}: {_compared(cell['against_1'], 'guidance 1')}."
            for value, cell in mean["guidance"].items()
            if value != "1"
        ),
    ]


def _noise_says(cells: Mapping[str, Any]) -> list[str]:
    return [
        f"Noise on {NAMES[name]}, generated adapters: {_compared(cell['against_both'], 'noise on both')}; p-diff found "
        f"{_plain(P_DIFF_NOISE[name] - P_DIFF_NOISE['both'], 1)} points."
        for name, cell in cells.items()
        if name != "both"
    ]


def _checkpoints_says(cells: Mapping[str, Any], most: str) -> list[str]:
    accuracies = [
        f"With {count} checkpoints a location: {_compared(cell['against_all'], f'all {most}')}."
        for count, cell in cells.items()
        if count != most
    ]
    return accuracies + [
        f"With {count} checkpoints, the distance from a generated adapter to its nearest checkpoint is "
        f"{cell['nearest']['mean']:.2f} of the spread: {_beside(cell['nearest_difference'], 'shorter', 'longer')}."
        for count, cell in cells.items()
    ]


def _compared(value: Estimate, other: str) -> str:
    """A difference in words, called one only if its interval excludes zero."""
    if not value["real"]:
        return f"no difference from {other} is shown ({_points(value)} points)"
    return f"{'better' if value['mean'] > 0 else 'worse'} than {other} by {_points(value)} points"


def _beside(value: Estimate, less: str, more: str) -> str:
    """How a mean over locations differs from that of fine-tuned adapters among themselves."""
    text = f"{_plain(value['mean'], 2)} ({_plain(value['low'], 2)} to {_plain(value['high'], 2)})"
    if not value["real"]:
        return f"no difference from fine-tuned ones among themselves is shown ({text})"
    return f"{more if value['mean'] > 0 else less} than among fine-tuned ones, by {text}"


def _plain(number: float, digits: int) -> str:
    return f"{number:+.{digits}f}".replace("-", "\u2212")


def _likeness_table(data: Data) -> Table:
    return _table(
        "Overlap of wrong predictions",
        ("adapters", "accuracy, %", "among themselves", "with fine-tuned", "highest with a fine-tuned one"),
        [
            (_kind(kind), points(cell["accuracy"]), _number(cell["among"]), _number(cell["to_fine_tuned"]),
             _number(cell["highest"]), P_DIFF_LIKENESS.get(kind, "\u2013"))
            for kind, cell in data["mean"]["likeness"].items()
        ],
        "Intersection over union of the wrongly named photographs of two adapters of a location; interval over "
        "locations. Noise moves fine-tuned adapters, by multiples of the generated ones' distance to their nearest "
        "checkpoint. p-diff's figures are the ranges of the highest overlap in its Table 8.",
    )  # fmt: skip


def _table(title: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]], note: str) -> Table:
    return Table(title, (*head, "p-diff"), tuple(rows), note)


def _note(data: Data) -> str:
    setting = data["setting"]
    return (
        f"Mean over {len(data['locations'])} locations, {setting['generated']} generated adapters each, with 95% "
        "intervals. p-diff's column: average accuracy in percent, ResNet-18 on CIFAR-100."
    )


def _missing(data: Data) -> str:
    setting = data["setting"]
    if not setting["missing"]:
        return "The zoo has as many checkpoints as p-diff uses."
    wanted = " and ".join(map(str, setting["missing"]))
    return f"The zoo has {setting['checkpoints']} checkpoints a location: {wanted} need the full recipe, not this one."


def _kind(name: str) -> str:
    """A kind of adapter as the reader knows it."""
    return f"noise at {name[6:]} times" if name.startswith("noise_") else name.replace("_", "-")


def _points(value: Estimate) -> str:
    return points(value, signed=True)


def _number(value: Estimate) -> str:
    return f"{value['mean']:.2f} ({value['low']:.2f} to {value['high']:.2f})"


def _figure(known: Mapping[str, float], name: str) -> str:
    return f"{known[name]:.1f}" if name in known else "\u2013"


def _series(name: str, cells: Mapping[str, Any], column: str) -> Series:
    found = [cell[column] for cell in cells.values()]
    ends = {end: [value[end] for value in found] for end in ("low", "high")}
    return Series(name, list(cells), [value["mean"] for value in found], ends["low"], ends["high"])


def _bars(title: str, cells: Mapping[str, Any], columns: Mapping[str, str]) -> Figure:
    series = [_series(name, cells, column) for column, name in columns.items()]
    return bars(title, list(cells), series, y="accuracy, percent", percent=True)


def _noises(cells: Mapping[str, Any]) -> list[Series]:
    numbers = next(iter(cells.values()))["by_noise"]
    return [
        Series(
            f"noise {int(number) + 1}",
            list(cells),
            [cell["by_noise"][number]["mean"] for cell in cells.values()],
            dashed=True,
        )
        for number in numbers
    ]


ablations = Experiment(
    "ablations",
    "Ablations",
    "What of the method matters? As in p-diff's own ablations, one thing at a time is taken away or changed: the noise "
    "that the codec trains with, the number of checkpoints, the sampling steps, the guidance. And do generated "
    "adapters err on the same photographs as the fine-tuned ones, as copies would?",
    measure,
    tables,
    figures,
    says,
    trains=True,
)
EXPERIMENTS = (ablations,)
