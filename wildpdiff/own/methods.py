"""Every way to name the photographs of a camera that nothing was learned from, the simplest first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..build.photographs import joined
from ..errors import UserError
from ..generator import AdapterGenerator, ConditionConfig, GeneratorConfig
from ..generator.train import train_generator
from ..network.backbone import Backbone
from ..network.features import pooled
from ..training.finetune import FinetuneRecipe, finetune
from ..training.head import fit_head
from ..worlds.base import Images
from ..worlds.cameras import CameraWorld
from ..worlds.pasted import PastedWorld, Pasting
from .cell import Answers, Cell, Pictures, empty_of, learned, with_photographs, worlds_of

#: What each way is called in tables, in their order.
NAMES = {
    "majority": "majority class",
    "head": "frozen ImageNet features, a new last layer",
    "prior": "a new last layer, and the species met at places that look alike",
    "joint": "one shared adapter",
    "empties": "shared, then the camera's own empties",
    "pasted": "shared, then animals pasted on all training cameras",
    "paste": "shared, then animals pasted on this camera's empties",
    "generated": "generated from this camera's empties",
    "labels": "shared, then up to twenty labelled photographs of this camera",
}
#: What only the cameras with two bursts can be asked.
NEEDS_TWO = ("labels",)
#: Temperature of the likeness of places, and share of the overall prior in what is expected of a place.
_SHARP, _SHRUNK = 0.1, 0.5
#: Photographs that are named at once.
_BATCH = 128


@dataclass
class Learned:
    """What a cell has learned without its held-out cameras."""

    cell: Cell
    world: CameraWorld
    held_out: tuple[str, ...]
    backbone: Backbone
    known: dict[str, Pictures]
    joint: Tensor
    pasted: PastedWorld | None

    @property
    def everything(self) -> Images:
        """All photographs that may be learned from."""
        return joined([Images(own.pixels, own.labels) for own in self.known.values()])

    def row(self, start: Tensor, images: Images, recipe: FinetuneRecipe, purpose: int) -> Tensor:
        """The last row of a fine-tuning."""
        return self.rows(start, images, recipe, purpose)[-1]

    def rows(self, start: Tensor, images: Images, recipe: FinetuneRecipe, purpose: int) -> Tensor:
        """The saved rows of a fine-tuning, `[J, D]`."""
        seed = self.cell.seed * 1000 + purpose
        tuned = finetune(self.backbone, start, images, recipe, seed=seed)
        return torch.stack([one.row for one in tuned if one.row is not None])


def begin(cell: Cell) -> Learned:
    """Fit the last layer and the shared adapter to all cameras that are not held out."""
    world, held_out = worlds_of(cell)
    known = {name: own for name, own in learned(world, held_out) if len(own.labels)}
    everything = joined([Images(own.pixels, own.labels) for own in known.values()])
    backbone = Backbone.with_weights(cell.weights, world.species, architecture=cell.architecture, seed=cell.seed)
    fit_head(backbone, everything, cell.plan.head)
    begun = Learned(
        cell, world, held_out, backbone, known, torch.zeros(backbone.layout.dim), _pasted(cell, world, known)
    )
    rng = torch.Generator().manual_seed(cell.seed)
    start = backbone.subset.initial(backbone.network, rng)
    return replace(begun, joint=begun.row(start, everything, cell.plan.joint, 0))


def _pasted(cell: Cell, world: CameraWorld, known: dict[str, Pictures]) -> PastedWorld | None:
    try:
        return PastedWorld(world, Pasting(cell.plan.pasted, tuple(known), real=False, seed=cell.seed))
    except UserError:  # no boxes
        return None


@torch.inference_mode()
def chances(backbone: Backbone, row: Tensor | None, pixels: Tensor) -> Tensor:
    """The chance of each class, `[M, K]`, under one adapter or none."""
    network = backbone.network if row is None else backbone.merged(row)
    return torch.cat([network(backbone.prepared(batch)).softmax(dim=1) for batch in pixels.split(_BATCH)])


class Ways:
    """All ways at one held-out camera after the other."""

    def __init__(self, begun: Learned) -> None:
        self.begun = begun
        self.counts = _counts(begun)
        self.views = {name: _view(begun, name) for name in begun.known if begun.world.background_files(name)}
        self.centre = torch.stack(list(self.views.values())).mean(dim=0) if self.views else torch.zeros(1)
        self.generic = self._generic()
        self.generator = self._generator()

    def at(self, name: str, own: Pictures) -> dict[str, Tensor]:
        """What every way says of the photographs of a held-out camera: chances `[M, K]` by way."""
        begun = self.begun
        head = chances(begun.backbone, None, own.pixels)
        said = {
            "majority": self._majority().expand(len(own.labels), -1),
            "head": head,
            "prior": self._with_prior(head, name),
            "joint": chances(begun.backbone, begun.joint, own.pixels),
        }
        ways: dict[str, Callable[[str], Tensor | None]] = {
            "empties": self._on_empties,
            "pasted": lambda _: self.generic,
            "paste": self._on_pasted,
        }
        for way, make in ways.items():
            row = make(name)
            said[way] = said["joint"] if row is None else chances(begun.backbone, row, own.pixels)
        said["generated"] = self._generated(name, own, said["joint"])
        said["labels"] = self._by_labels(own, said["joint"])
        return said

    def _majority(self) -> Tensor:
        counts = sum(self.counts.values(), torch.zeros(len(self.begun.world.species)))
        return torch.nn.functional.one_hot(counts.argmax(), len(counts)).float()[None]

    def _with_prior(self, said: Tensor, name: str) -> Tensor:
        """Chances weighed by the species met at training cameras whose empty place looks like this one."""
        if not self.begun.world.background_files(name) or not self.views:
            return said
        view = normalize(_view(self.begun, name) - self.centre, dim=0)
        known = normalize(torch.stack(list(self.views.values())) - self.centre, dim=1)
        shares = torch.stack([self.counts[other] / self.counts[other].sum() for other in self.views])
        overall = sum(self.counts.values(), torch.zeros(shares.shape[1]))
        overall = (overall + 1) / (overall + 1).sum()
        near = torch.softmax(known @ view / _SHARP, dim=0) @ shares
        expected = _SHRUNK * overall + (1 - _SHRUNK) * near
        weighed = said * (expected / overall)
        return weighed / weighed.sum(dim=1, keepdim=True)

    def _on_empties(self, name: str) -> Tensor | None:
        """An adapter of the camera's own empties beside all training cameras' animals, nothing pasted."""
        begun, files = self.begun, self.begun.world.background_files(name)
        if not files:
            return None
        empties = begun.world.backgrounds(name)
        animals = begun.everything
        kept = animals.labels != empty_of(begun.world)
        labels = torch.full((len(empties),), empty_of(begun.world))
        times = max(1, int(kept.sum()) // (4 * len(empties)))
        mixed = joined([Images(animals.pixels[kept], animals.labels[kept]), *[Images(empties, labels)] * times])
        return begun.row(begun.joint, mixed, begun.cell.plan.place, 1)

    def _generic(self) -> Tensor | None:
        """One adapter of animals pasted on every training camera's empties, from the shared one on."""
        begun = self.begun
        if begun.pasted is None:
            return None
        images = joined([begun.pasted.images(name, "train", first=12) for name in self.views])
        return begun.row(begun.joint, images, replace(begun.cell.plan.place, converge=60), 2)

    def _on_pasted(self, name: str) -> Tensor | None:
        """An adapter of training cameras' animals pasted on this camera's own empties."""
        begun = self.begun
        if begun.pasted is None or not begun.world.background_files(name):
            return None
        return begun.row(begun.joint, begun.pasted.images(name, "train"), begun.cell.plan.place, 3)

    def _generator(self) -> AdapterGenerator | None:
        """A generator of the training cameras' adapters, each fine-tuned from the shared one on, by their empties."""
        begun, plan = self.begun, self.begun.cell.plan
        names = sorted(self.views, key=lambda name: -len(begun.known[name].labels))[: plan.places]
        if len(names) < 2:
            return None
        rows = [begun.rows(begun.joint, self._task(name), plan.place, 10 + place) for place, name in enumerate(names)]
        index = torch.arange(len(names)).repeat_interleave(plan.place.rows)
        views = normalize(torch.stack([self.views[name] for name in names]) - self.centre, dim=1)
        config = GeneratorConfig.of(
            begun.backbone.layout,
            condition=ConditionConfig("pooled", views.shape[1]),
            backbone_fingerprint=begun.backbone.fingerprint,
            components=min(32, len(names) * plan.place.rows - 1),
        )
        generator = AdapterGenerator.untrained(config, seed=begun.cell.seed, notes={})
        known = views[:, None].expand(-1, 2, -1)
        for _ in train_generator(generator, torch.cat(rows), known, index, plan.generator):
            pass
        return generator

    def _task(self, name: str) -> Images:
        """What a training camera's adapter learns from: its own photographs, and as many pasted ones."""
        own = self.begun.known[name]
        real = Images(own.pixels, own.labels)
        if self.begun.pasted is None:
            return real
        return joined([real, self.begun.pasted.images(name, "train", first=len(own.labels))])

    def _generated(self, name: str, own: Pictures, otherwise: Tensor) -> Tensor:
        """Mean chances under adapters that are generated from the camera's empties."""
        if self.generator is None or not self.begun.world.background_files(name):
            return otherwise
        view = normalize(_view(self.begun, name) - self.centre, dim=0)
        samples = self.begun.cell.plan.samples
        rows = self.generator.generate(view.expand(samples, -1), seed=self.begun.cell.seed)
        return torch.stack([chances(self.begun.backbone, row, own.pixels) for row in rows]).mean(dim=0)

    def _by_labels(self, own: Pictures, otherwise: Tensor) -> Tensor:
        """Half of the camera's bursts labelled, up to twenty photographs of them, and the other half named; both ways
        round. NaN where there is one burst."""
        said = torch.full_like(otherwise, float("nan"))
        bursts = list(dict.fromkeys(own.bursts))
        if len(bursts) < 2:
            return said
        halves = (set(bursts[::2]), set(bursts[1::2]))
        for place, half in enumerate(halves):
            known = torch.tensor([burst in half for burst in own.bursts])
            chosen = known.nonzero()[:, 0]
            rng = torch.Generator().manual_seed(self.begun.cell.seed)
            chosen = chosen[torch.randperm(len(chosen), generator=rng)[: self.begun.cell.plan.labels]]
            images = Images(own.pixels[chosen], own.labels[chosen])
            row = self.begun.row(self.begun.joint, images, self.begun.cell.plan.place, 100 + place)
            said[~known] = chances(self.begun.backbone, row, own.pixels[~known])
        return said


def _counts(begun: Learned) -> dict[str, Tensor]:
    """Photographs of each class at each training camera, `[K]`."""
    classes = len(begun.world.species)
    return {name: torch.bincount(own.labels, minlength=classes).float() for name, own in begun.known.items()}


def _view(begun: Learned, name: str) -> Tensor:
    """The mean ImageNet features of a camera's empties, `[E]`."""
    return pooled(begun.backbone, begun.world.backgrounds(name)).mean(dim=0)


def answer(cell: Cell) -> None:
    """What every way says of every held-out camera of a cell, into the cell's file, unless it is there."""
    if cell.path.exists():
        return
    begun = begin(cell)
    ways, cameras = Ways(begun), with_photographs(begun.world, begun.held_out)
    said: dict[str, list[Tensor]] = {}
    for name, own in cameras.items():
        for way, value in ways.at(name, own).items():
            said.setdefault(way, []).append(value)
    Answers.of(cameras, said).save(cell.path)
