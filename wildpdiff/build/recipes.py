"""Whole recipes as constants: everything that decides what `wildpdiff train` makes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from ..bundle import Bundle
from ..errors import UserError
from ..files import load_json
from ..generator.config import Widths
from ..generator.recipe import PLAIN, GeneratorRecipe
from ..network.backbone import ARCHITECTURE, IMAGENET_WEIGHTS, Backbone
from ..training.clip_training import ClipConfig, ClipRecipe
from ..training.connect import ConnectRecipe
from ..training.finetune import FinetuneRecipe
from ..training.head import HeadRecipe
from ..training.pretrain import PretrainRecipe
from ..worlds.savanna.world import PRETRAINING, SEEN, UNSEEN, SavannaConfig, SavannaWorld

#: Rows of a regime that its map is made of, at most.
MAPPED = 400
#: Whole numbers of a recipe that may be 0, and numbers that are shares.
_FROM_NONE = ("seed", "converge", "held_out_runs", "warmup", "vae_steps", "mean_steps")
_SHARES = ("ema", "condition_dropout", "small_share", "brightness", "balance")
_LARGEST = 1e6
#: Fields that recipes of version 0.10 and earlier do not have; left out, they are the defaults.
LATER = {"rank", "thaw", "widths"}
#: Paper, appendix D: each location its own random initialisation; one for all; one converged adapter for all.
REGIMES = ("L", "M", "H")


@dataclass(frozen=True)
class Recipe:
    """From nothing to a bundle.

    `world` is the spec of where photographs come from (see `worlds.open_world`), `pretraining`, `seen` and `unseen` are
    locations of it. `architecture` is what timm calls the classifier, `rank` that of its adapters: 22 makes 360,690
    numbers of EfficientNet-B0, the paper's budget. It learns from scratch by `pretrain`; or, where `weights` are
    `imagenet` or a safetensors file of timm's, `head` fits the last layer alone; where `thaw`, the whole then learns by
    `pretrain`, too, as in the paper.
    `condition` names a CLIP (`MODEL/TAG` of open_clip, or `local-dir:FOLDER`), or is `pooled`, the classifier's own
    features; without one, a small CLIP by `clip` and `clip_training` learns from captions of the world at
    `clip_places` places.

    `regimes` are those of similarity that a generator is trained of. `shared` makes two adapters: the converged one
    that regime H starts from, and the `joint` one, a baseline. The first learns at the first seen location, as in the
    paper; where `start` is `joint`, it is the joint one. That learns at `joint_at`, or if there is none at all seen
    locations. `alone` says whether a generator of the first seen location alone is trained, too. `runs` independent
    fine-tunings by `run` a location and regime are the zoo; the generator never sees the last `held_out_runs` of them.
    `connect` bends the curves between locations, and `connect_apart` those of regime L, whose ends have no direction in
    common and need longer. `denoiser_steps` are those of regimes whose denoiser is trained for longer or shorter than
    `generator` says: the longer, the nearer samples lie to training rows (in M 1.4 times as far as held-out rows after
    20,000 steps, 0.8 after 40,000). `finetune` is one long run, as the paper has it, for zoos by saving interval;
    `alone_interval` is the interval of the unconditional generator's rows, `alone_components` its codec's directions;
    at intervals of 100 and more there are `long_rows` rows. `plain` trains the paper's denoiser, of our `widths` or the
    paper's. `samples` adapters a location measure the bundle.
    """

    name: str
    world: Mapping[str, Any] = field(default_factory=SavannaWorld().to_json)
    pretraining: tuple[str, ...] = PRETRAINING
    seen: tuple[str, ...] = SEEN
    unseen: tuple[str, ...] = UNSEEN
    architecture: str = ARCHITECTURE
    rank: int = 4
    weights: str | None = None
    thaw: bool = False
    pretrain: PretrainRecipe = field(default_factory=PretrainRecipe)
    head: HeadRecipe = field(default_factory=HeadRecipe)
    condition: str | None = None
    clip: ClipConfig = field(default_factory=ClipConfig)
    clip_training: ClipRecipe = field(default_factory=ClipRecipe)
    clip_places: int = 900
    regimes: tuple[str, ...] = REGIMES
    start: Literal["first", "joint"] = "first"
    joint_at: tuple[str, ...] = ()
    shared: FinetuneRecipe = field(default_factory=lambda: FinetuneRecipe(converge=500, rows=1, interval=1))
    finetune: FinetuneRecipe = field(default_factory=FinetuneRecipe)
    run: FinetuneRecipe = field(
        default_factory=lambda: FinetuneRecipe(converge=100, rows=12, interval=4, settled_rate=1e-3)
    )
    runs: int = 6
    held_out_runs: int = 2
    connect: ConnectRecipe = field(default_factory=ConnectRecipe)
    connect_apart: ConnectRecipe = field(
        default_factory=lambda: ConnectRecipe(steps=1600, batch_size=64, learning_rate=3e-3, decay=1.1)
    )
    components: int = 64
    generator: GeneratorRecipe = field(default_factory=GeneratorRecipe)
    denoiser_steps: Mapping[str, int] = field(default_factory=dict)
    plain: GeneratorRecipe = PLAIN
    widths: Widths = "ours"
    alone: bool = True
    alone_interval: int = 100
    alone_components: int = 16
    long_rows: int = 25
    samples: int = 4
    seed: int = 0

    def generator_of(self, regime: str) -> GeneratorRecipe:
        """How the generator of a regime is trained."""
        return replace(self.generator, denoiser_steps=self.denoiser_steps.get(regime, self.generator.denoiser_steps))

    @property
    def learns_whole(self) -> bool:
        """Whether all of the classifier's weights are trained, and not its last layer alone."""
        return self.weights is None or self.thaw

    def begun(self, species: tuple[str, ...], *, pretrained: bool = True) -> Backbone:
        """The classifier before anything is learned from the world; not `pretrained`: its shapes alone.

        Raises:
            UserError: as `Backbone.with_weights`.
        """
        how: dict[str, Any] = {"architecture": self.architecture, "seed": self.seed}
        backbone = Backbone.with_weights(self.weights if pretrained else None, species, **how)
        lora = backbone.lora
        return backbone if lora.rank == self.rank else backbone.adapting(replace(lora, rank=self.rank, alpha=self.rank))

    def to_json(self) -> dict[str, Any]:
        """Every field as a JSON document; `from_json` reads it back."""
        return _adapter().dump_python(self, mode="json")  # type: ignore[no-any-return]

    @classmethod
    def from_json(cls, document: Any, source: str) -> Recipe:
        """The recipe that a document spells out in full; `source` is what a mistake is said of.

        Raises:
            UserError: naming the keys that are missing or unknown, or the first value of another kind.
        """
        if not isinstance(document, dict):
            raise UserError(f"{source} is no recipe; `wildpdiff recipe` prints one to start from.")
        known, found = set(_keys(SAVANNA)), set(_keys(SAVANNA, document))
        wrong = [f"{what} {', '.join(sorted(keys))}" for what, keys in
                 (("lacks", known - found - LATER), ("has the unknown", found - known)) if keys]  # fmt: skip
        if wrong:
            raise UserError(f"{source} is no whole recipe: it {' and '.join(wrong)}.")
        try:
            recipe: Recipe = _adapter().validate_json(json.dumps(document), strict=True)
        except ValueError as error:
            first = error.errors()[0]  # type: ignore[attr-defined]
            where = ".".join(map(str, first["loc"]))
            raise UserError(f"{source} is no recipe: '{where}': {first['msg'].lower()}.") from error
        if beyond := next(_out_of_range(recipe.to_json()), ""):
            raise UserError(f"{source} is no recipe: {beyond}.")
        if not recipe.regimes or set(recipe.regimes) - set(REGIMES):
            raise UserError(f"{source} is no recipe: 'regimes' must be some of {', '.join(REGIMES)}.")
        if recipe.held_out_runs >= recipe.runs:
            raise UserError(
                f"{source} is no recipe: 'held_out_runs' must be fewer than 'runs', or nothing is learned from."
            )
        return recipe


