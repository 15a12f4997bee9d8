"""Training: rows -> codec, latents and embeddings -> mean and denoiser, or all in one call. Loops yield their steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ..errors import UserError
from ..training.loop import Step, rng_at
from ..training.team import ALONE, Team
from .codec import LinearCodec
from .denoiser import Denoiser
from .diffusion import NoiseSchedule, diffusion_loss
from .generator import AdapterGenerator
from .known import Curves, Known, without_spread
from .mean import fit_mean
from .optimise import Averaged, optimise
from .recipe import GeneratorRecipe
from .residual import ResidualDenoiser, residual_loss
from .vae import AdapterVAE, vae_loss


def train_vae(
    vae: AdapterVAE,
    rows: Tensor,
    *,
    steps: int,
    batch_size: int = 32,
    learning_rate: float = 1e-3,
    seed: int = 0,
    checkpoint: Path | None = None,
    team: Team = ALONE,
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
        team: the processes that share the training; all call this alike.

    Yields:
        Every step. A run that was killed and is started again ends with the same weights as one that was not.
    """
    vae.init_from(rows)

    def loss_at(step: int) -> Tensor:
        rng = rng_at(seed, step)
        chosen = torch.randint(len(rows), (batch_size,), generator=rng)
        return vae_loss(vae, rows[chosen.to(rows.device)], rng, own=team.part(batch_size))

    yield from optimise(
        vae,
        vae,
        loss_at,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        checkpoint=checkpoint,
        team=team,
    )
    vae.fit_latents(rows)


def train_generator(
    generator: AdapterGenerator,
    rows: Tensor,
    embeddings: Tensor | None,
    index: Tensor | None,
    recipe: GeneratorRecipe,
    *,
    curves: Curves | None = None,
    folder: Path | None = None,
    team: Team = ALONE,
) -> Iterator[tuple[str, Step]]:
    """Train all of a generator: fit or train the codec, encode, train the denoiser.

    Args:
        generator: trained in place; make it with `AdapterGenerator.untrained`.
        rows: raw rows, `[N, D]`.
        embeddings: V views of each of the Q conditions, `[Q, V, E]`: the first over all backgrounds of a location,
            the others over single ones. None, as the index, for a generator that takes no condition.
        index: the condition of each row, `[N]`, in 0..Q-1.
        recipe: steps and rates.
        curves: between the conditions, for a generator with a mean; None: it learns of the conditions alone.
        folder: for checkpoints, to resume a killed run; the caller removes it once the generator is saved.
        team: the processes that share the training; all call this alike, and end with the same generator.

    Yields:
        "codec", "mean" or "denoiser", with that stage's step.

    Raises:
        UserError: if rows, embeddings and index do not belong together, or not to the generator.
    """
    _check(generator, rows, embeddings, index)
    generator.train()
    codec = generator.codec
    if isinstance(codec, LinearCodec):
        ends = [] if curves is None else [curves.anchors, curves.hubs]
        codec.fit((torch.cat([rows, *ends]) if ends else rows).to(generator.device))
        yield "codec", Step(1, 1, float("nan"))
    else:
        unit = codec.standardize(rows.to(generator.device), generator.layout)
        steps = train_vae(
            codec.vae,
            unit,
            steps=recipe.vae_steps,
            batch_size=recipe.vae_batch,
            learning_rate=recipe.vae_learning_rate,
            seed=recipe.seed,
            checkpoint=folder and folder / "codec.safetensors",
            team=team,
        )
        yield from (("codec", step) for step in steps)
    yield from train_over_codec(generator, rows, embeddings, index, recipe, curves=curves, folder=folder, team=team)


