"""Generator U on the page: adapters for a visitor's picture, words or invented place, and what U expects there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..network.folded import Adapter
from ..universal.map import Known
from ..universal.universal import Universal, Written
from .studio import Studio
from .words import spoken

Json = dict[str, Any]
#: Species of which it is told how often they are expected, samples by whose spread, and the share of these between.
EXPECTED, SAMPLES, BETWEEN = 6, 64, 0.9


@dataclass(frozen=True)
class Halves:
    """Which halves of an adapter are a place's own: the `residual` beside the joint row, and the species `prior`."""

    residual: bool = True
    prior: bool = True

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Halves:
        """What an event of the page says of them; both, if it says nothing."""
        return cls(*(data.get(name) is not False for name in ("residual", "prior")))


#: An adapter that is a place's own altogether.
BOTH = Halves()
#: The adapter for all places.
NEITHER = Halves(residual=False, prior=False)


@dataclass(frozen=True)
class Served:
    """What U wrote for one place.

    Attributes:
        row: raw, `[D]`.
        adapter: the row and the prior as a network takes them on.
        beside: what was written beside the joint row, `[D]`.
        written: all of it.
    """

    row: Tensor
    adapter: Adapter
    beside: Tensor
    written: Written


def served(studio: Studio, universal: Universal, known: Known, halves: Halves = BOTH) -> Served:
    """The adapter of a place by what U knows of it."""
    written = universal.write(known, residual=halves.residual, prior=halves.prior)
    row = written.rows[0].detach()
    [adapter] = universal.adapters(studio.bundle.backbone, Written(row[None], written.log_prior, written.trust))
    return Served(row, adapter, row - universal.model.joint.detach(), written)


def expected(studio: Studio, universal: Universal, known: Known) -> list[list[Any]]:
    """The species that U expects most at a place: name, share, where 90% of samples lie, and the share elsewhere."""
    shares = universal.write(known).log_prior[0].exp()
    spread = universal.write(known, samples=SAMPLES).log_prior.exp()
    low, high = (spread.quantile(edge, dim=0) for edge in ((1 - BETWEEN) / 2, (1 + BETWEEN) / 2))
    usual = universal.model.usual.softmax(dim=0)
    species = studio.bundle.world.species
    return [
        [spoken(species[at]), *(round(float(part[at]), 4) for part in (shares, low, high, usual))]
        for at in shares.argsort(descending=True)[:EXPECTED].tolist()
    ]


def trusted(served: Served, halves: Halves = BOTH, *, picture: bool = True) -> str:
    """How much of U's word was taken, in a sentence; of a place by a picture, or by words."""
    trust = served.written.trust
    if not (halves.residual or halves.prior):
        return "Both of generator U's parts are switched off: this is the adapter for all places."
    return _trusted_picture(trust) if picture else _trusted_words(trust)


def _trusted_words(trust: float) -> str:
    if trust >= 1:
        return "Generator U knows all of these words, so its word is taken in full."
    if trust <= 0:
        return (
            "Generator U knows none of these words, so its gate is closed: the adapter is the one for all places, with "
            "their mean prior."
        )
    return f"Generator U knows {trust:.0%} of these words, so as much of its word is taken."


def _trusted_picture(trust: float) -> str:
    if trust >= 1:
        return "The place looks like those that generator U learned at, so its word is taken in full."
    if trust <= 0:
        return (
            "This looks like no place that generator U learned at, so its gate is closed: the adapter is the one for "
            "all places, with their mean prior."
        )
    return f"The place looks a little unlike those that generator U learned at: {trust:.0%} of its word is taken."


def alike(first: Tensor, others: Tensor) -> list[float]:
    """Cosines of what is written beside the joint row `[D]` with that of other places `[Q, D]`; 0 where nothing is."""
    return torch.nn.functional.cosine_similarity(first[None], others, dim=1, eps=1e-8).tolist()
