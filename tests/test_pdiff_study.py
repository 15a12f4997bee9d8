"""p-diff's tables and figures: systems that differ in one thing share what they can, and seeds become intervals."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pdiff_folder import TINY

from wildpdiff.errors import UserError
from wildpdiff.files import load_json, load_tensors, save_json
from wildpdiff.pdiff.checkpoints import Checkpoints
from wildpdiff.pdiff.order import Order
from wildpdiff.pdiff.recipe import Recipe
from wildpdiff.pdiff.study import memory, plans, told
from wildpdiff.pdiff.study.cells import SHOWN, Cell, brief, finished, grow
from wildpdiff.pdiff.study.plans import Plan
from wildpdiff.pdiff.study.pooled import pooled
from wildpdiff.pdiff.study.studies import EXPERIMENTS, SAME, STUDIES
from wildpdiff.pdiff.system import BASE, ROWS, System
from wildpdiff.reproduce import choose
from wildpdiff.workers.pool import ONE

RECIPE = replace(TINY, rows=replace(TINY.rows, rows=24))
NAMES = list(STUDIES)


def cell(name: str, *looks: str, seed: int = 0, **changes: Any) -> Cell:
    order = Order("mlp-mini", "norms", size=16, recipe=replace(RECIPE, **changes), seed=seed)
    return Cell(name, order, looks)


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Cell]]:
    """Two systems of one base and the same checkpoints, and a second seed; read only."""
    work = tmp_path_factory.mktemp("study")
    cells = [cell("all", "noise", "steps", "path"), cell("few", known=6), cell("all", "noise", "steps", "path", seed=1)]
    assert [step.index for step in grow(cells, work, workers=ONE)] == [1, 2]  # two bases
    return work, cells


@pytest.fixture(scope="module")
def data(grown: tuple[Path, list[Cell]]) -> dict[str, Any]:
    work, (all_0, few, all_1) = grown
    setting = {
        "first": "checkpoints", "data": "digits", "quick": True, "test": 60, "published": "", "note": "",
        "likeness": True, "counts": True,
    }  # fmt: skip
    every = [brief(own, work, points=True) for own in (all_0, all_1, few)]
    rows = {"all": pooled(every[:2]), "few": pooled(every[2:])}
    return {"setting": setting, "rows": rows}


@pytest.mark.slow
def test_systems_of_one_base_share_it_and_their_checkpoints(grown: tuple[Path, list[Cell]]) -> None:
    work, (first, few, other) = grown
    for name in (BASE, ROWS):
        assert (first.folder(work) / name).read_bytes() == (few.folder(work) / name).read_bytes()
        assert (first.folder(work) / name).read_bytes() != (other.folder(work) / name).read_bytes()


@pytest.mark.slow
def test_a_finished_system_is_not_grown_again(grown: tuple[Path, list[Cell]]) -> None:
    work, cells = grown
    assert not list(grow(cells, work, workers=ONE))


@pytest.mark.slow
def test_a_new_look_at_a_finished_system_measures_that_alone(grown: tuple[Path, list[Cell]], tmp_path: Path) -> None:
    import shutil

    work, (_, few, _) = grown
    folder = shutil.copytree(work, tmp_path / "work") / few.folder(work).relative_to(work)
    before = (folder / "samples.safetensors").stat().st_mtime_ns
    looked = replace(few, looks=("noise",))
    assert not finished(looked, tmp_path / "work")
    assert len(list(grow([looked], tmp_path / "work", workers=ONE))) == 1
    assert finished(looked, tmp_path / "work") and (folder / "samples.safetensors").stat().st_mtime_ns == before


@pytest.mark.slow
def test_fewer_checkpoints_are_learned_from_and_the_held_out_ones_stay(grown: tuple[Path, list[Cell]]) -> None:
    work, (first, few, _) = grown
    some, every = (load_json(own.folder(work) / "results.json")["rows"] for own in (few, first))
    assert (some["shown"], some["held_out"]) == (6, every["held_out"])
    assert every["shown"] == 36


def test_known_checkpoints_are_taken_evenly_and_one_is_too_few() -> None:
    rows = torch.arange(10.0)[:, None].expand(10, 3)
    shown = torch.arange(10) % 5 != 4
    every = Checkpoints(rows, torch.zeros(10), shown)
    assert every.thinned(3).known[:, 0].tolist() == [0, 5, 8]
    assert every.thinned(3).held_out[:, 0].tolist() == [4, 9]
    assert every.thinned(8) is every and every.thinned(None) is every
    with pytest.raises(UserError, match="at least 2"):
        every.thinned(1)


def test_an_unfinished_system_has_no_numbers(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not measured yet"):
        brief(cell("all"), tmp_path, points=False)


def test_a_folder_of_a_recipe_without_the_newer_fields_is_the_same_system(tmp_path: Path) -> None:
    order = Order("mlp-mini", "norms", size=16, recipe=RECIPE)
    System(order, tmp_path / "out").begin()
    about = load_json(tmp_path / "out" / "about.json")
    for field in ("known", "way", "input_noise", "latent_noise"):
        del about["order"]["recipe"][field]
    save_json(tmp_path / "out" / "about.json", about)
    assert System(order, tmp_path / "out").order == order
    with pytest.raises(UserError, match="another p-diff system"):
        System(replace(order, recipe=replace(RECIPE, known=6)), tmp_path / "out")


def test_the_paper_s_way_has_an_autoencoder_with_the_noise_asked_for(tmp_path: Path) -> None:
    from wildpdiff.generator.vae import VAEConfig
    from wildpdiff.pdiff.system import generator_recipe, untrained

    recipe = replace(RECIPE, way="paper", input_noise=0.5, latent_noise=0.25)
    system = System(Order("mlp-mini", "norms", size=16, recipe=recipe), tmp_path / "out")
    from wildpdiff.pdiff.shared import Shared

    config = untrained(Shared(system.network, system.subset), 30, recipe, 0).config
    assert isinstance(config.codec, VAEConfig) and (config.codec.input_noise, config.codec.latent_noise) == (0.5, 0.25)
    assert generator_recipe(recipe, 3).vae_steps > 0 and generator_recipe(recipe, 3).seed == 3
    with pytest.raises(UserError, match="ours, paper"):
        Recipe(way="theirs")


@pytest.mark.slow
def test_the_paper_s_autoencoder_alone_writes_networks_from_its_prior(tmp_path: Path) -> None:
    own = cell("both", "codec", way="paper", denoiser_steps=20)
    list(grow([own], tmp_path, workers=ONE))
    row = pooled([brief(own, tmp_path, points=False)])
    alone = row["looks"]["codec"]
    assert alone["spread"]["mean"] > 0 and 0 < alone["iou"]["mean"] <= 1
    gap = alone["test"]["mean"] - row["groups"]["originals"]["test"]["mean"]
    assert alone["against_originals"]["mean"] == pytest.approx(gap)
    setting = {"first": "noise on", "data": "digits", "quick": True, "test": 60, "published": "", "note": ""}
    titles = [table.title for table in told.tables({"setting": setting, "rows": {"both": row}})]
    assert titles[-1] == "Without diffusion"


@pytest.mark.slow
def test_noise_of_a_larger_scale_is_less_accurate_and_less_alike(data: dict[str, Any]) -> None:
    cells = data["rows"]["all"]["looks"]["noise"]
    small, large = cells["0.001"], cells["0.15"]
    assert small["iou"]["mean"] > 0.9 > large["iou"]["mean"]
    assert small["test"]["mean"] >= large["test"]["mean"]


@pytest.mark.slow
def test_the_finest_steps_are_compared_with_themselves(data: dict[str, Any]) -> None:
    cells = data["rows"]["all"]["looks"]["steps"]
    assert cells["1000"]["distance"]["mean"] == 0 and cells["1000"]["against_finest"]["mean"] == 0
    assert cells["1"]["distance"]["mean"] > cells["50"]["distance"]["mean"] > 0


@pytest.mark.slow
def test_a_path_ends_at_the_accuracy_of_its_sample(grown: tuple[Path, list[Cell]]) -> None:
    work, (first, *_) = grown
    walks = brief(first, work, points=False)["looks"]["path"]["noises"]
    right = load_tensors(first.folder(work) / "measured" / "generated.safetensors")[0]["test"]
    assert [walk[-1] for walk in walks] == pytest.approx(right[:5].float().mean(dim=1).tolist())


@pytest.mark.slow
def test_seeds_become_intervals_and_one_seed_keeps_its_own(data: dict[str, Any]) -> None:
    several, one = data["rows"]["all"], data["rows"]["few"]
    assert (several["seeds"], one["seeds"]) == ([0, 1], [0])
    wide, narrow = (row["groups"]["generated"]["test"] for row in (several, one))
    assert wide["high"] - wide["low"] > narrow["high"] - narrow["low"]  # two seeds tell little of a third
    gap = one["minus_originals"]["generated"]
    assert gap["low"] < gap["mean"] < gap["high"]


def test_what_only_some_seeds_have_is_the_mean_of_those() -> None:
    one = {"iou": {"mean": 0.1, "low": 0.0, "high": 0.2, "se": 0.05}}
    briefs = [{"seed": 0, "numbers": {}, "points": {}, "alike": one}, {"seed": 1, "alike": None}]
    assert pooled(briefs)["alike"]["iou"]["mean"] == 0.1
    assert pooled(briefs[:1] + briefs[:1])["alike"]["iou"]["mean"] == pytest.approx(0.1)
    assert pooled([briefs[0] | {"alike": None}])["alike"] is None


@pytest.mark.slow
def test_tables_and_figures_show_every_system_and_the_sentences_name_it(data: dict[str, Any]) -> None:
    tables, figures = told.tables(data), told.figures(data)
    for table in tables[:4]:
        assert [row[0] for row in table.rows] == ["all", "few"]
        assert all(len(row) == len(table.head) for row in table.rows)
    assert {"Sampling steps", "Noise of fixed scales"} <= {table.title for table in tables}
    titles = [figure["title"] for figure in figures]
    assert "Accuracy and likeness: few" in titles and "The way of five noises" in titles
    sentences = told.findings(data)
    assert any(text.startswith("few:") for text in sentences) and "1 or 2 seeds" in sentences[-1]


@pytest.mark.slow
def test_at_most_so_many_points_of_a_group_are_kept(data: dict[str, Any]) -> None:
    assert all(0 < len(pairs) <= SHOWN for pairs in data["rows"]["all"]["points"].values())


@pytest.mark.slow
def test_a_difference_within_its_interval_is_not_called_one(data: dict[str, Any]) -> None:
    changed = copy.deepcopy(data)
    row = changed["rows"]["few"]
    row["minus_originals"]["generated"] = {"mean": -0.02, "low": -0.03, "high": -0.01, "se": 0.005, "real": True}
    assert any(text.startswith("few: generated are worse than originals") for text in told.findings(changed))
    row["minus_originals"]["generated"] |= {"high": 0.01, "real": False}
    assert any(text.startswith("few: generated do not differ from originals") for text in told.findings(changed))


@pytest.mark.slow
def test_a_rival_is_called_worse_only_where_its_difference_keeps_apart(data: dict[str, Any]) -> None:
    changed = copy.deepcopy(data)
    row = changed["rows"]["few"]
    apart, near = {"mean": -0.05, "low": -0.06, "high": -0.04}, {"mean": 0.0, "low": -0.01, "high": 0.01}
    row["minus_originals"] |= {"generated": near | {"real": False}, "average": apart, "gaussian": near}
    row["minus_base"]["generated"] |= {"mean": 0.02, "low": 0.01, "high": 0.03}
    assert any(text.startswith("few: not shown to be worse: Gaussian;") for text in told.findings(changed))
    row["minus_originals"]["gaussian"] = apart
    assert any(text.startswith("few: base, average and Gaussian are worse;") for text in told.findings(changed))


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_every_study_names_systems_that_differ_and_its_rows_are_the_same_at_each_seed(name: str, quick: bool) -> None:
    plan = Plan.of(quick=quick, seed=0, seeds=STUDIES[name].seeds)
    cells = STUDIES[name].cells(plan)
    assert len({own.folder(Path()) for own in cells}) == len(cells)
    by_seed = {seed: [own.name for own in cells if own.order.seed == seed] for seed in plan.seeds}
    assert all(set(names) <= set(by_seed[0]) for names in by_seed.values())


def test_the_checkpoints_of_the_count_study_are_drawn_from_the_same_rows() -> None:
    cells = plans.counts(Plan.of(quick=False, seed=0, seeds=1))
    assert len({own.rows for own in cells}) == 1 and {own.order.recipe.known for own in cells} == {
        10,
        50,
        200,
        300,
        400,
    }
    assert cells[0].order.recipe.rows.runs * cells[0].order.recipe.rows.rows * 5 // 6 == 400


def test_parts_of_another_table_are_found_by_their_own_names() -> None:
    known = {experiment.name for experiment in EXPERIMENTS}
    assert set(SAME.values()) <= known and not known & set(SAME)
    assert choose("pdiff-figure5b")[0].name == "pdiff-table9"


@pytest.mark.slow
def test_memory_is_measured_in_processes_and_grows_with_the_rows(tmp_path: Path) -> None:
    small, large = (memory._in_process(size, tmp_path / f"{size}.json") for size in (2048, 100_288))
    assert small["rows"] < 3 and large["rows"] == pytest.approx(300 * 100_288 * 4 / 2**20)
    assert large["after"] - large["before"] > large["rows"]  # the rows, and something to train them with
    save_json(tmp_path / "2048.json", small | {"after": 1.0})
    assert memory._in_process(2048, tmp_path / "2048.json")["after"] == 1.0  # what was measured is not measured again


def test_the_slope_is_the_cost_of_a_number_between_the_largest_sizes() -> None:
    found = {"10": {"after": 5.0}, "1048586": {"after": 1205.0}, "2097162": {"after": 2405.0}}
    assert memory.slope(found) == pytest.approx(1200)
    assert memory.slope({"10": {"after": 5.0}}) == 0


def test_memory_s_table_has_the_paper_s_figure_beside_each_of_its_sizes() -> None:
    cell = {"before": 700.0, "after": 800.0, "rows": 2.3, "device": "cpu"}
    data = {"sizes": {"2048": cell, "1000000": cell | {"after": 4000.0}}, "slope": 3360.0}
    (table,) = memory.tables(data)
    assert [row[-1] for row in table.rows] == ["1,188", "–"]
    assert "3.9 GB" in memory.findings(data)[0] and len(memory.figures(data)) == 1
