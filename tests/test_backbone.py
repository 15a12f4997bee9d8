"""The classifier as a function of pixels and a row, and rows as PEFT folders."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import timm
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from test_files import at_most, one_sentence
from torch import Tensor, nn

from wildpdiff.errors import UserError
from wildpdiff.network.backbone import ADAPTED, Backbone
from wildpdiff.network.lora import adapted
from wildpdiff.network.peft_folder import attach, load_peft, read_row, save_peft, write_row
from wildpdiff.network.standard import IMAGENET


@pytest.fixture(scope="module")
def pixels() -> Tensor:
    return torch.randint(0, 256, (6, 3, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def row(backbone: Backbone) -> Tensor:
    return 0.06 * torch.randn(backbone.layout.dim, generator=torch.Generator().manual_seed(2))


def test_the_row_counts_rank_four_on_44_ungrouped_convolutions(backbone: Backbone) -> None:
    convolutions = [backbone.network.get_submodule(name) for name in adapted(backbone.layout)]
    assert len(convolutions) == 44
    assert all(isinstance(convolution, nn.Conv2d) and convolution.groups == 1 for convolution in convolutions)
    counted = sum(4 * (c.in_channels * c.kernel_size[0] * c.kernel_size[1] + c.out_channels) for c in convolutions)
    assert backbone.layout.dim == counted == 65_580


def test_every_ungrouped_convolution_of_stem_and_stages_0_to_4_is_adapted_and_no_other(backbone: Backbone) -> None:
    early = ("conv_stem", *(f"blocks.{stage}." for stage in range(5)))
    plain = [
        name
        for name, module in backbone.network.named_modules()
        if isinstance(module, nn.Conv2d) and module.groups == 1
    ]
    assert list(adapted(backbone.layout)) == [name for name in plain if name.startswith(early)]


def test_a_row_whose_b_is_zero_changes_nothing(backbone: Backbone, pixels: Tensor) -> None:
    fresh = backbone.subset.initial(backbone.network, torch.Generator().manual_seed(3))
    assert float(fresh.abs().max()) > 0
    with torch.no_grad():
        before, after = backbone(pixels), backbone(pixels, fresh)
    assert float((after - before).abs().max()) < 1e-5 * float(before.abs().max())
    assert all(torch.count_nonzero(delta) == 0 for delta in ADAPTED.products(backbone.layout, fresh).values())


def test_a_fresh_row_is_drawn_as_peft_draws_it(backbone: Backbone) -> None:
    fresh = backbone.layout.unpack(backbone.subset.initial(backbone.network, torch.Generator().manual_seed(3)))
    model = get_peft_model(backbone.copy(), LoraConfig(r=4, lora_alpha=4, target_modules=ADAPTED.targets))
    for name, value in fresh.items():
        theirs = model.get_submodule(f"base_model.model.{name}.default").weight.detach()
        assert theirs.shape == value.shape
        if value.numel() > 200:
            assert float(value.std()) == pytest.approx(float(theirs.std()), rel=0.2, abs=1e-9)
            assert float(value.abs().max()) == pytest.approx(float(theirs.abs().max()), rel=0.1, abs=1e-9)


def test_a_merged_row_gives_pefts_own_logits(backbone: Backbone, row: Tensor, pixels: Tensor) -> None:
    with torch.no_grad():
        merged = backbone(pixels, row)
        unmerged = attach(backbone, row)(IMAGENET.prepared(pixels))
        size = float(merged.std())
        assert float((merged - unmerged).abs().max()) < 1e-4 * size
        assert float((merged - backbone(pixels)).abs().max()) > 0.1 * size


def test_what_a_row_adds_is_what_peft_adds(backbone: Backbone, row: Tensor) -> None:
    model, added = attach(backbone, row), ADAPTED.products(backbone.layout, row)
    assert tuple(added) == ADAPTED.names(backbone.network)
    for name, delta in added.items():
        theirs = model.get_submodule(f"base_model.model.{name.removesuffix('.weight')}").get_delta_weight("default")
        assert torch.allclose(delta, theirs, atol=1e-5)


def test_merging_and_attaching_leave_every_tensor_of_the_network_untouched(
    backbone: Backbone, row: Tensor, pixels: Tensor
) -> None:
    before = {name: (value.data_ptr(), value.clone()) for name, value in backbone.network.state_dict().items()}
    merged, attached = backbone.merged(row), attach(backbone, row)
    with torch.no_grad():
        merged(IMAGENET.prepared(pixels))
        next(p for p in attached.parameters() if p.requires_grad).add_(1)
    for name, value in backbone.network.state_dict().items():
        assert (value.data_ptr(), True) == (before[name][0], torch.equal(value, before[name][1]))


def test_a_classifier_can_be_trained_on_after_a_row_was_attached(row: Tensor) -> None:
    built = Backbone.build(tuple("abcdefghijklmnopqrs"))
    attach(built, row)
    assert all(parameter.requires_grad for parameter in built.network.parameters())


def test_a_merged_network_shares_every_other_tensor(backbone: Backbone, row: Tensor) -> None:
    merged, adapted = backbone.merged(row).state_dict(), set(ADAPTED.names(backbone.network))
    for name, value in backbone.network.state_dict().items():
        assert (merged[name].data_ptr() == value.data_ptr()) == (name not in adapted)


def test_threads_with_different_rows_do_not_meet(backbone: Backbone, row: Tensor, pixels: Tensor) -> None:
    rows = [row, -row, 0.5 * row]
    with torch.no_grad():
        alone = [backbone(pixels, each) for each in rows]

    def ask(index: int) -> Tensor:
        with torch.no_grad():
            return backbone(pixels, rows[index])

    with ThreadPoolExecutor(3) as pool:
        for place, answer in enumerate(pool.map(ask, [0, 1, 2] * 3)):
            assert torch.equal(answer, alone[place % 3])


def test_pixels_enter_standardised_as_timm_asks(backbone: Backbone) -> None:
    pixels = torch.tensor([0, 128, 255], dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 3, 4, 4)
    asked = backbone.network.default_cfg
    mean, std = (torch.tensor(asked[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    assert torch.allclose(IMAGENET.prepared(pixels), (pixels / 255 - mean) / std, atol=1e-5)
    assert IMAGENET.prepared(pixels).is_contiguous(memory_format=torch.channels_last)


def test_one_seed_is_one_network_and_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = Backbone.build(("zebra", "empty"), seed=1)
    assert torch.equal(torch.rand(1), expected)
    assert Backbone.build(("zebra", "empty"), seed=1).fingerprint == first.fingerprint
    assert Backbone.build(("zebra", "empty"), seed=2).fingerprint != first.fingerprint


def test_a_rounded_classifier_comes_back_bit_for_bit(tmp_path: Path, pixels: Tensor) -> None:
    built = Backbone.build(("zebra", "lion", "empty"), seed=4).round_to_half().eval()
    built.save(tmp_path / "b.safetensors")
    back = Backbone.load(tmp_path / "b.safetensors")
    assert back.species == built.species
    assert back.fingerprint == built.fingerprint
    assert not back.training
    for name, value in built.network.state_dict().items():
        assert value.dtype in (torch.float32, torch.int64)
        assert torch.equal(back.network.state_dict()[name], value)
    with torch.no_grad():
        assert torch.equal(back(pixels), built(pixels))


@pytest.mark.parametrize("content", ["absent", "cut", "another network"])
def test_a_file_that_is_no_classifier_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "b.safetensors"
    if content == "cut":
        Backbone.build(("zebra", "empty")).save(path)
        path.write_bytes(path.read_bytes()[:-9])
    elif content == "another network":
        save_file({"weight": torch.zeros(3)}, path, {"species": "zebra,empty"})
    with pytest.raises(UserError) as error:
        Backbone.load(path)
    one_sentence(error, tmp_path)


def test_an_attached_row_reads_back_as_it_was_written(backbone: Backbone, row: Tensor) -> None:
    model = attach(backbone, row)
    assert torch.equal(read_row(model, backbone.layout), row)
    write_row(model, backbone.layout, -row)
    assert torch.equal(read_row(model, backbone.layout), -row)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 65_580


def test_gradients_reach_every_factor_and_nothing_else(backbone: Backbone, row: Tensor, pixels: Tensor) -> None:
    model = attach(backbone, row)
    model(IMAGENET.prepared(pixels)).square().sum().backward()
    reached = {
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is not None and float(parameter.grad.abs().max()) > 0
    }
    assert reached == {name for name, _ in model.named_parameters() if "lora_" in name}
    assert len(reached) == 88
    assert all(parameter.grad is None for parameter in backbone.network.parameters())


CARD = {"condition": "R10", "seed": "3"}


def test_a_row_comes_back_exactly_from_its_peft_folder(backbone: Backbone, row: Tensor, tmp_path: Path) -> None:
    save_peft(backbone, row, tmp_path / "adapters" / "a", card=CARD)
    assert torch.equal(load_peft(backbone, tmp_path / "adapters" / "a"), row)
    names = {path.name for path in (tmp_path / "adapters" / "a").iterdir()}
    assert names == {"adapter_config.json", "adapter_model.safetensors", "README.md"}
    assert [path.name for path in (tmp_path / "adapters").iterdir()] == ["a"]


def test_the_card_tells_where_the_row_comes_from(backbone: Backbone, row: Tensor, tmp_path: Path) -> None:
    save_peft(backbone, row, tmp_path / "a", card=CARD)
    card = (tmp_path / "a" / "README.md").read_text()
    for told in (
        "condition: R10",
        "seed: 3",
        backbone.fingerprint,
        backbone.layout.fingerprint,
        "base_model: timm/efficientnet_b0",
    ):
        assert told in card
    for file in (tmp_path / "a").iterdir():
        assert str(tmp_path).encode() not in file.read_bytes()


def test_plain_peft_and_timm_load_the_folder_and_give_the_same_logits(tmp_path: Path, pixels: Tensor) -> None:
    ours = Backbone.build(("zebra", "lion", "empty"), seed=4).round_to_half().eval()
    row = 0.1 * torch.randn(ours.layout.dim, generator=torch.Generator().manual_seed(2))
    ours.save(tmp_path / "backbone.safetensors")
    save_peft(ours, row, tmp_path / "adapter", card=CARD)
    network = timm.create_model("efficientnet_b0", num_classes=3)
    network.load_state_dict(load_file(tmp_path / "backbone.safetensors"))
    plain = PeftModel.from_pretrained(network, str(tmp_path / "adapter")).eval()
    with torch.no_grad():
        expected = ours(pixels, row)
        ready, near = IMAGENET.prepared(pixels), 1e-4 * float(expected.std())
        assert float((plain(ready) - expected).abs().max()) < near
        assert float((plain.merge_and_unload()(ready) - expected).abs().max()) < near


def test_the_cards_own_code_loads_the_adapter(tmp_path: Path) -> None:
    ours = Backbone.build(("zebra", "empty"), seed=4).round_to_half().eval()
    ours.save(tmp_path / "backbone.safetensors")
    row = ours.subset.initial(ours.network, torch.Generator().manual_seed(0)) + 0.01
    save_peft(ours, row, tmp_path / "this folder", card=CARD)
    code = (tmp_path / "this folder" / "README.md").read_text().partition("```python\n")[2].partition("```")[0]
    loaded: dict[str, object] = {}
    code = code.replace('"backbone.safetensors"', repr(str(tmp_path / "backbone.safetensors")))
    exec(code.replace('"this folder"', repr(str(tmp_path / "this folder"))), loaded)
    model = loaded["network"]
    assert isinstance(model, PeftModel)
    assert torch.equal(read_row(model, ours.layout), row)


def test_saving_an_adapter_asks_no_network(
    backbone: Backbone, row: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def refuse(host: object, *_: object, **__: object) -> None:
        asked.append(host)
        raise OSError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    save_peft(backbone, row, tmp_path / "a", card=CARD)
    assert asked == []


def test_an_existing_adapter_is_replaced_whole(backbone: Backbone, row: Tensor, tmp_path: Path) -> None:
    save_peft(backbone, row, tmp_path / "a", card=CARD)
    save_peft(backbone, -row, tmp_path / "a", card=CARD)
    assert torch.equal(load_peft(backbone, tmp_path / "a"), -row)


def test_a_folder_that_is_no_adapter_is_never_deleted(backbone: Backbone, row: Tensor, tmp_path: Path) -> None:
    precious = tmp_path / "photos" / "precious.txt"
    precious.parent.mkdir()
    precious.write_text("irreplaceable")
    with pytest.raises(UserError) as error:
        save_peft(backbone, row, tmp_path / "photos", card=CARD)
    one_sentence(error, tmp_path)
    assert precious.read_text() == "irreplaceable"


def test_a_full_disk_keeps_the_earlier_adapter(backbone: Backbone, row: Tensor, tmp_path: Path) -> None:
    save_peft(backbone, row, tmp_path / "a", card=CARD)
    with at_most(20_000), pytest.raises(UserError) as error:
        save_peft(backbone, -row, tmp_path / "a", card=CARD)
    one_sentence(error, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert torch.equal(load_peft(backbone, tmp_path / "a"), row)


def _edit(folder: Path, **values: object) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def _without_type(folder: Path) -> None:
    path = folder / "adapter_config.json"
    path.write_text(
        json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key != "peft_type"})
    )


def _other_rank(folder: Path) -> None:
    """As peft itself writes an adapter of rank 8 with the same scale."""
    network = timm.create_model("efficientnet_b0", num_classes=2)
    get_peft_model(network, LoraConfig(r=8, lora_alpha=8, target_modules=ADAPTED.targets)).save_pretrained(str(folder))


DAMAGES = (
    *("alpha", "rank 0", "kind", "unknown kind", "no kind", "rank 8"),
    *("no config", "cut config", "list config", "no weights", "cut weights", "other weights"),
)  # fmt: skip


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: _edit(folder, lora_alpha="8"),
        lambda folder: _edit(folder, r=0),
        lambda folder: _edit(folder, peft_type="IA3"),
        lambda folder: _edit(folder, peft_type="NONE_SUCH"),
        _without_type,
        _other_rank,
        lambda folder: (folder / "adapter_config.json").unlink(),
        lambda folder: (folder / "adapter_config.json").write_text("{"),
        lambda folder: (folder / "adapter_config.json").write_text("[1]"),
        lambda folder: (folder / "adapter_model.safetensors").unlink(),
        lambda folder: (folder / "adapter_model.safetensors").write_bytes(b"x" * 99),
        lambda folder: save_file({"other": torch.zeros(1)}, folder / "adapter_model.safetensors"),
    ],
    ids=DAMAGES,
)
def test_another_adapter_or_none_is_refused_in_one_sentence(
    backbone: Backbone, row: Tensor, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    folder = tmp_path / "a"
    save_peft(backbone, row, folder, card=CARD)
    damage(folder)
    with pytest.raises(UserError) as error:
        load_peft(backbone, folder)
    one_sentence(error, tmp_path)


def test_a_missing_folder_is_never_looked_for_online(
    backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def online(*_: object, **__: object) -> None:
        raise AssertionError("went online")

    monkeypatch.setattr("peft.config.hf_hub_download", online)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError):
        load_peft(backbone, Path("runs/adapter"))


OFFLINE = """
import sys
from wildpdiff.network.backbone import Backbone
from wildpdiff.errors import UserError
try:
    Backbone.build(("zebra", "lion", "empty"), pretrained=True).network.conv_stem.weight.sum().backward()
    built = Backbone.build(("zebra", "lion", "empty"), pretrained=True, seed=3)
