"""Making a bundle from nothing: stages that write files, skip what is there and resume what was killed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ..backbone import Backbone, initial_row
from ..bundle import Bundle, is_whole, seal
from ..clip_training import build_clip, retrieval, save_clip, train_clip
from ..condition import ClipCondition
from ..errors import UserError
from ..files import load_json, load_tensors, save_json, save_tensors
from ..finetune import finetune
from ..generator import AdapterGenerator, GeneratorConfig
from ..loop import Step
from ..pretrain import pretrain
from ..train import train_generator
from ..weightspace import Map
from ..worlds.base import Images
from ..worlds.savanna.caption import Pairs
from ..worlds.savanna.location import draw_location
from ..worlds.savanna.world import SPECIES, SavannaWorld
from ..zoo import Zoo
from .grow import REGIME, fine_tune_all
from .recipes import Recipe
from .seen import crossed_conditions, evaluate_locations

Progress = Iterator[tuple[str, Step]]


def build(recipe: Recipe, out: Path, *, device: str = "cpu", workers: int = 2) -> Progress:
    """Train everything of a recipe into the folder `out`, stage after stage; yields (stage, step).

    A killed build goes on where it was when run again; `out/work` keeps what is half done and the whole zoo.

    Raises:
        UserError: if `out` was begun with another recipe, or the disk is full.
    """
    out, work = Path(out), Path(out) / "work"
    _same_recipe(recipe, work)
    world = SavannaWorld(recipe.world)
    yield from _timed(work, "backbone", _backbone(recipe, world, out, work, device))
    yield from _timed(work, "clip", _clip(recipe, world, out, work, device))
    yield from _timed(work, "shared", _shared(recipe, world, out, work, device))
    yield from _timed(work, "zoo", fine_tune_all(recipe, out, work, workers, device))
    yield from _timed(work, "conditions", _conditions(recipe, world, out))
    yield from _timed(work, "generator", _generator(recipe, out, work, device))
    yield from _timed(work, "gallery", _gallery(recipe, world, out, work))
    yield from _timed(work, "figures", _figures(recipe, out, work, device))


def _timed(work: Path, stage: str, steps: Iterator[Step]) -> Progress:
    """A stage's steps; the seconds that it took add up in `work/seconds.json`, over kills too."""
    path = work / "seconds.json"
    begun = time.monotonic()
    for step in steps:
        yield stage, step
        if step.index == step.total or time.monotonic() - begun > 20:
            seconds = load_json(path) if path.exists() else {}
            seconds[stage] = seconds.get(stage, 0.0) + time.monotonic() - begun
            save_json(path, seconds)
            begun = time.monotonic()


def _same_recipe(recipe: Recipe, work: Path) -> None:
    path, wanted = work / "recipe.json", _plain(asdict(recipe))
    if path.exists() and load_json(path) != wanted:
        raise UserError(f"'{work.parent.name}' was begun with another recipe; choose another --out folder.")
    save_json(path, wanted)


