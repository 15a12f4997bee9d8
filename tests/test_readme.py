"""What the README prints is what the repository does."""

import json
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import wildpdiff
from wildpdiff import Bundle
from wildpdiff.build.recipes import trained_by
from wildpdiff.cli import app
from wildpdiff.experiments.lab import Lab
from wildpdiff.experiments.result import stored_result
from wildpdiff.files import load_tensors
from wildpdiff.picture import digest
from wildpdiff.readme import results_table
from wildpdiff.reproduce import EXPERIMENTS, chapter, choose, reproduce

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_results_table_is_made_from_the_stored_experiments_and_the_stored_benchmark():
    bench = json.loads((ROOT / "assets/readme/bench.json").read_text())
    assert results_table(Bundle.open(ROOT / "assets/savanna"), bench) in README


def test_every_stored_result_was_measured_on_the_very_parts_that_the_bundle_has():
    bundle = Bundle.open(ROOT / "assets/savanna")
    names = [path.stem for path in (bundle.folder / "results").glob("*.json")]
    assert len(names) > 10
    for name in names:
        result = stored_result(bundle, EXPERIMENTS[name])
        chapter(EXPERIMENTS[name], result)
        assert result.command.startswith(f"wildpdiff reproduce {name}")
        assert re.fullmatch(r"[0-9a-f]{40}", result.commit)


@pytest.mark.slow
def test_the_report_of_the_stored_experiments_is_whole(tmp_path):
    stored = [path.stem for path in (ROOT / "assets/savanna/results").glob("*.json")]
    trains = [name for name in stored if EXPERIMENTS[name].trains]
    bundle = Bundle.open(ROOT / "assets/savanna")
    lab = Lab(bundle, trained_by(bundle))
    for name in trains:
        list(reproduce(choose(name), lab, tmp_path, quick=True, retrain=False, command=f"wildpdiff reproduce {name}"))
    page = (tmp_path / "report.html").read_text()
    assert trains
    assert all(f'id="{name}"' in page for name in trains)


@pytest.mark.slow
def test_the_python_of_the_readme_runs_as_printed(tmp_path, monkeypatch, capsys):
    snippet, of_u = blocks("python")
    assert all(sum(bool(line.strip()) for line in one.splitlines()) <= 12 for one in (snippet, of_u))
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    monkeypatch.chdir(tmp_path)
    exec(compile(snippet, "README.md", "exec"), {})
    values = [float(value) for value in re.findall(r"0\.\d+", capsys.readouterr().out)]
    assert len(values) == 4
    assert (tmp_path / "adapter" / "adapter_model.safetensors").exists()
    shutil.rmtree(tmp_path / "adapter")
    exec(compile(of_u, "README.md", "exec"), {})
    told = capsys.readouterr().out
    assert "trust 100%" in told
    assert len(re.findall(r"0\.\d+", told.rpartition("tensor")[2])) == 4


def test_every_command_in_the_readme_exists():
    named = set(re.findall(r"`?wildpdiff (\w+)", " ".join(re.findall(r"`wildpdiff [^`]*`|wildpdiff serve$", README))))
    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    known |= {group.name for group in app.registered_groups}
    assert named and named <= known
    assert CliRunner().invoke(app, ["--help"]).exit_code == 0


def test_the_test_command_is_the_one_that_ci_runs():
    script = (ROOT / ".ci/run").read_text()
    pattern = re.search(r"sed -n 's/\^\\\((.*)\\\)\$/", script)
    assert pattern is not None
    commands = [line for line in README.splitlines() if re.fullmatch(pattern[1], line)]
    assert len(commands) == 1
    assert commands[0].endswith("pytest")


def test_every_local_file_that_the_readme_names_exists():
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / link).exists(), link


def test_the_public_names_are_those_of_the_package_and_all_load():
    assert sorted(wildpdiff.__all__) == wildpdiff.__all__
    for name in wildpdiff.__all__:
        assert getattr(wildpdiff, name).__name__ == name


def test_the_bundle_was_made_in_this_very_world():
    bundle = Bundle.open(ROOT / "assets/savanna")
    _, drawn = load_tensors(bundle.folder / "pictures.safetensors")
    for name in (bundle.seen[0], bundle.unseen[-1]):
        assert digest(bundle.world.show(name, 240)) == drawn[name], "the savanna changed: train the bundle anew"
        # What is shown has lost some grain (3 to 4 levels); two locations differ by nearly 50.
        again = bundle.world.show(name, 240).float()
        assert (again - bundle.pictures[name].float()).abs().mean() < 8, "another picture is shown"


def test_assets_keep_to_what_a_space_takes():
    files = [path for path in (ROOT / "assets").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 48 * 2**20
    assert max(path.stat().st_size for path in files) <= 10 * 2**20
    kinds = {path.suffix for path in (ROOT / "assets" / "savanna").rglob("*") if path.is_file()}
    assert kinds <= {".safetensors", ".json", ".md"}
