"""The denoiser that samples: a mean that the condition predicts, and a diffusion over what is left of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from ..training.loop import WHOLE
from .denoiser import reader


@dataclass(frozen=True)
class ResidualConfig:
    """Shape of a `ResidualDenoiser`.

    Attributes:
        condition_dim: E, numbers in a condition's embedding; 0 of a denoiser that knows no condition.
        length: k, numbers in a latent.
        mean_width: hidden numbers of the mean's network.
        width: numbers between the blocks.
        depth: blocks.
        dropout: share of numbers inside a block that is dropped in training.
    """

    condition_dim: int
    length: int = 64
    mean_width: int = 256
    width: int = 256
    depth: int = 4
    dropout: float = 0.0


class Block(nn.Module):
    """A residual block on `[B, W]`; the embedding sets scale and shift of its normalised input. Starts as identity."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.film = nn.Linear(width, 2 * width)
        self.inner = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.outer = nn.Linear(width, width)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.film(embedding).chunk(2, dim=1)
        hidden = F.silu(torch.addcmul(shift, self.norm(x), 1 + scale))
        return x + self.outer(self.dropout(F.silu(self.inner(hidden))))


class ResidualDenoiser(nn.Module):
    """Estimates clean residuals `[N, 1, k]` from noisy ones, and predicts the mean that they are residuals of.

    A squared error over whole latents sees mostly what differs between locations: what differs within one is 1% to
    30% of the variance, and a plain denoiser blurs it, or returns each condition's mean. So the condition predicts the
    mean with a network of its own (`mean`), and the diffusion runs over the residual, turned into its principal
    directions, each divided by the square root of its spread, at unit scale over all.

    The estimate is preconditioned (Karras et al., 2022, with unit data): `signal * noisy + noise * network`, so that
    at the lowest noise a residual comes back as it went in.
    """

    centre: Tensor
    whiten: Tensor
    colour: Tensor
    condition_mean: Tensor
    condition_scale: Tensor
    frequencies: Tensor

    def __init__(self, config: ResidualConfig) -> None:
        super().__init__()
        self.config = config
        k, width = config.length, config.width
        self.mean_head = reader(config.condition_dim, config.mean_width, k)
        self.null = nn.Parameter(torch.zeros(width))
        self.condition = reader(config.condition_dim, width, width)
        self.level = nn.Sequential(nn.Linear(64, width), nn.SiLU(), nn.Linear(width, width))
        self.into = nn.Linear(k, width)
        self.blocks = nn.ModuleList(Block(width, config.dropout) for _ in range(config.depth))
        self.out = nn.Linear(width, k)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.register_buffer("centre", torch.zeros(k))
        self.register_buffer("whiten", torch.eye(k))
        self.register_buffer("colour", torch.eye(k))
        self.register_buffer("condition_mean", torch.zeros(config.condition_dim))
        self.register_buffer("condition_scale", torch.ones(()))
        self.register_buffer("frequencies", torch.exp(torch.linspace(0, math.log(100), 32)) / 4, persistent=False)

    def forward(self, noisy: Tensor, sigma: Tensor, condition: Tensor | None = None) -> Tensor:
        """Estimate the clean residuals.

        Args:
            noisy: residuals under noise, of unit variance: `(clean + sigma * noise) / sqrt(1 + sigma^2)`, `[B, 1, k]`.
            sigma: noise over signal of each, `[B]`.
            condition: embedding of each, `[B, E]`, NaN where it is dropped; None drops all.

        Returns:
            `[B, 1, k]`.
        """
        signal = (1 + sigma.square()).rsqrt().view(-1, 1, 1)
        return signal * noisy + (1 - signal.square()).clamp(min=0).sqrt() * self.network(noisy, sigma, condition)

    def network(self, noisy: Tensor, sigma: Tensor, condition: Tensor | None) -> Tensor:
        """What is trained: the part of the estimate that noise leaves open, `[B, 1, k]` of unit scale."""
        angles = sigma.log()[:, None] * self.frequencies
        embedding = F.silu(self.level(torch.cat([angles.sin(), angles.cos()], 1)) + self._embed(condition, len(noisy)))
        x = self.into(noisy[:, 0])
        for block in self.blocks:
            x = block(x, embedding)
        return self.out(x)[:, None]

    def _embed(self, condition: Tensor | None, count: int) -> Tensor:
        if condition is None:
            return self.null.expand(count, -1)
        dropped = condition.isnan().any(dim=1, keepdim=True)
        return torch.where(dropped, self.null, self.condition(self._standard(condition.nan_to_num())))

    def unconditional(self, count: int) -> Tensor:
        """The null condition, `[count, E]`: NaN."""
        return self.condition_mean.new_full((count, len(self.condition_mean)), float("nan"))

    def mean(self, condition: Tensor | None, guidance: float = 1.0) -> Tensor:
        """The latents `[N, 1, k]` around which adapters of embeddings `[N, E]` lie; `[1, 1, k]` without a condition.

        `guidance` is the share of the way from the mean of all conditions: 0 ignores the condition, 1 follows it.
        """
        if condition is None:
            return self.centre[None, None]
        return (self.centre + guidance * (self.mean_head(self._standard(condition)) - self.centre))[:, None]

    def place(self, residuals: Tensor, condition: Tensor | None, guidance: float = 1.0) -> Tensor:
        """Residuals `[N, 1, k]` -> latents, around their conditions' means."""
        return self.mean(condition, guidance) + residuals @ self.colour

    def residuals(self, latents: Tensor, condition: Tensor | None) -> Tensor:
        """Latents `[N, 1, k]` -> residuals of unit scale: the inverse of `place` in the directions that rows span."""
        return (latents - self.mean(condition)) @ self.whiten

    @torch.no_grad()
    def fit_conditions(self, embeddings: Tensor) -> None:
        """Measure the embeddings `[..., E]` of the training locations, so that their differences have unit scale."""
        flat = embeddings.flatten(0, -2)
        self.condition_mean.copy_(flat.mean(0))
        self.condition_scale.copy_((flat - self.condition_mean).square().mean().sqrt().clamp(min=1e-4))

    @torch.no_grad()
    def fit_residuals(self, differences: Tensor) -> None:
        """Measure residuals in latents, `[N, k]`. Without any spread the residuals are zero, and samples the mean."""
        squares, turn = torch.linalg.eigh((differences.mT @ differences / len(differences)).double())
        spread = squares.clamp(min=0).sqrt()
        told = spread > 1e-3 * spread.max().clamp(min=1e-9)
        gain = torch.where(told, spread.sqrt(), 0.0)
        whiten = turn * torch.where(told, 1 / gain.clamp(min=1e-12), 0.0)
        unit = (differences.double() @ whiten).square().mean().sqrt().clamp(min=1e-12)
        self.whiten.copy_(whiten / unit)
        self.colour.copy_((turn * gain).mT * unit)

    def _standard(self, condition: Tensor) -> Tensor:
        return (condition - self.condition_mean) / self.condition_scale


