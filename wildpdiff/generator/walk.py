"""The way from noise to latents: for one condition, for a blend of two, or for none."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import UserError
from .config import ConditionConfig
from .denoiser import Denoiser
from .diffusion import Schedule, trajectory
from .residual import ResidualDenoiser


@dataclass(frozen=True)
class Blend:
    """Conditions of N adapters: embeddings `[N, E]` of the first and the second, and the shares `[N]` of the second."""

    first: Tensor
    second: Tensor
    shares: Tensor

    @classmethod
    def of(
        cls,
        wanted: ConditionConfig | None,
        first: Tensor | None,
        second: Tensor | None,
        weight: float | Tensor,
        device: torch.device,
    ) -> Blend | None:
        """Checked conditions on a device; None for a generator that takes none.

        Args:
            wanted: what the generator is told; None of one that is told nothing.
            first: one embedding for each adapter, `[N, E]`.
            second: a second one for each.
            weight: how far to go towards the second, 0..1, for all or for each `[N]`.
            device: where they are needed.

        Raises:
            UserError: if a condition is missing, not asked for, of another shape or not finite, or a weight is out of
                range.
        """
        if wanted is None and first is None and second is None:
            return None
        if wanted is None or first is None or second is None:
            raise UserError("This generator takes no condition." if first is not None else "The condition is missing.")
        first, second = (_checked(own, wanted).to(device) for own in (first, second))
        shares = torch.as_tensor(weight, dtype=torch.float32, device=device).expand(len(first))
        if len(second) != len(first) or not bool(((shares >= 0) & (shares <= 1)).all()):
            raise UserError("A blend needs two conditions for each adapter, and a weight in 0..1.")
        return cls(first, second, shares)

    @property
    def blended(self) -> Tensor:
        """The embedding of each blend, `[N, E]`."""
        return self.first + (self.second - self.first) * self.shares[:, None]

    @property
    def between(self) -> bool:
        """Whether any of them lies between its ends."""
        return bool(((self.shares > 0) & (self.shares < 1)).any())


def _checked(condition: Tensor, wanted: ConditionConfig) -> Tensor:
    if condition.ndim != 2 or condition.shape[1] != wanted.dim or not len(condition):
        raise UserError(
            f"The condition has shape {list(condition.shape)}, but '{wanted.name}' embeddings are [N, {wanted.dim}]."
        )
    if not condition.isfinite().all():
        raise UserError("The condition holds numbers that are not finite; use another picture of the place.")
    return condition.float()


def check_guidance(guidance: float) -> None:
    """Refuse a guidance that is no number.

    Raises:
        UserError: if it is not finite.
    """
    if not math.isfinite(guidance):
        raise UserError("The guidance must be a finite number; 1 follows the condition as trained.")


@torch.no_grad()
def walked(
    denoiser: ResidualDenoiser | Denoiser,
    schedule: Schedule,
    blend: Blend | None,
    noise: Tensor,
    steps: int,
    *,
    guidance: float,
    eta: float,
    rngs: Sequence[torch.Generator],
) -> Iterator[tuple[Tensor, Tensor]]:
    """Denoise; arguments and what is yielded as of `AdapterGenerator.walk`, which checks them.

    Args:
        denoiser: the network.
        schedule: its noise levels.
        blend: the conditions; None for a generator that takes none.
        noise: to start from, `[N, C, L]`.
        steps: of sampling.
        guidance: how far to follow the condition.
        eta: fresh noise in every step.
        rngs: that it comes from, one for each adapter.
    """
    how: dict[str, Any] = {"eta": eta, "rngs": rngs}
    if blend is None:
        for noisy, clean in trajectory(lambda x, t: denoiser(x, t, None), noise, schedule, steps, **how):
            yield denoiser.place(noisy, None), denoiser.place(clean, None)
        return
    blended, count = blend.blended, len(blend.first)
    apart = isinstance(denoiser, ResidualDenoiser) and blend.between
    ends = torch.cat([blend.first, blend.second]) if apart else blended
    null = denoiser.unconditional(len(ends))

    def denoise(noisy: Tensor, t: Tensor) -> Tensor:
        if guidance in (0, 1):
            return denoiser(noisy, t, ends if guidance else null)
        follow, ignore = denoiser(noisy.repeat(2, 1, 1), t.repeat(2), torch.cat([ends, null])).chunk(2)
        return ignore + guidance * (follow - ignore)

    def placed(latents: Tensor) -> Tensor:
        if apart:
            latents = latents[:count].lerp(latents[count:], blend.shares[:, None, None])
        return denoiser.place(latents, blended, guidance)

    start = noise.repeat(2, 1, 1) if apart else noise
    for noisy, clean in trajectory(denoise, start, schedule, steps, **how):
        yield placed(noisy), placed(clean)
