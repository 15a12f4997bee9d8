"""Several adapters on the same labelled photographs, in growing frames: counts, intervals, paired differences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..evaluate import wilson
from ..measure.statistics import difference
from ..network.folded import Adapter
from ..plots.invent import Gap, Share
from ..worlds.base import Images
from .studio import Studio


@dataclass(frozen=True)
class Arm:
    """One adapter of a trial: what the page calls it, and its raw row `[D]` or another form of it; a row of zeros
    changes nothing."""

    name: str
    adapter: Adapter


@dataclass(frozen=True)
class Score:
    """What each of J adapters said of M photographs.

    Attributes:
        arms: their names; the first is the one that the others are compared with.
        named: the classes that they named, int64 `[J, M]`.
        labels: the true classes, int64 `[M]`.
    """

    arms: tuple[str, ...]
    named: Tensor
    labels: Tensor

    @classmethod
    def nothing(cls, arms: Sequence[str]) -> Score:
        """The score before the first photograph."""
        return cls(tuple(arms), torch.zeros(len(arms), 0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))

    @property
    def right(self) -> Tensor:
        """Which photographs each adapter names correctly, bool `[J, M]`."""
        return self.named == self.labels

    def shares(self, *, label: int | None = None) -> list[Share]:
        """Each adapter's share of all photographs, or of those of one class."""
        table = self.right if label is None else self.right[:, self.labels == label]
        counts, total = table.sum(dim=1).tolist(), table.shape[1]
        return [Share(name, right, total, *wilson(right, total)) for name, right in zip(self.arms, counts, strict=True)]

    def gaps(self) -> list[Gap]:
        """The first adapter minus each other on the same photographs; none before there are two photographs."""
        if len(self.labels) < 2:
            return []
        found = [difference(self.right[:1], self.right[place, None]) for place in range(1, len(self.arms))]
        return [
            Gap(name, 100 * part["mean"], 100 * part["low"], 100 * part["high"], bool(part["real"]))
            for name, part in zip(self.arms[1:], found, strict=True)
        ]

    def mistakes(self, *, arm: int = 0) -> list[tuple[int, int, int, int]]:
        """An adapter's commonest mistakes as (true class, named class, how often, photographs of the true class)."""
        wrong = ~self.right[arm]
        pairs = Counter(zip(self.labels[wrong].tolist(), self.named[arm][wrong].tolist(), strict=True))
        totals = Counter(self.labels.tolist())
        ordered = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))
        return [(true, named, times, totals[true]) for (true, named), times in ordered]

    def telling(self, most: int, *, first: int = 0, second: int = 1) -> list[int]:
        """Up to `most` photographs to look at: those that only one of two adapters names correctly come first.

        Among these, the two kinds alternate as long as both last; the rest follow in their order.
        """
        a, b = self.right[first], self.right[second]
        gained, lost = (a & ~b).nonzero()[:, 0].tolist(), (b & ~a).nonzero()[:, 0].tolist()
        turns = [place for pair in zip(gained, lost, strict=False) for place in pair]
        shorter = min(len(gained), len(lost))
        same = (a == b).nonzero()[:, 0].tolist()
        return [*turns, *gained[shorter:], *lost[shorter:], *same][:most]


def scores(studio: Studio, arms: Sequence[Arm], batches: Iterable[Images]) -> Iterator[Score]:
    """Show batches of photographs to all adapters; yields the score so far after each batch.

    The classifiers are private copies that are handed back when the iterator is closed or ends.
    """
    score = Score.nothing([arm.name for arm in arms])
    with studio.wearing([arm.adapter for arm in arms]) as networks:
        for batch in batches:
            named = studio.predictions(networks, batch.pixels)
            labels = torch.cat([score.labels, batch.labels])
            score = Score(score.arms, torch.cat([score.named, named], dim=1), labels)
            yield score


def plain_row(studio: Studio) -> Tensor:
    """The row `[D]` that changes nothing: the pretrained classifier."""
    return torch.zeros(studio.bundle.layout.dim)


def nearest(studio: Studio, embedding: Tensor) -> list[tuple[str, float]]:
    """The seen locations with the cosine of their condition and an embedding `[E]`, the most alike first."""
    seen = studio.bundle.seen
    known = torch.stack([studio.bundle.embedding(name) for name in seen])
    alike = torch.nn.functional.cosine_similarity(known, embedding[None]).tolist()
    return sorted(zip(seen, alike, strict=True), key=lambda pair: -pair[1])


def tuned(studio: Studio, regime: str, location: str) -> Tensor:
    """The mean fine-tuned row `[D]` of a seen location in a regime."""
    return studio.means(regime)[studio.bundle.seen.index(location)]


def stopped(text: str) -> str:
    """What the page says when a trial was stopped after the sentence `text`."""
    before = f"{text.removesuffix(' …')}. " if text else ""
    return f"Stopped. {before}What was measured so far stays."


def compared(gaps: Sequence[Gap]) -> str:
    """Which differences there are: one is called so only if its interval excludes zero."""
    kinds = (
        ("more than", [f"{gap.name} {gap.text}" for gap in gaps if gap.real and gap.mean > 0]),
        ("less than", [f"{gap.name} {gap.text}" for gap in gaps if gap.real and gap.mean < 0]),
        ("no difference shown from", [gap.name for gap in gaps if not gap.real]),
    )
    text = "; ".join(f"{word} {_listed(names)}" for word, names in kinds if names)
    return f"In points, with 95% intervals: {text}." if text else ""


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
