"""A bundle opens whole or not at all."""

import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from test_files import one_sentence
from tiny_bundle import shown

from wildpdiff import manifest as manifests
from wildpdiff.bundle import Bundle
from wildpdiff.condition.base import blend
from wildpdiff.errors import UserError
from wildpdiff.files import load_json, load_tensors, save_json, save_tensors
from wildpdiff.generator import AdapterGenerator, ConditionConfig, GeneratorConfig
from wildpdiff.manifest import MANIFEST, seal
from wildpdiff.network.adapter import AdapterLayout
from wildpdiff.worlds.savanna.world import SEEN, UNSEEN
from wildpdiff.zoo import CodedZoo, Kind

KINDS: tuple[Kind, ...] = ("shown", "held_out", "other_runs")
FILES = (
    "backbone.safetensors",
    "clip/open_clip_config.json",
    "clip/open_clip_model.safetensors",
    "generator-H/config.json",
    "generator-H/model.safetensors",
    "generator-H/paper.safetensors",
    "generator-R10/model.safetensors",
    "zoo-H.safetensors",
    "curves-H.safetensors",
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
    assert bundle.generator("H").condition == ConditionConfig(bundle.condition.name, bundle.condition.dim)
    assert bundle.generator("H").layout == bundle.backbone.layout
    for way in ("ours", "paper"):
        rows = bundle.generator("H", way=way).generate(bundle.embedding("R10")[None], steps=2)
        assert rows.shape == bundle.zoo("H").rows("R10")[:1].shape == (1, bundle.backbone.layout.dim)
    assert bundle.unconditional.layout == bundle.backbone.layout
    assert bundle.world.location("R10").name == "R10"
    assert bundle.figures("H")["locations"].keys() == set(SEEN)


def test_the_mean_rows_of_a_regime_are_those_of_the_rows_that_the_generator_knows(tiny_bundle: Path) -> None:
    bundle = Bundle.open(tiny_bundle)
    anchors, hubs = bundle.curves("M")
    assert anchors.shape == hubs.shape == (10, bundle.backbone.layout.dim)
    assert torch.equal(bundle.means("M"), anchors) and not torch.allclose(anchors, hubs, atol=1e-3)
    for place, name in enumerate(SEEN):
        rows, all_rows = bundle.zoo("M").rows(name), [bundle.zoo("M").rows(name, kind) for kind in KINDS]
        spread = float(torch.pdist(rows).mean())
        assert float((anchors[place] - rows.mean(dim=0)).norm()) < 0.02 * spread
        assert float((anchors[place] - torch.cat(all_rows).mean(dim=0)).norm()) > 0.02 * spread


def test_rows_are_kept_by_what_the_generator_saw_of_them(tiny_bundle: Path) -> None:
    zoo = Bundle.open(tiny_bundle).zoo("L")
    known = {kind: zoo.coded("U11", kind) for kind in KINDS}
    assert {kind: len(rows) for kind, rows in known.items()} == {"shown": 24, "held_out": 8, "other_runs": 8}
    place = SEEN.index("U11")
    assert torch.equal(known["shown"], zoo.latents[place][shown()])
    assert torch.equal(known["other_runs"], zoo.latents[place, -1])
    assert torch.equal(known["held_out"], zoo.latents[place, :-1, 3::4].flatten(0, 1))
    rows = zoo.rows("U11", "held_out")
    assert torch.allclose(zoo.generator.encode(rows)[:, 0], known["held_out"], atol=1e-3)
    assert torch.allclose(zoo.rows("U11", at_most=3), zoo.rows("U11")[[0, 12, 23]], atol=1e-6)
    with pytest.raises(UserError, match=r"'Z99'; it has R10, "):
        zoo.rows("Z99")


def test_distances_between_coded_rows_are_those_between_rows(tiny_bundle: Path) -> None:
    zoo = Bundle.open(tiny_bundle).zoo("M")
    rows, coded = zoo.rows("R10", "held_out"), zoo.coded("R10", "held_out")
    assert torch.allclose(torch.pdist(coded) * zoo.unit, torch.pdist(rows), rtol=0.02)


def test_the_zoo_tells_how_far_its_rows_lie_from_what_the_codec_keeps(tiny_bundle: Path) -> None:
    """Beside one row, three more that the codec cannot say: one off by 3, one by 4, one by both."""
    generator = Bundle.open(tiny_bundle).generator("H")
    row = Bundle.open(tiny_bundle).means("H")[:1]
    rng = torch.Generator().manual_seed(0)
    off = torch.linalg.qr(torch.randn(row.shape[1], 2, generator=rng))[0].T
    off = torch.linalg.qr((off - (generator.reconstruct(row + off) - generator.reconstruct(row))).T)[0].T
    rows = torch.cat([row, row + 3 * off[:1], row + 4 * off[1:], row + 3 * off[:1] + 4 * off[1:]])
    zoo = CodedZoo.of_rows(("R10",), [rows.view(2, 2, -1)], torch.ones(2, 2, dtype=torch.bool), generator)
    assert zoo.beyond.flatten().tolist() == pytest.approx([0, 3, 4, 5], abs=0.05)
    assert torch.allclose(zoo.latents.view(4, -1), zoo.latents.view(4, -1)[:1], atol=1e-2)


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
        lambda text: text.replace(b'"format": 5', b'"format": 4'),
        lambda text: text.replace(b'"files"', b'"filed"'),
        lambda text: text.replace(b'"variants"', b'"variance"'),
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


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"format": ' + b"9" * 5_000 + b"}", b"\xff", b"null", b"7"])
def test_a_manifest_that_is_no_object_is_one_sentence(copied: Path, content: bytes) -> None:
    replaced(copied / MANIFEST, lambda _: content)
    with pytest.raises(UserError) as error:
        Bundle.open(copied)
    one_sentence(error, copied)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        *(("files", value) for value in ([], None, {"a": 1}, "x", {"joint.safetensors": None})),
        *(("seen", value) for value in ({}, None, [1], [], "R10")),
        *(("unseen", value) for value in (None, [None], 3)),
        *(
            ("figures", value)
            for value in ([], None, {"H": 3}, {"H": {"locations": "x"}}, {"H": {"unseen": {"D03": 1}}})
        ),
        ("figures", {"H": {"locations": {"R10": {"generated": "good"}}}}),
        *(("world", value) for value in ([], None, "savanna")),
        *(("variants", value) for value in ({}, None, [1], [[]], 5)),
    ],
)
def test_a_part_of_another_kind_is_one_sentence_though_the_sum_is_right(copied: Path, part: str, value: object) -> None:
    manifest = load_json(copied / MANIFEST) | {part: value}
    save_json(copied / MANIFEST, manifest | {"sum": manifests._sum(manifest)})
    with pytest.raises(UserError) as error:
        Bundle.open(copied)
    one_sentence(error, copied)


