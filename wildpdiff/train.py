"""Training: rows -> codec, latents and embeddings -> mean and denoiser, or all in one call. Loops yield their steps."""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .codec import LinearCodec
from .connect import curve
from .denoiser import Denoiser
from .diffusion import NoiseSchedule, diffusion_loss
from .errors import UserError
from .generator import AdapterGenerator
from .loop import Checkpoint, Step, cosine, rng_at
from .residual import ResidualDenoiser, residual_loss
from .vae import AdapterVAE, vae_loss

SAVE_EVERY = 250
LARGEST_GRADIENT = 1.0
#: Latents, of about unit scale, that differ by less are one and the same.
SAME = 1e-5


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


@dataclass(frozen=True)
class Curves:
    """Curves between the conditions that a generator is trained on (see `connect.curve`).

    Attributes:
        anchors: the rows at the ends of the curves, `[Q, D]`, Q conditions.
        hubs: the hubs that bend them, `[Q, D]`.
        pairs: the curves that the mean follows, by the numbers of their conditions.
    """

    anchors: Tensor
    hubs: Tensor
    pairs: tuple[tuple[int, int], ...]


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
    embeddings: Tensor | None,
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
            the others over single ones. A training sample sees a random view of its location. None: no conditions.
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
    if embeddings is not None:
        denoiser.fit_conditions(embeddings)
    averaged = Averaged(denoiser)

    def loss_at(step: int) -> Tensor:
        rng = rng_at(seed, step)
        chosen = torch.randint(len(latents), (batch_size,), generator=rng)
        condition = _seen(embeddings, index.cpu()[chosen], rng, latents.device)
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


