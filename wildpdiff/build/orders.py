"""One zoo to order: a regime, a saving interval, some locations - what it will cost, and its growth."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch

from ..backbone import Backbone
from ..bundle import Bundle
from ..errors import UserError
from ..evaluate import accuracy
from ..files import load_tensors
from ..finetune import FinetuneRecipe, finetune
from ..loop import Step
from ..together import faster_together
from ..worlds.savanna.world import SavannaWorld
from .grow import Job, grow, photographs, save_row
from .grow_together import grow_together
from .jobs import checked_regime, location_jobs, start_file, write_starts
from .recipes import Recipe
from .workers import each


@dataclass(frozen=True)
class Order:
    """A zoo to grow: its regime, steps between saved rows, rows a location, and the locations."""

    regime: str
    interval: int
    rows: int
    locations: tuple[str, ...]

    def jobs(self, bundle: Bundle, recipe: Recipe, work: Path) -> list[Job]:
        """The fine-tunings that it stands for.

        Raises:
            UserError: if the regime or a location is not known, or a number is below 1.
        """
        if self.interval < 1 or self.rows < 1:
            raise UserError("A zoo needs a saving interval and a number of rows of at least 1.")
        unknown = [name for name in self.locations if name not in bundle.seen]
        if unknown or not self.locations:
            raise UserError(
                f"Location '{''.join(unknown[:1])}' is not a seen one; choose of: {', '.join(bundle.seen)}."
            )
        checked_regime(self.regime)
        return location_jobs(
            recipe, work, self.regime, interval=self.interval, rows=self.rows, locations=self.locations
        )


def grow_order(
    bundle: Bundle, recipe: Recipe, order: Order, out: Path, *, workers: int, together: bool = False
) -> Iterator[tuple[str, Step]]:
    """Grow an order into the folder `out/zoo-REGIME-INTERVAL`; yields (stage, step), rows of all rows.

    `together` trains all locations in one batched step: see `Cost`.

    Raises:
        UserError: as `Order.jobs`, if the folder holds a zoo of another regime or layout, or a worker complains.
    """
    jobs, path = order.jobs(bundle, recipe, out), bundle.folder / "backbone.safetensors"
    yield from (("start", step) for step in starts(recipe, path, out, bundle.device.type, joint=False))
    if together:
        grown = grow_together(jobs, path, recipe.world, device=bundle.device.type)
    else:
        grown = grow(jobs, path, recipe.world, workers=workers, device=bundle.device.type)
    yield from ((f"zoo {order.regime}", step) for step in grown)


@dataclass(frozen=True)
class Start:
    """A converged row to make for others to start from: on which locations' photographs, and where it is kept."""

    path: Path
    locations: tuple[str, ...]
    recipe: Recipe
    backbone: Path
    work: Path
    device: str


def starts(
    recipe: Recipe, backbone: Path, work: Path, device: str, *, joint: bool = True, workers: int = 1
) -> Iterator[Step]:
    """Write the rows that fine-tunings start from.

    Random ones for regimes L and M; for H one that converged at the first seen location (paper, appendix D); and, if
    `joint`, the baseline that is trained on all seen locations together.
    """
    write_starts(recipe, Backbone.load(backbone), work)
    plans = [(start_file(work, "H", ""), recipe.seen[:1])]
    plans += [(work / "joint.safetensors", recipe.seen)] if joint else []
    jobs = [Start(path, locations, recipe, backbone, work, device) for path, locations in plans if not path.exists()]
    for count in each(make_start, jobs, workers=workers):
        yield Step(count, len(jobs), float("nan"))


def make_start(start: Start) -> None:
    """Fine-tune one starting row; a killed one goes on where it was."""
    recipe, network = start.recipe, Backbone.load(start.backbone).to(start.device)
    checkpoint = start.path.with_suffix(".part")
    images = photographs(SavannaWorld(recipe.world), start.locations, recipe.world.train_images)
    first = load_tensors(start_file(start.work, "M", ""))[0]["row"]
    for tuned in finetune(network, first, images, recipe.shared, seed=recipe.seed, checkpoint=checkpoint):
        if tuned.row is not None:
            save_row(start.path, tuned.row, network)
    checkpoint.unlink(missing_ok=True)


@dataclass(frozen=True)
class Cost:
    """What an order will cost here, measured by a few steps on one thread.

    `step`: seconds of a fine-tuning step; `look`: of naming one image; `together`: how many times faster all locations
    train in one batched step than one after the other; `minutes`, `megabytes`: of the whole.
    """

    step: float
    look: float
    together: float
    minutes: float
    megabytes: float

    def words(self, order: Order, recipe: Recipe, workers: int) -> str:
        """The cost in a sentence."""
        steps = recipe.finetune.converge + order.rows * order.interval
        way = "in one batched step" if self.together > 1 else f"in {workers} processes"
        return (
            f"{len(set(order.locations))} locations x {steps:,} steps: about {self.minutes:.0f} minutes {way}, "
            f"{self.megabytes:,.0f} MB, if nothing else runs (a step takes {self.step:.2f} s, and a batched step is "
            f"{self.together:.1f} times as fast as one after the other)."
        )


def cost(bundle: Bundle, recipe: Recipe, order: Order, *, workers: int) -> Cost:
    """Measure what an order will cost, on one thread.

    Raises:
        UserError: as `Order.jobs`.
    """
    jobs = order.jobs(bundle, recipe, Path())
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        step, look, together = _seconds(bundle, jobs[0].recipe)
    finally:
        torch.set_num_threads(threads)
    each = jobs[0].recipe.steps * step + order.rows * look * recipe.world.eval_images
    rounds = len(jobs) / together if together > 1 else -(-len(jobs) // max(1, workers))
    size = len(jobs) * order.rows * bundle.backbone.layout.dim * 4 / 1e6
    return Cost(step, look, together, rounds * each / 60, size)


def _seconds(bundle: Bundle, tuning: FinetuneRecipe) -> tuple[float, float, float]:
    """Seconds of a fine-tuning step, of naming one image, and the gain of batching two locations."""
    images = bundle.world.photograph(bundle.world.location(bundle.seen[0]), "cost", 32)
    row = bundle.means(bundle.regime)[0]
    run = finetune(bundle.backbone, row, images, tuning, seed=0)
    next(run)
    begun = time.perf_counter()
    done = sum(1 for _ in islice(run, 3))
    step, begun = (time.perf_counter() - begun) / max(1, done), time.perf_counter()
    accuracy(bundle.backbone, row[None], images.pixels, images.labels)
    look = (time.perf_counter() - begun) / len(images)
    return step, look, faster_together(bundle.backbone, torch.stack([row, row]), [images, images], tuning)
