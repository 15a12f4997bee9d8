"""Training: rows -> codec, latents and embeddings -> denoiser, and both in one call. Every loop yields its steps."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from .denoiser import Denoiser
from .diffusion import NoiseSchedule, diffusion_loss
from .errors import UserError
from .generator import AdapterGenerator
from .loop import Checkpoint, Step, cosine, rng_at
from .normalize import Standardizer
from .vae import AdapterVAE, vae_loss

SAVE_EVERY = 250
LARGEST_GRADIENT = 1.0


@dataclass(frozen=True)
class GeneratorRecipe:
    """How long and how fast `train_generator` trains.

    With the defaults, on 1,000 rows of 65,580 numbers and 2 CPU cores, it takes about 3 minutes.
    """

    vae_steps: int = 400
    vae_batch: int = 32
    vae_learning_rate: float = 1e-3
    denoiser_steps: int = 3000
    denoiser_batch: int = 32
    denoiser_learning_rate: float = 1e-3
    ema: float = 0.995
    condition_dropout: float = 0.1
    seed: int = 0


class Averaged(nn.Module):
    """A model and the moving average of its weights, as one module, so that one checkpoint holds both."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.average = copy.deepcopy(model).requires_grad_(False)

    @torch.no_grad()
    def update(self, step: int, decay: float) -> None:
        """Take in the model after step `step` (from 0); early on the average forgets faster."""
        share = 1 - min(decay, (1 + step) / (10 + step))
        for average, value in zip(self.average.parameters(), self.model.parameters(), strict=True):
            average.lerp_(value, share)


def train_vae(
    vae: AdapterVAE,
    rows: Tensor,
    *,
    steps: int,
    batch_size: int = 32,
    learning_rate: float = 1e-3,
    seed: int = 0,
    checkpoint: Path | None = None,
) -> Iterator[Step]:
    """Train the codec from the block-wise PCA of the rows on, and measure its latents at the end.

    Args:
        vae: trained in place.
        rows: unit-scale rows, `[N, D]`.
        steps: batches to train on.
        batch_size: B, rows drawn with replacement.
        learning_rate: AdamW's, after warm-up; falls to 0 along a cosine.
        seed: of batches and noise.
        checkpoint: file to resume from and to save to; the caller removes it once the result is safe.

    Yields:
        Every step. A run that was killed and is started again ends with the same weights as one that was not.
    """
    vae.init_from(rows)

    def loss_at(step: int) -> Tensor:
        rng = rng_at(seed, step)
        chosen = torch.randint(len(rows), (batch_size,), generator=rng)
        return vae_loss(vae, rows[chosen.to(rows.device)], rng)

    yield from _optimise(vae, vae, loss_at, steps=steps, learning_rate=learning_rate, checkpoint=checkpoint)
    vae.fit_latents(rows)


def train_denoiser(
    denoiser: Denoiser,
    latents: Tensor,
    embeddings: Tensor,
    index: Tensor,
    schedule: NoiseSchedule,
    *,
    steps: int,
    batch_size: int = 32,
    learning_rate: float = 1e-3,
    ema: float = 0.995,
    condition_dropout: float = 0.1,
    seed: int = 0,
    checkpoint: Path | None = None,
) -> Iterator[Step]:
    """Train the denoiser; the moving average of its weights is what it holds at the end.

    The latents are the means of the codec's posteriors, not draws: x0-prediction learns the mean of what fits a noisy
    latent, so draws would only add variance to the gradient, and the codec was trained to bear errors of that size.

    Args:
        denoiser: trained in place.
        latents: of about unit scale, `[N, C, L]`.
        embeddings: V views of each of the Q conditions, `[Q, V, E]`: the first over all backgrounds of a location,
            the others over single ones. A training sample sees a random view of its location.
        index: the condition of each latent, `[N]`, in 0..Q-1.
        schedule: the diffusion's noise levels.
        steps: batches to train on.
        batch_size: B, latents drawn with replacement.
        learning_rate: AdamW's, after warm-up; falls to 0 along a cosine.
        ema: share of the moving average that stays at each step.
        condition_dropout: share of samples that see the null condition.
        seed: of batches, views and noise.
        checkpoint: file to resume from and to save to; the caller removes it once the result is safe.

    Yields:
        Every step. A run that was killed and is started again ends with the same weights as one that was not.
    """
    denoiser.fit_conditions(embeddings)
    averaged = Averaged(denoiser)

    def loss_at(step: int) -> Tensor:
        rng = rng_at(seed, step)
        chosen = torch.randint(len(latents), (batch_size,), generator=rng)
        views = torch.randint(embeddings.shape[1], (batch_size,), generator=rng)
        condition = embeddings[index.cpu()[chosen], views].to(latents.device)
        batch = latents[chosen.to(latents.device)]
        return diffusion_loss(denoiser, batch, condition, schedule, rng, condition_dropout=condition_dropout)

    yield from _optimise(
        averaged,
        denoiser,
        loss_at,
        steps=steps,
        learning_rate=learning_rate,
        checkpoint=checkpoint,
        after=lambda step: averaged.update(step, ema),
    )
    denoiser.load_state_dict(averaged.average.state_dict())


