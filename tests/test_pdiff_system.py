"""From nothing to a report by one command; killed at any stage it goes on with the same numbers."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pdiff_folder import TINY, own_file, write_pictures
from typer.testing import CliRunner

from wildpdiff.cli import app
from wildpdiff.errors import UserError
from wildpdiff.files import load_json, load_tensors, save_tensors
from wildpdiff.pdiff import recipe as recipes
from wildpdiff.pdiff.chapter import write_report
from wildpdiff.pdiff.cost import cost
from wildpdiff.pdiff.doctor import as_text, disagreement, examine
from wildpdiff.pdiff.order import Order
from wildpdiff.pdiff.system import System
from wildpdiff.training.loop import Step


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--quick` takes seconds."""
    monkeypatch.setitem(recipes.RECIPES, "quick", TINY)


def invoke(*words: str) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> str:
    return own_file(tmp_path_factory.mktemp("own"))


def order_of(own: str, **options: Any) -> Order:
    return Order(own, "all", size=16, recipe=TINY, **options)


@pytest.fixture(scope="module")
def made(own: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished system of the network of one's own; read only."""
    out = tmp_path_factory.mktemp("made") / "out"
    for _ in System(order_of(own), out).run():
        pass
    return out


def test_a_network_of_one_s_own_goes_from_file_to_report_by_one_command(tiny: None, own: str, tmp_path: Path) -> None:
    ended = invoke("pdiff", "--network", own, "--parameters", "all", "--size", 16, "--quick", "--out", tmp_path / "o")
    assert ended.exit_code == 0, ended.output
    assert re.search(r"About \d+ s on \d thread", ended.stderr)
    assert re.search(r"generated +10 ", ended.stdout)
    page = (tmp_path / "o" / "report.html").read_text(encoding="utf-8")
    for words in ("Accuracy and likeness", "weight average of the originals", "Gaussian in PCA", "own_network.py:make"):
        assert words in page
    assert str(tmp_path) not in page and "<script src" not in page
    results = load_json(tmp_path / "o" / "results.json")
    assert set(results["groups"]) >= {
        "base",
        "originals",
        "held_out",
        "average",
        "means",
        "gaussian",
        "noise",
        "generated",
    }
    assert str(tmp_path) not in json.dumps(results)
    assert {path.suffix for path in (tmp_path / "o").rglob("*") if path.is_file()} == {".safetensors", ".json", ".html"}
    again = invoke(
        "pdiff", "--network", own, "--parameters", "all", "--size", 16, "--quick", "--json", "--out", tmp_path / "o"
    )
    assert again.exit_code == 0 and json.loads(again.stdout) == results
    assert "Everything is there already" in again.stderr


def test_generated_rows_are_the_network_s_and_none_is_a_copy(made: Path, own: str) -> None:
    system = System(order_of(own), made)
    rows = load_tensors(made / "samples.safetensors")[0]["rows"]
    assert rows.shape == (TINY.samples, system.shared.layout.dim) == (10, system.shared.numbers)
    assert float(torch.cdist(rows, system.checkpoints.rows).min()) > 0
    found = load_json(made / "results.json")
    right = system.shared.correct(rows, system.pictures.test.pixels[:60], system.pictures.test.labels[:60])
    assert found["groups"]["generated"]["test"]["mean"] == pytest.approx(float(right.float().mean()))
    assert found["rows"]["shown"] == 30 and found["rows"]["held_out"] == 10


@pytest.mark.parametrize("stage", ["base", "rows", "denoiser", "samples", "measure"])
def test_a_system_killed_in_any_stage_goes_on_and_ends_with_the_same_numbers(
    stage: str, made: Path, own: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wildpdiff.pdiff.base.SAVE_EVERY", 7)
    monkeypatch.setattr("wildpdiff.pdiff.checkpoints.SAVE_EVERY", 7)
    monkeypatch.setattr("wildpdiff.generator.optimise.SAVE_EVERY", 7)

    def killed() -> None:
        seen = 0
        for name, _ in System(order_of(own), tmp_path / "out").run():
            seen += name == stage
            if seen > 12 or (seen and stage == "samples"):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed()
    after = [name for name, _ in System(order_of(own), tmp_path / "out").run()]
    whole = len([name for name in after if name == stage])
    assert whole < {"base": 60, "rows": 85, "denoiser": 60, "samples": 2, "measure": 141}[stage]
    for name in ("base", "rows", "samples"):
        ours, theirs = (load_tensors(folder / f"{name}.safetensors")[0] for folder in (tmp_path / "out", made))
        assert all(torch.equal(value, theirs[key]) for key, value in ours.items()), name
    ours, theirs = (
        {k: v for k, v in load_json(at / "results.json").items() if k != "seconds"} for at in (tmp_path / "out", made)
    )
    assert ours == theirs


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_nothing_half_written_and_another_goes_on(own: str, tmp_path: Path) -> None:
    """The quick recipe as it is, in a process of its own that gets SIGKILL once rows are there."""
    words = ["--network", own, "--parameters", "all", "--size", "16", "--quick", "--out"]
    command = [sys.executable, "-c", "from wildpdiff.cli import main; main()", "pdiff", *words]
    process = subprocess.Popen([*command, tmp_path / "killed"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    for _ in range(1200):
        if (tmp_path / "killed" / "rows.safetensors").exists():
            break
        time.sleep(0.1)
    process.kill()
    process.wait()
    assert not (tmp_path / "killed" / "results.json").exists()
    for name in ("killed", "whole"):
        subprocess.run([*command, tmp_path / name], check=True, capture_output=True)
    killed, whole = (load_json(tmp_path / name / "results.json") for name in ("killed", "whole"))
    assert {**killed, "seconds": 0} == {**whole, "seconds": 0}


def test_what_it_costs_is_said_before_anything_is_written(own: str, tmp_path: Path) -> None:
    price = cost(System(order_of(own), tmp_path / "out"))
    assert set(price.seconds) == {"base", "rows", "generator", "measuring"}
    assert all(0 < value < 60 for value in price.seconds.values()) and price.total == sum(price.seconds.values())
    assert not (tmp_path / "out").exists()


def test_another_system_s_folder_is_left_alone(made: Path, own: str, tmp_path: Path) -> None:
    before = sorted(path.name for path in made.iterdir())
    with pytest.raises(UserError, match="another p-diff system"):
        System(replace(order_of(own), seed=3), made)
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(UserError, match="not empty"):
        System(order_of(own), tmp_path)
    assert sorted(path.name for path in made.iterdir()) == before


def test_a_checkpoint_is_taken_as_the_base_and_not_trained(made: Path, own: str, tmp_path: Path) -> None:
    order = order_of(own, checkpoint=made / "base.safetensors")
    stages = {name for name, _ in System(order, tmp_path / "out").run()}
    assert "base" not in stages and "rows" in stages
    ours, theirs = (load_tensors(at / "base.safetensors")[0] for at in (tmp_path / "out", made))
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())


def zoo_of(made: Path, own: str, folder: Path, count: int) -> Path:
    system = System(order_of(own), made)
    for place, row in enumerate(system.checkpoints.rows[:count]):
        state = {name: value.clone() for name, value in system.shared.state(row).items()}
        save_tensors(folder / f"epoch-{place:02d}.safetensors", state)
    return folder


def test_a_folder_of_one_s_own_checkpoints_is_learned_from(made: Path, own: str, tmp_path: Path) -> None:
    folder = zoo_of(made, own, tmp_path / "zoo", 12)
    system = System(order_of(own, zoo=folder), tmp_path / "out")
    stages = {name for name, _ in system.run()}
    assert not stages & {"base", "rate"}
    rows = system.checkpoints.rows
    assert len(rows) == 12 and float(rows[0].abs().max()) == 0  # the first checkpoint is the base
    assert load_json(tmp_path / "out" / "results.json")["rows"]["shown"] == 9
    assert write_report(tmp_path / "out", "wildpdiff").exists()


def test_one_checkpoint_or_equal_ones_are_refused_before_anything_is_written(
    made: Path, own: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="at least 4 checkpoints, but in 'one' there is 1"):
        System(order_of(own, zoo=zoo_of(made, own, tmp_path / "one", 1)), tmp_path / "out")
    folder = zoo_of(made, own, tmp_path / "same", 1)
    for place in range(1, 6):
        shutil.copy(folder / "epoch-00.safetensors", folder / f"copy-{place}.safetensors")
    with pytest.raises(UserError, match="equal"):
        System(order_of(own, zoo=folder), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--parameters", "layer9"], "the nearest are"),
        (["--parameters", ".*"], "--parameters all"),
        (["--parameters", "norms:7"], "1 normalisation layers, not 7"),
        (["--parameters", "all", "--data", "nowhere"], "no set or folder"),
        (["--parameters", "all", "--zoo", "nowhere"], "no folder"),
        (["--parameters", "all", "--checkpoint", "nowhere.safetensors"], "is missing"),
        (["--parameters", "all", "--recipe", "theirs"], "ours, paper, quick"),
        (["--parameters", "all", "--size", "20"], "does not take pictures of 20"),
    ],
)
def test_bad_input_ends_with_one_sentence_and_nothing_is_written(
    words: list[str], said: str, own: str, tmp_path: Path
) -> None:
    size = [] if "--size" in words else ["--size", "16"]
    ended = invoke("pdiff", "--network", own, *size, *words, "--out", tmp_path / "out")
    assert isinstance(ended.exception, UserError) and re.search(re.escape(said), str(ended.exception))
    assert "\n" not in str(ended.exception) and not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_folder_of_pictures_is_enough_for_a_system(tiny: None, tmp_path: Path) -> None:
    pictures = write_pictures(tmp_path / "leaves", {"oak": 40, "elm": 40})
    words = ["--network", "convnext-mini", "--parameters", "last:2", "--data", pictures, "--quick"]
    ended = invoke("pdiff", *words, "--out", tmp_path / "out")
    assert ended.exit_code == 0, ended.output
    assert load_json(tmp_path / "out" / "results.json")["data"]["classes"] == ["elm", "oak"]


def test_doctor_says_what_it_sees_of_a_system(made: Path) -> None:
    found = examine(made)
    assert found["numbers"] == {
        "rows": 40,
        "dim": load_tensors(made / "rows.safetensors")[0]["rows"].shape[1],
        "runs": 2,
    }
    assert sum(layer["share"] for layer in found["layers"]) == pytest.approx(1)
    assert found["codec"]["known"] < found["codec"]["held_out"] < 1
    assert 0 < found["distances"]["nearest"] < 1 < found["distances"]["between_runs"]
    assert set(found["accuracy"]) == {"base", "held_out", "codec", "average"} and 0 < found["differ"] < 1
    assert "first.weight" in as_text(found) and found["findings"]
    ended = invoke("doctor", made, "--json")
    assert ended.exit_code == 0 and json.loads(ended.stdout) == found


def test_doctor_warns_of_networks_that_were_not_trained_from_one_start(tmp_path: Path) -> None:
    """Rows in directions of their own: what is held out lies where no known one does."""
    rng = torch.Generator().manual_seed(0)
    for place in range(12):
        save_tensors(
            tmp_path / f"{place:02d}.safetensors", {"w": torch.randn(500, generator=rng), "n": torch.tensor(3)}
        )
    found = examine(tmp_path)
    assert found["accuracy"] is None and found["codec"]["held_out"] > 0.9
    said = " ".join(found["findings"])
    assert "directions of their own" in said and "does not say its network" in said


def test_two_of_three_networks_disagree_where_one_alone_is_right() -> None:
    right = torch.tensor([[1, 1, 0, 1], [1, 0, 0, 1], [1, 0, 0, 0]], dtype=torch.bool)
    by_hand = [float((right[a] != right[b]).float().mean()) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert disagreement(right) == pytest.approx(sum(by_hand) / 3)
    assert disagreement(right[:1]) == 0


def test_doctor_warns_of_checkpoints_that_answer_alike(made: Path, tmp_path: Path) -> None:
    near = tmp_path / "near"
    shutil.copytree(made, near)
    tensors, about = load_tensors(near / "rows.safetensors")
    save_tensors(near / "rows.safetensors", tensors | {"rows": tensors["rows"] * 1e-7}, about)
    said = " ".join(examine(near)["findings"])
    assert "differ in 0.00% of their answers" in said and "greater rate" in said
    assert "of their answers" not in " ".join(examine(made)["findings"])


def test_doctor_warns_of_copies_and_of_layers_that_never_move(tmp_path: Path) -> None:
    rng = torch.Generator().manual_seed(0)
    for place in range(12):
        moving = torch.randn(50, generator=rng) if place % 2 == 0 else moving  # noqa: F821
        save_tensors(tmp_path / f"{place:02d}.safetensors", {"still": torch.ones(5), "moving": moving.clone()})
    said = " ".join(examine(tmp_path)["findings"])
    assert "12 checkpoints have an equal one" in said and "1 of 2 layers never move (still)" in said


def test_doctor_refuses_what_is_no_folder_of_checkpoints(tmp_path: Path) -> None:
    for folder, said in ((tmp_path / "nowhere", "no folder"), (tmp_path, "at least 4 checkpoints")):
        with pytest.raises(UserError, match=said):
            examine(folder)


def test_steps_of_every_stage_count_up(made: Path, own: str, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "out")
    (tmp_path / "out" / "results.json").unlink()
    shutil.rmtree(tmp_path / "out" / "measured")
    steps = [step for _, step in System(order_of(own), tmp_path / "out").run()]
    assert all(isinstance(step, Step) for step in steps)
    assert [step.index for step in steps] == sorted(step.index for step in steps) and steps[-1].index == steps[-1].total
