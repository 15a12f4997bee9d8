"""One loop of AdamW that can be killed and goes on, and a moving average of weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from ..training.loop import Checkpoint, Step, cosine
from ..training.team import ALONE, Team

SAVE_EVERY = 250
LARGEST_GRADIENT = 1.0


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


def optimise(
    saved: nn.Module,
    trained: nn.Module,
    loss_at: Callable[[int], Tensor],
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    checkpoint: Path | None,
    after: Callable[[int], None] = lambda step: None,
    team: Team = ALONE,
) -> Iterator[Step]:
    """AdamW on `trained`, from the checkpoint on; `saved` is what a checkpoint holds, `after` runs after every step.

    `loss_at` gives the mean loss of this process's part of a step's batch of `batch_size`: of one process, all of it.
    """
    parameters = [parameter for parameter in trained.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.0, fused=True)
    keeper = Checkpoint(checkpoint, saved, optimizer) if checkpoint else None
    for step in range(team.begin(saved, keeper.load() if keeper else 0), steps):
        optimizer.param_groups[0]["lr"] = learning_rate * cosine(step, steps, warmup=min(50, steps // 10))
        with team.precision():
            own = loss_at(step)
        optimizer.zero_grad()
        loss = team.backward(own, batch_size, parameters)
        nn.utils.clip_grad_norm_(parameters, LARGEST_GRADIENT)
        optimizer.step()
        after(step)
        if keeper and team.main and ((step + 1) % SAVE_EVERY == 0 or step + 1 == steps):
            keeper.save(step + 1)
        yield Step(step + 1, steps, loss.item())
