"""The fake world: an adapter is a row of six shares, and names that share of a location's 40 photographs correctly."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
import torch
from laboratory import RuledLab, fake_bundle
from torch import Tensor

from wildpdiff.build.jobs import held_out_pairs, pairs
from wildpdiff.build.recipes import SMOKE
from wildpdiff.errors import UserError
from wildpdiff.network.adapter import AdapterLayout
from wildpdiff.network.folded import Adapter
from wildpdiff.network.lora import LoRA
from wildpdiff.paper import blending
from wildpdiff.paper.figure2 import EXPERIMENTS, FIGURE2, bend_of, chosen_pairs
from wildpdiff.paper.figure7 import FIGURE7, weaker

SEEN = ("A", "B", "C", "D", "E", "F")
IMAGES = 40
OWN, JOINT = 0.9, 0.6
#: What the generators of a regime make of a condition: accuracy at the two locations of a midpoint.
OURS, PAPER = {"L": 0.7, "H": 0.8}, {"L": 0.2, "H": 0.475}
PRODUCT = 0.3
#: Hubs lie beyond the own rows, so the middle of a curve serves both better than that of the straight line.
HUB = 1.9


@dataclass
class FakeGenerator:
    """Writes the share of each location in the condition, times a factor: 1 at the midpoint's half is `2 * middle`."""

    middle: float
    seeds: list[int] = field(default_factory=list)

    def generate(self, condition: Tensor, *, other: Tensor, weight: Tensor, seed: int = 0) -> Tensor:
        *_, latents = self.path(condition + (other - condition) * weight[:, None], seed=seed)
        return self.decode(latents)

    def path(self, condition: Tensor, *, seed: int = 0) -> Iterator[Tensor]:
        self.seeds.append(seed)
        yield torch.zeros(len(condition), 2, 3)
        yield condition.view(-1, 2, 3)

    def decode(self, latents: Tensor) -> Tensor:
        return (latents.flatten(1) * 2 * self.middle).clamp(0, 1)


def laboratory(samples: int = 8, *, lost: tuple[str, ...] = ()) -> RuledLab:
    """Six locations, of which some have lost their rows; the products of any two adapters are right equally often."""
    generators = {
        (way, r): FakeGenerator(v) for way, found in (("ours", OURS), ("paper", PAPER)) for r, v in found.items()
    }

    def embedding(name: str) -> Tensor:
        return torch.eye(6)[SEEN.index(name)]

    def rows(regime: str, name: str) -> Tensor:
        return OWN * embedding(name).expand(0 if name in lost else 3, -1)

    def products(adapters: Sequence[Adapter], location: str) -> Tensor:
        assert all(set(adapter) == {"c.weight"} for adapter in adapters)
        return (torch.arange(IMAGES) < PRODUCT * IMAGES).expand(len(adapters), -1)

    def rule(rows: Tensor, location: str) -> Tensor:
        bundle.asked.append(len(rows))
        return torch.arange(IMAGES) < (rows[:, SEEN.index(location), None] * IMAGES).round()

    layout = AdapterLayout(("c.lora_A", "c.lora_B"), ((1, 3, 1, 1), (3, 1, 1, 1)))
    bundle = fake_bundle(
        SEEN,
        ("L", "H"),
        rows,
        joint=torch.full((6,), JOINT),
        backbone=SimpleNamespace(layout=layout, lora=LoRA("c", rank=1, alpha=1)),
        generator=lambda regime, way="ours": generators[way, regime],
        embedding=embedding,
        curves=lambda regime: (OWN * torch.eye(6), HUB * torch.eye(6)),
        asked=[],
    )
    return RuledLab(bundle, SMOKE, samples=samples, rule=rule, product_rule=products)


def whole(experiment: object, lab: RuledLab) -> dict:
    steps = []
    for step, found in experiment.measure(lab):
        steps.append(step)
        data = json.loads(json.dumps(found))
    assert [step.index for step in steps] == list(range(1, steps[-1].total + 1))
    return data


