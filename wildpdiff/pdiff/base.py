"""Training the base network of a p-diff system from scratch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from ..network.standard import IMAGENET
from ..training.loop import Checkpoint, Step, cosine, rng_at
from .pictures import Pictures, augmented
from .recipe import BaseRecipe
from .shared import memory_format

SAVE_EVERY = 250
#: A picture is shifted by up to this share of its side in training.
SHIFT = 1 / 16


def train_base(
    network: nn.Module, pictures: Pictures, recipe: BaseRecipe, *, seed: int, checkpoint: Path | None = None
) -> Iterator[Step]:
    """Train all parameters in place; a killed training goes on from `checkpoint`, and ends with the same weights.

    The network ends in evaluation mode, with the batch-norm statistics of the way there.
    """
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.rate, weight_decay=recipe.weight_decay)
    kept = Checkpoint(checkpoint, network, optimizer) if checkpoint else None
    images, shift = pictures.train, round(SHIFT * pictures.size)
    device = next(network.parameters()).device
    form = memory_format(network, IMAGENET.prepared(images.pixels[:1].to(device)))
    network.train()
    for index in range(kept.load() if kept else 0, recipe.steps):
        rng = rng_at(seed, index)
        drawn = torch.randint(len(images), (min(recipe.batch, len(images)),), generator=rng)
        pixels = augmented(images.pixels[drawn], rng, flips=pictures.flips, shift=shift)
        optimizer.param_groups[0]["lr"] = recipe.rate * cosine(index, recipe.steps, warmup=min(100, recipe.steps // 10))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed * 1_000_003 + index)  # dropout of a resumed training, too
            inputs = IMAGENET.prepared(pixels.to(device)).contiguous(memory_format=form)
            loss = cross_entropy(network(inputs), images.labels[drawn].to(device))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        if kept and (index + 1) % SAVE_EVERY == 0:
            kept.save(index + 1)
        yield Step(index + 1, recipe.steps, loss.item())
    network.eval()
