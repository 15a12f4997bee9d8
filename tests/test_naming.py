"""`wildpdiff data name`: a survey's photographs named by a bundle's classifier, in the forms that others read."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from coco_set import SPECIES, write_set
from export_parts import row_of, write_adapter
from survey_files import validated
from test_cli import Run, document, run
from test_files import one_sentence
from tiny_bundle import awake
from torch import Tensor

from wildpdiff.bundle import Bundle
from wildpdiff.errors import UserError
from wildpdiff.naming import BATCH, CAMTRAP, FORMS, MEGADETECTOR, Named, Order, name_photographs
from wildpdiff.network.backbone import Backbone
from wildpdiff.survey.names import Meaning, meaning, seen_in
from wildpdiff.survey.open import open_survey
from wildpdiff.survey.records import Frame
from wildpdiff.worlds.cameras import CameraWorld
from wildpdiff.worlds.shots import Shot

__all__ = ["run"]
#: Photographs of the set with something of their own.
BROKEN, GONE, PLACELESS, UNLABELLED, PERSON, BOTH, TWO = (f"heath/{place:03d}.jpg" for place in (0, 3, 1, 2, 4, 5, 6))


@pytest.fixture(scope="module")
def forest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The set's metadata, with all that may befall a survey."""
    metadata = write_set(tmp_path_factory.mktemp("forest"), bursts=8)
    document = json.loads(metadata.read_text())
    images = {one["id"]: one for one in document["images"]}
    said = {one["image_id"]: one for one in document["annotations"]}
    del images[PLACELESS]["location"], said[UNLABELLED]
    document["categories"].append({"id": 9, "name": "person"})
    man = {"category_id": 9, "bbox": [2, 2, 10, 40]}
    said[PERSON] = {"id": "p", "image_id": PERSON, **man}
    more = [{"id": "b", "image_id": BOTH, **man}, {**said[TWO], "id": "t", "bbox": [60, 40, 30, 30]}]
    document["annotations"] = [*said.values(), *more]
    metadata.write_text(json.dumps(document))
    (metadata.parent / "photos" / BROKEN).write_bytes(b"no picture")
    (metadata.parent / "photos" / GONE).unlink()
    return metadata


@pytest.fixture(scope="module")
def world(tiny_bundle: Path, forest: Path) -> CameraWorld:
    size = Bundle.open(tiny_bundle).world.size
    return CameraWorld.open(forest, images=forest.parent / "photos", size=size, species=[*SPECIES])


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path, world: CameraWorld) -> Bundle:
    """The tiny bundle with a classifier that tells the set's pictures apart, whatever batch they come in."""
    opened = Bundle.open(tiny_bundle)
    pixels = [pixels for frame in world.frames() if frame.boxes for pixels in pictures(world, frame)]
    opened.__dict__["_backbone"] = awake(Backbone.build(opened.described.species, seed=0), torch.stack(pixels))
    return opened


