"""Numbers of a p-diff system, on tables whose answers are known by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wildpdiff.pdiff.findings import accuracy_findings, section_four
from wildpdiff.pdiff.groups import Groups
from wildpdiff.pdiff.results import Measured, best, group, novelty, numbers


def table(*rows: str) -> Tensor:
    """Right (1) and wrong (0) predictions, a string a network."""
    return torch.tensor([[mark == "1" for mark in row] for row in rows])


def some(count: int, *, seed: int, share: float = 0.7, pictures: int = 400, scale: float = 1.0) -> Measured:
    rng = torch.Generator().manual_seed(seed)
    right = torch.rand(2, count, pictures, generator=rng) < share
    return Measured(scale * torch.randn(count, 30, generator=rng), right[0], right[1])


def test_the_best_is_chosen_on_the_selection_part_and_beside_it_on_the_reported_one() -> None:
    one = Measured(torch.zeros(3, 2), table("1110", "1000", "1100"), table("1000", "1111", "1100"))
    found = best(one, 200)
    assert found["by_selection"] == {"row": 0, "selection": 0.75, "test": 0.25} | {
        key: found["by_selection"][key] for key in ("low", "high")
    }
    assert found["by_selection"]["low"] < 0.25 < found["by_selection"]["high"]
    assert found["by_test"] == {"row": 1, "test": 1.0}
    assert found["optimism"] == 0.75 and found["of"] == 3


def test_choosing_on_the_reported_part_is_never_worse_and_on_chance_alone_it_gains() -> None:
    """All networks are equally good, so every point above their share is optimism."""
    found = best(some(200, seed=0), 200)
    assert found["by_test"]["test"] >= found["by_selection"]["test"]
    assert found["optimism"] > 0.03


def test_the_best_of_fewer_is_chosen_among_evenly_spaced_ones() -> None:
    right = torch.zeros(9, 4, dtype=torch.bool)
    right[1] = True  # not among the 5 evenly spaced ones
    assert best(Measured(torch.zeros(9, 2), right, right), 5)["by_test"]["test"] == 0.0


def test_spread_and_nearest_are_in_units_of_the_originals_distances() -> None:
    originals = some(50, seed=1)
    wide = Measured(3 * originals.rows, originals.selection, originals.test)
    assert group("means", wide, originals, best_of=10)["spread"] == pytest.approx(3, rel=1e-4)
    copies = group("generated", originals, originals, best_of=10)
    assert copies["nearest"] == 0 and copies["spread"] == pytest.approx(1)
    own = group("originals", originals, originals, best_of=10)
    assert own["nearest"] > 0.5


def test_likeness_of_a_copy_is_one_and_of_opposite_errors_none() -> None:
    originals = Measured(torch.eye(3), table("1100", "1010", "0110"), table("1100", "1100", "1100"))
    copy = Measured(torch.eye(3), originals.selection, originals.test)
    other = Measured(torch.eye(3), originals.selection, table("0011", "0011", "0011"))
    assert group("generated", copy, originals, best_of=3)["iou"]["mean"] == 1.0
    assert group("generated", other, originals, best_of=3)["iou"]["mean"] == 0.0


def test_likeness_at_equal_accuracy_is_a_difference_with_an_interval() -> None:
    """Noise that makes copies of the originals' errors, and generated ones that err on their own."""
    originals = some(30, seed=2)
    found = novelty({"originals": originals, "generated": some(40, seed=3), "alike": originals})
    gap = found["alike"]["iou"]
    assert gap["real"] and gap["high"] < 0
    assert "less like originals" in section_four({"novelty": found})
    assert "nothing to compare" in section_four({"novelty": {}})


def measured() -> dict[str, Measured]:
    groups = {name: some(40, seed=place) for place, name in enumerate(("originals", "held_out", "generated", "noise"))}
    for name in ("means", "gaussian", "codec"):
        groups[name] = some(20, seed=9)
    return groups | {"base": some(1, seed=7, share=0.9), "average": some(1, seed=8, share=0.4)}


def test_all_numbers_are_json_and_a_better_base_is_said_to_be_better() -> None:
    import json

    groups = measured()
    coded = {name: groups[name].rows[:, :5] for name in ("generated", "held_out", "originals")}
    data = json.loads(json.dumps(numbers(groups, coded, best_of=40), allow_nan=False))
    assert set(data["groups"]) == set(groups)
    assert data["groups"]["base"]["best"] is None and data["groups"]["base"]["spread"] is None
    assert data["differences"]["originals"]["base"]["mean"] < -0.1
    said = " ".join(accuracy_findings(data))
    assert "An original is less accurate than the base" in said and "or more: base" in said


@pytest.mark.parametrize(
    ("std", "likeness", "said"), [(0.0005, 0.9999, True), (0.002, 0.9999, False), (0.0005, 0.9, False)]
)
def test_checkpoints_that_answer_alike_are_said_to(std: float, likeness: float, said: bool) -> None:
    groups = measured()
    data = numbers(groups, {name: groups[name].rows for name in ("generated", "held_out", "originals")}, best_of=9)
    own = data["groups"]["originals"]
    own["test"]["std"], own["iou"]["mean"] = std, likeness
    assert ("Originals hardly differ" in " ".join(accuracy_findings(data))) == said


def test_directions_of_the_plane_are_the_widest_of_the_originals() -> None:
    groups = measured()
    rows = torch.randn(40, 30, generator=torch.Generator().manual_seed(5)) * torch.tensor([50.0, 10] + [0.1] * 28)
    groups["originals"] = Measured(rows, groups["originals"].selection, groups["originals"].test)
    coded = {name: groups[name].rows for name in ("generated", "held_out", "originals")}
    plane = numbers(groups, coded, best_of=10)["plane"]
    points = torch.tensor(plane["points"]["originals"])
    expected = rows - rows.mean(dim=0)
    assert plane["share"] > 0.99
    assert abs(float(torch.corrcoef(torch.stack([points[:, 0], expected[:, 0]]))[0, 1])) > 0.999


def test_noise_is_as_far_from_its_originals_as_generated_rows_are_from_theirs() -> None:
    rng = torch.Generator().manual_seed(0)
    known, made = torch.randn(20, 50, generator=rng), 3 * torch.randn(12, 50, generator=rng)
    groups = Groups(known, known, made, known)
    distance = torch.cdist(made, known).min(dim=1).values
    noise = groups.rows("noise", 12, seed=0)
    chosen = known[torch.linspace(0, 19, 12).round().long()]
    assert torch.allclose((noise - chosen).norm(dim=1), distance, rtol=1e-4)
    assert torch.allclose((groups.noisy(0.5, 12, seed=0) - chosen).norm(dim=1), 0.5 * distance, rtol=1e-4)


def test_groups_have_the_rows_that_their_names_promise() -> None:
    known = torch.randn(20, 50, generator=torch.Generator().manual_seed(0))
    groups = Groups(known, known[:3], known[:5] + 1, known[:3])
    assert torch.equal(groups.rows("base", 9, seed=0), torch.zeros(1, 50))
    assert torch.allclose(groups.rows("average", 9, seed=0)[0], known.mean(dim=0))
    assert {name: len(groups.rows(name, 9, seed=0)) for name in ("means", "gaussian", "originals", "generated")} == {
        "means": 9, "gaussian": 9, "originals": 20, "generated": 5,
    }  # fmt: skip
