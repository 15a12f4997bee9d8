"""Sweeps and evaluations by several workers are those of one process."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from wildpdiff.bundle import Bundle
from wildpdiff.cli import app
from wildpdiff.errors import UserError
from wildpdiff.measure.by_location import evaluate_locations, evaluate_shared
from wildpdiff.sweep import Sweep
from wildpdiff.sweep.run import run
from wildpdiff.sweep.shared import run_shared
from wildpdiff.workers.pool import TWO, Workers


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Bundle:
    return Bundle.open(tiny_bundle)


@pytest.fixture
def here(tmp_path: Path) -> Workers:
    """Workers by submitit's debug mode: one after the other in this process."""
    return Workers(2, "slurm-debug", logs=tmp_path / "logs")


def sweep_of(bundle: Bundle) -> Sweep:
    a, b, c = bundle.seen[:3]
    return Sweep(((a, b), (b, c)), (0.0, 0.5), seeds=2, steps=2, images=3)


def test_a_shared_sweep_has_the_records_and_rows_of_one_process_in_the_same_order(
    bundle: Bundle, here: Workers, tmp_path: Path
) -> None:
    sweep = sweep_of(bundle)
    alone, shared = list(run(bundle, sweep)), list(run_shared(bundle, sweep, here, tmp_path))
    assert len(shared) == sweep.size == 8
    for one, other in zip(alone, shared, strict=True):
        assert torch.equal(one.row, other.row) and torch.equal(one.right, other.right)
        assert one.record == other.record
    assert not list(tmp_path.glob(".sweep-*"))


def test_a_sweep_of_an_unknown_location_hands_nothing_out(bundle: Bundle, here: Workers, tmp_path: Path) -> None:
    odd = replace(sweep_of(bundle), pairs=(("nowhere", bundle.seen[0]),))
    with pytest.raises(UserError, match="nowhere"):
        list(run_shared(bundle, odd, here, tmp_path))
    assert not (tmp_path / "logs").exists()


def test_a_shared_evaluation_is_that_of_one_process(
    bundle: Bundle, here: Workers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    how = {"regime": "H", "samples": 2, "seed": 0, "steps": 2}
    *_, (_, alone) = evaluate_locations(bundle, bundle.seen[:2], **how)
    steps = list(evaluate_shared(bundle, bundle.seen[:2], here, **how))
    assert [step.index for step, _ in steps] == [1, 2]
    assert steps[-1][1] == json.loads(json.dumps(alone))
    assert not list(tmp_path.glob(".evaluate-*"))


@pytest.mark.slow
def test_two_processes_write_a_sweep(bundle: Bundle, tmp_path: Path) -> None:
    sweep = sweep_of(bundle)
    shared = list(run_shared(bundle, sweep, TWO, tmp_path))
    assert [one.record.weight for one in shared] == [one.record.weight for one in run(bundle, sweep)]


def test_the_command_line_hands_a_sweep_to_an_executor(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = bundle.seen[:2]
    monkeypatch.chdir(tmp_path)
    what = ["sweep", "--pairs", f"{a}:{b}", "--weights", "0,1", "--steps", "2", "--images", "3", "--json"]
    where = ["--bundle", str(bundle.folder), "--device", "cpu"]
    one = CliRunner().invoke(app, [*what, *where])
    more = CliRunner().invoke(app, [*what, *where, "--executor", "slurm-debug", "--workers", "2"])
    assert (one.exit_code, more.exit_code) == (0, 0), more.output
    assert json.loads(one.stdout) == json.loads(more.stdout)


@pytest.mark.parametrize(("slurm", "told"), [
    ("timeout_min", "Slurm's parameters are pairs like timeout_min=600, not 'timeout_min'."),
    ("=5", "Slurm's parameters are pairs like timeout_min=600, not ''."),
    ("a=", "Slurm's parameters are pairs like timeout_min=600, not 'a'."),
])  # fmt: skip
def test_slurm_parameters_that_are_no_pairs_are_one_sentence(slurm: str, told: str, tmp_path: Path) -> None:
    said = CliRunner().invoke(app, ["zoo", "--executor", "slurm-debug", "--slurm", slurm, "--out", str(tmp_path)])
    assert isinstance(said.exception, UserError) and str(said.exception) == told


def test_an_executor_that_nobody_knows_is_one_sentence(tmp_path: Path) -> None:
    said = CliRunner().invoke(app, ["zoo", "--executor", "cloud", "--out", str(tmp_path)])
    assert isinstance(said.exception, UserError) and "Executor 'cloud' is not known" in str(said.exception)
