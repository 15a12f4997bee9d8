"""A world of photographs on disk, from recipe to bundle to every door; its data set is gone by then."""

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from coco_set import LOCATIONS, SPECIES, recipe_for, write_bundle, write_set
from served import chromium, live, serving, visiting
from typer.testing import CliRunner
from world_contract import check_world

from wildpdiff.build import recipes
from wildpdiff.build.recipes import Recipe
from wildpdiff.build.stages import build
from wildpdiff.bundle import Bundle
from wildpdiff.cli import app
from wildpdiff.errors import UserError
from wildpdiff.studio.changed import Flips
from wildpdiff.studio.invent import inventing_in
from wildpdiff.studio.setting import Setting
from wildpdiff.studio.studio import Studio
from wildpdiff.studio.upload import Strangers
from wildpdiff.worlds import open_world
from wildpdiff.worlds.base import Captioned, Enlarging, Inventive
from wildpdiff.worlds.stored import PHOTOGRAPHS, StoredWorld

pytestmark = pytest.mark.slow
SEEN, UNSEEN = LOCATIONS[:3], LOCATIONS[3]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Recipe]:
    return write_bundle(tmp_path_factory.mktemp("forest"))


@pytest.fixture
def bundle(made: tuple[Path, Recipe]) -> Bundle:
    return Bundle.open(made[0])


