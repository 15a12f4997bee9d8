"""p-diff's five small networks against the paper's counts, and networks by name."""

from pathlib import Path

import pytest
import torch
from pdiff_folder import own_file
from torch import nn

from wildpdiff.errors import UserError
from wildpdiff.pdiff.mini import MINI, ViTMini
from wildpdiff.pdiff.networks import network_of


def numbers(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("name", "size", "count"), [
    ("mlp-mini", 32, 66_970), ("convnext-mini", 32, 74_970), ("vit-mini", 64, 80_714),
])  # fmt: skip
def test_three_small_networks_have_as_many_numbers_as_table_6_counts(name: str, size: int, count: int) -> None:
    assert numbers(network_of(name, 10, size)) == count


def test_convnet_mini_has_the_layers_of_the_description_and_no_others() -> None:
    layers = [(3 * 49, 8), (8 * 9, 8), (8 * 9, 4), (64, 16), (16, 10)]
    assert numbers(network_of("convnet-mini", 10, 32)) == sum(inner * out + out for inner, out in layers)


def test_resnet_mini_has_the_layers_of_the_description_and_no_others() -> None:
    block = [(8, 4), (4 * 9, 4), (4, 8)]
    layers = [(3 * 9, 8), *block, *block, (128, 16), (16, 10)]
    assert numbers(network_of("resnet-mini", 10, 32)) == sum(inner * out + out for inner, out in layers)


@pytest.mark.parametrize("size", [32, 64, 96])
@pytest.mark.parametrize("name", MINI)
def test_every_small_network_takes_pictures_of_several_sizes_and_keeps_them_apart(name: str, size: int) -> None:
    network = network_of(name, 7, size).eval()
    pictures = torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits, alone = network(pictures), network(pictures[1:2])
    assert logits.shape == (3, 7)
    assert torch.allclose(logits[1:2], alone, atol=1e-5)
    assert float((logits[0] - logits[2]).abs().max()) > 0


@pytest.mark.parametrize("name", MINI)
def test_no_small_network_keeps_a_buffer_that_training_would_change(name: str) -> None:
    assert not dict(network_of(name, 10, 32).state_dict()).keys() - dict(network_of(name, 10, 32).named_parameters())


def test_a_vit_cuts_the_patches_that_an_unfold_cuts() -> None:
    network, pictures = ViTMini(10), torch.arange(3 * 32 * 32.0).view(1, 3, 32, 32)
    seen = []
    network.norm_in.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    network(pictures)
    expected = nn.functional.unfold(pictures, 4, stride=4).mT.view(1, 64, 3, 16).transpose(2, 3).flatten(2)
    assert torch.equal(seen[0], expected)


def test_the_seed_alone_decides_the_starting_weights() -> None:
    first, again, other = (network_of("mlp-mini", 10, 32, seed=seed).linear1.weight for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize("name", ["resnet10t", "vit_tiny_patch16_224"])
def test_networks_of_timm_take_small_pictures(name: str) -> None:
    network = network_of(name, 5, 32)
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 5)


def test_a_function_of_a_module_or_of_a_file_makes_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = own_file(tmp_path)
    assert type(network_of(name, 10, 16)).__name__ == "Small"
    monkeypatch.syspath_prepend(tmp_path)
    assert type(network_of("own_network:make", 10, 16)).__name__ == "Small"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mlp-minni", "did you mean mlp-mini"),
        ("resnot", "no network 'resnot'"),
        ("no.such.module:make", "cannot be imported"),
        ("absent.py:make", "no file"),
        ("own_network:nothing", "no function 'nothing'"),
        ("own_network:no_network", "gave a int"),
        ("own_network:fails", "no weights today"),
        ("own_network:three_classes", r"gives \[2, 3\] for 2 pictures"),
        ("json:dumps", "takes no arguments|could not make"),
    ],
)
def test_a_network_that_is_not_there_or_does_not_fit_is_refused_in_one_sentence(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_file(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=said) as found:
        network_of(name, 10, 16)
    assert "\n" not in str(found.value)


def test_pictures_of_another_size_than_the_network_takes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not take pictures of 20 x 20"):
        network_of(own_file(tmp_path), 10, 20)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import sys\nsys.exit(3)\n", "cannot be run (SystemExit: 3)"),
        ("def make():\n    raise SystemExit\n", "could not make a network"),
        (
            "from torch import nn\n\ndef make():\n    made = nn.Sequential(nn.Flatten(), nn.Linear(768, 10))\n"
            "    nn.init.constant_(made[1].bias, float('nan'))\n    return made\n",
            "gives numbers that are not finite",
        ),
    ],
)
def test_a_file_of_ones_own_that_ends_or_gives_no_numbers_is_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "own.py").write_text(text)
    with pytest.raises(UserError) as told:
        network_of(f"{tmp_path / 'own.py'}:make", 10, 16)
    assert said in str(told.value)
