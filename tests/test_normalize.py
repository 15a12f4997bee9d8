"""Raw rows and unit-scale rows."""

import pytest
import torch

from wildpdiff.errors import UserError
from wildpdiff.generator.normalize import Standardizer
from wildpdiff.network.adapter import AdapterLayout

LAYOUT = AdapterLayout(("large", "small", "still"), ((3, 40), (50,), (5,)))


def raw_rows() -> torch.Tensor:
    rng = torch.Generator().manual_seed(2)
    deviation = torch.randn(30, LAYOUT.dim, generator=rng)
    spread = torch.cat([torch.full((120,), 4.0), torch.full((50,), 0.02), torch.zeros(5)])
    return 7 * torch.randn(LAYOUT.dim, generator=rng) + spread * deviation


def test_unit_scale_rows_have_mean_zero_everywhere_and_unit_scale_in_every_tensor() -> None:
    rows = raw_rows()
    unit = Standardizer.fit(rows, LAYOUT).normalize(rows)
    assert unit.mean(0).abs().max() < 0.01
    for name in ("large", "small"):
        assert unit[:, LAYOUT.slices[name]].square().mean().sqrt() == pytest.approx(1, abs=1e-3)


def test_a_weight_that_never_moves_stays_where_it_is() -> None:
    rows = raw_rows()
    standardizer = Standardizer.fit(rows, LAYOUT)
    assert (standardizer.scale > 0).all()
    still = LAYOUT.slices["still"]
    back = standardizer.denormalize(torch.ones(1, LAYOUT.dim))
    assert torch.allclose(back[0, still], rows[0, still], atol=1e-3)


def test_one_scale_serves_all_entries_of_a_tensor() -> None:
    scale = Standardizer.fit(raw_rows(), LAYOUT).scale
    assert all(scale[part].unique().numel() == 1 for part in LAYOUT.slices.values())
    assert scale[0] > 100 * scale[120]


def test_denormalizing_undoes_normalizing() -> None:
    rows = raw_rows()
    standardizer = Standardizer.fit(rows, LAYOUT)
    assert torch.allclose(standardizer.denormalize(standardizer.normalize(rows)), rows, atol=1e-4)


def test_a_single_row_is_its_own_mean() -> None:
    rows = raw_rows()[:1]
    standardizer = Standardizer.fit(rows, LAYOUT)
    assert torch.equal(standardizer.mean, rows[0])
    assert standardizer.normalize(rows).abs().max() == 0


def test_rows_that_cannot_be_measured_are_refused() -> None:
    rows = raw_rows()
    with pytest.raises(UserError, match="174"):
        Standardizer.fit(rows[:, 1:], LAYOUT)
    with pytest.raises(UserError, match="at least one"):
        Standardizer.fit(rows[:0], LAYOUT)
    with pytest.raises(UserError, match="finite"):
        Standardizer.fit(rows.where(rows < 5, torch.nan), LAYOUT)
