"""Which systems each of p-diff's tables and figures needs, whole and quick."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..order import Order
from ..recipe import OURS, PAPER, QUICK, RATES, Recipe
from .cells import Cell

#: Seeds of a whole and of a quick study.
SEEDS, FEW = 5, 2
#: Seeds of an ablation.
ABLATION_SEEDS = 1
#: Pictures that a whole study measures on.
SELECTION, TEST = 500, 2000
#: Whole small networks, and seeds of each: 3 to 6 minutes of one core a seed, 8, and an hour.
WHOLE = {"mlp-mini": 5, "resnet-mini": 5, "convnet-mini": 2}
WHOLE_SLOW = {"convnext-mini": 3}
WHOLE_SLOWEST = {"vit-mini": 1}
#: The network of the ablations: the fastest of the small ones, whole. The paper's are of two norms of ResNet-18.
ABLATED = "mlp-mini"


@dataclass(frozen=True)
class Plan:
    """How large a study is.

    Attributes:
        seeds: of its systems.
        data: the set of pictures.
        recipe: of a system.
    """

    seeds: tuple[int, ...]
    data: str
    recipe: Recipe

    @classmethod
    def of(cls, *, quick: bool, seed: int, seeds: int = SEEDS) -> Plan:
        """CIFAR-10 with `seeds` seeds, or digits with two and short trainings."""
        if quick:
            return cls(tuple(range(seed, seed + FEW)), "digits", QUICK)
        return cls(tuple(range(seed, seed + seeds)), "cifar10", replace(OURS, selection=SELECTION, test=TEST))

    def order(self, network: str, parameters: str, seed: int, **changes: Any) -> Order:
        """An order of this size with parts of its recipe changed."""
        return Order(network, parameters, self.data, recipe=replace(self.recipe, **changes), seed=seed)

    def rows(self, **changes: Any) -> dict[str, Any]:
        """The change of a recipe that changes how its checkpoints are fine-tuned."""
        return {"rows": replace(self.recipe.rows, **changes)}

    def each(
        self, variants: dict[str, dict[str, Any]], *, network: str = ABLATED, parameters: str = "all",
        looks: Sequence[str] = (),
    ) -> Iterator[Cell]:  # fmt: skip
        """A cell for each variant of the recipe and each seed."""
        for seed in self.seeds:
            for name, changes in variants.items():
                yield Cell(name, self.order(network, parameters, seed, **changes), tuple(looks))


#: Networks of table 1, in timm's names: a quarter of an hour of one core, half an hour, and an hour and a half.
PARTIAL = ("resnet18",)
PARTIAL_SLOW = ("vit_tiny_patch16_224",)
PARTIAL_SLOWEST = ("convnext_tiny",)
#: Steps of their bases.
BASE_STEPS = 1000


def partial(plan: Plan, networks: Sequence[str] = PARTIAL) -> list[Cell]:
    """Table 1: the last two normalisation layers of larger networks.

    Checkpoints have the greatest of our rates, and every third step is saved. The trials would choose the gentlest,
    as a hair's breadth below the base is enough to refuse a rate; with that, all checkpoints give the same answers.
    """
    networks = ("resnet10t",) if plan.data == "digits" else networks
    base = replace(plan.recipe.base, steps=min(plan.recipe.base.steps, BASE_STEPS))
    changes = plan.rows(rate=RATES[0], interval=3)
    return [
        Cell(network, plan.order(network, "norms:2", seed, base=base, **changes))
        for network in networks
        for seed in plan.seeds
    ]


def whole(plan: Plan, networks: Mapping[str, int] = WHOLE) -> list[Cell]:
    """Table 2: small networks, every parameter."""
    networks = {"mlp-mini": FEW, "resnet-mini": FEW} if plan.data == "digits" else networks
    return [
        Cell(network, plan.order(network, "all", seed))
        for network, seeds in networks.items()
        for seed in plan.seeds[:seeds]
    ]


def papers(plan: Plan) -> list[Cell]:
    """Checkpoints of our recipe, and as the paper has them: one run at a rate of 3e-2 that falls, every step saved."""
    rows = {"rows": PAPER.rows} if plan.data != "digits" else plan.rows(rate=PAPER.rows.rate, falling=True)
    return list(plan.each({"ours": {}, "the paper's": rows}))


def noise(plan: Plan) -> list[Cell]:
    """Tables 3a, 3b, 3c, 4 and 8, figure 5a: noise while the paper's autoencoder trains, and that alone."""
    default = {"input_noise": 0.001, "latent_noise": 0.1}
    variants = {
        "neither": {"input_noise": 0.0, "latent_noise": 0.0},
        "rows only": default | {"latent_noise": 0.0},
        "latents only": default | {"input_noise": 0.0},
        "rows × 5": default | {"input_noise": 0.005},
        "rows × 2000": default | {"input_noise": 2.0},
        "latents × 0.1": default | {"latent_noise": 0.01},
        "latents × 10": default | {"latent_noise": 1.0},
        "both × 0.1": {"input_noise": 0.0001, "latent_noise": 0.01},
        "both × 10": {"input_noise": 0.01, "latent_noise": 1.0},
    }  # fmt: skip
    way = {"way": "paper", "denoiser_steps": min(plan.recipe.denoiser_steps, 3000)}
    cells = list(plan.each({"both": way | default}, looks=["codec"]))
    return cells + list(plan.each({name: way | changes for name, changes in variants.items()}))


def optimisers(plan: Plan) -> list[Cell]:
    """Table 3d: how the checkpoints are fine-tuned. Without weight decay, as here, Adam and AdamW are one."""
    return list(plan.each({name: plan.rows(optimizer=name) for name in ("adamw", "sgd")}))


def counts(plan: Plan) -> list[Cell]:
    """Table 3e and figure 5c: how many checkpoints the generator learns from, of the same 480 (400 not held out)."""
    if plan.data == "digits":
        return list(plan.each({str(count): {"known": count} for count in (5, 15, 45)}))
    rows = plan.rows(rows=80)
    return list(plan.each({str(count): rows | {"known": count} for count in (10, 50, 200, 300, 400)}))


def places(plan: Plan) -> list[Cell]:
    """Table 3f: which parameters a row stands for."""
    choices = {
        "norms": "norms",
        "first layer": "linear1",
        "second layer": "linear2",
        "last layer": "last",
        "all": "all",
    }
    return [
        Cell(name, plan.order(ABLATED, parameters, seed)) for seed in plan.seeds for name, parameters in choices.items()
    ]


def undertrained(plan: Plan) -> list[Cell]:
    """Figure 3: bases trained for 1 and 3 epochs, and to the end."""
    epoch = 133 if plan.data != "digits" else 20
    ends = {"1 epoch": epoch, "3 epochs": 3 * epoch, "to the end": plan.recipe.base.steps}
    variants = {name: {"base": replace(plan.recipe.base, steps=steps)} for name, steps in ends.items()}
    return list(plan.each(variants, looks=["noise"]))


def rates(plan: Plan) -> list[Cell]:
    """Figure 4: checkpoints of different rates of fine-tuning."""
    return list(plan.each({f"{rate:g}": plan.rows(rate=rate) for rate in (3e-5, 3e-4, 3e-3)}, looks=["noise"]))


def sampling(plan: Plan) -> list[Cell]:
    """Table 9 and figure 5b: sampling steps, and the way of a few noises."""
    return list(plan.each({ABLATED: {}}, looks=["steps", "path"]))
