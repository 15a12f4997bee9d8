"""What a p-diff system will cost: a few steps of each stage, timed before anything is written."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch

from ..generator.train import train_generator
from .base import train_base
from .checkpoints import fine_tune
from .recipe import RATES
from .shared import Shared, timed
from .system import BASE, GENERATOR, RESULTS, ROWS, System, generator_recipe, untrained

#: Steps that are timed, after as many that are not.
TIMED = 4
#: Rows and pictures that measuring is timed with.
SOME_ROWS, SOME_PICTURES = 8, 250


@dataclass(frozen=True)
class Cost:
    """Seconds by stage, of those that are still to be done, and the size of the rows.

    Attributes:
        seconds: by stage.
        megabytes: of all rows in memory.
    """

    seconds: dict[str, float]
    megabytes: float

    @property
    def total(self) -> float:
        """Seconds of all stages."""
        return sum(self.seconds.values())

    def words(self) -> str:
        """In a sentence."""
        if not self.seconds:
            return "Everything is there already."
        parts = ", ".join(f"{name} {_spell(value)}" for name, value in self.seconds.items())
        threads = torch.get_num_threads()
        return (
            f"About {_spell(self.total)} on {threads} thread{'s'[: threads != 1]}: {parts}; "
            f"the rows take {max(1, round(self.megabytes)):,} MB."
        )


def cost(system: System) -> Cost:
    """Time a few steps of each stage that is still to be done; nothing is written."""
    recipe, order, out = system.order.recipe, system.order, system.out
    rows = recipe.rows
    shared = Shared(copy.deepcopy(system.network), system.subset)
    start = torch.zeros(shared.layout.dim)
    count = rows.runs * rows.rows
    known = max(2, count - count // rows.held_out)
    found: dict[str, float] = {}
    if not (out / BASE).exists() and system.trains_base:
        training = train_base(copy.deepcopy(system.network).requires_grad_(), system.pictures, recipe.base, seed=0)
        found["base"] = recipe.base.steps * _pace(training)
    if not (out / ROWS).exists() and order.zoo is None:
        tried = 0 if rows.rate else (len(RATES) - 1) * rows.steps // 2
        pace = _pace(fine_tune(shared, start, system.pictures, rows, rows.rate or RATES[-1], seed=0))
        found["rows"] = (rows.runs * rows.steps + tried) * pace
    if not (out / GENERATOR / "config.json").exists():
        few = torch.randn(8, shared.layout.dim, generator=torch.Generator().manual_seed(0))
        few_recipe = replace(generator_recipe(recipe, 0), denoiser_steps=2 * TIMED + 1)
        small = untrained(shared, 8, recipe, 0).to(shared.device)
        steps = (step for stage, step in train_generator(small, few, None, None, few_recipe) if stage == "denoiser")
        found["generator"] = recipe.denoiser_steps * _pace(steps)
    if not (out / RESULTS).exists():
        images, made = (
            system.measured_pictures,
            known + 2 * (count - known) + recipe.samples + 4 * recipe.baselines + 60,
        )
        pixels, labels = images.test.pixels[:SOME_PICTURES], images.test.labels[:SOME_PICTURES]
        some = torch.zeros(SOME_ROWS, shared.layout.dim)
        shared.way(shared.inputs(pixels))
        each = timed(lambda: shared.correct(some, pixels, labels)) / SOME_ROWS / len(labels)
        found["measuring"] = made * (len(images.selection) + len(images.test)) * each
    return Cost(found, (count + recipe.samples + 4 * recipe.baselines) * shared.layout.dim * 4 / 2**20)


def _pace(steps: Iterable[object]) -> float:
    """Seconds a step, of the next few after a few."""
    walk = iter(steps)
    for _ in itertools.islice(walk, TIMED):
        pass
    return timed(lambda: list(itertools.islice(walk, TIMED))) / TIMED


def _spell(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )
