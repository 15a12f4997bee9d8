"""The rows that fine-tunings start from: three regimes of similarity, and the baseline of all locations together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..errors import UserError
from ..files import load_tensors, save_tensors
from ..network.backbone import Backbone
from ..training.finetune import finetune
from ..training.loop import Step
from ..workers.pool import ONE, Workers, each
from ..worlds import open_world
from .photographs import photographs
from .recipes import REGIMES, Recipe

#: File of the joint adapter, in `work` and in a bundle.
JOINT = "joint.safetensors"
#: What the page calls each, and says of it.
LABELS = {
    "L": ("Low", "Low similarity: every location was fine-tuned from a random start of its own."),
    "M": ("Medium", "Medium similarity: all locations were fine-tuned from one shared random start."),
    "H": ("High", "High similarity: all locations were fine-tuned from one adapter that had converged."),
}


def checked_regime(regime: str) -> str:
    """The regime, if it is one.

    Raises:
        UserError: naming the known ones.
    """
    if regime not in REGIMES:
        raise UserError(f"Regime '{regime}' is not known; choose one of: {', '.join(REGIMES)}.")
    return regime


def start_file(work: Path, regime: str, location: str) -> Path:
    """The starting row of a location in a regime: its own, the shared one, or the converged one."""
    names = {"L": f"start-L-{location}", "M": "start-M", "H": "start-H"}
    return work / f"{names[checked_regime(regime)]}.safetensors"


def save_row(path: Path, row: Tensor, backbone: Backbone) -> None:
    """Write one raw row `[D]` for jobs to start from."""
    save_tensors(path, {"row": row}, {"layout": backbone.layout.fingerprint})


def start_row(path: Path) -> Tensor:
    """The raw row `[D]` that a fine-tuning starts from.

    Raises:
        UserError: if its file is missing or damaged.
    """
    tensors, _ = load_tensors(path)
    if not {"row", "rows"} & set(tensors):
        raise UserError(f"'{path.name}' holds no row to start from; make it anew.")
    return tensors["row"].float() if "row" in tensors else tensors["rows"][-1].float()


def write_starts(recipe: Recipe, backbone: Backbone, work: Path) -> None:
    """Draw the random starting rows of regimes L and M; H's is fine-tuned (see `starts`)."""
    for place, location in enumerate(("", *recipe.seen)):
        path = start_file(work, "L" if location else "M", location)
        if not path.exists():
            rng = torch.Generator().manual_seed(recipe.seed * 1000 + place)
            save_row(path, backbone.subset.initial(backbone.network, rng), backbone)


@dataclass(frozen=True)
class Start:
    """A converged row to make for others to start from: on which locations' photographs, and where it is kept."""

    path: Path
    locations: tuple[str, ...]
    recipe: Recipe
    backbone: Path
    work: Path
    device: str


def starts(
    recipe: Recipe,
    backbone: Path,
    work: Path,
    device: str,
    *,
    regimes: Sequence[str] | None = None,
    joint: bool = True,
    workers: Workers = ONE,
) -> Iterator[Step]:
    """Write the rows that fine-tunings start from.

    Random ones for regimes L and M; for H, if it is among `regimes` (of none given, the recipe's), one that converged
    at the first seen location (paper, appendix D) or the joint one, as the recipe says; and, if `joint`, the baseline
    that is trained on several locations together.
    """
    write_starts(recipe, Backbone.load(backbone), work)
    first = start_file(work, "H", "") if "H" in (recipe.regimes if regimes is None else regimes) else None
    plans = [(work / JOINT, recipe.joint_at or recipe.seen)] if joint or (first and recipe.start == "joint") else []
    if first and recipe.start == "first":
        plans.insert(0, (first, recipe.seen[:1]))
    jobs = [Start(path, locations, recipe, backbone, work, device) for path, locations in plans if not path.exists()]
    for count in each(make_start, jobs, workers=workers):
        yield Step(count, len(jobs), float("nan"))
    if first and recipe.start == "joint" and not first.exists():
        save_row(first, start_row(work / JOINT), Backbone.load(backbone))


def make_start(start: Start) -> None:
    """Fine-tune one starting row; a killed one goes on where it was."""
    recipe, network = start.recipe, Backbone.load(start.backbone).to(start.device)
    checkpoint = start.path.with_suffix(".part")
    images = photographs(open_world(recipe.world), start.locations)
    first = load_tensors(start_file(start.work, "M", ""))[0]["row"]
    for tuned in finetune(network, first, images, recipe.shared, seed=recipe.seed, checkpoint=checkpoint):
        if tuned.row is not None:
            save_row(start.path, tuned.row, network)
    checkpoint.unlink(missing_ok=True)
