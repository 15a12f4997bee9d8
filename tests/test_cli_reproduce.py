"""The commands `zoo` and `reproduce`: what they print, write and refuse."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from test_cli import Ended, Run, check_mistake, document, run  # noqa: F401
from test_orders import here

from wildpdiff.build import orders as zoos
from wildpdiff.build import starts as starting
from wildpdiff.build.grow import do
from wildpdiff.build.jobs import Job
from wildpdiff.bundle import Bundle
from wildpdiff.network.backbone import Backbone
from wildpdiff.training.loop import Step
from wildpdiff.worlds import open_world
from wildpdiff.worlds.savanna.world import SEEN, UNSEEN
from wildpdiff.zoo import Zoo

SOURCES = ("src", "srcset", "data", "poster", "action", "background")


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings in this process."""

    def grow(jobs: Sequence[Job], backbone: Path, world: dict[str, Any], **how: Any) -> Iterator[Step]:
        for place, job in enumerate(jobs, start=1):
            do(job, Backbone.load(backbone), open_world(world))
            yield Step(place, len(jobs), float("nan"))

    monkeypatch.setattr(zoos, "grow", grow)
    monkeypatch.setattr(starting, "each", here)
    monkeypatch.setattr(zoos, "_seconds", lambda *of: (60.0, 0.0, 0.5))


class Requests(HTMLParser):
    """What a page would fetch."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.ids: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.ids.add(named.get("id") or "")
        sources = [
            value for name, value in attrs if name in ("src", "srcset", "data", "poster", "action", "background")
        ]
        linked = [named.get("href")] if tag in ("link", "base", "use", "image") else []
        self.found += [value for value in (*sources, *linked) if value and not value.startswith("data:")]


@pytest.mark.parametrize("command", ["zoo", "reproduce"])
def test_both_commands_explain_themselves(run: Run, command: str) -> None:  # noqa: F811
    ended = run(command, "--help")
    assert ended.status == 0
    for told in (f"wildpdiff {command}", "--out", "--bundle", "--device", "--workers"):
        assert told in ended.out


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tests of one table, in their order, write."""
    return tmp_path_factory.mktemp("reproduced") / "new"


@pytest.mark.slow
def test_a_table_is_printed_and_written_with_a_report_that_fetches_nothing(
    run: Run,  # noqa: F811
    tiny_bundle: Path,
    out: Path,
) -> None:
    ended = run("reproduce", "table5", "--quick", "--bundle", tiny_bundle, "--out", out)
    assert ended.status == 0, ended.err
    assert "table5 16/16" in ended.err and "report.html" in ended.err
    lines = ended.out.splitlines()
    for name in (*SEEN, *UNSEEN):
        assert any(line.startswith(name) for line in lines), name
    assert "Traceback" not in ended.err

    stored = json.loads((out / "table5.json").read_text())
    assert stored["samples"] == 8 and stored["quick"] is True and stored["stored"] is False
    parts = Bundle.open(tiny_bundle).fingerprints
    assert stored["depends"] == {part: parts[part] for part in ("classifier", "world")}
    assert stored["command"].startswith("wildpdiff reproduce table5 --quick")
    assert set(stored["data"]["locations"]) == {*SEEN, *UNSEEN}
    figures = sorted(path.name for path in out.glob("table5-figure*.json"))
    assert figures == ["table5-figure1.json", "table5-figure2.json"]
    assert {path.name for path in out.iterdir()} == {"table5.json", "report.html", *figures}

    page = (out / "report.html").read_text()
    requests = Requests(page)
    assert requests.found == []
    assert "table5" in requests.ids
    assert "default-src 'none'" in page
    told = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    assert "http" not in told.replace("http-equiv", "")
    for folder in (tiny_bundle, out.parent):
        assert str(folder) not in page + (out / "table5.json").read_text()


@pytest.mark.slow
def test_with_json_the_result_is_the_one_document_on_stdout(
    run: Run,  # noqa: F811
    tiny_bundle: Path,
    out: Path,
) -> None:
    found = document(run("reproduce", "table5", "--seed", 3, "--json", "--bundle", tiny_bundle, "--out", out))
    assert list(found) == ["table5"]
    assert (found["table5"]["samples"], found["table5"]["seed"], found["table5"]["quick"]) == (100, 3, False)
    assert found["table5"] == json.loads((out / "table5.json").read_text())


