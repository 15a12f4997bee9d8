"""A recipe is JSON and back, whole or not at all; a bundle says the very recipe that it was trained by."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_bundle import RECIPE
from typer.testing import CliRunner

from wildpdiff.build.recipes import RECIPES, SAVANNA, SMOKE, Recipe, recipe_of, trained_by
from wildpdiff.build.stages import build
from wildpdiff.bundle import Bundle
from wildpdiff.cli import app
from wildpdiff.errors import UserError


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_recipe_is_the_same_after_json(recipe: Recipe) -> None:
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json())), "it") == recipe


MISTAKES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a missing key": (lambda own: own.pop("runs"), "lacks runs."),
    "a missing key inside": (lambda own: own["connect"].pop("steps"), "lacks connect.steps."),
    "an unknown key": (lambda own: own.update(rums=3), "has the unknown rums."),
    "both": (lambda own: (own["clip"].pop("embedding"), own["clip"].update(embeding=1)),
             "lacks clip.embedding and has the unknown clip.embeding."),
    "text for a number": (lambda own: own.update(runs="six"), "'runs': input should be a valid integer."),
    "a fraction for a count": (lambda own: own["run"].update(rows=2.5), "'run.rows': input should be a valid integer."),
    "a number for a part": (lambda own: own.update(shared=3), "lacks shared.batch_size"),
    "a number for a name": (lambda own: own.update(seen=["R10", 12]), "'seen.1': input should be a valid string."),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_is_wrong_with_a_recipe_is_one_sentence_that_names_it(mistake: str, tmp_path: Path) -> None:
    change, told = MISTAKES[mistake]
    document = copy.deepcopy(SMOKE.to_json())
    change(document)
    (tmp_path / "mine.json").write_text(json.dumps(document))
    with pytest.raises(UserError) as caught:
        recipe_of(str(tmp_path / "mine.json"))
    assert str(caught.value).startswith("'mine.json' is no ") and told in str(caught.value)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


@pytest.mark.parametrize("document", [None, [], "savanna", 3])
def test_what_is_no_object_is_told_where_to_start(document: Any) -> None:
    with pytest.raises(UserError, match=r"^It is no recipe; `wildpdiff recipe` prints one to start from\.$"):
        Recipe.from_json(document, "It")


def test_a_printed_recipe_can_be_changed_and_trained(tmp_path: Path) -> None:
    printed = CliRunner().invoke(app, ["recipe", "smoke"])
    assert printed.exit_code == 0
    document = json.loads(printed.stdout) | {"name": "mine", "runs": 4}
    (tmp_path / "mine.json").write_text(json.dumps(document))
    assert recipe_of(str(tmp_path / "mine.json")) == replace(SMOKE, name="mine", runs=4)


def test_an_unknown_name_is_told_the_known_ones_and_that_a_file_will_do() -> None:
    with pytest.raises(UserError, match=r"savanna, smoke, full, or a \.json file"):
        recipe_of("nope")
    with pytest.raises(UserError, match=r"'absent\.json' is missing"):
        recipe_of("absent.json")


def test_a_bundle_says_the_recipe_that_it_was_trained_by(tiny_bundle: Path) -> None:
    bundle = Bundle.open(tiny_bundle)
    assert trained_by(bundle) == RECIPE
    bundle.manifest["recipe"] = "savanna"
    with pytest.raises(UserError, match="The recipe in 'tiny' is no recipe"):
        trained_by(bundle)


def test_the_bundle_that_comes_along_was_trained_in_the_world_and_at_the_places_that_it_says() -> None:
    bundle = Bundle.open()
    recipe = trained_by(bundle)
    assert (recipe.name, recipe.seen, recipe.unseen) == (SAVANNA.name, bundle.seen, bundle.unseen)
    assert recipe.to_json()["world"] == bundle.manifest["world"]


def test_a_regime_may_have_denoiser_steps_of_its_own_and_nothing_else() -> None:
    own = replace(SMOKE, denoiser_steps={"M": 12})
    assert own.generator_of("M") == replace(own.generator, denoiser_steps=12)
    assert own.generator_of("L") == own.generator_of("H") == own.generator
    assert Recipe.from_json(json.loads(json.dumps(own.to_json())), "it") == own


BEYOND: dict[str, tuple[Callable[[Any], Any], str]] = {
    "no rows": (lambda own: own["run"].update(rows=0), "'run.rows' must be a whole number from 1"),
    "a negative seed": (lambda own: own.update(seed=-1), "'seed' must be a whole number from 0"),
    "a negative rate": (lambda own: own["connect"].update(learning_rate=-1.0), "'connect.learning_rate' must be"),
    "a share above 1": (lambda own: own["generator"].update(ema=1.5), "'generator.ema' must be a number from 0 to 1,"),
    "endless steps": (lambda own: own["pretrain"].update(steps=10**12), "'pretrain.steps' must be a whole number"),
    "nothing to learn from": (lambda own: own.update(held_out_runs=3), "'held_out_runs' must be fewer than 'runs'"),
    "half a head": (lambda own: own["clip"].update(image_width=65), "image_width must be a multiple of 64"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", BEYOND)
def test_a_number_that_cannot_be_is_refused_by_name(mistake: str) -> None:
    change, told = BEYOND[mistake]
    document = copy.deepcopy(SMOKE.to_json())
    change(document)
    with pytest.raises(UserError) as caught:
        Recipe.from_json(document, "It")
    assert told in str(caught.value) and str(caught.value).endswith(".")


UNFIT: dict[str, tuple[dict[str, Any], str]] = {
    "one seen location": ({"seen": SMOKE.seen[:1]}, "two seen locations"),
    "no unseen one": ({"unseen": ()}, "one unseen one"),
    "a tiny world": ({"world": {"kind": "savanna", "config": {"size": 1}}}, "size must be a number from 16"),
    "a world in words": ({"world": {"kind": "savanna", "config": {"eval_images": "many"}}}, "eval_images must be"),
    "a CLIP that nobody knows": ({"condition": "ViT-Z/none"}, "open_clip knows no such model"),
    "a CLIP that is not there": ({"condition": "local-dir:absent"}, "has no"),
}


@pytest.mark.parametrize("mistake", UNFIT)
def test_what_does_not_fit_is_refused_before_anything_is_written(mistake: str, tmp_path: Path) -> None:
    change, told = UNFIT[mistake]
    with pytest.raises(UserError, match=told):
        next(build(replace(SMOKE, **change), tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []
