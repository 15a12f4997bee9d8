"""What we write is valid, and read back it says the same."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from survey_files import validated

from wildpdiff.errors import UserError
from wildpdiff.survey import camtrap_schema
from wildpdiff.survey.names import seen_in
from wildpdiff.survey.open import open_survey
from wildpdiff.survey.records import PERSON, Box, Frame
from wildpdiff.survey.write import FORMAT, Told, labels_of, write_megadetector
from wildpdiff.survey.write_camtrap import write_camtrap

AT = 1_590_969_600
BOX, MAN = Box(0.1, 0.2, 0.3, 0.4, confidence=0.9), Box(0.5, 0.5, 0.25, 0.5, PERSON, 0.8)
SECOND = Box(0.6, 0.1, 0.2, 0.2, confidence=0.7)
GUESSES = (("zebra", 0.6), ("gnu", 0.25), ("empty", 0.1), ("lion", 0.005))
LABELLED = [
    Told(Frame("R1/a.jpg", "R1", ("zebra",), sequence="s1", seconds=AT, boxes=(BOX,))),
    Told(Frame("R1/b.jpg", "R1", (), True, sequence="s1", seconds=AT + 9, boxes=())),
    Told(Frame("R1/c.jpg", "R1", ("zebra", 'Рысь, "grey"'), seconds=AT, boxes=(BOX, MAN))),
    Told(Frame("R2/d.JPG", "R2", human=True, seconds=AT)),
    Told(Frame("R2/e.jpg", None, (), True, seconds=AT)),
    Told(Frame("R2/f.png", "Süd", seconds=AT)),
]
GUESSED = [
    Told(Frame("R1/a.jpg", "R1", sequence="s1", seconds=AT, boxes=(BOX,)), GUESSES),
    Told(Frame("R1/b.jpg", "R1", seconds=AT), GUESSES),
    Told(Frame("R1/c.jpg", "R1", seconds=AT, boxes=(BOX, MAN)), (("empty", 0.7), ("zebra", 0.3))),
    Told(Frame("R1/d.jpg", "R1", seconds=AT), (("empty", 0.7), ("zebra", 0.3))),
    Told(Frame("R1/e.jpg", "R1", ("lion",), seconds=AT, boxes=()), (("zebra", 0.2), ("gnu", 0.15), ("lion", 0.15))),
    Told(Frame("R1/f.jpg", "R1", seconds=AT), failure="it cannot be read"),
    Told(Frame("R1/g.jpg", "R1", seconds=AT, boxes=(BOX, SECOND)), each=(GUESSES, (("empty", 0.9), ("gnu", 0.1)))),
    Told(Frame("R1/h.jpg", "R1", seconds=AT, boxes=(BOX, MAN, SECOND)), each=(GUESSES, (("gnu", 0.9),))),
    Told(Frame("R1/i.jpg", "R1", seconds=AT, boxes=(BOX, MAN)), each=((("empty", 0.9),),)),
    Told(Frame("R1/j.jpg", "R1", seconds=AT, boxes=(BOX,)), each=((("empty", 0.9),),)),
]


def written(folder: Path, photographs: list[Told], **options: Any) -> tuple[str, ...]:
    return write_camtrap(
        folder,
        photographs,
        title="Mine, 2020",
        classifier="wildpdiff",
        created=datetime(2026, 1, 2, tzinfo=UTC),
        **options,
    )


def check_labels(photographs: list[Told], frames: list[Frame], *, places: bool) -> None:
    assert len(frames) == len(photographs)
    for told, frame in zip(photographs, frames, strict=True):
        species, empty, human = seen_in(labels_of(told) if not told.failure else ())
        assert frame.file == told.frame.file and (frame.species, frame.empty, frame.human) == (species, empty, human), (
            frame
        )
        if places:
            asked = told.frame
            assert (frame.location, frame.seconds, frame.sequence) == (asked.location, asked.seconds, asked.sequence)


@pytest.mark.parametrize("photographs", [LABELLED, GUESSED], ids=["labels", "guesses"])
def test_megadetectors_format_reads_back_to_the_same_labels(tmp_path: Path, photographs: list[Told]) -> None:
    path = tmp_path / "a.json"
    write_megadetector(path, photographs, classifier="wildpdiff", detector="mdv5a")
    frames = list(open_survey(path).frames())
    check_labels(photographs, frames, places=False)
    assert frames[0].boxes == (BOX,)
    check_megadetector(json.loads(path.read_text(encoding="utf-8")))


def check_megadetector(document: dict[str, Any]) -> None:
    """The rules of MegaDetector's format 1.6."""
    assert document["info"]["format_version"] == FORMAT == "1.6"
    for key in ("detection_categories", "classification_categories"):
        assert all(number.isdecimal() and name for number, name in document[key].items())
    assert document["detection_categories"] == {"1": "animal", "2": "person", "3": "vehicle"}
    for image in document["images"]:
        assert isinstance(image["file"], str) and "\\" not in image["file"]
        if image.get("failure") is not None:
            assert isinstance(image["failure"], str) and image["detections"] is None
            continue
        for one in image["detections"]:
            assert one["category"] in document["detection_categories"] and 0 <= one["conf"] <= 1
            left, top, width, height = one["bbox"]
            assert min(left, top) >= 0 and min(width, height) > 0 and max(left + width, top + height) <= 1 + 1e-6
            shares = [share for _, share in one.get("classifications", ())]
            assert shares == sorted(shares, reverse=True) and all(0 <= share <= 1 for share in shares)
            assert all(number in document["classification_categories"] for number, _ in one.get("classifications", ()))


