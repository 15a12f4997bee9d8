"""Raw rows <-> unit-scale rows."""

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..network.adapter import AdapterLayout

SMALLEST_SCALE = 1e-4


class Standardizer(nn.Module):
    """A z-score for rows: the mean of every parameter, one scale for every weight tensor.

    The paper (section 3.2) standardises layer by layer. With one mean per layer almost all the energy that is left
    is the static mean adapter, which is the same in every row, so here each of the D parameters has its own mean.
    The scale stays shared within a weight tensor: it brings the tensors to one size, yet a parameter that hardly
    moves does not become as important as one that moves much.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, dim: int) -> None:
        """A standardizer of rows `[D]` that changes nothing until it is fitted or loaded."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))

    @classmethod
    def fit(cls, rows: Tensor, layout: AdapterLayout) -> "Standardizer":
        """Measure raw rows `[N, D]`.

        The scale is the root mean square of the deviation from the mean, over the rows and a tensor's entries, and at
        least 1e-4 (a weight that never moves stays where it is, and the number survives float16).

        Raises:
            UserError: if there are no rows, or they do not fit the layout, or are not finite.
        """
        layout.check(rows)
        if rows.ndim != 2 or not len(rows):
            raise UserError("Standardising needs at least one adapter, as rows [N, D].")
        if not rows.isfinite().all():
            raise UserError("Some adapters hold numbers that are not finite; remove them from the zoo.")
        standardizer = cls(layout.dim).to(rows.device)
        standardizer.mean.copy_(rows.mean(0))
        variance = (rows - standardizer.mean).square().mean(0)
        for part in layout.slices.values():
            standardizer.scale[part] = variance[part].mean().sqrt().clamp(min=SMALLEST_SCALE)
        return standardizer

    def normalize(self, rows: Tensor) -> Tensor:
        """Raw rows `[..., D]` -> unit-scale rows."""
        return (rows - self.mean) / self.scale

    def denormalize(self, rows: Tensor) -> Tensor:
        """Unit-scale rows `[..., D]` -> raw rows."""
        return rows * self.scale + self.mean
