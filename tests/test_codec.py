"""The linear codec: rows there and back."""

import copy

import pytest
import torch
from torch import Tensor

from wildpdiff.errors import UserError
from wildpdiff.generator.codec import LinearCodec, LinearCodecConfig, widest

DIM, RANK = 900, 6


def rows_in_a_span(count: int = 40, *, rank: int = RANK, seed: int = 0) -> Tensor:
    """Rows around a mean, along a few orthonormal directions of which each is half as wide as the one before it."""
    rng = torch.Generator().manual_seed(seed)
    mean = torch.randn(DIM, generator=torch.Generator().manual_seed(99))
    directions = torch.linalg.qr(torch.randn(DIM, rank, generator=torch.Generator().manual_seed(98))).Q
    widths = 8 * 0.5 ** torch.arange(rank)
    return mean + (torch.randn(count, rank, generator=rng) * widths) @ directions.T


def fitted(rows: Tensor, components: int = RANK) -> LinearCodec:
    codec = LinearCodec(LinearCodecConfig(rows.shape[1], components))
    codec.fit(rows)
    return codec


def random_latents(count: int = 20, components: int = RANK) -> Tensor:
    return torch.randn(count, 1, components, generator=torch.Generator().manual_seed(5))


def assert_encodes_again_as_it_was(codec: LinearCodec, latents: Tensor) -> None:
    assert torch.allclose(codec.encode(codec.decode(latents)), latents, atol=2e-4)


def test_a_decoded_latent_is_encoded_as_the_same_latent_although_the_basis_is_rounded() -> None:
    codec = fitted(rows_in_a_span())
    assert codec.basis.dtype == torch.int8
    assert_encodes_again_as_it_was(codec, random_latents())


