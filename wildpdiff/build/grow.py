"""Growing zoos: many fine-tunings, several at once, each in a process that may be killed."""

from __future__ import annotations

import multiprocessing.process
import multiprocessing.queues
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from ..backbone import Backbone
from ..errors import UserError
from ..evaluate import accuracy
from ..files import load_tensors, save_tensors
from ..finetune import FinetuneRecipe, finetune
from ..loop import Step
from ..worlds.base import Images, Split
from ..worlds.savanna.world import SavannaConfig, SavannaWorld
from ..zoo import Zoo


@dataclass(frozen=True)
class Job:
    """One fine-tuning to do: rows named `name` in the zoo `folder`.

    Attributes:
        folder: of the zoo.
        regime: of the zoo.
        name: of the rows, a location's or a blend's.
        start: file that holds the starting row, as `row` `[D]` or as the last of `rows` `[J, D]`.
        parts: locations whose photographs are trained on, each with its share of them.
        recipe: how long and how fast.
        seed: of the batches.
    """

    folder: Path
    regime: str
    name: str
    start: Path
    parts: tuple[tuple[str, float], ...]
    recipe: FinetuneRecipe
    seed: int


def grow(
    jobs: Sequence[Job], backbone: Path, world: SavannaConfig, *, workers: int, device: str = "cpu"
) -> Iterator[Step]:
    """Do every job that is not done, several at once in processes of one thread each: on two cores that is 1.4 times
    faster than one after the other on both. Yields rows in the zoo of all rows.

    Raises:
        UserError: if there is no worker, or what one complained of.
    """
    if workers < 1:
        raise UserError(f"At least 1 worker is needed, not {workers}.")
    layout = Backbone.load(backbone).layout
    total = sum(job.recipe.rows for job in jobs)

    def rows() -> int:
        return sum(min(job.recipe.rows, Zoo(job.folder, layout, regime=job.regime).count(job.name)) for job in jobs)

    done, waiting = rows(), [job for job in jobs if _rows_of(job, layout) < job.recipe.rows]
    if not waiting:
        return
    context = multiprocessing.get_context("spawn")
    complaints: multiprocessing.queues.SimpleQueue[str] = context.SimpleQueue()
    running: list[multiprocessing.process.BaseProcess] = []
    # A process takes some jobs at once, because starting one costs seconds; not too many, so that all end together.
    share = min(6, -(-len(waiting) // workers))
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                batch, waiting = waiting[:share], waiting[share:]
                arguments = (batch, backbone, world, device, complaints)
                running.append(context.Process(target=work_on, args=arguments, daemon=True))
                running[-1].start()
            running[0].join(timeout=1)
            running = [process for process in running if not _finished(process, complaints)]
            now = rows()
            if now not in (done, total):
                done = now
                yield Step(max(1, done), total, float("nan"))
    finally:
        for process in running:
            process.terminate()
            process.join()
    yield Step(total, total, float("nan"))


def _rows_of(job: Job, layout: object) -> int:
    return Zoo(job.folder, layout, regime=job.regime).count(job.name)  # type: ignore[arg-type]


def _finished(
    process: multiprocessing.process.BaseProcess, complaints: multiprocessing.queues.SimpleQueue[str]
) -> bool:
    """Whether a worker is done; raises what it complained of."""
    if process.is_alive():
        return False
    if process.exitcode:
        raise UserError(
            "A worker of the zoo was stopped; run the same command again." if complaints.empty() else complaints.get()
        )
    return True


def work_on(
    jobs: Sequence[Job],
    backbone: Path,
    world: SavannaConfig,
    device: str,
    complaints: multiprocessing.queues.SimpleQueue[str],
) -> None:
    """Do some jobs in a process of its own; goes on where a killed one was.

    It dies with its parent, and waits while a leftover of an earlier build still works on the same rows.
    """
    threading.Thread(target=_die_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    try:
        network = Backbone.load(backbone).to(device)
        for job in jobs:
            do(job, network, SavannaWorld(world))
    except UserError as error:
        complaints.put(str(error))
        sys.exit(1)


def do(job: Job, backbone: Backbone, world: SavannaWorld) -> None:
    """Fine-tune one job's rows into its zoo, unless they are there."""
    job.folder.mkdir(parents=True, exist_ok=True)
    mark = job.folder / f".{job.name}"
    with _alone(mark.with_suffix(f"{mark.suffix}.lock")):
        zoo = Zoo(job.folder, backbone.layout, regime=job.regime)
        if zoo.count(job.name) >= job.recipe.rows:
            return
        grow_zoo(
            zoo,
            job.name,
            backbone,
            start_row(job.start),
            mixed(world, job.parts, "train"),
            mixed(world, job.parts, "eval"),
            job.recipe,
            seed=job.seed,
            checkpoint=mark.with_suffix(f"{mark.suffix}.part"),
        )


def start_row(path: Path) -> Tensor:
    """The raw row `[D]` that a fine-tuning starts from.

    Raises:
        UserError: if its file is missing or damaged.
    """
    tensors, _ = load_tensors(path)
    if not {"row", "rows"} & set(tensors):
        raise UserError(f"'{path.name}' holds no row to start from; make it anew.")
    return tensors["row"].float() if "row" in tensors else tensors["rows"][-1].float()


def mixed(world: SavannaWorld, parts: Sequence[tuple[str, float]], split: Split) -> Images:
    """Photographs of several locations, of each the first ones, as many as its share says; one location gives all."""
    pieces = []
    for location, share in parts:
        images = _rendered(world, location, split)
        count = round(share * len(images))
        pieces.append(Images(images.pixels[:count], images.labels[:count]))
    return Images(torch.cat([piece.pixels for piece in pieces]), torch.cat([piece.labels for piece in pieces]))


@lru_cache(maxsize=24)
def _rendered(world: SavannaWorld, location: str, split: Split) -> Images:
    """A location's photographs, kept for the next job of this process."""
    return world.images(location, split)


def photographs(world: SavannaWorld, locations: tuple[str, ...], count: int) -> Images:
    """`count` training photographs of each of several locations, together."""
    parts = [world.photograph(world.location(name), "train", count) for name in locations]
    return Images(torch.cat([part.pixels for part in parts]), torch.cat([part.labels for part in parts]))


def save_row(path: Path, row: Tensor, backbone: Backbone) -> None:
    """Write one raw row `[D]` for jobs to start from."""
    save_tensors(path, {"row": row}, {"layout": backbone.layout.fingerprint})


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock file while inside, where the system has such locks; a dead process no longer holds it."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    path.unlink(missing_ok=True)


def grow_zoo(
    zoo: Zoo,
    name: str,
    backbone: Backbone,
    start: Tensor,
    images: Images,
    held_out: Images,
    recipe: FinetuneRecipe,
    *,
    seed: int,
    checkpoint: Path,
) -> None:
    """Add rows fine-tuned on `images` and their accuracies on `held_out`; killed and resumed, the rows are the same.

    Rows reach the zoo before the training state that follows them is saved, so none is lost; a row that is in the zoo
    already, by its number, is passed over.
    """
    block = 10 * recipe.interval
    fresh: dict[int, Tensor] = {}

    def keep() -> None:
        new = [row for number, row in fresh.items() if number >= zoo.count(name)]
        fresh.clear()
        if new:
            rows = torch.stack(new)
            zoo.add(name, rows, accuracy(backbone, rows, held_out.pixels, held_out.labels))

    for tuned in finetune(backbone, start, images, recipe, seed=seed, checkpoint=checkpoint, save_every=block):
        number = (tuned.step.index - recipe.converge) // recipe.interval - 1
        if tuned.row is not None and number >= zoo.count(name):
            fresh[number] = tuned.row
        if tuned.step.index % block == 0:
            keep()
    keep()
    checkpoint.unlink(missing_ok=True)