@pytest.fixture(scope="module")
def adapter(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_adapter(bundle, tmp_path_factory.mktemp("adapters") / "adapter-3")


def ordered(forest: Path, form: str, folder: Path, **options: Any) -> Order:
    out = folder / ("named.json" if form == MEGADETECTOR else "named")
    return Order(forest, form, out, images=forest.parent / "photos", **options)


def named(bundle: Bundle, order: Order) -> Named:
    *_, (step, found) = name_photographs(bundle, order)
    assert step.index == step.total == found.photographs
    return found


def pictures(world: CameraWorld, frame: Frame) -> list[Tensor]:
    """What a world of the set would show of a photograph."""
    boxes = [box for box in frame.boxes or () if box.kind == "animal"] or ([] if frame.human else [None])
    return [pixels for _, pixels in world.pictures([Shot(frame.file, 0, "eval", "", box) for box in boxes])]


def tops(bundle: Bundle, world: CameraWorld, frame: Frame, row: Tensor | None) -> list[str]:
    """What the classifier says of each."""
    with torch.no_grad():
        labels = [int(bundle.backbone(one[None], row).argmax()) for one in pictures(world, frame)]
    return [bundle.backbone.species[label] for label in labels]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("worn", [True, False], ids=["adapter", "none"])
def test_what_is_written_reads_back_to_the_labels_that_the_classifier_gave(
    bundle: Bundle, world: CameraWorld, forest: Path, adapter: Path, tmp_path: Path, form: str, worn: bool
) -> None:
    order = ordered(forest, form, tmp_path, **({"adapter": str(adapter)} if worn else {}))
    found = named(bundle, order)
    before = list(world.frames())
    after = {frame.file: frame for frame in open_survey(order.out).frames()}
    row, said = row_of(bundle) if worn else None, []
    assert [*after] == [frame.file for frame in before] and len(after) == found.photographs == 40
    for frame in before:
        own = after[frame.file]
        assert form == MEGADETECTOR or (own.location, own.sequence) == (frame.location, frame.sequence)
        if frame.file in (BROKEN, GONE):
            assert (own.species, own.empty, own.human) == ((), False, False)
            continue
        expected = tops(bundle, world, frame, row)
        said += expected
        shown = [name for name in expected if meaning(name) is not Meaning.EMPTY] or expected
        assert (set(own.species), own.empty) == (set(seen_in(shown).species), seen_in(shown).empty and not frame.human)
        assert own.human == frame.human
    assert len(set(said)) > 1, "the classifier says the same of everything"
    assert found.failures == 2 and found.people == 2
    assert found.animals == sum(name != "empty" for name in said) == sum(found.species.values())


def test_a_persons_box_gets_no_species_and_each_animal_has_its_own(
    bundle: Bundle, forest: Path, tmp_path: Path
) -> None:
    order = ordered(forest, MEGADETECTOR, tmp_path)
    found = named(bundle, order)
    written = json.loads(order.out.read_text())
    images = {one["file"]: one for one in written["images"]}
    (person,) = images[PERSON]["detections"]
    assert person["category"] == "2" and "classifications" not in person
    both = images[BOTH]["detections"]
    assert {one["category"]: "classifications" in one for one in both} == {"1": True, "2": False}
    first, second = images[TWO]["detections"]
    assert first["bbox"] != second["bbox"] and first["classifications"] != second["classifications"]
    for name in (BROKEN, GONE):
        assert images[name]["detections"] is None and images[name]["failure"] == "it cannot be read"
    assert any("cannot be read: 2" in note for note in found.notes)
    assert bundle.backbone.fingerprint in written["info"]["classifier"]
    assert images[PLACELESS].get("failure") is None is images[UNLABELLED].get("failure")


def test_the_package_is_valid_and_names_every_box(bundle: Bundle, forest: Path, tmp_path: Path) -> None:
    order = ordered(forest, CAMTRAP, tmp_path)
    named(bundle, order)
    assert validated(order.out) == [] and [each.name for each in tmp_path.iterdir()] == ["named"]
    rows = (order.out / "observations.csv").read_text().splitlines()
    (person,) = [row for row in rows if ",m4," in row]
    assert ",human," in person and bundle.backbone.fingerprint not in person


def test_boxes_of_a_detector_are_honoured_and_weak_ones_are_none(bundle: Bundle, forest: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    shutil.copytree(forest.parent / "photos" / "mire", photos / "mire")
    one = {"category": "1", "bbox": [0.5, 0.5, 0.25, 0.25]}
    images = [
        {"file": "mire/000.jpg", "detections": [{**one, "conf": 0.9}]},
        {"file": "mire/001.jpg", "detections": [{**one, "conf": 0.1}]},
        {"file": "mire/002.jpg", "detections": [{**one, "conf": 0.9, "category": "3"}]},
    ]
    detector = {"info": {}, "detection_categories": {"1": "animal", "3": "vehicle"}, "images": images}
    (tmp_path / "md.json").write_text(json.dumps(detector))
    out = tmp_path / "out.json"
    named(bundle, Order(photos, MEGADETECTOR, out, boxes=tmp_path / "md.json"))
    written = json.loads(out.read_text())
    box, weak, car, *others = written["images"]
    assert box["detections"][0]["bbox"] == one["bbox"] and box["detections"][0]["conf"] == 0.9
    assert not weak["detections"] or weak["detections"][0]["bbox"] == [0, 0, 1, 1]
    assert [(each["category"], "classifications" in each) for each in car["detections"]] == [("3", False)]
    assert len(others) == 5 and written["info"]["detector"] == "md.json"


def test_progress_comes_by_batches_and_ends_once_it_is_written(bundle: Bundle, forest: Path, tmp_path: Path) -> None:
    order = ordered(forest, MEGADETECTOR, tmp_path)
    told = [(step.index, order.out.exists()) for step, _ in name_photographs(bundle, order)]
    assert len(told) == 2 and told[0][0] >= BATCH and [there for _, there in told] == [False, True]


@pytest.mark.parametrize("form", FORMS)
def test_the_command_says_what_was_named_and_where_it_is(
    run: Run, tiny_bundle: Path, forest: Path, tmp_path: Path, form: str
) -> None:
    order = ordered(forest, form, tmp_path)
    words = ["data", "name", forest, "--images", order.images, "--form", form, "--bundle", tiny_bundle]
    found = document(run(*words, "--out", order.out, "--device", "cpu", "--json"))
    assert found["photographs"] == 40 and found["failures"] == 2 and found["written"] == str(order.out)
    assert found["seconds_per_photograph"] > 0
    again = run(*words, "--out", order.out)
    assert again.status == 2 and "exists" in again.err and len(again.err.splitlines()) == 1
    other = tmp_path / f"other{order.out.suffix}"
    said = run(*words, "--out", other, "--device", "cpu")
    assert said.status == 0 and "40 photographs" in said.out and "seconds a photograph" in said.out
    assert str(other) in said.out and "40/40" in said.err


def _no_pictures(options: dict[str, Any], folder: Path) -> None:
    (folder / "none").mkdir()
    options["images"] = folder / "none"


def _other_weights(options: dict[str, Any], folder: Path) -> None:
    shutil.copytree(options["adapter"], folder / "a")
    card = folder / "a" / "README.md"
    card.write_text(card.read_text().replace("weights ", "weights 0123456789ab, not "))
    options["adapter"] = str(folder / "a")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda options, _: options.update(form="xml"), "form must be one of"),
        (lambda options, _: options.update(form=MEGADETECTOR, out=Path("out.txt")), "end in .json"),
        (lambda options, folder: options.update(out=folder), "exists"),
        (lambda options, folder: options.update(out=folder / "file" / "x"), "cannot be written"),
        (lambda options, _: options.update(adapter="absent"), "is no folder"),
        (_other_weights, "is an adapter of classifier"),
        (_no_pictures, "there is no picture at all"),
        (lambda options, folder: options.update(path=folder / "absent.json"), "absent.json"),
    ],
)
def test_what_does_not_fit_is_one_sentence_and_nothing_is_written(
    bundle: Bundle,
    forest: Path,
    adapter: Path,
    tmp_path: Path,
    change: Callable[[dict[str, Any], Path], object],
    sentence: str,
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "file").write_text("")
    options: dict[str, Any] = {"path": forest, "form": CAMTRAP, "out": folder / "out", "adapter": str(adapter)}
    options["images"] = forest.parent / "photos"
    change(options, folder)
    before = sorted(folder.rglob("*"))
    with pytest.raises(UserError, match=sentence) as error:
        named(bundle, Order(**options))
    one_sentence(error, tmp_path)
    assert sorted(folder.rglob("*")) == before
