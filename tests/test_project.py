"""The project says one thing in all its files: version, versions of others, verbs, walk-through for newcomers."""

import re
import tomllib
from pathlib import Path

import pytest

import wildpdiff

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_there_is_one_version_and_the_changelog_begins_with_it() -> None:
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"]["attr"] == "wildpdiff.__version__"
    heads = re.findall(r"^## (\S+)", text("CHANGELOG.md"), flags=re.MULTILINE)
    heads = heads[heads[0] == "Unreleased" :]
    assert heads[0] == wildpdiff.__version__ and len(set(heads)) == len(heads)
    assert re.search(rf"^version: {re.escape(wildpdiff.__version__)}$", text("CITATION.cff"), flags=re.MULTILINE)


def test_the_locked_versions_hold_everything_that_the_project_asks_for() -> None:
    lock = dict(re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)$", text("requirements.lock"), flags=re.MULTILINE))
    locked = {_plain(name): number for name, number in lock.items()}
    asked = [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["test"]]
    for one in asked:
        name, _, least = re.split(r"(>=)", one, maxsplit=1)
        assert _numbers(locked[_plain(name)]) >= _numbers(least.partition(",")[0]), one


def test_the_lowest_versions_that_ci_tests_are_those_that_the_project_asks_for() -> None:
    lowest = {_plain(one.partition("==")[0]): one.partition("==")[2] for one in text(".ci/lowest.txt").split()}
    for one in PROJECT["project"]["dependencies"]:
        name, _, least = re.split(r"(>=)", one, maxsplit=1)
        pinned = _numbers(lowest[_plain(name)])
        assert pinned[: len(_numbers(least.partition(",")[0]))] == _numbers(least.partition(",")[0]), one


@pytest.mark.parametrize("verb", ["setup", "serve", "test", "fast", "coverage", "lint", "bench"])
def test_every_verb_stands_in_the_justfile_and_contributing_names_it(verb: str) -> None:
    assert re.search(rf"^{verb}\b.*:", text("justfile"), flags=re.MULTILINE)
    assert f"just {verb}" in text("CONTRIBUTING.md")


def test_every_file_and_folder_that_contributing_names_exists() -> None:
    named = set(re.findall(r"`((?:wildpdiff|tests|assets|\.ci|\.github)/[\w./*-]*)`", text("CONTRIBUTING.md")))
    assert len(named) > 8
    for name in named:
        assert list(ROOT.glob(name.rstrip("/"))), name


def test_the_bundle_has_a_card_that_says_what_license_and_limits_it_has() -> None:
    card = text("assets/savanna/README.md")
    for word in ("license: apache-2.0", "## What it was trained on", "## How", "## Limits"):
        assert word in card


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.partition("[")[0]).lower()


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version.partition("+")[0])]
