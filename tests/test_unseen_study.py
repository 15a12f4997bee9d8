"""Places never seen: how the study counts, and that every part of it runs and is not run twice."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from wildpdiff.build.recipes import trained_by
from wildpdiff.build.stock import Stock
from wildpdiff.bundle import Bundle
from wildpdiff.errors import UserError
from wildpdiff.experiments.lab import Lab
from wildpdiff.files import load_tensors
from wildpdiff.training.finetune import FinetuneRecipe
from wildpdiff.unseen import balanced, cell, counted, study, ways
from wildpdiff.unseen.far import far_pictures
from wildpdiff.unseen.merge import layers_of, merged
from wildpdiff.unseen.told import findings, scaling_findings, scaling_tables, tables
from wildpdiff.unseen.told_start import arrived, start_findings, start_tables
from wildpdiff.workers.pool import ONE
from wildpdiff.worlds.savanna.world import SavannaConfig, SavannaWorld

SPEC = SavannaWorld(SavannaConfig(size=32, background_images=2)).to_json()


def test_a_mean_over_classes_counts_rare_ones_as_much_as_frequent_ones() -> None:
    labels = torch.tensor([[0, 0, 0, 1]])
    assert counted.by_class(torch.tensor([[0, 0, 0, 0]]), labels).tolist() == [0.5]
    assert counted.by_class(torch.tensor([[[0, 0, 0, 1], [0, 0, 0, 0]]]), labels).tolist() == [0.75]


def test_places_that_a_way_was_not_asked_at_are_not_counted_as_wrong() -> None:
    labels = torch.tensor([[0, 1], [1, 1]])
    right = counted.right_at(torch.tensor([[0, 0], [-1, -1]]), labels)
    assert right[0] == 0.5
    assert right[1].isnan()
    assert counted.over(right)["mean"] == 0.5
    assert counted.over(right)["n"] == 1


def test_the_share_of_the_way_is_of_the_means() -> None:
    shares = {"pretrained": torch.tensor([0.6, 0.8]), "u": torch.tensor([0.8, 0.8]), "oracle": torch.tensor([0.9, 0.9])}
    assert counted._way_to(shares, "u")["mean"] == pytest.approx(0.5)
    assert counted._way_to(shares, "oracle")["mean"] == pytest.approx(1)


def test_a_start_has_arrived_where_it_is_within_a_point_of_fine_tuning_there() -> None:
    curve = {"0": {"mean": 0.7}, "10": {"mean": 0.889}, "20": {"mean": 0.891}}
    data = {"oracle": {"mean": 0.9}, "curves": {"start_u": curve, "start_new": {"0": {"mean": 0.1}}}}
    assert arrived(data, "start_u") == 20
    assert arrived(data, "start_new") is None


def test_noise_and_colours_are_far_and_a_folder_of_photographs_is_added(tmp_path: Path) -> None:
    assert len(far_pictures(tmp_path / "none", 32)) == 16
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    assert len(far_pictures(tmp_path, 32)) == 16


def test_a_stock_is_filled_once_and_gives_the_first_places(tmp_path: Path) -> None:
    stock = Stock(tmp_path, SPEC, "validation", 3, 2, 1)
    assert [step.index for step in stock.fill(workers=ONE)] == [1]
    written = stock.path_of(2).stat().st_mtime_ns
    assert list(stock.fill(workers=ONE)) == []
    assert stock.path_of(0).stat().st_mtime_ns == written
    assert len(stock.open(2)) == 2
    with pytest.raises(UserError, match="There are 3 places of kind 'validation', not 4"):
        stock.open(4)


def test_a_merge_by_layer_gives_each_layer_its_own_weights(tiny_bundle: Path) -> None:
    """Both factors of a layer go together; weights of one location are that location's row."""
    layout = Bundle.open(tiny_bundle).layout
    layers, rows = layers_of(layout), torch.randn(3, layout.dim)
    assert len(layers) == layout.dim and int(layers.max()) + 1 == len(layout.names) // 2
    own = torch.zeros(3, int(layers.max()) + 1)
    own[1] = 1
    assert torch.equal(merged(rows, own, layers), rows[1])
    own[1, 0], own[2, 0] = 0, 1
    found = merged(rows, own, layers)
    assert torch.equal(found[layers == 0], rows[2][layers == 0]) and torch.equal(found[layers > 0], rows[1][layers > 0])
    assert torch.allclose(merged(rows, torch.full_like(own, 1 / 3), layers), rows.mean(dim=0), atol=1e-6)


