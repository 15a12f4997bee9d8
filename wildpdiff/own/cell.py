"""One fold of cameras and one seed: everything is learned without the fold's cameras, then tried at each of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..files import load_tensors, save_tensors
from ..generator.recipe import GeneratorRecipe
from ..training.finetune import FinetuneRecipe
from ..training.head import HeadRecipe
from ..worlds.base import EMPTY
from ..worlds.cameras import CameraWorld, open_world
from ..worlds.hashed import fraction
from ..worlds.shots import Shot

#: Folds of cameras.
FOLDS = 4


@dataclass(frozen=True)
class Plan:
    """How long everything learns.

    Attributes:
        head: the classifier's last layer, on frozen ImageNet features.
        joint: the adapter of all training cameras.
        place: an adapter of one camera, from the joint one on; its rows are what the generator learns.
        places: training cameras that the generator learns of, at most.
        pasted: pasted pictures at each camera.
        labels: labelled photographs of a camera that its own adapter may learn from.
        generator: how it is trained.
        samples: generated adapters whose answers are averaged.
    """

    head: HeadRecipe = field(default_factory=HeadRecipe)
    joint: FinetuneRecipe = field(
        default_factory=lambda: FinetuneRecipe(converge=200, rows=1, interval=1, learning_rate=1e-3)
    )
    place: FinetuneRecipe = field(
        default_factory=lambda: FinetuneRecipe(converge=20, rows=4, interval=3, learning_rate=1e-3)
    )
    places: int = 20
    pasted: int = 48
    labels: int = 20
    generator: GeneratorRecipe = field(default_factory=lambda: GeneratorRecipe(mean_steps=600, denoiser_steps=1500))
    samples: int = 4


@dataclass(frozen=True)
class Cell:
    """What a process is handed: a fold and a seed of a study.

    Attributes:
        fold: of the cameras, 0 to `FOLDS` - 1.
        seed: of the fold's draw, of batches, pasting and sampling.
        world: the spec of the `CameraWorld`.
        architecture: of the classifier, in timm's words.
        weights: as `Recipe.weights`.
        work: folder for what is learned and found.
        plan: how long.
    """

    fold: int
    seed: int
    world: Mapping[str, Any]
    architecture: str
    weights: str
    work: Path
    plan: Plan

    @property
    def path(self) -> Path:
        """Where the answers are kept."""
        return self.work / f"answers-{self.seed}-{self.fold}.safetensors"


def fold_of(location: str, locations: tuple[str, ...], seed: int) -> int:
    """The fold of a camera: cameras are shuffled by a hash of their names and dealt out."""
    order = sorted(locations, key=lambda name: fraction("fold", name, seed))
    return order.index(location) % FOLDS


@lru_cache(maxsize=4)
def _whole(spec: str) -> CameraWorld:
    return open_world(json.loads(spec) | {"held_out": []}, Path())


def worlds_of(cell: Cell) -> tuple[CameraWorld, tuple[str, ...]]:
    """The cameras with those of the fold held out, and these."""
    whole = _whole(json.dumps(dict(cell.world), sort_keys=True))
    held_out = tuple(name for name in whole.locations if fold_of(name, whole.locations, cell.seed) == cell.fold)
    return whole.holding_out(held_out), held_out


@dataclass(frozen=True)
class Pictures:
    """Photographs of one camera that can be read, with what is known of them."""

    pixels: Tensor
    labels: Tensor
    bursts: tuple[str, ...]


@dataclass(frozen=True)
class Answers:
    """What each method says of the photographs of held-out cameras.

    Attributes:
        chances: by method, the chance of each class for each photograph, `[M, K]`; a row of NaN where a method had
            nothing to say.
        labels: `[M]`.
        cameras: number of each photograph's camera in `names`, `[M]`.
        bursts: number of each photograph's burst, `[M]`.
        names: of the cameras.
    """

    chances: dict[str, Tensor]
    labels: Tensor
    cameras: Tensor
    bursts: Tensor
    names: tuple[str, ...]

    @classmethod
    def of(cls, cameras: Mapping[str, Pictures], said: Mapping[str, Sequence[Tensor]]) -> Answers:
        """What is said, by method, of each camera's photographs, in the cameras' order; chances `[M, K]` each."""
        bursts = [(place, burst) for place, own in enumerate(cameras.values()) for burst in own.bursts]
        numbers = {burst: number for number, burst in enumerate(dict.fromkeys(bursts))}
        return cls(
            {method: torch.cat(list(values)) for method, values in said.items()},
            torch.cat([own.labels for own in cameras.values()]),
            torch.tensor([place for place, _ in bursts]),
            torch.tensor([numbers[burst] for burst in bursts]),
            tuple(cameras),
        )

    def save(self, path: Path) -> None:
        """Write them as one file; its folder is made if it is not there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        parts = {f"chances/{name}": value.half() for name, value in self.chances.items()}
        parts |= {"labels": self.labels, "cameras": self.cameras, "bursts": self.bursts}
        save_tensors(path, parts, {"names": json.dumps(self.names)})

    @classmethod
    def load(cls, path: Path) -> Answers:
        """Read what `save` wrote.

        Raises:
            UserError: if the file is missing or damaged.
        """
        parts, about = load_tensors(path)
        chances = {name.removeprefix("chances/"): value.float() for name, value in parts.items() if "/" in name}
        return cls(chances, parts["labels"], parts["cameras"], parts["bursts"], tuple(json.loads(about["names"])))


def together(every: list[Answers]) -> Answers:
    """The answers of several folds of one seed."""
    names = tuple(name for one in every for name in one.names)
    cameras, bursts, first, burst = [], [], 0, 0
    for one in every:
        cameras.append(one.cameras + first)
        bursts.append(one.bursts + burst)
        first, burst = first + len(one.names), burst + int(one.bursts.max()) + 1
    methods = every[0].chances.keys()
    chances = {name: torch.cat([one.chances[name] for one in every]) for name in methods}
    return Answers(chances, torch.cat([one.labels for one in every]), torch.cat(cameras), torch.cat(bursts), names)


def pictures(world: CameraWorld, shots: list[Shot]) -> Pictures:
    """Shots as pictures; those that cannot be read are left out."""
    found = list(world.pictures(shots))
    pixels = torch.stack([picture for _, picture in found]) if found else torch.zeros(0, 3, world.size, world.size)
    labels = torch.tensor([shot.label for shot, _ in found], dtype=torch.int64)
    return Pictures(pixels.to(torch.uint8), labels, tuple(shot.burst for shot, _ in found))


def learned(world: CameraWorld, held_out: tuple[str, ...]) -> Iterator[tuple[str, Pictures]]:
    """Every photograph of every camera that is not held out."""
    for name in world.locations:
        if name not in held_out:
            yield name, pictures(world, [*world.shots_at(name, "train"), *world.shots_at(name, "eval")])


def with_photographs(world: CameraWorld, held_out: tuple[str, ...]) -> dict[str, Pictures]:
    """The photographs of the held-out cameras that have some that can be read."""
    found = {name: pictures(world, world.shots_at(name, "eval")) for name in held_out}
    return {name: own for name, own in found.items() if len(own.labels)}


def empty_of(world: CameraWorld) -> int:
    """The number of the class `empty`."""
    return world.species.index(EMPTY)
