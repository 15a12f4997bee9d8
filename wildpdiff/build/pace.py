"""How fast one core does each single thing that a recipe does: some steps of each, at true shapes, on drawn pictures.

Seconds are the processor's, so that what else runs on the computer does not count; but for the start of a worker.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, get_args

import torch
from torch import Tensor

from ..bundle import POOLED
from ..condition.clip import ClipCondition
from ..condition.source import taken_apart
from ..evaluate import accuracy
from ..generator import AdapterGenerator, ConditionConfig, GeneratorConfig
from ..generator.train import train_generator, train_over_codec
from ..network.backbone import Backbone
from ..training.clip_training import build_clip, train_clip
from ..training.connect import connect
from ..training.finetune import FinetuneRecipe, finetune
from ..training.loop import Step
from ..training.pretrain import pretrain
from ..weightspace import Map
from ..workers.pool import ONE, each
from ..worlds import open_world
from ..worlds.base import Images, Split, World
from .recipes import MAPPED, Recipe

#: Pictures of a world that are read to time it.
READ = 30
#: Steps that are timed of each kind, after one that is not.
TIMED = 8
#: Rows that the generator is timed on, few and more: a part of its codec's time grows with their square.
ROWS = (32, 384)


@dataclass(frozen=True)
class Pace:
    """Seconds on one thread, each of one thing.

    Attributes:
        pretrain: a step of training the whole classifier.
        clip, place: a step of training the CLIP, and drawing a place for it; 0 where none is trained.
        run, shared, connect: a step of fine-tuning in a run, of the shared rows, and of bending a curve.
        look: naming a picture.
        begin: the start of a worker, until it has imported everything and a world's first pictures, which for a drawn
            world means every animal's shape.
        read: a picture of the world, read or drawn, after these.
        embed: a background, turned into a condition.
        codec, codec_square: fitting the codec, and what comes on top for each square of the number of rows.
        mean, denoiser, plain: a step of training each.
        map: the map of a regime's rows, with what is compiled for it.
        dim: D, numbers of a row.
    """

    pretrain: float
    clip: float
    place: float
    run: float
    shared: float
    connect: float
    look: float
    begin: float
    read: float
    embed: float
    codec: float
    codec_square: float
    mean: float
    denoiser: float
    plain: float
    map: float
    dim: int


def pace(recipe: Recipe) -> Iterator[tuple[Step, Pace | None]]:
    """Time everything; the last step comes with the result."""
    world = open_world(recipe.world)
    first, read = _reading(world, recipe.seen[0])
    species, size = world.species, world.size
    backbone = recipe.begun(species, pretrained=False)
    images = _drawn(len(species), size, max(recipe.pretrain.batch_size, recipe.connect.batch_size, 2))
    pieces: dict[str, Callable[[], Any]] = {
        "pretrain": lambda: _pretrain(recipe, backbone, images),
        "clip": lambda: _clip(recipe),
        "run": lambda: finetuning(backbone, images, recipe.run),
        "shared": lambda: finetuning(backbone, images, recipe.shared),
        "connect": lambda: _connect(recipe, backbone, images),
        "look": lambda: looking(backbone, images),
        "embed": lambda: _embed(recipe, images),
        "generator": lambda: _generator(recipe, backbone),
        "map": lambda: _map(recipe, backbone),
    }
    found: dict[str, Any] = {"begin": _birth() + first, "read": read, "dim": backbone.layout.dim}
    for count, (name, measure) in enumerate(pieces.items(), start=1):
        with one_thread():
            seconds = measure()
        found |= seconds if isinstance(seconds, dict) else {name: seconds}
        done = count == len(pieces)
        yield Step(count, len(pieces), float("nan")), Pace(**found) if done else None


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch computes with one thread, as a worker does."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def seconds_a_step(steps: Iterator[Any], *, timed: int = TIMED) -> float:
    """Median seconds of some steps of a loop, after the first one; 0 if it has no more."""
    next(steps, None)
    spent, begun = [], time.process_time()
    for _ in islice(steps, timed):
        now = time.process_time()
        spent.append(now - begun)
        begun = now
    return median(spent or [0.0])


def _reading(world: World, location: str) -> tuple[float, float]:
    """What the first pictures of a process take more than others, and seconds to read one of these."""
    seconds = []
    for split in get_args(Split):
        begun = time.process_time()
        count = len(world.images(location, split, first=READ))
        seconds.append((time.process_time() - begun) / max(1, count))
    first, read = seconds
    return max(0.0, first - read) * READ, read


def _birth() -> float:
    """Seconds by the clock until a worker can do its first job."""
    begun = time.perf_counter()
    list(each(_nothing, [None], workers=ONE))
    return time.perf_counter() - begun


def _nothing(_: None) -> None:
    """The job of a worker that has imported this module, and all that it is made of."""


def _drawn(classes: int, size: int, count: int) -> Images:
    rng = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 3, size, size), generator=rng, dtype=torch.uint8)
    return Images(pixels, torch.arange(count) % classes)


def _pretrain(recipe: Recipe, backbone: Backbone, images: Images) -> float:
    """Of a copy, as training changes it; 0 where only the last layer learns."""
    if not recipe.learns_whole:
        return 0.0
    own = recipe.pretrain
    shares = {own.small_share: 1.0, 1 - own.small_share: 0.0}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "part"
        return sum(
            share
            * seconds_a_step(
                pretrain(
                    recipe.begun(backbone.species, pretrained=False),
                    images,
                    replace(own, small_share=small),
                    seed=0,
                    checkpoint=path,
                )
            )
            for share, small in shares.items()
            if share
        )


def _clip(recipe: Recipe) -> dict[str, float]:
    if recipe.condition is not None:
        return {"clip": 0.0, "place": 0.0}
    world, few, begun = open_world(recipe.world), 4, time.process_time()
    pairs = world.captioned_others(few, recipe.seed)  # type: ignore[attr-defined]
    place = (time.process_time() - begun) / few
    with TemporaryDirectory() as folder:
        how: dict[str, Any] = {"seed": 0, "checkpoint": Path(folder) / "part"}
        step = seconds_a_step(train_clip(build_clip(recipe.clip, seed=0), pairs, recipe.clip_training, **how), timed=2)
    return {"clip": step, "place": place}


def finetuning(backbone: Backbone, images: Images, recipe: FinetuneRecipe) -> float:
    """Seconds of a step of fine-tuning on some pictures."""
    start = torch.zeros(backbone.layout.dim)
    return seconds_a_step(finetune(backbone, start, images, replace(recipe, converge=99), seed=0))


def _connect(recipe: Recipe, backbone: Backbone, images: Images) -> float:
    anchors = torch.zeros(2, backbone.layout.dim)
    run = connect(backbone, anchors, [images, images], [(0, 1)], replace(recipe.connect, steps=99), seed=0)
    return seconds_a_step(run)


def looking(backbone: Backbone, images: Images) -> float:
    """Seconds of naming a picture, where several adapters do so, as they do."""
    rows, pixels, labels = torch.zeros(8, backbone.layout.dim), *_many(images, 64)
    accuracy(backbone, rows, pixels, labels)
    begun = time.process_time()
    accuracy(backbone, rows, pixels, labels)
    return (time.process_time() - begun) / len(rows) / len(labels)


def _many(images: Images, count: int) -> tuple[Tensor, Tensor]:
    chosen = torch.arange(count) % len(images)
    return images.pixels[chosen], images.labels[chosen]


def _embed(recipe: Recipe, images: Images) -> float:
    """Of an untrained network of the same shape: weights cost no time."""
    condition = _condition(recipe)
    if condition is None:
        return 0.0
    condition.views(images.pixels[:1])
    begun = time.process_time()
    condition.views(images.pixels[:4])
    return (time.process_time() - begun) / min(4, len(images))


def _condition(recipe: Recipe) -> ClipCondition | None:
    if recipe.condition == POOLED:
        return None  # less than naming the same picture
    if recipe.condition is None:
        return ClipCondition("timed", recipe.clip.embedding, build_clip(recipe.clip, seed=0), model="timed")
    return ClipCondition.untrained(taken_apart(recipe.condition)[0])


def _generator(recipe: Recipe, backbone: Backbone) -> dict[str, float]:
    """Codec, mean, denoiser, and the paper's denoiser over the same codec."""
    times = [_trained(recipe, backbone, rows) for rows in ROWS]
    few, many = (found["codec"] for found in times)
    square = max(0.0, many - few) / (ROWS[1] ** 2 - ROWS[0] ** 2)
    return times[-1] | {"codec": max(0.0, few - square * ROWS[0] ** 2), "codec_square": square}


