"""Which fine-tunings make a zoo: held-out pairs, starts, shares of photographs; and what a job does with them."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from wildpdiff.backbone import Backbone
from wildpdiff.errors import UserError
from wildpdiff.experiments import jobs
from wildpdiff.experiments.grow import Job, do, mixed, photographs, save_row
from wildpdiff.experiments.recipes import SMOKE
from wildpdiff.files import load_tensors, save_tensors
from wildpdiff.finetune import FinetuneRecipe
from wildpdiff.worlds.savanna.world import SEEN, SavannaConfig, SavannaWorld
from wildpdiff.zoo import Zoo

TEN = replace(
    SMOKE,
    seen=SEEN,
    middle=FinetuneRecipe(converge=1, rows=1, interval=3),
    flank=FinetuneRecipe(converge=1, rows=1, interval=7),
)
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
        lambda: jobs.start_file(tmp_path, regime, "R10"),
        lambda: jobs.checked_regime(regime),
    ):
        with pytest.raises(UserError, match=rf"^Regime '{regime}' is not known; choose one of: L, M, H\.$"):
            ask()


def test_locations_have_their_own_start_in_l_and_share_one_in_m_and_h(tmp_path: Path) -> None:
    starts = {regime: {job.start for job in jobs.location_jobs(TEN, tmp_path, regime)} for regime in jobs.REGIMES}
    assert {regime: len(files) for regime, files in starts.items()} == {"L": 10, "M": 1, "H": 1}
    assert len(set.union(*starts.values())) == 12


def test_drawn_starts_differ_by_location_and_change_nothing_yet(tmp_path: Path, backbone: Backbone) -> None:
    jobs.write_starts(SMOKE, backbone, tmp_path)
    files = [jobs.start_file(tmp_path, "M", "")]
    files += [jobs.start_file(tmp_path, "L", location) for location in SMOKE.seen]
    rows = torch.stack([row_of(path) for path in files])
    assert len(rows.unique(dim=0)) == 4
    factors = backbone.layout.unpack(rows)
    assert all(not value.any() for name, value in factors.items() if name.endswith("lora_B"))
    between = torch.corrcoef(rows)
    assert float((between - torch.eye(4)).abs().max()) < 0.05


def test_starts_that_are_there_are_not_drawn_again(tmp_path: Path, backbone: Backbone) -> None:
    kept = torch.arange(backbone.layout.dim).float()
    save_row(jobs.start_file(tmp_path, "M", ""), kept, backbone)
    jobs.write_starts(SMOKE, backbone, tmp_path)
    assert torch.equal(row_of(jobs.start_file(tmp_path, "M", "")), kept)


def test_starts_are_the_seed_s(tmp_path: Path, backbone: Backbone) -> None:
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        jobs.write_starts(replace(SMOKE, seed=seed), backbone, tmp_path / folder)
    rows = [row_of(jobs.start_file(tmp_path / folder, "L", "R10")) for folder in "abc"]
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


def test_the_parts_of_every_blend_add_up_to_one(tmp_path: Path) -> None:
    for job in (*jobs.middle_jobs(TEN, tmp_path), *jobs.flank_jobs(TEN, tmp_path)):
        assert sum(share for _, share in job.parts) == pytest.approx(1)
        (a, first), (b, second) = job.parts
        assert a != b and min(first, second) > 0
        assert job.name == jobs.blend_name(a, b, second)


def test_middles_are_made_of_all_pairs_and_flanks_of_training_pairs(tmp_path: Path) -> None:
    middles, flanks = jobs.middle_jobs(TEN, tmp_path), jobs.flank_jobs(TEN, tmp_path)
    assert len(middles) == 45 and {share for job in middles for _, share in job.parts} == {0.5}
    assert {job.start for job in middles} == {tmp_path / "joint.safetensors"}
    assert len(flanks) == 60
    held_out = set(jobs.held_out_pairs(SEEN))
    assert not [job for job in flanks if tuple(name for name, _ in job.parts) in held_out]
    assert Counter(job.parts[1][1] for job in flanks) == {0.25: 30, 0.75: 30}
    assert len({(job.folder, job.name) for job in (*middles, *flanks)}) == 105
    assert len({job.seed for job in flanks}) == 60


def test_a_flank_starts_from_where_its_pair_s_middle_is_written(tmp_path: Path) -> None:
    written = {
        tuple(name for name, _ in job.parts): job.folder / f"{job.name}.safetensors"
        for job in jobs.middle_jobs(TEN, tmp_path)
    }
    for job in jobs.flank_jobs(TEN, tmp_path):
        assert job.start == written[tuple(name for name, _ in job.parts)]


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
    jobs.write_starts(replace(SMOKE, seen=()), backbone, folder)
    return jobs.start_file(folder, "M", "")


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
