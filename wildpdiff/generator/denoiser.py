"""The denoiser: a 1D UNet over latents, told the timestep and what the place looks like."""

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


@dataclass(frozen=True)
class DenoiserConfig:
    """Shape of a `Denoiser`.

    Attributes:
        condition_dim: E, numbers in a condition's embedding; 0 of a denoiser that knows no condition.
        channels: C of the latent.
        length: L of the latent; a multiple of 2 to the power of (levels - 1).
        widths: channels of each level; each level is half as long as the one above it.
        embedding: numbers that carry timestep and condition inside the network.
    """

    condition_dim: int
    channels: int = 16
    length: int = 64
    widths: tuple[int, ...] = (48, 64, 96)
    embedding: int = 128

    def __post_init__(self) -> None:
        if self.length % 2 ** (len(self.widths) - 1):
            raise ValueError(f"length {self.length} cannot be halved {len(self.widths) - 1} times")


def reader(condition_dim: int, inside: int, out: int) -> nn.Sequential:
    """A network that reads an embedding; an empty one, which is never asked, where there is none to read."""
    if not condition_dim:
        return nn.Sequential()
    return nn.Sequential(nn.Linear(condition_dim, inside), nn.SiLU(), nn.Linear(inside, out))


class Block(nn.Module):
    """A residual block on `[B, W, L]`; the embedding sets scale and shift of its normalised input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, width, affine=False)
        self.inner = nn.Conv1d(width, width, 3, padding=1)
        self.outer = nn.Conv1d(width, width, 3, padding=1)
        nn.init.normal_(self.outer.weight, std=1e-3)
        nn.init.zeros_(self.outer.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        hidden = F.silu(torch.addcmul(shift, self.norm(x), scale))
        return x + self.outer(F.silu(self.inner(hidden)))


class Denoiser(nn.Module):
    """Estimates the clean latent `[C, L]` from a noisy one.

    Timestep and condition are added to the input latent (paper, section 3.3), beside a learned position
    embedding, and also set scale and shift in every block. Halvings of L, and at the shortest level
    a layer that mixes all positions, let every output see the whole latent.
    """

    condition_mean: Tensor
    condition_scale: Tensor
    frequencies: Tensor

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.config = config
        channels, widths, inside = config.channels, config.widths, config.embedding
        self.time = nn.Sequential(nn.Linear(128, inside), nn.SiLU(), nn.Linear(inside, inside))
        self.condition = reader(config.condition_dim, inside, inside)
        self.null = nn.Parameter(torch.randn(config.condition_dim))
        self.position = nn.Parameter(0.02 * torch.randn(channels, config.length))
        self.to_input = nn.Linear(inside, channels * config.length)
        self.into = nn.Conv1d(channels, widths[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(Block(width) for width in widths)
        self.shorten = nn.ModuleList(nn.Conv1d(a, b, 2, stride=2) for a, b in itertools.pairwise(widths))
        shortest = config.length // 2 ** (len(widths) - 1)
        self.mix = nn.Linear(shortest, shortest)
        self.up_blocks = nn.ModuleList(Block(width) for width in widths)
        self.lengthen = nn.ModuleList(nn.ConvTranspose1d(b, a, 2, stride=2) for a, b in itertools.pairwise(widths))
        self.out = nn.Conv1d(widths[0], channels, 3, padding=1)
        self.to_blocks = nn.Linear(inside, 4 * sum(widths))
        self.register_buffer("condition_mean", torch.zeros(config.condition_dim))
        self.register_buffer("condition_scale", torch.ones(()))
        steps = torch.arange(64) / 64
        self.register_buffer("frequencies", torch.exp(-math.log(10_000) * steps), persistent=False)

    def forward(self, noisy: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        """Estimate the clean latents.

        Args:
            noisy: `[B, C, L]`.
            t: timestep of each, `[B]`.
            condition: embedding of each, `[B, E]`; None stands for the learned null condition.

        Returns:
            `[B, C, L]`.
        """
        embedding = self._embed(t, self.unconditional(len(noisy)) if condition is None else condition)
        x = noisy + self.to_input(embedding).view_as(noisy) + self.position
        modulation = self._modulation(embedding)
        return self._unet(self.into(x), modulation)

    def unconditional(self, count: int) -> Tensor:
        """The learned null condition, `[count, E]`."""
        return (self.null * self.condition_scale + self.condition_mean).expand(count, -1)

    def place(self, latents: Tensor, condition: Tensor | None, guidance: float = 1.0) -> Tensor:
        """Latents `[N, C, L]` as they are: this denoiser works on whole latents, not on what a mean leaves of them."""
        del condition, guidance
        return latents

    @torch.no_grad()
    def fit_conditions(self, embeddings: Tensor) -> None:
        """Measure the embeddings `[..., E]` of the training locations, so that their differences have unit scale."""
        flat = embeddings.flatten(0, -2)
        self.condition_mean.copy_(flat.mean(0))
        self.condition_scale.copy_((flat - self.condition_mean).square().mean().sqrt().clamp(min=1e-4))

    def _embed(self, t: Tensor, condition: Tensor) -> Tensor:
        angles = t.float()[:, None] * self.frequencies
        waves = torch.cat([angles.sin(), angles.cos()], 1)
        embedding = self.time(waves)
        if self.config.condition_dim:
            embedding = embedding + self.condition((condition - self.condition_mean) / self.condition_scale)
        return F.silu(embedding)

    def _modulation(self, embedding: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Scale and shift `[B, W, 1]` of each block: the way down, then the way up."""
        widths = [*self.config.widths, *reversed(self.config.widths)]
        parts = self.to_blocks(embedding).unsqueeze(2).split([w for width in widths for w in (width, width)], 1)
        return [(1 + parts[i], parts[i + 1]) for i in range(0, len(parts), 2)]

    def _unet(self, x: Tensor, modulation: list[tuple[Tensor, Tensor]]) -> Tensor:
        levels = len(self.config.widths)
        kept = []
        for level in range(levels):
            x = self.down_blocks[level](x, *modulation[level])
            if level < levels - 1:
                kept.append(x)
                x = self.shorten[level](x)
        x = x + self.mix(x)
        for level in reversed(range(levels)):
            if level < levels - 1:
                x = self.lengthen[level](x) + kept[level]
            x = self.up_blocks[level](x, *modulation[2 * levels - 1 - level])
        return self.out(x)