def _trained(recipe: Recipe, backbone: Backbone, count: int) -> dict[str, float]:
    """Seconds of a step of each stage, with `count` rows."""
    rng, places = torch.Generator().manual_seed(0), 4
    rows = torch.randn(count, backbone.layout.dim, generator=rng) * 0.01
    views, index = torch.randn(places, 3, 128, generator=rng), torch.arange(count) % places
    condition = ConditionConfig("timed", views.shape[-1])
    config = GeneratorConfig.of(
        backbone.layout, condition=condition, backbone_fingerprint=backbone.fingerprint, components=recipe.components
    )
    generator = AdapterGenerator.untrained(config, seed=0, notes={})
    brief = replace(recipe.generator, mean_steps=TIMED + 1, denoiser_steps=TIMED + 1)
    found = _by_stage(train_generator(generator, rows, views, index, brief))
    twin = generator.with_fresh_denoiser(generator.config.plain(widths=recipe.widths).denoiser, seed=0)
    plain = replace(recipe.plain, denoiser_steps=TIMED + 1)
    return found | {"plain": _by_stage(train_over_codec(twin, rows, views, index, plain))["denoiser"]}


def _map(recipe: Recipe, backbone: Backbone) -> float:
    """Of as many rows as there will be, and not more than are mapped."""
    count = min(MAPPED, len(recipe.seen) * recipe.runs * recipe.run.rows)
    rows = torch.randn(count, backbone.layout.dim, generator=torch.Generator().manual_seed(0))
    begun = time.process_time()
    Map.of(rows, torch.arange(count) % len(recipe.seen), seed=0)
    return time.process_time() - begun


def _by_stage(steps: Iterator[tuple[str, Step]]) -> dict[str, float]:
    """Seconds of a step by stage; of a stage's several steps the first is not counted."""
    spent: dict[str, list[float]] = {}
    begun = time.process_time()
    for stage, _ in steps:
        now = time.process_time()
        spent.setdefault(stage, []).append(now - begun)
        begun = now
    return {stage: median(own[1:] or own) for stage, own in spent.items()}
