"""Likeness of adapters by factors and by products, and factors turned to a reference."""

import pytest
import torch
from torch import Tensor

from wildpdiff.errors import UserError
from wildpdiff.network.adapter import AdapterLayout
from wildpdiff.network.backbone import ADAPTED
from wildpdiff.network.lora import adapted
from wildpdiff.similarity import align, compare, diversity, novelty

LAYOUT = AdapterLayout(
    ("one.lora_A", "one.lora_B", "two.lora_A", "two.lora_B"), ((4, 3, 3, 3), (8, 4, 1, 1), (4, 8, 1, 1), (16, 4, 1, 1))
)


def drawn(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, LAYOUT.dim, generator=torch.Generator().manual_seed(seed))


def turned(row: Tensor, seed: int = 5) -> Tensor:
    """The same adapter with the factors of each convolution turned by a random orthogonal matrix."""
    named, rng = dict(LAYOUT.unpack(row)), torch.Generator().manual_seed(seed)
    for name in ("one", "two"):
        turn = torch.linalg.qr(torch.randn(4, 4, generator=rng))[0]
        a, b = named[f"{name}.lora_A"], named[f"{name}.lora_B"]
        named[f"{name}.lora_A"] = torch.einsum("rs,rikl->sikl", turn, a)
        named[f"{name}.lora_B"] = torch.einsum("orkl,rs->oskl", b, turn)
    return LAYOUT.pack(named)


def flat_products(row: Tensor) -> list[Tensor]:
    return [delta.flatten() for delta in ADAPTED.products(LAYOUT, row).values()]


def test_every_adapted_convolution_is_named_once_in_order() -> None:
    assert adapted(LAYOUT) == ("one", "two")


def test_cosines_of_products_are_those_of_the_products_written_out() -> None:
    a, b = drawn(3), drawn(2, 1)
    alike = compare(LAYOUT, a, b)
    for i, j in ((0, 0), (2, 1), (1, 0)):
        first, second = flat_products(a[i]), flat_products(b[j])
        for layer in range(2):
            wanted = torch.cosine_similarity(first[layer], second[layer], dim=0)
            assert torch.allclose(alike.products[layer, i, j], wanted, atol=1e-5)
        whole = torch.cosine_similarity(torch.cat(first), torch.cat(second), dim=0)
        assert torch.allclose(alike.whole_products[i, j], whole, atol=1e-5)


def test_cosines_of_factors_are_those_of_the_numbers_in_the_row() -> None:
    a, b = drawn(2), drawn(1, 1)
    factors = compare(LAYOUT, a, b).factors[:, 0, 0]
    cut = 4 * 27 + 8 * 4
    for layer, part in enumerate((slice(0, cut), slice(cut, None))):
        assert torch.allclose(factors[layer], torch.cosine_similarity(a[0, part], b[0, part], dim=0), atol=1e-5)
    whole = torch.nn.functional.cosine_similarity(a, b)
    assert torch.allclose(compare(LAYOUT, a, b).whole_factors[:, 0], whole, atol=1e-5)


def test_turned_factors_are_another_row_but_the_same_products() -> None:
    row = drawn(1)
    alike = compare(LAYOUT, row, turned(row[0])[None])
    assert float(alike.whole_products) == pytest.approx(1, abs=1e-5)
    assert float(alike.whole_factors) < 0.9


def test_aligning_keeps_what_the_adapter_does() -> None:
    row, reference = drawn(2)
    aligned = align(LAYOUT, row, reference)
    for before, after in zip(flat_products(row), flat_products(aligned), strict=True):
        assert torch.allclose(before, after, atol=1e-4)


def test_aligning_finds_the_turn_back_to_the_reference() -> None:
    row = drawn(1)[0]
    assert torch.allclose(align(LAYOUT, turned(row), row), row, atol=1e-4)


def test_no_random_turn_brings_the_factors_nearer_than_aligning() -> None:
    row, reference = drawn(2)
    best = float((align(LAYOUT, row, reference) - reference).norm())
    assert best < float((row - reference).norm())
    assert all(float((turned(row, seed) - reference).norm()) >= best - 1e-4 for seed in range(50))


def test_many_rows_are_aligned_as_one_by_one() -> None:
    rows, reference = drawn(3), drawn(1, 7)[0]
    together = align(LAYOUT, rows, reference)
    assert torch.allclose(together[1], align(LAYOUT, rows[1], reference), atol=1e-5)


def test_an_adapter_that_changes_nothing_is_like_none() -> None:
    row = drawn(1)
    named = {name: (0 * part if name.endswith("B") else part) for name, part in LAYOUT.unpack(row).items()}
    assert float(compare(LAYOUT, LAYOUT.pack(named), row).whole_products) == 0


def test_rows_of_another_layout_are_refused() -> None:
    with pytest.raises(UserError, match="numbers"):
        compare(LAYOUT, torch.zeros(1, 5), drawn(1))


CORNERS = torch.tensor([[3.0, 0.0, 1.0], [0.0, 4.0, 1.0], [0.0, 0.0, 1.0]])


def test_a_copy_of_a_training_row_is_not_new() -> None:
    found = novelty(CORNERS[:2], CORNERS)
    assert found["cosine"] == pytest.approx([1, 1])
    assert found["deviation"] == pytest.approx([1, 1])
    assert found["distance"] == [0, 0]


def test_a_training_row_is_compared_with_the_others_only() -> None:
    found = novelty(CORNERS, CORNERS, is_known=True)
    unit = (5 + 3 + 4) / 3
    assert found["distance"] == pytest.approx([3 / unit, 4 / unit, 3 / unit])
    assert max(found["cosine"]) < 0.99
    assert found["spread"] == found["apart"] == 1


def test_rows_that_are_all_the_mean_have_no_spread_and_are_copies_of_each_other() -> None:
    found = novelty(CORNERS.mean(dim=0).expand(4, -1), CORNERS)
    assert found["spread"] == pytest.approx(0, abs=1e-6)
    assert found["among"] == pytest.approx([1] * 4)


def test_rows_twice_as_far_from_their_mean_have_twice_the_spread() -> None:
    mean = CORNERS.mean(dim=0)
    assert novelty(mean + 2 * (CORNERS - mean), CORNERS)["spread"] == pytest.approx(2)


def test_diversity_leaves_out_a_row_with_itself() -> None:
    rows = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    found = diversity(rows, torch.tensor([2.0, 0.0]))
    assert found["from_first"] == pytest.approx([1, 0.6, 0])
    assert found["largest"] == pytest.approx([0.6, 0.8, 0.8])
    assert found["smallest"] == pytest.approx([0, 0.6, 0])
