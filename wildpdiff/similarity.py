"""Cosine similarity of adapters, convolution by convolution: of their factors, of the products, and aligned.

LoRA's factors (B Q, Q' A) with an orthogonal Q `[R, R]` are the same adapter as (B, A). A cosine of factors can
therefore be small between adapters that do the same; a cosine of the products B A cannot. P counts the adapted
convolutions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from .fidelity import distances, mean_distance
from .network.adapter import AdapterLayout
from .network.lora import factors, packed


@dataclass(frozen=True)
class Cosines:
    """Cosines of rows `[N, D]` with rows `[J, D]`: in each convolution `[P, N, J]`, and of whole rows `[N, J]`.

    A convolution that one of the two leaves as it is has cosine 0.
    """

    factors: Tensor
    products: Tensor
    whole_factors: Tensor
    whole_products: Tensor


def compare(layout: AdapterLayout, a: Tensor, b: Tensor) -> Cosines:
    """Cosines of all raw rows of `a` `[N, D]` with all of `b` `[J, D]` (paper, appendix D, compares factors).

    Raises:
        UserError: if rows have another D.
    """
    parts = list(zip(_dots(layout, a, b), _norms(layout, a), _norms(layout, b), strict=True))
    return Cosines(*(_cosine(*part) for part in parts), *(_cosine(*(one.sum(dim=0) for one in part)) for part in parts))


def align(layout: AdapterLayout, row: Tensor, reference: Tensor) -> Tensor:
    """The same adapters with factors as near as may be to the reference's (orthogonal Procrustes, per convolution).

    Args:
        layout: of the rows.
        row: raw rows, `[..., D]`.
        reference: one raw row, `[D]`.

    Returns:
        Raw rows `[..., D]` whose products B A are those of `row`.

    Raises:
        UserError: if a row has another D.
    """
    wanted, turned = factors(layout, reference.double()), {}
    for name, (a, b) in factors(layout, row.double()).items():
        flat_a, flat_b = a.flatten(-3), b.flatten(-3)
        overlap = flat_b.mT @ wanted[name][1].flatten(-3) + flat_a @ wanted[name][0].flatten(-3).mT
        left, _, right = torch.linalg.svd(overlap)
        turn = left @ right
        turned[name] = (turn.mT @ flat_a).reshape(a.shape), (flat_b @ turn).reshape(b.shape)
    return packed(layout, turned)


def diversity(rows: Tensor, first: Tensor) -> dict[str, list[float]]:
    """Cosine of each checkpoint `[J, D]` with the converged one `[D]`, and the largest and smallest with the others."""
    own = torch.eye(len(rows), dtype=torch.bool)
    others = exact_cosine(rows, rows)
    return {
        "from_first": exact_cosine(rows, first[None])[:, 0].tolist(),
        "largest": others.masked_fill(own, -1.0).max(dim=1).values.tolist(),
        "smallest": others.masked_fill(own, 1.0).min(dim=1).values.tolist(),
    }


def novelty(rows: Tensor, known: Tensor, *, is_known: bool = False) -> dict[str, Any]:
    """How far rows `[N, D]` are from known ones `[J, D]` and from one another.

    Args:
        rows: raw rows; N of at least 2, or they are not compared with one another.
        known: the training rows.
        is_known: whether the rows are among the known ones; then each is compared with the others.

    Returns:
        For each row, `cosine`: the largest with a known row (paper, Figure 5); `deviation`: the same of deviations
        from the mean known row; `distance`: to the nearest known row, in units of the mean distance between known
        rows; `among`: the largest cosine with another of the rows. `apart` is the mean distance between the rows in
        that unit, and `spread` their standard deviation over the known rows'.
    """
    mean, gaps = known.mean(dim=0), distances(rows, known)
    same = (gaps == 0) & torch.tensor(is_known)
    between = mean_distance(known)
    found = {
        "cosine": exact_cosine(rows, known).masked_fill(same, -1.0).max(dim=1).values,
        "deviation": exact_cosine(rows - mean, known - mean).masked_fill(same, -1.0).max(dim=1).values,
        "distance": gaps.masked_fill(same, float("inf")).min(dim=1).values / between,
        "among": _others(exact_cosine(rows, rows)),
    }
    return {name: values.tolist() for name, values in found.items()} | {
        "apart": mean_distance(rows) / between,
        "spread": _deviation(rows) / _deviation(known),
    }


def exact_cosine(a: Tensor, b: Tensor) -> Tensor:
    """Cosines `[N, J]` in double precision: those of checkpoints one iteration apart differ from 1 by about 1e-5, as
    much as single precision errs over a whole row; among generated rows by as little as 1e-4."""
    return normalize(a.double(), dim=1) @ normalize(b.double(), dim=1).T


def _dots(layout: AdapterLayout, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Inner products of factors and of products B A in each convolution, each `[P, N, J]`.

    <B A, B' A'> is the sum of (B^T B') * (A A'^T), so no product is ever made.
    """
    both = zip(factors(layout, a.float()).values(), factors(layout, b.float()).values(), strict=True)
    sums, products = [], []
    for first, second in both:
        down = torch.einsum("nri,jsi->njrs", first[0].flatten(2), second[0].flatten(2))
        up = torch.einsum("nor,jos->njrs", first[1].flatten(2), second[1].flatten(2))
        sums.append((down + up).diagonal(dim1=2, dim2=3).sum(dim=-1))
        products.append((down * up).sum(dim=(2, 3)))
    return torch.stack(sums), torch.stack(products)


def _norms(layout: AdapterLayout, rows: Tensor) -> list[Tensor]:
    """Squared norms of the factors and of the products of each row, each `[P, N]`."""
    parts = [_dots(layout, row, row) for row in rows.split(1)]
    return [torch.stack([dots[:, 0, 0] for dots in each], dim=1) for each in zip(*parts, strict=True)]


def _cosine(dots: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Cosines `[..., N, J]` from inner products and squared norms `[..., N]` and `[..., J]`."""
    size = (first[..., :, None] * second[..., None, :]).clamp(min=0).sqrt()
    return torch.where(size > 0, dots / size.clamp(min=1e-30), torch.zeros_like(dots)).clamp(-1, 1)


def _others(cosines: Tensor) -> Tensor:
    """The largest of each row of `[N, N]` beside the diagonal; of one row alone, its own."""
    if len(cosines) == 1:
        return cosines[0]
    return cosines.masked_fill(torch.eye(len(cosines), dtype=torch.bool), -1.0).max(dim=1).values


def _deviation(rows: Tensor) -> float:
    """Root mean square distance of rows `[N, D]` from their mean; 0 if there is one."""
    if len(rows) == 1:
        return 0.0
    return float((rows - rows.mean(dim=0)).square().sum() / (len(rows) - 1)) ** 0.5