@pytest.mark.slow
def test_the_whole_study_runs_and_a_second_time_only_counts(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    brief = FinetuneRecipe(converge=1, rows=1, interval=1, batch_size=2)
    monkeypatch.setattr(ways, "ORACLE", brief)
    monkeypatch.setattr(ways, "FEW", (1, 4))
    monkeypatch.setattr(cell, "FEW", (1, 4))
    monkeypatch.setattr(cell, "PASTED", 4)
    monkeypatch.setattr(cell, "CHOOSERS", 1)
    for module in (ways, cell):
        monkeypatch.setattr(module, "PASTING_STEPS", (1, 2))
        monkeypatch.setattr(module, "RATES", (1e-4, 1e-3), raising=False)
    monkeypatch.setattr(ways, "START_STEPS", (1, 3))
    monkeypatch.setattr(study, "FEW_PLACES", 2)
    monkeypatch.setattr(study, "FEW_PHOTOGRAPHS", 12)
    for module in ("site", "ways"):
        for name, value in (("ASKED", 6), ("LOOKED_AT", 4)):
            monkeypatch.setattr(f"wildpdiff.unseen.{module}.{name}", value, raising=False)
    recipe = replace(study.recipe_of(_lab(folder, tmp_path)), places=4, photographs=6, validation=2, scenes=4)
    small = replace(recipe, validation_photographs=8, sight=replace(recipe.sight, batch_size=4, steps=2))
    monkeypatch.setattr(study, "recipe_of", lambda lab: small)
    monkeypatch.setattr(study, "SCALING", (2, 4))

    def at_once(work, jobs, *, workers):  # in this process, where the numbers above hold
        for count, job in enumerate(jobs, start=1):
            work(job)
            yield count

    monkeypatch.setattr(study, "each", at_once)
    lab = _lab(folder, tmp_path)
    *_, (_, data) = study.measure(lab)
    assert data["places"] == 2
    assert {"pretrained", "joint", "u", "u_words", "zoo_merge", "codec", "paste2", "plain2", "oracle"} <= set(
        data["ways"]
    )
    assert all(0 <= own["all"]["mean"] <= 1 for own in data["ways"].values())
    assert len(tables(data)) == 4
    assert findings(data)
    begun = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*.safetensors")}
    *_, (_, again) = study.measure(lab)
    assert again == data
    assert {path: path.stat().st_mtime_ns for path in begun} == begun
    *_, (_, curve) = study.measure_scaling(lab)
    assert list(curve["counts"]) == ["2", "4"]
    assert len(scaling_tables(curve)[0].rows) == 2
    assert "2 to 4 training places" in scaling_findings(curve)[0]
    *_, (_, starts) = study.measure_start(lab)
    assert list(starts["curves"]["start_u"]) == ["0", "1", "3"]
    assert starts["curves"]["start_u"]["0"]["mean"] == pytest.approx(data["ways"]["u"]["all"]["mean"])
    assert starts["curves"]["start_joint"]["0"]["mean"] != starts["curves"]["start_new"]["0"]["mean"]
    assert len(start_tables(starts)) == 2
    assert start_findings(starts)


def _lab(folder: Path, tmp_path: Path) -> Lab:
    bundle = Bundle.open(folder)
    return Lab(bundle, trained_by(bundle), tmp_path / "run", workers=ONE, quick=True)


@pytest.mark.slow
def test_a_balanced_row_trains_on_logits_that_hold_the_prior(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two rows a location from one start; they differ, and a second time is counted alone."""
    folder = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    called: list[str] = []

    def at_once(work, jobs, *, workers):
        for count, job in enumerate(jobs, start=1):
            called.append(job.path.name)
            work(job)
            yield count

    monkeypatch.setattr(balanced, "each", at_once)
    monkeypatch.setattr(balanced, "ASKED", 4)
    lab = _lab(folder, tmp_path)
    *_, (_, data) = balanced.measure(lab)
    assert len(called) == 2 * len(lab.bundle.seen)
    assert set(data["home"]) == {"plain", "balanced", "balanced + own prior"}
    rows = [load_tensors(path)[0]["row"] for path in sorted((tmp_path / "run").rglob("*-*.safetensors"))]
    assert len(torch.stack(rows).unique(dim=0)) == len(rows) == 2 * len(lab.bundle.seen)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*.safetensors")}
    *_, (_, again) = balanced.measure(lab)
    assert again == data and {path: path.stat().st_mtime_ns for path in times} == times
    assert [len(table.rows) for table in balanced.tables(data)] == [3, 3, 2]
    assert len(balanced.findings(data)) == 3


def test_a_log_prior_is_that_of_the_labels() -> None:
    prior = balanced.log_prior(torch.tensor([0, 0, 0, 2]), 4)
    assert prior.exp().sum() == pytest.approx(1)
    assert (prior[0] - prior[2]).exp() == pytest.approx(3.5 / 1.5)