def test_a_manifest_of_other_locations_than_the_embeddings_is_one_sentence(copied: Path) -> None:
    manifest = load_json(copied / MANIFEST)
    manifest["seen"].pop()
    save_json(copied / MANIFEST, manifest | {"sum": manifests._sum(manifest)})
    with pytest.raises(UserError, match="one finite embedding for each of the 14 locations"):
        Bundle.open(copied).embedding("R10")


def test_a_pointer_of_git_lfs_in_a_bundle_says_what_to_run(copied: Path) -> None:
    replaced(copied / FILES[0], lambda _: b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1\n")
    with pytest.raises(UserError) as error:
        Bundle.open(copied)
    assert "run `git lfs pull`" in one_sentence(error, copied)


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(UserError) as error:
            Bundle.open(folder)
        assert "wildpdiff train" in one_sentence(error, tmp_path.parent)


OTHER = AdapterLayout(("conv_stem.lora_A", "conv_stem.lora_B"), ((4, 3, 3, 3), (32, 4, 1, 1)))


def both_met(bundle: Bundle) -> None:
    """Load the classifier, then a generator."""
    bundle.backbone  # noqa: B018 - loads it
    bundle.generator("H")


def test_a_generator_of_another_layout_is_refused(copied: Path) -> None:
    shutil.rmtree(copied / "generator-H")
    known = load_json(copied / MANIFEST)
    backbone = Bundle.open(_sealed(copied, known)).backbone
    config = GeneratorConfig.of(OTHER, condition=ConditionConfig("x", 16), backbone_fingerprint=backbone.fingerprint)
    AdapterGenerator.untrained(config).save_pretrained(copied / "generator-H")
    resealed(copied)
    with pytest.raises(UserError) as error:
        both_met(Bundle.open(copied))
    assert "layout" in one_sentence(error, copied)


def test_a_generator_of_another_condition_is_refused(copied: Path) -> None:
    """Embeddings of one CLIP mean nothing to a generator that learnt from another."""
    config = load_json(copied / "generator-H" / "config.json")
    config["condition"]["name"] = "another-clip"
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
        both_met(Bundle.open(copied))
    one_sentence(error, copied)


def test_a_classifier_that_comes_second_is_checked_against_the_generator_as_well(copied: Path) -> None:
    """What is stored is shown before the classifier is loaded; each time it is asked for, the mistake is told."""
    config = load_json(copied / "generator-H" / "config.json") | {"backbone_fingerprint": "0" * 12}
    (copied / "generator-H" / "config.json").unlink()
    save_json(copied / "generator-H" / "config.json", config)
    resealed(copied)
    bundle = Bundle.open(copied)
    assert bundle.generator("H").layout == bundle.layout
    for _ in range(2):
        with pytest.raises(UserError) as error:
            bundle.backbone  # noqa: B018 - loads it
        one_sentence(error, copied)


def test_threads_may_open_classifier_and_generators_at_the_same_time(copied: Path) -> None:
    for _ in range(5):
        bundle = Bundle.open(copied)
        acts = [lambda: bundle.generator("H"), lambda: bundle.backbone, lambda: bundle.zoo("H")] * 4  # noqa: B023
        with ThreadPoolExecutor(12) as pool:
            for asked in [pool.submit(act) for act in acts]:
                asked.result()


def test_a_classifier_is_described_without_being_loaded(copied: Path) -> None:
    bundle = Bundle.open(copied)
    told, layout = bundle.described, bundle.layout
    assert "_backbone" not in bundle.__dict__
    backbone = bundle.backbone
    assert (told.species, told.architecture, told.lora) == (backbone.species, backbone.architecture, backbone.lora)
    assert told.numbers == sum(weight.numel() for weight in backbone.network.parameters())
    assert layout == backbone.layout


def test_a_classifier_that_an_answer_loads_first_can_be_written_to_later(copied: Path) -> None:
    with torch.inference_mode():
        network = Bundle.open(copied).backbone.network
    assert not any(weight.is_inference() for weight in network.state_dict().values())


@pytest.mark.parametrize("name", ["zoo-H.safetensors", "generator-H/paper.safetensors"])
def test_what_belongs_to_another_codec_is_refused(copied: Path, name: str) -> None:
    other = (copied / name.replace("H", "L")).read_bytes()
    replaced(copied / name, lambda data: other)
    resealed(copied)
    bundle = Bundle.open(copied)
    with pytest.raises(UserError) as error:
        bundle.zoo("H") if name.startswith("zoo") else bundle.generator("H", way="paper")
    assert "another codec" in one_sentence(error, copied)


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
