"""The contract of a subset: a row can stand for any chosen parameters of any network."""

import copy
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from golden import BUNDLE, STORED, machine
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from wildpdiff.errors import UserError
from wildpdiff.files import save_tensors
from wildpdiff.network.adapter import AdapterLayout
from wildpdiff.network.backbone import ADAPTED, Backbone
from wildpdiff.network.folded import Folded
from wildpdiff.network.lora import LoRA, factors, packed
from wildpdiff.network.peft_folder import attach
from wildpdiff.network.standard import IMAGENET
from wildpdiff.network.subset import Parameters, Subset, subset_from_json
from wildpdiff.training.finetune import FinetuneRecipe, finetune
from wildpdiff.training.together import finetune_together
from wildpdiff.worlds.base import Images

CLASSES = ("zebra, plains", "empty", "lion")
SHORT = FinetuneRecipe(converge=2, rows=4, interval=2, batch_size=4, learning_rate=1e-2, settled_rate=1e-3)


class Mean(nn.Module):
    """The mean over all positions, `[M, C]`."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3))


def three_convolutions() -> nn.Module:
    """A network that timm does not know; its last layer is linear."""
    layers: list[nn.Module] = []
    for inner, out in ((3, 6), (6, 8), (8, 12)):
        layers += [nn.Conv2d(inner, out, 3, stride=2, padding=1), nn.BatchNorm2d(out), nn.SiLU()]
    return nn.Sequential(*layers, Mean(), nn.Linear(12, len(CLASSES)))


def of_timm(name: str, **options: int) -> Callable[[], nn.Module]:
    return lambda: timm.create_model(name, num_classes=len(CLASSES), **options)


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "efficientnet_b0": of_timm("efficientnet_b0"),
    "resnet10t": of_timm("resnet10t"),
    "vit_tiny": of_timm("vit_tiny_patch16_224", img_size=96),
    "three": three_convolutions,
}
SUBSETS: dict[str, dict[str, Subset]] = {
    "efficientnet_b0": {
        "lora": ADAPTED,
        "norms": Parameters(r"(^|\.)bn\d\."),
        "last": Parameters(r"^(conv_head|bn2|classifier)\."),
        "all": Parameters(r""),
    },
    "resnet10t": {
        "lora": LoRA(r"layer[1-4]\.0\.conv[12]|fc", rank=3, alpha=6),
        "norms": Parameters(r"\.bn\d\.(weight|bias)$"),
        "last": Parameters(r"^(layer4|fc)\."),
        "all": Parameters(r""),
    },
    "vit_tiny": {
        "lora": LoRA(r"blocks\.\d+\.(attn\.(qkv|proj)|mlp\.fc[12])", rank=2, alpha=6),
        "norms": Parameters(r"(^|\.)norm\d?\."),
        "last": Parameters(r"^(norm|head)\."),
        "all": Parameters(r""),
    },
    "three": {
        "lora": LoRA(r"[036]|10", rank=2, alpha=10),
        "norms": Parameters(r"^[147]\."),
        "last": Parameters(r"^10\."),
        "all": Parameters(r""),
    },
}
CASES = [(network, choice) for network, own in SUBSETS.items() for choice in own]


@pytest.fixture(scope="module")
def shared() -> dict[str, Backbone]:
    """One network of each kind with every parameter moved, as some are drawn as zeros, which stop gradients."""
    found = {}
    for name, make in NETWORKS.items():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = make().eval()
            with torch.no_grad():
                for value in network.parameters():
                    value.add_(0.05 * torch.randn_like(value))
        found[name] = Backbone(network, CLASSES, subset=Parameters(""), architecture=name).round_to_half()
    return found


@pytest.fixture(params=CASES, ids=["-".join(case) for case in CASES])
def backbone(request: pytest.FixtureRequest, shared: dict[str, Backbone]) -> Backbone:
    network, choice = request.param
    return shared[network].adapting(SUBSETS[network][choice])


@pytest.fixture(scope="module")
def pixels() -> Tensor:
    """Large enough that every tap of a kernel meets a pixel after five halvings."""
    return torch.randint(0, 256, (2, 3, 96, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))


def random_row(layout: AdapterLayout, seed: int = 0) -> Tensor:
    return 0.05 * torch.randn(layout.dim, generator=torch.Generator().manual_seed(seed))


def without_relu(network: nn.Module) -> nn.Module:
    """The network with its ReLUs in another form, whose gradient is nowhere zero."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.SiLU())
    return network


def keys_biases(layout: AdapterLayout) -> Tensor:
    """Which numbers of a row are biases of attention's keys, bool `[D]`: a softmax over keys does not see these."""
    biases = {
        name: torch.zeros(shape, dtype=torch.bool) for name, shape in zip(layout.names, layout.shapes, strict=True)
    }
    for name, value in biases.items():
        if name.endswith("attn.qkv.bias"):
            value.view(3, -1)[1] = True
    return layout.pack(biases).bool()


