"""Parts of the study that processes take on by themselves: some places, asked by some ways; each keeps its answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from ..build.recipes import trained_by
from ..build.stock import SHELF
from ..build.universal import Site, UniversalRecipe, train
from ..bundle import Bundle
from ..evaluate import NONE, logits_by
from ..files import load_tensors, save_tensors
from ..network.folded import Adapter, Folded
from ..universal.map import Kind
from ..universal.places import Places, inventing_in
from ..universal.priors import Shrinking, calibrated
from ..universal.universal import Universal
from ..worlds.base import Images
from .site import Place, drawn, named, test_stock
from .ways import FEW, Calibrated, Named, of_joint, of_oracle, of_pasting, of_pretrained, of_universal

What = Literal["pretrained", "universal", "seed", "joint", "oracle", "pasting"]
#: Pasted photographs of a place.
PASTED = 400


@dataclass(frozen=True)
class Training:
    """One training of U, to be done by a process of its own.

    Attributes:
        bundle: folder of the bundle.
        work: folder of what is half done.
        recipe: of U.
        seed: of everything that is drawn.
        kind: what is written beside the joint row; `none` is the control.
        places: training places; None: all.
        name: of the folder in `work`.
    """

    bundle: Path
    work: Path
    recipe: UniversalRecipe
    seed: int
    kind: Kind
    places: int | None = None
    name: str = ""

    @property
    def folder(self) -> Path:
        """Where the trained U lies."""
        return self.work / (self.name or f"{self.kind}-{self.seed}")

    def site(self) -> Site:
        """Where it works, with one process."""
        return Site(_bundle(self.bundle), self.recipe, self.work, workers=1)


def do_training(job: Training) -> None:
    """Train, or go on."""
    for _ in train(job.site(), job.seed, kind=job.kind, places=job.places, name=job.name):
        pass


@dataclass(frozen=True)
class Cell:
    """Some places, asked by the ways of one group.

    Attributes:
        what: the group.
        trained: of the U, or the control, that is asked.
        numbers: of new places in the test stock.
        names: of the bundle's own unseen locations.
        count: of all new places.
        photographs: of each.
    """

    what: What
    trained: Training
    numbers: tuple[int, ...]
    names: tuple[str, ...]
    count: int
    photographs: int

    @property
    def path(self) -> Path:
        """Where the answers are kept."""
        part = f"{self.numbers[0]}-{self.numbers[-1]}" if self.numbers else "named"
        return self.trained.folder / "answers" / f"{self.what}-{part}.safetensors"

    def places(self) -> list[Place]:
        """The places; new ones of one cell share a file."""
        if not self.numbers:
            return [named(_bundle(self.trained.bundle), name, self.photographs) for name in self.names]
        stock = test_stock(self.trained.site(), self.count, self.photographs)
        return drawn(_opened(stock.path_of(self.numbers[0])), [number % SHELF for number in self.numbers])


def answer(cell: Cell) -> None:
    """Ask, unless that was done."""
    if cell.path.exists():
        return
    asked = ASK[cell.what](cell, cell.places())
    together = {way: torch.stack([own[way] for own in asked]) for way in asked[0]}
    save_tensors(cell.path, {way: value.to(torch.uint8) for way, value in together.items()})


def labels_of(cell: Cell) -> tuple[tuple[str, ...], Tensor]:
    """Names of a cell's places, and the true classes `[P, M]`."""
    places = cell.places()
    return tuple(place.name for place in places), torch.stack([place.asked.labels for place in places])


def answers_of(cell: Cell) -> dict[str, Tensor]:
    """By way the classes that it named, int64 `[P, M]`, or `[P, N, M]` of N samples.

    Raises:
        UserError: if the file is missing or damaged.
    """
    return {way: value.long() for way, value in load_tensors(cell.path)[0].items()}


