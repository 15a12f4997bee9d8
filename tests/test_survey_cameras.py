"""The 1,275 real photographs of `../shared/data/cameras`: read, looked through, written and read back."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from survey_files import validated

from wildpdiff.survey.inspect import inspect
from wildpdiff.survey.open import open_survey
from wildpdiff.survey.records import Frame
from wildpdiff.survey.write import Told, write_megadetector
from wildpdiff.survey.write_camtrap import write_camtrap
from wildpdiff.worlds.strips import find_strips

CAMERAS = Path(__file__).resolve().parents[2] / "shared" / "data" / "cameras"
pytestmark = pytest.mark.skipif(not CAMERAS.is_dir(), reason="../shared is not there")


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    return list(open_survey(CAMERAS).frames())


def test_inspect_tells_what_the_set_says_of_itself() -> None:
    found = inspect(open_survey(CAMERAS), strips=find_strips)
    assert (found.photographs, found.animal, found.empty, len(found.species), len(found.sites)) == (
        1275,
        946,
        329,
        20,
        61,
    )
    assert (found.bursts, found.burst_by, found.boxes, found.dates) == (100, "sequence", {"animal": 1108}, None)
    problems = {one.what: one.count for one in found.problems}
    assert problems == {"Photographs without a location": 150, "Locations without an empty photograph": 14}
    pictures = found.pictures
    assert pictures is not None and pictures.read == pictures.asked == 120 and pictures.day > 10 < pictures.infrared
    assert pictures.strips is not None and min(pictures.strips) > 0.02 and max(pictures.strips) < 0.05


def test_megadetectors_format_says_the_same_labels_and_boxes(frames: list[Frame], tmp_path: Path) -> None:
    write_megadetector(tmp_path / "a.json", map(Told, frames), classifier="by hand")
    again = list(open_survey(tmp_path / "a.json").frames())
    assert [frame[2:5] for frame in again] == [frame[2:5] for frame in frames]
    assert [frame.boxes for frame in again] == [frame.boxes for frame in frames]


def test_camtrap_says_the_same_and_is_valid(frames: list[Frame], tmp_path: Path) -> None:
    told = write_camtrap(
        tmp_path, list(map(Told, frames)), title="Cameras", classifier="", created=datetime(2026, 1, 1, tzinfo=UTC)
    )
    assert list(open_survey(tmp_path).frames()) == frames and len(told) == 3
    assert validated(tmp_path) == []
