"""The folded copy names images as the backbone does, whatever it wore before."""

import pytest
import torch
from torch import Tensor

from wildpdiff.errors import UserError
from wildpdiff.network.backbone import Backbone
from wildpdiff.network.folded import Folded, prepared_batches
from wildpdiff.network.standard import IMAGENET


@pytest.fixture(scope="module")
def pixels() -> Tensor:
    return torch.randint(0, 256, (6, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))


def random_row(backbone: Backbone, seed: int) -> Tensor:
    """A row that changes every adapted weight by a good part of its size."""
    return 0.1 * torch.randn(backbone.layout.dim, generator=torch.Generator().manual_seed(seed))


def apart(found: Tensor, expected: Tensor) -> float:
    """The largest difference, in standard deviations of the expected logits."""
    return float((found - expected).abs().max() / expected.std())


@torch.no_grad()
def plain(backbone: Backbone, pixels: Tensor, row: Tensor | None) -> Tensor:
    return backbone(pixels, row)


def test_the_batch_norms_of_this_test_scale_what_passes(backbone: Backbone) -> None:
    """Or forgetting the scale would go unnoticed below."""
    norms = [module for module in backbone.network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    scales = torch.stack([(norm.weight / (norm.running_var + norm.eps).sqrt()).mean().detach() for norm in norms])
    assert len(norms) > 40 and float((scales.log().abs() > 0.2).float().mean()) > 0.5


def test_without_an_adapter_the_logits_are_the_backbone_s(backbone: Backbone, pixels: Tensor) -> None:
    expected = plain(backbone, pixels, None)
    assert apart(Folded(backbone)(IMAGENET.prepared(pixels)), expected) < 1e-3
    assert apart(Folded(backbone).set_adapter({})(IMAGENET.prepared(pixels)), expected) < 1e-3


@pytest.mark.parametrize("seed", [0, 1])
def test_with_an_adapter_the_logits_are_the_backbone_s(backbone: Backbone, pixels: Tensor, seed: int) -> None:
    row = random_row(backbone, seed)
    expected = plain(backbone, pixels, row)
    assert apart(expected, plain(backbone, pixels, None)) > 0.1
    assert apart(Folded(backbone).set_adapter(row)(IMAGENET.prepared(pixels)), expected) < 1e-3


def test_every_batch_norm_is_folded(backbone: Backbone) -> None:
    kinds = {type(module).__name__ for module in Folded(backbone).network.modules()}
    assert not [kind for kind in kinds if "Norm" in kind]


def test_a_row_and_its_products_are_the_same_adapter(backbone: Backbone, pixels: Tensor) -> None:
    row = random_row(backbone, 2)
    by_row = Folded(backbone).set_adapter(row)(IMAGENET.prepared(pixels))
    by_products = Folded(backbone).set_adapter(backbone.lora.products(backbone.layout, row))(IMAGENET.prepared(pixels))
    assert torch.equal(by_row, by_products)


def test_products_of_some_convolutions_leave_the_others_plain(backbone: Backbone, pixels: Tensor) -> None:
    every = backbone.lora.products(backbone.layout, random_row(backbone, 2))
    name = list(every)[5]
    network = backbone.copy()
    changed = network.get_parameter(name).detach() + every[name]
    network.get_submodule(name.removesuffix(".weight")).weight = torch.nn.Parameter(changed, requires_grad=False)
    with torch.no_grad():
        expected = network(IMAGENET.prepared(pixels))
    folded = Folded(backbone).set_adapter(every).set_adapter({name: every[name]})
    assert apart(folded(IMAGENET.prepared(pixels)), expected) < 1e-3


@pytest.mark.parametrize("second", ["row", "none"])
def test_a_second_adapter_leaves_no_trace_of_the_first(backbone: Backbone, pixels: Tensor, second: str) -> None:
    worn = random_row(backbone, 1) if second == "row" else {}
    fresh = Folded(backbone).set_adapter(worn)(IMAGENET.prepared(pixels))
    used = Folded(backbone).set_adapter(random_row(backbone, 0)).set_adapter(worn)(IMAGENET.prepared(pixels))
    assert torch.equal(used, fresh)


def test_the_backbone_stays_as_it_was(backbone: Backbone, pixels: Tensor) -> None:
    before = {name: value.clone() for name, value in backbone.network.state_dict().items()}
    logits, kinds = plain(backbone, pixels, None), [type(module) for module in backbone.network.modules()]
    Folded(backbone).set_adapter(random_row(backbone, 0))(IMAGENET.prepared(pixels))
    after = backbone.network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert kinds == [type(module) for module in backbone.network.modules()]
    assert torch.equal(plain(backbone, pixels, None), logits)
    assert all(weight.requires_grad for weight in backbone.parameters())


@pytest.mark.parametrize("change", [-1, 1])
def test_a_row_of_another_length_is_refused_and_not_worn(backbone: Backbone, pixels: Tensor, change: int) -> None:
    folded = Folded(backbone)
    before = folded(IMAGENET.prepared(pixels))
    with pytest.raises(UserError, match="needs 65,580"):
        folded.set_adapter(torch.zeros(backbone.layout.dim + change))
    assert torch.equal(folded(IMAGENET.prepared(pixels)), before)


def test_images_in_batches_are_named_as_all_at_once(backbone: Backbone, pixels: Tensor) -> None:
    folded = Folded(backbone).set_adapter(random_row(backbone, 0))
    batches = prepared_batches(pixels, 4, torch.device("cpu"), IMAGENET)
    assert [len(batch) for batch in batches] == [4, 2]
    expected = plain(backbone, pixels, random_row(backbone, 0)).argmax(dim=1)
    assert torch.equal(folded.predictions(batches), expected)
    assert torch.equal(folded.predictions(iter(batches)), expected)
