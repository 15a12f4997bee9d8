"""Measures of whether samples differ as fine-tuned rows do."""

import json
import math

import pytest
import torch
from torch import Tensor

from wildpdiff.errors import UserError
from wildpdiff.fidelity import (
    Fidelity,
    energy_distance,
    fidelity,
    logistic,
    mean_distance,
    nearest_distance,
    one_nn,
    ratio,
)


def draws(count: int, seed: int, dim: int = 6) -> Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed))


def judged(samples: Tensor) -> Fidelity:
    return fidelity(samples, draws(200, 11), draws(200, 12))


def test_distances_are_those_of_a_case_worked_out_by_hand() -> None:
    first, second = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [5.0]])
    # Between: (1 + 5 + 1 + 3) / 4; within: 2 and 4.
    assert (mean_distance(first), mean_distance(second)) == (2, 4)
    assert energy_distance(first, second) == pytest.approx((2 * 2.5 - 2 - 4) / 4)
    assert nearest_distance(second, first) == pytest.approx((1 + 3) / 2)
    assert mean_distance(first[:1]) == 0


@pytest.mark.parametrize("shift", [0.0, 0.5, 1.0, 3.0])
def test_the_energy_distance_of_shifted_normals_is_that_of_the_formula(shift: float) -> None:
    """|X - Y| of normals that lie `shift` apart is a folded normal of variance 2; its mean is known."""
    folded = 2 / math.sqrt(math.pi) * math.exp(-(shift**2) / 4) + shift * math.erf(shift / 2)
    within = 2 / math.sqrt(math.pi)
    found = energy_distance(draws(3000, 3, 1) + shift, draws(3000, 4, 1))
    assert found == pytest.approx((2 * folded - 2 * within) / within, abs=0.02)


def test_the_energy_distance_of_two_draws_of_one_distribution_is_near_zero_on_average_even_of_few() -> None:
    """Unbiased: over many small draws it averages to 0, which a distance that counts a row with itself does not."""
    found = [energy_distance(draws(10, 100 + i, 2), draws(10, 5000 + i, 2)) for i in range(400)]
    assert abs(sum(found) / len(found)) < 0.03
    assert min(found) < 0 < max(found)


def test_fresh_draws_of_the_same_distribution_are_found_faithful() -> None:
    found = judged(draws(200, 15))
    assert (found.samples, found.held_out, found.training) == (200, 200, 200)
    assert found.spread == pytest.approx(1, abs=0.08) and found.spread_raw == found.spread
    assert abs(found.energy) < 0.02
    assert found.nearest == pytest.approx(1, abs=0.1)
    # Of as many samples as held-out rows about 1 - 1/e hit some row first, fewer where rows are crowded.
    assert 0.4 < found.coverage < 0.7
    assert found.one_nn == pytest.approx(0.5, abs=0.08)
    assert found.logistic == pytest.approx(0.5, abs=0.1)


def test_copies_of_training_rows_have_no_distance_to_the_nearest_one() -> None:
    found = judged(draws(200, 12))
    assert found.nearest < 1e-3
    assert found.spread == pytest.approx(1, abs=0.08)


def test_copies_of_all_held_out_rows_cover_them_and_of_half_of_them_cover_half() -> None:
    rows = draws(200, 11)
    assert judged(rows).coverage == 1
    assert judged(rows[::2].repeat(2, 1)).coverage == 0.5
    assert judged(rows).spread == 1


def test_collapsed_samples_have_no_spread_and_are_told_apart_by_their_neighbours() -> None:
    middle = draws(200, 12).mean(0)
    found = judged(middle.expand(100, -1))
    assert (found.spread, found.spread_raw) == (0, 0)
    assert found.energy > 0.2
    assert found.coverage == 1 / 200
    assert found.one_nn > 0.95


