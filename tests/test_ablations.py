"""Ablations: what they train, what they measure, and what is said of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from laboratory import RuledLab, fake_bundle, planes
from test_generator import LAYOUT, small_generator

from wildpdiff.build.jobs import zoo_folder
from wildpdiff.errors import UserError
from wildpdiff.evaluate import most_alike, overlap
from wildpdiff.files import save_tensors
from wildpdiff.generator.recipe import GeneratorRecipe
from wildpdiff.measure.statistics import estimate
from wildpdiff.pdiff import ablations
from wildpdiff.pdiff import figures as ablation_figures
from wildpdiff.pdiff import runs as ablation_runs
from wildpdiff.pdiff import tables as ablation_report
from wildpdiff.pdiff.runs import Place, even, own_nearest, train_all, variants
from wildpdiff.training.loop import Step
from wildpdiff.workers.pool import ONE, TWO, Workers
from wildpdiff.zoo import Zoo

SEEN = ("D09", "R10")
IMAGES = 24


def toy_lab(folder: Path, *, rows: int = 12, whole: bool = True, samples: int = 3) -> RuledLab:
    """Two locations with a few rows each, and a bundle with an untrained generator."""
    rng = torch.Generator().manual_seed(3)
    means, views = torch.randn(3, 6, generator=rng), torch.randn(3, 4, 6, generator=rng)
    save_tensors(folder / "bundle" / "conditions.safetensors", {"mean": means, "views": views}, {"condition": "toy"})
    zoo = Zoo(folder / ("run/work/zoo-H-5" if whole else "bundle/zoo-H"), LAYOUT, regime="H")
    for location in SEEN:
        zoo.add(location, torch.randn(50, generator=rng) + 0.3 * torch.randn(rows, 50, generator=rng), torch.ones(rows))
    generator = small_generator(1)
    bundle = fake_bundle(
        SEEN,
        ("H",),
        folder=folder / "bundle",
        backbone=SimpleNamespace(layout=LAYOUT),
        generator=lambda regime, way="ours": generator,
        embedding=lambda location: means[SEEN.index(location)],
    )
    recipe: Any = SimpleNamespace(plain=GeneratorRecipe(5, 4, 1e-3, 6, 4), finetune=SimpleNamespace(interval=5), seed=0)
    return RuledLab(bundle, recipe, folder / "run", samples=samples, rule=planes(SEEN, IMAGES, seed=0))


def train_here(wanted: Any, *, workers: Workers) -> Any:
    """As `train_all`, in this process."""
    for variant in wanted:
        yield from ablation_runs.train_variant(variant)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The findings of a whole toy run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ablations, "train_all", train_here)
        patch.setattr(ablations, "STEPS", (2, 5))
        *_, (_, found) = ablations.measure(toy_lab(tmp_path_factory.mktemp("whole")))
    return found


def test_overlap_is_the_share_of_common_mistakes_among_all_mistakes() -> None:
    first = torch.tensor([[False, False, True, True, True], [True, True, True, True, True]])
    second = torch.tensor([[True, False, False, False, True], [True, True, True, True, True]])
    assert torch.allclose(overlap(first, second), torch.tensor([[1 / 4, 0.0], [0.0, 1.0]], dtype=torch.float64))


def test_a_known_adapter_is_not_like_itself_but_like_the_others() -> None:
    known = torch.tensor([[False, False, True], [False, True, True], [True, True, False]])
    assert most_alike(known, known, same=True).tolist() == [0.5, 0.5, 0.0]


def test_others_have_no_more_adapters_to_be_like_than_the_known_ones_have() -> None:
    rng = torch.Generator().manual_seed(0)
    known, other = torch.rand(5, 30, generator=rng) > 0.4, torch.rand(4, 30, generator=rng) > 0.4
    table = overlap(other, known)
    wanted = [[max(row[place] for place in range(5) if place != left) for left in range(5)] for row in table.tolist()]
    assert torch.allclose(most_alike(other, known, same=False), torch.tensor(wanted).double().mean(dim=1))


def test_the_nearest_other_row_is_not_the_row_itself() -> None:
    assert own_nearest(torch.tensor([[0.0], [1.0], [4.0]])) == pytest.approx((1 + 1 + 3) / 3)


def test_fewer_rows_span_the_same_range() -> None:
    rows = torch.arange(100.0)[:, None]
    assert even(rows, 4).flatten().tolist() == [0, 33, 66, 99]
    assert even(rows, 300) is rows


def test_each_variant_lacks_one_thing(tmp_path: Path) -> None:
    lab = toy_lab(tmp_path, rows=60)
    wanted = variants(lab)
    noise = {name: (one.config.codec.input_noise, one.config.codec.latent_noise) for name, one in wanted.items()}
    assert noise == {
        "neither": (0, 0), "input": (0.001, 0), "latent": (0, 0.1),
        "both": (0.001, 0.1), "10": (0.001, 0.1), "50": (0.001, 0.1),
    }  # fmt: skip
    assert {name: len(one.rows()[0]) for name, one in wanted.items()} == dict.fromkeys(noise, 120) | {
        "10": 20,
        "50": 100,
    }
    assert {one.config for one in wanted.values()} - {wanted["both"].config} == {
        wanted[name].config for name in ("neither", "input", "latent")
    }
    assert wanted["both"].config == lab.bundle.generator("H").config.plain(autoencoder=True)
    assert len({one.folder for one in wanted.values()}) == len({one.digest() for one in wanted.values()}) == 6


def test_rows_are_trained_on_with_their_own_locations_views(tmp_path: Path) -> None:
    lab = toy_lab(tmp_path)
    one = variants(lab)["both"]
    rows, index = one.rows()
    assert torch.equal(rows[index == 1], lab.rows("H", "R10", interval=5))
    assert one.embeddings.shape == (2, 5, 6)
    assert torch.equal(one.embeddings[1, 0], lab.bundle.embedding("R10"))


def test_without_a_whole_zoo_or_a_training_folder_it_is_refused(tmp_path: Path) -> None:
    bare = toy_lab(tmp_path, whole=False)
    with pytest.raises(UserError, match="one long run a location") as told:
        variants(bare)
    # What `wildpdiff zoo --out DIR` grows there is what would have been read.
    assert f"DIR the folder '{bare.work.name}' in it" in str(told.value)
    assert bare.zoo("H").folder == zoo_folder(bare.run / bare.work.name, "H", 5)
    lab = toy_lab(tmp_path / "other")
    with pytest.raises(UserError, match="--run"):
        variants(replace(lab, run=None))


def test_a_location_with_a_damaged_file_is_left_out(tmp_path: Path) -> None:
    lab = toy_lab(tmp_path)
    (tmp_path / "run/work/zoo-H-5/D09.safetensors").write_bytes(b"no tensors")
    assert variants(lab)["both"].locations == ("R10",)
    assert len(lab.left_out) == 1


@pytest.mark.slow
def test_workers_train_what_is_missing_and_skip_what_is_finished(tmp_path: Path) -> None:
    lab = toy_lab(tmp_path)
    wanted = variants(lab)
    list(ablation_runs.train_variant(wanted["neither"]))
    kept = (wanted["neither"].folder / "model.safetensors").stat().st_mtime_ns
    steps = list(train_all([wanted["neither"], wanted["both"]], workers=TWO))
    assert [(step.index, step.total) for step in steps] == [(1, 1)]
    assert (wanted["neither"].folder / "model.safetensors").stat().st_mtime_ns == kept
    assert list(train_all([wanted["neither"], wanted["both"]], workers=TWO)) == []
    assert sorted(path.name for path in wanted["both"].folder.iterdir()) == ["config.json", "model.safetensors"]


def test_a_killed_variant_is_resumed_and_ends_with_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wildpdiff.generator.optimise.SAVE_EVERY", 3)
    one, other = (variants(toy_lab(tmp_path / name))["both"] for name in ("killed", "whole"))
    killed = ablation_runs.train_variant(one)
    assert [next(killed).index for _ in range(9)][-1] == 9
    killed.close()
    assert one.finished() is None
    assert [step.index for step in ablation_runs.train_variant(one)] == [9, 10, 11]
    list(ablation_runs.train_variant(other))
    first, second = one.finished(), other.finished()
    assert first is not None and second is not None and first.fingerprint == second.fingerprint


def test_a_generator_of_other_rows_is_trained_anew(tmp_path: Path) -> None:
    lab = toy_lab(tmp_path)
    list(ablation_runs.train_variant(variants(lab)["both"]))
    assert variants(lab)["both"].finished() is not None
    lab.zoo("H").add("R10", torch.randn(1, 50), torch.ones(1))
    assert variants(lab)["both"].finished() is None


@pytest.mark.slow
def test_a_worker_that_complains_is_heard(tmp_path: Path) -> None:
    one = variants(toy_lab(tmp_path))["both"]
    one.embeddings[0, 0, 0] = float("nan")
    with pytest.raises(UserError, match="not finite"):
        list(train_all([one], workers=ONE))


def test_the_path_ends_at_what_generate_gives(tmp_path: Path) -> None:
    lab = toy_lab(tmp_path)
    place = Place(lab, {"ours": lab.bundle.generator("H")}, [12], "R10")
    found = ablations.path(place)
    rows = lab.bundle.generator("H").generate(lab.bundle.embedding("R10").expand(2, -1), steps=50, seed=0)
    assert list(found) == [str(step) for step in ablations.PATH_AT]
    assert found["50"]["accuracy"] == estimate(lab.correct(rows, "R10"))
    assert found["50"]["distance"] == 0 < found["1"]["distance"]


def test_a_run_measures_every_location_and_ablation_as_plain_json(data: dict[str, Any]) -> None:
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert set(data["locations"]) == set(SEEN)
    assert set(data["mean"]) == {"noise", "checkpoints", "steps", "likeness", "path", "guidance"}
    assert list(data["mean"]["checkpoints"]) == ["10", "12"]
    assert data["mean"]["noise"]["both"]["against_both"]["mean"] == 0
    assert data["mean"]["checkpoints"]["12"]["generated"] == data["mean"]["noise"]["both"]["generated"]
    cell = data["mean"]["noise"]["input"]["generated"]
    parts = [tree["noise"]["input"]["generated"]["mean"] for tree in data["locations"].values()]
    assert cell["mean"] == pytest.approx(sum(parts) / 2)
    assert (cell["n"], cell["adapters"], cell["images"]) == (2, 3, 2 * IMAGES)
    assert len(data["mean"]["likeness"]["generated"]["points"]) == 2 * 3


def test_steps_never_go_back_and_end_at_the_total(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablations, "STEPS", (2, 5))
    monkeypatch.setattr(ablation_runs, "NOISES", {"both": (True, True)})
    monkeypatch.setattr(ablations, "NOISES", {"both": (True, True)})

    def train_in_one_step(wanted: Any, *, workers: Workers) -> Any:
        list(train_here(wanted, workers=workers))
        yield Step(1, 1, 0.0)

    monkeypatch.setattr(ablations, "train_all", train_in_one_step)
    steps = [step for step, _ in ablations.measure(toy_lab(tmp_path, rows=9, samples=2))]
    indices = [step.index for step in steps]
    assert indices == sorted(indices) and len({step.total for step in steps}) == 1
    assert steps[-1].index == steps[-1].total == 1 + 2 * 6
    assert len(set(indices)) == len(indices)


def test_every_ablation_has_a_table_with_full_rows_and_a_figure(data: dict[str, Any]) -> None:
    tables = ablation_report.tables(data)
    assert len(tables) == 6 and all(len(row) == len(table.head) for table in tables for row in table.rows)
    assert [row[-1] for row in tables[0].rows] == ["76.7", "76.7", "77.6", "77.7"]
    assert len(ablation_figures.figures(data)) == 6
    json.dumps(ablation_figures.figures(data), allow_nan=False)


def test_a_smaller_zoo_is_said_plainly(data: dict[str, Any]) -> None:
    said = " ".join(ablation_report.findings(data))
    assert "has 12 checkpoints a location: 50 and 100 and 300 need the full recipe" in said


@pytest.mark.parametrize(
    ("mean", "real", "words"),
    [(0.02, True, "better than noise by +2.0"), (-0.02, True, "worse than noise by \u2212"), (0.02, False, "no diff")],
)
def test_a_difference_is_called_one_only_if_it_is_real(mean: float, real: bool, words: str) -> None:
    value = {"mean": mean, "low": mean - 0.01, "high": mean + 0.01, "se": 0.005, "real": real}
    assert words in ablation_report._compared(value, "noise")
