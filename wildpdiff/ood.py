"""How far a condition lies outside the known ones: a gauge calibrated on pictures whose place is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

Verdict = Literal["like a known location", "between", "outside", "cannot tell"]

#: Share of a group that may lie beyond its edge: 5% of known locations' pictures are not taken for one, and so on.
MISSED = 0.05
#: Share of other locations' pictures that must lie beyond the known ones' edge, or the gauge tells nothing.
TOLD_APART = 0.5


@dataclass(frozen=True)
class Reading:
    """Where one condition stands.

    Attributes:
        distance: 1 - cosine to the nearest known location, 0..2.
        nearest: all known locations with their cosine, most alike first.
        known_as_far: how many of the known locations' own pictures lie at least as far.
        others_nearer: how many pictures of other locations lie nearer or as near.
        verdict: in words; see `Gauge.read`.
    """

    distance: float
    nearest: tuple[tuple[str, float], ...]
    known_as_far: int
    others_nearer: int
    verdict: Verdict


@dataclass(frozen=True)
class Gauge:
    """Two measured groups of distances to the nearest known location, between which a new one finds its place.

    Attributes:
        names: the known locations.
        means: direction of each, `[P, E]`.
        known: distances of the known locations' own pictures, `[J]`, each measured without itself.
        others: distances of pictures of other locations, `[Q]`.
    """

    names: tuple[str, ...]
    means: Tensor
    known: Tensor
    others: Tensor

    @classmethod
    def of_views(cls, names: Sequence[str], known: Tensor, others: Tensor) -> Gauge:
        """Calibrate on single pictures.

        Args:
            names: P known locations.
            known: embeddings of G pictures of each, `[P, G, E]`, G at least 2.
            others: embeddings of pictures of locations that are not known, `[Q, G, E]`.
        """
        means = F.normalize(known.float().mean(dim=1), dim=1)
        return cls(tuple(names), means, _left_out(known.float(), means), distances(others.flatten(0, -2), means))

    @classmethod
    def of_means(cls, names: Sequence[str], means: Tensor, known: Tensor, others: Tensor) -> Gauge:
        """Calibrate on embeddings that have no part in the means, such as those of captions.

        Args:
            names: P known locations.
            means: mean embedding of each, `[P, E]`.
            known: embeddings that belong to known locations, `[J, E]`.
            others: embeddings that belong to other ones, `[Q, E]`.
        """
        unit = F.normalize(means.float(), dim=1)
        return cls(tuple(names), unit, distances(known, unit), distances(others, unit))

    @property
    def near(self) -> float:
        """The farthest distance that still counts as like a known location: at most 5% of their pictures lie beyond."""
        return float(self.known.sort(descending=True).values[_rank(len(self.known))])

    @property
    def far(self) -> float:
        """The nearest distance that counts as like another location: at most 5% of their pictures lie below."""
        return float(self.others.sort().values[_rank(len(self.others))])

    @property
    def told_apart(self) -> float:
        """Share of the other locations' pictures that lie beyond `near`: 1 is a perfect gauge, 0.05 a blind one."""
        return float((self.others > self.near).float().mean())

    @property
    def tells(self) -> bool:
        """Whether the two groups lie apart enough for a verdict to mean anything."""
        return self.told_apart >= TOLD_APART

    def read(self, embedding: Tensor) -> Reading:
        """Place one embedding `[E]`.

        The verdict is "like a known location" if it lies where their pictures do and the others' do not, "outside" the
        other way round, "between" if it lies in neither or in both, and "cannot tell" if the two groups lie so much in
        one another that no place on the scale means anything.
        """
        similar = F.normalize(embedding.float(), dim=0) @ self.means.T
        order = similar.argsort(descending=True).tolist()
        distance = float(1 - similar.max())
        return Reading(
            distance,
            tuple((self.names[place], float(similar[place])) for place in order),
            int((self.known >= distance).sum()),
            int((self.others <= distance).sum()),
            self._verdict(distance),
        )

    def _verdict(self, distance: float) -> Verdict:
        if not self.tells:
            return "cannot tell"
        like_known, like_others = distance <= self.near, distance >= self.far
        if like_known == like_others:
            return "between"
        return "like a known location" if like_known else "outside"


def distances(embeddings: Tensor, means: Tensor) -> Tensor:
    """1 - cosine of each embedding `[J, E]` to the nearest of the means of length 1 `[P, E]`: `[J]`."""
    return 1 - (F.normalize(embeddings.float(), dim=1) @ means.T).max(dim=1).values


def _left_out(views: Tensor, means: Tensor) -> Tensor:
    """Distance of each view `[P, G, E]` to the nearest location, its own one's mean taken without it: `[P * G]`."""
    places, count, _ = views.shape
    unit = F.normalize(views, dim=2)
    rest = F.normalize((views.sum(dim=1, keepdim=True) - views) / (count - 1), dim=2)
    similar = unit @ means.T
    own = torch.arange(places)
    similar[own, :, own] = (unit * rest).sum(dim=2)
    return 1 - similar.amax(dim=2).flatten()


def _rank(count: int) -> int:
    """How many of `count` measured values may lie beyond an edge so that a further one does so in at most 5%.

    A new value is as likely to fall before, between or behind the measured ones; so k of them lie beyond the edge where
    (k + 1) / (count + 1) is at most 5%. With fewer than 19 the edge is the outermost one, and nothing is promised.
    """
    return max(0, math.floor(MISSED * (count + 1)) - 1)
