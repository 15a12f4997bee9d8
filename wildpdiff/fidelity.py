"""Whether samples are spread as fine-tuned rows are: distances, coverage, copies, and two-sample tests.

Accuracy cannot tell a generator that writes one adapter from one that writes many. What can is a comparison of its
samples with rows of the same kind that it was never shown.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from .errors import UserError

#: Fewer held-out rows than this say nothing of a distribution.
FEWEST = 8
#: Draws of equal numbers of samples and held-out rows that a two-sample test is averaged over.
ROUNDS = 10


@dataclass(frozen=True)
class Fidelity:
    """How samples compare with held-out rows; distances are Euclidean, all but `spread_raw` between coded rows.

    Attributes:
        samples, held_out, training: numbers of rows that were compared.
        spread_raw: mean pairwise distance of samples over that of held-out rows as they are (1 is ideal).
        spread: the same over held-out rows through the codec.
        energy: energy distance to the held-out rows over their mean pairwise distance (0 is ideal; unbiased, so chance
            makes it negative, too).
        nearest: mean distance to the nearest training row over that of held-out rows (1 is ideal, 0 are copies).
        coverage: share of held-out rows that are the nearest one to some sample.
        one_nn: accuracy of a leave-one-out nearest neighbour telling samples from held-out rows (0.5: it cannot).
        logistic: the same of a cross-validated logistic regression.
    """

    samples: int
    held_out: int
    training: int
    spread_raw: float
    spread: float
    energy: float
    nearest: float
    coverage: float
    one_nn: float
    logistic: float

    def to_json(self) -> dict[str, float]:
        """Rounded to four places."""
        return {key: round(value, 4) if isinstance(value, float) else value for key, value in asdict(self).items()}


def fidelity(
    samples: Tensor, held_out: Tensor, training: Tensor, *, raw: tuple[Tensor, Tensor] | None = None
) -> Fidelity:
    """Compare samples with held-out rows.

    Args:
        samples: coded rows `[N, k]` to judge.
        held_out: coded rows `[M, k]` that the generator was not shown.
        training: coded rows `[J, k]` that it was shown.
        raw: samples `[N, D]` and held-out rows `[M, D]` as they are, for `spread_raw`; None leaves it as `spread`.

    Raises:
        UserError: if there are fewer than 2 samples or 8 held-out rows.
    """
    if len(samples) < 2 or len(held_out) < FEWEST:
        raise UserError(
            f"Fidelity needs at least 2 samples and {FEWEST} held-out rows, not {len(samples)} and {len(held_out)}."
        )
    spread = ratio(mean_distance(samples), mean_distance(held_out))
    return Fidelity(
        len(samples), len(held_out), len(training),
        spread if raw is None else ratio(mean_distance(raw[0]), mean_distance(raw[1])),
        spread,
        energy_distance(samples, held_out),
        ratio(nearest_distance(samples, training), nearest_distance(held_out, training)),
        float(distances(samples, held_out).argmin(dim=1).unique().numel() / len(held_out)),
        one_nn(samples, held_out),
        logistic(samples, held_out),
    )  # fmt: skip


def ratio(value: float, other: float) -> float:
    """`value` over `other`; 0 where both are 0, and never a division by zero."""
    return value / other if other > 0 else 0.0 if value <= 0 else float("inf")


def mean_distance(rows: Tensor) -> float:
    """Mean pairwise distance of rows `[N, ...]`; 0 if there is only one."""
    return float(torch.pdist(rows.float()).mean()) if len(rows) > 1 else 0.0


def nearest_distance(rows: Tensor, known: Tensor) -> float:
    """Mean distance of rows `[N, k]` to the nearest of `known` `[M, k]`."""
    return float(distances(rows, known).min(dim=1).values.mean())


def distances(first: Tensor, second: Tensor) -> Tensor:
    """Euclidean distances `[N, M]`, exactly 0 between equal rows (the quicker formula by products is not)."""
    return torch.cdist(first.float(), second.float(), compute_mode="donot_use_mm_for_euclid_dist")


def energy_distance(first: Tensor, second: Tensor) -> float:
    """Energy distance (Székely and Rizzo) of two sets of rows, over the mean pairwise distance of the second.

    Twice the mean distance between the sets less the mean distances within; an unbiased estimate of 0 for two draws of
    one distribution.
    """
    between = 2 * float(distances(first, second).mean())
    return ratio(between - mean_distance(first) - mean_distance(second), mean_distance(second))


def one_nn(samples: Tensor, held_out: Tensor) -> float:
    """Leave-one-out accuracy of the nearest neighbour on as many samples as held-out rows, over `ROUNDS` draws."""
    return _over_draws(samples, held_out, _neighbour)


def logistic(samples: Tensor, held_out: Tensor) -> float:
    """Cross-validated accuracy of a logistic regression on as many samples as held-out rows, over `ROUNDS` draws."""
    return _over_draws(samples, held_out, _regression)


def _over_draws(samples: Tensor, held_out: Tensor, test: object) -> float:
    count, rng = min(len(samples), len(held_out)), torch.Generator().manual_seed(0)
    label = torch.arange(2 * count) >= count
    found = []
    for _ in range(ROUNDS):
        one, other = (rows[torch.randperm(len(rows), generator=rng)[:count]] for rows in (samples, held_out))
        found.append(test(torch.cat([one, other]), label))  # type: ignore[operator]
    return sum(found) / len(found)


def _neighbour(rows: Tensor, label: Tensor) -> float:
    apart = distances(rows, rows).fill_diagonal_(torch.inf)
    return float((label[apart.argmin(dim=1)] == label).float().mean())


def _regression(rows: Tensor, label: Tensor) -> float:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    scaled = ((rows - rows.mean(0)) / rows.std().clamp(min=1e-12)).numpy()
    folds = StratifiedKFold(min(5, len(rows) // 2), shuffle=True, random_state=0)
    return float(cross_val_score(LogisticRegression(max_iter=500), scaled, label.numpy(), cv=folds).mean())
