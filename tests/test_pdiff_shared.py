"""The contract of a shared network: any choice of parameters of any network, rows as differences, many rows at once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pdiff_folder import own_file
from torch import Tensor, nn

from wildpdiff.errors import UserError
from wildpdiff.files import save_tensors
from wildpdiff.pdiff.choice import subset_of
from wildpdiff.pdiff.networks import network_of
from wildpdiff.pdiff.shared import WAYS, Shared, difference, load_state

SIZE = 32
CHOICES = ("lora", "norms", "last", "all")
NETWORKS = ("efficientnet_b0", "resnet10t", "vit_tiny_patch16_224", "convnext-mini", "own")
SMALL = ("convnext-mini", "vit-mini")


def make(name: str, folder: Path) -> nn.Module:
    """A network whose batch norms have measured something, with every parameter moved from where it is drawn."""
    network = network_of(own_file(folder) if name == "own" else name, 10, 16 if name == "own" else SIZE)
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.is_floating_point():
                value.add_(0.02 * torch.rand(value.shape, generator=rng))
    return network


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, nn.Module]:
    folder = tmp_path_factory.mktemp("own")
    return {name: make(name, folder) for name in NETWORKS}


def pictures(size: int, count: int = 12) -> Tensor:
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))


@pytest.fixture(params=[(name, choice) for name in NETWORKS for choice in CHOICES], ids="-".join)
def shared(request: pytest.FixtureRequest, networks: dict[str, nn.Module]) -> Shared:
    name, choice = request.param
    return Shared(networks[name], subset_of(networks[name], choice))


def random_rows(shared: Shared, count: int) -> Tensor:
    return 0.02 * torch.randn(count, shared.layout.dim, generator=torch.Generator().manual_seed(2))


def size_of(shared: Shared) -> int:
    return 16 if type(shared.network).__name__ == "Small" else SIZE


def test_a_row_of_zeros_and_an_initial_row_change_nothing(shared: Shared) -> None:
    before = shared.network.state_dict()
    initial = shared.subset.initial(shared.network, torch.Generator().manual_seed(0))
    for row in (torch.zeros(shared.layout.dim), initial):
        after = shared.state(row)
        assert list(after) == list(before)
        assert all(torch.equal(after[name], value) for name, value in before.items())


def test_a_row_makes_the_network_whose_state_it_gives(shared: Shared) -> None:
    row, inputs = random_rows(shared, 1)[0], shared.inputs(pictures(size_of(shared)))
    with torch.no_grad():
        found, plain = shared.logits(row, inputs), shared.network(inputs)
        expected = torch.func.functional_call(shared.network, shared.state(row), (inputs,))
    assert torch.allclose(found, expected, atol=1e-5)
    assert not torch.allclose(found, plain, atol=1e-5)


def test_packing_and_unpacking_rows_is_a_bijection(shared: Shared) -> None:
    rows = random_rows(shared, 2)
    assert torch.equal(shared.layout.pack(shared.layout.unpack(rows)), rows)


def test_a_saved_network_is_the_same_to_the_bit(shared: Shared, tmp_path: Path) -> None:
    shared.save(tmp_path / "a.safetensors")
    before, state = shared.fingerprint, {name: value.clone() for name, value in shared.network.state_dict().items()}
    with torch.no_grad():
        for value in shared.network.state_dict().values():
            value.zero_()
    assert shared.fingerprint != before
    load_state(shared.network, tmp_path / "a.safetensors")
    assert shared.fingerprint == before
    assert all(torch.equal(value, state[name]) for name, value in shared.network.state_dict().items())


def test_rows_of_state_dicts_are_differences_and_give_the_states_back(networks: dict[str, nn.Module]) -> None:
    for name in ("own", "convnext-mini"):
        shared = Shared(networks[name], subset_of(networks[name], "all"))
        rows = random_rows(shared, 2)
        states = [shared.state(row) for row in rows]
        again = difference(shared, states)
        assert torch.allclose(again, rows, atol=1e-6)
        assert torch.equal(difference(shared, [shared.network.state_dict()])[0], torch.zeros(shared.layout.dim))


def test_buffers_stay_those_of_the_network(networks: dict[str, nn.Module]) -> None:
    shared = Shared(networks["own"], subset_of(networks["own"], "all"))
    before = {name: value.clone() for name, value in shared.network.named_buffers()}
    shared.correct(random_rows(shared, 3), pictures(16), torch.zeros(12, dtype=torch.int64))
    state = shared.state(random_rows(shared, 1)[0])
    assert before and all(torch.equal(state[name], value) for name, value in before.items())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["own", *SMALL])
def test_rows_are_measured_alike_one_by_one_and_many_at_once(
    name: str, way: tuple[int, int], networks: dict[str, nn.Module], tmp_path: Path
) -> None:
    network = networks.get(name) or make(name, tmp_path)
    shared = Shared(network, subset_of(network, "all"))
    rows, pixels = random_rows(shared, 10), pictures(size_of(shared), 12)
    inputs = shared.inputs(pixels)
    with torch.no_grad():
        predicted = torch.stack([shared.logits(row, inputs).argmax(dim=1) for row in rows])
    shared._way = way
    assert torch.equal(shared.correct(rows, pixels, predicted[0]), predicted == predicted[0])


def test_no_rows_are_no_trouble(networks: dict[str, nn.Module]) -> None:
    shared = Shared(networks["own"], subset_of(networks["own"], "all"))
    found = shared.correct(torch.empty(0, shared.layout.dim), pictures(16), torch.zeros(12, dtype=torch.int64))
    assert found.shape == (0, 12)


def test_a_network_that_asks_for_view_gets_contiguous_pictures(networks: dict[str, nn.Module]) -> None:
    own = Shared(networks["own"], subset_of(networks["own"], "all"))
    timm = Shared(networks["resnet10t"], subset_of(networks["resnet10t"], "all"))
    assert own.inputs(pictures(16)).is_contiguous()
    assert timm.inputs(pictures(32)).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"out.weight": torch.zeros(3, 3)}, r"'out.weight' has shape \[3, 3\], not \[10, 128\]"),
        ({"out.weight": torch.full((10, 128), float("nan"))}, "not finite in 'out.weight'"),
        ({"head.weight": torch.zeros(3)}, "the network has no 'head.weight'"),
        ({"out.weight": None}, "it lacks 'out.weight'"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_and_changes_nothing(
    change: dict[str, Tensor | None], said: str, networks: dict[str, nn.Module], tmp_path: Path
) -> None:
    network = networks["own"]
    state = {name: value.clone() for name, value in network.state_dict().items()}
    save_tensors(tmp_path / "a.safetensors", {k: v for k, v in {**state, **change}.items() if v is not None})
    with pytest.raises(UserError, match=said):
        load_state(network, tmp_path / "a.safetensors")
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
