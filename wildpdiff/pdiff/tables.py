"""What the ablations found, for readers: tables with p-diff's figures beside ours, and sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..experiments.lab import Data, Table
from ..measure.statistics import Estimate, number, points, ranged
from . import NUMBERS

#: What the noise was on, as the reader knows it.
NAMES = {"neither": "neither", "input": "rows only", "latent": "latents only", "both": "both"}
#: p-diff's own tables of the ablations that it has.
PUBLISHED = {"noise": "table3a", "checkpoints": "table3e", "steps": "table9", "likeness": "table8"}


def tables(data: Data) -> list[Table]:
    """One table for each ablation, p-diff's averages beside ours."""
    note, finest, end = _note(data), last(data["mean"]["steps"]), last(data["mean"]["path"])
    return [
        _table(
            data, "noise", "Noise while the codec trains", "noise on",
            {"codec only, %": "codec", "generated, %": "generated", "against both, points": "against_both",
             "spread": "spread"},
            f"{note} Spread: mean distance of two generated adapters, as a multiple of that of two fine-tuned ones. "
            "p-diff's Table 3a lost its tick marks in our copy; its rows are matched by Tables 3b and 3c.",
        ),
        _table(
            data, "checkpoints", "Checkpoints a location", "checkpoints",
            {"generated, %": "generated", "against all, points": "against_all", "nearest checkpoint": "nearest",
             "of checkpoints themselves": "known_nearest"},
            f"{note} Distances in multiples of the mean distance of two fine-tuned adapters of a location: from a "
            "generated adapter to its nearest training checkpoint, and from a checkpoint to its nearest other one. "
            f"{_missing(data)}",
        ),
        _table(
            data, "steps", "Sampling steps", "steps",
            {"generated, %": "generated", f"against {finest}, points": "against_finest",
             "seconds an adapter": "seconds", "distance": "distance"},
            f"{note} Distance to the adapter of {finest} steps from the same noise, in multiples of the mean distance "
            "of two fine-tuned ones. p-diff varies the steps of its diffusion, by default 1,000; we vary the steps of "
            "sampling alone.",
        ),
        _table(
            data, "likeness", "Overlap of wrong predictions", "adapters",
            {"accuracy, %": "accuracy", "among themselves": "among", "with fine-tuned": "to_fine_tuned",
             "highest with a fine-tuned one": "highest"},
            "Intersection over union of the wrongly named photographs of two adapters of a location; interval over "
            "locations. Noise moves fine-tuned adapters, by multiples of the generated ones' distance to their nearest "
            "checkpoint. p-diff's figures are the ranges of the highest overlap in its Table 8.",
        ),
        _table(
            data, "path", "Along the denoising path", "after step",
            {"estimate, %": "accuracy", "against the last, points": "against_last", "distance to the last": "distance"},
            f"Estimates of the clean adapter along {end} steps; distances in multiples of the mean distance of two "
            "fine-tuned ones. p-diff shows a figure (5b) and states no numbers.",
        ),
        _table(
            data, "guidance", "Guidance", "guidance",
            {"generated, %": "generated", "against 1, points": "against_1"},
            f"{note} 0 ignores the location, 1 follows it as trained. p-diff has no condition.",
        ),
    ]  # fmt: skip


def findings(data: Data) -> list[str]:
    """What the numbers show, and what they do not."""
    mean = data["mean"]
    finest, first = last(mean["steps"]), min(mean["path"], key=int)
    return [
        *_of_noise(mean["noise"]),
        *_of_checkpoints(mean["checkpoints"], str(data["setting"]["checkpoints"])),
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


def _table(data: Data, part: str, title: str, first: str, columns: Mapping[str, str], note: str) -> Table:
    """One ablation; the unit of a column, percent, points or none, is that of its heading."""
    published = NUMBERS[PUBLISHED[part]] if part in PUBLISHED else {}
    names = {"noise": NAMES.__getitem__, "likeness": called}.get(part, str)
    rows = tuple(
        (names(name), *(_cell(head, cell[key]) for head, key in columns.items()), str(published.get(name, "\u2013")))
        for name, cell in data["mean"][part].items()
    )
    return Table(title, (first, *columns, "p-diff"), rows, note)


def _cell(head: str, value: Estimate) -> str:
    if head.endswith(("%", "points")):
        return points(value, signed=head.endswith("points"))
    return ranged(value, ".2f")


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


def _of_noise(cells: Mapping[str, Any]) -> list[str]:
    found = NUMBERS["table3a"]
    return [
        f"Noise on {NAMES[name]}, generated adapters: {_compared(cell['against_both'], 'noise on both')}; p-diff found "
        f"{number(found[name] - found['both'], '+.1f')} points."
        for name, cell in cells.items()
        if name != "both"
    ]


def _of_checkpoints(cells: Mapping[str, Any], most: str) -> list[str]:
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
        return f"no difference from {other} is shown ({points(value, signed=True)} points)"
    return f"{'better' if value['mean'] > 0 else 'worse'} than {other} by {points(value, signed=True)} points"


def _beside(value: Estimate, less: str, more: str) -> str:
    """How a mean over locations differs from that of fine-tuned adapters among themselves."""
    text = ranged(value, "+.2f")
    if not value["real"]:
        return f"no difference from fine-tuned ones among themselves is shown ({text})"
    return f"{more if value['mean'] > 0 else less} than among fine-tuned ones, by {text}"
