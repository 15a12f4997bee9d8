"""The linear codec: raw rows <-> coefficients along the principal directions of all rows that it was fitted to."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import UserError

#: Steps on either side of zero that a stored number of the basis can take.
STEPS = 127
#: Numbers of a row that are taken at once as doubles: a row of up to so many whole, longer ones in smaller parts.
WHOLE, PART = 131_072, 32_768


@dataclass(frozen=True)
class LinearCodecConfig:
    """Shape of a `LinearCodec`: D numbers in a row, and k directions."""

    dim: int
    components: int = 64


class LinearCodec(nn.Module):
    """Codes a raw row `[D]` as a latent `[1, k]`: its coefficients along k principal directions, over one scale.

    Independent fine-tuning runs end in directions of their own that no row of another run holds, so a codec has to
    keep them; a small network that is shared by all directions keeps half of their distances, the k widest directions
    nearly all. Everything is linear: equal mixtures of rows and of latents are the same thing, and distances between
    latents are distances between decoded rows, divided by `unit`.

    The basis is stored as 8-bit integers with one scale a direction. That turns directions by less than a hundredth;
    coefficients are least-squares ones for the basis as it is stored, so decoding and encoding are exact inverses.
    """

    mean: Tensor
    basis: Tensor
    scale: Tensor
    solve: Tensor
    unit: Tensor

    def __init__(self, config: LinearCodecConfig) -> None:
        super().__init__()
        self.config = config
        dim, k = config.dim, config.components
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("basis", torch.zeros(dim, k, dtype=torch.int8))
        self.register_buffer("scale", torch.ones(k))
        self.register_buffer("solve", torch.eye(k))
        self.register_buffer("unit", torch.ones(()))
        self._spread: Tensor | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """C and L of a latent: 1 and k."""
        return 1, self.config.components

    @torch.no_grad()
    def fit(self, rows: Tensor) -> None:
        """Take the principal directions of raw rows `[N, D]`; directions that they do not span stay empty.

        Raises:
            UserError: if there are no rows, or a number is not finite.
        """
        if rows.ndim != 2 or not len(rows):
            raise UserError("A codec needs at least one adapter, as rows [N, D].")
        if not rows.isfinite().all():
            raise UserError("Some adapters hold numbers that are not finite; remove them from the zoo.")
        self.mean.copy_(rows.mean(0))
        directions, spread = widest(rows.float() - self.mean, self.config.components)
        count = directions.shape[1]
        largest = directions.abs().amax(0).clamp(min=1e-12)
        self.basis.zero_()
        self.basis[:, :count] = (directions / largest * STEPS).round().to(torch.int8)
        self.scale.fill_(1.0)
        self.scale[:count] = largest / STEPS
        self._spread = None
        basis = self._directions().double()
        self.solve.copy_(torch.linalg.pinv(basis.mT @ basis, hermitian=True).float())
        self.unit.copy_((spread.square().sum() / len(rows) / self.config.components).sqrt().clamp(min=1e-6))

    def encode(self, rows: Tensor) -> Tensor:
        """Raw rows `[N, D]` -> latents `[N, 1, k]`, about unit scale."""
        coefficients = (rows.to(self.mean.device).float() - self.mean) @ self._directions() @ self.solve
        return (coefficients / self.unit)[:, None]

    def decode(self, latents: Tensor) -> Tensor:
        """Latents `[N, 1, k]` -> raw rows `[N, D]`."""
        return (latents[:, 0] * self.unit) @ self._directions().mT + self.mean

    def _directions(self) -> Tensor:
        """The basis as it is stored, `[D, k]`, kept as floating-point numbers after the first use."""
        if self._spread is None or self._spread.device != self.basis.device:
            self._spread = self.basis.float() * self.scale
        return self._spread

    def _load_from_state_dict(self, *args: object, **kwargs: object) -> None:
        self._spread = None
        super()._load_from_state_dict(*args, **kwargs)  # type: ignore[arg-type]


def products(rows: Tensor) -> Tensor:
    """All inner products of rows `[N, D]` in double precision, `[N, N]`, without long rows as doubles all at once."""
    parts = rows.split(WHOLE if rows.shape[1] <= WHOLE else PART, dim=1)
    doubles = (part.double() for part in parts)
    return sum((part @ part.mT for part in doubles), torch.zeros(len(rows), len(rows)).to(rows).double())


def widest(centred: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The at most k widest directions of centred rows `[N, D]`, orthonormal `[D, K]`, and their singular values `[K]`.

    By way of the rows' N x N products: exact, and for fewer rows than numbers far cheaper than a decomposition.
    """
    squares, turn = torch.linalg.eigh(products(centred))
    squares, turn = squares.flip(0).clamp(min=0), turn.flip(1)
    kept = int((squares > 1e-10 * squares[0].clamp(min=1e-30)).sum())
    kept = min(k, kept)
    values = squares[:kept].sqrt()
    return (centred.mT @ (turn[:, :kept] / values).float()), values.float()
