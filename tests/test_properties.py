"""What holds for every layout, share and number of steps, not for chosen ones."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import binomtest

from wildpdiff.evaluate import wilson
from wildpdiff.generator.diffusion import MOST_STEPS, KarrasSchedule, NoiseSchedule
from wildpdiff.measure.statistics import over_units
from wildpdiff.network.adapter import AdapterLayout

SHAPES = st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple), min_size=1, max_size=6)
LAYOUTS = SHAPES.map(lambda shapes: AdapterLayout(tuple(f"w{place}" for place in range(len(shapes))), tuple(shapes)))
LEADING = st.lists(st.integers(1, 3), max_size=2)
COUNTS = st.integers(1, 500).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count)))
SHARES = st.lists(st.floats(0, 1), min_size=2, max_size=12)


@pytest.mark.slow
@given(LAYOUTS, LEADING)
def test_packing_undoes_unpacking(layout: AdapterLayout, leading: list[int]) -> None:
    rows = torch.arange(math.prod(leading) * layout.dim, dtype=torch.float32).reshape(*leading, layout.dim)
    named = layout.unpack(rows)
    assert {name: part.shape for name, part in named.items()} == {
        name: (*leading, *shape) for name, shape in zip(layout.names, layout.shapes, strict=True)
    }
    assert torch.equal(layout.pack(named), rows)
    assert torch.equal(torch.cat([part.reshape(*leading, -1) for part in named.values()], dim=-1), rows)


@given(LAYOUTS, LAYOUTS)
def test_a_layout_survives_json_and_its_fingerprint_is_its_own(layout: AdapterLayout, other: AdapterLayout) -> None:
    assert AdapterLayout.from_json(layout.to_json()) == layout
    assert (layout.fingerprint == other.fingerprint) == (layout == other)


@given(COUNTS)
def test_a_wilson_interval_is_scipys_holds_the_share_and_mirrors_it(counts: tuple[int, int]) -> None:
    right, count = counts
    low, high = wilson(right, count)
    known = binomtest(right, count).proportion_ci(0.95, method="wilson")
    assert math.isclose(low, known.low, abs_tol=1e-4) and math.isclose(high, known.high, abs_tol=1e-4)
    assert 0 <= low <= right / count + 1e-12 and right / count <= high + 1e-12 and high <= 1
    assert math.isclose(low, 1 - wilson(count - right, count)[1], abs_tol=1e-9)


@given(COUNTS, st.integers(2, 5))
def test_more_photographs_of_the_same_share_make_a_wilson_interval_narrower(
    counts: tuple[int, int], times: int
) -> None:
    (low, high), (nearer, farther) = wilson(*counts), wilson(times * counts[0], times * counts[1])
    assert farther - nearer < high - low


@given(SHARES)
def test_an_interval_over_units_holds_its_mean_and_lies_among_the_units(values: list[float]) -> None:
    found = over_units(values, rounds=200)
    assert found["low"] - 1e-9 <= found["mean"] <= found["high"] + 1e-9
    assert math.isclose(found["mean"], sum(values) / len(values), abs_tol=1e-6)


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_timesteps_fall_strictly_from_the_last_one_in_strides_that_differ_by_one(steps: int, timesteps: int) -> None:
    assume(steps <= timesteps)
    times = NoiseSchedule(timesteps=timesteps).times(steps)
    assert len(times) == steps and times[0] == timesteps - 1 and times[-1] >= 0
    strides = [later - earlier for later, earlier in zip(times, [*times[1:], -1], strict=True)]
    assert min(strides) >= 1 and max(strides) - min(strides) <= 1


@given(st.integers(2, MOST_STEPS))
def test_sigmas_fall_strictly_from_the_largest_to_the_smallest(steps: int) -> None:
    schedule = KarrasSchedule()
    times = schedule.times(steps)
    assert len(times) == steps and all(a > b > 0 for a, b in pairwise(times))
    assert math.isclose(times[0], schedule.largest) and math.isclose(times[-1], schedule.smallest, rel_tol=1e-6)
    signal, noise = schedule.rates(torch.tensor(times))
    assert torch.allclose(signal.square() + noise.square(), torch.ones(steps, 1, 1), atol=1e-6)
