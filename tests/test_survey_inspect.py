"""`wildpdiff data inspect`: what a survey holds, and each problem in one sentence with its count."""

import json
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from survey_files import coco, megadetector, picture, table

from wildpdiff.errors import UserError
from wildpdiff.survey import look
from wildpdiff.survey.inspect import SAMPLE, inspect
from wildpdiff.survey.inspection import Inspection
from wildpdiff.survey.open import open_survey
from wildpdiff.survey.told import as_text


def document(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A COCO document from images with `species` in them."""
    names = sorted({name for row in rows for name in row.get("species", ())})
    images = [{"id": str(at), "file_name": f"{at}.jpg", "location": "R1"} | row for at, row in enumerate(rows)]
    annotations = [{"image_id": str(at), "category_id": names.index(name)} for at, row in enumerate(rows)
                   for name in row.get("species", ())]  # fmt: skip
    categories = [{"id": at, "name": name} for at, name in enumerate(names)]
    return {"images": images, "annotations": annotations, "categories": categories}


def inspected(tmp_path: Path, rows: list[dict[str, Any]], **options: Any) -> Inspection:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document(rows)), encoding="utf-8")
    return inspect(open_survey(path, **options))


def problems(found: Inspection) -> dict[str, tuple[int, str]]:
    return {one.what: (one.count, one.example) for one in found.problems}


def clock(seconds: float) -> str:
    return (datetime(2020, 7, 20, 6) + timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M:%S")


ZEBRA, EMPTY = {"species": ["zebra"]}, {"species": ["empty"]}


def test_it_counts_labels_species_and_locations(tmp_path: Path) -> None:
    rows = [ZEBRA, ZEBRA, EMPTY, {"species": ["zebra", "gnu"]}, {"species": ["human"]}, {}, EMPTY | {"location": "R2"}]
    found = inspected(tmp_path, rows)
    assert (found.photographs, found.animal, found.empty, found.human, found.unlabelled) == (7, 3, 2, 1, 1)
    assert found.species == {"zebra": 3, "gnu": 1}
    assert [(site.name, site.photographs, site.empty, site.animal) for site in found.sites] == [
        ("R1", 6, 1, 3), ("R2", 1, 1, 0)]  # fmt: skip
    assert found.dates is None and not found.guessed and found.pictures is None and found.boxed == 0


@pytest.mark.parametrize(
    ("rows", "what", "count", "example"),
    [
        ([ZEBRA, ZEBRA | {"location": None}], "Photographs without a location", 1, "1.jpg"),
        ([EMPTY, ZEBRA | {"location": "R2"}], "Locations without an empty photograph", 1, "R2"),
        ([ZEBRA, EMPTY], "Species with one photograph", 1, "zebra"),
        ([ZEBRA, {"species": ["Zebra"]}], "Species whose names differ in case or spacing only", 1, "Zebra' and 'zebra"),
        ([{"species": ["zebra", "empty"]}],
         "Photographs that are called empty and an animal at once, and are of no use", 1, "0.jpg"),
        ([ZEBRA | {"corrupt": True}], "Photographs that the metadata calls corrupt", 1, "0.jpg"),
        ([ZEBRA | {"file_name": "..\\b.jpg"}, ZEBRA | {"file_name": "C:\\b.jpg"}, ZEBRA | {"file_name": "/b.jpg"}],
         "File names that lead out of the images' folder, which are not read", 3, "..\\b.jpg"),
        ([ZEBRA | {"file_name": "b.jpg"}] * 3, "Photographs that are listed twice", 2, ""),
        ([ZEBRA | {"datetime": "1970-01-01 00:00:10"}],
         "Photographs from before 2000, by clocks that nobody set", 1, ""),
        ([ZEBRA | {"seq_id": "all"}] * 60,
         "Locations of which all photographs are one sequence, so that gaps in time make bursts", 1, "R1"),
        ([ZEBRA] * 3, "Photographs with neither sequence nor time, so that bursts may be torn apart", 3, ""),
    ],
)  # fmt: skip
def test_each_problem_is_told_with_its_count_and_an_example(
    tmp_path: Path, rows: list[dict[str, Any]], what: str, count: int, example: str
) -> None:
    found = inspected(tmp_path, rows)
    assert problems(found)[what] == (count, example)
    assert f"- {what}: {count}" in as_text(found)


def test_a_good_set_has_no_problem(tmp_path: Path) -> None:
    rows = [row | {"seq_id": str(at // 3), "datetime": clock(at)} for at, row in enumerate([ZEBRA, EMPTY] * 6)]
    assert inspected(tmp_path, rows).problems == ()


def test_bursts_are_told_by_sequences_else_by_gaps_in_time(tmp_path: Path) -> None:
    told = [ZEBRA | {"seq_id": str(at // 3), "datetime": clock(at)} for at in range(9)]
    timed = [ZEBRA | {"datetime": clock(600 * (at // 5) + at), "location": place} for place in "ab" for at in range(10)]
    assert (lambda found: (found.bursts, found.burst_by))(inspected(tmp_path, told)) == (3, "sequence")
    assert (lambda found: (found.bursts, found.burst_by))(inspected(tmp_path, timed)) == (4, "time")
    both = inspected(tmp_path, told + timed + [ZEBRA])
    assert (both.bursts, both.burst_by) == (8, "sequence and time")


def test_one_sequence_for_a_whole_time_lapse_is_split_by_time(tmp_path: Path) -> None:
    rows = [ZEBRA | {"seq_id": "all", "datetime": clock(600 * at)} for at in range(60)]
    found = inspected(tmp_path, rows)
    assert (found.bursts, found.burst_by) == (60, "time") and found.dates is not None
    assert found.to_json()["dates"] == ["2020-07-20", "2020-07-20"]


def test_a_sample_of_pictures_tells_day_and_infrared_and_what_cannot_be_read(tmp_path: Path) -> None:
    for at in range(6):
        picture(tmp_path / f"{at}.jpg", grey=at % 3 == 0)
    (tmp_path / "6.jpg").write_text("no picture")
    Image.new("1", (6_000, 5_000)).save(tmp_path / "7.jpg", "PNG")
    found = inspected(tmp_path, [ZEBRA] * 9)
    assert found.pictures is not None
    assert (found.pictures.day, found.pictures.infrared, found.pictures.missing, found.pictures.unreadable) == (
        4,
        2,
        1,
        2,
    )
    assert found.pictures.sizes == {(64, 48): 6}
    told = problems(found)
    assert told["Pictures of the sample that are not there"] == (1, "8.jpg")
    count, example = told["Pictures of the sample that cannot be read"]
    assert count == 2 and example.startswith("6.jpg") and str(tmp_path) not in example


def test_caption_strips_are_told_where_a_finder_is_given(tmp_path: Path) -> None:
    picture(tmp_path / "0.jpg")
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document([ZEBRA])), encoding="utf-8")
    seen: list[torch.Size] = []

    def strips(pictures: Any) -> tuple[float, float]:
        seen.extend(each.shape for each in pictures)
        return 0.0, 0.05

    found = inspect(open_survey(path), strips=strips)
    assert seen == [(3, look.STRIPS_HEIGHT, look.STRIPS_HEIGHT)]
    assert "Caption strips take 5.0% of the height at the bottom" in as_text(found)
    assert found.to_json()["pictures"]["strips"] == {"top": 0, "bottom": 0.05}


def test_the_sample_is_spread_over_all_photographs_and_bounded(tmp_path: Path) -> None:
    for at in range(0, 1000, 100):
        picture(tmp_path / f"{at}.jpg")
    found = inspected(tmp_path, [ZEBRA] * 1000)
    assert found.pictures is not None and SAMPLE // 2 <= found.pictures.asked <= SAMPLE
    assert found.pictures.read >= 2


def test_boxes_are_counted_by_kind_and_by_whom(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(coco()), encoding="utf-8")
    (tmp_path / "b.json").write_text(json.dumps(megadetector()), encoding="utf-8")
    found = inspect(open_survey(tmp_path / "a.json", boxes=tmp_path / "b.json"))
    assert found.boxes == {"animal": 1, "person": 1} and found.boxed == 3
    assert "by 'b.json'" in as_text(found) and found.to_json()["boxes"]["detector"] == "b.json"


def test_a_set_without_any_photograph_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'a\.json' \(COCO Camera Traps\) describes no photograph"):
        inspected(tmp_path, [])
    (tmp_path / "nothing").mkdir()
    with pytest.raises(UserError, match="describes no photograph"):
        inspect(open_survey(tmp_path / "nothing"))


def command(*words: str) -> tuple[int, str, str]:
    ran = subprocess.run([sys.executable, "-m", "wildpdiff", "data", "inspect", *words], capture_output=True, text=True)
    return ran.returncode, ran.stdout, ran.stderr


@pytest.mark.slow
def test_the_command_prints_text_or_json_and_a_mistake_as_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "Fotos.csv"
    path.write_text(table(("Bild", "Ort", "Art"), ("a.jpg", "Süd", "Reh"), ("b.jpg", "Süd", "leer")), encoding="utf-8")
    columns = ("--columns", "path=Bild,location=Ort,species=Art")
    status, told, _ = command(str(path), *columns)
    assert status == 0 and "2 photographs at 1 locations" in told and "Reh 1" in told
    status, told, _ = command(str(path), *columns, "--json")
    assert status == 0 and json.loads(told)["labels"]["empty"] == 1
    status, told, error = command(str(path))
    assert status == 2 and not told and error.count("\n") == 1 and "--columns path=NAME" in error
