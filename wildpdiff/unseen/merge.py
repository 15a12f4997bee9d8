"""One adapter for all places, put together from the zoo's: how much of each location goes into each layer is
learned.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ..network.adapter import AdapterLayout
from ..network.backbone import Backbone
from ..network.folded import Folded
from ..training.loop import Checkpoint, Step, cosine, rng_at
from ..training.pretrain import flipped
from ..universal.places import Places

#: Steps between two savings of the state.
SAVE_EVERY = 50


@dataclass(frozen=True)
class MergeRecipe:
    """AdamW on one number a location and layer, from the plain mean on."""

    steps: int = 300
    batch_size: int = 64
    learning_rate: float = 1e-2


def layers_of(layout: AdapterLayout) -> Tensor:
    """The layer that each number of a row belongs to, int64 `[D]`: a module's factors go together."""
    modules = [name.rpartition(".")[0] or name for name in layout.names]
    number = {module: place for place, module in enumerate(dict.fromkeys(modules))}
    sizes = [torch.Size(shape).numel() for shape in layout.shapes]
    return torch.tensor([number[module] for module in modules]).repeat_interleave(torch.tensor(sizes))


def merged(rows: Tensor, weights: Tensor, layers: Tensor) -> Tensor:
    """The row `[D]` that is made of `rows` `[Q, D]` by `weights` `[Q, layers]`."""
    return (rows * weights[:, layers]).sum(dim=0)


def learn_merge(
    backbone: Backbone, rows: Tensor, places: Places, recipe: MergeRecipe, *, seed: int, checkpoint: Path
) -> Iterator[tuple[Step, Tensor]]:
    """Learn the weights on photographs of many places, balanced as the joint row's are; yields each step with the row.

    Args:
        backbone: the shared network; left as it was.
        rows: what is merged, `[Q, D]`.
        places: with their photographs.
        recipe: how long and how fast.
        seed: of the batches.
        checkpoint: file that a killed run goes on from; the caller removes it.
    """
    layers, folded = layers_of(backbone.layout), Folded(backbone)
    held = nn.ParameterDict({"weights": torch.full((len(rows), int(layers.max()) + 1), 1 / len(rows))})
    optimizer = torch.optim.AdamW(held.parameters(), lr=recipe.learning_rate, weight_decay=0.0)
    kept, logs = Checkpoint(checkpoint, held, optimizer), places.shares.clamp(min=1e-4).log()
    for index in range(kept.load(), recipe.steps):
        rng = rng_at(seed, index)
        of = torch.randint(len(places), (recipe.batch_size,), generator=rng)
        which = torch.randint(places.labels.shape[1], (recipe.batch_size,), generator=rng)
        pixels = backbone.prepared(flipped(places.pixels[of, which], rng))
        scores = folded.logits(merged(rows, held["weights"], layers), pixels)
        loss = cross_entropy(scores + logs[of], places.labels[of, which])
        optimizer.param_groups[0]["lr"] = recipe.learning_rate * cosine(index, recipe.steps, warmup=20)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if (index + 1) % SAVE_EVERY == 0:
            kept.save(index + 1)
        yield Step(index + 1, recipe.steps, loss.item()), merged(rows, held["weights"].detach(), layers)
