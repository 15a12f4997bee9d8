"""The recipe for somebody's own photographs: which cameras are seen, which held out, and how large everything is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..bundle import POOLED
from ..errors import UserError
from ..generator.recipe import PLAIN, GeneratorRecipe
from ..network import lite
from ..network.backbone import ARCHITECTURE, IMAGENET_WEIGHTS
from ..training.connect import ConnectRecipe
from ..training.finetune import FinetuneRecipe
from ..workers.pool import Workers
from ..worlds.base import World
from ..worlds.cameras import CameraWorld
from ..worlds.pasted import PastedWorld, Pasting
from . import recipes
from .pace import finetuning, one_thread
from .recipes import Recipe

#: Names of the recipes that are made for a data set and are no constants.
OWN, PAPER = "own", recipes.PAPER.name
#: Cameras that are seen and held out, at most.
SEEN, HELD_OUT = 10, 5
#: Backgrounds that a camera needs.
SHOWN = 2
#: Pasted pictures at each camera.
PASTED = 60
#: How long everything learns: sets of a thousand photographs in half an hour on two cores.
LENGTHS: dict[str, Any] = {
    "regimes": ("H",),
    "start": "joint",
    "alone": False,
    "shared": FinetuneRecipe(converge=200, rows=1, interval=1, learning_rate=1e-3),
    "finetune": FinetuneRecipe(converge=40, rows=20, interval=2),
    "run": FinetuneRecipe(converge=30, rows=8, interval=3, learning_rate=1e-3, settled_rate=4e-4),
    "runs": 5,
    "held_out_runs": 1,
    "connect": ConnectRecipe(steps=150, batch_size=32),
    "components": 32,
    "generator": GeneratorRecipe(denoiser_steps=6000),
    "plain": PLAIN,
    "long_rows": 20,
}
#: What the paper's recipe has in its place, with any data set.
OF_PAPER = (
    *("rank", "thaw", "pretrain", "regimes", "start", "alone", "finetune", "run", "runs", "held_out_runs"),
    *("components", "widths", "plain", "long_rows", "samples"),
)
PAPER_LENGTHS: dict[str, Any] = {name: getattr(recipes.PAPER, name) for name in OF_PAPER}
#: Times that everything takes as long as its fine-tuning alone: reading, generators, figures.
_ASIDE = 2.2


@dataclass(frozen=True)
class OwnData:
    """Where somebody's photographs are, and what classifier is to be fitted to them.

    Attributes:
        path: metadata or folder, as `survey.open_survey` takes it.
        images: the folder that file names start from, where it is another one.
        boxes: a file of MegaDetector's or SpeciesNet's.
        columns: of a table with names of its own.
        species: names to keep; of none, all with enough photographs.
        size: H and W of the pictures to name, in pixels.
        network: what timm calls the classifier; of none, the one whose ImageNet weights are at hand.
        weights: `imagenet`, or a safetensors file of timm's.
        condition: `pooled`, or a CLIP as `Recipe.condition` names it.
        lengths: what differs from `LENGTHS`.
        seed: of everything.
    """

    path: Path
    images: Path | None = None
    boxes: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    species: tuple[str, ...] = ()
    size: int = 128
    network: str | None = None
    weights: str = IMAGENET_WEIGHTS
    condition: str = POOLED
    lengths: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    @classmethod
    def of_paper(cls, path: Path, **more: Any) -> OwnData:
        """As the paper has it: EfficientNet-B0 from ImageNet's weights at 224 pixels, and CLIP's ViT-B-32 of OpenAI."""
        how: dict[str, Any] = {
            "size": 224,
            "network": ARCHITECTURE,
            "condition": "ViT-B-32/openai",
            "lengths": PAPER_LENGTHS,
        }
        return cls(path, **(how | more))

    def world(self, held_out: tuple[str, ...] = ()) -> CameraWorld:
        """The photographs, with some cameras held out.

        Raises:
            UserError: as `CameraWorld.open`.
        """
        return CameraWorld.open(
            self.path.resolve(),
            images=self.images and self.images.resolve(),
            boxes=self.boxes and self.boxes.resolve(),
            columns=self.columns or None,
            size=self.size,
            species=self.species or None,
            held_out=held_out,
            seed=self.seed,
        )


@dataclass(frozen=True)
class Cast:
    """Which cameras play which part.

    Attributes:
        seen: with photographs to learn from and others to measure on, and pictures of the empty place.
        unseen: held out as a whole.
        learned: all that the classifier and the joint adapter learn at, the seen ones among them.
        notes: sentences on what is too little for what.
    """

    seen: tuple[str, ...]
    unseen: tuple[str, ...]
    learned: tuple[str, ...]
    notes: tuple[str, ...]


def cast(world: CameraWorld) -> Cast:
    """Choose the cameras; `world` holds none out.

    Raises:
        UserError: if there are fewer than three that a generator can be trained or tried at.
    """
    showing = [name for name in world.locations if len(world.background_files(name)) >= SHOWN]
    both = [name for name in showing if world.shots_at(name, "eval")]
    both.sort(key=lambda name: (-len({shot.burst for shot in world.shots_at(name, "train")}), -_count(world, name)))
    single = sorted((name for name in showing if name not in both), key=lambda name: -_count(world, name))
    wanted = min(HELD_OUT, max(1, len(showing) // 6))
    unseen = [name for name in single if _shown_if_held_out(world, name) >= SHOWN][:wanted]
    while len(unseen) < min(wanted, len(both) - 2):
        unseen.append(both.pop())
    if len(both) < 2 or not unseen:
        raise UserError(
            f"{len(world.locations)} cameras have usable photographs, but only {len(both) + len(unseen)} have "
            f"{SHOWN} pictures of the empty place and animals at two times; at least three are needed: add empty "
            "photographs, or more of each camera."
        )
    seen = tuple(both[:SEEN])
    learned = tuple(name for name in world.locations if name not in unseen and world.shots_at(name, "train"))
    return Cast(seen, tuple(unseen), learned, tuple(_too_little(world, seen, showing)))


def _count(world: CameraWorld, name: str) -> int:
    return len(world.shots_at(name, "train")) + len(world.shots_at(name, "eval"))


def _shown_if_held_out(world: CameraWorld, name: str) -> int:
    """Pictures of the empty place that a camera would have if it were held out: half of its empties are measured on."""
    return (len(world.background_files(name)) + 1) // 2


def _too_little(world: CameraWorld, seen: tuple[str, ...], showing: list[str]) -> list[str]:
    notes = []
    if len(seen) < SEEN:
        notes.append(
            f"{len(seen)} cameras met animals at two times and show the empty place, so the generator learns from "
            f"{len(seen)} places; {SEEN} and more would let it tell places apart."
        )
    bare = len(world.locations) - len(showing)
    if bare:
        notes.append(
            f"{bare} cameras have fewer than {SHOWN} pictures of the empty place: the classifier learns from them, but "
            "no adapter can be written for them."
        )
    animals = [name for name in world.species[:-1] if _places(world, name) < 2]
    if animals:
        notes.append(
            f"Met at one camera alone, so that nothing can be said of other places: {', '.join(animals[:8])}"
            + (f" and {len(animals) - 8} more." if len(animals) > 8 else ".")
        )
    return notes


def _places(world: CameraWorld, species: str) -> int:
    label = world.species.index(species)
    return sum(any(shot.label == label for shot in own) for own in world.shots.shots.values())


def own_recipe(data: OwnData) -> tuple[Recipe, World, tuple[str, ...]]:
    """The whole recipe for a data set, its world, and sentences on how it was read and what is too little for what.

    Raises:
        UserError: as `CameraWorld.open` and `cast`.
    """
    whole = data.world()
    parts = cast(whole)
    world = whole.holding_out(parts.unseen)
    pasted = _pasted(world, parts, data.seed)
    notes = (*world.notes, *parts.notes)
    if pasted is None:
        notes += (
            "No animal has a box, so nothing is pasted: adapters learn from each camera's own photographs alone.",
        )
    recipe = Recipe(
        PAPER if data.lengths else OWN,
        world=(pasted or world).to_json(),
        pretraining=_others(parts) if data.lengths else parts.learned,
        seen=parts.seen,
        unseen=parts.unseen,
        architecture=data.network or (lite.ARCHITECTURE if lite.weights_file() else ARCHITECTURE),
        weights=data.weights,
        condition=data.condition,
        joint_at=parts.learned,
        seed=data.seed,
        **(LENGTHS | dict(data.lengths)),
    )
    return recipe, pasted or world, notes


def _others(parts: Cast) -> tuple[str, ...]:
    """The cameras that the classifier learns at in the paper: not those that are fine-tuned at, if there are others."""
    return tuple(name for name in parts.learned if name not in parts.seen) or parts.learned


def _pasted(world: CameraWorld, parts: Cast, seed: int) -> PastedWorld | None:
    """The world with pasted pictures; None if there is nothing to cut or paste."""
    try:
        return PastedWorld(world, Pasting(count=PASTED, cutters=parts.learned, seed=seed))
    except UserError:
        return None


def cost(recipe: Recipe, world: World, more: int, workers: Workers) -> str:
    """What is to be done and how long it will take, in a sentence, by a few steps on one thread.

    Args:
        recipe: of `own_recipe`.
        world: of the same.
        more: further steps of fine-tuning that the report needs.
        workers: processes that train at once.
    """
    steps = recipe.shared.steps + len(recipe.seen) * recipe.runs * recipe.run.steps * len(recipe.regimes) + more
    minutes = steps * _seconds(recipe, world) * _ASIDE / 60 / workers.count
    return (
        f"{len(world.locations)} cameras: {len(recipe.pretraining)} to learn from, {len(recipe.seen)} of them seen by "
        f"the generator, {len(recipe.unseen)} held out; {recipe.architecture} at {world.size} pixels, {steps:,} steps "
        f"of fine-tuning, generators and a report: about {max(1, round(minutes))} minutes {workers.words}, if "
        "nothing else runs."
    )


def _seconds(recipe: Recipe, world: World) -> float:
    """Seconds of a fine-tuning step on one thread."""
    backbone = recipe.begun(world.species, pretrained=False)
    images = world.images(recipe.seen[0], "train", first=recipe.run.batch_size)
    with one_thread():
        return finetuning(backbone, images, recipe.run)
