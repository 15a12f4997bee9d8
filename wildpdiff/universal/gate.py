"""How far what is known of a place lies from all training places, and how much of the map's word to take for it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

#: Share of validation places that lie nearer than where trust begins to fall.
FULL = 0.95


@dataclass(frozen=True)
class Gate:
    """Trust by distance: 1 up to `near`, 0 from `far` on, a straight line between.

    Attributes:
        known: embeddings of training places, length 1, `[J, E]`.
        near: 1 - cosine to the nearest of them within which 95% of validation places lie.
        far: as far again beyond the farthest validation place as that lies beyond `near`.
    """

    known: Tensor
    near: float
    far: float

    @classmethod
    def of(cls, known: Tensor, validation: Tensor) -> Gate:
        """Calibrate on embeddings of training places `[J, E]` and of single pictures of validation places `[Q, E]`."""
        gate = cls(normalize(known.float(), dim=1), 0.0, 1.0)
        found = gate.distances(validation)
        near, most = float(found.quantile(FULL)), float(found.max())
        return cls(gate.known, near, most + max(most - near, 0.1 * near))

    def distances(self, embeddings: Tensor) -> Tensor:
        """1 - cosine of each embedding `[P, E]` to the nearest training place, `[P]`."""
        return 1 - (normalize(embeddings.float(), dim=1) @ self.known.T).max(dim=1).values

    def trust(self, embeddings: Tensor) -> Tensor:
        """How much of the map's word to take, `[P]`, in 0..1."""
        away = (self.distances(embeddings) - self.near) / max(self.far - self.near, 1e-6)
        return (1 - away).clamp(0, 1)


def far_conditions(size: int, count: int = 16) -> Tensor:
    """Pictures that show no place: noise, plain colours, stripes and ramps, uint8 `[count, 3, size, size]`."""
    rng = torch.Generator().manual_seed(0)
    ramp = torch.linspace(0, 1, size)
    frames = []
    for index in range(count):
        colour = torch.rand(3, 1, 1, generator=rng)
        kind = index % 4
        if kind == 0:
            frame = torch.rand(3, size, size, generator=rng)
        elif kind == 1:
            frame = colour.expand(3, size, size)
        elif kind == 2:
            stripes = 0.5 + 0.5 * torch.sign(torch.sin(ramp * (8 + 6 * index)))
            frame = colour * stripes[None, :, None].expand(1, size, size)
        else:
            frame = colour * ramp[None, None, :].expand(1, size, size)
        frames.append((frame * 255).round().to(torch.uint8))
    return torch.stack(frames)
