"""What a recipe will take: schedules against closed forms, a plan's arithmetic, and a plan against the real thing."""

import json
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from wildpdiff.build import plan as planning
from wildpdiff.build.own import PAPER_LENGTHS
from wildpdiff.build.pace import Pace
from wildpdiff.build.plan import Plan, Stage, plan
from wildpdiff.build.recipes import PAPER, SMOKE
from wildpdiff.build.schedule import ideal, makespan
from wildpdiff.cli import app
from wildpdiff.errors import UserError
from wildpdiff.generator.config import PAPER_UNET, ConditionConfig, GeneratorConfig
from wildpdiff.network.backbone import Backbone


@pytest.mark.parametrize(
    ("jobs", "workers", "seconds"),
    [([], 3, 0), ([5], 1, 5), ([5], 9, 5), ([1] * 7, 3, 3), ([3, 3, 2, 2, 2], 2, 7), ([9, 1, 1, 1], 2, 9)],
)
def test_the_longest_job_first_takes_what_it_takes_by_hand(jobs: list[float], workers: int, seconds: float) -> None:
    assert makespan(jobs, workers) == pytest.approx(seconds)


def test_one_worker_takes_the_sum_and_many_the_longest() -> None:
    draw = random.Random(0)
    jobs = [draw.uniform(1, 9) for _ in range(50)]
    assert makespan(jobs, 1) == pytest.approx(sum(jobs))
    assert makespan(jobs, 50) == max(jobs) and ideal(jobs, 50) == pytest.approx(max(jobs))


@pytest.mark.parametrize("workers", [2, 7, 64])
def test_a_schedule_keeps_grahams_bound(workers: int) -> None:
    """Longest first is never longer than 4/3 - 1/(3m) of the best (Graham, 1969), and never shorter than the ideal."""
    for seed in range(20):
        draw = random.Random(seed)
        jobs = [draw.lognormvariate(0, 1) for _ in range(100)]
        found, least = makespan(jobs, workers), ideal(jobs, workers)
        assert least <= found * (1 + 1e-9) and found <= least + max(jobs)


def test_failures_cost_a_worker_what_they_must_on_average() -> None:
    """One worker: a job takes 1 + p / (1 - p) / 2 of itself, as a failed try ends half way on average."""
    jobs = [1.0] * 4000
    assert makespan(jobs, 1, failing=0.2) == pytest.approx(4000 * (1 + 0.25 / 2), rel=0.02)


def test_no_job_is_lost_to_failures() -> None:
    jobs = [2.0] * 9
    assert makespan(jobs, 3, failing=0.6) > makespan(jobs, 3) == 6
    assert makespan(jobs, 3, failing=0.6) == makespan(jobs, 3, failing=0.6), "the same seed, the same failures"


def test_the_papers_list_with_sixty_four_workers_and_failures_stays_near_the_ideal() -> None:
    """750 runs of 25 a location, of durations that differ by 15%, and 5% of tries lost."""
    for seed in range(10):
        draw = random.Random(seed)
        jobs = [30 * draw.lognormvariate(0, 0.15) for _ in range(750)]
        assert makespan(jobs, 64, failing=0.05, seed=seed) <= 1.3 * ideal(jobs, 64)


def test_a_plans_whole_is_the_sum_of_its_stages() -> None:
    found = Plan("x", 10, (Stage("one", (4.0,) * 10, disk=3e9), Stage("two", (7.0,), memory=5e9)))
    assert [found.span(count) for count in (1, 8, 64)] == [47, 15, 11]
    assert found.disk == 3e9
    words = found.words()
    assert "The most memory needs 'two': 5.0 GB a job." in words and "longest stage is 'two': 7.0 s" in words
    assert json.loads(json.dumps(found.to_json()))["seconds"] == {"1": 47, "8": 15, "64": 11}


def test_a_worker_begins_once_and_reads_each_location_once_however_many_jobs_it_has() -> None:
    stage = Stage("rows", (10.0,) * 12, begin=5.0, places=3, reading=2.0)
    assert stage.span(1) == 5 + 3 * 2 + 120
    assert stage.span(4) == 5 + 3 * 2 + 30
    assert stage.span(12) == stage.span(64) == 5 + 1 * 2 + 10, "one job, so one location, a worker"


def test_a_first_locations_row_is_made_only_for_the_regime_that_starts_from_it() -> None:
    def starts(*regimes: str) -> int:
        own = replace(SMOKE, regimes=regimes, start="first")
        return len({stage.name: stage for stage in planning._stages(own, flat())}["starts"].jobs)

    assert starts("L", "M") == 1 and starts("M", "H") == 2, "the joint row is always made"


def flat(dim: int = 1000) -> Pace:
    """A second for everything."""
    seconds = {name: 1.0 for name in Pace.__dataclass_fields__ if name != "dim"}
    return Pace(**seconds, dim=dim)


