"""Unit-scale rows <-> latents: the variational autoencoder, and the PCA codec that it has to beat."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from ..network.adapter import AdapterLayout
from ..training.loop import WHOLE
from .normalize import Standardizer


@dataclass(frozen=True)
class VAEConfig:
    """Shape and training noise of an `AdapterVAE`; the latent holds channels x chunks = 1,024 numbers.

    Attributes:
        dim: D, numbers in a row.
        chunks: L, pieces into which a row is cut.
        channels: C, latent numbers of each piece.
        width: channels inside a residual block.
        depth: residual blocks on either side.
        input_noise: standard deviation of the noise on rows in training (paper: 0.001).
        latent_noise: standard deviation of the noise on latents in training (paper: 0.1).
        kl_weight: factor on the mean KL divergence from a standard normal latent.
    """

    dim: int
    chunks: int = 64
    channels: int = 16
    width: int = 64
    depth: int = 2
    input_noise: float = 0.001
    latent_noise: float = 0.1
    kl_weight: float = 1e-5

    @property
    def chunk(self) -> int:
        """P, numbers in a chunk; the last chunk is filled up with zeros."""
        return -(-self.dim // self.chunks)


@dataclass(frozen=True)
class Posterior:
    """A diagonal normal distribution over latents: mean and log-variance, each `[B, C, L]`."""

    mean: Tensor
    log_variance: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        """The draw, `[B, C, L]`, that standard normal noise of that shape stands for."""
        return self.mean + (0.5 * self.log_variance).exp() * noise

    def kl(self) -> Tensor:
        """Divergence from the standard normal, mean over all numbers; a scalar."""
        return 0.5 * (self.mean.square() + self.log_variance.exp() - 1 - self.log_variance).mean()


class ResidualBlock(nn.Module):
    """Two convolutions over the chunk axis of `[B, C, L]`, added to the input; starts as the identity."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.inner = nn.Conv1d(channels, width, 3, padding=1)
        self.outer = nn.Conv1d(width, channels, 3, padding=1)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return x + self.outer(F.silu(self.inner(x)))


class AdapterVAE(nn.Module):
    """Codes a unit-scale row `[D]` as a latent `[C, L]`.

    A row is cut into L chunks of P numbers. Weights have no translation symmetry, so each chunk has its own P x C
    matrix (a locally connected layer with kernel and stride P), and the decoder uses the transposed matrices: one set
    of D x C numbers instead of a dense D x (C x L) layer. Residual 1D convolutions along the chunks do the rest.
    `init_from` fills the matrices with the principal directions of each chunk, so training starts at a block-wise PCA.
    """

    gain: Tensor
    latent_mean: Tensor
    latent_scale: Tensor

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        shape = (config.chunks, config.chunk, config.channels)
        self.local = nn.Parameter(torch.randn(shape) / config.chunk**0.5)
        self.encoder = nn.Sequential(*(ResidualBlock(config.channels, config.width) for _ in range(config.depth)))
        self.decoder = nn.Sequential(*(ResidualBlock(config.channels, config.width) for _ in range(config.depth)))
        self.log_variance = nn.Conv1d(config.channels, config.channels, 1)
        nn.init.zeros_(self.log_variance.weight)
        nn.init.constant_(self.log_variance.bias, -6.0)  # type: ignore[arg-type]
        self.register_buffer("gain", torch.ones(config.channels, config.chunks))
        self.register_buffer("latent_mean", torch.zeros(config.channels, config.chunks))
        self.register_buffer("latent_scale", torch.ones(()))

    def encode(self, rows: Tensor) -> Posterior:
        """Unit-scale rows `[B, D]` -> the distribution of their latents."""
        hidden = self.encoder(self._project(rows) / self.gain)
        return Posterior(hidden, self.log_variance(hidden).clamp(-20, 5))

    def decode(self, latents: Tensor) -> Tensor:
        """Latents `[B, C, L]` -> unit-scale rows `[B, D]`."""
        hidden = self.decoder(latents) * self.gain
        chunks = torch.bmm(hidden.permute(2, 0, 1), self.local.transpose(1, 2))
        return chunks.transpose(0, 1).reshape(len(latents), -1)[:, : self.config.dim]

    def encode_standard(self, rows: Tensor) -> Tensor:
        """Unit-scale rows `[B, D]` -> mean latents as the diffusion sees them, `[B, C, L]`, about unit scale."""
        return (self.encode(rows).mean - self.latent_mean) / self.latent_scale

    def decode_standard(self, latents: Tensor) -> Tensor:
        """Latents of the diffusion `[B, C, L]` -> unit-scale rows `[B, D]`."""
        return self.decode(latents * self.latent_scale + self.latent_mean)

    @torch.no_grad()
    def init_from(self, rows: Tensor) -> None:
        """Start at the block-wise PCA of unit-scale rows `[N, D]`, with latents of root mean square about 1.

        Each latent number is scaled down by the square root of its spread: of all scalings with that total, it is the
        one where noise on the latents costs the least error in the rows.
        """
        basis = principal_directions(self._chunks(rows), min(self.config.channels, self.config.chunk))
        self.local.copy_(F.pad(basis, (0, self.config.channels - basis.shape[-1])))
        spread = self._project(rows).square().mean(0).sqrt()
        typical = spread.square().mean().sqrt().clamp(min=1e-4)
        self.gain.copy_((spread.clamp(min=1e-3 * typical) * spread.mean().clamp(min=1e-4)).sqrt())

    @torch.no_grad()
    def fit_latents(self, rows: Tensor) -> None:
        """Measure the trained latents of unit-scale rows `[N, D]`: a mean for each number, one scale for all.

        One scale, so that numbers that matter more to the row stay larger, and the diffusion gets them right first.
        """
        latents = self.encode(rows).mean
        self.latent_mean.copy_(latents.mean(0))
        self.latent_scale.copy_((latents - self.latent_mean).square().mean().sqrt().clamp(min=1e-4))

    def _chunks(self, rows: Tensor) -> Tensor:
        config = self.config
        padded = F.pad(rows, (0, config.chunks * config.chunk - config.dim))
        return padded.view(len(rows), config.chunks, config.chunk).transpose(0, 1)

    def _project(self, rows: Tensor) -> Tensor:
        return torch.bmm(self._chunks(rows), self.local).permute(1, 2, 0)


