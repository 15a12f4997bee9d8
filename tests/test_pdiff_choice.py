"""What was typed for --parameters, as a choice of parameters."""

import pytest
import timm
from torch import nn

from wildpdiff.errors import UserError
from wildpdiff.network.lora import LoRA
from wildpdiff.network.subset import subset_from_json
from wildpdiff.pdiff.choice import norms, subset_of
from wildpdiff.pdiff.networks import network_of


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    return timm.create_model("resnet18", num_classes=10)


def test_the_issue_s_pattern_chooses_the_batch_norms_of_the_last_stage(resnet: nn.Module) -> None:
    names = subset_of(resnet, "layer4.*bn.*").names(resnet)
    expected = [f"layer4.{block}.bn{at}.{part}" for block in (0, 1) for at in (1, 2) for part in ("weight", "bias")]
    assert list(names) == expected


def test_norms_are_all_layers_of_the_kind_and_nothing_else(resnet: nn.Module) -> None:
    names = subset_of(resnet, "norms").names(resnet)
    kinds = {type(resnet.get_submodule(name.rpartition(".")[0])) for name in names}
    counted = sum(isinstance(module, nn.BatchNorm2d) for module in resnet.modules())
    assert kinds == {nn.BatchNorm2d} and len(names) == 2 * counted


def test_the_last_two_norms_are_those_of_table_6(resnet: nn.Module) -> None:
    """2,048 numbers for ResNet-18, 768 for ViT-Tiny."""
    assert subset_of(resnet, "norms:2").layout(resnet).dim == 2048
    vit = timm.create_model("vit_tiny_patch16_224", img_size=32)
    assert subset_of(vit, "norms:2").layout(vit).dim == 768


def test_last_is_the_classifier_and_last_n_the_layers_before_it_too() -> None:
    network = network_of("mlp-mini", 10, 32)
    assert subset_of(network, "last").names(network) == ("linear3.weight", "linear3.bias")
    assert {name.partition(".")[0] for name in subset_of(network, "last:3").names(network)} == {
        "linear3", "norm2", "linear2",
    }  # fmt: skip


def test_lora_leaves_grouped_convolutions_and_the_last_layer_out() -> None:
    network = network_of("convnext-mini", 10, 32)
    subset = subset_of(network, "lora:3")
    assert isinstance(subset, LoRA) and subset.rank == 3
    chosen = [network.get_submodule(name.removesuffix(".weight")) for name in subset.names(network)]
    assert chosen and all(getattr(module, "groups", 1) == 1 for module in chosen) and network.head not in chosen


@pytest.mark.parametrize("text", ["all", "norms", "norms:1", "last", "lora", r"linear\d"])
def test_every_choice_survives_json(text: str) -> None:
    network = network_of("mlp-mini", 10, 32)
    subset = subset_of(network, text)
    assert subset_from_json(subset.to_json()).layout(network) == subset.layout(network)


@pytest.mark.parametrize("text", ["layer5.*bn", "linnear1.weight"])
def test_a_pattern_that_matches_nothing_is_answered_with_the_nearest_names(text: str) -> None:
    network = network_of("mlp-mini", 10, 32)
    with pytest.raises(UserError, match="the nearest are") as found:
        subset_of(network, text)
    assert any(name in str(found.value) for name, _ in network.named_parameters())


def test_the_nearest_name_of_a_slip_is_the_one_that_was_meant() -> None:
    with pytest.raises(UserError, match=r"linear1\.weight"):
        subset_of(network_of("mlp-mini", 10, 32), "linnear1.weight")


@pytest.mark.parametrize("text", [".*", "", ".", "weight|bias"])
def test_everything_by_mistake_is_refused_and_by_name_is_not(text: str) -> None:
    network = network_of("mlp-mini", 10, 32)
    with pytest.raises(UserError, match="--parameters all"):
        subset_of(network, text)
    assert subset_of(network, "all").layout(network).dim == 66_970


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("norms", "no normalisation layers"),
        ("last:9", "has 5 layers, not 9"),
        ("last:x", "no number"),
        ("last:²", "no number"),
        ("lora:99999999999999999", "1 to 1,024"),
        ("(", "no regular"),
    ],
)
def test_a_choice_that_the_network_cannot_give_is_refused(text: str, said: str) -> None:
    network = network_of("convnet-mini", 10, 32)
    assert norms(network) == []
    with pytest.raises(UserError, match=said):
        subset_of(network, text)


def test_a_network_without_layers_for_lora_is_refused() -> None:
    with pytest.raises(UserError, match="LoRA could adapt"):
        subset_of(nn.Sequential(nn.BatchNorm2d(3)), "lora")
