"""Making a bundle from nothing: stages that write files, skip what is there and resume what was killed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ..adapter import AdapterLayout
from ..backbone import Backbone
from ..bundle import Bundle, is_whole, seal
from ..clip_training import build_clip, retrieval, save_clip, train_clip
from ..condition import ClipCondition
from ..errors import UserError
from ..files import load_json, load_tensors, save_json, save_tensors
from ..loop import Step
from ..pretrain import pretrain
from ..weightspace import Map
from ..worlds.savanna.caption import Pairs
from ..worlds.savanna.location import draw_location
from ..worlds.savanna.world import SPECIES, SavannaWorld
from ..zoo import Zoo
from .generators import discard, fresh_generator, train_regime, train_unconditional
from .grow import grow, photographs
from .jobs import REGIMES, flank_jobs, location_jobs, middle_jobs, zoo_folder
from .recipes import Recipe
from .seen import crossed_conditions, evaluate_locations
from .zoos import starts

BACKBONE, JOINT = "backbone.safetensors", "joint.safetensors"

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
    yield from _timed(work, "starts", starts(recipe, out / BACKBONE, work, device))
    grown = partial(grow, backbone=out / BACKBONE, world=recipe.world, workers=workers, device=device)
    for regime in REGIMES:
        yield from _timed(work, f"zoo {regime}", grown(location_jobs(recipe, work, regime)))
    yield from _timed(work, "blends", grown(middle_jobs(recipe, work)))
    yield from _timed(work, "flanks", grown(flank_jobs(recipe, work)))
    yield from _timed(work, "conditions", _conditions(recipe, world, out))
    for regime in REGIMES:
        yield from _timed(work, f"generator {regime}", train_regime(recipe, out, work, regime, device))
    yield from _timed(work, "alone", _alone(recipe, out, work, workers, device))
    yield from _timed(work, "gallery", _gallery(recipe, out, work))
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
    path, checkpoint = out / BACKBONE, work / "backbone.safetensors"
    if path.exists():
        return
    images = photographs(world, recipe.pretraining, recipe.pretrain.images_per_location)
    backbone = Backbone.build(SPECIES, seed=recipe.seed).to(device)
    yield from pretrain(backbone, images, recipe.pretrain, seed=recipe.seed, checkpoint=checkpoint)
    backbone.round_to_half().save(path)
    checkpoint.unlink(missing_ok=True)


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


def _alone(recipe: Recipe, out: Path, work: Path, workers: int, device: str) -> Iterator[Step]:
    """The generator of the first seen location alone, without a condition (paper, section 4.2)."""
    first, backbone = recipe.seen[0], Backbone.load(out / BACKBONE)
    folder = out / f"generator-{first}"
    if (folder / "config.json").exists():
        return
    jobs = location_jobs(recipe, work, "M", interval=recipe.alone_interval, locations=[first])
    grown = grow(jobs, out / BACKBONE, recipe.world, workers=workers, device=device)
    yield from (Step(step.index, 2 * step.total, step.loss) for step in grown)
    rows, _ = Zoo(jobs[0].folder, backbone.layout, regime="M").of(first)
    fresh = fresh_generator(recipe, backbone, out, {"recipe": recipe.name, "location": first}).to(device)
    begun = work / f"generator-{first}"
    for step in train_unconditional(fresh, rows, recipe.generator, soups=recipe.soups, folder=begun):
        yield Step(step.total + step.index, 2 * step.total, step.loss)
    fresh.half_precision_().save_pretrained(folder, torch.float16)
    discard(begun)


def _gallery(recipe: Recipe, out: Path, work: Path) -> Iterator[Step]:
    """Thin the zoos for the bundle, and map them."""
    if (out / JOINT).exists():
        return
    layout = Backbone.load(out / BACKBONE).layout
    for place, regime in enumerate(REGIMES):
        path = out / f"map-{regime}.safetensors"
        if not path.exists():
            _thin(recipe, out, work, layout, regime).save(path)
        if place + 1 < len(REGIMES):
            yield Step(place + 1, len(REGIMES), float("nan"))
    joint = load_tensors(work / JOINT)[0]["row"]
    save_tensors(out / JOINT, {"row": joint.half()}, {"layout": layout.fingerprint})
    yield Step(len(REGIMES), len(REGIMES), float("nan"))


def _thin(recipe: Recipe, out: Path, work: Path, layout: AdapterLayout, regime: str) -> Map:
    """Keep some rows of each location for the bundle; the map of all."""
    zoo = Zoo(zoo_folder(work, regime, recipe.finetune.interval), layout, regime=regime)
    rows, index = zoo.rows(recipe.seen)
    folder = out / f"zoo-{regime}"
    shutil.rmtree(folder, ignore_errors=True)
    kept = Zoo(folder, layout, regime=regime)
    for name in recipe.seen:
        of_location, accuracies = zoo.of(name)
        chosen = torch.linspace(0, len(of_location) - 1, recipe.kept_rows).round().long()
        kept.add(name, of_location[chosen], accuracies[chosen], dtype=torch.float16)
    thin = torch.arange(len(rows)) % max(1, len(rows) // 400) == 0
    return Map.of(rows[thin], index[thin], seed=recipe.seed)


def _figures(recipe: Recipe, out: Path, work: Path, device: str) -> Iterator[Step]:
    """Measure the bundle and seal it."""
    if is_whole(out):
        return
    about: dict[str, Any] = {
        "recipe": recipe.name, "regimes": list(REGIMES), "seen": list(recipe.seen), "unseen": list(recipe.unseen),
        "world": asdict(recipe.world), "figures": {},
    }  # fmt: skip
    bundle = Bundle(out, about, torch.device(device))
    total, done = len(REGIMES) * (len(recipe.seen) + len(recipe.unseen)) + len(recipe.seen), 0
    for regime in REGIMES:
        for figures in _measured(bundle, recipe, regime):
            about["figures"][regime], done = figures, done + 1
            if done < total:
                yield Step(done, total, float("nan"))
    notes = {name: load_json(path) for name in ("clip", "seconds") if (path := work / f"{name}.json").exists()}
    seal(out, about | notes)
    yield Step(total, total, float("nan"))


def _measured(bundle: Bundle, recipe: Recipe, regime: str) -> Iterator[dict[str, Any]]:
    """The growing figures of one regime: seen and unseen locations; and other locations' conditions, of one regime."""
    figures: dict[str, Any] = {}
    for _, seen in evaluate_locations(bundle, recipe.seen, regime=regime, samples=recipe.samples, seed=0):
        figures |= seen
        yield figures
    for _, unseen in evaluate_locations(bundle, recipe.unseen, regime=regime, samples=recipe.samples, seed=0):
        figures["unseen"] = unseen["locations"]
        yield figures
    crossing = crossed_conditions(bundle, regime=regime, seed=0) if regime == bundle.regime else ()
    for _, crossed in crossing:
        figures["crossed"] = crossed
        yield figures
