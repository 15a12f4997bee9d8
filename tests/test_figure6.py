"""Figure 6: likeness across locations, and what aligning does to midpoints."""

import json
from typing import Any

import pytest
import torch
from laboratory import fake_bundle
from torch import Tensor

from wildpdiff.build.jobs import held_out_pairs
from wildpdiff.build.recipes import SMOKE
from wildpdiff.experiments.lab import Lab
from wildpdiff.network.adapter import AdapterLayout
from wildpdiff.network.backbone import Backbone
from wildpdiff.paper import figure6
from wildpdiff.paper.figure6 import chosen_pairs, gain, largest_of, similarities

LAYOUT = AdapterLayout(("one.lora_A", "one.lora_B"), ((4, 5, 1, 1), (6, 4, 1, 1)))
NAMES = ("R10", "R12", "U11")


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def turned(rows: Tensor, seed: int) -> Tensor:
    """The same adapters with their factors turned."""
    turn = torch.linalg.qr(drawn(4, 4, seed=seed))[0]
    named = LAYOUT.unpack(rows)
    a = torch.einsum("rs,nrikl->nsikl", turn, named["one.lora_A"])
    b = torch.einsum("norkl,rs->noskl", named["one.lora_B"], turn)
    return LAYOUT.pack({"one.lora_A": a, "one.lora_B": b})


def test_the_largest_cosine_of_two_locations_leaves_out_a_row_with_itself() -> None:
    cosines = torch.tensor([[1.0, 0.3, 0.2], [0.3, 1.0, 0.7], [0.2, 0.7, 1.0]])
    table = largest_of(cosines, torch.tensor([0, 0, 1]))
    assert torch.allclose(table, torch.tensor([[0.3, 0.7], [0.7, 1.0]]))


def test_locations_that_differ_only_by_a_turn_are_alike_in_products_and_after_aligning() -> None:
    rows = drawn(1, LAYOUT.dim) + 0.01 * drawn(3, LAYOUT.dim, seed=1)
    found = similarities(LAYOUT, [rows, turned(rows, 3), turned(rows, 4)])
    assert found["across"]["factors"]["mean"] < 0.8
    assert found["across"]["products"]["mean"] > 0.99
    assert found["across"]["aligned"]["mean"] > 0.99
    assert found["within"]["factors"]["mean"] > 0.99


def test_unlike_locations_stay_unlike_in_products() -> None:
    found = similarities(LAYOUT, [drawn(2, LAYOUT.dim, seed=seed) for seed in range(4)])
    assert abs(found["across"]["products"]["mean"]) < 0.7
    assert len(found["layers"]["products"]) == 1


def test_a_single_row_a_location_has_no_likeness_within() -> None:
    assert similarities(LAYOUT, [drawn(1, LAYOUT.dim), drawn(1, LAYOUT.dim, seed=1)])["within"]["factors"] is None


def test_a_quick_run_takes_some_of_the_held_out_pairs_and_a_full_one_all() -> None:
    ten = tuple(f"P{index}" for index in range(10))
    assert chosen_pairs(ten, quick=False) == held_out_pairs(ten)
    quick = chosen_pairs(ten, quick=True)
    assert 0 < len(quick) < 15
    assert set(quick) < set(held_out_pairs(ten))


def test_the_gain_is_the_mean_difference_over_pairs() -> None:
    midpoints = [
        {"plain": {"weaker": plain}, "aligned": {"weaker": aligned}}
        for plain, aligned in ((0.5, 0.6), (0.7, 0.7), (0.6, 0.8))
    ]
    assert gain(midpoints, "aligned")["mean"] == pytest.approx(0.1)


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    """The findings on three locations, whose classifier is real but untrained."""
    backbone = Backbone.build(("a", "b"), seed=0).eval()
    start = backbone.subset.initial(backbone.network, torch.Generator().manual_seed(0))

    def rows(regime: str, location: str) -> Tensor:
        return (start if regime == "H" else 0) + 0.01 * drawn(2, len(start), seed=NAMES.index(location))

    *_, (step, data) = figure6.measure(Lab(fake_bundle(NAMES, ("L", "H"), rows, backbone=backbone), SMOKE, samples=2))
    assert step.index == step.total
    return json.loads(json.dumps(data))


def test_regimes_that_share_a_start_are_more_alike(data: dict[str, Any]) -> None:
    across = {regime: found["across"]["factors"]["mean"] for regime, found in data["regimes"].items()}
    assert across["H"] > across["L"] + 0.5
    assert len(data["regimes"]["H"]["convolutions"]) == len(data["regimes"]["H"]["layers"]["factors"]) == 44


def test_every_pair_has_a_weaker_location_for_each_kind_of_average(data: dict[str, Any]) -> None:
    for pair in data["regimes"]["H"]["midpoints"]:
        for way in ("plain", "aligned", "products"):
            assert pair[way]["weaker"] == min(share["mean"] for share in pair[way]["locations"].values())


def test_the_findings_can_be_read_and_drawn(data: dict[str, Any]) -> None:
    for table in figure6.tables(data):
        assert all(len(row) == len(table.head) for row in table.rows)
    assert len(figure6.figures(data)) == 3
    assert any("worth keeping" in line or "not aligned" in line for line in figure6.findings(data))
