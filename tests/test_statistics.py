import pytest
import torch
from torch import Tensor

from wildpdiff.measure.statistics import difference, estimate, mean_of, over_seeds, over_units, points


def drawn(adapters: int, images: int, rng: torch.Generator, *, skill: float, ease: float, level: float = 1.5) -> Tensor:
    """Right and wrong `[N, M]` where adapters differ in skill and images in ease (on the logit scale)."""
    logit = level + skill * torch.randn(adapters, 1, generator=rng) + ease * torch.randn(1, images, generator=rng)
    return torch.rand(adapters, images, generator=rng) < logit.sigmoid()


def truth(*, skill: float, ease: float, level: float = 1.5) -> float:
    spread = (skill**2 + ease**2) ** 0.5
    normal = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    density = (-normal.square() / 2).exp()
    return float(((level + spread * normal).sigmoid() * density).sum() / density.sum())


@pytest.mark.parametrize(
    ("adapters", "images", "skill", "ease"),
    [(40, 200, 0.3, 1.5), (12, 200, 0.3, 1.5), (12, 200, 0.0, 1.5), (1, 200, 0.0, 1.5), (12, 200, 0.0, 0.0)],
)
def test_the_interval_covers_the_truth_about_19_times_in_20(
    adapters: int, images: int, skill: float, ease: float
) -> None:
    rng, expected, rounds = torch.Generator().manual_seed(1), truth(skill=skill, ease=ease), 600
    covered = 0
    for _ in range(rounds):
        found = estimate(drawn(adapters, images, rng, skill=skill, ease=ease))
        covered += found["low"] <= expected <= found["high"]
    assert 0.92 <= covered / rounds <= 0.985


def test_the_interval_shrinks_no_further_than_the_images_allow() -> None:
    right = torch.zeros(1000, 50, dtype=torch.bool)
    right[:, :25] = True
    assert estimate(right)["se"] == pytest.approx(0.5 / 49**0.5)


def test_the_spread_of_adapters_is_told_apart_from_the_error_of_the_mean() -> None:
    right = torch.tensor([[True, True, True, True], [True, True, False, False]])
    found = estimate(right)
    assert (found["mean"], found["n"], found["images"]) == (0.75, 2, 4)
    assert found["std"] == pytest.approx((2 * 0.25**2) ** 0.5)


@pytest.mark.parametrize("value", [True, False])
def test_a_share_of_all_or_nothing_has_the_interval_of_its_images(value: bool) -> None:
    found = estimate(torch.full((5, 100), value))
    assert found["mean"] == float(value)
    inner = found["low"] if value else 1 - found["high"]
    assert inner == pytest.approx(100 / (100 + 1.96**2), abs=1e-4)  # Wilson's bound where every image is right


def test_the_difference_of_equal_tables_is_not_real() -> None:
    right = drawn(8, 200, torch.Generator().manual_seed(0), skill=0.3, ease=1.5)
    found = difference(right, right)
    assert found["mean"] == 0 and not found["real"] and found["low"] <= 0 <= found["high"]
    assert not difference(right[:1], right[:1])["real"]


def test_differences_of_nothing_are_called_real_about_once_in_20() -> None:
    rng, rounds, real = torch.Generator().manual_seed(2), 500, 0
    for _ in range(rounds):
        right = drawn(24, 200, rng, skill=0.3, ease=1.5)
        real += difference(right[:12], right[12:])["real"]
    assert real / rounds <= 0.08


def test_a_large_difference_is_real_and_has_its_sign() -> None:
    rng = torch.Generator().manual_seed(3)
    good, bad = (drawn(8, 200, rng, skill=0.1, ease=1.0, level=level) for level in (2.5, 0.5))
    assert difference(good, bad)["real"] and difference(good, bad)["mean"] > 0
    assert difference(bad, good)["mean"] == pytest.approx(-difference(good, bad)["mean"])


def test_pairing_by_image_sharpens_a_difference() -> None:
    rng = torch.Generator().manual_seed(4)
    ease = torch.rand(1, 300, generator=rng) < 0.5
    first = ease.expand(4, -1).clone()
    second = first.clone()
    second[:, :30] = False
    apart = (estimate(first)["se"] ** 2 + estimate(second)["se"] ** 2) ** 0.5
    assert difference(first, second)["se"] < apart / 2


def test_the_mean_of_parts_follows_the_formula() -> None:
    found = mean_of([{"mean": 0.2, "se": 0.03}, {"mean": 0.6, "se": 0.04}])
    assert found["mean"] == pytest.approx(0.4)
    assert found["se"] == pytest.approx(0.025)  # sqrt(0.03^2 + 0.04^2) / 2
    assert found["high"] - found["low"] == pytest.approx(2 * 1.96 * 0.025)
    assert found["n"] == 2 and found["real"]
    with pytest.raises(ValueError, match="at least one"):
        mean_of([])


def test_units_have_a_bootstrap_interval_like_that_of_the_mean() -> None:
    values = torch.randn(60, generator=torch.Generator().manual_seed(5)).tolist()
    found = over_units(values)
    error = float(torch.tensor(values).std()) / 60**0.5
    assert found["mean"] == pytest.approx(sum(values) / 60)
    assert found["se"] == pytest.approx(error, rel=0.1)
    assert found["high"] - found["low"] == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_units_on_both_sides_of_zero_are_not_real_and_on_one_side_they_are() -> None:
    assert not over_units([-1.0, 1.0] * 8)["real"]
    assert over_units([0.1, 0.2, 0.3] * 5)["real"]
    assert over_units([-0.1, -0.2, -0.3] * 5)["real"]


def test_one_unit_shows_nothing_and_none_is_refused() -> None:
    assert not over_units([0.5])["real"]
    with pytest.raises(ValueError, match="at least one"):
        over_units([])


def test_points_are_percent_with_a_true_minus() -> None:
    assert points({"mean": 0.955, "low": 0.948, "high": 0.961}) == "95.5 (94.8 to 96.1)"
    assert points({"mean": -0.01, "low": -0.025, "high": 0.005}, signed=True) == "\u22121.0 (\u22122.5 to +0.5)"


def test_an_interval_over_few_seeds_covers_the_truth_about_19_times_in_20() -> None:
    rng = torch.Generator().manual_seed(5)
    draws = torch.randn(2000, 5, generator=rng)
    found = [over_seeds(values) for values in draws.tolist()]
    assert 0.93 <= sum(one["low"] <= 0 <= one["high"] for one in found) / len(found) <= 0.97


def test_pictures_that_all_seeds_share_widen_the_interval_however_alike_the_seeds_are() -> None:
    found = over_seeds([0.01, 0.01, 0.01], [0.02, 0.02, 0.02])
    assert found["se"] == pytest.approx(0.02) and not found["real"]
    assert over_seeds([0.01, 0.011, 0.0105])["real"]


def test_one_seed_has_no_interval_over_seeds() -> None:
    with pytest.raises(ValueError, match="two seeds"):
        over_seeds([0.1])
