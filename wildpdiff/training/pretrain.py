"""Training the classifier that all adapters share, on many locations at once (paper section 4.1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, interpolate

from ..network.backbone import Backbone
from ..worlds.base import Images
from .loop import Checkpoint, Step, cosine, rng_at
from .team import ALONE, Team
from .whole_batch import whole_batch


@dataclass(frozen=True)
class PretrainRecipe:
    """Steps of AdamW on batches that are reweighted by class frequency, as in the paper.

    `balance`: 1 makes every class equally likely, 0 leaves the frequencies as they are. The first `small_share` of the
    steps see pictures of `small_size` pixels, which cost less than half as much.
    """

    images_per_location: int = 500
    steps: int = 3000
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    balance: float = 0.5
    small_share: float = 0.6
    small_size: int = 64
    save_every: int = 200


def pretrain(
    backbone: Backbone, images: Images, recipe: PretrainRecipe, *, seed: int, checkpoint: Path, team: Team = ALONE
) -> Iterator[Step]:
    """Train all weights in place; a killed run goes on from `checkpoint` and ends with the same weights.

    Args:
        backbone: the classifier; left in evaluation mode.
        images: photographs of all pretraining locations, pixels uint8 `[M, 3, H, W]`.
        recipe: how long and how fast.
        seed: of the batches.
        checkpoint: file that keeps the state.
        team: the processes that share it; batch norms measure the batches of all of them together.
    """
    device = next(backbone.parameters()).device
    decay = [p for p in backbone.parameters() if p.ndim > 1]
    rest = [p for p in backbone.parameters() if p.ndim <= 1]
    groups = [{"params": decay, "weight_decay": recipe.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate)
    kept = Checkpoint(checkpoint, backbone, optimizer)
    chances = class_chances(images.labels, recipe.balance)
    backbone.train()
    own = team.part(recipe.batch_size)
    for index in range(team.begin(backbone, kept.load()), recipe.steps):
        rng = rng_at(seed, index)
        drawn = torch.multinomial(chances, recipe.batch_size, replacement=True, generator=rng)
        pixels = backbone.prepared(flipped(images.pixels[drawn], rng)[own].to(device))
        if index < recipe.small_share * recipe.steps:
            pixels = interpolate(pixels, size=recipe.small_size, mode="area")
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * cosine(index, recipe.steps, warmup=min(100, recipe.steps // 10 + 1))
        with team.precision(), whole_batch(team):
            part = cross_entropy(backbone.network(pixels), images.labels[drawn][own].to(device))
        optimizer.zero_grad(set_to_none=True)
        loss = team.backward(part, recipe.batch_size, [*decay, *rest])
        optimizer.step()
        if team.main and (index + 1) % recipe.save_every == 0:
            kept.save(index + 1)
        yield Step(index + 1, recipe.steps, loss.item())
    backbone.eval()


def class_chances(labels: Tensor, balance: float) -> Tensor:
    """Chance of drawing each image, `[M]`: its class's frequency to the power of -`balance`."""
    counts = torch.bincount(labels).clamp(min=1).double()
    return (counts**-balance)[labels]


def flipped(pixels: Tensor, rng: torch.Generator) -> Tensor:
    """Images `[B, 3, H, W]`, each mirrored left to right with an even chance."""
    mirror = torch.rand(len(pixels), generator=rng) < 0.5
    return torch.where(mirror[:, None, None, None], pixels.flip(-1), pixels)