SAVANNA = Recipe("savanna", denoiser_steps={"M": 22_500})
"""The bundled world. `wildpdiff train --recipe savanna --out runs/savanna`

From nothing, in one command: 75 minutes on two CPU cores. Fine-tuned adapters name 94% right, generated ones too."""

SMOKE = Recipe(
    "smoke",
    world=SavannaWorld(SavannaConfig(size=64, train_images=24, eval_images=12, background_images=3)).to_json(),
    pretraining=PRETRAINING[:2],
    seen=SEEN[:3],
    unseen=UNSEEN[:1],
    pretrain=PretrainRecipe(images_per_location=24, steps=4, batch_size=8, save_every=2),
    clip=ClipConfig(embedding=32, image_width=64, image_layers=1, text_width=16, text_layers=1),
    clip_training=ClipRecipe(steps=4, batch_size=4, warmup=1, checkpoint_every=2),
    clip_places=6,
    shared=FinetuneRecipe(converge=3, rows=1, interval=1, batch_size=4),
    finetune=FinetuneRecipe(converge=2, rows=6, interval=1, batch_size=4),
    run=FinetuneRecipe(converge=1, rows=4, interval=1, batch_size=4),
    runs=3,
    held_out_runs=1,
    connect=ConnectRecipe(steps=3, batch_size=4),
    connect_apart=ConnectRecipe(steps=4, batch_size=4),
    components=16,
    generator=GeneratorRecipe(mean_steps=5, denoiser_steps=10, denoiser_batch=4),
    denoiser_steps={"M": 12},
    plain=GeneratorRecipe(denoiser_steps=10, denoiser_batch=4),
    alone_interval=2,
    alone_components=4,
    long_rows=6,
    samples=2,
)
"""Every stage at toy size, to test the way and not the result: under a minute and a half on 2 cores; accuracies are
at chance. `wildpdiff train --recipe smoke --out runs/smoke`"""

