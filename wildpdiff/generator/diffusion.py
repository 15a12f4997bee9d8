"""The diffusion process over latents: its noise schedule, the training loss, and the DDIM sampler."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from ..errors import UserError
from ..training.loop import WHOLE
from .denoiser import Denoiser

Denoise = Callable[[Tensor, Tensor], Tensor]
"""(noisy latents `[N, C, L]`, times `[N]`) -> estimates of the clean latents `[N, C, L]`."""

MOST_STEPS = 1000


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
        _check_steps(steps, self.timesteps)
        return [round(self.timesteps * (steps - i) / steps) - 1 for i in range(steps)]


@dataclass(frozen=True)
class KarrasSchedule:
    """Noise levels by sigma, noise over signal (Karras et al., 2022): even strides of sigma to the power of 1 / rho.

    Latents stay at unit variance: signal 1 / sqrt(1 + sigma^2), noise sigma / sqrt(1 + sigma^2).
    """

    smallest: float = 0.002
    largest: float = 80.0
    rho: float = 7.0

    def rates(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Factors on signal and noise at sigmas `[B]`, each `[B, 1, 1]`; their squares add up to 1."""
        signal = (1 + t.square()).rsqrt().view(-1, 1, 1)
        return signal, t.view(-1, 1, 1) * signal

    def times(self, steps: int) -> list[float]:
        """The S sigmas of a sampling run, falling from `largest` to `smallest`.

        Raises:
            UserError: if `steps` is not within 1..1000.
        """
        _check_steps(steps, MOST_STEPS)
        first, last = self.largest ** (1 / self.rho), self.smallest ** (1 / self.rho)
        return [(first + i / max(1, steps - 1) * (last - first)) ** self.rho for i in range(steps)]


#: Noise levels of a sampling run; a time is whatever the denoiser takes as its noise level.
Schedule = NoiseSchedule | KarrasSchedule


def _check_steps(steps: int, most: int) -> None:
    if not 1 <= steps <= most:
        raise UserError(f"{steps} sampling steps are not possible; choose 1 to {most}.")


def diffusion_loss(
    denoiser: Denoiser,
    latents: Tensor,
    condition: Tensor | None,
    schedule: NoiseSchedule,
    rng: torch.Generator,
    *,
    condition_dropout: float = 0.1,
    own: slice = WHOLE,
) -> Tensor:
    """Mean squared error of the denoiser's estimate of the clean latents, at one random timestep per sample.

    The plain form, as in the paper: the network predicts the clean latent itself, over latents of one scale. Where
    the differences within a location are 1% of the variance, it returns each condition's mean whatever the noise (see
    `residual.ResidualDenoiser`, which does not).

    Args:
        denoiser: the network to train.
        latents: clean latents of about unit scale, `[B, C, L]`.
        condition: an embedding for each, `[B, E]`, or None.
        schedule: the noise levels.
        rng: on the CPU; draws timesteps, noise and dropout.
        condition_dropout: share of samples whose condition is replaced by the learned null condition.
        own: the samples that the loss is of; what is random is drawn for all.

    Returns:
        A scalar.
    """
    t = torch.randint(schedule.timesteps, (len(latents),), generator=rng).to(latents.device)
    noise = torch.randn(latents.shape, generator=rng).to(latents.device)
    if condition is not None:
        dropped = torch.rand(len(latents), 1, generator=rng).to(latents.device) < condition_dropout
        condition = torch.where(dropped, denoiser.unconditional(len(latents)), condition)[own]
    latents, noise, t = latents[own], noise[own], t[own]
    return F.mse_loss(denoiser(schedule.add_noise(latents, noise, t), t, condition), latents)


def sample_ddim(
    denoise: Denoise,
    noise: Tensor,
    schedule: Schedule,
    steps: int,
    *,
    eta: float = 0.0,
    rngs: Sequence[torch.Generator] = (),
) -> Iterator[Tensor]:
    """DDIM (unclipped) from pure noise `[N, C, L]`: deterministic with `eta` 0, with fresh noise at every step else.

    Args:
        denoise: what estimates the clean latents.
        noise: of unit variance.
        schedule: the noise levels.
        steps: S.
        eta: share of DDPM's fresh noise that every step adds (Song et al., 2021, equation 16); 1 is ancestral sampling.
        rngs: on the CPU, needed where eta is not 0: one for each sample, or one for every so many samples in turn.

    Yields:
        The estimate of the clean latents, `[N, C, L]`, at each of the S = `steps` steps; the last one is the sample.

    Raises:
        UserError: if `steps` is not possible.
    """
    for _, clean in trajectory(denoise, noise, schedule, steps, eta=eta, rngs=rngs):
        yield clean


def trajectory(
    denoise: Denoise,
    noise: Tensor,
    schedule: Schedule,
    steps: int,
    *,
    eta: float = 0.0,
    rngs: Sequence[torch.Generator] = (),
) -> Iterator[tuple[Tensor, Tensor]]:
    """As `sample_ddim`, but yields the noisy latents beside the estimate that is made from them."""
    times = schedule.times(steps)
    noisy = noise
    for now, following in zip(times, [*times[1:], None], strict=True):
        t = torch.full((len(noisy),), now, device=noisy.device)
        clean = denoise(noisy, t)
        yield noisy, clean
        if following is not None:
            signal, spread = schedule.rates(t)
            later, less = schedule.rates(torch.full_like(t, following))
            fresh = eta * (less / spread) * (1 - (signal / later).square()).clamp(min=0).sqrt()
            direction = (less.square() - fresh.square()).clamp(min=0).sqrt()
            noisy = later * clean + direction * (noisy - signal * clean) / spread
            if eta:
                draws = [torch.randn(noisy.shape[1:], generator=rng) for rng in rngs]
                noisy = noisy + fresh * torch.stack(draws).to(noisy).repeat(len(noisy) // len(draws), 1, 1)
