"""Short independent fine-tuning runs: several a location and regime, so that a location's rows are a distribution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import UserError
from ..files import load_tensors, save_tensors
from ..network.adapter import AdapterLayout
from ..network.backbone import Backbone
from ..training.finetune import FinetuneRecipe, finetune
from ..worlds import open_world
from .photographs import mixed
from .recipes import Recipe
from .starts import start_file, start_row


@dataclass(frozen=True)
class Run:
    """One fine-tuning run to do: the rows of `path`, from the row in `start`, on the photographs of `location`."""

    path: Path
    regime: str
    location: str
    start: Path
    backbone: Path
    world: Mapping[str, Any]
    recipe: FinetuneRecipe
    seed: int


def run_file(work: Path, regime: str, location: str, number: int) -> Path:
    """Where the rows of a run are kept."""
    return work / f"runs-{regime}" / f"{location}-{number}.safetensors"


def all_runs(recipe: Recipe, work: Path, backbone: Path) -> list[Run]:
    """Every run of every seen location and regime. Runs of one location and regime differ in their batches alone."""
    return [
        Run(
            run_file(work, regime, location, number),
            regime,
            location,
            start_file(work, regime, location),
            backbone,
            recipe.world,
            recipe.run,
            seed=recipe.seed * 100_000 + 10_000 + 100 * place + number,
        )
        for regime in recipe.regimes
        for place, location in enumerate(recipe.seen)
        for number in range(recipe.runs)
    ]


def do_run(run: Run) -> None:
    """Fine-tune one run's rows into its file; a killed one starts anew, since it takes seconds."""
    backbone, images = _backbone(run.backbone), mixed(open_world(run.world), ((run.location, 1.0),), "train")
    tuned = finetune(backbone, start_row(run.start), images, run.recipe, seed=run.seed)
    rows = torch.stack([one.row for one in tuned if one.row is not None])
    about = {"layout": backbone.layout.fingerprint, "regime": run.regime, "seed": str(run.seed)}
    run.path.parent.mkdir(parents=True, exist_ok=True)
    save_tensors(run.path, {"rows": rows}, about)


@lru_cache(maxsize=1)
def _backbone(path: Path) -> Backbone:
    return Backbone.load(path)


def rows_of_run(path: Path, layout: AdapterLayout) -> Tensor:
    """The raw rows `[J, D]` of a run.

    Raises:
        UserError: if the file is missing or damaged, or of another layout.
    """
    tensors, about = load_tensors(path)
    if about.get("layout") != layout.fingerprint:
        raise UserError(f"'{path.name}' holds adapters of another layout; this network's is {layout.fingerprint}.")
    return tensors["rows"]


def shown(recipe: Recipe) -> Tensor:
    """Which rows of a location's runs the generator learns from, bool `[R, J]`.

    The last runs are kept from it as a whole, and of the others every fourth row: what samples are compared with.
    """
    learned = torch.ones(recipe.runs, recipe.run.rows, dtype=torch.bool)
    learned[recipe.runs - recipe.held_out_runs :] = False
    learned[:, 3::4] = False
    return learned


def rows_at(recipe: Recipe, work: Path, layout: AdapterLayout, regime: str, location: str) -> Tensor:
    """The raw rows of all runs of a location in a regime, `[R, J, D]`."""
    paths = (run_file(work, regime, location, number) for number in range(recipe.runs))
    return torch.stack([rows_of_run(path, layout) for path in paths])