class VAECodec(nn.Module):
    """The paper's codec, raw rows <-> latents: standardizer and `AdapterVAE` behind the same door as `LinearCodec`."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        self.standardizer = Standardizer(config.dim)
        self.vae = AdapterVAE(config)

    @property
    def shape(self) -> tuple[int, int]:
        """C and L of a latent."""
        return self.config.channels, self.config.chunks

    def standardize(self, rows: Tensor, layout: AdapterLayout) -> Tensor:
        """Measure raw rows `[N, D]` and give them at unit scale."""
        self.standardizer.load_state_dict(Standardizer.fit(rows, layout).state_dict())
        return self.standardizer.normalize(rows)

    def encode(self, rows: Tensor) -> Tensor:
        """Raw rows `[N, D]` -> latents `[N, C, L]` of about unit scale."""
        return self.vae.encode_standard(self.standardizer.normalize(rows))

    def decode(self, latents: Tensor) -> Tensor:
        """Latents `[N, C, L]` -> raw rows `[N, D]`."""
        return self.standardizer.denormalize(self.vae.decode_standard(latents))


def vae_loss(vae: AdapterVAE, rows: Tensor, rng: torch.Generator, *, own: slice = WHOLE) -> Tensor:
    """Mean squared reconstruction error of unit-scale rows `[B, D]` under noise, plus a small KL term; a scalar.

    Noise is added to the rows and to the latents (paper, section 3.2), so that decoding bears the diffusion's errors.
    It is drawn for all rows; the loss is of the rows `own`.
    """
    config = vae.config
    latent = (len(rows), config.channels, config.chunks)
    drawn = (torch.randn(shape, generator=rng)[own].to(rows.device) for shape in (rows.shape, latent, latent))
    on_rows, in_posterior, on_latents = drawn
    rows = rows[own]
    posterior = vae.encode(rows + config.input_noise * on_rows)
    latents = posterior.sample(in_posterior) + config.latent_noise * on_latents
    return F.mse_loss(vae.decode(latents), rows) + config.kl_weight * posterior.kl()


@dataclass(frozen=True)
class PCACodec:
    """The baseline: the k leading principal directions of all rows, `basis [D, k]` around `mean [D]`."""

    mean: Tensor
    basis: Tensor

    @classmethod
    def fit(cls, rows: Tensor, k: int) -> "PCACodec":
        """Principal directions of rows `[N, D]`; `k` is cut down to min(N, D)."""
        mean = rows.mean(0)
        return cls(mean, principal_directions(rows - mean, min(k, *rows.shape)))

    def encode(self, rows: Tensor) -> Tensor:
        """Rows `[N, D]` -> coefficients `[N, k]`."""
        return (rows - self.mean) @ self.basis

    def decode(self, coefficients: Tensor) -> Tensor:
        """Coefficients `[N, k]` -> rows `[N, D]`."""
        return coefficients @ self.basis.T + self.mean


def principal_directions(rows: Tensor, k: int, *, rounds: int = 12) -> Tensor:
    """The k leading principal directions about zero of rows `[..., N, P]`, orthonormal `[..., P, k]`, k <= P.

    Found by subspace iteration, for all leading axes at once: exact decomposition of wide rows takes far longer.
    Directions in which the rows do not extend (k greater than their rank) are arbitrary, but orthogonal to the rest.
    """
    width = min(2 * k + 8, rows.shape[-1])
    start = torch.randn(rows.shape[-1], width, generator=torch.Generator().manual_seed(0)).to(rows)
    basis = torch.linalg.qr(start.expand(*rows.shape[:-2], -1, -1))[0]
    for _ in range(rounds):
        basis = torch.linalg.qr(rows.mT @ (rows @ basis))[0]
    inside = rows @ basis
    turn = torch.linalg.eigh(inside.mT @ inside)[1].flip(-1)[..., :k]
    return basis @ turn
