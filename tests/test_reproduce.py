"""One command for every table and figure: what is measured, read, kept, refused and said."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from wildpdiff import reproduce
from wildpdiff.errors import UserError
from wildpdiff.experiments import commit as commits
from wildpdiff.experiments import result as results
from wildpdiff.experiments.lab import Experiment, Lab, Table
from wildpdiff.experiments.result import Result
from wildpdiff.plots import charts
from wildpdiff.plots.charts import Series
from wildpdiff.training.loop import Step

RESULT = Result(
    name="table2",
    data={"mean": 0.875},
    depends={"classifier": "a1"},
    samples=8,
    seed=3,
    quick=True,
    seconds=61.5,
    command="wildpdiff reproduce table2",
    commit="abc",
    versions={"torch": "2"},
    left_out=("Two rows of R10.",),
)


def experiment(name: str, *, trains: bool = False, problem: str = "", value: float = 0.875) -> Experiment:
    def measure(lab: Lab) -> Iterator[tuple[Step, dict[str, Any]]]:
        yield Step(1, 2, 0.0), {}
        if problem:
            raise UserError(problem)
        lab.left_out.append(f"A row of {name}.")
        yield Step(2, 2, 0.0), {"mean": value, "pair": (1, 2)}

    def tables(data: dict[str, Any]) -> list[Table]:
        return [Table("Means", ("what", "ours"), (("mean", f"{100 * data['mean']:.1f}"),), "A note.")]

    def figures(data: dict[str, Any]) -> list[dict[str, Any]]:
        return [charts.bars("Mean", ["a"], [Series("b", ["a"], [data["mean"]])], y="accuracy, %")]

    says = [f"{name} said."]
    return Experiment(name, f"Title of {name}", "Why?", measure, tables, figures, lambda data: says, trains, ("part",))


@pytest.fixture(autouse=True)
def _short_script(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few letters in place of the megabytes of plotly's script."""
    monkeypatch.setattr("plotly.offline.get_plotlyjs", lambda: "/* draws */")


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    parts, world = {"classifier": "a1"}, SimpleNamespace(about="Drawn on a lawn.", caution="Not of grass.")
    folder, manifest = tmp_path / "bundle", {"seen": ["R10"]}
    bundle: Any = SimpleNamespace(folder=folder, manifest=manifest, world=world, depends=lambda names: parts)
    recipe: Any = None
    return Lab(bundle, recipe, samples=5, seed=7)


def run(experiments: list[Experiment], lab: Lab, out: Path, *, retrain: bool = False) -> list[tuple[str, Step]]:
    return list(reproduce.reproduce(experiments, lab, out, quick=True, retrain=retrain, command="wildpdiff it"))


def store(lab: Lab, result: Result) -> Path:
    path = lab.bundle.folder / "results" / f"{result.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result.to_json()))
    return path


def test_a_result_is_the_same_after_json() -> None:
    assert Result.from_json(json.loads(json.dumps(RESULT.to_json())), "a.json") == RESULT


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        RESULT.to_json() | {"format": 99},
        {"format": 2, "name": "table2"},
        RESULT.to_json() | {"depends": 5},
        RESULT.to_json() | {"data": 5},
    ],
)
def test_a_result_of_another_kind_is_named_in_one_sentence(document: Any) -> None:
    with pytest.raises(UserError, match=r"^'table2\.json' is [^.]*\.$"):
        Result.from_json(document, "table2.json")


def test_one_name_or_all_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = experiment("table2"), experiment("figure2")
    monkeypatch.setattr(reproduce, "EXPERIMENTS", {"table2": first, "figure2": second})
    assert reproduce.choose("all") == (first, second)
    assert reproduce.choose("figure2") == (second,)


def test_an_unknown_name_is_told_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reproduce, "EXPERIMENTS", {"table2": experiment("table2"), "figure2": experiment("figure2")})
    with pytest.raises(UserError, match="'table9' is not known; choose all or one of: table2, figure2"):
        reproduce.choose("table9")


