from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from wildpdiff.errors import UserError
from wildpdiff.experiments.baselines import (
    codec_prior,
    ensemble,
    gaussian_in_pca,
    means_of_few,
    nearest_location,
    noisy,
    product_average,
    softmax_merge,
    weighted,
)
from wildpdiff.network.adapter import AdapterLayout
from wildpdiff.network.lora import LoRA

#: One convolution from 2 to 3 channels, rank 1: a row is A1 A2 B1 B2 B3.
LAYOUT = AdapterLayout(("c.lora_A", "c.lora_B"), ((1, 2, 1, 1), (3, 1, 1, 1)))
BACKBONE: Any = SimpleNamespace(layout=LAYOUT, lora=LoRA("c", rank=1, alpha=1))
FIRST = torch.tensor([1.0, 2.0, 1.0, 0.0, 1.0])
SECOND = torch.tensor([0.0, 1.0, 2.0, 4.0, 0.0])


def test_an_ensemble_is_the_mean_row() -> None:
    assert ensemble(torch.stack([FIRST, SECOND])).tolist() == [0.5, 1.5, 1.5, 2.0, 0.5]


def test_weights_need_not_add_up_to_one() -> None:
    found = weighted(torch.stack([FIRST, SECOND]), torch.tensor([3.0, 1.0]))
    assert found.tolist() == [0.75, 1.75, 1.25, 1.0, 0.75]


@pytest.mark.parametrize("weights", [[1.0], [1.0, -0.5], [0.0, 0.0], [1.0, float("nan")]])
def test_weights_that_mean_nothing_are_refused(weights: list[float]) -> None:
    with pytest.raises(UserError, match="2 weights"):
        weighted(torch.stack([FIRST, SECOND]), torch.tensor(weights))


def test_the_average_of_products_is_the_one_by_hand() -> None:
    found = product_average(BACKBONE, torch.stack([FIRST, SECOND]), torch.tensor([0.5, 0.5]))
    assert list(found) == ["c.weight"]
    assert found["c.weight"].shape == (3, 2, 1, 1)
    assert found["c.weight"].flatten(1).tolist() == [[0.5, 2.0], [0.0, 2.0], [0.5, 1.0]]  # (B1 A1 + B2 A2) / 2


def test_two_writings_of_one_adapter_average_to_it_as_products_and_to_nothing_as_rows() -> None:
    both = torch.stack([FIRST, -FIRST])  # (-B)(-A) = BA
    product = product_average(BACKBONE, both, torch.ones(2))["c.weight"].flatten(1)
    assert product.tolist() == [[1.0, 2.0], [0.0, 0.0], [1.0, 2.0]]
    assert not ensemble(both).any()


def test_the_nearest_location_has_the_greatest_cosine_whatever_its_length() -> None:
    known = torch.tensor([[0.0, 1.0], [100.0, 90.0], [0.2, 0.01]])
    assert nearest_location(torch.tensor([1.0, 0.0]), known) == 2


def test_a_cold_merge_is_the_most_alike_location_after_centring() -> None:
    known = torch.tensor([[10.0, 1.0], [10.0, -1.0], [10.0, 0.0]])
    means = torch.eye(3)
    found = softmax_merge(torch.tensor([10.0, -0.2]), known, means, temperature=1e-4)
    assert found.tolist() == pytest.approx([0.0, 1.0, 0.0])


def test_a_merge_weighs_by_the_softmax_of_cosines_and_leaves_the_others_out() -> None:
    known = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])  # their mean is zero
    found = softmax_merge(torch.tensor([2.0, 0.0]), known, torch.eye(4), top=2, temperature=1.0)
    share = 1 / (1 + 2.718281828**-1)  # cosines 1 and 0
    assert found[0] == pytest.approx(share) and found.sum() == pytest.approx(1)
    assert found[2] == 0
    whole = softmax_merge(torch.tensor([2.0, 0.0]), known, torch.eye(4), top=9, temperature=1.0)
    assert (whole > 0).all()


def test_noise_moves_each_row_by_exactly_its_distance() -> None:
    rows, distance = torch.randn(3, 400, generator=torch.Generator().manual_seed(0)), torch.tensor([0.0, 0.5, 7.0])
    moved = noisy(rows, distance, 1)
    assert (moved - rows).norm(dim=1).tolist() == pytest.approx(distance.tolist(), rel=1e-4)
    assert torch.equal(moved, noisy(rows, distance, 1))
    assert not torch.equal(moved, noisy(rows, distance, 2))


def test_scaled_noise_falls_where_the_scale_is_and_keeps_its_distance() -> None:
    scale = torch.cat([torch.zeros(200), torch.full((100,), 1.0), torch.full((100,), 3.0)])
    moved = noisy(torch.zeros(50, 400), torch.full((50,), 2.0), 0, scale=scale)
    assert not moved[:, :200].any()
    assert moved.norm(dim=1).tolist() == pytest.approx([2.0] * 50, rel=1e-4)
    assert float(moved[:, 300:].std() / moved[:, 200:300].std()) == pytest.approx(3, rel=0.1)


def test_rows_drawn_in_principal_directions_have_their_mean_spread_and_subspace() -> None:
    rng = torch.Generator().manual_seed(0)
    directions = torch.linalg.qr(torch.randn(30, 2, generator=rng))[0].T
    rows = 5 + torch.randn(400, 2, generator=rng) * torch.tensor([4.0, 1.0]) @ directions
    drawn = gaussian_in_pca(rows, 2000, seed=3, k=2)
    assert drawn.shape == (2000, 30)
    inside = (drawn - rows.mean(dim=0)) @ directions.T
    assert torch.allclose(inside @ directions, drawn - rows.mean(dim=0), atol=1e-2)
    assert inside.std(dim=0).tolist() == pytest.approx([4.0, 1.0], rel=0.12)
    assert inside.mean(dim=0).abs().max() < 0.3
    assert torch.equal(drawn[:5], gaussian_in_pca(rows, 2000, seed=3, k=2)[:5])


def test_means_are_those_of_two_to_four_of_the_rows() -> None:
    """Rows of powers of five: the digits of a sum say how often each row is in it."""
    rows = 5.0 ** torch.arange(8)[:, None].double()
    sizes = []
    for mean in means_of_few(rows, 40, seed=3).flatten().tolist():
        sums = {size: round(mean * size) for size in (2, 3, 4) if abs(mean * size - round(mean * size)) < 1e-6}
        counted = {size: sum(total // 5**place % 5 for place in range(8)) for size, total in sums.items()}
        sizes.append({size for size, rows_in_it in counted.items() if rows_in_it == size})
    assert all(sizes) and set().union(*sizes) == {2, 3, 4}
    assert torch.equal(means_of_few(rows, 4, seed=3), means_of_few(rows, 4, seed=3))


def test_a_single_row_is_drawn_as_itself() -> None:
    assert torch.allclose(gaussian_in_pca(FIRST[None], 3, seed=0), FIRST.expand(3, -1), atol=1e-6)


def test_the_codecs_prior_is_decoded_normal_noise_one_seed_a_row() -> None:
    def decode(latents: Tensor) -> Tensor:
        return 2 * latents.flatten(1) + 1

    config = SimpleNamespace(latent_shape=(20, 30))
    generator = SimpleNamespace(config=config, device=torch.device("cpu"), decode=decode)
    rows = codec_prior(generator, 4, 10)
    assert rows.shape == (4, 600)
    assert torch.equal(rows[2:3], codec_prior(generator, 1, 12))
    assert (float(rows.mean()), float(rows.std())) == (pytest.approx(1, abs=0.15), pytest.approx(2, abs=0.15))
