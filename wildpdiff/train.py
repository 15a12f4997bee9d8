"""Training: rows -> codec, latents and embeddings -> mean and denoiser, or all in one call. Loops yield their steps."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

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
        embeddings: V views of each of the Q conditions, `[Q, V, E]`: the first over all backgrounds of a location,
            the others over single ones. None, as the index, for a generator that takes no condition.
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
    index = torch.zeros(len(rows), dtype=torch.int64) if index is None else index.cpu()
    denoiser, known = generator.denoiser, _Known(generator.encode(rows), embeddings, index)
    alike = without_spread(known.latents, known.index, known.conditions)
    if alike:
        generator.notes["spread"] = f"no spread to learn from in {len(alike)} of {known.conditions} conditions"
    if isinstance(denoiser, ResidualDenoiser):
        yield from (("mean", step) for step in _fit_mean(generator, denoiser, known, curves, recipe, folder))
        with torch.no_grad():
            known = replace(known, latents=denoiser.residuals(known.latents, known.first_views()))
        denoiser.mean_head.requires_grad_(False)
        loss: Callable[..., Tensor] = partial(residual_loss, denoiser)
    else:
        if embeddings is not None:
            denoiser.fit_conditions(embeddings)
        loss = partial(diffusion_loss, denoiser, schedule=NoiseSchedule())
    loss_of = partial(loss, condition_dropout=recipe.condition_dropout)
    steps = _train_denoiser(denoiser, loss_of, known, recipe, folder and folder / "denoiser.safetensors")
    yield from (("denoiser", step) for step in steps)
    denoiser.requires_grad_(True)
    generator.eval()


def without_spread(latents: Tensor, index: Tensor, count: int) -> list[int]:
    """The conditions, of `count`, whose latents `[N, C, L]` are all equal, or that have only one."""
    found = []
    for place in range(count):
        own = latents[index.to(latents.device) == place].flatten(1)
        if len(own) < 2 or float((own - own[0]).abs().max()) < SAME:
            found.append(place)
    return found


@dataclass(frozen=True)
class _Known:
    """What a denoiser learns from: latents `[N, C, L]`, views of Q conditions `[Q, V, E]`, each latent's condition.

    Without conditions all latents are of one place, and there is nothing to see.
    """

    latents: Tensor
    embeddings: Tensor | None
    index: Tensor

    @property
    def conditions(self) -> int:
        """Q, or 1."""
        return 1 if self.embeddings is None else len(self.embeddings)

    def first_views(self) -> Tensor | None:
        """The first view of each latent's condition, `[N, E]`."""
        return None if self.embeddings is None else self.embeddings[self.index, 0].to(self.latents.device)

    def some_views(self, chosen: Tensor, rng: torch.Generator) -> Tensor | None:
        """A random view of the condition of each chosen latent, `[B, E]`."""
        if self.embeddings is None:
            return None
        views = torch.randint(self.embeddings.shape[1], (len(chosen),), generator=rng)
        return self.embeddings[self.index[chosen], views].to(self.latents.device)


def _fit_mean(
    generator: AdapterGenerator,
    denoiser: ResidualDenoiser,
    known: _Known,
    curves: Curves | None,
    recipe: GeneratorRecipe,
    folder: Path | None,
) -> Iterator[Step]:
    """Find the mean of the latents, one for each condition, and measure what rows are left around it."""
    if known.embeddings is None:
        denoiser.centre.copy_(known.latents.mean(dim=0)[0])
    else:
        ends, pairs = _ends(generator, known, curves), curves.pairs if curves else ()
        checkpoint = folder and folder / "mean.safetensors"
        yield from _train_mean(denoiser, known.embeddings, *ends, pairs, recipe, checkpoint)
    with torch.no_grad():
        denoiser.fit_residuals((known.latents - denoiser.mean(known.first_views()))[:, 0])


def _train_mean(
    denoiser: ResidualDenoiser,
    embeddings: Tensor,
    anchors: Tensor,
    hubs: Tensor,
    pairs: Sequence[tuple[int, int]],
    recipe: GeneratorRecipe,
    checkpoint: Path | None,
) -> Iterator[Step]:
    """Train the mean that a condition predicts, of views `[Q, V, E]`.

    Half of a batch are conditions' own views, whose mean is the anchor, the other half points of the curves of `pairs`
    (anchors and hubs in latents, each `[Q, L]`) at the blended embedding. Rows of curves teach the mean alone: they
    have no spread of their own.
    """
    device, size = anchors.device, recipe.mean_batch
    denoiser.fit_conditions(embeddings)
    denoiser.centre.copy_(anchors.mean(0))
    scale = (anchors - anchors.mean(0)).square().mean().sqrt().clamp(min=1e-6)
    own = size - (size // 2 if pairs else 0)

    def loss_at(step: int) -> Tensor:
        rng = rng_at(recipe.seed + 2, step)
        first = torch.randint(len(embeddings), (size,), generator=rng)
        second, t = first.clone(), torch.zeros(size)
        if pairs:
            drawn = torch.tensor(pairs)[torch.randint(len(pairs), (size - own,), generator=rng)]
            first[own:], second[own:] = drawn.unbind(1)
            t[own:] = torch.rand(size - own, generator=rng)
        views = torch.randint(embeddings.shape[1], (2, size), generator=rng)
        start, end = embeddings[first, views[0]], embeddings[second, views[1]]
        condition = (start + (end - start) * t[:, None]).to(device)
        shares = torch.zeros(size, len(embeddings))
        shares.scatter_add_(1, first[:, None], 1 - t[:, None]).scatter_add_(1, second[:, None], t[:, None])
        target = curve(anchors, hubs, shares.to(device))
        return ((denoiser.mean(condition)[:, 0] - target) / scale).square().mean()

    head, rate = denoiser.mean_head, recipe.mean_learning_rate
    yield from _optimise(head, head, loss_at, steps=recipe.mean_steps, learning_rate=rate, checkpoint=checkpoint)


def _train_denoiser(
    denoiser: Denoiser | ResidualDenoiser,
    loss_of: Callable[..., Tensor],
    known: _Known,
    recipe: GeneratorRecipe,
    checkpoint: Path | None,
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

    yield from _optimise(
        averaged,
        denoiser,
        loss_at,
        steps=recipe.denoiser_steps,
        learning_rate=recipe.denoiser_learning_rate,
        checkpoint=checkpoint,
        after=lambda step: averaged.update(step, recipe.ema),
    )
    denoiser.load_state_dict(averaged.average.state_dict())


def _ends(generator: AdapterGenerator, known: _Known, curves: Curves | None) -> tuple[Tensor, Tensor]:
    """Anchors and hubs in latents, `[Q, L]` each; without curves both are the mean latent of each condition."""
    if curves is not None:
        return generator.encode(curves.anchors)[:, 0], generator.encode(curves.hubs)[:, 0]
    index = known.index.to(known.latents.device)
    means = torch.stack([known.latents[index == place].mean(dim=0)[0] for place in range(known.conditions)])
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
