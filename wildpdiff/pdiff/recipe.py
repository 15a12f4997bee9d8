"""How a p-diff system is trained: base network, checkpoints, generator; and how much of it is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from .. import variant
from ..errors import UserError
from ..training.loop import cosine

OPTIMIZERS = ("adamw", "adam", "sgd")
WAYS = (variant.OURS, variant.PAPER)


@dataclass(frozen=True)
class BaseRecipe:
    """How the base network is trained from scratch: AdamW along a cosine, with mirrored and shifted pictures."""

    steps: int = 4000
    batch: int = 128
    rate: float = 3e-3
    weight_decay: float = 5e-4


@dataclass(frozen=True)
class RowsRecipe:
    """How rows are fine-tuned from the base and saved.

    Attributes:
        runs: independent runs from the base; they see other batches.
        rows: rows of each run.
        interval: steps between two saved rows.
        settle: steps of a run before the first of them counts.
        rate: of the optimiser; None: the greatest of `RATES` whose rows are not worse than the base (see `rate`).
        falling: whether the rate falls along a cosine to 0, as in the paper; else it is constant.
        optimizer: one of `OPTIMIZERS`.
        weight_decay: pulls rows towards the base, not towards zero parameters.
        batch: pictures of a step.
        zoom: whether pictures are cut at random, as in the paper; else they are shifted a little.
        held_out: every so manyth row is kept from the generator.
    """

    runs: int = 6
    rows: int = 60
    interval: int = 10
    settle: int = 50
    rate: float | None = None
    falling: bool = False
    optimizer: str = "adamw"
    weight_decay: float = 0.0
    batch: int = 128
    zoom: bool = False
    held_out: int = 6

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise UserError(f"Optimiser '{self.optimizer}' is not known; choose one of: {', '.join(OPTIMIZERS)}.")
        if self.runs * self.rows < 4 or self.held_out < 2:
            raise UserError(
                f"A distribution needs at least 4 checkpoints and some of them held out, not {self.runs * self.rows}."
            )

    @property
    def steps(self) -> int:
        """Steps of one run."""
        return self.settle + self.rows * self.interval

    def factor(self, step: int) -> float:
        """Factor on the rate at `step`, from 0."""
        return cosine(step, self.steps) if self.falling else 1.0


#: Constant rates that are tried, the greatest first.
RATES = (3e-3, 1e-3, 3e-4, 1e-4, 3e-5)


@dataclass(frozen=True)
class Recipe:
    """All of it.

    Attributes:
        name: ours, paper, quick or small, or of one's own.
        base: of the base network.
        rows: of the checkpoints.
        components: numbers of a latent.
        width: of the denoiser.
        denoiser_steps: of its training.
        samples: generated rows.
        baselines: rows of each baseline that is drawn (noise, a Gaussian, averages of a few).
        known: rows that the generator learns from, evenly spaced, if there are more; None: all that are not held out.
        way: ours, or the paper's: an autoencoder and a UNet.
        input_noise: on rows while the paper's autoencoder trains, in standard deviations of each layer.
        latent_noise: on its latents.
        selection: pictures of the selection part that are measured.
        test: pictures of the test part that are measured.
    """

    name: str = "ours"
    base: BaseRecipe = BaseRecipe()
    rows: RowsRecipe = RowsRecipe()
    components: int = 64
    width: int = 256
    denoiser_steps: int = 5000
    samples: int = 200
    baselines: int = 50
    known: int | None = None
    way: str = WAYS[0]
    input_noise: float = 0.001
    latent_noise: float = 0.1
    selection: int = 1000
    test: int = 3000

    def __post_init__(self) -> None:
        if self.way not in WAYS:
            raise UserError(f"A generator is trained in one of these ways: {', '.join(WAYS)}; not '{self.way}'.")

    def to_json(self) -> dict[str, Any]:
        """As a JSON value."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Recipe:
        """What `to_json` wrote.

        Raises:
            UserError: if it is damaged.
        """
        try:
            parts = {"base": BaseRecipe(**value["base"]), "rows": RowsRecipe(**value["rows"])}
            return cls(**{**value, **parts})
        except (KeyError, TypeError) as error:
            raise UserError("The recipe is damaged or of another version; use another --out folder.") from error


OURS = Recipe()
#: The paper's own (tables 5a and 5b): one run, a rate of 3e-2 that falls to 0, every step saved.
PAPER = Recipe(
    "paper",
    rows=RowsRecipe(
        runs=1, rows=360, interval=1, settle=0, rate=3e-2, falling=True, weight_decay=5e-4, zoom=True
    ),
)  # fmt: skip
QUICK = Recipe(
    "quick",
    BaseRecipe(steps=300, batch=64),
    RowsRecipe(runs=3, rows=20, interval=5, settle=10, batch=64, held_out=4),
    components=32,
    width=128,
    denoiser_steps=600,
    samples=40,
    selection=300,
    test=300,
)
#: Of the systems that a bundle brings along (see `stored`): a generator of 0.2 MB, and all pictures of the digits.
SMALL = Recipe(
    "small",
    BaseRecipe(steps=300, batch=64),
    RowsRecipe(runs=4, rows=30, interval=5, settle=20, batch=64),
    components=32,
    width=32,
    denoiser_steps=2000,
    samples=100,
    selection=400,
    test=400,
)
RECIPES = {recipe.name: recipe for recipe in (OURS, PAPER, QUICK, SMALL)}


def recipe_named(name: str) -> Recipe:
    """A recipe by its name.

    Raises:
        UserError: naming those that there are.
    """
    if name not in RECIPES:
        raise UserError(f"Recipe '{name}' is not known; choose one of: {', '.join(RECIPES)}.")
    return RECIPES[name]


def ordered(name: str, *, rate: float | None = None, samples: int | None = None) -> Recipe:
    """A recipe by its name with what was asked for instead of its own.

    Raises:
        UserError: if there is none, or a number is out of range.
    """
    recipe = recipe_named(name)
    if rate is not None:
        if not 0 < rate < 10:
            raise UserError(f"The rate of fine-tuning must lie between 0 and 10, not {rate:g}.")
        recipe = replace(recipe, rows=replace(recipe.rows, rate=rate))
    if samples is not None:
        if samples < 2:
            raise UserError(f"The number of samples must be at least 2, not {samples}.")
        recipe = replace(recipe, samples=samples)
    return recipe
