"""Numbers of a p-diff system: accuracy with intervals, the best of many chosen in two ways, diversity, likeness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..evaluate import most_alike, wilson
from ..fidelity import FEWEST, distances, fidelity, mean_distance, ratio
from ..measure.statistics import difference, estimate, over_units

Data = dict[str, Any]


@dataclass(frozen=True)
class Measured:
    """One group: its rows `[N, D]`, and which pictures they classify correctly, bool `[N, M]` on each part."""

    rows: Tensor
    selection: Tensor
    test: Tensor


def numbers(measured: Mapping[str, Measured], latents: Mapping[str, Tensor], *, best_of: int) -> Data:
    """All numbers, by group and as differences.

    Args:
        measured: by group; `originals`, `held_out`, `base` and `generated` are among them.
        latents: of the codec `[N, k]`, of `generated`, `held_out` and `originals`.
        best_of: rows of a group among which a best one is chosen.
    """
    originals = measured["originals"]
    groups = {name: group(name, one, originals, best_of=best_of) for name, one in measured.items()}
    against = {
        name: {other: difference(one.test, measured[other].test) for other in ("originals", "base") if other != name}
        for name, one in measured.items()
    }
    return {
        "groups": groups,
        "differences": against,
        "best_difference": _best_difference(measured["generated"], originals, best_of),
        "novelty": novelty(measured),
        "fidelity": _fidelity(latents, measured),
        "plane": _plane(measured),
    }


def group(name: str, one: Measured, originals: Measured, *, best_of: int) -> Data:
    """Accuracy, best row, spread and likeness of one group.

    `spread` is the mean distance between its rows over that between originals; `nearest` the mean distance to the
    nearest original (of originals: to the nearest other) over the same; `iou` the highest overlap of wrong predictions
    with an original (see `evaluate.most_alike`), on the test part.
    """
    same, between = name == "originals", mean_distance(originals.rows)
    gaps = distances(one.rows, originals.rows)
    if same:
        gaps.fill_diagonal_(torch.inf)
    alike = most_alike(one.test, originals.test, same=same)
    return {
        "n": len(one.rows),
        "selection": estimate(one.selection),
        "test": estimate(one.test),
        "best": best(one, best_of) if len(one.rows) > 1 else None,
        "spread": ratio(mean_distance(one.rows), between) if len(one.rows) > 1 else None,
        "nearest": ratio(float(gaps.min(dim=1).values.mean()), between),
        "iou": over_units(alike.tolist()),
        "points": {"test": _shares(one.test), "selection": _shares(one.selection), "iou": alike.tolist()},
    }


def best(one: Measured, count: int) -> Data:
    """The best of `count` rows, chosen on the selection part (ours) and on the test part (the paper's way).

    `optimism` is what choosing on the reported part adds: test accuracy of the second less that of the first.
    """
    chosen = _even(len(one.rows), count)
    selection, test = one.selection[chosen].float().mean(dim=1), one.test[chosen].float().mean(dim=1)
    ours, theirs = int(selection.argmax()), int(test.argmax())
    images = one.test.shape[1]
    low, high = wilson(int(one.test[chosen[ours]].sum()), images)
    return {
        "of": len(chosen),
        "by_selection": {
            "row": int(chosen[ours]), "selection": float(selection[ours]), "test": float(test[ours]),
            "low": low, "high": high,
        },
        "by_test": {"row": int(chosen[theirs]), "test": float(test[theirs])},
        "optimism": float(test[theirs] - test[ours]),
    }  # fmt: skip


def novelty(measured: Mapping[str, Measured]) -> Data:
    """Whether generated rows are less like originals than noise-added ones of the same accuracy (p-diff, section 4).

    For each group of noise-added rows: generated less theirs, in accuracy and in the highest overlap, with intervals.
    """
    made, originals, found = measured["generated"], measured["originals"], {}
    own = most_alike(made.test, originals.test, same=False)
    for name in ("noise", "alike"):
        if name in measured:
            other = most_alike(measured[name].test, originals.test, same=False)
            found[name] = {
                "accuracy": difference(made.test, measured[name].test),
                "iou": _gap(own, other),
            }
    return found


def _gap(first: Tensor, second: Tensor, *, rounds: int = 2000) -> Data:
    """Mean of `first` `[N]` less that of `second` `[J]`, with a bootstrap interval over rows."""
    rng = torch.Generator().manual_seed(0)
    means = [
        values[torch.randint(len(values), (rounds, len(values)), generator=rng)].double().mean(dim=1)
        for values in (first, second)
    ]
    drawn = (means[0] - means[1]).sort().values
    low, high = float(drawn[int(0.025 * rounds)]), float(drawn[int(0.975 * rounds) - 1])
    mean = float(first.double().mean() - second.double().mean())
    return {"mean": mean, "low": low, "high": high, "se": float(drawn.std()), "real": low > 0 or high < 0}


def _best_difference(made: Measured, originals: Measured, count: int) -> Data:
    """Test accuracy of the best generated row less the best original, both chosen on the selection part."""
    ours, theirs = (best(one, count)["by_selection"]["row"] for one in (made, originals))
    return difference(made.test[ours][None], originals.test[theirs][None])


def _fidelity(latents: Mapping[str, Tensor], measured: Mapping[str, Measured]) -> Data | None:
    """How samples compare with held-out rows; None if there are too few of these."""
    if len(latents["held_out"]) < FEWEST:
        return None
    raw = (measured["generated"].rows, measured["held_out"].rows)
    return dict(fidelity(latents["generated"], latents["held_out"], latents["originals"], raw=raw).to_json())


@dataclass(frozen=True)
class Plane:
    """The two widest directions of rows: `mean` `[D]`, `directions` `[D, 2]`, and the `share` of variance they hold.

    Places are in units (`unit`) of the rows' spread along the first direction.
    """

    mean: Tensor
    directions: Tensor
    unit: float
    share: float

    @classmethod
    def of(cls, known: Tensor) -> Plane:
        """The plane of rows `[N, D]`."""
        mean = known.mean(dim=0)
        centred = known - mean
        squares, turn = torch.linalg.eigh(centred @ centred.mT)
        directions = centred.mT @ turn[:, -2:].flip(1)
        directions = directions / directions.norm(dim=0).clamp(min=1e-12)
        unit = float((centred @ directions[:, 0]).std().clamp(min=1e-12))
        share = float(squares[-2:].clamp(min=0).sum() / squares.clamp(min=0).sum().clamp(min=1e-30))
        return cls(mean, directions, unit, share)

    def place(self, rows: Tensor) -> Tensor:
        """Where rows `[N, D]` lie, `[N, 2]`."""
        return (rows - self.mean) @ self.directions / self.unit


def _plane(measured: Mapping[str, Measured]) -> Data:
    """Rows in the two widest directions of the originals, by group."""
    plane = Plane.of(measured["originals"].rows)
    names = ("originals", "held_out", "generated", "average", "base", "noise")
    points = {name: plane.place(measured[name].rows).tolist() for name in names if name in measured}
    return {"share": plane.share, "points": points}


def _shares(right: Tensor) -> list[float]:
    return right.float().mean(dim=1).tolist()


def _even(total: int, count: int) -> Tensor:
    """Up to `count` places of `total`, evenly spaced."""
    return torch.linspace(0, total - 1, min(total, count)).round().long()