def test_a_measured_experiment_leaves_its_result_its_figure_and_the_report(lab: Lab, tmp_path: Path) -> None:
    steps = run([experiment("table2")], lab, tmp_path / "out")
    assert steps == [("table2", Step(1, 2, 0.0)), ("table2", Step(2, 2, 0.0))]
    result = results.read_result(tmp_path / "out" / "table2.json")
    assert result.data == {"mean": 0.875, "pair": [1, 2]}
    assert (result.samples, result.seed, result.quick, result.stored) == (5, 7, True, False)
    assert (result.command, result.left_out) == ("wildpdiff it", ("A row of table2.",))
    assert result.depends == {"classifier": "a1"}
    assert set(result.versions) == {"torch", "timm", "peft", "wildpdiff", "python"}
    drawn = json.loads((tmp_path / "out" / "table2-figure1.json").read_text())
    assert drawn["data"][0]["y"] == [0.875] and drawn["layout"]["title"]["text"] == "Mean"
    page = (tmp_path / "out" / "report.html").read_text()
    for text in (
        "87.5",
        "table2 said.",
        "wildpdiff it",
        "A row of table2.",
        "measured by this command",
        "classifier a1",
        "Drawn on a lawn. Not of grass.",
    ):
        assert text in page


def test_what_is_left_out_in_one_experiment_is_not_said_of_the_next(lab: Lab, tmp_path: Path) -> None:
    run([experiment("table2"), experiment("figure2")], lab, tmp_path / "out")
    assert results.read_result(tmp_path / "out" / "figure2.json").left_out == ("A row of figure2.",)
    assert lab.left_out == []


def test_what_trains_is_read_from_the_bundle_and_marked_as_stored(lab: Lab, tmp_path: Path) -> None:
    store(lab, replace(RESULT, data={"mean": 0.625}))
    run([experiment("table2", trains=True)], lab, tmp_path / "out")
    result = results.read_result(tmp_path / "out" / "table2.json")
    assert (result.stored, result.data, result.depends) == (True, {"mean": 0.625}, RESULT.depends)
    assert (result.command, result.seed) == (RESULT.command, RESULT.seed)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "stored with the bundle" in page and "62.5" in page


def test_retraining_measures_in_place_of_the_stored_result(lab: Lab, tmp_path: Path) -> None:
    store(lab, replace(RESULT, data={"mean": 0.625}))
    run([experiment("table2", trains=True)], lab, tmp_path / "out", retrain=True)
    result = results.read_result(tmp_path / "out" / "table2.json")
    assert (result.stored, result.data["mean"]) == (False, 0.875)


def test_a_stored_result_that_is_missing_says_how_to_train_it(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--retrain --run DIR"):
        run([experiment("table2", trains=True)], lab, tmp_path / "out")


@pytest.mark.parametrize("then", [{"classifier": "b2"}, {}, {"classifier": "a1", "zoo-H": "c3"}])
def test_a_stored_result_of_other_parts_is_stale_and_one_sentence_names_what_differs(
    lab: Lab, tmp_path: Path, then: dict[str, str]
) -> None:
    store(lab, replace(RESULT, depends=then))
    with pytest.raises(UserError, match=r"^The stored table2 is stale: [^.]*\.$") as caught:
        run([experiment("table2", trains=True)], lab, tmp_path / "out")
    differs, other = ("zoo-H", "classifier") if "zoo-H" in then else ("classifier", "zoo-H")
    assert f"another {differs};" in str(caught.value) and f" {other}" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_what_is_measured_is_kept_in_the_bundle_if_asked_for(lab: Lab, tmp_path: Path) -> None:
    own = experiment("table2")
    with pytest.raises(UserError, match="does not store table2"):
        results.stored_result(lab.bundle, own)
    how = {"quick": True, "retrain": False, "command": "wildpdiff it"}
    list(reproduce.reproduce([own], lab, tmp_path / "one", **how))
    assert not lab.bundle.folder.exists()
    list(reproduce.reproduce([own], lab, tmp_path / "two", store=True, **how))
    kept = results.stored_result(lab.bundle, own)
    assert (kept.data["mean"], kept.stored, kept.depends) == (0.875, True, {"classifier": "a1"})
    sealed = json.loads((lab.bundle.folder / "bundle.json").read_text())
    assert list(sealed["files"]) == ["results/table2.json"] and sealed["seen"] == ["R10"]


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 2}', json.dumps(RESULT.to_json() | {"data": {"x": 1}})])
def test_a_damaged_stored_result_is_named_in_one_sentence(lab: Lab, tmp_path: Path, content: str) -> None:
    store(lab, RESULT).write_text(content)
    with pytest.raises(UserError, match="table2") as caught:
        run([experiment("table2", trains=True)], lab, tmp_path / "out")
    assert str(caught.value).endswith(".") and str(tmp_path) not in str(caught.value)


