"""The mean that a condition predicts: trained on conditions and on the curves between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..training.connect import curve
from ..training.loop import Step, rng_at
from ..training.team import ALONE, Team
from .generator import AdapterGenerator
from .known import Curves, Known
from .optimise import optimise
from .recipe import GeneratorRecipe
from .residual import ResidualDenoiser


def fit_mean(
    generator: AdapterGenerator,
    denoiser: ResidualDenoiser,
    known: Known,
    curves: Curves | None,
    recipe: GeneratorRecipe,
    folder: Path | None,
    team: Team = ALONE,
) -> Iterator[Step]:
    """Find the mean of the latents, one for each condition, and measure what rows are left around it."""
    if known.embeddings is None:
        denoiser.centre.copy_(known.latents.mean(dim=0)[0])
    else:
        ends, pairs = _ends(generator, known, curves), curves.pairs if curves else ()
        checkpoint = folder and folder / "mean.safetensors"
        yield from _train_mean(denoiser, known.embeddings, *ends, pairs, recipe, checkpoint, team)
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
    team: Team,
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
    plain, own = size - (size // 2 if pairs else 0), team.part(size)

    def loss_at(step: int) -> Tensor:
        rng = rng_at(recipe.seed + 2, step)
        first = torch.randint(len(embeddings), (size,), generator=rng)
        second, t = first.clone(), torch.zeros(size)
        if pairs:
            drawn = torch.tensor(pairs)[torch.randint(len(pairs), (size - plain,), generator=rng)]
            first[plain:], second[plain:] = drawn.unbind(1)
            t[plain:] = torch.rand(size - plain, generator=rng)
        views = torch.randint(embeddings.shape[1], (2, size), generator=rng)
        start, end = embeddings[first, views[0]], embeddings[second, views[1]]
        condition = (start + (end - start) * t[:, None]).to(device)
        shares = torch.zeros(size, len(embeddings))
        shares.scatter_add_(1, first[:, None], 1 - t[:, None]).scatter_add_(1, second[:, None], t[:, None])
        target = curve(anchors, hubs, shares[own].to(device))
        return ((denoiser.mean(condition[own])[:, 0] - target) / scale).square().mean()

    head = denoiser.mean_head
    yield from optimise(
        head,
        head,
        loss_at,
        steps=recipe.mean_steps,
        batch_size=size,
        learning_rate=recipe.mean_learning_rate,
        checkpoint=checkpoint,
        team=team,
    )


def _ends(generator: AdapterGenerator, known: Known, curves: Curves | None) -> tuple[Tensor, Tensor]:
    """Anchors and hubs in latents, `[Q, L]` each; without curves both are the mean latent of each condition."""
    if curves is not None:
        return generator.encode(curves.anchors)[:, 0], generator.encode(curves.hubs)[:, 0]
    index = known.index.to(known.latents.device)
    means = torch.stack([known.latents[index == place].mean(dim=0)[0] for place in range(known.conditions)])
    return means, means