def _plain(value: Any) -> Any:
    """The value as JSON gives it back: tuples as lists."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _backbone(recipe: Recipe, world: SavannaWorld, out: Path, work: Path, device: str) -> Iterator[Step]:
    path, checkpoint = out / "backbone.safetensors", work / "backbone.safetensors"
    if path.exists():
        return
    images = photographs(world, recipe.pretraining, recipe.pretrain.images_per_location)
    backbone = Backbone.build(SPECIES, seed=recipe.seed).to(device)
    yield from pretrain(backbone, images, recipe.pretrain, seed=recipe.seed, checkpoint=checkpoint)
    backbone.round_to_half().save(path)
    checkpoint.unlink(missing_ok=True)


def photographs(world: SavannaWorld, locations: tuple[str, ...], count: int) -> Images:
    """`count` training photographs of each of several locations, together."""
    parts = [world.photograph(world.location(name), "train", count) for name in locations]
    return Images(torch.cat([part.pixels for part in parts]), torch.cat([part.labels for part in parts]))


def _clip(recipe: Recipe, world: SavannaWorld, out: Path, work: Path, device: str) -> Iterator[Step]:
    folder, checkpoint = out / "clip", work / "clip.safetensors"
    if (folder / "open_clip_config.json").exists():
        return
    places = [
        draw_location(f"C{index:04d}", seed=recipe.seed, shift=recipe.world.shift * 1.2)
        for index in range(recipe.clip_places)
    ]
    model = build_clip(recipe.clip, seed=recipe.seed).to(device)
    pairs = Pairs(places, recipe.world.size)
    yield from train_clip(model, pairs, recipe.clip_training, seed=recipe.seed, checkpoint=checkpoint)
    fresh = Pairs(
        [world.location(name) for name in (*recipe.seen, *recipe.unseen, *recipe.pretraining)], recipe.world.size
    )
    pixels, captions = fresh(torch.Generator().manual_seed(recipe.seed), len(fresh.plates))
    save_json(work / "clip.json", {"retrieval": retrieval(model, pixels, captions), "places": len(captions)})
    save_clip(model, recipe.clip, folder, name="savanna-clip")
    checkpoint.unlink(missing_ok=True)


def _shared(recipe: Recipe, world: SavannaWorld, out: Path, work: Path, device: str) -> Iterator[Step]:
    """The converged adapter of regime H: one LoRA row fine-tuned on all seen locations together."""
    path, checkpoint = work / "shared.safetensors", work / "shared-state.safetensors"
    if path.exists():
        return
    backbone = Backbone.load(out / "backbone.safetensors").to(device)
    images = photographs(world, recipe.seen, recipe.world.train_images)
    start = initial_row(backbone.layout, torch.Generator().manual_seed(recipe.seed))
    for tuned in finetune(backbone, start, images, recipe.shared, seed=recipe.seed, checkpoint=checkpoint):
        if tuned.row is not None:
            save_tensors(path, {"row": tuned.row}, {"layout": backbone.layout.fingerprint})
        yield tuned.step
    checkpoint.unlink(missing_ok=True)


def _conditions(recipe: Recipe, world: SavannaWorld, out: Path) -> Iterator[Step]:
    """Embed the backgrounds of the named locations; and keep a picture of each to look at."""
    path = out / "conditions.safetensors"
    if path.exists() and (out / "pictures.safetensors").exists():
        return
    condition, names = ClipCondition.load(f"local-dir:{out / 'clip'}"), (*recipe.seen, *recipe.unseen)
    views, pictures = [], []
    for place, name in enumerate(names):
        views.append(condition.views(world.backgrounds(name)))
        pictures.append(world.empties(world.location(name), 1, height=240, width=320)[0])
        if place + 1 < len(names):
            yield Step(place + 1, len(names), float("nan"))
    stacked = torch.stack(views)
    mean = torch.nn.functional.normalize(stacked.mean(dim=1), dim=1)
    save_tensors(path, {"mean": mean, "views": stacked}, {"condition": condition.name})
    save_tensors(out / "pictures.safetensors", {"pictures": torch.stack(pictures)})
    yield Step(len(names), len(names), float("nan"))


def _generator(recipe: Recipe, out: Path, work: Path, device: str) -> Iterator[Step]:
    folder = out / f"generator-{REGIME}"
    if (folder / "config.json").exists():
        return
    backbone = Backbone.load(out / "backbone.safetensors")
    zoo = Zoo(work / f"zoo-{REGIME}", backbone.layout, regime=REGIME)
    rows, index = zoo.rows(recipe.seen)
    tensors, metadata = load_tensors(out / "conditions.safetensors")
    seen = len(recipe.seen)
    embeddings = torch.cat([tensors["mean"][:seen, None], tensors["views"][:seen]], dim=1)
    config = GeneratorConfig.of(
        backbone.layout,
        condition_name=metadata["condition"],
        condition_dim=embeddings.shape[-1],
        backbone_fingerprint=backbone.fingerprint,
    )
    generator = AdapterGenerator.untrained(
        config, seed=recipe.seed, notes={"recipe": recipe.name, "regime": REGIME}
    ).to(device)
    stages = {"codec": 0, "denoiser": recipe.generator.vae_steps}
    total = recipe.generator.vae_steps + recipe.generator.denoiser_steps
    for stage, step in train_generator(generator, rows, embeddings, index, recipe.generator, folder=work):
        yield Step(stages[stage] + step.index, total, step.loss)
    generator.half_precision_().save_pretrained(folder, torch.float16)
    for name in ("codec.safetensors", "denoiser.safetensors"):
        (work / name).unlink(missing_ok=True)


def _gallery(recipe: Recipe, world: SavannaWorld, out: Path, work: Path) -> Iterator[Step]:
    """Thin the zoo for the bundle, and map it."""
    path, layout = out / f"map-{REGIME}.safetensors", Backbone.load(out / "backbone.safetensors").layout
    if path.exists():
        return
    zoo = Zoo(work / f"zoo-{REGIME}", layout, regime=REGIME)
    rows, index = zoo.rows(recipe.seen)
    folder = out / f"zoo-{REGIME}"
    shutil.rmtree(folder, ignore_errors=True)
    kept = Zoo(folder, layout, regime=REGIME)
    for name in recipe.seen:
        of_location, accuracies = zoo.of(name)
        chosen = torch.linspace(0, len(of_location) - 1, recipe.kept_rows).round().long()
        kept.add(name, of_location[chosen], accuracies[chosen], dtype=torch.float16)
    thin = torch.arange(len(rows)) % max(1, len(rows) // 400) == 0
    Map.of(rows[thin], index[thin], seed=recipe.seed).save(path)
    yield Step(1, 1, float("nan"))


def _figures(recipe: Recipe, out: Path, work: Path, device: str) -> Iterator[Step]:
    """Measure the bundle and seal it."""
    if is_whole(out):
        return
    about: dict[str, Any] = {
        "recipe": recipe.name, "regime": REGIME, "seen": list(recipe.seen), "unseen": list(recipe.unseen),
        "world": asdict(recipe.world),
    }  # fmt: skip
    bundle = Bundle(out, about, torch.device(device))
    total, done = 2 * len(recipe.seen) + len(recipe.unseen), 0
    parts: dict[str, Any] = {}
    stages: dict[str, Callable[[], Iterator[tuple[Step, dict[str, Any]]]]] = {
        "seen": lambda: evaluate_locations(bundle, recipe.seen, samples=recipe.samples, seed=0),
        "unseen": lambda: evaluate_locations(bundle, recipe.unseen, samples=recipe.samples, seed=0),
        "crossed": lambda: crossed_conditions(bundle, seed=0),
    }
    for name, stage in stages.items():
        for _, report in stage():
            parts[name], done = report, done + 1
            if done < total:
                yield Step(done, total, float("nan"))
    figures = parts["seen"] | {"unseen": parts["unseen"]["locations"], "crossed": parts["crossed"]}
    notes = {name: load_json(path) for name in ("clip", "seconds") if (path := work / f"{name}.json").exists()}
    seal(out, about | {"figures": figures} | notes)
    yield Step(total, total, float("nan"))