def residual_loss(
    denoiser: ResidualDenoiser,
    residuals: Tensor,
    condition: Tensor | None,
    rng: torch.Generator,
    *,
    condition_dropout: float = 0.05,
    middle: float = -0.6,
    width: float = 1.2,
    own: slice = WHOLE,
) -> Tensor:
    """Mean squared error of what the network adds to the skipped input, at one random noise level per sample; a scalar.

    With unit data this is the loss of Karras et al. (2022) with the weight that makes every level count alike.

    Args:
        denoiser: the network to train.
        residuals: clean, of unit scale, `[B, 1, k]`.
        condition: an embedding for each, `[B, E]`, or None.
        rng: on the CPU; draws levels, noise and dropout.
        condition_dropout: share of samples whose condition is dropped.
        middle, width: of the normal distribution of ln sigma.
        own: the samples that the loss is of; what is random is drawn for all.
    """
    sigma = (middle + width * torch.randn(len(residuals), generator=rng)).exp().to(residuals.device)
    noise = torch.randn(residuals.shape, generator=rng).to(residuals.device)
    if condition is not None:
        dropped = torch.rand(len(residuals), 1, generator=rng).to(residuals.device) < condition_dropout
        condition = torch.where(dropped, float("nan"), condition)[own]
    residuals, noise, sigma = residuals[own], noise[own], sigma[own]
    signal = (1 + sigma.square()).rsqrt().view(-1, 1, 1)
    spread = sigma.view(-1, 1, 1) * signal
    # (clean - signal * noisy) / spread, written without a difference of nearly equal numbers.
    target = spread * residuals - signal * noise
    return F.mse_loss(denoiser.network(signal * residuals + spread * noise, sigma, condition), target)