FULL = replace(
    SAVANNA, name="full", finetune=FinetuneRecipe(rows=300, interval=10), runs=25, held_out_runs=5, long_rows=300
)
"""As many checkpoints as in the paper: 300 a location and regime, of 25 runs.
`wildpdiff train --recipe full --out runs/full`

Never run as a whole: by the steps that `savanna` takes, about six hours on 2 CPU cores. Meant for a GPU."""

PAPER = Recipe(
    "paper",
    world=SavannaWorld(SavannaConfig(size=224, train_images=675, eval_images=75, background_images=5)).to_json(),
    pretraining=tuple(f"L{number:03d}" for number in range(100)),
    rank=22,
    weights=IMAGENET_WEIGHTS,
    thaw=True,
    pretrain=PretrainRecipe(images_per_location=1000, steps=20_000, learning_rate=1e-3, small_share=0.0, balance=1.0),
    condition="ViT-B-32/openai",
    finetune=FinetuneRecipe(converge=1000, rows=300, interval=100),
    run=FinetuneRecipe(converge=300, rows=12, interval=25),
    runs=25,
    held_out_runs=5,
    components=512,
    plain=replace(PLAIN, denoiser_steps=30_000, denoiser_batch=50),
    widths="paper",
    long_rows=300,
    samples=100,
)
"""The paper's setting (section 4.1, appendix B): EfficientNet-B0 from ImageNet at 224 pixels, learned on 100 locations,
300 rows of 360,690 numbers at each of 10 others, CLIP's ViT-B-32.
`wildpdiff train --recipe paper --data FOLDER --out runs/paper`

Its locations and drawn pictures, as many and as large as the paper's (table 4), stand in for a data set where it is
planned without one: `wildpdiff train --recipe paper --dry-run`. Its steps of pretraining are our choice."""

RECIPES = {recipe.name: recipe for recipe in (SAVANNA, SMOKE, FULL)}


def recipe_of(name: str) -> Recipe:
    """The recipe of that name, or of a JSON file of one's own.

    Raises:
        UserError: naming the known ones, or what is wrong with the file.
    """
    if name in RECIPES:
        return RECIPES[name]
    if not name.endswith(".json"):
        raise UserError(f"Recipe '{name}' is not known; choose one of: {', '.join(RECIPES)}, or a .json file.")
    return Recipe.from_json(load_json(Path(name)), f"'{Path(name).name}'")


def planned(name: str) -> Recipe:
    """As `recipe_of`; also the paper's, which without a data set can only be planned."""
    return PAPER if name == PAPER.name else recipe_of(name)


def trained_by(bundle: Bundle) -> Recipe:
    """The recipe that a bundle was trained by, as its manifest has it.

    Raises:
        UserError: if the manifest has none, or that of another version.
    """
    return Recipe.from_json(bundle.manifest.get("recipe"), f"The recipe in '{bundle.folder.name}'")


@lru_cache(maxsize=1)
def _adapter() -> Any:
    """Reads and writes recipes; pydantic is imported only where that is asked for."""
    from pydantic import TypeAdapter

    return TypeAdapter(Recipe)


def _out_of_range(document: Mapping[str, Any], before: str = "") -> Iterator[str]:
    """What of a recipe's numbers cannot be, in words; the world's own spec is the world's to check."""
    for name, value in document.items():
        if isinstance(value, Mapping):
            yield from () if name == "world" else _out_of_range(value, f"{before}{name}.")
        elif isinstance(value, int) and not isinstance(value, bool):
            low = 0 if name in _FROM_NONE else 1
            if not low <= value < 2**31:
                yield f"'{before}{name}' must be a whole number from {low} to {2**31 - 1}, not {value}"
        elif isinstance(value, float):
            high = 1.0 if name in _SHARES else _LARGEST
            if not 0 <= value <= high:
                yield f"'{before}{name}' must be a number from 0 to {high:g}, not {value:g}"


def _keys(recipe: Any, document: Any = None, before: str = "") -> Iterator[str]:
    """The dotted names of a recipe's fields, its nested recipes' too; or those that a document has in their place."""
    names = {one.name for one in fields(recipe)}
    for name in names if document is None else document if isinstance(document, dict) else ():
        yield before + name
        part = getattr(recipe, name) if name in names else None
        if is_dataclass(part):
            yield from _keys(part, document and document[name], f"{before}{name}.")
