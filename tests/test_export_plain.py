"""Exporting adapters as PEFT folders and as checkpoints of timm's; what is refused before anything is written."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from export_parts import CARD, row_of, write_adapter
from peft import LoraConfig, PeftModel, get_peft_model
from test_cli import Run, document, run
from test_files import at_most, one_sentence

from wildpdiff.bundle import Bundle
from wildpdiff.errors import UserError
from wildpdiff.export.adapted import NONE, Adapted
from wildpdiff.export.ordered import FORMATS, Order, export_adapter
from wildpdiff.network.backbone import ADAPTED, Backbone
from wildpdiff.network.peft_folder import load_peft, save_peft

__all__ = ["run"]


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Bundle:
    return Bundle.open(tiny_bundle)


@pytest.fixture(scope="module")
def adapter(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_adapter(bundle, tmp_path_factory.mktemp("adapters") / "adapter-3")


def ending(form: str) -> str:
    return {"peft": "out", "timm": "out.safetensors", "onnx": "out.onnx"}[form]


def test_peft_writes_the_very_row_again_with_its_origin(bundle: Bundle, adapter: Path, tmp_path: Path) -> None:
    written = export_adapter(bundle, Order(str(adapter), "peft", tmp_path / "copy"))
    assert written.files == ("copy",)
    assert torch.equal(load_peft(bundle.backbone, tmp_path / "copy"), row_of(bundle))
    card = (tmp_path / "copy" / "README.md").read_text()
    assert all(f"- {key}: {value}" in card for key, value in CARD.items())
    assert card.count("- classifier:") == 1


def test_peft_brings_a_strangers_scales_into_our_form(bundle: Bundle, tmp_path: Path) -> None:
    network = timm.create_model("efficientnet_b0", num_classes=len(bundle.backbone.species))
    config = LoraConfig(r=2, lora_alpha=6, target_modules=ADAPTED.targets, init_lora_weights=False)
    get_peft_model(network, config).save_pretrained(str(tmp_path / "theirs"))
    export_adapter(bundle, Order(str(tmp_path / "theirs"), "peft", tmp_path / "ours"))
    said = json.loads((tmp_path / "ours" / "adapter_config.json").read_text())
    assert (said["r"], said["lora_alpha"]) == (4, 4)
    theirs, ours = (load_peft(bundle.backbone, tmp_path / name) for name in ("theirs", "ours"))
    assert torch.equal(theirs, ours)


@pytest.mark.parametrize("worn", [True, False], ids=["adapter", "none"])
def test_plain_timm_loads_the_checkpoint_and_gives_the_same_logits(
    bundle: Bundle, adapter: Path, tmp_path: Path, worn: bool
) -> None:
    written = export_adapter(bundle, Order(str(adapter) if worn else NONE, "timm", tmp_path / "net.safetensors"))
    assert written.files == ("net.safetensors", "net.json")
    about = json.loads((tmp_path / "net.json").read_text())
    assert about["species"] == list(bundle.backbone.species) and about["size"] == bundle.world.size
    assert about["adapter"] == ("adapter-3" if worn else "none") and about["classifier"] == bundle.backbone.fingerprint
    assert about.get("origin", CARD) == CARD
    plain = timm.create_model(
        about["architecture"], num_classes=len(about["species"]), checkpoint_path=str(tmp_path / "net.safetensors")
    ).eval()
    pixels = bundle.world.images(bundle.seen[0], "eval").pixels
    mean, std = (torch.tensor(about[name])[:, None, None] for name in ("mean", "std"))
    with torch.no_grad():
        expected = bundle.backbone(pixels, row_of(bundle) if worn else None)
        found = plain((pixels / 255 - mean) / std)
    assert float((found - expected).abs().max()) < 1e-3 * float(expected.std())


def test_the_bundles_classifier_stays_as_it_is(bundle: Bundle, adapter: Path, tmp_path: Path) -> None:
    before = bundle.backbone.fingerprint
    export_adapter(bundle, Order(str(adapter), "timm", tmp_path / "net.safetensors"))
    assert bundle.backbone.fingerprint == before


def _another_architecture(folder: Path) -> None:
    shutil.rmtree(folder)
    other = Backbone.build(("zebra", "empty"), architecture="tf_efficientnet_lite0")
    row = other.subset.initial(other.network, torch.Generator().manual_seed(0))
    save_peft(other, row, folder, card=CARD)


def _other_weights(folder: Path) -> None:
    card = folder / "README.md"
    card.write_text(card.read_text().replace("weights ", "weights 0123456789ab, not "))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "damage",
    [
        shutil.rmtree,
        lambda folder: (folder / "adapter_config.json").unlink(),
        lambda folder: (folder / "adapter_config.json").write_text("[]"),
        lambda folder: (folder / "adapter_model.safetensors").write_bytes(b"x"),
        _another_architecture,
        _other_weights,
    ],
    ids=("no folder", "no config", "odd config", "cut weights", "another architecture", "another classifier"),
)
def test_what_is_no_adapter_of_this_classifier_is_one_sentence_and_nothing_is_written(
    bundle: Bundle, adapter: Path, tmp_path: Path, damage: Callable[[Path], object], form: str
) -> None:
    folder, out = tmp_path / "a", tmp_path / "out"
    shutil.copytree(adapter, folder)
    damage(folder)
    with pytest.raises(UserError) as error:
        export_adapter(bundle, Order(str(folder), form, out / ending(form)))
    one_sentence(error, tmp_path)
    assert not out.exists()


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_is_written_over(bundle: Bundle, adapter: Path, tmp_path: Path, form: str) -> None:
    out = tmp_path / ending(form)
    out.write_text("precious")
    with pytest.raises(UserError, match="exists") as error:
        export_adapter(bundle, Order(str(adapter), form, out))
    one_sentence(error, tmp_path)
    assert out.read_text() == "precious" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("form", FORMATS)
def test_a_path_below_a_file_is_one_sentence(bundle: Bundle, adapter: Path, tmp_path: Path, form: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written") as error:
        export_adapter(bundle, Order(str(adapter), form, tmp_path / "file" / ending(form)))
    one_sentence(error, tmp_path)


@pytest.mark.parametrize("form", ["timm", "onnx"])
def test_a_full_disk_leaves_no_half_file(bundle: Bundle, tmp_path: Path, form: str) -> None:
    with at_most(20_000), pytest.raises(UserError) as error:
        export_adapter(bundle, Order(NONE, form, tmp_path / ending(form), photographs=1))
    one_sentence(error, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("adapter", "form", "out", "word"),
    [
        ("none", "keras", "a.h5", "peft, timm, onnx"),
        ("none", "peft", "a", "needs an adapter"),
        ("none", "timm", "a.pth", ".safetensors"),
        ("none", "onnx", "a", ".onnx"),
        ("not/there", "timm", "a.safetensors", "no folder"),
    ],
)
def test_what_does_not_fit_together_is_one_sentence(
    bundle: Bundle, tmp_path: Path, adapter: str, form: str, out: str, word: str
) -> None:
    with pytest.raises(UserError, match=word) as error:
        export_adapter(bundle, Order(adapter, form, tmp_path / out))
    one_sentence(error, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [{"photographs": 0}, {"around": 0.9}, {"around": float("nan")}])
def test_numbers_out_of_range_are_one_sentence(tmp_path: Path, options: dict[str, float]) -> None:
    with pytest.raises(UserError) as error:
        Order(NONE, "onnx", tmp_path / "a.onnx", **options)  # type: ignore[arg-type]
    one_sentence(error, tmp_path)


def test_an_adapter_with_no_card_is_exported_by_its_shapes_alone(bundle: Bundle, adapter: Path, tmp_path: Path) -> None:
    shutil.copytree(adapter, tmp_path / "a")
    (tmp_path / "a" / "README.md").unlink()
    assert Adapted.of(bundle, str(tmp_path / "a")).card == {}


@pytest.mark.slow
def test_the_command_exports_and_its_mistakes_are_sentences(run: Run, tiny_bundle: Path, tmp_path: Path) -> None:
    bundle = Bundle.open(tiny_bundle)
    adapter = write_adapter(bundle, tmp_path / "adapter")
    options = ("--adapter", adapter, "--bundle", tiny_bundle, "--device", "cpu")
    told = document(run("export", "--format", "timm", "--out", tmp_path / "n.safetensors", "--json", *options))
    assert told == {"format": "timm", "files": ["n.safetensors", "n.json"]}
    assert run("export", "--format", "peft", "--out", tmp_path / "copy", *options).status == 0
    network = timm.create_model("efficientnet_b0", num_classes=len(bundle.backbone.species))
    assert PeftModel.from_pretrained(network, str(tmp_path / "copy"))
    ended = run("export", "--format", "peft", "--out", tmp_path / "copy", *options)
    assert ended.status == 2 and "exists" in ended.err and len(ended.err.splitlines()) == 1
