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
from ..bundle import Bundle, opened_bundle
from ..evaluate import NONE, logits_by
from ..files import load_json, load_tensors, save_json, save_tensors
from ..network.folded import Adapter, Folded
from ..universal.map import Kind
from ..universal.places import Places, inventing_in
from ..universal.priors import Shrinking, calibrated
from ..universal.universal import Universal
from ..workers.pool import ONE
from ..worlds.base import Images
from .merge import MergeRecipe, learn_merge
from .site import ASKED, Place, drawn, named, test_stock
from .ways import (
    FEW,
    PASTING_STEPS,
    RATES,
    Calibrated,
    Named,
    Pasted,
    Start,
    of_codec,
    of_joint,
    of_oracle,
    of_pasting,
    of_pretrained,
    of_start,
    of_universal,
    rows_of,
)

What = Literal[
    "pretrained", "universal", "seed", "codec", "joint", "merge", "oracle", "pasting",
    "start_u", "start_joint", "start_mean", "start_new",
]  # fmt: skip
#: Pasted photographs of a place, and validation places that choose how fast is learned from them.
PASTED, CHOOSERS = 400, 6
#: Steps of the joint row up to which a training is a brief one, and so is what goes with it.
BRIEF = 100


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
        return Site(opened_bundle(self.bundle), self.recipe, self.work, workers=ONE)


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
            return [named(opened_bundle(self.trained.bundle), name, self.photographs) for name in self.names]
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
    bundle, universal = opened_bundle(cell.trained.bundle), opened(cell.trained)
    how, balance = calibration(cell.trained), trained_by(bundle).pretrain.balance
    return [of_pretrained(bundle, place, universal, how, balance) for place in places]


def _of_universal(cell: Cell, places: Sequence[Place]) -> list[Named]:
    backbone, universal = opened_bundle(cell.trained.bundle).backbone, opened(cell.trained)
    turned = [*places[1:], places[0]]
    whole = cell.what == "universal"
    return [of_universal(backbone, universal, *pair, whole=whole) for pair in zip(places, turned, strict=True)]


def _codec(cell: Cell, places: Sequence[Place]) -> list[Named]:
    backbone, universal = opened_bundle(cell.trained.bundle).backbone, opened(cell.trained)
    return [of_codec(backbone, universal, place) for place in places]


def _of_joint(cell: Cell, places: Sequence[Place]) -> list[Named]:
    backbone, control, how = (
        opened_bundle(cell.trained.bundle).backbone,
        opened(cell.trained),
        calibration(cell.trained),
    )
    return [of_joint(backbone, control, place, how) for place in places]


def _merge(cell: Cell, places: Sequence[Place]) -> list[Named]:
    backbone, usual = opened_bundle(cell.trained.bundle).backbone, opened(cell.trained).model.usual
    row, folded = merged_row(cell.trained), Folded(backbone)
    return [{"zoo_merge": (logits_by(folded, row, own.asked.pixels) + usual).argmax(dim=1)} for own in places]


@lru_cache(maxsize=1)
def merged_row(trained: Training) -> Tensor:
    """The zoo's mean rows, merged by layer as training places teach; kept in the training's folder."""
    path, bundle = trained.folder / "merge.safetensors", opened_bundle(trained.bundle)
    if not path.exists():
        recipe = MergeRecipe() if trained.recipe.map.joint_steps > BRIEF else MergeRecipe(steps=3, batch_size=4)
        means, places = bundle.means("H" if "H" in bundle.regimes else bundle.regime), trained.site().stock("train")
        checkpoint = path.with_suffix(".part")
        learning = learn_merge(bundle.backbone, means, places.open(), recipe, seed=trained.seed, checkpoint=checkpoint)
        *_, (_, row) = learning
        save_tensors(path, {"row": row})
        checkpoint.unlink(missing_ok=True)
    return load_tensors(path)[0]["row"]


def _oracle(cell: Cell, places: Sequence[Place]) -> list[Named]:
    backbone = opened_bundle(cell.trained.bundle).backbone
    return [of_oracle(backbone, place, seed=cell.trained.seed) for place in places]


def _pasting(cell: Cell, places: Sequence[Place]) -> list[Named]:
    bundle, control, seed = opened_bundle(cell.trained.bundle), opened(cell.trained), cell.trained.seed
    usual, joint = control.model.usual, control.model.joint.detach()
    # The classifier holds a part of the mean prior already (see `of_pretrained`); the rest is added.
    plain, held = torch.zeros(bundle.layout.dim), trained_by(bundle).pretrain.balance * usual
    rates = pasting_rates(cell.trained)
    others = _opened(cell.trained.site().stock("validation").path_of(0)).empties[:, 0]
    found = []
    for place in places:
        sharp, rough = (_pasted(bundle, place.empties[:1], seed, ground) for ground in (None, others))
        made = {
            "paste": Pasted(sharp, joint, rates["joint"], usual),
            "rough": Pasted(rough, joint, rates["joint"], usual),
            "plain": Pasted(sharp, plain, rates["pretrained"], held),
        }
        found.append(of_pasting(bundle.backbone, control, place, made, seed=seed))
    return found


