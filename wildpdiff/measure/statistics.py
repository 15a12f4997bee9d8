"""Shares and differences with intervals that count both the adapters and the images that they were measured on.

A measurement is a table of right and wrong, bool `[N, M]`: N adapters on M images. Adapters of one cell differ, and
another M images would have given another share, so the variance of a mean is the sum of both parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ..evaluate import wilson

Z = 1.96
#: Student's two-sided 95% quantile by degrees of freedom; `Z` beyond.
STUDENT = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}
#: An estimate as JSON: `mean`, `std` over adapters, `low`, `high` (95%), `se`, adapters `n`, `images`.
Estimate = dict[str, Any]


def estimate(right: Tensor) -> Estimate:
    """The share of `right` `[N, M]` with its interval; a share of 0 or 1 gets the interval of M images, not none."""
    count, images = right.shape
    table = right.double()
    mean, error = float(table.mean()), float((_over(table.mean(dim=0)) + _of_adapters(table)) ** 0.5)
    own = table.mean(dim=1)
    effective = mean * (1 - mean) / error**2 if error > 0 else float(images)
    low, high = _wilson_share(mean, effective)
    deviation = float(own.std()) if count > 1 else 0.0
    return {"mean": mean, "std": deviation, "low": low, "high": high, "se": error, "n": count, "images": images}


def difference(first: Tensor, second: Tensor) -> Estimate:
    """Share of `first` `[N, M]` minus share of `second` `[J, M]` on the same M images.

    `real` says whether the interval excludes zero; only then is it called a difference.
    """
    a, b = first.double(), second.double()
    per_image = a.mean(dim=0) - b.mean(dim=0)
    variance = _over(per_image) + _of_adapters(a) + _of_adapters(b)
    return _signed(float(per_image.mean()), float(variance**0.5)) | {"n": [len(a), len(b)], "images": a.shape[1]}


def mean_of(parts: Sequence[Mapping[str, Any]]) -> Estimate:
    """The mean of several estimates or differences, of locations that are fixed; `n` of them.

    Raises:
        ValueError: if there are none.
    """
    if not parts:
        raise ValueError("a mean needs at least one part")
    mean = sum(part["mean"] for part in parts) / len(parts)
    error = sum(part["se"] ** 2 for part in parts) ** 0.5 / len(parts)
    return _signed(mean, error) | {"n": len(parts)}


def over_units(values: Sequence[float], *, rounds: int = 4000, seed: int = 0) -> Estimate:
    """The mean of one value a unit (a pair of locations), with a bootstrap interval over units.

    One unit has no spread, so it never shows a difference.

    Raises:
        ValueError: if there are none.
    """
    if not values:
        raise ValueError("a mean over units needs at least one unit")
    mean, low, high, error = _bootstrap(tuple(map(float, values)), rounds, seed)
    real = len(values) > 1 and (low > 0 or high < 0)
    return {"mean": mean, "low": low, "high": high, "se": error, "n": len(values), "real": real}


@lru_cache(maxsize=8192)
def _bootstrap(values: tuple[float, ...], rounds: int, seed: int) -> tuple[float, float, float, float]:
    """Mean, the ends of its interval and its error. A report asks for the same ones over and over."""
    tensor = torch.tensor(values, dtype=torch.float64)
    drawn = torch.randint(len(values), (rounds, len(values)), generator=torch.Generator().manual_seed(seed))
    means = tensor[drawn].mean(dim=1).sort().values
    low, high = float(means[int(0.025 * rounds)]), float(means[int(0.975 * rounds) - 1])
    return float(tensor.mean()), low, high, float(means.std())


def over_seeds(values: Sequence[float], errors: Sequence[float] = ()) -> Estimate:
    """The mean of one value a seed, of which there are few, with a 95% interval.

    Args:
        values: one a seed.
        errors: the standard error of each, of the pictures and networks that it was measured with. Seeds share their
            pictures, so these errors do not average out: Student's interval over seeds is widened by their root mean
            square. None: Student's interval alone.

    Raises:
        ValueError: if there are fewer than two: one seed has no spread.
    """
    if len(values) < 2:
        raise ValueError("an interval over seeds needs at least two seeds")
    tensor, count = torch.tensor(values, dtype=torch.float64), len(values)
    mean, between = float(tensor.mean()), float(_over(tensor))
    within = sum(error**2 for error in errors) / len(errors) if errors else 0.0
    reach = (STUDENT.get(count - 1, Z) ** 2 * between + Z**2 * within) ** 0.5
    low, high, error = mean - reach, mean + reach, (between + within) ** 0.5
    return {"mean": mean, "low": low, "high": high, "se": error, "n": count, "real": low > 0 or high < 0}


def points(value: Mapping[str, Any], *, signed: bool = False) -> str:
    """An estimate as text, in percent or points: `95.5 (94.8 to 96.1)`."""
    return ranged(value, "+.1f" if signed else ".1f", scale=100)


def ranged(value: Mapping[str, Any], form: str = ".3f", *, scale: float = 1) -> str:
    """An estimate as text, in its own unit: `0.955 (0.948 to 0.961)`."""
    mean, low, high = (number(scale * value[key], form) for key in ("mean", "low", "high"))
    return f"{mean} ({low} to {high})"


def size(value: Mapping[str, Any]) -> str:
    """How large a difference is, whatever its sign, in points: `1.2 (0.8 to 1.6)`."""
    low, high = sorted((abs(value["low"]), abs(value["high"])))
    return points({"mean": abs(value["mean"]), "low": low, "high": high})


def number(value: float, form: str) -> str:
    """A number as text, with a true minus sign."""
    return format(value, form).replace("-", "\u2212")


def _of_adapters(table: Tensor) -> Tensor:
    """The part of the variance of the mean of `[N, M]` that comes from adapters differing as such.

    The variance of the image means holds the chance of each single answer already, so it is taken off here.
    """
    count, images = table.shape
    if count < 2 or images < 2:
        return _over(table.mean(dim=1))
    rest = table - table.mean(dim=0) - table.mean(dim=1, keepdim=True) + table.mean()
    single = rest.square().sum() / ((count - 1) * (images - 1) * count * images)
    return (_over(table.mean(dim=1)) - single).clamp(min=0)


def _over(means: Tensor) -> Tensor:
    """Variance of the mean of independent values; none if there is only one."""
    return means.var() / len(means) if len(means) > 1 else means.new_zeros(())


def _signed(mean: float, error: float) -> Estimate:
    low, high = mean - Z * error, mean + Z * error
    return {"mean": mean, "low": low, "high": high, "se": error, "real": low > 0 or high < 0}


def _wilson_share(share: float, count: float) -> tuple[float, float]:
    """Wilson's interval of a share of a number of images that need not be whole."""
    scale = 1_000
    low, high = wilson(round(share * count * scale), round(count * scale), z=Z * scale**0.5)
    return low, high
