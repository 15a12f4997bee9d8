"""What the browser gets as JSON: frames, and the table of what is known beforehand."""

import base64
import json
from io import BytesIO
from pathlib import Path

import pytest
import torch
from PIL import Image

from wildpdiff.bundle import Bundle
from wildpdiff.studio.learn.stories import presets
from wildpdiff.studio.results import answer, curves, failure, picture_uri, places, table
from wildpdiff.studio.setting import Live, Result, Setting

ASSETS = Path(__file__).parent.parent / "assets" / "savanna"


@pytest.fixture(scope="module")
def savanna() -> Bundle:
    return Bundle.open(ASSETS)


def test_a_frame_is_json_with_the_counts_of_every_measured_location() -> None:
    live = {"R10": Live((0.5, 0.75), 4), "U11": Live((1.0, 1.0), 2)}
    result = Result(Setting("R10", "R12"), "measuring", live, torch.zeros(2, 3), (0.25, 0.5), 1.234)
    made = json.loads(json.dumps(answer(result, 7.0, ("R10", "R12"))))
    assert made["live"] == {
        "R10": {"right": 2, "count": 4, "shares": [0.5, 0.75]},
        "U11": {"right": 2, "count": 2, "shares": [1.0, 1.0]},
    }
    assert (made["stamp"], made["stage"], made["seconds"]) == (7.0, "measuring", 1.23)
    assert made["alike"] == {"R10": 0.25, "R12": 0.5}


def test_a_failure_carries_its_sentence_and_the_wish_that_it_answers() -> None:
    assert failure("No.", 3.0) == {"stamp": 3.0, "stage": "failed", "problem": "No."}


def test_a_picture_becomes_a_small_jpeg_address() -> None:
    address = picture_uri(torch.full((3, 40, 80), 128, dtype=torch.uint8), width=20)
    picture = Image.open(BytesIO(base64.b64decode(address.removeprefix("data:image/jpeg;base64,"))))
    assert picture.size == (20, 10) and picture.format == "JPEG"


def test_every_location_can_be_chosen_and_says_whether_it_was_seen(tiny_bundle: Path) -> None:
    bundle = Bundle.open(tiny_bundle)
    shown = places(bundle)
    assert [place["name"] for place in shown] == [*bundle.seen, *bundle.unseen]
    assert [place["kind"] for place in shown] == ["seen"] * len(bundle.seen) + ["unseen"] * len(bundle.unseen)


def test_a_bundle_without_stored_curves_still_makes_a_table(tiny_bundle: Path) -> None:
    bundle = Bundle.open(tiny_bundle)
    assert curves(bundle)["curves"] == {} and len(curves(bundle)["weights"]) == 11
    json.dumps(table(bundle, presets(bundle)))


def test_every_preset_is_a_state_that_can_be_answered(savanna: Bundle) -> None:
    known = {place["name"] for place in places(savanna)}
    for preset in presets(savanna):
        setting = Setting.of(preset["state"])
        assert {setting.a, setting.b} <= known and preset["story"].endswith(".")
    assert len({preset["name"] for preset in presets(savanna)}) == 5


def test_the_stored_curves_hold_every_pair_at_every_stop(savanna: Bundle) -> None:
    stored = curves(savanna)
    stops, images = len(stored["weights"]), stored["images"]
    pairs = {f"{a}+{b}" for i, a in enumerate(savanna.seen) for b in savanna.seen[i + 1 :]}
    for regime in savanna.regimes:
        found = stored["curves"][regime]
        assert pairs <= set(found)
        counts = [count for ways in found.values() for both in ways.values() for side in both for count in side]
        assert all(0 <= count <= images for count in counts)
        assert all(len(side) == stops for ways in found.values() for both in ways.values() for side in both)
    assert set(stored["pretrained"]) == {*savanna.seen, *savanna.unseen}


def test_an_adapter_at_its_end_does_not_depend_on_the_other_end(savanna: Bundle) -> None:
    found = curves(savanna)["curves"]["H"]
    assert len({found[f"R10+{other}"]["ours"][0][0] for other in ("R12", "U11", "Q08", "S12")}) == 1