def test_every_run_of_a_recipe_is_a_job_of_the_plan() -> None:
    stages = {stage.name: stage for stage in planning._stages(SMOKE, flat())}
    runs = len(SMOKE.regimes) * len(SMOKE.seen) * SMOKE.runs
    assert len(stages["rows"].jobs) == runs + 1, "and the unconditional generator's rows"
    assert stages["rows"].jobs[0] == SMOKE.run.steps, "a step a second"
    assert (stages["rows"].places, stages["rows"].reading) == (len(SMOKE.seen), 24), "photographs to read"
    assert stages["rows"].disk == (runs * SMOKE.run.rows + SMOKE.long_rows) * 1000 * 4
    assert len(stages["generators"].jobs) == len(SMOKE.regimes) + 1
    assert stages["curves"].jobs == tuple(
        (SMOKE.connect_apart if regime == "L" else SMOKE.connect).steps + 3 * 24 for regime in SMOKE.regimes
    )
    without = {stage.name: stage for stage in planning._stages(replace(SMOKE, alone=False), flat())}
    assert len(without["rows"].jobs) == runs and len(without["generators"].jobs) == len(SMOKE.regimes)


def test_where_the_last_layer_learns_alone_no_training_step_is_counted() -> None:
    def seconds(weights: str | None, thaw: bool) -> float:
        own = replace(SMOKE, pretrain=replace(SMOKE.pretrain, steps=10_000), weights=weights, thaw=thaw)
        paced = replace(flat(), pretrain=float(own.learns_whole))  # as `pace` has it
        return next(planning._stages(own, paced)).jobs[0]

    assert seconds("imagenet", False) < 1000 < 10_000 < seconds(None, False) < seconds("imagenet", True)


def test_the_papers_recipe_has_the_papers_budget() -> None:
    """Sections 4.1 and B: rank 22 makes 360,690 numbers, 0.34 M in 2^20; 300 rows a location; 115 locations."""
    recipe = PAPER
    backbone = recipe.begun(("a", "b"), pretrained=False)
    assert backbone.layout.dim == 360_690 and round(backbone.layout.dim / 2**20, 2) == 0.34
    assert recipe.runs * recipe.run.rows == recipe.finetune.rows == 300 and recipe.finetune.interval == 100
    assert (len(recipe.pretraining), len(recipe.seen), len(recipe.unseen)) == (100, 10, 5)
    assert recipe.thaw and recipe.weights == "imagenet" and recipe.condition == "ViT-B-32/openai"
    assert set(PAPER_LENGTHS) <= set(recipe.__dataclass_fields__)


def test_the_papers_widths_are_an_option_of_the_plain_form(backbone: Backbone) -> None:
    config = GeneratorConfig.of(backbone.layout, condition=ConditionConfig("c", 8), backbone_fingerprint="f")
    wide = config.plain(autoencoder=True, widths="paper")
    assert wide.denoiser.widths == PAPER_UNET == (64, 128, 256, 512)
    assert wide.latent_shape[0] * wide.latent_shape[1] == 2048
    assert config.plain().denoiser.widths != PAPER_UNET


@pytest.mark.parametrize("rank", [1, 4, 22])
def test_a_recipes_rank_is_that_of_its_rows(rank: int) -> None:
    backbone = replace(SMOKE, rank=rank).begun(("a", "b"))
    assert backbone.lora.rank == rank and backbone.layout.dim == 65_580 // 4 * rank
    assert backbone.lora.alpha / backbone.lora.rank == 1


def test_a_clip_that_open_clip_does_not_know_cannot_be_timed() -> None:
    with pytest.raises(UserError, match=r"knows no such model as 'Nothing', so it cannot be timed; .*\.$"):
        list(plan(replace(SMOKE, condition="Nothing/at-all", pretrain=replace(SMOKE.pretrain, batch_size=2))))


@pytest.mark.slow
def test_a_dry_run_prints_a_plan_and_writes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    told = CliRunner().invoke(app, ["train", "--recipe", "smoke", "--dry-run", "--out", str(out)])
    assert told.exit_code == 0 and not out.exists()
    lines = [line.split()[0] for line in told.stdout.splitlines()[2:-2]]
    assert lines == ["backbone", "clip", "starts", "rows", "conditions", "curves", "generators", "gallery", "figures"]
    assert re.search(r"^whole .* (s|min) ", told.stdout, re.MULTILINE)


@pytest.mark.parametrize("recipe", ["own", "paper"])
def test_a_recipe_for_a_data_set_needs_one(recipe: str, tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["train", "--recipe", recipe, "--out", str(tmp_path / "out")])
    assert isinstance(told.exception, UserError) and "--data PATH" in str(told.exception)
