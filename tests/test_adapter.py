"""The row and its layout."""

import json

import pytest
import torch

from wildpdiff.errors import UserError
from wildpdiff.network.adapter import AdapterLayout


def named(*lead: int) -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(1)
    shapes = {"stem.A": (2, 3), "stem.B": (4, 2, 1, 1), "bias": (), "last": (5,)}
    return {name: torch.randn((*lead, *shape), generator=rng) for name, shape in shapes.items()}


@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
def test_packing_and_unpacking_are_inverse(lead: tuple[int, ...]) -> None:
    layout, weights = AdapterLayout.of(named()), named(*lead)
    rows = layout.pack(weights)
    assert rows.shape == (*lead, 6 + 8 + 1 + 5)
    back = layout.unpack(rows)
    assert list(back) == list(weights)
    assert all(torch.equal(back[name], weights[name]) and back[name].shape == weights[name].shape for name in weights)
    assert torch.equal(layout.pack(back), rows)


def test_a_row_holds_the_weights_in_network_order() -> None:
    weights = {"z": torch.tensor([[1.0, 2.0], [3.0, 4.0]]), "a": torch.tensor([5.0])}
    layout = AdapterLayout.of(weights)
    assert layout.pack(weights).tolist() == [1, 2, 3, 4, 5]
    assert layout.slices == {"z": slice(0, 4), "a": slice(4, 5)}
    assert layout.pack(dict(reversed(weights.items()))).tolist() == [1, 2, 3, 4, 5]


def test_rows_are_float32_whatever_the_weights_are() -> None:
    weights = {name: tensor.half() for name, tensor in named().items()}
    assert AdapterLayout.of(weights).pack(weights).dtype == torch.float32


def test_the_fingerprint_tells_names_shapes_and_order_apart() -> None:
    layouts = [
        AdapterLayout(("a", "b"), ((2, 3), (4,))),
        AdapterLayout(("b", "a"), ((2, 3), (4,))),
        AdapterLayout(("a", "b"), ((3, 2), (4,))),
        AdapterLayout(("a", "b"), ((6,), (4,))),
    ]
    assert len({layout.fingerprint for layout in layouts}) == 4
    assert layouts[0].fingerprint == AdapterLayout(("a", "b"), ((2, 3), (4,))).fingerprint


def test_a_layout_survives_json() -> None:
    layout = AdapterLayout.of(named())
    assert AdapterLayout.from_json(json.loads(json.dumps(layout.to_json()))) == layout


def test_a_row_of_another_length_is_refused_with_both_numbers() -> None:
    layout = AdapterLayout.of(named())
    with pytest.raises(UserError, match=r"19 .* 20"):
        layout.unpack(torch.zeros(2, 19))
    with pytest.raises(UserError, match=r"0 .* 20"):
        layout.unpack(torch.tensor(1.0))


def test_missing_or_misshapen_weights_are_named() -> None:
    layout = AdapterLayout.of(named())
    weights = named()
    del weights["last"]
    with pytest.raises(UserError, match="'last'"):
        layout.pack(weights)
    with pytest.raises(UserError, match=r"'stem.A'.*\[3, 2\].*\[2, 3\]"):
        layout.pack(named() | {"stem.A": torch.zeros(3, 2)})
    with pytest.raises(UserError, match="leading axes"):
        layout.pack(named(3) | {"last": torch.zeros(2, 5)})


@pytest.mark.parametrize("value", [{}, {"names": ["a"], "shapes": []}, {"names": ["a"], "shapes": [["x"]]}, None])
def test_a_damaged_layout_is_refused(value: object) -> None:
    with pytest.raises(UserError):
        AdapterLayout.from_json(value)  # type: ignore[arg-type]
