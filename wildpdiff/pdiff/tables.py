"""What the ablations found, for readers: tables with p-diff's figures beside ours, and sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..experiments.lab import Data, Table
from ..measure.statistics import Estimate, number, points, ranged
from . import NUMBERS

#: What the noise was on, as the reader knows it.
NAMES = {"neither": "neither", "input": "rows only", "latent": "latents only", "both": "both"}


def tables(data: Data) -> list[Table]:
    """One table for each ablation, p-diff's averages beside ours."""
    return [
        _noise_table(data), _checkpoints_table(data), _steps_table(data),
        _likeness_table(data), _path_table(data), _guidance_table(data),
    ]  # fmt: skip


def says(data: Data) -> list[str]:
    """What the numbers show, and what they do not."""
    mean = data["mean"]
    finest, first = last(mean["steps"]), min(mean["path"], key=int)
    return [
        *_noise_says(mean["noise"]),
        *_checkpoints_says(mean["checkpoints"], str(data["setting"]["checkpoints"])),
        _missing(data),
        *(
            f"{count} sampling steps: {_compared(cell['against_finest'], f'{finest} steps')}, in "
            f"{cell['seconds']['mean']:.2f} seconds an adapter."
            for count, cell in mean["steps"].items()
            if count != finest
        ),
        *(
            f"Highest overlap of wrong predictions with a fine-tuned adapter, {called(kind)}: "
            f"{_beside(cell['highest_difference'], 'lower', 'higher')}; accuracy: "
            f"{_compared(cell['against_fine_tuned'], 'fine-tuned')}."
            for kind, cell in mean["likeness"].items()
            if kind != "fine_tuned"
        ),
        f"The estimate after step {first} of {last(mean['path'])}: "
        f"{_compared(mean['path'][first]['against_last'], 'the last')}.",
        *(
            f"Guidance {value}: {_compared(cell['against_1'], 'guidance 1')}."
            for value, cell in mean["guidance"].items()
            if value != "1"
        ),
    ]


def called(kind: str) -> str:
    """A kind of adapter as the reader knows it."""
    return f"noise at {kind[6:]} times" if kind.startswith("noise_") else kind.replace("_", "-")


def last(cells: Mapping[str, Any]) -> str:
    """The largest of the numbers that name the cells: the most sampling steps, or the end of a path."""
    return max(cells, key=int)


def _noise_table(data: Data) -> Table:
    return _table(
        "Noise while the codec trains",
        ("noise on", "codec only, %", "generated, %", "against both, points", "spread"),
        [
            (NAMES[name], points(cell["codec"]), points(cell["generated"]), _points(cell["against_both"]),
             _number(cell["spread"]), _figure("table3a", name))
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
             _number(cell["known_nearest"]), _figure("table3e", count))
            for count, cell in data["mean"]["checkpoints"].items()
        ],
        f"{_note(data)} Distances in multiples of the mean distance of two fine-tuned adapters of a location: from a "
        "generated adapter to its nearest training checkpoint, and from a checkpoint to its nearest other one. "
        + _missing(data),
    )  # fmt: skip


def _steps_table(data: Data) -> Table:
    cells = data["mean"]["steps"]
    return _table(
        "Sampling steps",
        ("steps", "generated, %", f"against {last(cells)}, points", "seconds an adapter", "distance"),
        [
            (count, points(cell["generated"]), _points(cell["against_finest"]), _number(cell["seconds"]),
             _number(cell["distance"]), _figure("table9", count))
            for count, cell in cells.items()
        ],
        f"{_note(data)} Distance to the adapter of {last(cells)} steps from the same noise, in multiples of the mean "
        "distance of two fine-tuned ones. p-diff varies the steps of its diffusion, by default 1,000; we vary the "
        "steps of sampling alone.",
    )  # fmt: skip


def _likeness_table(data: Data) -> Table:
    return _table(
        "Overlap of wrong predictions",
        ("adapters", "accuracy, %", "among themselves", "with fine-tuned", "highest with a fine-tuned one"),
        [
            (called(kind), points(cell["accuracy"]), _number(cell["among"]), _number(cell["to_fine_tuned"]),
             _number(cell["highest"]), _figure("table8", kind))
            for kind, cell in data["mean"]["likeness"].items()
        ],
        "Intersection over union of the wrongly named photographs of two adapters of a location; interval over "
        "locations. Noise moves fine-tuned adapters, by multiples of the generated ones' distance to their nearest "
        "checkpoint. p-diff's figures are the ranges of the highest overlap in its Table 8.",
    )  # fmt: skip


def _path_table(data: Data) -> Table:
    cells = data["mean"]["path"]
    return _table(
        "Along the denoising path",
        ("after step", "estimate, %", "against the last, points", "distance to the last"),
        [
            (step, points(cell["accuracy"]), _points(cell["against_last"]), _number(cell["distance"]), "\u2013")
            for step, cell in cells.items()
        ],
        f"Estimates of the clean adapter along {last(cells)} steps; distances in multiples of the mean distance of two "
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


def _noise_says(cells: Mapping[str, Any]) -> list[str]:
    found = NUMBERS["table3a"]
    return [
        f"Noise on {NAMES[name]}, generated adapters: {_compared(cell['against_both'], 'noise on both')}; p-diff found "
        f"{number(found[name] - found['both'], '+.1f')} points."
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
    text = ranged(value, "+.2f")
    if not value["real"]:
        return f"no difference from fine-tuned ones among themselves is shown ({text})"
    return f"{more if value['mean'] > 0 else less} than among fine-tuned ones, by {text}"


def _points(value: Estimate) -> str:
    return points(value, signed=True)


def _number(value: Estimate) -> str:
    return ranged(value, ".2f")


def _figure(table: str, name: str) -> str:
    """p-diff's own figure, where it has one."""
    return str(NUMBERS[table].get(name, "\u2013"))
