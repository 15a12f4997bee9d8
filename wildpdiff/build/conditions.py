"""What turns pictures of a place into numbers, and the numbers of the named places."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from ..bundle import BACKBONE, CLIP, POOLED
from ..condition.clip import ClipCondition
from ..condition.kept import keep_clip
from ..condition.packed import pack_clip
from ..condition.pooled import ABOUT, PooledCondition
from ..condition.source import CONFIG_FILE
from ..files import save_json, save_tensors
from ..network.backbone import Backbone
from ..picture import digest, packed
from ..training.clip_training import build_clip, retrieval, save_clip, train_clip
from ..training.loop import Step
from ..worlds.base import Captioned, World
from .recipes import Recipe

#: Height of the pictures to look at.
SHOWN = 240


def encoder(recipe: Recipe, world: World, out: Path, work: Path, device: str) -> Iterator[Step]:
    """What turns pictures of a place into numbers: the classifier's own features, or a CLIP.

    The CLIP that the recipe names is copied; without a name, a small one learns from the world's captions.
    """
    folder, checkpoint = out / CLIP, work / "clip.safetensors"
    if (folder / CONFIG_FILE).exists() or (out / POOLED / ABOUT).exists():
        return
    if recipe.condition == POOLED:
        known = (world.backgrounds(name) for name in recipe.seen)
        PooledCondition.of_imagenet(recipe.architecture, known).save(out / POOLED, Backbone.load(out / BACKBONE))
        yield Step(1, 1, float("nan"))
    elif recipe.condition is not None:
        keep_clip(recipe.condition, folder)
        yield Step(1, 1, float("nan"))
    elif isinstance(world, Captioned):
        model = build_clip(recipe.clip, seed=recipe.seed).to(device)
        pairs = world.captioned_others(recipe.clip_places, recipe.seed)
        yield from train_clip(model, pairs, recipe.clip_training, seed=recipe.seed, checkpoint=checkpoint)
        places = (*recipe.seen, *recipe.unseen, *recipe.pretraining)
        pixels, captions = world.captioned(places)(torch.Generator().manual_seed(recipe.seed), len(places))
        save_json(work / "clip.json", {"retrieval": retrieval(model, pixels, captions), "places": len(captions)})
        save_clip(model, recipe.clip, folder, name=f"{world.kind}-clip")
        pack_clip(folder)
        checkpoint.unlink(missing_ok=True)


def _condition(out: Path) -> ClipCondition | PooledCondition:
    """What `encoder` made."""
    if (out / POOLED / ABOUT).exists():
        return PooledCondition.load(out / POOLED, Backbone.load(out / BACKBONE))
    return ClipCondition.load(f"local-dir:{out / CLIP}")


def conditions(recipe: Recipe, world: World, out: Path) -> Iterator[Step]:
    """Embed the backgrounds of the named locations; and keep a picture of each to look at."""
    path = out / "conditions.safetensors"
    if path.exists() and (out / "pictures.safetensors").exists():
        return
    condition, names = _condition(out), (*recipe.seen, *recipe.unseen)
    views, pictures = [], []
    for place, name in enumerate(names):
        views.append(condition.views(world.backgrounds(name)))
        pictures.append(world.show(name, SHOWN))
        if place + 1 < len(names):
            yield Step(place + 1, len(names), float("nan"))
    fewest = min(map(len, views))
    stacked = torch.stack([own[:fewest] for own in views])
    mean = torch.nn.functional.normalize(stacked.mean(dim=1), dim=1)
    save_tensors(path, {"mean": mean, "views": stacked}, {"condition": condition.name})
    save_tensors(
        out / "pictures.safetensors",
        {name: packed(picture, quality=95) for name, picture in zip(names, pictures, strict=True)},
        dict(zip(names, map(digest, pictures), strict=True)),
    )
    yield Step(len(names), len(names), float("nan"))