def state(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def test_an_initial_row_and_zeros_change_nothing(backbone: Backbone) -> None:
    initial = backbone.subset.initial(backbone.network, torch.Generator().manual_seed(1))
    before = state(backbone.network)
    for row in (initial, torch.zeros(backbone.layout.dim)):
        after = backbone.merged(row).state_dict()
        assert all(torch.equal(after[name], value) for name, value in before.items())


def test_packing_and_unpacking_are_a_bijection(backbone: Backbone) -> None:
    layout = backbone.layout
    row, (twice, _) = random_row(layout), torch.arange(2.0 * layout.dim).view(2, -1)
    assert torch.equal(layout.pack(layout.unpack(row)), row)
    parts = layout.unpack(twice)
    assert sum(part.numel() for part in parts.values()) == layout.dim
    assert torch.cat([part.flatten() for part in parts.values()]).unique().numel() == layout.dim


def test_only_the_named_parameters_change(backbone: Backbone) -> None:
    names, before = backbone.subset.names(backbone.network), state(backbone.network)
    after = backbone.merged(random_row(backbone.layout)).state_dict()
    assert {name for name in before if not torch.equal(before[name], after[name])} == set(names)
    assert [name for name, _ in backbone.network.named_parameters() if name in names] == list(names)
    assert all(torch.equal(value, before[name]) for name, value in backbone.network.state_dict().items())


def test_the_gradient_reaches_every_number(backbone: Backbone, pixels: Tensor) -> None:
    row = random_row(backbone.layout).requires_grad_()
    smooth = Backbone(without_relu(copy.deepcopy(backbone.network)), CLASSES, subset=backbone.subset)
    folded, labels = Folded(smooth), torch.tensor([0, 1])
    cross_entropy(folded.logits(row, IMAGENET.prepared(pixels)), labels).backward()
    assert row.grad is not None
    assert bool((row.grad != 0)[~keys_biases(backbone.layout)].all())


def test_every_way_through_the_network_gives_the_same_logits(backbone: Backbone, pixels: Tensor) -> None:
    row, folded = random_row(backbone.layout), Folded(backbone)
    with torch.no_grad():
        plain, expected = backbone(pixels), backbone(pixels, row)
        found = folded.logits(row, IMAGENET.prepared(pixels)), folded.set_adapter(row)(IMAGENET.prepared(pixels))
    assert float((expected - plain).abs().max()) > 1e-2 * float(plain.std())
    for logits in found:
        assert float((logits - expected).abs().max()) < 1e-3 * float(expected.std())
    assert float((folded.set_adapter({})(IMAGENET.prepared(pixels)) - plain).abs().max()) < 1e-3 * float(plain.std())


def test_a_saved_classifier_names_its_network_and_subset(backbone: Backbone, pixels: Tensor, tmp_path: Path) -> None:
    backbone.save(tmp_path / "a.safetensors")
    make = NETWORKS.get(backbone.architecture) if backbone.architecture in ("three", "vit_tiny") else None
    again, row = Backbone.load(tmp_path / "a.safetensors", make), random_row(backbone.layout)
    assert (again.architecture, again.species, again.subset) == (backbone.architecture, CLASSES, backbone.subset)
    assert (again.fingerprint, again.layout) == (backbone.fingerprint, backbone.layout)
    with torch.no_grad():
        assert torch.equal(again(pixels, row), backbone(pixels, row))


@pytest.mark.parametrize("name", NETWORKS)
def test_lora_s_weights_are_those_that_peft_merges(shared: dict[str, Backbone], name: str) -> None:
    backbone = shared[name].adapting(SUBSETS[name]["lora"])
    row = random_row(backbone.layout)
    # peft merges in place, so it gets a network of its own.
    alone = Backbone(copy.deepcopy(backbone.network), CLASSES, subset=backbone.subset)
    theirs, before = attach(alone, row).merge_and_unload().state_dict(), state(backbone.network)
    for key, weight in backbone.merged(row).state_dict().items():
        assert torch.allclose(weight, theirs[key], atol=1e-6)
        assert torch.equal(weight, before[key]) == (key not in backbone.subset.names(backbone.network))


@pytest.mark.parametrize("choice", SUBSETS["three"])
def test_one_loop_fine_tunes_every_subset_and_a_killed_run_goes_on(
    shared: dict[str, Backbone], choice: str, tmp_path: Path
) -> None:
    backbone = shared["three"].adapting(SUBSETS["three"][choice])
    images = noise()
    start = backbone.subset.initial(backbone.network, torch.Generator().manual_seed(4))
    whole = [tuned.row for tuned in finetune(backbone, start, images, SHORT, seed=5)]
    file = tmp_path / "part.safetensors"
    begun = finetune(backbone, start, images, SHORT, seed=5, checkpoint=file, save_every=3)
    for _ in range(4):
        next(begun)
    *_, last = finetune(backbone, start, images, SHORT, seed=5, checkpoint=file)
    assert whole[-1] is not None and last.row is not None
    assert torch.equal(last.row, whole[-1]) and not torch.equal(last.row, start)
    *_, both = finetune_together(backbone, torch.stack([start, start]), [images, images], SHORT, seeds=[5, 6])
    assert both.rows is not None and torch.allclose(both.rows[0], whole[-1], atol=1e-3)


@pytest.mark.parametrize("name", ["efficientnet_b0", "three"])
def test_factors_go_out_of_a_row_and_back(shared: dict[str, Backbone], name: str) -> None:
    layout = SUBSETS[name]["lora"].layout(shared[name].network)
    rows = torch.stack([random_row(layout, seed) for seed in range(2)])
    assert torch.equal(packed(layout, factors(layout, rows)), rows)


def test_only_batch_norms_that_a_row_holds_stay_unfolded(shared: dict[str, Backbone]) -> None:
    counts = {}
    for choice, subset in SUBSETS["efficientnet_b0"].items():
        folded = Folded(shared["efficientnet_b0"].adapting(subset)).network
        counts[choice] = sum(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert counts == {"lora": 0, "last": 1, "norms": 49, "all": 49}


@pytest.mark.parametrize(
    "value", [{}, {"kind": "Parameters"}, {"kind": "DoRA"}, {"kind": "LoRA", "speed": 3}, [1], None]
)
def test_a_damaged_subset_is_refused(value: object) -> None:
    with pytest.raises(UserError, match="damaged"):
        subset_from_json(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("subset", [Parameters(r"attention"), LoRA(r"attention")])
def test_a_subset_without_any_parameter_is_refused(shared: dict[str, Backbone], subset: Subset) -> None:
    with pytest.raises(UserError, match="attention"):
        shared["three"].adapting(subset)


def test_what_only_lora_has_is_refused_for_other_rows(shared: dict[str, Backbone]) -> None:
    with pytest.raises(UserError, match="needs LoRA"):
        attach(shared["three"], torch.zeros(shared["three"].layout.dim))


def test_an_unknown_network_is_refused_in_one_sentence(tmp_path: Path) -> None:
    save_tensors(tmp_path / "a.safetensors", {"w": torch.zeros(1)}, {"species": '["a"]', "architecture": "resnot"})
    with pytest.raises(UserError, match="no network 'resnot'"):
        Backbone.load(tmp_path / "a.safetensors")


def noise() -> Images:
    rng = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (12, 3, 32, 32), dtype=torch.uint8, generator=rng)
    return Images(pixels, torch.randint(0, 3, (12,), generator=rng))


#: Checksum and three numbers of LoRA rows as version 0.4.0 trained them: the first and last of one run, both of two.
GOLDEN = {
    "first": ("8417742040a89324", [0.026350876316428185, -0.04577089101076126, -0.014589670114219189]),
    "last": ("26e3ef5a3f14d69d", [0.026138784363865852, -0.043121762573719025, -0.01561706978827715]),
    "together": ("9f7451f4b39db67a", [0.026138726621866226, -0.043121472001075745, -0.015617000870406628]),
    "second": ("e6e805db167bdbb1", [0.015869222581386566, -0.051189493387937546, -0.00842090230435133]),
}


def test_lora_rows_are_those_of_before_subsets() -> None:
    backbone, rng = Backbone.load(BUNDLE / "backbone.safetensors"), torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (12, 3, 32, 32), dtype=torch.uint8, generator=rng)
    images = Images(pixels, torch.randint(0, 19, (12,), generator=rng))
    start = backbone.subset.initial(backbone.network, torch.Generator().manual_seed(2))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = [tuned.row for tuned in finetune(backbone, start, images, SHORT, seed=7) if tuned.row is not None]
        *_, both = finetune_together(backbone, torch.stack([start, start]), [images, images], SHORT, seeds=[7, 8])
    finally:
        torch.set_num_threads(threads)
    assert both.rows is not None
    for (digest, numbers), row in zip(GOLDEN.values(), (rows[0], rows[-1], *both.rows), strict=True):
        assert row[:: len(row) // 4][1:4].tolist() == pytest.approx(numbers, rel=2e-2, abs=1e-3)
        if machine() == json.loads(STORED.read_text())["machine"]:
            assert hashlib.sha256(row.numpy().tobytes()).hexdigest()[:16] == digest