def _pasted(bundle: Bundle, grounds: Tensor, seed: int, others: Tensor | None) -> Images:
    """Photographs of an empty place with animals pasted on, of every class about as many."""
    labels = [number % len(bundle.world.species) for number in range(PASTED)]
    return inventing_in(bundle.world).pasted(grounds, labels, seed=seed, others=others)


@lru_cache(maxsize=1)
def pasting_rates(trained: Training) -> dict[str, float]:
    """The learning rates that are best on pasted photographs at validation places after 80 steps, by the start; kept in
    the training's folder."""
    path = trained.folder / "pasting.json"
    if not path.exists():
        bundle, control = opened_bundle(trained.bundle), opened(trained)
        shown = _opened(trained.site().stock("validation").path_of(0))[: min(CHOOSERS, trained.recipe.validation)]
        starts = {"joint": control.model.joint.detach(), "pretrained": torch.zeros(bundle.layout.dim)}
        right = {
            name: {f"{rate:g}": _after_pasting(trained, start, rate, shown) for rate in RATES}
            for name, start in starts.items()
        }
        save_json(path, right)
    told = load_json(path)
    return {name: float(max(own, key=own.get)) for name, own in told.items()}


def _after_pasting(trained: Training, start: Tensor, rate: float, shown: Places) -> float:
    """Mean accuracy at places after fine-tuning on photographs that were pasted for each."""
    bundle, control = opened_bundle(trained.bundle), opened(trained)
    folded, right = Folded(bundle.backbone), []
    usual = control.model.usual if bool(start.any()) else trained_by(bundle).pretrain.balance * control.model.usual
    for empties, pixels, labels in zip(shown.empties, shown.pixels, shown.labels, strict=True):
        images = _pasted(bundle, empties[:1], trained.seed, None)
        *_, (_, row) = rows_of(bundle.backbone, start, images, rate, PASTING_STEPS, seed=trained.seed)
        named_there = (logits_by(folded, row, pixels[:ASKED]) + usual).argmax(dim=1)
        right.append((named_there == labels[:ASKED]).float().mean())
    return float(torch.stack(right).mean())


def _start(cell: Cell, places: Sequence[Place]) -> list[Named]:
    bundle, universal, seed = opened_bundle(cell.trained.bundle), opened(cell.trained), cell.trained.seed
    backbone, none = bundle.backbone, torch.zeros(len(bundle.world.species))

    def start(place: Place) -> Start:
        if cell.what == "start_u":
            written = universal.write(universal.known(backbone, place.empties[:1]))
            return Start(written.rows[0].detach(), written.log_prior[0])
        if cell.what == "start_joint":
            return Start(universal.model.joint.detach(), universal.model.usual)
        if cell.what == "start_mean":
            return Start(bundle.means("H" if "H" in bundle.regimes else bundle.regime).mean(dim=0), none)
        return Start(backbone.subset.initial(backbone.network, torch.Generator().manual_seed(seed)), none)

    return [of_start(backbone, place, start(place), seed=seed) for place in places]


ASK: Mapping[What, Callable[[Cell, Sequence[Place]], list[Named]]] = {
    "pretrained": _pretrained,
    "universal": _of_universal,
    "seed": _of_universal,
    "codec": _codec,
    "joint": _of_joint,
    "merge": _merge,
    "oracle": _oracle,
    "pasting": _pasting,
    "start_u": _start,
    "start_joint": _start,
    "start_mean": _start,
    "start_new": _start,
}


@lru_cache(maxsize=2)
def calibration(trained: Training) -> Calibrated:
    """How EM is calibrated at validation places; kept in the training's folder."""
    backbone, universal = opened_bundle(trained.bundle).backbone, opened(trained)
    shown = trained.site().stock("validation").open()
    usual, balance = universal.model.usual, trained_by(opened_bundle(trained.bundle)).pretrain.balance
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


@lru_cache(maxsize=2)
def opened(trained: Training) -> Universal:
    """A trained U, or control."""
    site = trained.site()
    return Universal.load(trained.folder, site.bundle.backbone, site.sight)


@lru_cache(maxsize=1)
def _opened(path: Path) -> Places:
    return Places.load(path)
