"""From grown rows to generators: curves between locations, one generator a regime and the paper's plain form beside
it, and one without condition."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ..files import load_tensors, save_tensors
from ..generator import AdapterGenerator, ConditionConfig, GeneratorConfig
from ..generator.known import Curves
from ..generator.train import train_generator, train_over_codec
from ..network.adapter import AdapterLayout
from ..network.backbone import Backbone
from ..training.connect import connect
from ..training.team import ALONE, Team
from ..worlds import open_world
from ..zoo import CodedZoo, Zoo
from .grow import do
from .jobs import held_out_pairs, location_jobs, pairs
from .photographs import mixed
from .recipes import Recipe
from .runs import rows_at, shown

PAPER = "paper.safetensors"


@dataclass(frozen=True)
class Task:
    """One thing to train in a process of its own: by a recipe, for the bundle `out` and its `work`, in one regime."""

    recipe: Recipe
    out: Path
    work: Path
    regime: str
    device: str


def views_of(out: Path, count: int) -> tuple[Tensor, str]:
    """The mean embedding and the single views of the first `count` named locations, `[count, V, E]`; the condition."""
    tensors, metadata = load_tensors(out / "conditions.safetensors")
    return torch.cat([tensors["mean"][:count, None], tensors["views"][:count]], dim=1), metadata["condition"]


def learned_rows(task: Task, backbone: Backbone) -> tuple[Tensor, Tensor]:
    """The raw rows that the generator of a regime learns from, `[N, D]`, and the number of each one's location."""
    recipe, keep = task.recipe, shown(task.recipe)
    parts = [rows_at(recipe, task.work, backbone.layout, task.regime, name)[keep] for name in recipe.seen]
    return torch.cat(parts), torch.arange(len(parts)).repeat_interleave(int(keep.sum()))


