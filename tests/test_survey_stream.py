"""Documents in pieces say what Python's own reader says; whatever comes in, a survey or a sentence comes out."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from survey_files import coco, megadetector, table

from wildpdiff.errors import UserError
from wildpdiff.survey import json_parts
from wildpdiff.survey.bursts import all_seconds, seconds_of
from wildpdiff.survey.inspect import inspect
from wildpdiff.survey.json_parts import parts, pieces
from wildpdiff.survey.open import open_survey
from wildpdiff.survey.safely import read_safely
from wildpdiff.survey.told import as_text

QUIET = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
#: Letters that JSON is made of, so that strings look like its borders.
TRICKY = st.text(st.sampled_from('ab"\\{}[],: \nü\U0001f98a'), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TRICKY,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TRICKY, inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.lists(st.dictionaries(st.sampled_from(["id", "file_name", "images", "x"]), VALUES, min_size=1), max_size=8)
DOCUMENTS = st.dictionaries(st.sampled_from(["images", "annotations", "categories", "info", "a"]), RECORDS | VALUES)


def read(text: bytes) -> dict[str, Any]:
    """A document put together from its parts."""
    found: dict[str, Any] = {}
    for part in parts(lambda: io.BytesIO(text)):
        if part.records:
            found.setdefault(part.key, []).extend(part.value)
        else:
            found[part.key] = part.value
    return found


@QUIET
@given(DOCUMENTS, st.sampled_from([1, 3, 16, 60, 500]), st.sampled_from([None, 0, 2]), st.booleans())
def test_a_document_in_pieces_is_the_whole_document(
    document: Any, block: int, indent: int | None, ascii_: bool
) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_).encode("utf-8", "surrogatepass")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_parts, "BLOCK", block)
        assert read(text) == document


OWN = st.lists(st.dictionaries(st.sampled_from(["id", "x"]), VALUES, min_size=1), min_size=1, max_size=8)


@QUIET
@given(OWN, RECORDS.filter(bool), st.sampled_from([1, 16, 200]))
def test_a_list_is_read_again_from_its_place_and_leapt_over(one: Any, other: Any, block: int) -> None:
    text = json.dumps({"info": {"annotations": [1]}, "images": one, "annotations": other}).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_parts, "BLOCK", block)
        names = frozenset(["annotations", "images"])
        told = list(parts(lambda: io.BytesIO(text), leap=frozenset(["images"]), names=names))
        at = next(part.at for part in told if part.key == "images")
        assert [each for piece in pieces(lambda: io.BytesIO(text), at) for each in piece] == one
        assert [each for part in told if part.key == "annotations" for each in part.value] == other
        assert [part.value for part in told if part.key == "images"] == [[]]


@pytest.mark.parametrize("block", [1, 50, 5_000])
def test_a_list_inside_of_an_image_that_is_called_like_one_of_the_document_misleads_nobody(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_parts, "BLOCK", block)
    document = coco()
    for image in document["images"]:
        image |= {"tags": [{"a": 1}], "categories": []}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    assert [frame.empty for frame in open_survey(path).frames()] == [True, False, False, False]


@pytest.mark.parametrize("block", [1, 50, 5_000])
def test_nan_and_other_unicode_are_read_too(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_parts, "BLOCK", block)
    document = {"images": [{"id": at, "location": float("nan") if at % 7 == 3 else "Süd"} for at in range(100)]}
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        found = read(json.dumps(document, ensure_ascii=False).encode(encoding))["images"]
        assert [each["id"] for each in found] == list(range(100))
        assert [each["location"] == "Süd" for each in found] == [at % 7 != 3 for at in range(100)]


@pytest.mark.parametrize("cut", [1, 20, 100, 300, 500, 700])
def test_a_document_that_ends_too_early_is_damaged(cut: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_parts, "BLOCK", 40)
    (tmp_path / "a.json").write_bytes(json.dumps(coco()).encode()[:-cut])
    with pytest.raises(UserError, match=r"^'a\.json' (is damaged|is not in COCO)"):
        list(open_survey(tmp_path / "a.json").frames())


def test_a_record_longer_than_any_is_refused_without_reading_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_parts, "BLOCK", 100)
    monkeypatch.setattr(json_parts, "LONGEST", 1_000)
    file = io.BytesIO(b'{"images": [{"id": "' + b"x" * 1_000_000)
    with pytest.raises(UserError, match="damaged"), read_safely("a.json"):
        next(parts(lambda: file))
    assert file.closed


@QUIET
@given(
    st.lists(st.datetimes().map(lambda moment: moment.strftime("%Y-%m-%d %H:%M:%S")) | TRICKY | st.none(), max_size=5)
)
def test_many_times_are_read_as_each_alone(moments: list[Any]) -> None:
    assert all_seconds(moments) == [seconds_of(moment) for moment in moments]


def good() -> list[tuple[str, bytes]]:
    """A good document or table of each kind, with a name."""
    rows = table(
        ("path", "location", "species", "time"), ("a.jpg", "R1", "zebra", "2020-01-01 10:00:00"), ("b.jpg", "", "", "")
    )
    predictions = {"predictions": [{"filepath": "a.jpg", "prediction": "a;b;c;d;e;f;g", "detections": []}]}
    documents = {"coco": coco(), "megadetector": megadetector(), "speciesnet": predictions}
    return [("a.csv", rows.encode()), *(("a.json", json.dumps(each).encode()) for each in documents.values())]


@QUIET
@given(st.sampled_from(good()), st.integers(0, 2000), st.integers(0, 40), st.binary(max_size=12))
def test_damaged_bytes_give_a_survey_or_a_sentence(
    tmp_path: Path, one: tuple[str, bytes], at: int, gone: int, put: bytes
) -> None:
    name, content = one
    at %= len(content)
    (tmp_path / name).write_bytes(content[:at] + put + content[at + gone :])
    survey_or_sentence(tmp_path / name)


@QUIET
@given(VALUES | DOCUMENTS, st.sampled_from(["coco", "md", "sn"]))
def test_any_json_gives_a_survey_or_a_sentence(tmp_path: Path, value: Any, kind: str) -> None:
    wrapped = {
        "coco": {"images": value, "annotations": value, "categories": value},
        "md": {"detection_categories": value, "images": [value, {"file": "a", "detections": [value]}]},
        "sn": {"predictions": [value, {"filepath": "a", "detections": [value], "prediction": value}]},
    }
    for document in (value, wrapped[kind]):
        (tmp_path / "a.json").write_text(json.dumps(document), encoding="utf-8")
        survey_or_sentence(tmp_path / "a.json")


@QUIET
@given(st.binary(max_size=200), st.sampled_from(["a.json", "a.csv", "a.zip", "datapackage.json", "images.csv"]))
def test_any_bytes_give_a_survey_or_a_sentence(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    survey_or_sentence(tmp_path / name)


def survey_or_sentence(path: Path) -> None:
    try:
        found = inspect(open_survey(path))
    except UserError as error:
        told = str(error)
        assert told.endswith(".") and "\n" not in told and str(path.parent) not in told, told
        return
    finally:
        path.unlink()
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["photographs"] == found.photographs > 0
    assert as_text(found)