def train_mean(
    denoiser: ResidualDenoiser,
    latents: Tensor,
    embeddings: Tensor,
    index: Tensor,
    *,
    anchors: Tensor,
    hubs: Tensor,
    pairs: Sequence[tuple[int, int]],
    steps: int,
    batch_size: int = 128,
    learning_rate: float = 2e-3,
    seed: int = 0,
    checkpoint: Path | None = None,
) -> Iterator[Step]:
    """Train the mean that a condition predicts, and measure what rows are left around it.

    Half of a batch are conditions' own views, whose mean is the anchor, the other half points of the pairs' curves at
    the blended embedding. Rows of curves teach the mean alone: they have no spread of their own.

    Args:
        denoiser: its mean, centre and whitening are set in place.
        latents: `[N, C, L]`, and `index` `[N]`, the condition of each.
        embeddings: views of the conditions, `[Q, V, E]`; see `train_denoiser`.
        anchors, hubs: the curves in latents, each `[Q, L]`.
        pairs: those to learn from.
        steps, batch_size, learning_rate, seed, checkpoint: as for `train_denoiser`.
    """
    denoiser.fit_conditions(embeddings)
    denoiser.centre.copy_(anchors.mean(0))
    scale = (anchors - anchors.mean(0)).square().mean().sqrt().clamp(min=1e-6)
    own = batch_size - (batch_size // 2 if pairs else 0)

    def loss_at(step: int) -> Tensor:
        rng = rng_at(seed, step)
        first = torch.randint(len(embeddings), (batch_size,), generator=rng)
        second, t = first.clone(), torch.zeros(batch_size)
        if pairs:
            drawn = torch.tensor(pairs)[torch.randint(len(pairs), (batch_size - own,), generator=rng)]
            first[own:], second[own:] = drawn.unbind(1)
            t[own:] = torch.rand(batch_size - own, generator=rng)
        views = torch.randint(embeddings.shape[1], (2, batch_size), generator=rng)
        start, end = embeddings[first, views[0]], embeddings[second, views[1]]
        condition = (start + (end - start) * t[:, None]).to(latents.device)
        shares = torch.zeros(batch_size, len(embeddings))
        shares.scatter_add_(1, first[:, None], 1 - t[:, None]).scatter_add_(1, second[:, None], t[:, None])
        target = curve(anchors, hubs, shares.to(latents.device))
        return ((denoiser.mean(condition)[:, 0] - target) / scale).square().mean()

    head = denoiser.mean_head
    yield from _optimise(head, head, loss_at, steps=steps, learning_rate=learning_rate, checkpoint=checkpoint)
    with torch.no_grad():
        mean = denoiser.mean(embeddings[index.cpu(), 0].to(latents.device))
        denoiser.fit_residuals((latents - mean)[:, 0])


def train_residual(
    denoiser: ResidualDenoiser,
    latents: Tensor,
    embeddings: Tensor | None,
    index: Tensor,
    *,
    steps: int,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    ema: float = 0.999,
    condition_dropout: float = 0.05,
    seed: int = 0,
    checkpoint: Path | None = None,
) -> Iterator[Step]:
    """Train the diffusion of what is left of latents `[N, 1, k]` around their conditions' means, which stay.

    Arguments as for `train_denoiser`.
    """
    with torch.no_grad():
        condition = None if embeddings is None else embeddings[index.cpu(), 0].to(latents.device)
        residuals = denoiser.residuals(latents, condition)
    denoiser.mean_head.requires_grad_(False)
    averaged = Averaged(denoiser)

    def loss_at(step: int) -> Tensor:
        rng = rng_at(seed, step)
        chosen = torch.randint(len(latents), (batch_size,), generator=rng)
        condition = _seen(embeddings, index.cpu()[chosen], rng, latents.device)
        batch = residuals[chosen.to(latents.device)]
        return residual_loss(denoiser, batch, condition, rng, condition_dropout=condition_dropout)

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
    denoiser.mean_head.requires_grad_(True)


def train_generator(
    generator: AdapterGenerator,
    rows: Tensor,
    embeddings: Tensor | None,
    index: Tensor | None,
    recipe: GeneratorRecipe,
    *,
    curves: Curves | None = None,
    folder: Path | None = None,
) -> Iterator[tuple[str, Step]]:
    """Train all of a generator: fit or train the codec, encode, train the denoiser.

    Args:
        generator: trained in place; make it with `AdapterGenerator.untrained`.
        rows: raw rows, `[N, D]`.
        embeddings: V views of each of the Q conditions, `[Q, V, E]`; see `train_denoiser`. None, as the index, for a
            generator that takes no condition.
        index: the condition of each row, `[N]`, in 0..Q-1.
        recipe: steps and rates.
        curves: between the conditions, for a generator with a mean; None: it learns of the conditions alone.
        folder: for checkpoints, to resume a killed run; the caller removes it once the generator is saved.

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
        codec.fit(torch.cat([rows, *ends]).to(generator.device))
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
        )
        yield from (("codec", step) for step in steps)
    yield from train_over_codec(generator, rows, embeddings, index, recipe, curves=curves, folder=folder)


def train_over_codec(
    generator: AdapterGenerator,
    rows: Tensor,
    embeddings: Tensor | None,
    index: Tensor | None,
    recipe: GeneratorRecipe,
    *,
    curves: Curves | None = None,
    folder: Path | None = None,
) -> Iterator[tuple[str, Step]]:
    """Train a generator's denoiser on latents of its trained codec; arguments and errors as for `train_generator`.

    To have a second denoiser over the same codec, pass `generator.with_fresh_denoiser()`.
    """
    _check(generator, rows, embeddings, index)
    generator.train()
    denoiser, latents = generator.denoiser, generator.encode(rows)
    index = torch.zeros(len(rows), dtype=torch.int64) if index is None else index
    conditions = 1 if embeddings is None else len(embeddings)
    alike = without_spread(latents, index, conditions)
    if alike:
        generator.notes["spread"] = f"no spread to learn from in {len(alike)} of {conditions} conditions"
    if isinstance(denoiser, ResidualDenoiser) and embeddings is None:
        denoiser.centre.copy_(latents.mean(dim=0)[0])
        denoiser.fit_residuals((latents - denoiser.centre)[:, 0])
    elif isinstance(denoiser, ResidualDenoiser) and embeddings is not None:
        anchors, hubs = _ends(generator, latents, index, conditions, curves)
        mean = train_mean(
            denoiser,
            latents,
            embeddings,
            index,
            anchors=anchors,
            hubs=hubs,
            pairs=curves.pairs if curves else (),
            steps=recipe.mean_steps,
            batch_size=recipe.mean_batch,
            learning_rate=recipe.mean_learning_rate,
            seed=recipe.seed + 2,
            checkpoint=folder and folder / "mean.safetensors",
        )
        yield from (("mean", step) for step in mean)
    options: dict[str, Any] = {
        "steps": recipe.denoiser_steps,
        "batch_size": recipe.denoiser_batch,
        "learning_rate": recipe.denoiser_learning_rate,
        "ema": recipe.ema,
        "condition_dropout": recipe.condition_dropout,
        "seed": recipe.seed + 1,
        "checkpoint": folder and folder / "denoiser.safetensors",
    }
    if isinstance(denoiser, ResidualDenoiser):
        run = train_residual(denoiser, latents, embeddings, index, **options)
    else:
        run = train_denoiser(denoiser, latents, embeddings, index, NoiseSchedule(), **options)
    yield from (("denoiser", step) for step in run)
    generator.eval()


def without_spread(latents: Tensor, index: Tensor, count: int) -> list[int]:
    """The conditions, of `count`, whose latents `[N, C, L]` are all alike, or that have only one."""
    found = []
    for place in range(count):
        own = latents[index.to(latents.device) == place].flatten(1)
        if len(own) < 2 or float((own - own[0]).abs().max()) < SAME:
            found.append(place)
    return found


def _ends(
    generator: AdapterGenerator, latents: Tensor, index: Tensor, count: int, curves: Curves | None
) -> tuple[Tensor, Tensor]:
    """Anchors and hubs in latents, `[Q, L]` each; without curves both are the mean latent of each condition."""
    if curves is not None:
        return generator.encode(curves.anchors)[:, 0], generator.encode(curves.hubs)[:, 0]
    means = torch.stack([latents[index.to(latents.device) == place].mean(dim=0)[0] for place in range(count)])
    return means, means


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
    parameters = [parameter for parameter in trained.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.0, fused=True)
    keeper = Checkpoint(checkpoint, saved, optimizer) if checkpoint else None
    for step in range(keeper.load() if keeper else 0, steps):
        optimizer.param_groups[0]["lr"] = learning_rate * cosine(step, steps, warmup=min(50, steps // 10))
        loss = loss_at(step)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, LARGEST_GRADIENT)
        optimizer.step()
        after(step)
        if keeper and ((step + 1) % SAVE_EVERY == 0 or step + 1 == steps):
            keeper.save(step + 1)
        yield Step(step + 1, steps, loss.item())


def _seen(embeddings: Tensor | None, index: Tensor, rng: torch.Generator, device: torch.device) -> Tensor | None:
    """A random view of each sample's condition, `[B, E]`, by the conditions' numbers `[B]`; None if there are none."""
    if embeddings is None:
        return None
    views = torch.randint(embeddings.shape[1], (len(index),), generator=rng)
    return embeddings[index, views].to(device)


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
