"""A tiny data set in true COCO Camera Traps format, and what `CocoWorld` makes of it."""

import json
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from world_contract import check_world

from wildpdiff import picture
from wildpdiff.errors import UserError
from wildpdiff.worlds import coco
from wildpdiff.worlds.base import SPLITS, Images, Split
from wildpdiff.worlds.coco import CocoWorld

SPECIES = ("zebra", "Lion")
CATEGORIES = {"empty": 0, "human": 1, "Zebra": 2, "lion": 3, "giraffe": 4}


class DataSet:
    """Writes photographs and their records; `save` writes the metadata."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "photos"
        self.folder.mkdir()
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []
        self.rng = np.random.default_rng(0)

    def add(
        self,
        location: str,
        burst: int,
        *names: str,
        frame: int = 1,
        brightness: int = 128,
        pixels: np.ndarray | None = None,
    ) -> Path:
        """One photograph 64 x 48 with an annotation for each name; returns its file."""
        file = f"S1/{location}/{location}_R1/S1_{location}_R1_PICT{len(self.images):04d}.JPG"
        identity = file.removesuffix(".JPG")
        record = {"id": identity, "file_name": file, "location": location, "width": 64, "height": 48, "corrupt": False}
        record |= {"seq_id": f"SER_S1#{location}#1#{burst}", "seq_num_frames": 3, "frame_num": frame}
        self.images.append(record | {"datetime": "2010-07-20 06:14:06"})
        for name in names:
            key = f"{len(self.annotations):08d}"
            self.annotations.append({"id": key, "image_id": identity, "category_id": CATEGORIES[name], "count": "1"})
        if pixels is None:
            tiles = np.clip(self.rng.integers(-40, 40, (6, 8, 3)) + brightness, 0, 255).astype(np.uint8)
            pixels = tiles.repeat(8, 0).repeat(8, 1)
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, "JPEG", quality=95)
        return path

    def document(self) -> dict[str, Any]:
        categories = [{"id": number, "name": name} for name, number in CATEGORIES.items()]
        info = {"version": "2.1", "description": "a tiny data set"}
        return {"info": info, "images": self.images, "annotations": self.annotations, "categories": categories}

    def save(self, document: Any = None) -> Path:
        path = self.root / "metadata.json"
        path.write_text(json.dumps(document or self.document()), encoding="utf-8")
        return path

    def open(
        self, *, species: Sequence[str] = SPECIES, size: int = 32, eval_share: float = 0.3, **options: Any
    ) -> CocoWorld:
        return CocoWorld.open(self.save(), self.folder, species=species, size=size, eval_share=eval_share, **options)


@pytest.fixture
def empty_set(tmp_path: Path) -> DataSet:
    return DataSet(tmp_path)


@pytest.fixture
def data(empty_set: DataSet) -> DataSet:
    """Two locations, each with 30 bursts of 3 frames: empty, zebra and lion in turn."""
    for location in ("B04", "C11"):
        for burst in range(30):
            for frame in (1, 2, 3):
                empty_set.add(location, burst, ("empty", "Zebra", "lion")[burst % 3], frame=frame)
    return empty_set


def tally(world: CocoWorld, location: str, split: Split) -> torch.Tensor:
    """How many images of each class there are."""
    return world.labels(location, split).bincount(minlength=len(world.species))


def files(world: CocoWorld, location: str, split: Split) -> set[str]:
    return {photo.file for photo in world._photos[location] if photo.split == split}


def sequences(data: DataSet, names: Iterable[str]) -> set[str]:
    by_file = {record["file_name"]: record["seq_id"] for record in data.images}
    return {by_file[name] for name in names}


def test_it_keeps_the_contract_of_every_world(data: DataSet) -> None:
    check_world(data.open())


def test_the_contract_catches_a_world_whose_splits_overlap(data: DataSet) -> None:
    class Leaking(CocoWorld):
        def images(self, location: str, split: Split, first: int | None = None) -> Images:
            return super().images(location, "train", first)

        def labels(self, location: str, split: Split, first: int | None = None) -> torch.Tensor:
            return super().labels(location, "train", first)

    with pytest.raises(AssertionError, match="share a picture"):
        check_world(Leaking.open(data.save(), data.folder, species=SPECIES, size=32, eval_share=0.3))


def test_the_contract_catches_a_label_out_of_range(data: DataSet) -> None:
    class Mislabelled(CocoWorld):
        def images(self, location: str, split: Split) -> Images:
            images = super().images(location, split)
            return replace(images, labels=images.labels + 1)

    with pytest.raises(AssertionError):
        check_world(Mislabelled.open(data.save(), data.folder, species=SPECIES, size=32, eval_share=0.3))


def test_classes_are_the_listed_species_and_then_empty_whatever_their_case(data: DataSet) -> None:
    world = data.open(species=("LION", "zebra"))
    assert world.species == ("LION", "zebra", "empty")
    assert (tally(world, "B04", "train") + tally(world, "B04", "eval")).tolist() == [30, 30, 30]


def test_labels_belong_to_their_pixels(empty_set: DataSet) -> None:
    shade = {"empty": 40, "Zebra": 120, "lion": 220}
    for burst in range(30):
        name = list(shade)[burst % 3]
        empty_set.add("B04", burst, name, pixels=np.full((48, 64, 3), shade[name], np.uint8))
    images = empty_set.open().images("B04", "train")
    means = images.pixels.flatten(1).float().mean(1)
    expected = torch.tensor([120.0, 220.0, 40.0])[images.labels]
    assert set(images.labels.tolist()) == {0, 1, 2}
    assert (means - expected).abs().max() < 4


def test_images_that_do_not_show_one_listed_class_are_left_out_and_counted(data: DataSet) -> None:
    before = data.open()
    for names in (
        ("Zebra", "lion"),
        ("giraffe",),
        ("human",),
        ("Zebra", "human"),
        ("empty", "lion"),
        ("empty", "giraffe"),
        (),
    ):
        data.add("B04", 100, *names)
    data.images.append(data.images[0] | {"id": "corrupt", "file_name": "corrupt.JPG", "corrupt": True})
    data.annotations.append({"id": "c", "image_id": "corrupt", "category_id": 0})
    world = data.open()
    assert before.left_out == 0
    assert world.left_out == 8
    for split in SPLITS:
        assert torch.equal(tally(world, "B04", split), tally(before, "B04", split))


@pytest.mark.parametrize("names", [("Zebra", "Zebra"), ("Zebra", "giraffe"), ("giraffe", "Zebra")])
def test_one_listed_species_counts_once_also_with_several_boxes_or_an_unlisted_companion(
    data: DataSet, names: tuple[str, ...]
) -> None:
    data.add("D02", 1, *names)
    world = data.open(locations=["D02"])
    assert world.left_out == 0
    assert (tally(world, "D02", "train") + tally(world, "D02", "eval")).tolist() == [1, 0, 0]


def test_a_file_that_is_listed_twice_stands_on_one_side_only(data: DataSet) -> None:
    for record in list(data.images):
        twin = record | {"id": record["id"] + "#2", "seq_id": record["seq_id"] + "#2"}
        data.images.append(twin)
        data.annotations.append({"id": twin["id"], "image_id": twin["id"], "category_id": 0})
    world = data.open()
    assert not files(world, "B04", "train") & files(world, "B04", "eval")
    assert world.left_out == 180


def test_no_burst_stands_on_both_sides(data: DataSet) -> None:
    world = data.open()
    for location in world.locations:
        train, held_out = files(world, location, "train"), files(world, location, "eval")
        assert len(train) + len(held_out) == 90 and held_out
        assert not sequences(data, train) & sequences(data, held_out)


def test_the_split_depends_on_the_seed_and_not_on_order_species_or_cap(data: DataSet) -> None:
    held_out = files(data.open(), "B04", "eval")
    narrow = data.open(species=["lion"], locations=["B04"])
    capped = data.open(max_images=40)
    data.images.reverse()
    assert files(data.open(), "B04", "eval") == held_out
    assert files(narrow, "B04", "eval") == held_out & (files(narrow, "B04", "eval") | files(narrow, "B04", "train"))
    assert files(capped, "B04", "eval") <= held_out
    assert files(capped, "B04", "train").isdisjoint(held_out)
    assert files(data.open(seed=1), "B04", "eval") != held_out


def test_the_eval_side_has_about_the_asked_share_of_sequences(empty_set: DataSet) -> None:
    record = {"location": "B04"}
    for number in range(4000):
        name = f"{number}.JPG"
        empty_set.images.append(record | {"id": name, "file_name": name, "seq_id": str(number)})
        empty_set.annotations.append({"id": name, "image_id": name, "category_id": 2})
    held_out = tally(empty_set.open(eval_share=0.1), "B04", "eval")[0]
    assert abs(held_out - 400) < 5 * (4000 * 0.1 * 0.9) ** 0.5


@pytest.mark.parametrize("nothing", ["missing", None, ""])
def test_without_a_sequence_each_image_stands_for_itself(data: DataSet, nothing: str | None) -> None:
    for record in data.images:
        if nothing == "missing":
            del record["seq_id"]
        else:
            record["seq_id"] = nothing
    world = data.open()
    assert files(world, "B04", "eval") and files(world, "B04", "train")


def test_max_images_bounds_both_splits_together_and_keeps_the_same_sample(data: DataSet) -> None:
    world, again = data.open(max_images=20), data.open(max_images=20)
    for location in world.locations:
        assert len(files(world, location, "train") | files(world, location, "eval")) == 20
        assert files(world, location, "train") == files(again, location, "train")


def test_the_whole_frame_is_squeezed_into_the_square(empty_set: DataSet) -> None:
    stripes = np.zeros((300, 800, 3), np.uint8)
    stripes[:, :400, 0], stripes[:, 400:, 2] = 255, 255
    for burst in range(12):
        empty_set.add("B04", burst, "lion", pixels=stripes)
    picture = empty_set.open(size=48).images("B04", "train").pixels[0].float()
    assert picture.shape == (3, 48, 48)
    assert (picture[0, :, :22] > 230).all() and (picture[0, :, 26:] < 25).all()
    assert (picture[2, :, :22] < 25).all() and (picture[2, :, 26:] > 230).all()


def test_pictures_come_in_the_order_of_their_file_names(empty_set: DataSet) -> None:
    for burst in range(24):
        empty_set.add("B04", burst, "lion", pixels=np.full((48, 64, 3), 10 * burst + 5, np.uint8))
    empty_set.images.reverse()
    means = empty_set.open().images("B04", "train").pixels.flatten(1).float().mean(1)
    assert len(means) > 5 and (means.diff() > 0).all()


def test_grey_night_pictures_become_three_equal_channels(empty_set: DataSet) -> None:
    for burst in range(12):
        path = empty_set.add("B04", burst, "lion")
        Image.new("L", (64, 48), 70).save(path, "JPEG")
    pixels = empty_set.open().images("B04", "train").pixels.int()
    assert (pixels - 70).abs().max() <= 2


def test_backgrounds_are_the_brightest_empty_training_pictures(data: DataSet) -> None:
    for burst in range(100, 160):
        data.add("B04", burst, "empty", brightness=200)
        data.add("B04", burst + 100, "lion", brightness=250)
        data.add("C11", burst, "empty", brightness=10)
    world = data.open()
    means = world.backgrounds("B04").flatten(1).float().mean(1)
    assert len(means) == coco.BACKGROUNDS
    assert (means > 180).all() and (means < 225).all()
    assert (means.diff() <= 0).all()
    train = world.images("B04", "train")
    empties = {picture.numpy().tobytes() for picture in train.pixels[train.labels == 2]}
    assert {picture.numpy().tobytes() for picture in world.backgrounds("B04").contiguous()} <= empties


def test_a_location_without_an_empty_picture_has_no_backgrounds(data: DataSet) -> None:
    for burst in range(12):
        data.add("D02", burst, "lion")
    with pytest.raises(UserError, match="'D02' has no empty training image"):
        data.open().backgrounds("D02")


def test_missing_truncated_and_foreign_files_are_skipped_and_counted_once(data: DataSet) -> None:
    world = data.open(locations=["B04"])
    whole = len(world.images("B04", "train"))
    first, second, third = sorted(files(world, "B04", "train"))[:3]
    (data.folder / first).unlink()
    (data.folder / second).write_bytes((data.folder / second).read_bytes()[:500])
    (data.folder / third).write_text("not a picture")
    assert world.skipped == 0
    assert len(world.images("B04", "train")) == whole - 3
    assert len(world.images("B04", "train")) == whole - 3
    assert world.skipped == 3


def test_a_picture_with_too_many_pixels_is_skipped(data: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    world = data.open(locations=["B04"])
    whole = len(world.images("B04", "train"))
    huge = sorted(files(world, "B04", "train"))[0]
    Image.new("RGB", (65, 48)).save(data.folder / huge)
    monkeypatch.setattr(picture, "MAX_JPEG_PIXELS", 64 * 48)
    assert len(world.images("B04", "train")) == whole - 1
    assert world.skipped == 1


def test_a_file_outside_the_folder_is_not_read(empty_set: DataSet) -> None:
    outside = empty_set.root / "outside.JPG"
    Image.new("RGB", (64, 48)).save(outside)
    for burst in range(12):
        empty_set.add("B04", burst, "lion")
        empty_set.images[-1]["file_name"] = (
            ("../outside.JPG", str(outside))[burst % 2] if burst else "S1/../../outside.JPG"
        )
    world = empty_set.open(eval_share=0.001)
    with pytest.raises(UserError, match="No photograph of location 'B04' can be read"):
        world.images("B04", "train")


def test_a_folder_without_any_of_the_files_is_an_error_without_its_full_path(data: DataSet, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()
    world = CocoWorld.open(data.save(), other, species=SPECIES)
    for read in (lambda: world.images("B04", "train"), lambda: world.backgrounds("B04")):
        with pytest.raises(UserError, match="elsewhere") as caught:
            read()
        assert str(tmp_path) not in str(caught.value)


def test_opening_reads_no_photograph(data: DataSet) -> None:
    for path in data.folder.rglob("*.JPG"):
        path.unlink()
    assert data.open().locations == ("B04", "C11")


def test_a_zipped_metadata_file_gives_the_same_world(data: DataSet) -> None:
    plain = data.open()
    zipped = data.root / "metadata.json.zip"
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(data.root / "metadata.json", "SnapshotSerengeti.json")
        archive.writestr("__MACOSX/._SnapshotSerengeti.json", "left by a Mac")
    world = CocoWorld.open(zipped, data.folder, species=SPECIES, size=32, eval_share=0.3)
    assert torch.equal(world.images("C11", "eval").pixels, plain.images("C11", "eval").pixels)


def test_numbers_serve_as_ids_and_locations_as_in_older_sets(data: DataSet) -> None:
    numbers = {record["id"]: number for number, record in enumerate(data.images)}
    for record in data.images:
        record |= {"id": numbers[record["id"]], "location": int(record["location"][1:])}
    for annotation in data.annotations:
        annotation["image_id"] = numbers[annotation["image_id"]]
    assert data.open().locations == ("11", "4")


def test_whole_floats_are_numbers_as_tables_write_them(data: DataSet) -> None:
    plain = data.open()
    for record in data.images:
        record["location"] = float(int(record["location"][1:]))
    for annotation in data.annotations:
        annotation["category_id"] = float(annotation["category_id"])
    world = data.open()
    assert world.locations == ("11", "4") and world.notes == ()
    assert torch.equal(tally(world, "4", "train"), tally(plain, "B04", "train"))


@pytest.mark.parametrize("nothing", [float("nan"), None, "", 2.5, [], True])
def test_images_without_a_location_are_counted_and_said(data: DataSet, nothing: Any) -> None:
    for record in data.images[:7]:
        record["location"] = nothing
    world = data.open(locations=None)
    if nothing is True:
        assert "True" in world.locations
        return
    assert world.left_out == 7 and world.notes == ("7 images name no location and are left out.",)
    assert data.open(locations=["C11"]).notes == ()


@pytest.mark.parametrize("name", ["blank", "None", "False trigger", "misfire", "no_animal", "nothingHere"])
def test_what_people_call_empty_is_empty(data: DataSet, name: str) -> None:
    document = data.document()
    for category in document["categories"]:
        category["name"] = {"empty": name}.get(category["name"], category["name"])
    world = CocoWorld.open(data.save(document), data.folder, species=[*SPECIES, name], size=32, eval_share=0.3)
    assert world.species == ("zebra", "Lion", "empty")
    assert len(world.backgrounds("B04")) > 0


def test_two_names_of_empty_are_both_empty_and_persons_are_humans(data: DataSet) -> None:
    more = {"misfire": 8, "person": 9}
    before = data.open()
    for number in more.values():
        data.add("B04", 200 + number, "empty")
        data.annotations[-1]["category_id"] = number
    document = data.document()
    document["categories"] += [{"id": number, "name": name} for name, number in more.items()]
    world = CocoWorld.open(data.save(document), data.folder, species=SPECIES, size=32, eval_share=0.3)
    counts = [sum(tally(each, "B04", split) for split in SPLITS).tolist() for each in (world, before)]
    assert counts[0] == [counts[1][0], counts[1][1], counts[1][2] + 1] and world.left_out == 1


@pytest.mark.parametrize(
    "named",
    [
        lambda name: name.replace("/", "\\"),
        lambda name: name.lower(),
        lambda name: name.replace("/", "\\").swapcase(),
        lambda name: f"./{name}",
    ],
    ids=["backslashes", "another case", "both", "a dot"],
)
def test_files_are_found_by_windows_paths_and_in_another_case(data: DataSet, named: Callable[[str], str]) -> None:
    plain = data.open().images("B04", "train")
    for record in data.images:
        record["file_name"] = named(record["file_name"])
    assert data.open().images("B04", "train").pixels.shape == plain.pixels.shape


@pytest.mark.parametrize("name", ["C:\\photos\\a.jpg", "..\\outside.JPG", "\\\\server\\a.jpg", "a\0b.jpg", "x" * 400])
def test_no_name_leads_out_of_the_folder_or_stops_the_reading(data: DataSet, name: str) -> None:
    Image.new("RGB", (64, 48)).save(data.root / "outside.JPG")
    world = data.open(locations=["B04"])
    whole = sum(len(world.images("B04", split)) for split in SPLITS)
    data.images[0]["file_name"] = name
    world = data.open(locations=["B04"])
    assert sum(len(world.images("B04", split)) for split in SPLITS) == whole - 1
    assert world.skipped == 1


def test_a_folder_that_does_not_fit_is_told_by_a_name_looked_for_and_one_that_is_there(data: DataSet) -> None:
    other = data.root / "other"
    (other / "deep").mkdir(parents=True)
    Image.new("RGB", (64, 48)).save(other / "deep" / "IMG_1.JPG")
    world = CocoWorld.open(data.save(), other, species=SPECIES)
    with pytest.raises(UserError, match=r"looked for 'S1/B04/.*\.JPG', and there is 'deep/IMG_1\.JPG'"):
        world.images("B04", "train")


def at_times(data: DataSet, sequence: str | None, moments: Sequence[str | None]) -> None:
    """One zebra at each moment, all of one sequence."""
    for moment in moments:
        data.add("B04", 0, "Zebra")
        data.images[-1] |= {"seq_id": sequence, "datetime": moment}


def clock(seconds: int, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    return (datetime(2010, 7, 20, 6) + timedelta(seconds=seconds)).strftime(form)


@pytest.mark.parametrize("sequence", ["all", None])
@pytest.mark.parametrize(
    "form", ["%Y-%m-%d %H:%M:%S", "%Y:%m:%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S.250Z", "%m/%d/%Y %H:%M:%S"]
)
def test_without_sequences_or_with_one_for_all_gaps_in_time_make_bursts(
    empty_set: DataSet, sequence: str | None, form: str
) -> None:
    at_times(empty_set, sequence, [clock(600 * burst + frame, form) for burst in range(60) for frame in range(3)])
    world = empty_set.open(locations=["B04"])
    held_out = files(world, "B04", "eval")
    names = sorted(files(world, "B04", "train") | held_out)
    sides = [{name in held_out for name in names[at : at + 3]} for at in range(0, 180, 3)]
    assert all(len(side) == 1 for side in sides) and 8 <= sides.count({True}) <= 32
    assert world.notes == ()


def test_pictures_that_follow_each_other_without_a_gap_are_split_by_days(empty_set: DataSet) -> None:
    for number in range(7_500):
        record = {"id": str(number), "file_name": f"{number}.jpg", "location": "B04", "seq_id": "all"}
        empty_set.images.append(record | {"datetime": clock(59 * number)})
        empty_set.annotations.append({"id": str(number), "image_id": str(number), "category_id": 2})
    world = empty_set.open(eval_share=0.5)
    held_out = files(world, "B04", "eval")
    days = [clock(59 * number)[:10] for number in range(7_500)]
    names = [record["file_name"] for record in empty_set.images]
    sides = {day: {name in held_out for name, own in zip(names, days, strict=True) if own == day} for day in set(days)}
    assert len(sides) == 6 and all(len(side) == 1 for side in sides.values())
    assert world.notes == ()


def test_one_sequence_for_all_without_times_is_said_beside_the_location(empty_set: DataSet) -> None:
    at_times(empty_set, "all", [None] * 40)
    (note,) = empty_set.open().notes
    assert "'B04'" in note and "all 40 images are one sequence" in note


@pytest.mark.parametrize("moment", [None, "unknown", "2010-07-20 06:14:06", "0000-00-00 00:00:00"])
def test_without_sequences_and_useful_times_the_risk_is_said(empty_set: DataSet, moment: str | None) -> None:
    at_times(empty_set, None, [moment] * 40)
    world = empty_set.open()
    assert files(world, "B04", "eval") and files(world, "B04", "train")
    (note,) = world.notes
    assert "'B04'" in note and "40 of 40" in note and "both sides" in note


def test_an_upright_frame_and_a_deep_grey_are_read_as_in_every_other_door(empty_set: DataSet) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    half = np.zeros((48, 64, 3), np.uint8)
    half[:24] = 250
    grey = np.full((48, 64), 32_896, np.uint16)
    for burst in range(12):
        path = empty_set.add("B04", burst, "lion")
        if burst % 2:
            Image.fromarray(grey).save(path, "PNG")
        else:
            Image.fromarray(half).save(path, "JPEG", exif=exif, quality=95)
    pixels = empty_set.open(eval_share=0.001).images("B04", "train").pixels.float()
    turned, deep = pixels[::2], pixels[1::2]
    assert (turned[..., 22:] > 230).all() and (turned[..., :10] < 25).all()
    assert deep.unique().tolist() == [128]


def test_a_photograph_without_its_end_mark_is_read_and_counted(data: DataSet) -> None:
    world = data.open(locations=["B04"])
    first = data.folder / sorted(files(world, "B04", "train"))[0]
    whole = world.images("B04", "train")
    first.write_bytes(first.read_bytes()[:-2])
    assert torch.equal(world.images("B04", "train").pixels, whole.pixels)
    assert (world.skipped, world.short) == (0, 1)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (
            "a.json",
            {"images": [{"file": "a.jpg", "detections": []}], "detection_categories": {}, "info": {}},
            "MegaDetector",
        ),
        ("a.json", {"predictions": [{"filepath": "a.jpg"}]}, "SpeciesNet"),
        ("datapackage.json", {"profile": "camtrap-dp", "resources": []}, "Camtrap DP"),
        ("a.json", {"version": "5", "shapes": []}, "LabelMe"),
        ("a.csv", b"image_id,location,species\n1,B04,zebra\n", "CSV"),
        ("a.json", b"image_id,location,species\n1,B04,zebra\n", "CSV"),
        ("a.json.gz", b"\x1f\x8b\x08\x00rest", "gzip"),
        ("a.parquet", b"PAR1rest", "Parquet"),
        ("a.json", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    ],
)
def test_another_format_is_named_with_what_to_do(data: DataSet, name: str, content: Any, told: str) -> None:
    path = data.root / name
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(UserError, match=r"^[^\n]+\.$") as caught:
        CocoWorld.open(path, data.folder, species=SPECIES)
    assert told in str(caught.value)


def test_a_zip_of_tables_is_named(data: DataSet) -> None:
    path = data.root / "package.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("media.csv", "a,b,c")
    with pytest.raises(UserError, match="Camtrap DP"):
        CocoWorld.open(path, data.folder, species=SPECIES)


def test_chosen_locations_keep_their_order_and_others_do_not_count(data: DataSet) -> None:
    data.add("D02", 1, "Zebra", "lion")
    assert data.open(locations=["C11", "B04"]).locations == ("C11", "B04")
    assert data.open(locations=["C11"]).left_out == 0


def test_a_split_without_images_is_an_error(data: DataSet) -> None:
    data.add("D02", 1, "lion")
    world = data.open(locations=["D02"])
    (bare,) = [split for split in ("train", "eval") if not files(world, "D02", split)]
    with pytest.raises(UserError, match=f"'D02' has no {bare} image"):
        world.images("D02", bare)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"species": ["okapi"]}, "no category 'okapi'; choose species among: empty, giraffe, human, lion, zebra"),
        ({"species": ["giraffe"]}, "no usable image of giraffe"),
        ({"species": []}, "No species"),
        ({"species": ["empty"]}, "No species"),
        ({"species": ["lion", "LION "]}, "listed twice"),
        ({"locations": ["Z99"]}, "Location 'Z99' is not known; choose one of: B04, C11, E05"),
        ({"locations": ["E05"]}, "Location 'E05' has no usable image"),
        ({"size": 0}, "size"),
        ({"eval_share": 0.0}, "eval_share"),
        ({"eval_share": 1.0}, "eval_share"),
        ({"max_images": 0}, "max_images"),
    ],
)
def test_a_choice_that_cannot_be_met_is_one_sentence(data: DataSet, options: dict[str, Any], sentence: str) -> None:
    data.add("E05", 1, "human")
    with pytest.raises(UserError, match=sentence):
        data.open(**options)


def test_a_location_that_is_not_there_is_an_error(data: DataSet) -> None:
    with pytest.raises(UserError, match="'Z99' is not known"):
        data.open().images("Z99", "train")


def without(records: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    return [{name: value for name, value in record.items() if name != key} for record in records]


@pytest.mark.parametrize(
    ("part", "key"),
    [
        ("images", "id"),
        ("images", "file_name"),
        ("annotations", "image_id"),
        ("annotations", "category_id"),
        ("categories", "id"),
        ("categories", "name"),
    ],
)
def test_a_record_without_a_needed_key_names_both(data: DataSet, part: str, key: str) -> None:
    document = data.document()
    document[part] = without(document[part], key)
    with pytest.raises(UserError, match=f"'{part}' needs '{key}'"):
        CocoWorld.open(data.save(document), data.folder, species=SPECIES)


@pytest.mark.parametrize("part", ["images", "annotations", "categories"])
def test_metadata_without_one_of_its_lists_is_another_format(data: DataSet, part: str) -> None:
    document = data.document()
    del document[part]
    with pytest.raises(UserError, match=f"a list named '{part}'"):
        CocoWorld.open(data.save(document), data.folder, species=SPECIES)


def test_metadata_without_locations_is_an_error(data: DataSet) -> None:
    data.images[:] = without(data.images, "location")
    with pytest.raises(UserError, match="names its 'location'"):
        data.open()


@pytest.mark.parametrize("content", [b"", b'{"images": [', b"\xff\xfe\x00binary", b"[1, 2]", b"7", b"[" * 100_000])
def test_damaged_or_other_json_is_an_error(data: DataSet, content: bytes) -> None:
    path = data.root / "metadata.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"metadata\.json"):
        CocoWorld.open(path, data.folder, species=SPECIES)


def test_a_damaged_or_crowded_zip_is_an_error(data: DataSet) -> None:
    path = data.root / "metadata.json.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(data.save(), "one.json")
    content = bytearray(path.read_bytes())
    content[200:260] = bytes(60)
    broken = data.root / "broken.json.zip"
    broken.write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        CocoWorld.open(broken, data.folder, species=SPECIES)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("two.json", "{}")
    with pytest.raises(UserError, match=r"holds 2 \.json files"):
        CocoWorld.open(path, data.folder, species=SPECIES)


def test_missing_metadata_or_folder_is_an_error(data: DataSet) -> None:
    with pytest.raises(UserError, match=r"'other\.json' is missing"):
        CocoWorld.open(data.root / "other.json", data.folder, species=SPECIES)
    with pytest.raises(UserError, match="'nowhere' is missing"):
        CocoWorld.open(data.save(), data.root / "nowhere", species=SPECIES)


def test_what_is_left_out_and_what_cannot_be_read_is_told_with_its_number(data: DataSet) -> None:
    world = data.open()
    ruled_out = [note for note in world.notes if "are left out: by the metadata" in note]
    assert [note.partition(" ")[0] for note in ruled_out] == ([f"{world.left_out}"] if world.left_out else [])
    location = world.locations[0]
    first = world._listed(location, "train")[0]
    (data.folder / first.file).write_bytes(b"no picture")
    world.images(location, "train")
    assert f"Files that cannot be read are left out, 1 so far; '{first.file}' is one." in world.notes
