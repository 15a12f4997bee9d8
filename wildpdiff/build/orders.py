"""One zoo to order: a regime, a saving interval, some locations - what it will cost, and its growth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from ..bundle import Bundle
from ..errors import UserError
from ..training.finetune import FinetuneRecipe
from ..training.loop import Step
from ..training.together import faster_together
from ..workers.pool import Workers
from ..worlds import open_world
from ..zoo import Zoo
from .claim import claimed
from .grow import grow
from .grow_together import grow_together
from .jobs import Job, location_jobs
from .pace import finetuning, looking, one_thread
from .recipes import Recipe
from .shards import Deed
from .starts import checked_regime, start_file, starts


@dataclass(frozen=True)
class Order:
    """A zoo to grow, or a part of it.

    Attributes:
        regime: of its starting rows.
        interval: steps between saved rows.
        rows: a location.
        locations: of the whole zoo.
        shard: which part of how many, from 1: every so-manieth location; (1, 1) is the whole.
    """

    regime: str
    interval: int
    rows: int
    locations: tuple[str, ...]
    shard: tuple[int, int] = (1, 1)

    def jobs(self, bundle: Bundle, recipe: Recipe, work: Path) -> list[Job]:
        """The fine-tunings that it stands for.

        Raises:
            UserError: if the regime or a location is not known, a number is below 1, or the shard has no location.
        """
        if self.interval < 1 or self.rows < 1:
            raise UserError("A zoo needs a saving interval and a number of rows of at least 1.")
        unknown = [name for name in self.locations if name not in bundle.seen]
        if unknown or not self.locations:
            raise UserError(
                f"Location '{''.join(unknown[:1])}' is not a seen one; choose of: {', '.join(bundle.seen)}."
            )
        checked_regime(self.regime)
        jobs = location_jobs(
            recipe, work, self.regime, interval=self.interval, rows=self.rows, locations=self.locations
        )
        part, parts = self.shard
        if not 1 <= part <= parts <= len(jobs):
            raise UserError(
                f"Shard {part}/{parts} has no location; of {len(jobs)}, I/N needs 1 <= I <= N <= {len(jobs)}."
            )
        return jobs[part - 1 :: parts]


def shard_of(text: str) -> tuple[int, int]:
    """The part that a text like `3/8` stands for.

    Raises:
        UserError: if it is no such text.
    """
    part, slash, parts = text.partition("/")
    if not (slash and part.strip().isdecimal() and parts.strip().isdecimal()):
        raise UserError(f"A shard is a part of how many, like 3/8, not '{text}'.")
    return int(part), int(parts)


def grow_order(
    bundle: Bundle, recipe: Recipe, order: Order, out: Path, *, workers: Workers, together: bool = False
) -> Iterator[tuple[str, Step]]:
    """Grow an order into the folder `out/zoo-REGIME-INTERVAL`; yields (stage, step), rows of all rows.

    `together` trains all locations in one batched step: see `Cost`.

    Raises:
        UserError: as `Order.jobs`, if the folder holds a zoo of another regime or layout, or a worker complains.
    """
    with claimed(out, out.name):
        yield from _grown(bundle, recipe, order, out, workers=workers, together=together)


def _grown(
    bundle: Bundle, recipe: Recipe, order: Order, out: Path, *, workers: Workers, together: bool
) -> Iterator[tuple[str, Step]]:
    jobs, path = order.jobs(bundle, recipe, out), bundle.folder / "backbone.safetensors"
    Deed.of(jobs, order.locations, bundle.backbone.layout, recipe).write(jobs[0].folder)
    yield from (
        ("start", step) for step in starts(recipe, path, out, bundle.device.type, regimes=[order.regime], joint=False)
    )
    if together:
        grown = grow_together(jobs, path, recipe.world, device=bundle.device.type)
    else:
        grown = grow(jobs, path, recipe.world, workers=workers, device=bundle.device.type)
    yield from ((f"zoo {order.regime}", step) for step in grown)


@dataclass(frozen=True)
class Cost:
    """What an order will cost here, measured by a few steps on one thread.

    Attributes:
        step: seconds of a fine-tuning step.
        look: seconds of naming one image.
        together: how many times faster all locations train in one batched step than one after the other.
        minutes: of the whole.
        megabytes: of the whole.
        locations: that are still to do.
        start: steps of the row that all of them start from, if it is still to be made.
    """

    step: float
    look: float
    together: float
    minutes: float
    megabytes: float
    locations: int
    start: int = 0

    def words(self, order: Order, recipe: Recipe, workers: Workers) -> str:
        """The cost in a sentence."""
        steps = recipe.finetune.converge + order.rows * order.interval
        first = f"{self.start:,} steps for the row to start from, then " if self.start else ""
        way = "in one batched step" if self.together > 1 else workers.words
        return (
            f"{first}{self.locations} locations x {steps:,} steps: about {self.minutes:.0f} minutes {way}, "
            f"{self.megabytes:,.0f} MB, if nothing else runs (a step takes {self.step:.2f} s, and a batched step is "
            f"{self.together:.1f} times as fast as one after the other)."
        )


def cost(bundle: Bundle, recipe: Recipe, order: Order, out: Path, *, workers: Workers) -> Cost:
    """Measure what is still to do of an order in a folder, on one thread.

    Raises:
        UserError: as `Order.jobs`.
    """
    jobs, world = order.jobs(bundle, recipe, out), open_world(recipe.world)
    layout, start = bundle.backbone.layout, start_file(out, "H", "")
    left = [job for job in jobs if Zoo(job.folder, layout, regime=job.regime).count(job.name) < order.rows]
    first = recipe.shared.steps if left and order.regime == "H" and not start.exists() else 0
    with one_thread():
        step, look, together = _seconds(bundle, jobs[0].recipe)
    each = jobs[0].recipe.steps * step + order.rows * look * len(world.labels(order.locations[0], "eval"))
    rounds = len(left) / together if together > 1 else -(-len(left) // workers.count)
    size = len(left) * order.rows * layout.dim * 4 / 1e6
    return Cost(step, look, together, (first * step + rounds * each) / 60, size, len(left), first)


def _seconds(bundle: Bundle, tuning: FinetuneRecipe) -> tuple[float, float, float]:
    """Seconds of a fine-tuning step, of naming one image, and the gain of batching two locations."""
    images = bundle.world.images(bundle.seen[0], "eval", first=32)
    row, step, look = (
        bundle.means(bundle.regime)[0],
        finetuning(bundle.backbone, images, tuning),
        looking(bundle.backbone, images),
    )
    return step, look, faster_together(bundle.backbone, torch.stack([row, row]), [images, images], tuning)
