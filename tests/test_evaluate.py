"""How often adapters are right."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from scipy.stats import binomtest
from torch import Tensor

from wildpdiff.errors import UserError
from wildpdiff.evaluate import NONE, accuracy, correct, logits, wilson
from wildpdiff.measure.statistics import over_units
from wildpdiff.network.backbone import Backbone


@pytest.fixture(scope="module")
def pixels() -> Tensor:
    return torch.randint(0, 256, (23, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def rows(backbone: Backbone) -> Tensor:
    """Three adapters so strong that they disagree."""
    return 0.1 * torch.randn(3, backbone.layout.dim, generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def labels(backbone: Backbone, rows: Tensor, pixels: Tensor) -> Tensor:
    """What the first adapter says, but for every third image."""
    said = logits(backbone, rows[0], pixels).argmax(dim=1)
    said[::3] = (said[::3] + 1) % len(backbone.species)
    return said


def test_accuracy_is_the_counted_share(backbone: Backbone, rows: Tensor, pixels: Tensor, labels: Tensor) -> None:
    shares = accuracy(backbone, rows, pixels, labels)
    assert float(shares[0]) == pytest.approx(15 / 23)
    for row, share in zip(rows, shares, strict=True):
        right = 0
        for scores, label in zip(backbone(pixels, row).detach().tolist(), labels, strict=True):
            right += scores.index(max(scores)) == int(label)
        assert float(share) == pytest.approx(right / 23)


def test_the_batch_size_does_not_matter(backbone: Backbone, rows: Tensor, pixels: Tensor, labels: Tensor) -> None:
    whole = correct(backbone, rows, pixels, labels, batch_size=256)
    assert whole.shape == (3, 23)
    for batch_size in (1, 7, 23):
        assert torch.equal(correct(backbone, rows, pixels, labels, batch_size=batch_size), whole)


def test_without_an_adapter_it_is_the_pretrained_network(backbone: Backbone, pixels: Tensor) -> None:
    with torch.no_grad():
        said = backbone(pixels).argmax(dim=1)
    assert accuracy(backbone, [NONE], pixels, said).tolist() == [1]
    said[:4] = (said[:4] + 1) % 19
    assert float(accuracy(backbone, [NONE], pixels, said)) == pytest.approx(19 / 23)


def test_threads_with_different_rows_get_the_answers_of_each_alone(
    backbone: Backbone, rows: Tensor, pixels: Tensor, labels: Tensor
) -> None:
    alone = [logits(backbone, row, pixels) for row in rows]
    shares = accuracy(backbone, rows, pixels, labels)
    with ThreadPoolExecutor(4) as pool:
        asked = [(index, pool.submit(logits, backbone, rows[index], pixels)) for index in (0, 1, 2) * 3]
        counted = [pool.submit(accuracy, backbone, rows, pixels, labels) for _ in range(3)]
        for index, answer in asked:
            assert torch.equal(answer.result(), alone[index])
        for answer in counted:
            assert torch.equal(answer.result(), shares)


@pytest.mark.parametrize("missing", [-1, 1])
def test_rows_of_another_length_are_refused(backbone: Backbone, pixels: Tensor, missing: int) -> None:
    rows = torch.zeros(1, backbone.layout.dim + missing)
    with pytest.raises(UserError, match="65,580"):
        accuracy(backbone, rows, pixels, torch.zeros(23, dtype=torch.int64))


@pytest.mark.parametrize(("right", "count"), [(0, 10), (1, 10), (7, 10), (10, 10), (140, 200), (199, 200)])
def test_the_wilson_interval_is_scipys(right: int, count: int) -> None:
    known = binomtest(right, count).proportion_ci(confidence_level=0.95, method="wilson")
    assert wilson(right, count) == pytest.approx((known.low, known.high), abs=1e-4)


def test_no_images_tell_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def mean_interval(values: list[float]) -> tuple[float, float]:
    found = over_units(values, rounds=2000)
    return found["low"], found["high"]


def test_the_interval_of_a_mean_holds_the_mean_and_narrows_with_more_units() -> None:
    values = (0.7 + 0.1 * torch.randn(10, generator=torch.Generator().manual_seed(0))).tolist()
    low, high = mean_interval(values)
    assert low < sum(values) / 10 < high
    narrow_low, narrow_high = mean_interval(values * 9)
    assert (narrow_high - narrow_low) == pytest.approx((high - low) / 3, rel=0.2)


def test_the_interval_of_a_mean_is_that_of_the_normal_law_for_many_units() -> None:
    values = torch.randn(400, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    low, high = mean_interval(values.tolist())
    reach = 1.96 * float(values.std()) / 20
    assert (low, high) == pytest.approx((float(values.mean()) - reach, float(values.mean()) + reach), abs=0.15 * reach)


def test_the_interval_of_equal_values_is_a_point_and_repeats() -> None:
    assert mean_interval([0.5, 0.5, 0.5]) == (0.5, 0.5)
    assert mean_interval([0.1, 0.4, 0.9]) == mean_interval([0.1, 0.4, 0.9])
