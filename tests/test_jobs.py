"""Which fine-tunings make a zoo: held-out pairs, starts, shares of photographs; and what a job does with them."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from wildpdiff.build import jobs, runs, starts
from wildpdiff.build.grow import do
from wildpdiff.build.jobs import Job
from wildpdiff.build.photographs import mixed, photographs
from wildpdiff.build.recipes import SMOKE
from wildpdiff.build.starts import save_row
from wildpdiff.errors import UserError
from wildpdiff.files import load_tensors, save_tensors
from wildpdiff.network.backbone import Backbone
from wildpdiff.training.finetune import FinetuneRecipe
from wildpdiff.worlds.savanna.world import SEEN, SavannaConfig, SavannaWorld
from wildpdiff.zoo import Zoo

TEN = replace(SMOKE, seen=SEEN)
WORLD = SavannaWorld(SavannaConfig(size=32, train_images=8, eval_images=4, background_images=1))
TUNING = FinetuneRecipe(converge=1, rows=2, interval=1, batch_size=2)


def row_of(path: Path) -> torch.Tensor:
    return load_tensors(path)[0]["row"]


def test_of_ten_locations_fifteen_pairs_are_held_out_three_with_each() -> None:
    held_out, every = jobs.held_out_pairs(SEEN), jobs.pairs(SEEN)
    assert len(every) == len(set(every)) == 45
    assert len(held_out) == len(set(held_out)) == 15
    assert set(held_out) < set(every)
    assert set(Counter(name for pair in held_out for name in pair).values()) == {3}
    assert len(set(every) - set(held_out)) == 30


def test_every_location_is_in_pairs_of_both_kinds() -> None:
    training = set(jobs.pairs(SEEN)) - set(jobs.held_out_pairs(SEEN))
    assert Counter(name for pair in training for name in pair) == dict.fromkeys(SEEN, 6)


def test_of_three_locations_none_can_be_held_out() -> None:
    assert jobs.held_out_pairs(SEEN[:3]) == ()


@pytest.mark.parametrize("regime", ["X", "", "l", "blend", "LM"])
def test_an_unknown_regime_is_one_sentence(tmp_path: Path, regime: str) -> None:
    for ask in (
        lambda: jobs.location_jobs(SMOKE, tmp_path, regime),
        lambda: starts.start_file(tmp_path, regime, "R10"),
        lambda: starts.checked_regime(regime),
    ):
        with pytest.raises(UserError, match=rf"^Regime '{regime}' is not known; choose one of: L, M, H\.$"):
            ask()


def test_locations_have_their_own_start_in_l_and_share_one_in_m_and_h(tmp_path: Path) -> None:
    found = {regime: {job.start for job in jobs.location_jobs(TEN, tmp_path, regime)} for regime in starts.REGIMES}
    assert {regime: len(files) for regime, files in found.items()} == {"L": 10, "M": 1, "H": 1}
    assert len(set.union(*found.values())) == 12


def test_drawn_starts_differ_by_location_and_change_nothing_yet(tmp_path: Path, backbone: Backbone) -> None:
    starts.write_starts(SMOKE, backbone, tmp_path)
    files = [starts.start_file(tmp_path, "M", "")]
    files += [starts.start_file(tmp_path, "L", location) for location in SMOKE.seen]
    rows = torch.stack([row_of(path) for path in files])
    assert len(rows.unique(dim=0)) == 4
    factors = backbone.layout.unpack(rows)
    assert all(not value.any() for name, value in factors.items() if name.endswith("lora_B"))
    between = torch.corrcoef(rows)
    assert float((between - torch.eye(4)).abs().max()) < 0.05


def test_starts_that_are_there_are_not_drawn_again(tmp_path: Path, backbone: Backbone) -> None:
    kept = torch.arange(backbone.layout.dim).float()
    save_row(starts.start_file(tmp_path, "M", ""), kept, backbone)
    starts.write_starts(SMOKE, backbone, tmp_path)
    assert torch.equal(row_of(starts.start_file(tmp_path, "M", "")), kept)


def test_starts_are_the_seed_s(tmp_path: Path, backbone: Backbone) -> None:
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        starts.write_starts(replace(SMOKE, seed=seed), backbone, tmp_path / folder)
    rows = [row_of(starts.start_file(tmp_path / folder, "L", "R10")) for folder in "abc"]
    assert torch.equal(rows[0], rows[1]) and not torch.equal(rows[0], rows[2])


def test_a_location_s_job_has_its_own_photographs_name_and_seed(tmp_path: Path) -> None:
    found = jobs.location_jobs(TEN, tmp_path, "M")
    assert [job.name for job in found] == list(SEEN)
    assert [job.parts for job in found] == [((name, 1.0),) for name in SEEN]
    assert len({job.seed for job in found}) == 10
    assert {job.regime for job in found} == {"M"}


def test_an_order_changes_interval_rows_and_locations_but_no_seed(tmp_path: Path) -> None:
    every = {job.name: job for job in jobs.location_jobs(TEN, tmp_path, "H")}
    (job,) = jobs.location_jobs(TEN, tmp_path, "H", interval=9, rows=4, locations=["U11"])
    assert (job.name, job.recipe.interval, job.recipe.rows) == ("U11", 9, 4)
    assert job.recipe.converge == TEN.finetune.converge
    assert job.seed == every["U11"].seed
    assert job.folder != every["U11"].folder


def test_runs_are_as_many_of_every_location_and_regime_and_differ_in_their_seed_and_file(tmp_path: Path) -> None:
    every = runs.all_runs(TEN, tmp_path, tmp_path / "backbone.safetensors")
    assert Counter((run.regime, run.location) for run in every) == {
        (regime, name): TEN.runs for regime in starts.REGIMES for name in SEEN
    }
    assert len({run.path for run in every}) == len(every)
    for regime in starts.REGIMES:
        group = [run for run in every if run.regime == regime]
        assert len({run.seed for run in group}) == len(group)
        assert all(run.start == starts.start_file(tmp_path, regime, run.location) for run in group)


def test_a_run_s_seed_is_no_other_run_s_under_another_seed_of_the_recipe(tmp_path: Path) -> None:
    seeds = [{run.seed for run in runs.all_runs(replace(TEN, seed=seed), tmp_path, tmp_path)} for seed in range(3)]
    assert len(set.union(*seeds)) == sum(map(len, seeds))


def a_run(folder: Path, start: Path, backbone: Path, seed: int) -> runs.Run:
    return runs.Run(folder / f"R10-{seed}.safetensors", "M", "R10", start, backbone, WORLD.to_json(), TUNING, seed)


def test_runs_of_one_location_end_in_rows_of_their_own(tmp_path: Path, backbone: Backbone) -> None:
    """In this process: a spawned one would take seconds to begin."""
    backbone.save(tmp_path / "backbone.safetensors")
    start = start_in(tmp_path, backbone)
    some = [a_run(tmp_path / "runs", start, tmp_path / "backbone.safetensors", seed) for seed in (1, 2, 1)]
    some[2] = replace(some[2], path=tmp_path / "again.safetensors")
    for run in some:
        runs.do_run(run)
    first, second, again = (runs.rows_of_run(run.path, backbone.layout) for run in some)
    assert first.shape == (TUNING.rows, backbone.layout.dim)
    assert torch.equal(first, again) and not torch.equal(first, second)
    assert float((first[-1] - row_of(start)).norm()) > 0


def test_mixed_takes_of_each_location_the_first_photographs_by_its_share() -> None:
    images = mixed(WORLD, (("R10", 0.25), ("U11", 0.75)), "train")
    first, second = WORLD.images("R10", "train"), WORLD.images("U11", "train")
    assert torch.equal(images.pixels, torch.cat([first.pixels[:2], second.pixels[:6]]))
    assert torch.equal(images.labels, torch.cat([first.labels[:2], second.labels[:6]]))
    whole = mixed(WORLD, (("R10", 1.0),), "train")
    assert torch.equal(whole.pixels, first.pixels)


def test_mixed_never_shows_evaluation_photographs_in_training() -> None:
    parts = (("R10", 0.5), ("U11", 0.5))
    train, held_out = (mixed(WORLD, parts, split).pixels.flatten(1) for split in ("train", "eval"))
    assert (len(train), len(held_out)) == (8, 4)
    looks_like = torch.cat([WORLD.images(name, "eval").pixels[:2] for name in ("R10", "U11")]).flatten(1)
    assert torch.equal(held_out, looks_like)
    assert not (train[:, None] == held_out[None]).all(dim=2).any()


def test_photographs_are_of_training_and_of_every_location_as_many() -> None:
    images = photographs(WORLD, ("R10", "U11"), 3)
    expected = torch.cat([WORLD.images(name, "train").pixels[:3] for name in ("R10", "U11")])
    assert torch.equal(images.pixels, expected)


def job(folder: Path, start: Path, *, rows: int = 2) -> Job:
    return Job(folder / "zoo", "M", "R10", start, (("R10", 1.0),), replace(TUNING, rows=rows), 3)


def start_in(folder: Path, backbone: Backbone) -> Path:
    starts.write_starts(replace(SMOKE, seen=()), backbone, folder)
    return starts.start_file(folder, "M", "")


def test_a_job_that_is_done_twice_adds_nothing(tmp_path: Path, backbone: Backbone) -> None:
    todo = job(tmp_path, start_in(tmp_path, backbone))
    do(todo, backbone, WORLD)
    before = (todo.folder / "R10.safetensors").read_bytes()
    do(todo, backbone, WORLD)
    assert (todo.folder / "R10.safetensors").read_bytes() == before
    assert [path.name for path in todo.folder.iterdir()] == ["R10.safetensors"]


def test_a_zoo_that_is_asked_for_more_rows_keeps_its_own_and_goes_on(tmp_path: Path, backbone: Backbone) -> None:
    start = start_in(tmp_path, backbone)
    for rows in (1, 3):
        do(job(tmp_path / "grown", start, rows=rows), backbone, WORLD)
    do(job(tmp_path / "whole", start, rows=3), backbone, WORLD)
    grown, whole = (
        Zoo(tmp_path / name / "zoo", backbone.layout, regime="M").of("R10")[0] for name in ("grown", "whole")
    )
    assert len(whole.unique(dim=0)) == 3
    assert torch.equal(grown, whole)


def test_a_job_may_start_from_the_last_row_of_a_zoo(tmp_path: Path, backbone: Backbone) -> None:
    row = row_of(start_in(tmp_path, backbone))
    save_tensors(tmp_path / "rows.safetensors", {"rows": torch.stack([torch.zeros_like(row), row])})
    do(job(tmp_path / "a", start_in(tmp_path, backbone)), backbone, WORLD)
    do(job(tmp_path / "b", tmp_path / "rows.safetensors"), backbone, WORLD)
    rows = [Zoo(tmp_path / name / "zoo", backbone.layout, regime="M").of("R10")[0] for name in "ab"]
    assert torch.equal(*rows)


@pytest.mark.parametrize("harm", ["missing", "damaged", "of another layout"])
def test_a_start_that_cannot_be_used_is_one_sentence(tmp_path: Path, backbone: Backbone, harm: str) -> None:
    start = start_in(tmp_path, backbone)
    if harm == "missing":
        start.unlink()
    elif harm == "damaged":
        start.write_bytes(start.read_bytes()[:100])
    else:
        save_tensors(start, {"row": torch.zeros(7)})
    with pytest.raises(UserError) as caught:
        do(job(tmp_path, start), backbone, WORLD)
    told = str(caught.value)
    assert told.endswith(".") and "\n" not in told and str(tmp_path) not in told
    assert not list((tmp_path / "zoo").glob("*.safetensors"))


def test_a_job_does_not_write_into_a_zoo_of_another_regime(tmp_path: Path, backbone: Backbone) -> None:
    todo = job(tmp_path, start_in(tmp_path, backbone))
    other = Zoo(todo.folder, backbone.layout, regime="L")
    other.add("R10", torch.zeros(1, backbone.layout.dim), torch.zeros(1))
    with pytest.raises(UserError, match="regime L"):
        do(todo, backbone, WORLD)
    assert other.count("R10") == 1
