"""Fine-tuning several locations in one batched step, for devices on which that is faster than one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap
from torch.nn.functional import cross_entropy

from ..errors import UserError
from ..network.backbone import Backbone
from ..worlds.base import Images
from .finetune import FinetuneRecipe, finetune
from .loop import Checkpoint, Step, rng_at
from .pretrain import flipped

Gradient = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class TunedTogether:
    """The state after a step: the step (its loss the mean of all), and the raw rows `[J, D]` where they are to be saved
    (else None)."""

    step: Step
    rows: Tensor | None


def finetune_together(
    backbone: Backbone,
    starts: Tensor,
    images: Sequence[Images],
    recipe: FinetuneRecipe,
    *,
    seeds: Sequence[int],
    checkpoint: Path | None = None,
    save_every: int = 100,
) -> Iterator[TunedTogether]:
    """Train J rows at once, each on its own location's photographs; batch-norm statistics stay frozen.

    Row j goes the way that `finetune` takes it from `starts[j]` on `images[j]` with `seeds[j]`, but for rounding: same
    batches, same rates. Each row is merged into the adapted weights; convolutions then work as J groups.

    Args:
        backbone: the shared network; left as it was.
        starts: raw rows to start from, `[J, D]`.
        images: photographs of each location, J of them, all of one size.
        recipe: how long and how fast.
        seeds: of the batches of each location, J of them.
        checkpoint: file from which a killed run goes on; steps before it are not yielded again.
        save_every: steps between two savings of it.

    Raises:
        UserError: if there are not as many images and seeds as rows, or the rows have another D.
    """
    backbone.layout.check(starts)
    if starts.ndim != 2 or not len(starts) == len(images) == len(seeds) > 0:
        raise UserError(f"Each of the {len(starts)} rows needs its own images and its own seed, and there must be one.")
    device = next(backbone.parameters()).device
    rows = nn.Parameter(starts.to(device).clone())
    trained = nn.ParameterDict({"rows": rows})  # alone, so that a checkpoint holds no frozen weight
    optimizer = torch.optim.AdamW(trained.parameters(), lr=recipe.learning_rate, weight_decay=0.0)
    kept = None if checkpoint is None else Checkpoint(checkpoint, trained, optimizer)
    gradient = _gradient(backbone)
    for index in range(kept.load() if kept else 0, recipe.steps):
        pixels, labels = _batches(backbone, images, seeds, recipe.batch_size, index)
        optimizer.param_groups[0]["lr"] = recipe.rate(index)
        rows.grad, losses = gradient(rows.detach(), pixels, labels)
        optimizer.step()
        done = index + 1 - recipe.converge
        due = done > 0 and done % recipe.interval == 0
        saved = rows.detach().cpu().clone() if due else None
        yield TunedTogether(Step(index + 1, recipe.steps, losses.mean().item()), saved)
        if kept and (index + 1) % save_every == 0:
            kept.save(index + 1)


def faster_together(
    backbone: Backbone, starts: Tensor, images: Sequence[Images], recipe: FinetuneRecipe, *, steps: int = 2
) -> float:
    """How many times faster `finetune_together` is on the backbone's device than `finetune` for one after the other.

    Measured on `steps` steps of each after one to warm up; below 1 it is slower. Arguments as for `finetune_together`.
    """
    seeds = range(len(starts))
    together = _seconds(finetune_together(backbone, starts, images, recipe, seeds=seeds), steps)
    alone = [
        _seconds(finetune(backbone, start, own, recipe, seed=seed), steps)
        for start, own, seed in zip(starts, images, seeds, strict=True)
    ]
    return sum(alone) / together


def _seconds(run: Iterator[object], steps: int) -> float:
    """Mean seconds of a run's steps after its first; each ends by reading its loss, so none is still under way."""
    next(run)
    begun = time.perf_counter()
    count = sum(1 for _ in islice(run, steps))
    return (time.perf_counter() - begun) / max(1, count)


def _batches(
    backbone: Backbone, images: Sequence[Images], seeds: Sequence[int], size: int, index: int
) -> tuple[Tensor, Tensor]:
    """Step number `index`: prepared pixels `[J, B, 3, H, W]` and labels `[J, B]`, drawn as `finetune` draws them."""
    device = next(backbone.parameters()).device
    pixels, labels = [], []
    for own, seed in zip(images, seeds, strict=True):
        rng = rng_at(seed, index)
        drawn = torch.randint(len(own), (size,), generator=rng)
        pixels.append(backbone.prepared(flipped(own.pixels[drawn], rng).to(device)))
        labels.append(own.labels[drawn])
    return torch.stack(pixels), torch.stack(labels).to(device)


def _gradient(backbone: Backbone) -> Gradient:
    """Rows `[J, D]`, pixels `[J, B, 3, H, W]` and labels `[J, B]` to gradients `[J, D]` and losses `[J]`."""
    network = backbone.copy().eval()

    def loss(row: Tensor, pixels: Tensor, labels: Tensor) -> Tensor:
        merged = backbone.subset.weights(backbone.network, row)
        return cross_entropy(functional_call(network, merged, (pixels,)), labels)

    return vmap(grad_and_value(loss))