def part(data: dict, regime: str, group: str) -> dict:
    return next(one for one in data["summary"] if (one["regime"], one["group"]) == (regime, group))


def test_both_experiments_are_listed() -> None:
    assert [experiment.name for experiment in EXPERIMENTS] == ["figure2", "figure7"]


@pytest.mark.parametrize("experiment", EXPERIMENTS)
@pytest.mark.parametrize("lab", [laboratory(samples=2), laboratory(samples=100), laboratory(lost=("A", "D"))])
def test_every_state_on_the_way_can_be_told(experiment: object, lab: RuledLab) -> None:
    data: dict = {}
    for _, found in experiment.measure(lab):
        data = json.loads(json.dumps(found))
    tables = experiment.tables(data)
    assert tables and all(len(row) == len(table.head) for table in tables for row in table.rows)
    assert all(isinstance(cell, str) for table in tables for row in table.rows for cell in row)
    assert all(sentence.endswith(".") for sentence in experiment.findings(data))
    assert experiment.figures(data) and json.dumps(experiment.figures(data))


def test_quick_looks_at_the_held_out_pairs_alone_and_full_at_all() -> None:
    quick, full = whole(FIGURE7, laboratory(samples=8)), whole(FIGURE7, laboratory(samples=100))
    held_out = {tuple(pair) for pair in held_out_pairs(SEEN)}
    assert {tuple(cell["pair"]) for cell in quick["cells"]} == held_out
    assert {cell["weight"] for cell in quick["cells"]} == {0.5}
    assert {tuple(cell["pair"]) for cell in full["cells"]} == set(pairs(SEEN))
    assert {cell["weight"] for cell in full["cells"] if cell["way"] == "weights"} == {0.25, 0.5, 0.75}
    assert {cell["weight"] for cell in full["cells"] if cell["way"] == "softmax"} == {0.5}
    counts = {(cell["way"], cell["weight"]): cell["at"][0]["n"] for cell in full["cells"]}
    assert (counts["ours", 0.5], counts["ours", 0.25], counts["products", 0.5]) == (2, 1, 1)


def test_the_midpoints_are_those_of_the_rule() -> None:
    data = whole(FIGURE7, laboratory(samples=100))
    for regime in ("L", "H"):
        shares = part(data, regime, "held out")["weaker"]
        expected = {
            "ours": OURS[regime],
            "paper": PAPER[regime],
            "latents": PAPER[regime],  # the fake decoder is linear, so blended latents are those of the blend
            "weights": OWN / 2,
            "products": PRODUCT,
            "own": OWN,
            "joint": JOINT,
            "pretrained": 0.0,
            "curve": (OWN + HUB) / 4,
        }
        assert {way: shares[way]["mean"] for way in expected} == pytest.approx(expected)
        assert 0 < shares["softmax"]["mean"] <= OWN / 2
        assert {share["n"] for share in shares.values()} == {9}
        assert {share["images"] for share in shares.values()} == {IMAGES}


def test_ours_is_held_against_the_best_baseline_of_each_regime() -> None:
    data = whole(FIGURE7, laboratory(samples=100))
    low, high = part(data, "L", "held out"), part(data, "H", "training")
    assert (low["best"], high["best"]) == ("weights", "paper")
    assert low["ours_minus"]["weights"]["mean"] == pytest.approx(OURS["L"] - OWN / 2)
    assert high["ours_minus"]["paper"]["mean"] == pytest.approx(OURS["H"] - PAPER["H"])
    assert low["ours_minus"]["ours in H"]["mean"] == pytest.approx(OURS["L"] - OURS["H"])
    assert low["ours_minus"]["joint"]["mean"] == pytest.approx(OURS["L"] - JOINT)
    assert "ours in H" not in high["ours_minus"]