except UserError as error:
    print("refused:", error)
else:
    built.save(__import__("pathlib").Path(sys.argv[1]))
    print("loaded")
"""


def _built_offline(cache: Path, out: Path) -> str:
    """Build with `pretrained=True` in a process that has no network, only this Hugging Face cache."""
    environment = {
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_CACHE": str(cache),
        "OMP_NUM_THREADS": "1",
        "PATH": "/usr/bin:/bin",
        "HOME": str(cache),
    }
    told = subprocess.run(
        [sys.executable, "-c", OFFLINE, str(out)], capture_output=True, text=True, env=environment, check=True
    )
    return told.stdout.strip()


@pytest.mark.slow
def test_imagenet_weights_are_one_option_away(tmp_path: Path) -> None:
    """A checkpoint of timm's true format (1,000 classes, in a Hugging Face cache) ends up in one of 3 classes."""
    imagenet = timm.create_model("efficientnet_b0", num_classes=1000)
    name, revision = timm.get_pretrained_cfg("efficientnet_b0").hf_hub_id, "a" * 40
    folder = tmp_path / "hub" / f"models--{name.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(revision)
    (folder / "snapshots" / revision).mkdir(parents=True)
    save_file(imagenet.state_dict(), folder / "snapshots" / revision / "model.safetensors")
    assert _built_offline(tmp_path / "hub", tmp_path / "b.safetensors") == "loaded"
    built = Backbone.load(tmp_path / "b.safetensors")
    assert built.network.get_classifier().out_features == 3
    for key, value in imagenet.state_dict().items():
        if not key.startswith("classifier"):
            assert torch.allclose(built.network.state_dict()[key], value, atol=1e-3, rtol=1e-3), key


@pytest.mark.slow
def test_imagenet_weights_without_a_network_are_one_sentence(tmp_path: Path) -> None:
    told = _built_offline(tmp_path / "empty", tmp_path / "b.safetensors")
    assert told.startswith("refused: The ImageNet weights of efficientnet_b0 could not be fetched")
    assert len(told.splitlines()) == 1
