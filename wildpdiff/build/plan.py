"""What a recipe will take before it is begun: time by stage for any number of workers, disk and memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from ..training.loop import Step
from ..worlds import open_world
from ..worlds.base import World
from .pace import Pace, pace
from .recipes import MAPPED, Recipe
from .schedule import makespan

#: Numbers of workers that a plan is told for.
COUNTS = (1, 8, 64)
#: Bytes of a process that has loaded everything and holds nothing.
ALONE = 1.1e9
#: Steps of generating an adapter, and what one costs of a step of training: there is no way back.
SAMPLING, ASKED = 50, 1 / 3


@dataclass(frozen=True)
class Stage:
    """One stage of a build: jobs that do not wait for one another, and that the next stage waits for.

    Attributes:
        name: as `wildpdiff train` tells it.
        jobs: seconds of each.
        memory: bytes that a job holds at once.
        disk: bytes that all leave.
        begin: seconds of each worker before its first job; 0 where the main process does the stage.
        places, reading: locations that jobs work at, and seconds to read one: a worker does so once and keeps it.
    """

    name: str
    jobs: tuple[float, ...]
    memory: float = ALONE
    disk: float = 0.0
    begin: float = 0.0
    places: int = 0
    reading: float = 0.0

    def span(self, workers: int) -> float:
        """Seconds from begin to end."""
        read = min(self.places, math.ceil(len(self.jobs) / workers)) * self.reading
        return self.begin + read + makespan(self.jobs, workers)


@dataclass(frozen=True)
class Plan:
    """All stages of a build."""

    recipe: str
    dim: int
    stages: tuple[Stage, ...]

    def span(self, workers: int) -> float:
        """Seconds of the whole."""
        return sum(stage.span(workers) for stage in self.stages)

    @property
    def disk(self) -> float:
        """Bytes of the whole."""
        return sum(stage.disk for stage in self.stages)

    def to_json(self) -> dict[str, Any]:
        """All numbers, and the spans for `COUNTS` workers."""
        spans = {str(count): self.span(count) for count in COUNTS}
        return asdict(self) | {"seconds": spans, "disk": self.disk}

    def words(self) -> str:
        """The plan as a table, and what it comes to."""
        lines = [f"Recipe {self.recipe}: {self.dim:,} numbers a row; times of one core, if nothing else runs."]
        many = [f"{count} worker{'s' * (count > 1)}" for count in COUNTS]
        lines += [_line("stage", "jobs", "a job", *many, "disk", "memory a job")]
        for stage in self.stages:
            spans = [told_time(stage.span(count)) for count in COUNTS]
            size = told_size(stage.disk) if stage.disk else "-"
            lines.append(
                _line(
                    stage.name,
                    f"{len(stage.jobs):,}",
                    told_time(max(stage.jobs)),
                    *spans,
                    size,
                    told_size(stage.memory),
                )
            )
        lines.append(
            _line("whole", "", "", *(told_time(self.span(count)) for count in COUNTS), told_size(self.disk), "")
        )
        largest = max(self.stages, key=lambda stage: stage.memory)
        longest = max(self.stages, key=lambda stage: stage.span(COUNTS[-1]))
        lines.append(
            f"The most memory needs '{largest.name}': {told_size(largest.memory)} a job. With {COUNTS[-1]} workers the "
            f"longest stage is '{longest.name}': {told_time(longest.span(COUNTS[-1]))}."
        )
        return "\n".join(lines)


def plan(recipe: Recipe) -> Iterator[tuple[Step, Plan | None]]:
    """Time some steps of every stage of a recipe, and reckon the whole; the last step comes with it.

    Raises:
        UserError: if the recipe's world or condition cannot be opened.
    """
    for step, found in pace(recipe):
        yield step, of_pace(recipe, found) if found else None


def of_pace(recipe: Recipe, found: Pace) -> Plan:
    """The plan of a recipe where single things take what they took."""
    return Plan(recipe.name, found.dim, tuple(_stages(recipe, found)))


@dataclass(frozen=True)
class _Counts:
    """Pictures of a location, mean over the seen ones, and locations."""

    train: float
    held_out: float
    empty: float
    size: int
    places: int

    @classmethod
    def of(cls, recipe: Recipe, world: World) -> _Counts:
        seen = recipe.seen[:3]
        train, held_out = (
            sum(len(world.labels(name, split)) for name in seen) / len(seen)  # type: ignore[arg-type]
            for split in ("train", "eval")
        )
        empty = sum(len(world.backgrounds(name)) for name in seen[:1])
        return cls(train, held_out, empty, world.size, len(recipe.seen) + len(recipe.unseen))

    def bytes_of(self, pictures: float) -> float:
        return pictures * 3 * self.size**2


def _stages(recipe: Recipe, pace: Pace) -> Iterator[Stage]:
    """Every stage of `stages.build`, in its order."""
    counts, row = _Counts.of(recipe, open_world(recipe.world)), pace.dim * 4
    read, seen, regimes = counts.train * pace.read, len(recipe.seen), len(recipe.regimes)
    held = ALONE + counts.bytes_of(counts.train)
    yield _backbone(recipe, pace, counts)
    yield Stage("clip", (recipe.clip_training.steps * pace.clip + recipe.clip_places * pace.place,))
    first = recipe.shared.steps * pace.shared
    joint = len(recipe.joint_at or recipe.seen)
    ways = [joint, 1] if recipe.start == "first" and "H" in recipe.regimes else [joint]
    many = ALONE + (held - ALONE) * joint
    yield Stage("starts", tuple(first + count * read for count in ways), many, begin=pace.begin)
    jobs = (recipe.run.steps * pace.run,) * (regimes * seen * recipe.runs)
    if recipe.alone:
        steps = recipe.finetune.converge + recipe.alone_interval * recipe.long_rows
        look = recipe.long_rows * counts.held_out * (pace.look + pace.read / recipe.long_rows)
        jobs += (steps * pace.run + read + look,)
    kept = regimes * seen * recipe.runs * recipe.run.rows + recipe.alone * recipe.long_rows
    yield Stage("rows", jobs, held, kept * row, pace.begin, seen, read)
    shown = counts.empty * counts.places
    yield Stage("conditions", (shown * (pace.embed + pace.read) + counts.places * pace.read,))
    bending = [recipe.connect_apart if regime == "L" else recipe.connect for regime in recipe.regimes]
    share = pace.connect / recipe.connect.batch_size
    bent = tuple(own.steps * own.batch_size * share + seen * read for own in bending)
    held = ALONE + counts.bytes_of(counts.train * seen) + 3 * seen * row
    yield Stage("curves", bent, held, begin=pace.begin)
    yield from _generators(recipe, pace)
    yield Stage("gallery", (regimes * pace.map,), ALONE + MAPPED * row)
    yield _figures(recipe, pace, counts)


def _backbone(recipe: Recipe, pace: Pace, counts: _Counts) -> Stage:
    """Training of the classifier, or of its last layer on features of pictures and their mirror images."""
    own, places = recipe.pretrain, len(recipe.pretraining)
    pictures = places * min(counts.train, own.images_per_location)
    learning = own.steps * pace.pretrain + (recipe.weights is not None) * 2 * pictures * pace.look
    return Stage("backbone", (learning + pictures * pace.read,), ALONE + counts.bytes_of(pictures))


def _generators(recipe: Recipe, pace: Pace) -> Iterator[Stage]:
    """Two copies of the rows and two of those learned from are held at once."""
    rows = len(recipe.seen) * (recipe.runs - recipe.held_out_runs) * recipe.run.rows
    known = len(recipe.seen) * recipe.runs * recipe.run.rows
    own = recipe.generator
    trained = own.mean_steps * pace.mean + own.denoiser_steps * pace.denoiser
    learned = pace.codec + pace.codec_square * rows**2 + trained + recipe.plain.denoiser_steps * pace.plain
    jobs = (learned,) * len(recipe.regimes) + (own.denoiser_steps * pace.denoiser,) * recipe.alone
    held = ALONE + (known + rows) * pace.dim * 4 * 2
    yield Stage("generators", jobs, held, len(recipe.regimes) * recipe.components * pace.dim, pace.begin)


def _figures(recipe: Recipe, pace: Pace, counts: _Counts) -> Stage:
    """Every location's adapters are measured, and at the seen ones every other location's, too, in one regime."""
    rows = (recipe.runs - recipe.held_out_runs) * (recipe.run.rows // 4)
    adapters = counts.places * (1 + 2 * recipe.samples) + len(recipe.seen) * (
        rows + len(recipe.seen) / len(recipe.regimes)
    )
    pictures = counts.places * (counts.held_out + recipe.samples) + len(recipe.seen) * counts.held_out / len(
        recipe.regimes
    )
    drawn = (
        counts.places * (2 * recipe.samples + 200) * SAMPLING * ASKED * pace.denoiser / recipe.generator.denoiser_batch
    )
    seconds = adapters * counts.held_out * pace.look + pictures * pace.read + drawn
    held = ALONE + counts.bytes_of(counts.held_out)
    return Stage("figures", (seconds,) * len(recipe.regimes), held, begin=pace.begin)


def _line(*cells: str) -> str:
    return f"{cells[0]:<16}" + "".join(f"{cell:>13}" for cell in cells[1:])


def told_time(seconds: float) -> str:
    """Seconds in the unit that suits them."""
    for unit, length in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def told_size(count: float) -> str:
    """Bytes in the unit that suits them."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e8 else f"{count / 1e6:,.1f} MB"