@pytest.mark.slow
def test_generated_adapters_can_be_measured_from_the_command(
    run: Run,  # noqa: F811
    tiny_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Table 3 of a bundle of one regime and one unseen location that are left of the tiny one."""
    opened = Bundle.open(tiny_bundle)
    short = replace(opened, manifest=opened.manifest | {"variants": opened.manifest["variants"][-2:]})
    short.conditions  # noqa: B018  (by all names, before they are shortened)
    short.manifest["unseen"] = ["D03"]
    monkeypatch.setattr(Bundle, "open", lambda folder, device="cpu": short)
    found = document(run("reproduce", "table3", "--quick", "--json", "--bundle", tiny_bundle, "--out", tmp_path))
    data = found["table3"]["data"]
    assert data["regimes"]["H"]["locations"]["D03"]["generated"]["n"] == 8
    assert (tmp_path / "report.html").exists()


@pytest.mark.parametrize("name", ["table7", "table1"])
def test_what_trains_and_is_not_stored_says_how_to_train_it(
    run: Run,  # noqa: F811
    tiny_bundle: Path,
    tmp_path: Path,
    name: str,
) -> None:
    ended = run("reproduce", name, "--bundle", tiny_bundle, "--out", tmp_path / "out")
    check_mistake(ended, "--retrain")
    assert name in ended.err
    assert not (tmp_path / "out").exists()


MISTAKES = {
    "unknown table": (("reproduce", "table9"), "table2"),
    "unknown table, though the bundle is missing too": (("reproduce", "table9", "--bundle", "absent"), "table9"),
    "no bundle": (("reproduce", "table5", "--bundle", "absent"), "is not a bundle"),
    "unknown device": (("reproduce", "table5", "--device", "tpu"), "auto, cpu or cuda"),
    "interval": (("zoo", "--interval", "0"), "at least 1"),
    "rows": (("zoo", "--rows", "0"), "at least 1"),
    "location": (("zoo", "--locations", "R10,Z99"), "Z99"),
    "unseen location": (("zoo", "--locations", "D03"), "D03"),
    "no location": (("zoo", "--locations", ""), "not a seen one"),
    "regime": (("zoo", "--regime", "Q"), "L, M, H"),
    "zoo without a bundle": (("zoo", "--bundle", "absent"), "is not a bundle"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_ends_with_status_2_one_sentence_and_no_file(
    run: Run,  # noqa: F811
    tiny_bundle: Path,
    tmp_path: Path,
    mistake: str,
) -> None:
    arguments, told = MISTAKES[mistake]
    bundle = () if "--bundle" in arguments else ("--bundle", tiny_bundle)
    check_mistake(run(*arguments, "--out", tmp_path / "out", *bundle), told)
    assert not list(tmp_path.iterdir())


def test_an_out_folder_that_is_a_file_is_one_sentence(
    run: Run,  # noqa: F811
    tiny_bundle: Path,
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("mine")
    ended = run("zoo", "--locations", "R10", "--rows", 1, "--out", tmp_path / "file", "--bundle", tiny_bundle)
    check_mistake(Ended(ended.status, ended.out, ended.err.splitlines()[-1]), "could not be written")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.slow
def test_results_of_another_bundle_are_not_overwritten(
    run: Run,  # noqa: F811
    tiny_bundle: Path,
    tmp_path: Path,
    out: Path,
) -> None:
    run("reproduce", "table5", "--bundle", tiny_bundle, "--out", out)
    stored = json.loads((out / "table5.json").read_text()) | {"depends": {"world": "another"}}
    (tmp_path / "table5.json").write_text(json.dumps(stored))
    check_mistake(run("reproduce", "table5", "--bundle", tiny_bundle, "--out", tmp_path), "another bundle")
    assert json.loads((tmp_path / "table5.json").read_text()) == stored


@pytest.mark.slow
def test_a_zoo_is_grown_after_its_cost_is_told(
    run: Run,  # noqa: F811
    tiny_bundle: Path,
    tmp_path: Path,
) -> None:
    order = ("zoo", "--regime", "M", "--interval", 2, "--rows", 2, "--locations", "R10, U11", "--workers", 1)
    ended = run(*order, "--out", tmp_path / "z", "--bundle", tiny_bundle)
    assert (ended.status, ended.out) == (0, ""), ended.err
    first, *_, last = ended.err.splitlines()
    assert "2 locations x 5 steps: about 10 minutes in 1 " in first
    assert last.startswith("The zoo is ready")
    zoo = Zoo(tmp_path / "z" / "zoo-M-2", Bundle.open(tiny_bundle).backbone.layout, regime="M")
    assert {name: zoo.count(name) for name in zoo.locations} == {"R10": 2, "U11": 2}
