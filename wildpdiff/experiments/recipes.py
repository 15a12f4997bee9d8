"""Whole recipes as constants: everything that decides what `wildpdiff train` makes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ..clip_training import ClipConfig, ClipRecipe
from ..errors import UserError
from ..finetune import FinetuneRecipe
from ..pretrain import PretrainRecipe
from ..train import GeneratorRecipe
from ..worlds.savanna.world import PRETRAINING, SEEN, UNSEEN, SavannaConfig


@dataclass(frozen=True)
class Recipe:
    """From nothing to a bundle.

    `shared` makes two adapters: the converged one of the first seen location that regime H starts from, and the one of
    all seen locations together that blends start from. `middle` and `flank` fine-tune on blends of two locations, even
    and uneven; `soups` means of such rows are learned from beside them. `alone_interval` is the saving interval of the
    unconditional generator's rows; at 100 and more there are `long_rows` of them. `kept_rows` a location go into the
    bundle; `samples` adapters a location are generated to measure it.
    """

    name: str
    world: SavannaConfig = field(default_factory=SavannaConfig)
    pretraining: tuple[str, ...] = PRETRAINING
    seen: tuple[str, ...] = SEEN
    unseen: tuple[str, ...] = UNSEEN
    pretrain: PretrainRecipe = field(default_factory=PretrainRecipe)
    clip: ClipConfig = field(default_factory=ClipConfig)
    clip_training: ClipRecipe = field(default_factory=ClipRecipe)
    clip_places: int = 900
    shared: FinetuneRecipe = field(default_factory=lambda: FinetuneRecipe(converge=500, rows=1, interval=1))
    finetune: FinetuneRecipe = field(default_factory=FinetuneRecipe)
    middle: FinetuneRecipe = field(default_factory=lambda: FinetuneRecipe(converge=160, rows=4, interval=10))
    flank: FinetuneRecipe = field(
        default_factory=lambda: FinetuneRecipe(converge=20, rows=2, interval=10, learning_rate=1e-3)
    )
    generator: GeneratorRecipe = field(default_factory=GeneratorRecipe)
    soups: int = 600
    alone_interval: int = 100
    long_rows: int = 50
    kept_rows: int = 2
    samples: int = 4
    seed: int = 0


SAVANNA = Recipe("savanna")
"""The bundled world. `wildpdiff train --recipe savanna --out runs/savanna`

About 170 minutes on 2 CPU cores beside other work (classifier 17, CLIP 14, starts 5, zoos 20 to 23 each, blends 29,
R10 alone 25, generators 12, figures 5). Expect, at the ten seen locations: pretrained 68%, fine-tuned 95%, generated
96%, in each regime; in H another location's condition costs 41 points.
"""

SMOKE = Recipe(
    "smoke",
    world=SavannaConfig(size=64, train_images=24, eval_images=12, background_images=3),
    pretraining=PRETRAINING[:2],
    seen=SEEN[:3],
    unseen=UNSEEN[:1],
    pretrain=PretrainRecipe(images_per_location=24, steps=4, batch_size=8, save_every=2),
    clip=ClipConfig(embedding=32, image_width=64, image_layers=1, text_width=16, text_layers=1),
    clip_training=ClipRecipe(steps=4, batch_size=4, warmup=1, checkpoint_every=2),
    clip_places=6,
    shared=FinetuneRecipe(converge=3, rows=1, interval=1, batch_size=4),
    finetune=FinetuneRecipe(converge=2, rows=6, interval=1, batch_size=4),
    middle=FinetuneRecipe(converge=2, rows=2, interval=1, batch_size=4),
    flank=FinetuneRecipe(converge=1, rows=2, interval=1, batch_size=4),
    generator=GeneratorRecipe(vae_steps=6, vae_batch=4, denoiser_steps=10, denoiser_batch=4),
    soups=4,
    alone_interval=2,
    long_rows=6,
    samples=2,
)
"""Every stage at toy size, to test the way and not the result: under a minute and a half on 2 cores; accuracies are
at chance. `wildpdiff train --recipe smoke --out runs/smoke`"""

FULL = replace(
    SAVANNA, name="full", finetune=FinetuneRecipe(rows=300, interval=10), long_rows=300, kept_rows=2, samples=100
)
"""As many checkpoints as in the paper: 300 a location and regime. `wildpdiff train --recipe full --out runs/full`

Never run as a whole: by the steps that `savanna` takes, about six hours on 2 CPU cores. Meant for a GPU."""

RECIPES = {recipe.name: recipe for recipe in (SAVANNA, SMOKE, FULL)}


def recipe_of(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        UserError: naming the known ones.
    """
    if name not in RECIPES:
        raise UserError(f"Recipe '{name}' is not known; choose one of: {', '.join(RECIPES)}.")
    return RECIPES[name]