def test_shifted_and_widened_samples_are_told_apart() -> None:
    shifted, wide = judged(draws(200, 15) + 3), judged(3 * draws(200, 15))
    assert shifted.logistic > 0.95 and shifted.one_nn > 0.95
    assert shifted.energy > 0.5 and shifted.spread == pytest.approx(1, abs=0.08)
    assert wide.spread == pytest.approx(3, rel=0.05) and wide.nearest > 2


def test_noisy_copies_in_many_dimensions_are_farther_from_training_rows_than_held_out_ones() -> None:
    training = draws(200, 2, 40)
    found = fidelity(training + 2 * draws(200, 6, 40), draws(200, 1, 40), training)
    assert found.nearest > 1.2 and found.spread > 2


def test_raw_rows_set_the_raw_spread_alone() -> None:
    samples, held_out, training = draws(50, 5), draws(50, 1), draws(50, 2)
    plain = fidelity(samples, held_out, training)
    with_raw = fidelity(samples, held_out, training, raw=(samples, 2 * held_out))
    assert with_raw.spread_raw == pytest.approx(plain.spread / 2)
    assert {**with_raw.to_json(), "spread_raw": 0} == {**plain.to_json(), "spread_raw": 0}


@pytest.mark.parametrize(("samples", "held_out"), [(1, 20), (0, 20), (20, 7), (20, 0)])
def test_too_few_rows_say_nothing(samples: int, held_out: int) -> None:
    with pytest.raises(UserError, match=f"not {samples} and {held_out}"):
        fidelity(draws(samples, 1), draws(held_out, 2), draws(20, 3))


@pytest.mark.parametrize("samples", [2, 3, 4, 5, 8])
def test_as_few_samples_as_are_allowed_are_judged(samples: int) -> None:
    found = fidelity(draws(samples, 1), draws(8, 2), draws(20, 3))
    assert all(math.isfinite(value) for value in found.to_json().values())
    assert 0 <= found.logistic <= 1 and 0 <= found.one_nn <= 1


@pytest.mark.parametrize("size", [0.0, 1.0, 123.4])
def test_nothing_is_divided_by_zero_where_all_rows_are_equal(size: float) -> None:
    rows = torch.full((40, 8), size)
    found = fidelity(rows, rows, rows)
    assert all(math.isfinite(value) for value in found.to_json().values())
    assert (found.spread, found.energy, found.nearest) == (0, 0, 0)


def test_spread_over_no_spread_is_infinite_and_nothing_over_nothing_is_nothing() -> None:
    assert (ratio(0, 0), ratio(3, 0), ratio(3, 2)) == (0, math.inf, 1.5)
    assert fidelity(draws(20, 1), torch.zeros(20, 6), draws(20, 3)).spread == math.inf


@pytest.mark.parametrize("shift", [30.0, 1000.0])
def test_where_all_rows_lie_far_from_the_origin_the_measures_stay_as_they_were(shift: float) -> None:
    """Distances by way of products of matrices lose what is small beside the rows themselves."""
    samples, held_out, training = draws(50, 5), draws(50, 1), draws(50, 2)
    near = fidelity(samples, held_out, training)
    far = fidelity(samples + shift, held_out + shift, training + shift)
    assert far.energy == pytest.approx(near.energy, abs=1e-3)
    assert far.nearest == pytest.approx(near.nearest, abs=1e-3)
    assert (far.coverage, far.one_nn) == (near.coverage, near.one_nn)
    assert nearest_distance(training + shift, training + shift) == 0


def test_two_sample_tests_use_as_many_rows_of_either_and_do_not_prefer_the_larger_set() -> None:
    few, many = draws(40, 1), draws(400, 2)
    assert one_nn(many, few) == pytest.approx(0.5, abs=0.12)
    assert logistic(many, few) == pytest.approx(0.5, abs=0.12)
    assert one_nn(many, few) == one_nn(many, few)


def test_figures_are_rounded_and_go_into_a_file() -> None:
    value = judged(draws(50, 5)).to_json()
    assert json.loads(json.dumps(value)) == value
    assert value["samples"] == 50 and isinstance(value["samples"], int)
    assert all(value[key] == round(value[key], 4) for key in value)
