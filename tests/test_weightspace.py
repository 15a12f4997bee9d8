"""How alike rows are, and the flat map of them."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from wildpdiff.weightspace import Map, cosine, nearest, project

D = 65_580


@pytest.fixture(scope="module")
def rows() -> Tensor:
    """Ten rows of each of four locations: far between locations, near within, as in regime H."""
    rng = torch.Generator().manual_seed(0)
    shared = 0.1 * torch.randn(D, generator=rng)
    centres = shared + 0.03 * torch.randn(4, 1, D, generator=rng)
    return (centres + 0.005 * torch.randn(4, 10, D, generator=rng)).flatten(0, 1)


INDEX = torch.arange(4).repeat_interleave(10)


def test_the_cosine_of_right_angles_and_opposites() -> None:
    a = torch.tensor([[2.0, 0.0], [3.0, 3.0]])
    b = torch.tensor([[0.0, 5.0], [-1.0, 0.0], [7.0, 7.0]])
    half = 0.5**0.5
    assert torch.allclose(cosine(a, b), torch.tensor([[0, -1, half], [half, -half, 1]]), atol=1e-6)


def test_a_known_row_is_nearest_to_itself_at_no_distance(rows: Tensor) -> None:
    index, distance = nearest(rows, rows)
    assert torch.equal(index, torch.arange(40))
    assert float(distance.max()) < 1e-4


def test_the_nearest_row_and_its_distance_are_those_of_a_plain_search(rows: Tensor) -> None:
    asked = rows[::13] + 0.001
    index, distance = nearest(asked, rows)
    for row, place, far in zip(asked, index, distance, strict=True):
        every = [float((row.double() - other.double()).square().sum().sqrt()) for other in rows]
        assert int(place) == every.index(min(every))
        assert float(far) == pytest.approx(min(every), rel=1e-3)


def by_hand(rows: Tensor) -> Map:
    """A map whose places are a square with a location at each corner, slightly spread."""
    corners = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    points = corners[INDEX] + 0.1 * torch.randn(40, 2, generator=torch.Generator().manual_seed(5))
    return Map(project(rows), points, INDEX)


def test_a_new_row_finds_its_place_among_its_own_location(rows: Tensor) -> None:
    drawn = by_hand(rows)
    new = rows + 0.002 * torch.randn(40, D, generator=torch.Generator().manual_seed(6))
    assert float((drawn.place(new) - drawn.points).norm(dim=1).max()) < 1


def test_a_row_between_two_locations_lies_between_them_on_the_map(rows: Tensor) -> None:
    place = by_hand(rows).place(((rows[0] + rows[10]) / 2)[None], neighbours=20)[0]
    assert 2 < float(place[0]) < 8
    assert abs(float(place[1])) < 1


def test_a_saved_map_places_rows_as_before(rows: Tensor, tmp_path: Path) -> None:
    drawn = by_hand(rows)
    drawn.save(tmp_path / "map.safetensors")
    back = Map.load(tmp_path / "map.safetensors")
    assert torch.equal(back.points, drawn.points)
    assert torch.equal(back.index, drawn.index)
    assert float((back.place(rows[3:5] + 0.001) - drawn.place(rows[3:5] + 0.001)).abs().max()) < 0.05


@pytest.mark.slow
def test_the_map_of_a_zoo_keeps_locations_apart(rows: Tensor) -> None:
    drawn = Map.of(rows, INDEX, seed=0)
    assert drawn.points.shape == (40, 2)
    distance = torch.cdist(drawn.points, drawn.points) + torch.eye(40) * 1e9
    assert torch.equal(INDEX[distance.argmin(dim=1)], INDEX)
    own = project(rows)
    assert torch.allclose(own, drawn.anchors, atol=1e-3)
    kept = (torch.cdist(own, own) / torch.cdist(rows, rows).clamp(min=1e-6))[INDEX[:, None] != INDEX]
    assert 0.7 < float(kept.min()) <= float(kept.max()) < 1.3
