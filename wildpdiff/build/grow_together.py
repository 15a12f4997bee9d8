"""Growing a zoo in one process whose every step trains all locations at once: for devices on which that is faster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..evaluate import accuracy
from ..network.backbone import Backbone
from ..training.loop import Step
from ..training.together import finetune_together
from ..worlds import open_world
from ..worlds.base import SPLITS
from ..zoo import Zoo
from .jobs import Job
from .photographs import mixed
from .starts import start_row


def grow_together(jobs: Sequence[Job], backbone: Path, world: Mapping[str, Any], *, device: str) -> Iterator[Step]:
    """Do all jobs of one zoo in batched steps; killed and run again, it goes on. Yields rows in the zoo of all rows.

    Rows reach the zoos before the training state that follows them is saved, as in `grow.grow_zoo`.
    """
    network, recipe = Backbone.load(backbone).to(device), jobs[0].recipe
    zoo = Zoo(jobs[0].folder, network.layout, regime=jobs[0].regime)
    total = len(jobs) * recipe.rows
    if all(zoo.count(job.name) >= recipe.rows for job in jobs):
        return
    jobs[0].folder.mkdir(parents=True, exist_ok=True)
    checkpoint, block = jobs[0].folder / f".{'-'.join(job.name for job in jobs)}.part", 10 * recipe.interval
    opened = open_world(world)
    images, held_out = ([mixed(opened, job.parts, split) for job in jobs] for split in SPLITS)
    fresh: dict[int, Tensor] = {}

    def keep() -> None:
        for place, job in enumerate(jobs):
            new = [rows[place] for number, rows in fresh.items() if number >= zoo.count(job.name)]
            if new:
                stacked = torch.stack(new)
                zoo.add(job.name, stacked, accuracy(network, stacked, held_out[place].pixels, held_out[place].labels))
        fresh.clear()

    starts, seeds = torch.stack([start_row(job.start) for job in jobs]), [job.seed for job in jobs]
    run = finetune_together(network, starts, images, recipe, seeds=seeds, checkpoint=checkpoint, save_every=block)
    for tuned in run:
        if tuned.rows is not None:
            fresh[(tuned.step.index - recipe.converge) // recipe.interval - 1] = tuned.rows
        if tuned.step.index % block == 0:
            keep()
            done = sum(zoo.count(job.name) for job in jobs)
            if done < total:
                yield Step(max(1, done), total, tuned.step.loss)
    keep()
    checkpoint.unlink(missing_ok=True)
    yield Step(sum(zoo.count(job.name) for job in jobs), total, float("nan"))
