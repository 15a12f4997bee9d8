"""A place's prior without a map: by expectation-maximisation from unlabelled photographs, calibrated and shrunk.

Plain EM (Saerens et al., 2002) from a classifier that is too sure of itself hurts. So confidence is first calibrated by
one temperature, and the estimate is held to a starting prior as if that had been counted on so many photographs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

ROUNDS = 30
TEMPERATURES = (0.8, 1.0, 1.25, 1.5, 2.0, 2.5)
STRENGTHS = (3.0, 10.0, 30.0, 100.0, 300.0)


@dataclass(frozen=True)
class Shrinking:
    """How EM is calibrated: logits are divided by `temperature`; the start counts as `strength` photographs."""

    temperature: float = 1.0
    strength: float = 0.0


def estimated(logits: Tensor, start: Tensor, how: Shrinking) -> Tensor:
    """The log prior of places' classes by EM, `[..., K]`.

    Args:
        logits: balanced ones of each place's unlabelled photographs, `[..., n, K]`; n may be 0.
        start: log prior to begin with, and to be held to, `[..., K]`.
        how: the calibration.
    """
    likely, first = (logits / how.temperature).softmax(dim=-1), start.softmax(dim=-1)
    shares, count = first, logits.shape[-2]
    for _ in range(ROUNDS if count else 0):
        weighted = likely * shares[..., None, :]
        counts = (weighted / weighted.sum(dim=-1, keepdim=True).clamp(min=1e-12)).sum(dim=-2)
        shares = (counts + how.strength * first) / (count + how.strength)
    return shares.clamp(min=1e-5).log().log_softmax(dim=-1)


def calibrated(logits: Sequence[Tensor], labels: Sequence[Tensor], starts: Sequence[Tensor], count: int) -> Shrinking:
    """The calibration that is best at validation places, by the loss of photographs that EM did not see.

    Args:
        logits: balanced ones of each place's photographs, `[M, K]`.
        labels: of these, `[M]`.
        starts: the log prior to begin with at each, `[K]`.
        count: of photographs that EM sees, the first ones.
    """

    def loss(how: Shrinking) -> float:
        found = [
            cross_entropy(own[count:] / how.temperature + estimated(own[:count], start, how), right[count:])
            for own, right, start in zip(logits, labels, starts, strict=True)
        ]
        return float(torch.stack(found).mean())

    choices = [Shrinking(heat, strength) for heat in TEMPERATURES for strength in STRENGTHS]
    return min(choices, key=loss)
