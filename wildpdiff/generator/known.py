"""What a generator learns from: latents, views of their conditions, and the curves between conditions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

#: Latents, of about unit scale, that differ by less are one and the same.
SAME = 1e-5


@dataclass(frozen=True)
class Curves:
    """Curves between the conditions that a generator is trained on (see `connect.curve`).

    Attributes:
        anchors: the rows at the ends of the curves, `[Q, D]`, Q conditions.
        hubs: the hubs that bend them, `[Q, D]`.
        pairs: the curves that the mean follows, by the numbers of their conditions.
    """

    anchors: Tensor
    hubs: Tensor
    pairs: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Known:
    """What a denoiser learns from: latents `[N, C, L]`, views of Q conditions `[Q, V, E]`, each latent's condition.

    Without conditions all latents are of one place, and there is nothing to see.
    """

    latents: Tensor
    embeddings: Tensor | None
    index: Tensor

    @property
    def conditions(self) -> int:
        """Q, or 1."""
        return 1 if self.embeddings is None else len(self.embeddings)

    def first_views(self) -> Tensor | None:
        """The first view of each latent's condition, `[N, E]`."""
        return None if self.embeddings is None else self.embeddings[self.index, 0].to(self.latents.device)

    def some_views(self, chosen: Tensor, rng: torch.Generator) -> Tensor | None:
        """A random view of the condition of each chosen latent, `[B, E]`."""
        if self.embeddings is None:
            return None
        views = torch.randint(self.embeddings.shape[1], (len(chosen),), generator=rng)
        return self.embeddings[self.index[chosen], views].to(self.latents.device)


def without_spread(latents: Tensor, index: Tensor, count: int) -> list[int]:
    """The conditions, of `count`, whose latents `[N, C, L]` are all equal, or that have only one."""
    found = []
    for place in range(count):
        own = latents[index.to(latents.device) == place].flatten(1)
        if len(own) < 2 or float((own - own[0]).abs().max()) < SAME:
            found.append(place)
    return found
