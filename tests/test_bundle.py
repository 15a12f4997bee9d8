"""A bundle opens whole or not at all."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from test_files import one_sentence

from wildpdiff.adapter import AdapterLayout
from wildpdiff.bundle import MANIFEST, Bundle, blend, seal
from wildpdiff.errors import UserError
from wildpdiff.files import load_json, load_tensors, save_json, save_tensors
from wildpdiff.generator import AdapterGenerator, GeneratorConfig
from wildpdiff.worlds.savanna.world import SEEN, UNSEEN
from wildpdiff.zoo import Zoo

FILES = (
    "backbone.safetensors",
    "clip/open_clip_config.json",
    "clip/open_clip_model.safetensors",
    "generator-H/config.json",
    "generator-H/model.safetensors",
    "zoo-H/R10.safetensors",
    "conditions.safetensors",
    "pictures.safetensors",
    "map-H.safetensors",
)


@pytest.fixture
def copied(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A bundle to damage; replace its files, do not write into them."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle", copy_function=os.link))


def replaced(path: Path, change: Callable[[bytes], bytes]) -> None:
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(change(data))


def resealed(folder: Path) -> None:
    manifest = load_json(folder / MANIFEST)
    seal(folder, {key: value for key, value in manifest.items() if key not in ("format", "files")})


def test_every_part_of_a_bundle_opens_and_fits(tiny_bundle: Path) -> None:
    bundle = Bundle.open(tiny_bundle)
    assert (bundle.seen, bundle.unseen, bundle.regimes) == (SEEN, UNSEEN, ("L", "M", "H"))
    assert tuple(bundle.conditions) == tuple(bundle.pictures) == (*SEEN, *UNSEEN)
    assert bundle.generator("H").condition_name == bundle.condition.name
    assert bundle.generator("H").layout == bundle.backbone.layout == bundle.zoo("H").layout
    rows = bundle.generator("H").generate(bundle.embedding("R10")[None], steps=2)
    assert rows.shape == bundle.zoo("H").of("R10")[0][:1].shape
    assert bundle.world.location("R10").name == "R10"
    assert bundle.figures("H")["locations"].keys() == set(SEEN)


def test_every_file_but_the_manifest_has_its_checksum(tiny_bundle: Path) -> None:
    names = {path.relative_to(tiny_bundle).as_posix() for path in tiny_bundle.rglob("*") if path.is_file()}
    assert set(load_json(tiny_bundle / MANIFEST)["files"]) == names - {MANIFEST}
    assert set(FILES) < names


def test_the_embedding_of_a_location_is_that_of_its_backgrounds(tiny_bundle: Path) -> None:
    bundle = Bundle.open(tiny_bundle)
    computed = bundle.condition(bundle.world.backgrounds("R12"))
    assert torch.allclose(bundle.embedding("R12"), computed, atol=1e-5)


def test_an_unknown_location_is_one_sentence_that_names_the_known_ones(tiny_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        Bundle.open(tiny_bundle).embedding("Z99")
    assert "R10" in one_sentence(error, tiny_bundle)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(UserError) as error:
        Bundle.open(copied)
    assert name in one_sentence(error, copied)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("where", [0.0, 0.5, 1.0])
def test_a_flipped_byte_is_found_and_its_file_named(copied: Path, name: str, where: float) -> None:
    def flip(data: bytes) -> bytes:
        place = int(where * (len(data) - 1))
        return data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]

    replaced(copied / name, flip)
    with pytest.raises(UserError) as error:
        Bundle.open(copied)
    assert name in one_sentence(error, copied)


def test_a_file_that_is_a_folder_is_one_sentence(copied: Path) -> None:
    (copied / FILES[0]).unlink()
    (copied / FILES[0]).mkdir()
    with pytest.raises(UserError) as error:
        Bundle.open(copied)
    one_sentence(error, copied)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[: len(text) // 2],
        lambda text: b"[]",
        lambda text: b"",
        lambda text: text.replace(b'"format": 2', b'"format": 3'),
        lambda text: text.replace(b'"files"', b'"filed"'),
        lambda text: text.replace(b'"regimes"', b'"regines"'),
        lambda text: text.replace(b'"seen"', b'"sees"'),
        lambda text: text.replace(b'"shift"', b'"shilt"'),
        lambda text: text.replace(b'"R10"', b'"R30"'),
        lambda text: text.replace(b'"pretrained": 0.5', b'"pretrained": 0.9'),
    ],
    ids=["cut", "list", "empty", "version", "files", "regime", "seen", "world", "location", "figure"],
)
def test_a_damaged_manifest_is_one_sentence(copied: Path, change: Callable[[bytes], bytes]) -> None:
    before = (copied / MANIFEST).read_bytes()
    assert change(before) != before
    replaced(copied / MANIFEST, change)
    with pytest.raises(UserError) as error:
        Bundle.open(copied)
    one_sentence(error, copied)


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(UserError) as error:
            Bundle.open(folder)
        assert "wildpdiff train" in one_sentence(error, tmp_path.parent)


OTHER = AdapterLayout(("conv_stem.lora_A", "conv_stem.lora_B"), ((4, 3, 3, 3), (32, 4, 1, 1)))


def test_a_generator_of_another_layout_is_refused(copied: Path) -> None:
    shutil.rmtree(copied / "generator-H")
    known = load_json(copied / MANIFEST)
    backbone = Bundle.open(_sealed(copied, known)).backbone
    config = GeneratorConfig.of(OTHER, condition_name="x", condition_dim=16, backbone_fingerprint=backbone.fingerprint)
    AdapterGenerator.untrained(config).save_pretrained(copied / "generator-H")
    resealed(copied)
    with pytest.raises(UserError) as error:
        Bundle.open(copied).generator("H")
    assert "layout" in one_sentence(error, copied)


def test_a_generator_of_another_condition_is_refused(copied: Path) -> None:
    """Embeddings of one CLIP mean nothing to a generator that learnt from another."""
    config = load_json(copied / "generator-H" / "config.json") | {"condition_name": "another-clip"}
    (copied / "generator-H" / "config.json").unlink()
    save_json(copied / "generator-H" / "config.json", config)
    resealed(copied)
    bundle = Bundle.open(copied)
    with pytest.raises(UserError) as error:
        bundle.generator("H"), bundle.condition
    one_sentence(error, copied)


def test_a_generator_of_another_classifier_is_refused(copied: Path) -> None:
    config = load_json(copied / "generator-H" / "config.json") | {"backbone_fingerprint": "0" * 12}
    (copied / "generator-H" / "config.json").unlink()
    save_json(copied / "generator-H" / "config.json", config)
    resealed(copied)
    with pytest.raises(UserError) as error:
        Bundle.open(copied).generator("H")
    one_sentence(error, copied)


def test_a_zoo_of_another_layout_is_refused(copied: Path) -> None:
    shutil.rmtree(copied / "zoo-H")
    Zoo(copied / "zoo-H", OTHER, regime="H").add("R10", torch.zeros(1, OTHER.dim), torch.zeros(1))
    resealed(copied)
    with pytest.raises(UserError) as error:
        Bundle.open(copied).zoo("H").of("R10")
    assert "layout" in one_sentence(error, copied)


def test_sealing_leaves_out_what_is_half_done(tmp_path: Path) -> None:
    save_tensors(tmp_path / "a.safetensors", {"x": torch.zeros(1)})
    save_json(tmp_path / "work" / "b.json", 1)
    (tmp_path / "notes.txt").write_text("")
    seal(tmp_path, {"regime": "H"})
    assert list(load_json(tmp_path / MANIFEST)["files"]) == ["a.safetensors"]
    first = (tmp_path / MANIFEST).read_bytes()
    seal(tmp_path, {"regime": "H"})
    assert (tmp_path / MANIFEST).read_bytes() == first


def test_a_blend_is_the_weighted_sum() -> None:
    a, b = torch.randn(2, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(blend(a, b, 0), a)
    assert torch.allclose(blend(a, b, 1), b)
    assert torch.allclose(blend(a, b, 0.25), 0.75 * a + 0.25 * b, atol=1e-6)


@pytest.mark.parametrize("weight", [-0.01, 1.01, float("nan"), float("inf")])
def test_a_weight_outside_0_to_1_is_refused(weight: float, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        blend(torch.zeros(2), torch.ones(2), weight)
    text = str(error.value)
    assert "0..1" in text
    assert "\n" not in text


def _sealed(folder: Path, manifest: dict) -> Path:
    """Seal what is there now under an earlier manifest's words."""
    seal(folder, {key: value for key, value in manifest.items() if key not in ("format", "files")})
    assert json.loads((folder / MANIFEST).read_text())["files"]
    assert load_tensors(folder / "conditions.safetensors")
    return folder
