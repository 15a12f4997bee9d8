"""The diffusion process over latents: its noise schedule, the training loss, and the DDIM sampler."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from .errors import UserError

Denoise = Callable[[Tensor, Tensor], Tensor]
"""(noisy latents `[N, C, L]`, timesteps `[N]`) -> estimates of the clean latents `[N, C, L]`."""


class ConditionalDenoiser(Protocol):
    """What `diffusion_loss` asks of a network; `wildpdiff.denoiser.Denoiser` is one."""

    def __call__(self, noisy: Tensor, t: Tensor, condition: Tensor | None) -> Tensor: ...

    def unconditional(self, count: int) -> Tensor: ...


@dataclass(frozen=True)
class NoiseSchedule:
    """A linear schedule: beta rises from `first` to `last` over T = `timesteps` timesteps."""

    timesteps: int = 1000
    first: float = 1e-4
    last: float = 0.02

    @cached_property
    def alphas_cumprod(self) -> Tensor:
        """Share of the variance that is still signal at each timestep, `[T]`, falling, on the CPU."""
        betas = torch.linspace(self.first, self.last, self.timesteps, dtype=torch.float64)
        return (1 - betas).cumprod(0).float()

    def rates(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Factors on signal and noise at timesteps `[B]`, each `[B, 1, 1]`; their squares add up to 1."""
        signal = self.alphas_cumprod.to(t.device)[t].view(-1, 1, 1)
        return signal.sqrt(), (1 - signal).sqrt()

    def add_noise(self, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Clean latents `[B, C, L]` as they are at timesteps `[B]`."""
        signal, spread = self.rates(t)
        return signal * clean + spread * noise

    def times(self, steps: int) -> list[int]:
        """The S timesteps of a sampling run, falling: from T - 1 in even strides ("trailing" spacing).

        Raises:
            UserError: if `steps` is not within 1..T.
        """
        if not 1 <= steps <= self.timesteps:
            raise UserError(f"{steps} sampling steps are not possible; choose 1 to {self.timesteps}.")
        return [round(self.timesteps * (steps - i) / steps) - 1 for i in range(steps)]


def diffusion_loss(
    denoiser: ConditionalDenoiser,
    latents: Tensor,
    condition: Tensor | None,
    schedule: NoiseSchedule,
    rng: torch.Generator,
    *,
    condition_dropout: float = 0.1,
) -> Tensor:
    """Mean squared error of the denoiser's estimate of the clean latents, at one random timestep per sample.

    The network predicts the clean latent itself (x0), neither the noise nor v: latents of adapters lie near a thin
    set (a few locations, a path of checkpoints at each) inside C x L numbers. A small network can output points of
    that set, but could not pass C x L numbers of noise through; and each step's estimate is an adapter to look at.

    Args:
        denoiser: the network to train.
        latents: clean latents of about unit scale, `[B, C, L]`.
        condition: an embedding for each, `[B, E]`, or None.
        schedule: the noise levels.
        rng: on the CPU; draws timesteps, noise and dropout.
        condition_dropout: share of samples whose condition is replaced by the learned null condition.

    Returns:
        A scalar.
    """
    t = torch.randint(schedule.timesteps, (len(latents),), generator=rng).to(latents.device)
    noise = torch.randn(latents.shape, generator=rng).to(latents.device)
    if condition is not None:
        dropped = torch.rand(len(latents), 1, generator=rng).to(latents.device) < condition_dropout
        condition = torch.where(dropped, denoiser.unconditional(len(latents)), condition)
    return F.mse_loss(denoiser(schedule.add_noise(latents, noise, t), t, condition), latents)


def sample_ddim(denoise: Denoise, noise: Tensor, schedule: NoiseSchedule, steps: int) -> Iterator[Tensor]:
    """Deterministic DDIM (eta 0, unclipped, "trailing" timesteps) from pure noise `[N, C, L]`.

    Yields:
        The estimate of the clean latents, `[N, C, L]`, at each of the S = `steps` steps; the last one is the sample.

    Raises:
        UserError: if `steps` is not within 1..T.
    """
    times = schedule.times(steps)
    noisy = noise
    for now, following in zip(times, [*times[1:], None], strict=True):
        t = torch.full((len(noisy),), now, device=noisy.device)
        clean = denoise(noisy, t)
        yield clean
        if following is not None:
            signal, spread = schedule.rates(t[:1])
            noisy = schedule.add_noise(clean, (noisy - signal * clean) / spread, torch.full_like(t, following))