def train_generator(
    generator: AdapterGenerator,
    rows: Tensor,
    embeddings: Tensor,
    index: Tensor,
    recipe: GeneratorRecipe,
    *,
    folder: Path | None = None,
) -> Iterator[tuple[str, Step]]:
    """Train all of a generator: standardise, train the codec, encode, train the denoiser.

    Args:
        generator: trained in place; make it with `AdapterGenerator.untrained`.
        rows: raw rows, `[N, D]`.
        embeddings: V views of each of the Q conditions, `[Q, V, E]`; see `train_denoiser`.
        index: the condition of each row, `[N]`, in 0..Q-1.
        recipe: steps and rates.
        folder: for checkpoints, to resume a killed run; the caller removes it once the generator is saved.

    Yields:
        "codec" or "denoiser", with that stage's step.

    Raises:
        UserError: if rows, embeddings and index do not belong together, or not to the generator.
    """
    _check(generator, rows, embeddings, index)
    generator.standardizer.load_state_dict(Standardizer.fit(rows, generator.layout).state_dict())
    generator.train()
    unit = generator.standardizer.normalize(rows.to(generator.device))
    codec = train_vae(
        generator.vae,
        unit,
        steps=recipe.vae_steps,
        batch_size=recipe.vae_batch,
        learning_rate=recipe.vae_learning_rate,
        seed=recipe.seed,
        checkpoint=folder and folder / "codec.safetensors",
    )
    yield from (("codec", step) for step in codec)
    denoiser = retrain_denoiser(generator, rows, embeddings, index, recipe, folder=folder)
    yield from (("denoiser", step) for step in denoiser)


def retrain_denoiser(
    generator: AdapterGenerator,
    rows: Tensor,
    embeddings: Tensor,
    index: Tensor,
    recipe: GeneratorRecipe,
    *,
    folder: Path | None = None,
) -> Iterator[Step]:
    """Train a generator's denoiser on latents of its trained codec; arguments and errors as for `train_generator`.

    To have a second denoiser over the same codec, pass `generator.with_fresh_denoiser()`.
    """
    _check(generator, rows, embeddings, index)
    generator.train()
    yield from train_denoiser(
        generator.denoiser,
        generator.encode(rows),
        embeddings,
        index,
        generator.schedule,
        steps=recipe.denoiser_steps,
        batch_size=recipe.denoiser_batch,
        learning_rate=recipe.denoiser_learning_rate,
        ema=recipe.ema,
        condition_dropout=recipe.condition_dropout,
        seed=recipe.seed + 1,
        checkpoint=folder and folder / "denoiser.safetensors",
    )
    generator.eval()


def _optimise(
    saved: nn.Module,
    trained: nn.Module,
    loss_at: Callable[[int], Tensor],
    *,
    steps: int,
    learning_rate: float,
    checkpoint: Path | None,
    after: Callable[[int], None] = lambda step: None,
) -> Iterator[Step]:
    """AdamW on `trained`, from the checkpoint on; `saved` is what a checkpoint holds, `after` runs after every step."""
    optimizer = torch.optim.AdamW(trained.parameters(), lr=learning_rate, weight_decay=0.0, fused=True)
    keeper = Checkpoint(checkpoint, saved, optimizer) if checkpoint else None
    for step in range(keeper.load() if keeper else 0, steps):
        optimizer.param_groups[0]["lr"] = learning_rate * cosine(step, steps, warmup=min(50, steps // 10))
        loss = loss_at(step)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(trained.parameters(), LARGEST_GRADIENT)
        optimizer.step()
        after(step)
        if keeper and ((step + 1) % SAVE_EVERY == 0 or step + 1 == steps):
            keeper.save(step + 1)
        yield Step(step + 1, steps, loss.item())


def _check(generator: AdapterGenerator, rows: Tensor, embeddings: Tensor, index: Tensor) -> None:
    generator.layout.check(rows)
    if embeddings.ndim != 3 or embeddings.shape[2] != generator.condition_dim:
        wanted = f"[Q, V, {generator.condition_dim}]"
        raise UserError(f"The embeddings have shape {list(embeddings.shape)}, but this generator needs {wanted}.")
    if len(index) != len(rows) or index.min() < 0 or index.max() >= len(embeddings):
        raise UserError(f"Each of the {len(rows)} rows needs one condition, numbered 0 to {len(embeddings) - 1}.")
    if not embeddings.isfinite().all():
        raise UserError("Some embeddings hold numbers that are not finite; make them anew.")