def test_the_weaker_location_counts_and_not_the_mean() -> None:
    at = [{"mean": 0.9, "images": IMAGES}, {"mean": 0.4, "images": IMAGES}]
    cell = {"regime": "L", "way": "ours", "pair": ["A", "B"], "held_out": True, "weight": 0.5, "at": at}
    flank = cell | {"weight": 0.25, "at": at[1:] * 2}
    data = {"cells": [cell, flank]}
    assert weaker(data, "L", "ours", held_out=True) == {("A", "B"): 0.4}
    assert weaker(data, "L", "ours", held_out=False) == {}
    assert weaker(data, "H", "ours", held_out=True) == {}


def test_a_lost_location_takes_only_its_pairs_along() -> None:
    data = whole(FIGURE7, laboratory(samples=100, lost=("C",)))
    assert {tuple(cell["pair"]) for cell in data["cells"]} == {pair for pair in pairs(SEEN) if "C" not in pair}


def test_two_locations_at_least_are_needed() -> None:
    with pytest.raises(UserError, match="two seen locations"):
        next(FIGURE7.measure(laboratory(lost=SEEN[1:])))


def test_what_concerns_a_location_is_measured_in_one_call() -> None:
    lab = laboratory(samples=8)
    whole(FIGURE7, lab)
    ways = len([way for way in blending.WAYS if way != "products"])
    assert len(lab.bundle.asked) == len(SEEN) * (1 + 2 * (1 + ways))  # constants, then by regime own rows and each way


def test_copies_of_a_blend_start_from_different_noise() -> None:
    lab = laboratory(samples=100)
    whole(FIGURE7, lab)
    blends = len(pairs(SEEN)) * (2 + 1 + 1)
    assert lab.bundle.generator("L").seeds == list(range(0, blends, 32))


def test_the_curves_are_those_of_the_first_location_with_two_others() -> None:
    lab = laboratory(samples=100)
    assert chosen_pairs(lab) == [("A", "B"), ("A", "D")]  # neighbour and opposite, both held out
    data = whole(FIGURE2, lab)
    curve = {cell["weight"]: cell for cell in data["cells"] if (cell["regime"], cell["way"]) == ("H", "weights")}
    first = {weight: cell["at"][0]["mean"] for weight, cell in curve.items()}
    assert first == pytest.approx({0: 0.9, 0.25: 0.675, 0.5: 0.45, 0.75: 0.225, 1: 0}, abs=1e-4)
    generated = [cell for cell in data["cells"] if cell["way"] == "ours"]
    assert {cell["at"][0]["n"] for cell in generated} == {8}


def test_quick_curves_are_of_one_pair() -> None:
    data = whole(FIGURE2, laboratory(samples=8))
    assert {tuple(cell["pair"]) for cell in data["cells"]} == {("A", "B")}


def test_gains_over_the_ensemble_are_told_with_their_sign() -> None:
    data = whole(FIGURE2, laboratory(samples=8))
    gains = {gain["regime"]: gain["over_weights"] for gain in data["gains"]}
    assert gains["L"]["ours"]["mean"] == pytest.approx(OURS["L"] - OWN / 2)
    assert gains["L"]["paper"]["mean"] == pytest.approx(PAPER["L"] - OWN / 2)
    said = " ".join(FIGURE2.findings(data))
    assert "ours lies above the weighted ensemble by +25.0" in said
    assert "paper lies below the weighted ensemble by \u221225.0" in said
    assert "paper shows no difference from the weighted ensemble" in said  # H: 19 against 18 of 40 at both


def test_a_curve_that_sags_bends_below_zero() -> None:
    def both(first: float, second: float) -> tuple[Tensor, Tensor]:
        table = tuple((torch.arange(100) < 100 * share).expand(3, -1) for share in (first, second))
        return table[0], table[1]

    sagging = bend_of(both(0.9, 0.5), both(0.4, 0.4), both(0.5, 0.9))
    assert sagging["mean"] == pytest.approx(0.4 - 0.7) and sagging["real"]
    straight = bend_of(both(0.9, 0.5), both(0.7, 0.7), both(0.5, 0.9))
    assert straight["mean"] == pytest.approx(0) and not straight["real"]
