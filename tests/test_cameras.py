"""Surveys as worlds: crops, splits by burst, held-out cameras, backgrounds by light, and pasted animals."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from coco_set import LOCATIONS, SPECIES, write_set
from world_contract import check_world

from wildpdiff.errors import UserError
from wildpdiff.survey.look import is_infrared
from wildpdiff.survey.records import Box, Frame
from wildpdiff.worlds import open_world
from wildpdiff.worlds.cameras import CameraWorld
from wildpdiff.worlds.pasted import PastedWorld, Pasting
from wildpdiff.worlds.reader import AROUND, cropped
from wildpdiff.worlds.shots import LEAST, Choice, shots_of
from wildpdiff.worlds.strips import Strips


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("survey")
    write_set(root, bursts=16)
    return root


@pytest.fixture(scope="module")
def world(folder: Path) -> CameraWorld:
    return CameraWorld.open(folder / "forest.json", images=folder / "photos", size=32)


def frames(count: int = 12, **changes: Any) -> Iterator[Frame]:
    """Frames of one camera, two a burst, foxes and empties by turns of bursts."""
    for place in range(count):
        fox = place // 2 % 2 == 0
        about: dict[str, Any] = {"species": ("Fox",) if fox else (), "empty": not fox, "sequence": str(place // 2)}
        about |= {"boxes": (Box(0.2, 0.3, 0.1, 0.2),) if fox else ()}
        yield Frame(f"{place:02d}.jpg", "mire", **(about | changes))


def test_a_survey_of_cameras_keeps_the_promises_of_a_world(world: CameraWorld) -> None:
    check_world(world)
    assert world.species == (*sorted(SPECIES), "empty") and world.locations == tuple(sorted(LOCATIONS))
    assert "real, of 5 camera traps" in world.about and "3 species" in world.about and "cropped" in world.about


def test_it_is_opened_again_from_its_spec(world: CameraWorld) -> None:
    spec = json.loads(json.dumps(world.to_json()))
    again = open_world(spec)
    assert again.to_json() == spec
    assert torch.equal(again.images("mire", "eval").pixels, world.images("mire", "eval").pixels)


def test_a_crop_is_a_square_around_the_box_that_stays_inside_and_clear_of_strips() -> None:
    picture = torch.arange(100 * 200).reshape(1, 100, 200).expand(3, -1, -1)
    middle = cropped(Strips(), picture, Box(0.4, 0.4, 0.1, 0.2))
    assert middle.shape == (3, round(AROUND * 20), round(AROUND * 20))
    assert int(middle[0, 0, 0]) == (50 - 12) * 200 + (90 - 12)
    corner = cropped(Strips(0.1, 0.1), picture, Box(0.0, 0.0, 0.05, 0.1))
    assert int(corner[0, 0, 0]) == 10 * 200  # the first row below the strip, at the left edge
    whole = cropped(Strips(0.1, 0.2), picture, None)
    assert whole.shape == (3, 70, 200)
    huge = cropped(Strips(), picture, Box(0.0, 0.0, 1.0, 1.0))
    assert huge.shape == (3, 100, 100)


def test_an_animal_is_what_its_crop_shows(world: CameraWorld) -> None:
    images = world.images("heath", "train")
    fox = images.pixels[images.labels == world.species.index("red_fox")].float()
    assert len(fox) and bool(
        (fox[:, 0, 10:22, 10:22].mean(dim=(1, 2)) > fox[:, 2, 10:22, 10:22].mean(dim=(1, 2)) + 60).all()
    )


def test_no_burst_stands_on_both_sides_and_two_bursts_give_one_to_measure_on() -> None:
    shots = shots_of(frames(), Choice(species=("fox",))).shots["mire"]
    sides = {burst: {shot.split for shot in shots if shot.burst == burst} for burst in {shot.burst for shot in shots}}
    assert all(len(side) == 1 for side in sides.values()) and {"train", "eval"} == set().union(*sides.values())
    two = shots_of(list(frames(4)), Choice(species=("fox",))).shots["mire"]
    assert {shot.split for shot in two} == {"train", "eval"}
    one = shots_of(list(frames(2)), Choice(species=("fox",))).shots["mire"]
    assert {shot.split for shot in one} == {"train"}


def test_of_a_held_out_camera_everything_is_measured_on_but_what_shows_the_place() -> None:
    chosen = shots_of(frames(), Choice(species=("fox",), held_out=("mire",)))
    shots, shown = chosen.shots["mire"], chosen.backgrounds["mire"]
    assert len(shown) == 3 and {shot.split for shot in shots} == {"eval"}
    assert len(shots) == 12 - 3 and not {shot.file for shot in shots} & set(shown)


def test_empties_borrow_a_box_so_that_their_size_tells_nothing() -> None:
    shots = shots_of(frames(), Choice(species=("fox",))).shots["mire"]
    assert {shot.box for shot in shots} == {Box(0.2, 0.3, 0.1, 0.2)}
    whole = shots_of(frames(), Choice(species=("fox",), crops=False)).shots["mire"]
    assert {shot.box for shot in whole} == {None}


def test_what_cannot_be_used_is_counted_by_its_reason() -> None:
    odd = [
        Frame("a.jpg", None, ("fox",)),
        Frame("b.jpg", "mire", ("fox",), corrupt=True),
        Frame("c.jpg", "mire", ("fox",), human=True),
        Frame("d.jpg", "mire"),
        Frame("e.jpg", "mire", ("fox", "hare")),
        Frame("f.jpg", "mire", ("hare",)),
        Frame("00.jpg", "mire", ("fox",)),
    ]
    found = shots_of([*frames(), *odd], Choice(species=("fox",)))
    assert found.left_out == {
        "without a location": 1, "marked as corrupt": 1, "with a person or a vehicle": 1, "without a label": 1,
        "with two species": 1, "of a species that is not listed": 1, "listed twice": 1,
    }  # fmt: skip
    assert found.cropped == 6 and found.whole == 0


def test_a_species_with_few_photographs_is_left_out_unless_it_is_asked_for() -> None:
    rare = [Frame(f"h{place}.jpg", "mire", ("hare",)) for place in range(LEAST - 1)]
    assert shots_of([*frames(), *rare], Choice()).species == ("Fox", "empty")
    assert shots_of([*frames(), *rare], Choice(species=("hare",))).species == ("hare", "empty")


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        (Choice(species=("lynx",)), r"labelled 'lynx'; choose species among: Fox\.$"),
        (Choice(species=("Fox", "fox ")), r"names that differ only in case are the same\.$"),
        (Choice(species=("blank",)), r"must be named"),
        (Choice(locations=("moor",)), r"Location 'moor' is not known"),
        (Choice(held_out=("moor",)), r"Location 'moor' is not known"),
    ],
)
def test_what_is_not_there_is_told_in_a_sentence(choice: Choice, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        shots_of(list(frames()), choice)


def test_a_survey_without_labels_says_so() -> None:
    with pytest.raises(UserError, match=r"^No species has 5 labelled photographs; "):
        shots_of(list(frames(species=(), empty=True)), Choice())


def test_infrared_pictures_are_known_by_their_lack_of_colour() -> None:
    grey = torch.randint(0, 255, (1, 20, 20), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert is_infrared(grey.expand(3, -1, -1))
    assert not is_infrared(
        torch.randint(0, 255, (3, 20, 20), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    )


def test_backgrounds_can_be_asked_for_by_light(world: CameraWorld) -> None:
    assert len(world.backgrounds("mire", "day")) == len(world.backgrounds("mire"))
    with pytest.raises(UserError, match=r"has no empty infrared photograph\.$"):
        world.backgrounds("mire", "infrared")


def test_options_that_are_none_are_refused(folder: Path) -> None:
    with pytest.raises(UserError, match="no option 'colour'"):
        CameraWorld.open(folder / "forest.json", colour=True)
    with pytest.raises(UserError, match="at least 16 pixels"):
        CameraWorld.open(folder / "forest.json", size=3)
    with pytest.raises(UserError, match="does not fit a survey of cameras"):
        open_world({"kind": "cameras"})


def test_files_that_are_gone_are_counted_and_a_camera_without_any_is_told(tmp_path: Path) -> None:
    write_set(tmp_path, bursts=8)
    (tmp_path / "photos/mire/000.jpg").unlink()
    world = CameraWorld.open(tmp_path / "forest.json", images=tmp_path / "photos", size=16)
    for split in ("train", "eval"):
        world.images("mire", split)  # type: ignore[arg-type]
    assert any("cannot be read" in note and "1 so far" in note for note in world.notes)
    for file in (tmp_path / "photos/brook").iterdir():
        file.write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"^No photograph of location 'brook' can be read in folder 'photos'"):
        world.images("brook", "train")


@pytest.fixture(scope="module")
def pasted(world: CameraWorld) -> PastedWorld:
    return PastedWorld(world, Pasting(count=8, cutters=("heath", "brook"), seed=1))


def test_pasted_photographs_stand_behind_the_real_ones_and_none_is_measured_on(
    world: CameraWorld, pasted: PastedWorld
) -> None:
    check_world(pasted)
    real, both = world.images("mire", "train"), pasted.images("mire", "train")
    assert len(both) == len(real) + 8 and torch.equal(both.pixels[: len(real)], real.pixels)
    assert torch.equal(pasted.images("mire", "eval").pixels, world.images("mire", "eval").pixels)
    assert open_world(json.loads(json.dumps(pasted.to_json()))).to_json() == pasted.to_json()


def test_a_pasted_picture_shows_the_animal_of_its_label(pasted: PastedWorld) -> None:
    for place in range(8):
        picture, label = pasted.pasted("quarry", place)
        middle = picture[:, 12:20, 12:20].float().mean(dim=(1, 2))
        if pasted.species[label] == "red_fox":
            assert float(middle[0] - middle[2]) > 40
        if pasted.species[label] == "otter":
            assert float(middle[2] - middle[0]) > 20


def test_the_prior_says_what_is_pasted(world: CameraWorld) -> None:
    otters = PastedWorld(world, Pasting(count=9, cutters=("heath",), prior={"otter": 1.0}, real=False))
    assert otters.labels("mire", "train").tolist() == [world.species.index("otter")] * 9
    own = PastedWorld(world, Pasting(count=400, cutters=("heath",), real=False))
    shares = torch.bincount(own.labels("mire", "train"), minlength=4) / 400
    assert torch.allclose(shares.double(), own.prior, atol=0.08)


@pytest.mark.parametrize("mask", ["box", "difference"])
def test_the_same_number_is_the_same_picture(world: CameraWorld, mask: Any) -> None:
    one, two = (PastedWorld(world, Pasting(count=3, cutters=("heath",), mask=mask)) for _ in range(2))
    assert all(torch.equal(one.pasted("mire", place)[0], two.pasted("mire", place)[0]) for place in range(3))
    assert not torch.equal(one.pasted("mire", 0)[0], one.pasted("mire", 1)[0])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"cutters": ()}, r"^There is nothing to paste: "),
        ({"prior": {"lynx": 1.0}}, r"^The prior names 'lynx', which is no class"),
        ({"prior": {"otter": 0.0}}, r"^The prior leaves nothing to paste"),
        ({"cutters": ("moor",)}, r"Location 'moor' is not known"),
    ],
)
def test_what_cannot_be_pasted_is_told(world: CameraWorld, changes: dict[str, Any], sentence: str) -> None:
    plan: dict[str, Any] = {"cutters": ("heath",)} | changes
    with pytest.raises(UserError, match=sentence):
        PastedWorld(world, Pasting(count=2, **plan))