def test_one_experiment_that_fails_does_not_stop_the_others(lab: Lab, tmp_path: Path) -> None:
    failing = experiment("table3", problem="Location 'R10' has no usable rows.")
    run([experiment("table2"), failing, experiment("figure2")], lab, tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "figure2 said." in page and "table3 said." not in page
    assert "could not be measured. Location &#39;R10&#39; has no usable rows." in page


def test_a_failing_experiment_alone_is_raised(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no usable rows"):
        run([experiment("table3", problem="There are no usable rows.")], lab, tmp_path / "out")


def test_a_failure_keeps_the_earlier_result_and_says_that_it_is_older(lab: Lab, tmp_path: Path) -> None:
    run([experiment("table3")], lab, tmp_path / "out")
    run([experiment("table2"), experiment("table3", problem="No rows.")], lab, tmp_path / "out")
    result = results.read_result(tmp_path / "out" / "table3.json")
    assert result.data["mean"] == 0.875
    page = (tmp_path / "out" / "report.html").read_text()
    assert "older" in page and "table3 said." in page


def test_earlier_results_of_the_same_bundle_stay_in_the_report(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = experiment("table2"), experiment("figure2")
    monkeypatch.setattr(reproduce, "EXPERIMENTS", {"table2": first, "figure2": second})
    run([second], lab, tmp_path / "out")
    run([first], lab, tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.index("table2 said.") < page.index("figure2 said.")


def test_results_of_two_bundles_are_not_mixed(lab: Lab, tmp_path: Path) -> None:
    run([experiment("table2")], lab, tmp_path / "out")
    before = (tmp_path / "out" / "report.html").read_bytes()
    lab.bundle.depends(())["classifier"] = "b2"
    with pytest.raises(UserError, match=r"holds table2 of another bundle \(another classifier\)"):
        run([experiment("table2")], lab, tmp_path / "out")
    assert (tmp_path / "out" / "report.html").read_bytes() == before


def test_figures_that_a_result_no_longer_has_are_removed(lab: Lab, tmp_path: Path) -> None:
    run([experiment("table2")], lab, tmp_path / "out")
    run([replace(experiment("table2"), figures=lambda data: [])], lab, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*-figure*.json"))


def test_the_summary_lines_numbers_up() -> None:
    told = reproduce.summary(experiment("table2"), RESULT).splitlines()
    assert told == [
        "Title of table2", "table2 said.", "",
        "Means", "what  ours", "mean  87.5", "A note.",
    ]  # fmt: skip


def repository(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder / ".git"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({".git/HEAD": "ref: refs/heads/main\n", ".git/refs/heads/main": "aa11\n"}, "aa11"),
        ({".git/HEAD": "ref: refs/heads/main\n", ".git/packed-refs": "# pack\nbb22 refs/heads/main\n"}, "bb22"),
        ({".git/HEAD": "cc33\n"}, "cc33"),
        ({".git": "gitdir: other\n", "other/HEAD": "dd44\n"}, "dd44"),
        ({".git/HEAD": "ref: refs/heads/unborn\n"}, ""),
        ({"README.md": ""}, ""),
    ],
)
def test_the_commit_is_read_without_git(tmp_path: Path, files: dict[str, str], expected: str) -> None:
    assert commits._head(repository(tmp_path, files)) == expected


def test_there_is_always_some_word_for_the_commit() -> None:
    assert commits.commit()


def test_figure_8_is_the_experiment_of_figure_3_and_every_name_of_the_paper_is_known() -> None:
    assert reproduce.choose("figure8") == reproduce.choose("figure3")
    tables, figures = (1, 2, 3, 5, 7, 8), range(2, 9)
    for name in (*(f"table{number}" for number in tables), *(f"figure{number}" for number in figures), "ablations"):
        assert len(reproduce.choose(name)) == 1