def test_where_every_box_was_looked_at_each_has_its_own_name(tmp_path: Path) -> None:
    empty_beside, both, only_man, nothing = GUESSED[-4:]
    named = [("zebra",), ("zebra", "gnu", "person"), ("person",), ("empty",)]
    assert [labels_of(told) for told in (empty_beside, both, only_man, nothing)] == named
    write_megadetector(tmp_path / "a.json", [both], classifier="wildpdiff")
    document = json.loads((tmp_path / "a.json").read_text())
    (image,), classes = document["images"], document["classification_categories"]
    tops = [classes[one["classifications"][0][0]] if "classifications" in one else None for one in image["detections"]]
    assert tops == ["zebra", None, "gnu"] and [one["category"] for one in image["detections"]] == ["1", "2", "1"]
    written(tmp_path / "package", [both])
    (again,) = open_survey(tmp_path / "package").frames()
    assert again.boxes == (replace(BOX, confidence=0.6), MAN, replace(SECOND, confidence=0.9))


def test_a_photograph_without_a_box_is_a_box_as_sure_as_it_is_not_empty(tmp_path: Path) -> None:
    write_megadetector(tmp_path / "a.json", GUESSED, classifier="wildpdiff")
    document = json.loads((tmp_path / "a.json").read_text())
    assert labels_of(GUESSED[2]) == ("person",)
    (one,) = document["images"][1]["detections"]
    classes = document["classification_categories"]
    assert one["bbox"] == [0, 0, 1, 1] and one["conf"] == 0.9
    assert [(classes[number], share) for number, share in one["classifications"]] == list(GUESSES[:3])
    assert document["images"][3] == {"file": "R1/d.jpg", "detections": []}
    assert document["images"][5]["failure"] == "it cannot be read" and "detector" not in document["info"]


@pytest.mark.parametrize("photographs", [LABELLED, GUESSED], ids=["labels", "guesses"])
@pytest.mark.parametrize("known", [True, False])
def test_camtrap_packages_are_valid_and_read_back_to_the_same_labels(
    tmp_path: Path, photographs: list[Told], known: bool
) -> None:
    if not known:
        photographs = [told._replace(frame=told.frame._replace(seconds=None)) for told in photographs]
    places = {told.frame.location or "unknown location": (52.1, 5.2) for told in photographs}
    said = written(tmp_path, photographs, places=places if known else None)
    assert validated(tmp_path) == []
    check_labels(photographs, frames := list(open_survey(tmp_path).frames()), places=True)
    assert frames[0].boxes == (Box(0.1, 0.2, 0.3, 0.4, confidence=0.6 if photographs[0].guesses else 1.0),)
    assert bool(said) is not known and all("nothing tells them" in one for one in said)


def test_all_columns_of_the_format_are_there_in_order_and_its_rules_are_kept(tmp_path: Path) -> None:
    written(tmp_path, LABELLED, places={"R1": (1.0, 2.0)})
    document = json.loads((tmp_path / "datapackage.json").read_text(encoding="utf-8"))
    assert {"resources", "profile", "created", "contributors", "project", "spatial", "temporal", "taxonomic"} <= set(
        document
    )
    assert [one["scientificName"] for one in document["taxonomic"]] == ["zebra", 'Рысь, "grey"']
    assert document["temporal"] == {"start": "2020-06-01", "end": "2020-06-01"} and document["name"] == "mine--2020"
    for resource in document["resources"]:
        header = (tmp_path / resource["path"]).read_text(encoding="utf-8").splitlines()[0]
        fields = [field["name"] for field in resource["schema"]["fields"]]
        assert header.split(",") == fields == list(camtrap_schema.columns(resource["name"]))
    media = (tmp_path / "media.csv").read_text(encoding="utf-8")
    assert "image/png" in media and media.count("false") == 1  # the person's photograph is not public


def test_a_package_that_breaks_a_rule_is_found_by_the_check(tmp_path: Path) -> None:
    written(tmp_path, LABELLED, places={"R1": (1.0, 2.0)})
    path = tmp_path / "observations.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(",animal,", ",beast,", 1), encoding="utf-8")
    assert [kind for kind, _ in validated(tmp_path)] == ["constraint-error"]


def test_files_that_lead_out_are_left_out_and_counted(tmp_path: Path) -> None:
    out = [Told(Frame(name, "R1", ("zebra",), seconds=AT)) for name in ("../a.jpg", "/b.jpg", "C:\\c.jpg", "~d.jpg")]
    said = written(tmp_path, [*LABELLED, *out])
    assert said[-1] == "4 photographs are left out, as their file names lead out of the package."
    assert len(list(open_survey(tmp_path).frames())) == len(LABELLED)


def test_a_folder_that_cannot_be_written_is_one_sentence_and_nothing_half_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="could not be written"):
        written(tmp_path / "file", LABELLED)
    with pytest.raises(UserError, match="could not be written"):
        write_megadetector(tmp_path / "file" / "a.json", LABELLED, classifier="wildpdiff")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
