"""A bundle for others: what its card says, what is sent of it, and what of its owner's is not."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import hub_server
import pytest
import torch
from hub_server import WRITER, standing_in
from huggingface_hub import ModelCard

from wildpdiff import cli
from wildpdiff.bundle import Bundle
from wildpdiff.errors import UserError
from wildpdiff.files import load_json, save_tensors
from wildpdiff.hub import Repo
from wildpdiff.manifest import MANIFEST, read_manifest, seal
from wildpdiff.picture import packed
from wildpdiff.share.card import card_of, photographs
from wildpdiff.share.parcel import Parcel

ROOT = Path(__file__).resolve().parents[1]
ADDRESS = "hf-hub:me/tiny"


def sealed_anew(bundle: Path, folder: Path, **changed: object) -> Path:
    """A copy of a bundle whose manifest says something else."""
    copy = shutil.copytree(bundle, folder, dirs_exist_ok=True)
    manifest = load_json(copy / MANIFEST) | changed
    seal(copy, {key: value for key, value in manifest.items() if key not in ("format", "files", "sum")})
    return copy


@pytest.fixture
def own(tiny_bundle: Path, tmp_path: Path) -> Bundle:
    """A bundle that carries photographs of somebody's cameras, made by a recipe that names folders."""
    world = Bundle.open(tiny_bundle).world
    picture = packed(world.backgrounds("R10")[0])
    tensors = {"R10/eval/0": picture, "R10/background/0": picture.clone(), "R10/eval": torch.zeros(1).short()}
    save_tensors(tmp_path / "own" / "photographs.safetensors", tensors)
    spec = {"kind": "stored", "of": "cameras", "species": list(world.species), "locations": ["R10"], "size": 32}
    recipe = load_json(tiny_bundle / MANIFEST)["recipe"] | {
        "world": {
            "kind": "cameras",
            "path": "/disk/ann/traps/metadata.json",
            "images": "D:\\ann\\traps",
            "size": 32,
        },
        "weights": "imagenet",
        "condition": "local-dir:/disk/ann/clip",
    }
    told = {"world": spec | {"about": "Traps of mine.", "caution": "Few."}, "recipe": recipe}
    return Bundle.open(sealed_anew(tiny_bundle, tmp_path / "own", **told))


def test_a_card_is_read_by_the_hubs_own_library_and_has_every_location(tiny_bundle: Path) -> None:
    bundle = Bundle.open(tiny_bundle)
    text = card_of(bundle, ADDRESS)
    data = ModelCard(text).data
    assert (data.license, data.library_name, data.model_name, data.base_model) == (
        "apache-2.0",
        "wildpdiff",
        "tiny",
        None,
    )
    values = {one.dataset_config: one.metric_value for one in data.eval_results}
    figures = bundle.figures("H")["locations"]
    assert values == {name: round(cell["generated"]["mean"], 4) for name, cell in figures.items()}
    assert len(values) == 10
    # 0.5, 0.75 and 0.73 of 200 photographs, with Wilson's intervals
    assert (
        "| R10 | 200 | 50.0 (43.1 to 56.9) | 75.0 (68.6 to 80.5), 8 adapters | 73.0 (66.5 to 78.7), 8 adapters |"
        in text
    )
    for part in (
        'Bundle.open("hf-hub:me/tiny")',
        "wildpdiff serve --bundle hf-hub:me/tiny",
        "Nothing was measured at other",
        "No real animal was photographed",
        "The program drew all of its photographs",
    ):
        assert part in text, part
    assert "{" not in text.partition("# tiny")[2]


def test_the_card_of_the_bundle_that_comes_along_has_its_stored_intervals_and_places_never_seen() -> None:
    text = card_of(Bundle.open(ROOT / "assets/savanna"), "hf-hub:me/savanna")
    assert (
        "| R12 | 200 | 44.0 (37.3 to 50.9) | 92.4 (88.3 to 95.2), 12 adapters | 92.8 (88.7 to 95.6), 100 adapters |"
        in text
    )
    assert "| **U, one picture** | 87.9 (86.1 to 89.6) |" in text
    assert "real cameras" not in text


def test_photographs_of_ones_own_need_a_licence_in_words(own: Bundle) -> None:
    with pytest.raises(UserError, match=r"learned from somebody's photographs; say in one line .*--data-licence CC-BY"):
        card_of(own, ADDRESS)
    with pytest.raises(UserError, match="say in one line"):
        card_of(own, ADDRESS, data_licence="a\nb")
    known = ModelCard(card_of(own, ADDRESS, data_licence="CC-BY-4.0"))
    assert (known.data.license, known.data.license_name) == ("cc-by-4.0", None)
    assert known.data.base_model == "timm/efficientnet_b0.ra_in1k"
    other = card_of(own, ADDRESS, data_licence="Ask Ann: no use without her")
    data = ModelCard(other).data
    assert (data.license, data.license_name) == ("other", "ask-ann-no-use-without-her")
    for part in ("photographs that it learned from: Ask Ann", "Traps of mine. The bundle holds 2 of the photographs."):
        assert part in other, part
    assert photographs(own) == 2


