"""Several seeds' findings as one: means over seeds, with intervals over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...measure.statistics import over_seeds
from ..results import Data


def pooled(briefs: Sequence[Data]) -> Data:
    """The same system of several seeds (see `cells.brief`) as one tree of the same shape.

    Numbers become means over seeds (see `over_seeds`); of one seed, what it says itself. What only some seeds
    have is the mean of those, and lists are the first seed's.
    """
    own = {key: value for key, value in briefs[0].items() if key in ("numbers", "points")}
    rest = [{key: value for key, value in brief.items() if key not in own and key != "seed"} for brief in briefs]
    return {"seeds": [brief["seed"] for brief in briefs], **own, **_joined(rest)}


def _joined(trees: Sequence[Any]) -> Any:
    trees = [tree for tree in trees if tree is not None]
    if not trees or isinstance(trees[0], list | str):
        return trees[0] if trees else None
    first = trees[0]
    if isinstance(first, dict) and "mean" not in first:
        return {key: _joined([tree[key] for tree in trees]) for key in first if all(key in tree for tree in trees)}
    if len(trees) > 1:
        told = isinstance(first, dict)
        values = [float(tree["mean"] if told else tree) for tree in trees]
        found = over_seeds(values, [tree["se"] for tree in trees] if told else ())
    elif isinstance(first, dict):
        found = {"real": False} | first
    else:
        found = {"mean": first, "low": first, "high": first, "real": False}
    return {key: found[key] for key in ("mean", "low", "high", "real")} | {"n": len(trees)}
