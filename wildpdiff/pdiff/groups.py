"""What generated rows are held against: base, checkpoints, their average, noise, a Gaussian, means of a few."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..experiments.baselines import ensemble, gaussian_in_pca, means_of_few, noisy
from ..generator import AdapterGenerator
from ..weightspace import nearest
from .checkpoints import Checkpoints

#: Groups of rows in the order of tables, and how they are called there.
GROUPS = {
    "base": "base network",
    "originals": "originals, which the generator knows",
    "held_out": "held-out checkpoints",
    "codec": "held-out checkpoints through the codec",
    "average": "weight average of the originals",
    "means": "averages of 2 to 4 originals",
    "gaussian": "Gaussian in PCA",
    "noise": "originals with noise, equally far",
    "alike": "originals with noise, equally accurate",
    "generated": "generated",
}
SHORT = {
    "base": "base",
    "originals": "originals",
    "held_out": "held out",
    "codec": "codec",
    "average": "average",
    "means": "few averaged",
    "gaussian": "Gaussian",
    "noise": "noise",
    "alike": "noise, as accurate",
    "generated": "generated",
}
#: Sampling steps.
STEPS = 50


@dataclass(frozen=True)
class Groups:
    """Rows `[N, D]` by group; `alike` is missing, as it is found by measuring (see `stages`)."""

    known: Tensor
    held_out: Tensor
    generated: Tensor
    codec: Tensor

    @classmethod
    def of(cls, checkpoints: Checkpoints, generator: AdapterGenerator, generated: Tensor) -> Groups:
        """The groups of a trained generator's samples."""
        held_out = checkpoints.held_out
        return cls(checkpoints.known, held_out, generated, generator.reconstruct(held_out).cpu())

    def rows(self, name: str, count: int, *, seed: int) -> Tensor:
        """Rows of a group; of those that are drawn, `count`."""
        known = self.known
        if name == "base":
            return torch.zeros(1, known.shape[1])
        if name == "originals":
            return known
        if name in ("held_out", "codec", "generated"):
            rows: Tensor = getattr(self, name)
            return rows
        if name == "average":
            return ensemble(known)[None]
        if name == "means":
            return means_of_few(known, count, seed=seed)
        if name == "gaussian":
            return gaussian_in_pca(known, count, seed=seed, k=64)
        return self.noisy(1.0, count, seed=seed)

    def noisy(self, scale: float, count: int, *, seed: int) -> Tensor:
        """Originals moved in random directions by `scale` times the distance of generated rows to their nearest one."""
        distance = nearest(self.generated, self.known)[1]
        chosen = torch.linspace(0, len(self.known) - 1, count).round().long()
        return noisy(self.known[chosen], scale * distance[torch.arange(count) % len(distance)], seed)