def train_over_codec(
    generator: AdapterGenerator,
    rows: Tensor,
    embeddings: Tensor | None,
    index: Tensor | None,
    recipe: GeneratorRecipe,
    *,
    curves: Curves | None = None,
    folder: Path | None = None,
    team: Team = ALONE,
) -> Iterator[tuple[str, Step]]:
    """Train a generator's denoiser on latents of its trained codec; arguments and errors as for `train_generator`.

    To have a second denoiser over the same codec, pass `generator.with_fresh_denoiser()`.
    """
    _check(generator, rows, embeddings, index)
    generator.train()
    team.level(generator)  # what was fitted to the rows is the same but for rounding
    index = torch.zeros(len(rows), dtype=torch.int64) if index is None else index.cpu()
    denoiser, known = generator.denoiser, Known(generator.encode(rows), embeddings, index)
    alike = without_spread(known.latents, known.index, known.conditions)
    if alike:
        generator.notes["spread"] = f"no spread to learn from in {len(alike)} of {known.conditions} conditions"
    if isinstance(denoiser, ResidualDenoiser):
        yield from (("mean", step) for step in fit_mean(generator, denoiser, known, curves, recipe, folder, team))
        team.level(denoiser)
        with torch.no_grad():
            known = replace(known, latents=denoiser.residuals(known.latents, known.first_views()))
        denoiser.mean_head.requires_grad_(False)
        loss: Callable[..., Tensor] = partial(residual_loss, denoiser)
    else:
        if embeddings is not None:
            denoiser.fit_conditions(embeddings)
        loss = partial(diffusion_loss, denoiser, schedule=NoiseSchedule())
    loss_of = partial(loss, condition_dropout=recipe.condition_dropout, own=team.part(recipe.denoiser_batch))
    steps = _train_denoiser(denoiser, loss_of, known, recipe, folder and folder / "denoiser.safetensors", team)
    yield from (("denoiser", step) for step in steps)
    denoiser.requires_grad_(True)
    generator.eval()


def _train_denoiser(
    denoiser: Denoiser | ResidualDenoiser,
    loss_of: Callable[..., Tensor],
    known: Known,
    recipe: GeneratorRecipe,
    checkpoint: Path | None,
    team: Team,
) -> Iterator[Step]:
    """Train a denoiser by `loss_of(latents, conditions, rng=rng)`; it ends with the moving average of its weights.

    The latents are the means of the codec's posteriors, not draws: x0-prediction learns the mean of what fits a noisy
    latent, so draws would only add variance to the gradient, and the codec was trained to bear errors of that size. A
    latent sees a random view of its condition in each batch.
    """
    averaged, size = Averaged(denoiser), recipe.denoiser_batch

    def loss_at(step: int) -> Tensor:
        rng = rng_at(recipe.seed + 1, step)
        chosen = torch.randint(len(known.latents), (size,), generator=rng)
        views = known.some_views(chosen, rng)
        return loss_of(known.latents[chosen.to(known.latents.device)], views, rng=rng)

    yield from optimise(
        averaged,
        denoiser,
        loss_at,
        steps=recipe.denoiser_steps,
        batch_size=size,
        learning_rate=recipe.denoiser_learning_rate,
        checkpoint=checkpoint,
        after=lambda step: averaged.update(step, recipe.ema),
        team=team,
    )
    denoiser.load_state_dict(averaged.average.state_dict())


def _check(generator: AdapterGenerator, rows: Tensor, embeddings: Tensor | None, index: Tensor | None) -> None:
    generator.layout.check(rows)
    if embeddings is None or index is None or generator.condition is None:
        if not (embeddings is index is generator.condition is None):
            raise UserError("Conditions belong to a generator that takes them, with one number for each row.")
        return
    if embeddings.ndim != 3 or embeddings.shape[2] != generator.condition.dim:
        wanted = f"[Q, V, {generator.condition.dim}]"
        raise UserError(f"The embeddings have shape {list(embeddings.shape)}, but this generator needs {wanted}.")
    if len(index) != len(rows) or index.min() < 0 or index.max() >= len(embeddings):
        raise UserError(f"Each of the {len(rows)} rows needs one condition, numbered 0 to {len(embeddings) - 1}.")
    if not embeddings.isfinite().all():
        raise UserError("Some embeddings hold numbers that are not finite; make them anew.")
