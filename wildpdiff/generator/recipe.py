"""How long and how fast a generator is trained."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GeneratorRecipe:
    """How long and how fast `train_generator` trains.

    `vae_*` concern an autoencoder alone, `mean_*` the mean that a `ResidualDenoiser` has. With the defaults, on 400
    rows of 65,580 numbers and one CPU core, it takes about 6 minutes.
    """

    vae_steps: int = 400
    vae_batch: int = 32
    vae_learning_rate: float = 1e-3
    denoiser_steps: int = 20_000
    denoiser_batch: int = 64
    denoiser_learning_rate: float = 1.5e-3
    ema: float = 0.999
    condition_dropout: float = 0.05
    seed: int = 0
    mean_steps: int = 6000
    mean_batch: int = 128
    mean_learning_rate: float = 2e-3


PLAIN = GeneratorRecipe(
    denoiser_steps=3000, denoiser_batch=32, denoiser_learning_rate=1e-3, ema=0.995, condition_dropout=0.1
)
"""The paper's plain form (`GeneratorConfig.plain`)."""