def training_pairs(locations: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """The pairs whose curves are trained, by the numbers of their locations."""
    held_out, place = held_out_pairs(locations), {name: index for index, name in enumerate(locations)}
    return tuple((place[a], place[b]) for a, b in pairs(locations) if (a, b) not in held_out)


def curves_file(work: Path, regime: str) -> Path:
    """Where the anchors and hubs of a regime are kept."""
    return work / f"curves-{regime}.safetensors"


def curves_of(task: Task) -> Curves:
    """The curves of a regime, once `connect_regime` has trained them.

    The mean learns those of all pairs: a held-out one is put together from hubs that were trained with other partners,
    and no photographs of it were ever mixed.
    """
    tensors, _ = load_tensors(curves_file(task.work, task.regime))
    every = tuple(itertools.combinations(range(len(task.recipe.seen)), 2))
    return Curves(tensors["anchors"], tensors["hubs"], every)


def connect_regime(task: Task) -> None:
    """Train the curves between the locations' mean rows, unless they are there."""
    path, recipe = curves_file(task.work, task.regime), task.recipe
    bending = recipe.connect_apart if task.regime == "L" else recipe.connect
    if path.exists():
        return
    backbone = Backbone.load(task.out / "backbone.safetensors").to(task.device)
    rows, index = learned_rows(task, backbone)
    anchors = torch.stack([rows[index == place].mean(dim=0) for place in range(len(recipe.seen))])
    world = open_world(recipe.world)
    images = [mixed(world, ((name, 1.0),), "train") for name in recipe.seen]
    checkpoint = path.with_suffix(".part")
    *_, (_, hubs) = connect(
        backbone, anchors, images, training_pairs(recipe.seen), bending, seed=recipe.seed, checkpoint=checkpoint
    )
    save_tensors(path, {"anchors": anchors, "hubs": hubs}, {"layout": backbone.layout.fingerprint})
    checkpoint.unlink(missing_ok=True)


def train_regime(task: Task, team: Team = ALONE) -> None:
    """Train the generator of a regime, code the zoo by it, and train its twin of the paper's form over its codec.

    Of several processes all call this; the main one writes.
    """
    recipe, folder = task.recipe, task.out / f"generator-{task.regime}"
    if team.agreed((folder / PAPER).exists()):
        return
    backbone = Backbone.load(task.out / "backbone.safetensors")
    rows, index = learned_rows(task, backbone)
    views, begun = views_of(task.out, len(recipe.seen))[0], task.work / f"generator-{task.regime}"
    if not team.agreed((folder / "config.json").exists()):
        config = config_of(recipe, backbone, task.out)
        notes = {"recipe": recipe.name, "regime": task.regime}
        generator = AdapterGenerator.untrained(config, seed=recipe.seed, notes=notes).to(task.device)
        curves, trained = curves_of(task), recipe.generator_of(task.regime)
        for _ in train_generator(generator, rows, views, index, trained, curves=curves, folder=begun, team=team):
            pass
        team.once(partial(_keep, generator, folder, begun))
    generator = AdapterGenerator.from_pretrained(folder, task.device)
    team.once(partial(_code, task, backbone.layout, generator))
    twin = generator.with_fresh_denoiser(generator.config.plain(widths=recipe.widths).denoiser, seed=recipe.seed)
    for _ in train_over_codec(twin, rows, views, index, recipe.plain, folder=begun, team=team):
        pass
    team.once(partial(_keep_twin, twin, folder, begun))


def _keep(generator: AdapterGenerator, folder: Path, begun: Path) -> None:
    generator.half_precision_().save_pretrained(folder, torch.float16)
    discard(begun)


def _keep_twin(twin: AdapterGenerator, folder: Path, begun: Path) -> None:
    twin.half_precision_().save_denoiser(folder / PAPER, torch.float16)
    discard(begun)


def _code(task: Task, layout: AdapterLayout, generator: AdapterGenerator) -> None:
    """Code all rows of a regime by its generator."""
    recipe = task.recipe
    every = [rows_at(recipe, task.work, layout, task.regime, name) for name in recipe.seen]
    CodedZoo.of_rows(recipe.seen, every, shown(recipe), generator).save(task.out / f"zoo-{task.regime}.safetensors")


def grow_alone(task: Task) -> None:
    """Fine-tune the first seen location on, and keep its rows at the long saving interval (paper, section 4.2)."""
    backbone = Backbone.load(task.out / "backbone.safetensors").to(task.device)
    for job in _alone_jobs(task):
        do(job, backbone, open_world(task.recipe.world))


def train_alone(task: Task, team: Team = ALONE) -> None:
    """Train the generator of the first seen location alone, without a condition, unless it is there."""
    recipe, first = task.recipe, task.recipe.seen[0]
    folder, begun = task.out / f"generator-{first}", task.work / f"generator-{first}"
    if team.agreed((folder / "config.json").exists()):
        return
    backbone, (job,) = Backbone.load(task.out / "backbone.safetensors"), _alone_jobs(task)
    rows, _ = Zoo(job.folder, backbone.layout, regime=job.regime).of(first)
    config = config_of(recipe, backbone, task.out, alone=True)
    notes = {"recipe": recipe.name, "location": first}
    generator = AdapterGenerator.untrained(config, seed=recipe.seed, notes=notes).to(task.device)
    for _ in train_generator(generator, rows, None, None, recipe.generator, folder=begun, team=team):
        pass
    team.once(partial(_keep, generator, folder, begun))


def _alone_jobs(task: Task) -> list:
    recipe = task.recipe
    return location_jobs(recipe, task.work, "M", interval=recipe.alone_interval, locations=recipe.seen[:1])


def config_of(recipe: Recipe, backbone: Backbone, out: Path, *, alone: bool = False) -> GeneratorConfig:
    """The shapes of a generator for a bundle's classifier and condition; `alone`: of one location, and none."""
    views, name = views_of(out, 1)
    return GeneratorConfig.of(
        backbone.layout,
        condition=None if alone else ConditionConfig(name, views.shape[-1]),
        backbone_fingerprint=backbone.fingerprint,
        components=recipe.alone_components if alone else recipe.components,
        width=128 if alone else 256,
    )


def discard(folder: Path) -> None:
    """Remove the checkpoints of a training whose result is saved."""
    for name in ("codec.safetensors", "mean.safetensors", "denoiser.safetensors"):
        (folder / name).unlink(missing_ok=True)
