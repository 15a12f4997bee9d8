"""Fine-tunings of chosen parameters at one location, several at once, in processes that may be killed.

Tables 7 and 8 and Figure 3 are made of them; what a finished run found is one small JSON file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..evaluate import correct
from ..files import load_json, load_tensors, save_json, sha256
from ..network.backbone import Backbone
from ..network.subset import Subset
from ..training.finetune import FinetuneRecipe, finetune
from ..training.loop import Step
from ..workers.pool import Workers, each
from ..worlds import open_world
from ..worlds.base import Images, Split, World

#: Training photographs, the last ones of a location, that rates are chosen on.
VALIDATION = 200


@dataclass(frozen=True)
class Run:
    """One fine-tuning to do and measure, as plain data that a process can be given.

    Attributes:
        folder: where its outcome goes.
        backbone: file of the pretrained classifier.
        fingerprint: of that classifier.
        world: spec of where the photographs come from.
        location: whose photographs.
        kind: name of what is adapted.
        subset: what that is.
        recipe: how long and how fast.
        seed: of the batches.
        at: steps after which it is measured; 0 is before the first.
        choosing: whether it serves to choose a rate; then it is measured on the last training photographs, which it
            does not train on, and never sees an evaluation photograph.
        start: file of the row to start from; None: one that changes nothing.
        device: to train on.
    """

    folder: Path
    backbone: Path
    fingerprint: str
    world: Mapping[str, Any]
    location: str
    kind: str
    subset: Subset
    recipe: FinetuneRecipe
    seed: int
    at: tuple[int, ...]
    choosing: bool = False
    start: Path | None = None
    device: str = "cpu"

    @property
    def file(self) -> Path:
        """Its outcome's file, whose name has a digest of all that the outcome depends on."""
        start = sha256(self.start) if self.start else ""
        parts = [self.fingerprint, self.world, self.location, self.subset.to_json(), asdict(self.recipe)]
        text = json.dumps([*parts, self.seed, self.at, self.choosing, start], sort_keys=True)
        return self.folder / f"{self.location}-{self.kind}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.json"

    def right(self) -> Tensor:
        """Which photographs were classified correctly at each step of `at`: bool `[len(at), M]`.

        Raises:
            UserError: if the run is not finished.
        """
        found = load_json(self.file)["right"]
        return torch.tensor([[mark == "1" for mark in found[str(step)]] for step in self.at])

    def share(self) -> Tensor:
        """The share of the steps of `at` after which each photograph was classified correctly: `[M]`."""
        return self.right().double().mean(dim=0)

    def losses(self) -> Tensor:
        """The training loss of every step, `[steps]`."""
        return torch.tensor(load_json(self.file)["loss"])


def do(run: Run) -> None:
    """Do one run, unless it is done; its file is written when it is whole."""
    if run.file.exists():
        return
    backbone = _backbone(run.backbone, run.device).adapting(run.subset)
    train, held_out = _photographs(run)
    rng = torch.Generator().manual_seed(run.seed)
    start = load_tensors(run.start)[0]["row"] if run.start else backbone.subset.initial(backbone.network, rng)
    rows, losses = {0: start}, []
    for tuned in finetune(backbone, start, train, run.recipe, seed=run.seed):
        losses.append(round(tuned.step.loss, 5))
        if tuned.row is not None:
            rows[tuned.step.index] = tuned.row
    right = correct(backbone, [rows[step] for step in run.at], held_out.pixels, held_out.labels)
    about = {"location": run.location, "kind": run.kind, "rate": run.recipe.learning_rate, "seed": run.seed}
    marks = {str(step): "".join("01"[int(mark)] for mark in table) for step, table in zip(run.at, right, strict=True)}
    save_json(run.file, about | {"loss": losses, "right": marks})


def do_all(runs: Sequence[Run], workers: Workers) -> Iterator[Step]:
    """Do every run that is not done, several at once in processes of one thread each; yields finished runs of all.

    Killed and started again, it goes on with the runs that are not finished. A worker dies with its parent.

    Raises:
        UserError: what a worker complained of, or that one was stopped.
    """
    waiting = sorted((run for run in runs if not run.file.exists()), key=lambda run: run.location)
    done = len(runs) - len(waiting)
    if not waiting:
        yield Step(done, done, float("nan"))
    for count in each(do, waiting, workers=workers):
        yield Step(done + count, len(runs), float("nan"))


def _photographs(run: Run) -> tuple[Images, Images]:
    """What a run trains on, and what it is measured on."""
    train = _images(open_world(run.world), run.location, "train")
    if not run.choosing:
        return train, _images(open_world(run.world), run.location, "eval")
    cut = len(train) - min(VALIDATION, len(train) // 4)
    return Images(train.pixels[:cut], train.labels[:cut]), Images(train.pixels[cut:], train.labels[cut:])


@lru_cache(maxsize=3)
def _images(world: World, location: str, split: Split) -> Images:
    return world.images(location, split)


@lru_cache(maxsize=1)
def _backbone(path: Path, device: str) -> Backbone:
    return Backbone.load(path).to(device)
