"""Every format of camera-trap records becomes the same records."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from survey_files import MEDIA, OBSERVATIONS, ZEBRA, camtrap, coco, insights, megadetector, picture, table

from wildpdiff.errors import UserError
from wildpdiff.survey.detections import THRESHOLD
from wildpdiff.survey.folders import species_of
from wildpdiff.survey.open import open_survey
from wildpdiff.survey.records import PERSON, Box, Frame
from wildpdiff.survey.survey import Survey


def saved(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def by_file(survey: Survey) -> dict[str, Frame]:
    return {frame.file: frame for frame in survey.frames()}


def test_coco_tells_species_empties_people_boxes_and_times(tmp_path: Path) -> None:
    survey = open_survey(saved(tmp_path / "metadata.json", coco()))
    frames = list(survey.frames())
    assert survey.kind == "COCO Camera Traps" and survey.source == "metadata.json" and survey.images == tmp_path
    assert frames[0] == Frame("R0/0.jpg", "R0", (), True, False, "s0", 1_577_836_800, ())
    assert frames[1].species == ("Zebra",) and frames[1].boxes == (Box(0.1, 0.1, 0.5, 0.5),)
    assert frames[2].human and not frames[2].empty and frames[2].boxes is None
    assert frames[3] == Frame("R1/3.jpg", "R1", sequence="s1", seconds=1_577_836_800 + 3 * 3600)
    assert list(survey.frames()) == frames and survey.notes == ()


@pytest.mark.parametrize(
    "order",
    [
        ("images", "annotations", "categories"),
        ("categories", "annotations", "images"),
        ("annotations", "images", "categories"),
        ("images", "categories", "annotations"),
    ],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_lists_of_coco_may_stand_in_any_order_and_spacing(tmp_path: Path, order: Any, indent: int | None) -> None:
    plain = list(open_survey(saved(tmp_path / "a.json", coco())).frames())
    document = {key: coco()[key] for key in order} | {"info": {"images": [1], "annotations": [{"id": 1}]}}
    path = saved(tmp_path / "b.json", json.dumps(document, indent=indent))
    assert list(open_survey(path).frames()) == plain


def test_a_folder_or_a_zip_with_one_metadata_file_works_too(tmp_path: Path) -> None:
    path = saved(tmp_path / "set" / "metadata.json", coco())
    (tmp_path / "set" / "images").mkdir()
    plain = list(open_survey(path).frames())
    assert open_survey(path).images == open_survey(tmp_path / "set").images == tmp_path / "set" / "images"
    with zipfile.ZipFile(tmp_path / "set.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "any.json")
    assert list(open_survey(tmp_path / "set").frames()) == plain
    assert list(open_survey(tmp_path / "set.zip").frames()) == plain


def test_ids_that_are_floats_and_places_that_are_nan_are_read(tmp_path: Path) -> None:
    document = coco()
    for place, image in enumerate(document["images"]):
        image |= {"id": float(place), "location": 3.0 if place < 2 else float("nan")}
    document["annotations"] = [
        {"image_id": 1, "category_id": 1.0},
        {"image_id": "0", "category_id": "0"},
        {"image_id": "0", "category_id": 0},
        {"image_id": 2.0, "category_id": 7},
    ]
    survey = open_survey(saved(tmp_path / "a.json", document))
    frames = list(survey.frames())
    assert [frame.location for frame in frames] == ["3", "3", None, None]
    assert frames[0].empty and frames[1].species == ("Zebra",) and frames[2].species == ()
    assert survey.notes == ("Annotations of a category that is not listed: 1.",)


@pytest.mark.parametrize("name", ["blank", "None", "no_animal", "misfire"])
def test_categories_that_mean_no_animal_are_empty(tmp_path: Path, name: str) -> None:
    document = coco(categories=[{"id": 0, "name": name}, {"id": 1, "name": "Zebra"}, {"id": 2, "name": "vehicle"}])
    frames = list(open_survey(saved(tmp_path / "a.json", document)).frames())
    assert frames[0].empty and not frames[0].species and frames[2].human


def test_boxes_without_a_size_in_the_metadata_are_measured_on_the_picture(tmp_path: Path) -> None:
    document = coco()
    for image in document["images"]:
        del image["width"]
    path = saved(tmp_path / "a.json", document)
    assert list(open_survey(path).frames())[1].boxes is None
    picture(tmp_path / "R1" / "1.jpg", size=(400, 100))
    assert list(open_survey(path).frames())[1].boxes == (Box(0.05, 0.1, 0.25, 0.5),)


def test_a_picture_called_empty_and_an_animal_says_both(tmp_path: Path) -> None:
    document = coco()
    document["annotations"].append({"image_id": "i1", "category_id": 0})
    frame = list(open_survey(saved(tmp_path / "a.json", document)).frames())[1]
    assert frame.empty and frame.species == ("Zebra",)


def test_folders_tell_location_and_species(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    for name in (
        "cam1/0_Empty/a.jpg",
        "cam1/01_Zebra/night/b.jpg",
        "cam1/Zebra (2)/c.JPG",
        f"cam2/{ZEBRA}/d.jpg",
        "cam2/Рысь/e.jpg",
        "cam2/f.jpg",
        "cam2/100RECNX/g.jpg",
        "cam2/human/h.jpg",
        "cam2/.hidden/i.jpg",
    ):
        picture(root / name, taken="2020:06:01 10:00:00" if "f.jpg" in name else "")
    (root / "cam2" / "loop").symlink_to(root)
    survey = open_survey(root)
    frames = {Path(name).stem: frame for name, frame in by_file(survey).items()}
    assert set(frames) == set("abcdefgh")
    assert frames["a"].empty and frames["a"].location == "cam1"
    assert frames["b"].species == frames["c"].species == ("Zebra",)
    assert frames["d"].species == ("plains zebra",) and frames["e"].species == ("Рысь",)
    assert frames["f"].species == frames["g"].species == () and frames["h"].human
    assert frames["f"].seconds == 1_591_005_600 and frames["a"].seconds is None
    assert "Links to folders, which are not followed: 1, such as 'cam2/loop'." in survey.notes
    assert "Photographs in no folder that names a species: 2, such as 'cam2/f.jpg'." in survey.notes


def test_folders_of_species_with_locations_inside_are_read_the_other_way_round(tmp_path: Path) -> None:
    for name in ("zebra/cam01/a.jpg", "Equus quagga/cam02/b.jpg", "blank/cam01/c.jpg"):
        picture(tmp_path / "mine" / name)
    frames = by_file(survey := open_survey(tmp_path / "mine"))
    assert [(frame.location, frame.species, frame.empty) for frame in frames.values()] == [
        ("cam02", ("Equus quagga",), False),
        ("cam01", (), True),
        ("cam01", ("zebra",), False),
    ]
    assert any("species/location" in note for note in survey.notes)


@pytest.mark.parametrize(
    ("folder", "species"),
    [
        ("01_Zebra", "Zebra"),
        ("Zebra (2)", "Zebra"),
        ("red_fox copy", "red_fox"),
        ("100EK113", None),
        ("2020-05-01", None),
        ("DCIM", None),
        ("night 2", None),
        ("Équus", "Équus"),
        (ZEBRA, "plains zebra"),
        ("狐", "狐"),
    ],
)
def test_the_name_of_a_folder_tells_a_species_or_none(folder: str, species: str | None) -> None:
    assert species_of(folder) == species


def observation(at: int, **said: Any) -> list[Any]:
    row = {
        "observationID": f"o{at}-{len(said)}-{said.get('scientificName')}",
        "deploymentID": "d1",
        "observationLevel": "media",
    }
    return [(row | said).get(name, "") for name in OBSERVATIONS]


def test_camtrap_packages_tell_blanks_people_species_and_boxes(tmp_path: Path) -> None:
    box = {"bboxX": 0.2, "bboxY": 0.1, "bboxWidth": 0.5, "bboxHeight": 0.25}
    rows = [
        observation(0, mediaID="m0", observationType="blank"),
        observation(1, mediaID="m1", observationType="animal", scientificName="Castor fiber", eventID="e1", **box),
        observation(1, mediaID="m1", observationType="animal", scientificName="Lutra lutra"),
        observation(2, mediaID="m2", observationType="vehicle", **box, classificationProbability=0.5),
        observation(3, mediaID="m9", observationType="animal"),
    ]
    survey = open_survey(camtrap(tmp_path / "package", rows))
    frames = list(survey.frames())
    assert survey.kind.startswith("Camtrap DP") and [frame.location for frame in frames] == ["Beaver dam"] * 4
    assert frames[0].empty and frames[0].boxes == () and frames[0].seconds == 1_590_969_600
    assert frames[1].species == ("Castor fiber", "Lutra lutra") and frames[1].sequence == "e1"
    assert frames[1].boxes == (Box(0.2, 0.1, 0.5, 0.25),)
    assert frames[2].human and frames[2].boxes == (Box(0.2, 0.1, 0.5, 0.25, "vehicle", 0.5),)
    assert frames[3] == Frame("media/3.jpg", "Beaver dam", seconds=1_590_969_600 + 3 * 3600)
    assert survey.notes == ("Observations of media that are not listed: 1, such as 'm9'.",)


def test_observations_of_events_belong_to_all_media_in_their_time(tmp_path: Path) -> None:
    event = {
        "observationLevel": "event",
        "eventID": "e7",
        "observationType": "animal",
        "scientificName": "Castor fiber",
        "eventStart": "2020-06-01T00:30:00Z",
        "eventEnd": "2020-06-01T02:30:00Z",
    }
    own = observation(2, mediaID="m2", observationType="blank")
    package = camtrap(tmp_path / "package", [observation(0, **event), own])
    frames = list(open_survey(package).frames())
    assert [frame.species for frame in frames] == [(), ("Castor fiber",), (), ()]
    assert frames[2].empty and [frame.sequence for frame in frames] == [None, "e7", "e7", None]
    with zipfile.ZipFile(tmp_path / "package.zip", "w") as archive:
        for path in package.iterdir():
            archive.write(path, f"inner/{path.name}")
    assert list(open_survey(tmp_path / "package.zip").frames()) == frames
    assert list(open_survey(package / "datapackage.json").frames()) == frames


def test_a_package_without_a_table_or_with_one_outside_is_refused(tmp_path: Path) -> None:
    package = camtrap(tmp_path / "package", [])
    described = json.loads((package / "datapackage.json").read_text())
    for resources, told in (
        (described["resources"][:2], "no table 'observations'"),
        ([*described["resources"][:2], {"name": "observations", "path": "../o.csv"}], "outside"),
    ):
        saved(package / "datapackage.json", described | {"resources": resources})
        with pytest.raises(UserError, match=told):
            open_survey(package)
    saved(package / "datapackage.json", described)
    saved(package / "media.csv", table(MEDIA[:2]))
    with pytest.raises(UserError, match=r"'media\.csv' has no column 'filePath'"):
        list(open_survey(package).frames())


def test_wildlife_insights_tells_blanks_people_and_species(tmp_path: Path) -> None:
    rows = [
        {"deployment_id": "d1", "location": "gs://bucket/d1/a.jpg", "common_name": "Blank", "is_blank": "1"},
        {
            "deployment_id": "d1",
            "location": "gs://bucket/d1/b.jpg",
            "common_name": "Ocelot",
            "genus": "Leopardus",
            "species": "pardalis",
            "timestamp": "2020-01-01 10:00:00",
        },
        {"deployment_id": "d1", "location": "gs://bucket/d1/b.jpg", "genus": "Dasyprocta", "species": "punctata"},
        {
            "deployment_id": "d2",
            "location": "gs://bucket/d2/c.jpg",
            "common_name": "Human-Camera Trapper",
            "genus": "Homo",
            "species": "sapiens",
        },
        {"deployment_id": "d2", "location": "gs://bucket/d2/d.jpg", "common_name": "No CV Result"},
        {"deployment_id": "d2", "location": "gs://bucket/d2/e.jpg", "class": "Mammalia"},
    ]
    saved(tmp_path / "images.csv", insights(*rows))
    frames = by_file(open_survey(tmp_path / "images.csv"))
    assert frames["d1/a.jpg"].empty and frames["d1/a.jpg"].location == "d1"
    assert (
        frames["d1/b.jpg"].species == ("Ocelot", "Dasyprocta punctata") and frames["d1/b.jpg"].seconds == 1_577_872_800
    )
    assert frames["d2/c.jpg"].human and frames["d2/d.jpg"] == Frame("d2/d.jpg", "d2")
    assert frames["d2/e.jpg"].species == ("Mammalia",)
    saved(tmp_path / "deployments.csv", table(("deployment_id", "placename"), ("d1", "Ridge"), ("d2", "Ridge")))
    assert {frame.location for frame in open_survey(tmp_path).frames()} == {"Ridge"}


def test_any_table_is_read_by_the_columns_that_one_names(tmp_path: Path) -> None:
    text = table(
        ("Bild", "Ort", "Art", "Zeit", "Serie"),
        ("a.jpg", "1.0", "Rotfuchs", "01.02.2020 10:00:00", "s1"),
        ("b.jpg", "1.0", "leer", "x", ""),
        ("b.jpg", "1.0", "", "", ""),
        ("", "2", "Reh", "", ""),
    )
    columns = {"path": "Bild", "location": "Ort", "species": "Art", "time": "Zeit", "sequence": "Serie"}
    path = saved(tmp_path / "a.csv", text)
    survey = open_survey(path, columns=columns)
    assert list(survey.frames()) == [
        Frame("a.jpg", "1", ("Rotfuchs",), sequence="s1", seconds=1_580_551_200),
        Frame("b.jpg", "1", (), True),
    ]
    assert survey.notes == ("Times that cannot be read: 1, such as 'x'.", "Rows without a file name: 1.")
    with pytest.raises(UserError, match=r"--columns path=NAME, one of 'Bild', 'Ort'"):
        open_survey(path)
    with pytest.raises(UserError, match="no column 'Foto'; it has 'Bild'"):
        open_survey(path, columns=columns | {"path": "Foto"})


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_tables_are_read_as_programs_write_them(tmp_path: Path, encoding: str, delimiter: str) -> None:
    rows = (("File name", "Site", "Species"), ("a.jpg", "Süd", "Lièvre"), ("b.jpg", "Süd", "blank"))
    path = tmp_path / "a.csv"
    path.write_bytes("\r\n".join(map(delimiter.join, rows)).encode(encoding))
    frames = by_file(open_survey(path))
    assert frames["a.jpg"] == Frame("a.jpg", "Süd", ("Lièvre",)) and frames["b.jpg"].empty


def test_megadetector_alone_is_a_survey_without_labels(tmp_path: Path) -> None:
    survey = open_survey(saved(tmp_path / "a.json", megadetector()))
    frames = by_file(survey)
    assert survey.kind == "MegaDetector's output" and not any(frame.species or frame.empty for frame in frames.values())
    assert frames["R0/0.jpg"].boxes == () and frames["R1/3.jpg"].boxes is None
    assert frames["R1/1.jpg"].boxes == (Box(0.1, 0.1, 0.5, 0.5, confidence=0.93),)
    assert frames["R0\\2.jpg"].human and frames["R0\\2.jpg"].boxes == (Box(0.5, 0.5, 0.5, 0.5, PERSON, 0.7),)
    assert survey.notes == ("Photographs that the detector failed to read: 1, such as 'R1/3.jpg'.",)
    assert THRESHOLD == 0.2


def test_a_detectors_boxes_are_joined_by_file_names(tmp_path: Path) -> None:
    path, plain = saved(tmp_path / "a.json", coco()), list(open_survey(tmp_path / "a.json").frames())
    survey = open_survey(path, boxes=saved(tmp_path / "b.json", megadetector()))
    frames = list(survey.frames())
    assert frames[1] == plain[1] and frames[2].boxes == (Box(0.5, 0.5, 0.5, 0.5, PERSON, 0.7),)
    assert [frame[:7] for frame in frames] == [frame[:7] for frame in plain] and survey.detector == "b.json"
    other = megadetector()
    for image in other["images"]:
        image["file"] = f"C:\\photos\\{image['file']}"
    moved = open_survey(path, boxes=saved(tmp_path / "c.json", other))
    assert list(moved.frames()) == frames
    none = open_survey(path, boxes=saved(tmp_path / "d.json", megadetector(images=[])))
    assert list(none.frames()) == plain
    assert none.notes == ("Photographs that the detector's output does not name: 4, such as 'R0/0.jpg'.",)


def test_speciesnets_predictions_are_guessed_labels_and_boxes(tmp_path: Path) -> None:
    blank = "uuid;;;;;;blank"
    predictions = [
        {
            "filepath": "a.jpg",
            "prediction": ZEBRA,
            "prediction_score": 0.9,
            "detections": [{"category": "1", "label": "animal", "conf": 0.8, "bbox": [0.1, 0.2, 0.3, 0.4]}],
        },
        {"filepath": "b.jpg", "prediction": blank, "detections": []},
        {"filepath": "c.jpg", "failures": ["DETECTOR", "CLASSIFIER"]},
        {"filepath": "d.jpg", "prediction": "uuid;mammalia;primates;hominidae;homo;sapiens;human", "detections": []},
    ]
    survey = open_survey(saved(tmp_path / "a.json", {"predictions": predictions}))
    frames = by_file(survey)
    assert survey.guessed and frames["a.jpg"].species == ("plains zebra",) and frames["b.jpg"].empty
    assert frames["a.jpg"].boxes == (Box(0.1, 0.2, 0.3, 0.4, confidence=0.8),) and frames["d.jpg"].human
    assert frames["c.jpg"] == Frame("c.jpg", None)
    assert any("guesses" in note for note in survey.notes)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.json", {"version": "5", "shapes": []}, "LabelMe"),
        ("a.json.gz", "\x1f\x8b", "gzip"),
        ("a.parquet", "PAR1rest", "Parquet"),
        ("a.json", "version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("a.json", '{"images": [{"id": 1', "damaged"),
        ("a.json", "", "empty or damaged"),
        ("a.json", "[1, 2]", "damaged"),
        ("a.json", {"resources": []}, "datapackage.json"),
        ("a.json", {"images": [], "annotations": []}, "a list named 'categories'"),
        ("a.json", {"images": [{"id": 1}], "annotations": [], "categories": []}, "every record of 'images' needs"),
        ("a.csv", "x\n", "no column"),
        ("a.jpg", "x", "one picture"),
    ],
)
def test_what_is_no_survey_is_one_sentence(tmp_path: Path, name: str, content: Any, told: str) -> None:
    path = tmp_path / name
    path.write_bytes((content if isinstance(content, str) else json.dumps(content)).encode("latin-1"))
    with pytest.raises(UserError, match=r"^[^\n]+\.$") as caught:
        list(open_survey(path).frames())
    assert told in str(caught.value) and str(tmp_path) not in str(caught.value)


def test_what_is_missing_is_said_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'none\.json' is missing"):
        open_survey(tmp_path / "none.json")
    with pytest.raises(UserError, match="folder 'none' is missing"):
        open_survey(saved(tmp_path / "a.json", coco()), images=tmp_path / "none")
    with pytest.raises(UserError, match="no output of MegaDetector"):
        open_survey(saved(tmp_path / "a.json", coco()), boxes=tmp_path / "a.json")