def test_what_is_sent_names_nobodys_folders_and_is_still_a_bundle(own: Bundle, tmp_path: Path) -> None:
    parcel = Parcel.of(own, Repo("me/tiny"), data_licence="CC0-1.0")
    for name, part in parcel.files.items():
        (tmp_path / "got" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "got" / name).write_bytes(part if isinstance(part, bytes) else part.read_bytes())
    recipe = read_manifest(tmp_path / "got")["recipe"]
    assert (recipe["world"]["path"], recipe["world"]["images"]) == ("metadata.json", "traps")
    assert (recipe["condition"], recipe["weights"]) == ("local-dir:clip", "imagenet")
    assert not [name for name in parcel.files if b"/disk/ann" in (tmp_path / "got" / name).read_bytes()]
    assert Bundle.open(tmp_path / "got").fingerprints == own.fingerprints


def test_a_bundle_without_folders_is_sent_as_it_lies(tiny_bundle: Path) -> None:
    parcel = Parcel.of(Bundle.open(tiny_bundle), Repo("me/tiny"))
    assert parcel.files[MANIFEST] == tiny_bundle / MANIFEST
    assert parcel.sizes[MANIFEST] == (tiny_bundle / MANIFEST).stat().st_size


Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Status, stdout and stderr of `wildpdiff push`."""

    def push(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["wildpdiff", "push", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return push


def test_a_dry_run_prints_the_card_lists_the_files_and_asks_nobody(
    typed: Typed, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with standing_in() as hub:
        hub_server.use(hub.address, tmp_path, monkeypatch)
        status, out, err = typed("--bundle", tiny_bundle, "--repo", "me/tiny", "--dry-run")
        assert not hub.asked
    assert status == 0
    assert ModelCard(out).data.library_name == "wildpdiff"
    assert all(name in err for name in (MANIFEST, "backbone.safetensors", "README.md", "Nothing was sent"))


def test_a_push_says_whose_photographs_go_and_where_the_bundle_is(
    typed: Typed, own: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with standing_in() as hub:
        hub_server.use(hub.address, tmp_path / "home", monkeypatch)
        monkeypatch.setenv("HF_TOKEN", WRITER)
        order = ("--bundle", own.folder, "--repo", "ann/traps", "--private", "--data-licence", "CC-BY-4.0")
        status, out, err = typed(*order)
        assert status == 0, err
        assert out.startswith(f"{hub.address}/ann/traps/commit/")
        assert "holds 2 photographs of your cameras" in err and "--bundle hf-hub:ann/traps" in err
        assert hub.repos["ann/traps"].private
        assert b"/disk/ann" not in hub.repos["ann/traps"].files[MANIFEST]
        assert len(hub.repos["ann/traps"].commits) == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--repo", "mine"), "A repository of the hub is called owner/name"),
        (("--repo", "me/tiny"), "The hub takes files only of whom it knows"),
        (("--repo", "me/tiny", "--bundle", "runs/none"), "'none' is not a bundle"),
    ],
)
def test_a_push_that_cannot_be_is_one_sentence(
    typed: Typed,
    tiny_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    sentence: str,
) -> None:
    hub_server.use("http://127.0.0.1:9", tmp_path, monkeypatch)
    order = words if "--bundle" in words else (*words, "--bundle", str(tiny_bundle))
    status, out, err = typed(*order)
    assert (status, out) == (2, "") and f"wildpdiff: {sentence}" in err


def test_a_damaged_bundle_is_not_sent(typed: Typed, tiny_bundle: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(tiny_bundle, tmp_path / "broken")
    (broken / "zoo-H.safetensors").write_bytes(b"x")
    status, out, err = typed("--bundle", broken, "--repo", "me/tiny", "--dry-run")
    assert (status, out) == (2, "") and "'zoo-H.safetensors' is damaged" in err


def test_what_lies_in_the_cache_is_not_changed_by_a_command(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cached = tmp_path / "models--me--tiny" / "snapshots" / ("a" * 40)
    shutil.copytree(tiny_bundle, cached)
    for words in (
        ("reproduce", "fidelity", "--store", "--out", tmp_path / "out"),
        ("universal", "--run", tmp_path / "run"),
        ("pdiff", "--store", "x", "--quick", "--network", "mlp-mini", "--parameters", "all", "--out", tmp_path / "p"),
    ):
        monkeypatch.setattr(sys, "argv", ["wildpdiff", *map(str, words), "--bundle", str(cached), "--device", "cpu"])
        with pytest.raises(SystemExit):
            cli.main()
        assert "'hf-hub:me/tiny@aaaa" in capsys.readouterr().err, words
