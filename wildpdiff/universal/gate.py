"""How strange a picture is to what U learned from, and how much of the map's word to take for it.

The embedding itself cannot tell: it was trained to tell places apart, and finds a place in whatever it is shown. A gate
by its cosine with training places took noise and photographs of other worlds in full. The features that it is made of
can: they are compared one by one with what they were at training places.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

#: Share of validation places that lie nearer than where trust begins to fall.
FULL = 0.95


@dataclass(frozen=True)
class Gate:
    """Trust by strangeness (see `Sight.looked`): 1 up to `near`, 0 from `far` on, a straight line between.

    Attributes:
        near: within which 95% of validation places lie.
        far: as far beyond the strangest validation place as that lies beyond `near`.
    """

    near: float
    far: float

    @classmethod
    def of(cls, validation: Tensor) -> Gate:
        """Calibrate on the strangeness of single pictures of validation places, `[Q]`."""
        near, most = float(validation.quantile(FULL)), float(validation.max())
        return cls(near, most + max(most - near, 0.1 * near))

    def trust(self, strangeness: Tensor) -> Tensor:
        """How much of the map's word to take, `[P]`, in 0..1, for strangeness `[P]`."""
        return (1 - (strangeness - self.near) / (self.far - self.near)).clamp(0, 1)


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
            frame = (colour * stripes[None, :, None]).expand(3, size, size)
        else:
            frame = (colour * ramp[None, None, :]).expand(3, size, size)
        frames.append((frame * 255).round().to(torch.uint8))
    return torch.stack(frames)