@pytest.fixture
def known(made: tuple[Path, Recipe], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the bundle, whose recipe the command line knows."""
    monkeypatch.setitem(recipes.RECIPES, made[1].name, made[1])
    return made[0]


def run(*words: object) -> Any:
    ended = CliRunner().invoke(app, [str(word) for word in words])
    assert ended.exit_code == 0, (ended.output, ended.exception)
    return ended


def test_the_bundle_carries_photographs_and_backgrounds_and_needs_no_data_set(bundle: Bundle, tmp_path: Path) -> None:
    world = bundle.world
    assert isinstance(world, StoredWorld) and world.kind == bundle.manifest["world"]["kind"] == "stored"
    assert bundle.manifest["world"]["of"] == "coco" and world.locations == LOCATIONS[:4]
    assert world.species == (*SPECIES, "empty") == bundle.backbone.species
    assert "forest" in world.about and world.size == 40
    check_world(world, splits=("eval",))
    write_set(tmp_path)
    spec = {"kind": "coco", "metadata": "forest.json", "images": "photos", "species": list(SPECIES)}
    original = open_world(spec | {"size": 40, "eval_share": 0.4}, tmp_path)
    check_world(original)
    for name in world.locations:
        expected, stored = original.images(name, "eval", first=PHOTOGRAPHS), world.images(name, "eval")
        assert torch.equal(stored.pixels, expected.pixels) and torch.equal(stored.labels, expected.labels)
        assert torch.equal(world.backgrounds(name), original.backgrounds(name))
    for name in LOCATIONS:
        assert torch.equal(world.labels(name, "train", first=9), original.labels(name, "train", first=9))


def test_a_stored_world_has_nothing_to_train_on(bundle: Bundle) -> None:
    with pytest.raises(UserError, match=r"^A bundle carries no training photographs [^\n]*\.$"):
        bundle.world.images(SEEN[0], "train")
    with pytest.raises(UserError, match=r"'cliff' is not known"):
        bundle.world.images("cliff", "eval")


def test_what_the_world_does_not_offer_is_not_there(bundle: Bundle) -> None:
    assert not isinstance(bundle.world, Captioned | Enlarging | Inventive)
    studio = Studio(bundle)
    for ask in (lambda: inventing_in(studio), lambda: Strangers(studio).words("tall trees")):
        with pytest.raises(UserError, match=r"^[A-Z][^\n]*\.$"):
            ask()
    picture = Flips(studio).picture(SEEN[0], 0)
    assert picture.large == picture.seen


def test_the_studio_names_as_many_photographs_as_there_are(bundle: Bundle) -> None:
    studio, there = Studio(bundle), {name: len(bundle.world.images(name, "eval")) for name in LOCATIONS[:4]}
    assert max(there.values()) < 100
    *_, last = studio.results(Setting(SEEN[0], UNSEEN, weight=0.5, steps=2, regime="H"))
    assert last.stage == "done"
    assert {name: last.live[name].count for name in (SEEN[0], UNSEEN)} == {
        name: there[name] for name in (SEEN[0], UNSEEN)
    }
    change = Flips(studio).at(torch.zeros(bundle.backbone.layout.dim), SEEN[1], 100)
    assert change.images == there[SEEN[1]] and change.flips == ()


def test_the_command_line_writes_and_measures_adapters(known: Path, tmp_path: Path) -> None:
    common = ("--bundle", known)
    ended = run("evaluate", "--locations", "seen", "--samples", 2, "--regime", "H", "--json", *common)
    report = json.loads(ended.stdout)
    assert set(report["locations"]) == set(SEEN)
    assert all(row["one_picture"]["n"] == 2 for row in report["locations"].values())
    run("generate", "--location", SEEN[0], "--blend-with", UNSEEN, "--steps", 2, "--out", tmp_path / "a", *common)
    assert (tmp_path / "a" / "adapter-0" / "adapter_model.safetensors").exists()
    sheet = tmp_path / "sweep.csv"
    run(
        "sweep",
        "--pairs",
        f"{SEEN[0]}:{SEEN[1]}",
        "--weights",
        "0,1",
        "--seeds",
        1,
        "--steps",
        2,
        "--out",
        sheet,
        *common,
    )
    rows = list(csv.DictReader(sheet.open()))
    assert [(row["a"], row["b"], row["weight"]) for row in rows] == [(*SEEN[:2], "0.0"), (*SEEN[:2], "1.0")]
    run("world", "--out", tmp_path / "sheet.png", "--height", 40, "--columns", 3, *common)


def test_the_report_says_what_the_photographs_are(known: Path, tmp_path: Path) -> None:
    run("reproduce", "table5", "--quick", "--out", tmp_path, "--bundle", known)
    data = json.loads((tmp_path / "table5.json").read_text())["data"]
    assert set(data["locations"]) == set(LOCATIONS[:4]) and data["species"] == [*SPECIES, "empty"]
    assert sum(data["locations"][SEEN[0]]["by_species"]) == 48
    assert data["pretraining"]["photographs"] == 16
    page = (tmp_path / "report.html").read_text()
    assert "real ones of camera traps (forest), with 3 species" in page


def test_a_recipe_that_does_not_fit_its_world_is_one_sentence(tmp_path: Path) -> None:
    recipe = recipe_for(tmp_path)
    wrong = {
        "name a CLIP": replace(recipe, condition=None),
        "'moor' is not known": replace(recipe, unseen=("moor",)),
        "and once": replace(recipe, unseen=recipe.seen[:1]),
        "of kind 'zoo' are not known": replace(recipe, world={"kind": "zoo"}),
        "of kind 'base' are not known": replace(recipe, world={"kind": "base"}),
        "does not fit": replace(recipe, world={"kind": "coco", "metadata": "forest.json"}),
    }
    for told, bad in wrong.items():
        with pytest.raises(UserError, match=r"^[A-Z][^\n]*\.$") as caught:
            next(build(bad, tmp_path / "out"))
        assert told in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def page(made: tuple[Path, Recipe]) -> Iterator[Any]:
    with serving(made[0], 7980) as address, chromium() as browser, visiting(browser, address) as page:
        yield page


@pytest.mark.browser
def test_the_page_answers_the_slider_and_shows_every_tab_without_an_error(page: Any) -> None:
    """The errors are asserted when the page is left."""
    assert "real ones of camera traps" in page.inner_text(".top")
    page.focus("#blend")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    assert page.inner_text("#blend-value") == "0.50"
    assert SEEN[0] in live(page, SEEN[1])
    for tab in ("watch", "unseen", "probe", "learn", "play"):
        page.click(f"#tab-{tab}-button")
        page.wait_for_selector(f"#tab-{tab}", state="visible")
        page.wait_for_timeout(700)
    page.click("#tab-unseen-button")
    shown = page.inner_text("#unseen-tabs")
    assert "Your picture" in shown and "Your labelled photos" in shown
    assert "Invent" not in shown and "Describe" not in shown
