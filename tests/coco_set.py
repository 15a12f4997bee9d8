"""A small set of real-format photographs, a recipe for it, and the bundle that comes of it."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from wildpdiff.build import stages, starts
from wildpdiff.build.recipes import SMOKE, Recipe
from wildpdiff.build.stages import build
from wildpdiff.generator.recipe import GeneratorRecipe
from wildpdiff.measure.by_location import crossed_conditions, evaluate_locations
from wildpdiff.training.clip_training import ClipConfig, build_clip, save_clip
from wildpdiff.training.connect import ConnectRecipe
from wildpdiff.training.finetune import FinetuneRecipe
from wildpdiff.training.pretrain import PretrainRecipe
from wildpdiff.weightspace import Map, project
from wildpdiff.workers.pool import ONE, Workers

LOCATIONS = ("heath", "mire", "brook", "quarry", "cliff")
SPECIES = ("red_fox", "wild_boar", "otter")
COLOURS = ((200, 90, 30), (60, 50, 45), (110, 140, 190))
CLIP = ClipConfig(embedding=16, image_size=32, image_width=64, image_layers=1, text_width=64, text_layers=1)


def write_set(root: Path, *, bursts: int = 48) -> Path:
    """Write JPEGs of 96 x 72 and their metadata, `bursts` sequences of one frame at each of five locations.

    Returns:
        The metadata; the photographs lie in `photos` beside it.
    """
    rng, images, annotations = np.random.default_rng(0), [], []
    for place, location in enumerate(LOCATIONS):
        scene = rng.integers(40 + 30 * place, 110 + 30 * place, (9, 12, 3)).astype(np.uint8)
        scene = np.asarray(Image.fromarray(scene).resize((96, 72), Image.Resampling.BILINEAR))
        (root / "photos" / location).mkdir(parents=True)
        for burst in range(bursts):
            label = burst % (len(SPECIES) + 1)
            box: dict[str, list[int]] = {}
            pixels = np.clip(scene + rng.integers(-12, 12, scene.shape), 0, 255).astype(np.uint8)
            if label < len(SPECIES):
                x, y = int(rng.integers(4, 60)), int(rng.integers(4, 44))
                pixels[y : y + 22, x : x + 30] = COLOURS[label]
                box = {"bbox": [x, y, 30, 22]}
            name = f"{location}/{burst:03d}.jpg"
            Image.fromarray(pixels).save(root / "photos" / name, quality=92)
            images.append({"id": name, "file_name": name, "location": location, "seq_id": f"{location}#{burst}"})
            images[-1] |= {"width": 96, "height": 72}
            annotations.append({"id": name, "image_id": name, "category_id": label} | box)
    categories = [{"id": label, "name": name} for label, name in enumerate((*SPECIES, "empty"))]
    metadata = root / "forest.json"
    metadata.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return metadata


def recipe_for(root: Path) -> Recipe:
    """Every stage at toy size; the set and a small CLIP are written into `root`."""
    metadata = write_set(root)
    save_clip(build_clip(CLIP, seed=0), CLIP, root / "clip", name="forest-clip")
    world = {"kind": "coco", "metadata": str(metadata), "images": str(root / "photos"), "species": list(SPECIES)}
    short = FinetuneRecipe(converge=1, rows=4, interval=1, batch_size=4)
    return replace(
        SMOKE,
        name="forest",
        world=world | {"size": 40, "eval_share": 0.4},
        pretraining=LOCATIONS[4:],
        seen=LOCATIONS[:3],
        unseen=LOCATIONS[3:4],
        condition=f"local-dir:{root / 'clip'}",
        pretrain=PretrainRecipe(images_per_location=16, steps=2, batch_size=8, save_every=2),
        shared=replace(short, rows=1),
        finetune=short,
        run=short,
        runs=2,
        connect=ConnectRecipe(steps=2, batch_size=4),
        generator=GeneratorRecipe(mean_steps=3, denoiser_steps=4, denoiser_batch=4),
        plain=GeneratorRecipe(denoiser_steps=4, denoiser_batch=4),
        components=8,
        alone_components=4,
        long_rows=4,
        samples=2,
    )


def here(work: Callable[[Any], None], jobs: Sequence[Any], *, workers: Workers) -> Iterator[int]:
    """As `workers.each`, in this process: a spawned one takes seconds to begin."""
    for count, job in enumerate(jobs, start=1):
        work(job)
        yield count


def drawn_map(rows: Tensor, index: Tensor, *, seed: int) -> Map:
    """As `Map.of`, along two directions: UMAP would cost seconds."""
    anchors = project(rows)
    return Map(anchors, anchors[:, :2].contiguous(), index)


def write_bundle(root: Path) -> tuple[Path, Recipe]:
    """The bundle's folder and its recipe; the set is deleted afterwards, so that nothing can lean on it."""
    recipe = recipe_for(root)
    with pytest.MonkeyPatch.context() as patch:
        for module in (stages, starts):
            patch.setattr(module, "each", here)
        for measure in (evaluate_locations, crossed_conditions):
            patch.setattr(stages, measure.__name__, partial(measure, steps=2))
        patch.setattr(stages.Map, "of", drawn_map)
        for _ in build(recipe, root / "bundle", workers=ONE):
            pass
    (root / "photos").rename(root / "gone")
    (root / "forest.json").rename(root / "gone.json")
    return root / "bundle", recipe