def _pretrained(cell: Cell, places: Sequence[Place]) -> list[Named]:
    bundle, universal = _bundle(cell.trained.bundle), opened(cell.trained)
    how, balance = calibration(cell.trained), trained_by(bundle).pretrain.balance
    return [of_pretrained(bundle, place, universal, how, balance) for place in places]


def _of_universal(cell: Cell, places: Sequence[Place]) -> list[Named]:
    backbone, universal = _bundle(cell.trained.bundle).backbone, opened(cell.trained)
    turned = [*places[1:], places[0]]
    whole = cell.what == "universal"
    return [of_universal(backbone, universal, *pair, whole=whole) for pair in zip(places, turned, strict=True)]


def _of_joint(cell: Cell, places: Sequence[Place]) -> list[Named]:
    backbone, control, how = _bundle(cell.trained.bundle).backbone, opened(cell.trained), calibration(cell.trained)
    return [of_joint(backbone, control, place, how) for place in places]


def _oracle(cell: Cell, places: Sequence[Place]) -> list[Named]:
    backbone = _bundle(cell.trained.bundle).backbone
    return [of_oracle(backbone, place, seed=cell.trained.seed) for place in places]


def _pasting(cell: Cell, places: Sequence[Place]) -> list[Named]:
    bundle, control = _bundle(cell.trained.bundle), opened(cell.trained)
    inventing = inventing_in(bundle.world)
    rng = torch.Generator().manual_seed(cell.trained.seed)
    others = _opened(cell.trained.site().stock("validation").path_of(0)).empties[:, 0]
    found = []
    for place in places:
        labels = torch.randint(len(bundle.world.species), (PASTED,), generator=rng).tolist()
        made: dict[str, Images] = {
            kind: inventing.pasted(place.empties[:1], labels, seed=cell.trained.seed, others=ground)
            for kind, ground in (("paste", None), ("rough", others))
        }
        found.append(of_pasting(bundle.backbone, control, place, made, seed=cell.trained.seed))
    return found


ASK: Mapping[What, Callable[[Cell, Sequence[Place]], list[Named]]] = {
    "pretrained": _pretrained,
    "universal": _of_universal,
    "seed": _of_universal,
    "joint": _of_joint,
    "oracle": _oracle,
    "pasting": _pasting,
}


@lru_cache(maxsize=2)
def calibration(trained: Training) -> Calibrated:
    """How EM is calibrated at validation places; kept in the training's folder."""
    backbone, universal = _bundle(trained.bundle).backbone, opened(trained)
    shown = trained.site().stock("validation").open()
    usual, balance = universal.model.usual, trained_by(_bundle(trained.bundle)).pretrain.balance
    folded = Folded(backbone)
    sides: dict[str, tuple[Adapter, Tensor]] = {
        "pretrained": (NONE, (1 - balance) * usual),
        "joint": (universal.model.joint.detach(), 0 * usual),
    }
    starts = [usual] * len(shown)
    found: dict[str, dict[int, Shrinking]] = {}
    for side, (row, held) in sides.items():
        path = trained.folder / f"validation-{side}.safetensors"
        if not path.exists():
            save_tensors(path, {"logits": torch.stack([logits_by(folded, row, own) for own in shown.pixels])})
        scores = load_tensors(path)[0]["logits"] - held
        most = shown.labels.shape[1] // 2
        found[side] = {count: calibrated(list(scores), list(shown.labels), starts, min(count, most)) for count in FEW}
    return Calibrated(found["pretrained"], found["joint"])


@lru_cache(maxsize=1)
def _bundle(folder: Path) -> Bundle:
    return Bundle.open(folder)


@lru_cache(maxsize=2)
def opened(trained: Training) -> Universal:
    """A trained U, or control."""
    site = trained.site()
    return Universal.load(trained.folder, site.bundle.backbone, site.sight)


@lru_cache(maxsize=1)
def _opened(path: Path) -> Places:
    return Places.load(path)
