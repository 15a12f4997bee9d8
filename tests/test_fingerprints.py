"""One fingerprint for each part of a bundle, moved by that part alone; experiments read what they say."""

import os
import shutil
from pathlib import Path

import pytest
import torch
from tiny_bundle import store

from wildpdiff.build.recipes import trained_by
from wildpdiff.bundle import Bundle
from wildpdiff.errors import UserError
from wildpdiff.experiments.lab import Lab
from wildpdiff.experiments.result import stored_result
from wildpdiff.files import load_json, load_tensors, save_json, save_tensors
from wildpdiff.manifest import MANIFEST, seal
from wildpdiff.reproduce import EXPERIMENTS
from wildpdiff.studio.learn.stored import Stored
from wildpdiff.studio.ood import findings
from wildpdiff.studio.results import curves

PER_REGIME = {f"{part}-{regime}" for part in ("generator", "zoo", "curves", "map") for regime in "LMH"}


@pytest.fixture
def copied(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A bundle to change; replace its files, do not write into them."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle", copy_function=os.link))


def resealed(folder: Path, **changed: object) -> Bundle:
    seal(folder, load_json(folder / MANIFEST) | changed)
    return Bundle.open(folder)


def moved(folder: Path, name: str) -> None:
    """Another content for a file of a bundle, which stays a readable one."""
    tensors, about = load_tensors(folder / name)
    (folder / name).unlink()
    save_tensors(folder / name, tensors, about | {"moved": "yes"})


def test_every_part_has_a_fingerprint_and_stored_results_have_none(copied: Path) -> None:
    before = Bundle.open(copied).fingerprints
    assert set(before) == PER_REGIME | {"classifier", "condition", "world", "joint", "unconditional", "pictures"}
    assert all(len(own) == 12 for own in before.values()) and len(set(before.values())) == len(before)
    store(copied, "curves", {"curves": {}})
    assert Bundle.open(copied).fingerprints == before


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("backbone.safetensors", "classifier"),
        ("conditions.safetensors", "condition"),
        ("clip/open_clip_model.safetensors", "condition"),
        ("joint.safetensors", "joint"),
        ("generator-H/model.safetensors", "generator-H"),
        ("generator-L/paper.safetensors", "generator-L"),
        ("generator-R10/model.safetensors", "unconditional"),
        ("zoo-M.safetensors", "zoo-M"),
        ("curves-H.safetensors", "curves-H"),
    ],
)
def test_a_changed_file_moves_the_fingerprint_of_its_part_alone(copied: Path, name: str, part: str) -> None:
    before = Bundle.open(copied).fingerprints
    moved(copied, name)
    after = resealed(copied).fingerprints
    assert {key for key in before if before[key] != after[key]} == {part}


def test_a_changed_spec_moves_the_world_s_fingerprint_alone(copied: Path) -> None:
    before = Bundle.open(copied)
    after = resealed(copied, world=before.manifest["world"] | {"seed": 1}).fingerprints
    assert {key for key in after if before.fingerprints[key] != after[key]} == {"world"}


def test_what_an_experiment_depends_on_is_a_part_or_stands_for_those_of_all_regimes(tiny_bundle: Path) -> None:
    bundle = Bundle.open(tiny_bundle)
    assert set(bundle.depends(("classifier", "generator"))) == {"classifier", *(f"generator-{one}" for one in "LMH")}
    assert set(bundle.depends(("generator-H",))) == {"generator-H"}
    for experiment in EXPERIMENTS.values():
        found = bundle.depends(experiment.depends)
        assert all(any(part in (own, own.partition("-")[0]) for own in found) for part in experiment.depends)
    for name in ("table5", "table7", "table8", "figure4"):
        assert set(bundle.depends(EXPERIMENTS[name].depends)) == {"classifier", "world"}


@pytest.mark.parametrize("name", ["table5", pytest.param("slider", marks=pytest.mark.slow)])
def test_an_experiment_reads_no_part_that_it_does_not_name(tiny_bundle: Path, tmp_path: Path, name: str) -> None:
    """The files of all other parts are missing, and still it measures its first cell."""
    whole, experiment = Bundle.open(tiny_bundle), EXPERIMENTS[name]
    kept = {"backbone": "classifier", "clip": "condition", "conditions": "condition"}
    for file in whole.manifest["files"]:
        part = file.partition("/")[0].removesuffix(".safetensors")
        if kept.get(part, part) in whole.depends(experiment.depends):
            (tmp_path / file).parent.mkdir(exist_ok=True)
            os.link(tiny_bundle / file, tmp_path / file)
    bundle = Bundle(tmp_path, whole.manifest, torch.device("cpu"))
    step, _ = next(iter(experiment.measure(Lab(bundle, trained_by(whole), samples=2))))
    assert step.index >= 1


def test_a_stale_result_is_shown_nowhere_and_every_place_says_so(copied: Path) -> None:
    store(copied, "curves", {"curves": {"H": {}}})
    store(copied, "table2", {"regimes": {}})
    store(copied, "table3", {"mean": {}})
    fresh = Bundle.open(copied)
    assert "problem" not in curves(fresh) and {"table2", "curves"} <= set(Stored.of(fresh).results)
    moved(copied, "generator-H/model.safetensors")
    stale = resealed(copied)
    with pytest.raises(UserError, match=r"^The stored table2 is stale: it was measured on another generator-H; "):
        stored_result(stale, EXPERIMENTS["table2"])
    shown = curves(stale)
    assert shown["curves"] == {} and "another generator-H" in shown["problem"]
    stored = Stored.of(stale)
    assert stored.results == {} and "The stored table2 is stale" in stored.absent("table2")
    assert "The stored table3 is stale" in findings(stale, "H")[1]


def test_a_result_that_needs_no_generator_stays_when_generators_change(copied: Path) -> None:
    store(copied, "table5", {"locations": {}})
    moved(copied, "generator-H/model.safetensors")
    assert stored_result(resealed(copied), EXPERIMENTS["table5"]).data == {"locations": {}}
    moved(copied, "backbone.safetensors")
    with pytest.raises(UserError, match="another classifier"):
        stored_result(resealed(copied), EXPERIMENTS["table5"])


def test_an_older_format_of_results_is_refused(copied: Path) -> None:
    save_json(copied / "results" / "table5.json", {"format": 1, "name": "table5", "data": {}, "bundle": "0" * 64})
    with pytest.raises(UserError, match="another format"):
        stored_result(resealed(copied), EXPERIMENTS["table5"])
