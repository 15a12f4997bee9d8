"""The papers' own figures: every one that code names is there, and every one that is there is used."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import wildpdiff
from wildpdiff import paper, pdiff

ROOT = Path(wildpdiff.__file__).parent
NAMED = re.compile(r"NUMBERS\[['\"](\w+)['\"]\]")


def texts(package: str) -> Iterator[str]:
    """The source of a paper's own modules, and of others that read its numbers."""
    for path in ROOT.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        inside = package in path.relative_to(ROOT).parts
        imported = any(f"from {dots}{package} import" in text for dots in (".", "..", "..."))
        if inside or ("NUMBERS" in text and imported):
            yield text


def named(package: str) -> set[str]:
    """The tables that are read, by name or through a name of their own."""
    found = {name for text in texts(package) for name in NAMED.findall(text)}
    words = {
        str(node.value)
        for text in texts(package)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value
    }
    return found | words


@pytest.mark.parametrize("module", [paper, pdiff], ids=["paper", "pdiff"])
def test_every_table_that_is_read_is_there_and_every_one_that_is_there_is_read(module: object) -> None:
    package = module.__name__.removeprefix("wildpdiff.")
    read = {name for text in texts(package) for name in NAMED.findall(text)}
    assert read and read <= set(module.NUMBERS)
    assert set(module.NUMBERS) <= named(package)


def test_the_column_means_are_those_that_the_paper_reports() -> None:
    assert paper.column_means(paper.NUMBERS["table8"])[0] == pytest.approx(71.0)
    assert paper.column_means(paper.NUMBERS["table3"]) == pytest.approx([86.63, 86.61, 86.34, 85.29], abs=0.01)


def test_every_accuracy_is_a_percentage_and_every_location_has_all_its_figures() -> None:
    numbers = paper.NUMBERS
    seen = set(numbers["table5"])
    assert seen == set(numbers["table8"]) and all(seen == set(numbers["table2"][regime]) for regime in "LMH")
    tables = [*numbers["table2"].values(), numbers["table3"], numbers["table8"], numbers["table1"]["interval"]]
    for rows in tables:
        assert len({len(row) for row in rows.values()}) == 1
        assert all(0 < value <= 100 for row in rows.values() for value in row)