@pytest.mark.parametrize("steps", [1, 3])
def test_the_inverse_is_exact_however_coarse_the_basis_is(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Directions that are rounded to so few steps are far from orthogonal; coefficients must make up for it."""
    monkeypatch.setattr("wildpdiff.generator.codec.STEPS", steps)
    codec = fitted(rows_in_a_span())
    directions = codec.basis.float() * codec.scale
    off = directions.mT @ directions - (directions.mT @ directions).diag().diag()
    assert off.abs().max() > 5e-3
    assert_encodes_again_as_it_was(codec, random_latents())


def test_rows_inside_the_span_come_back_within_about_a_percent() -> None:
    codec, rows = fitted(rows_in_a_span()), rows_in_a_span(seed=1)
    wrong = (codec.decode(codec.encode(rows)) - rows).norm(dim=1)
    assert (wrong / (rows - codec.mean).norm(dim=1)).max() < 0.013


def test_what_lies_outside_the_span_is_lost_and_nothing_else() -> None:
    codec, rows = fitted(rows_in_a_span()), rows_in_a_span(seed=1)
    centred = rows_in_a_span() - rows_in_a_span().mean(0)
    span = torch.linalg.svd(centred, full_matrices=False).Vh[:RANK]
    away = torch.randn(rows.shape, generator=torch.Generator().manual_seed(2))
    away = away - away @ span.T @ span
    there = codec.decode(codec.encode(rows + away))
    assert ((there - rows).norm(dim=1) / away.norm(dim=1)).max() < 0.02


def test_latents_have_about_unit_scale() -> None:
    rows = rows_in_a_span()
    assert fitted(rows).encode(rows).square().mean().sqrt().item() == pytest.approx(1, abs=0.01)


def test_distances_between_latents_are_those_between_decoded_rows_over_the_unit() -> None:
    codec, latents = fitted(rows_in_a_span()), random_latents()
    coded, decoded = torch.pdist(latents[:, 0]) * codec.unit, torch.pdist(codec.decode(latents))
    assert torch.allclose(coded, decoded, rtol=0.02)


def test_an_average_of_rows_is_coded_as_the_average_of_their_latents() -> None:
    codec, rows = fitted(rows_in_a_span()), 5 * torch.randn(7, DIM, generator=torch.Generator().manual_seed(3))
    weights = torch.tensor([0.5, 0.3, 0.1, 0.4, -0.6, 0.1, 0.2])
    assert weights.sum().item() == pytest.approx(1)
    mixed = codec.encode((weights @ rows)[None])[0]
    assert torch.allclose(mixed, torch.einsum("n,nck->ck", weights, codec.encode(rows)), atol=1e-4)
    assert torch.allclose(codec.encode(rows.mean(0, keepdim=True))[0], codec.encode(rows).mean(0), atol=1e-4)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_fewer_rows_than_directions_leave_directions_empty(count: int) -> None:
    rows = rows_in_a_span(count)
    codec = fitted(rows, components=10)
    assert all(tensor.isfinite().all() for tensor in codec.state_dict().values())
    latents = codec.encode(rows)
    assert latents.shape == (count, 1, 10) and latents.isfinite().all()
    assert (latents.abs().amax((0, 1)) > 1e-3).sum() <= count - 1
    spread = (rows - rows.mean(0)).norm(dim=1).max().item()
    assert (codec.decode(latents) - rows).norm(dim=1).max() <= 0.013 * spread + 1e-4
    assert torch.allclose(codec.decode(torch.zeros(1, 1, 10))[0], rows.mean(0), atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 1.0, 1234.567])
@pytest.mark.parametrize("count", [1, 3, 40])
def test_rows_that_are_all_equal_decode_to_that_row(value: float, count: int) -> None:
    row = value * torch.randn(DIM, generator=torch.Generator().manual_seed(4))
    codec = fitted(row.expand(count, -1))
    assert all(tensor.isfinite().all() for tensor in codec.state_dict().values())
    decoded = codec.decode(codec.encode(row[None]))[0]
    assert torch.allclose(decoded, row, rtol=1e-5, atol=1e-6 * max(1.0, value))
    assert torch.allclose(codec.decode(torch.zeros(1, 1, RANK))[0], row, rtol=1e-5, atol=1e-6 * max(1.0, value))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_rows_that_are_not_finite_are_refused(bad: float) -> None:
    rows = rows_in_a_span(3)
    rows[1, 7] = bad
    with pytest.raises(UserError, match="not finite"):
        fitted(rows)


@pytest.mark.parametrize("rows", [torch.zeros(0, DIM), torch.zeros(DIM)[None, None]])
def test_a_codec_of_no_rows_is_refused(rows: Tensor) -> None:
    with pytest.raises(UserError, match="at least one"):
        LinearCodec(LinearCodecConfig(DIM, RANK)).fit(rows)


def test_a_stored_codec_is_the_same_bit_by_bit_even_in_one_that_knew_other_rows() -> None:
    codec, rows = fitted(rows_in_a_span()), rows_in_a_span(seed=1)
    latents = codec.encode(rows)
    fresh, used = LinearCodec(codec.config), fitted(torch.randn(30, DIM, generator=torch.Generator().manual_seed(6)))
    used.encode(rows)
    for other in (fresh, used):
        other.load_state_dict(copy.deepcopy(codec.state_dict()))
        assert torch.equal(other.encode(rows), latents)
        assert torch.equal(other.decode(latents), codec.decode(latents))


def test_a_codec_that_is_fitted_again_forgets_the_rows_before() -> None:
    codec = fitted(10 + 3 * torch.randn(30, DIM, generator=torch.Generator().manual_seed(6)))
    codec.encode(rows_in_a_span())
    codec.fit(rows_in_a_span())
    for name, value in fitted(rows_in_a_span()).state_dict().items():
        assert torch.equal(codec.state_dict()[name], value), name
    assert_encodes_again_as_it_was(codec, random_latents())


@pytest.mark.parametrize(("count", "k"), [(5, 9), (30, 4), (120, 6)])
def test_the_widest_directions_are_those_of_the_singular_value_decomposition(count: int, k: int) -> None:
    rows = torch.randn(count, 80, generator=torch.Generator().manual_seed(7))
    centred = rows - rows.mean(0)
    directions, values = widest(centred, k)
    kept = min(k, count - 1)
    truth = torch.linalg.svd(centred.double(), full_matrices=False)
    basis = truth.Vh[:kept].T.float()
    assert directions.shape == (80, kept)
    assert torch.allclose(values, truth.S[:kept].float(), rtol=1e-4)
    assert torch.allclose(directions.T @ directions, torch.eye(kept), atol=1e-4)
    assert torch.allclose((directions * basis).sum(0).abs(), torch.ones(kept), atol=1e-3)


def test_rows_of_a_low_rank_have_no_more_directions_than_that() -> None:
    rows = rows_in_a_span(rank=3)
    directions, values = widest(rows - rows.mean(0), 8)
    assert directions.shape == (DIM, 3) and values.shape == (3,)
