"""Inventing a location: equal numbers give equal pictures and counts, and counts are those of `evaluate`."""

import zipfile
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
import torch
from PIL import Image

from wildpdiff.errors import UserError
from wildpdiff.evaluate import correct, wilson
from wildpdiff.plots.invent import Gap, gap_dots, share_bars
from wildpdiff.studio import invent as invention
from wildpdiff.studio import labelled as own_trial
from wildpdiff.studio import trial
from wildpdiff.studio.invent import findings
from wildpdiff.studio.setting import Setting
from wildpdiff.studio.studio import Studio
from wildpdiff.studio.trial import Arm, Score
from wildpdiff.ui import labelled as own_photos
from wildpdiff.ui.invent import Invent
from wildpdiff.ui.labelled import OwnPhotos
from wildpdiff.ui.page import MODEL, Page
from wildpdiff.worlds.base import Images
from wildpdiff.worlds.savanna import factors, inventing
from wildpdiff.worlds.savanna.inventing import Place
from wildpdiff.worlds.savanna.location import BOUNDS
from wildpdiff.worlds.savanna.world import SEEN, SPECIES, UNSEEN, SavannaWorld

WORLD = SavannaWorld()
WAY = WORLD.inventing()


@pytest.fixture(scope="module")
def studio(tiny_bundle: Path) -> Iterator[Studio]:
    opened = Studio.open(tiny_bundle)
    yield opened


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventing, "BATCH", 3)


def taken(place: Place, count: int) -> Images:
    parts = list(WAY.photographs(place, count))
    return Images(torch.cat([part.pixels for part in parts]), torch.cat([part.labels for part in parts]))


def test_the_same_numbers_give_the_same_photographs_and_others_give_others(short: None) -> None:
    place = WAY.like("R10")
    first, again = taken(place, 4), taken(WAY.place_of(WAY.values_of(place)), 4)
    assert torch.equal(first.pixels, again.pixels) and torch.equal(first.labels, again.labels)
    warmer = Place(replace(place.location, warmth=0.4), place.like)
    other = taken(warmer, 4)
    assert torch.equal(first.labels, other.labels), "a slider of the camera must not change who passes"
    assert not torch.equal(first.pixels, other.pixels)


def test_a_photograph_is_the_same_however_many_are_asked_for(short: None) -> None:
    place = WAY.surprise(5)
    few, more = taken(place, 2), taken(place, 5)
    assert torch.equal(few.pixels, more.pixels[:2]) and torch.equal(few.labels, more.labels[:2])
    assert [len(part) for part in WAY.photographs(place, 5)] == [3, 2]


def test_the_picture_is_the_first_of_those_that_the_adapter_is_written_from() -> None:
    place = Place(replace(WAY.surprise(1).location, warmth=0.3, noise=0.05, contrast=1.3, strip=1))
    cooler = Place(replace(place.location, warmth=-0.3))
    for each in (place, cooler):
        expected = WORLD.empties(each.location, 1, height=60, width=80)[0]
        assert torch.equal(WAY.scene(each, 60, 80), expected)


@pytest.mark.parametrize("key", inventing.DEVELOPED)
def test_numbers_that_only_develop_a_scene_do_not_change_its_painting(key: str) -> None:
    location = WAY.surprise(2).location
    end = BOUNDS[key][1] if key in BOUNDS else 2
    inventing._scene.cache_clear()
    for changed in (location, replace(location, **{key: end})):
        expected = WORLD.empties(changed, 1, height=24, width=24)[0]
        assert torch.equal(WAY.scene(Place(changed), 24, 24), expected)
    assert inventing._scene.cache_info().misses == 1


def test_a_start_like_a_named_location_has_its_numbers_and_its_animals() -> None:
    for name in (SEEN[0], UNSEEN[0]):
        place, named = WAY.like(name), WORLD.location(name)
        assert all(getattr(place.location, key) == getattr(named, key) for key in BOUNDS)
        assert place.location.seed == named.seed and place.location.name != name
        assert np.allclose(WAY.shares(place), WORLD.prior(named))


def test_a_wetter_place_has_more_hippopotamus_and_the_same_share_of_empty_photographs() -> None:
    dry = WAY.like("R10")
    wet = Place(replace(dry.location, wet=0.9), dry.like)
    before, after = WAY.shares(dry), WAY.shares(wet)
    hippopotamus = SPECIES.index("hippopotamus")
    assert after[hippopotamus] > 2 * before[hippopotamus]
    assert after[-1] == before[-1] and sum(after) == pytest.approx(1)


def test_a_surprise_is_drawn_by_the_world_and_its_animals_are_its_own() -> None:
    one, two = WAY.surprise(1), WAY.surprise(2)
    assert one == WAY.surprise(1) and one.location != two.location
    assert np.array_equal(WAY.shares(one), WORLD.prior(one.location))
    assert one.location.name != two.location.name


def test_a_place_survives_the_way_through_the_browser() -> None:
    for place in (WAY.like("S09"), WAY.surprise(7)):
        assert WAY.place_of(WAY.values_of(place)) == place


@pytest.mark.parametrize(
    "wrong",
    [
        {"trees": 1.2}, {"horizon": 0.1}, {"warmth": float("nan")}, {"zoom": float("inf")}, {"haze": "thick"},
        {"seed": -1}, {"seed": 2**40}, {"strip": 5}, {"trees": None}, {"noise": -0.01}, {"seed": float("nan")},
    ],
)  # fmt: skip
def test_numbers_out_of_bounds_get_one_sentence(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError) as caught:
        WAY.place_of(WAY.values_of(WAY.surprise(1)) | wrong)
    assert str(caught.value).endswith(".")


def test_a_missing_number_or_an_unknown_start_gets_one_sentence() -> None:
    values = WAY.values_of(WAY.surprise(1))
    with pytest.raises(UserError, match="lacks a number"):
        WAY.place_of({key: value for key, value in values.items() if key != "trees"})
    with pytest.raises(UserError, match="not known") as caught:
        WAY.shares(WAY.place_of(values | {"like": "x" * 5_000}))
    assert len(str(caught.value)) < 400


def test_every_slider_moves_a_number_within_its_bounds() -> None:
    numbers = [number for group in factors.groups() for number in group["numbers"]]
    assert len(numbers) == len(set(factors.SLIDERS)) == 19
    assert all((number["low"], number["high"]) == BOUNDS[number["key"]] for number in numbers)
    assert all(number["hint"].endswith(".") for number in numbers)


def test_the_condition_of_a_named_location_is_the_one_in_the_bundle(studio: Studio) -> None:
    way, place = invention.inventing_in(studio), Place(WORLD.location("R10"))
    made = studio.bundle.condition(way.empty_place(place))
    assert torch.allclose(made, studio.bundle.embedding("R10"), atol=1e-6)
    assert trial.nearest(studio, made)[0][0] == "R10"


@pytest.mark.slow
def test_a_measurement_counts_what_evaluate_counts_and_is_the_same_again(studio: Studio, short: None) -> None:
    setting, place = Setting("R10", "R12", regime="M", way="paper", seed=3, steps=2), WAY.surprise(4)
    frames = list(findings(studio, place, setting, 7))
    assert [frame.stage for frame in frames] == ["looking", "written", "measuring", "measuring", "done"]
    last, bundle = frames[-1], studio.bundle
    shown = taken(place, 7)
    assert torch.equal(last.pixels, shown.pixels) and torch.equal(last.score.labels, shown.labels)
    condition = bundle.condition(invention.inventing_in(studio).empty_place(place))
    row = bundle.generator("M", way="paper").generate(condition[None], steps=2, seed=3)[0]
    means = bundle.means("M")
    near = bundle.seen.index(last.alike[0][0])
    rows = torch.stack([row, torch.zeros_like(row), means[near], bundle.joint, means.mean(dim=0)])
    assert torch.equal(last.score.right, correct(bundle.backbone, rows, shown.pixels, shown.labels))
    again = list(findings(studio, place, setting, 7))[-1]
    assert torch.equal(again.score.named, last.score.named)


def test_stopping_a_measurement_hands_the_classifiers_back(studio: Studio, short: None) -> None:
    before = {name: value.clone() for name, value in studio.bundle.backbone.network.state_dict().items()}
    frames = findings(studio, WAY.surprise(4), Setting("R10", "R12", steps=2), 9)
    while next(frames).stage != "measuring":
        pass
    frames.close()  # type: ignore[attr-defined]
    assert len(studio._spare) > 0
    after = studio.bundle.backbone.network.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


@pytest.mark.parametrize("count", [0, -1, invention.MANY + 1])
def test_a_count_out_of_range_gets_one_sentence(studio: Studio, count: int) -> None:
    with pytest.raises(UserError, match="photographs can be drawn"):
        next(findings(studio, WAY.surprise(4), Setting("R10", "R12"), count))


def score(first: str, second: str) -> Score:
    """Two adapters, right where there is a 1."""
    right = torch.tensor([[int(digit) for digit in text] for text in (first, second)])
    labels = torch.full((len(first),), 3)
    return Score(("generated", "pretrained"), torch.where(right == 1, labels, labels + 1), labels)


def test_shares_have_counts_and_wilson_intervals() -> None:
    one, two = score("1110", "0100").shares()
    assert (one.right, one.count, two.right) == (3, 4, 1)
    assert (one.low, one.high) == wilson(3, 4)
    assert one.text == "75% (3/4)"
    assert score("1110", "0100").shares(label=0)[0].count == 0


def test_a_difference_is_called_one_only_if_its_interval_excludes_zero() -> None:
    clear, unclear = score("1" * 40, "10" * 20).gaps()[0], score("1" * 19 + "0", "1" * 18 + "00").gaps()[0]
    assert clear.real and clear.low > 0 and clear.mean == pytest.approx(50)
    assert not unclear.real and unclear.low < 0 < unclear.mean
    assert "more than pretrained +50.0" in trial.compared([clear])
    assert trial.compared([unclear]).endswith("no difference shown from pretrained.")
    assert score("1", "0").gaps() == []


def test_the_photographs_shown_are_those_that_tell_the_two_adapters_apart() -> None:
    assert score("110010", "001110").telling(4) == [0, 2, 1, 3]
    assert score("1111", "1101").telling(2) == [2, 0]


def test_mistakes_come_commonest_first_with_their_totals() -> None:
    named, labels = torch.tensor([[1, 1, 2, 0, 5]]), torch.tensor([0, 0, 0, 0, 5])
    found = Score(("x",), named, labels)
    assert found.mistakes() == [(0, 1, 2, 4), (0, 2, 1, 4)]
    assert own_trial.mistakes(found, SPECIES)[0] == f"{SPECIES[0]} named {SPECIES[1]}: 2 of 4"


def test_the_figures_say_in_words_and_rows_what_they_draw() -> None:
    found = score("1" * 40, "10" * 20)
    bars, dots = share_bars(found.shares()), gap_dots("generated", found.gaps())
    assert "generated 100% (40/40)" in bars["summary"]
    assert bars["table"]["rows"][1][:2] == ["pretrained", "50% (20/40)"]
    assert dots["table"]["rows"] == [["pretrained", found.gaps()[0].text, "yes"]]
    assert "no difference shown" in gap_dots("generated", [Gap("x", 1.0, -2.0, 4.0, False)])["summary"]
    assert Gap("x", -1.0, -2.0, 0.5, False).text == "\u22121.0 (\u22122.0 to +0.5)"


@pytest.mark.slow
def test_own_photographs_are_scored_as_evaluate_scores_them(studio: Studio) -> None:
    shown = WORLD.photograph(WORLD.location("R12"), "test", 30, classes=[0, 1, 18] * 10)
    setting = Setting("R10", "R12", 0.5, steps=2, seed=1)
    *_, last = own_trial.own_scores(studio, setting, shown)
    arms = own_trial.own_arms(studio, setting, shown)
    assert [arm.name for arm in arms[:4]] == ["blend at 0.50", "A (R10)", "B (R12)", "from your empty photos"]
    assert torch.equal(arms[0].adapter, studio.write(setting)[0])
    rows = torch.stack([arm.adapter for arm in arms])
    assert torch.equal(last.right, correct(studio.bundle.backbone, rows, shown.pixels, shown.labels))
    table = own_trial.species_table(last, SPECIES)
    assert [row[0] for row in table["rows"]] == ["wildebeest", "zebra", "empty"]
    assert all(cell.endswith("/10") for row in table["rows"] for cell in row[1:-1])


def test_each_adapter_is_scored_once_and_the_present_one_first(studio: Studio) -> None:
    shown = WORLD.photograph(WORLD.location("R12"), "test", 2, classes=[0, 1])

    def names(setting: Setting) -> list[str]:
        return [arm.name for arm in own_trial.own_arms(studio, setting, shown)]

    assert names(Setting("R10", "R12", 1.0, steps=1))[:2] == ["B (R12)", "A (R10)"]
    assert names(Setting("R10", "R10", 0.3, steps=1))[:2] == ["A and B (R10)", "pretrained"]


def request(session: str = "one") -> Any:
    return SimpleNamespace(session_hash=session)


def test_a_measurement_on_the_page_grows_and_ends_with_its_sentence_and_six_photographs(
    studio: Studio, short: None
) -> None:
    invent = Invent(Page(studio, None, None))  # type: ignore[arg-type]
    values = WAY.values_of(WAY.surprise(4)) | {"stamp": 5}
    frames = list(invent.run(values, 7, {"m": "M", "w": "paper", "seed": 3, "steps": 2, "a": "own"}, request()))
    assert [frame[0]["stage"] for frame in frames] == [
        "looking",
        "looking",
        "written",
        "measuring",
        "measuring",
        "done",
    ]
    assert all(frame[0]["stamp"] == 5 for frame in frames)
    found, _, bars, gaps, photos, stop = frames[-1]
    assert "of the place's photographs correctly" in found["text"]
    assert [row[1].split("/")[1] for row in bars["table"]["rows"]] == ["7)"] * 5 and len(gaps["table"]["rows"]) == 4
    assert len(photos) == 6 and all(photo["src"].startswith("data:image/jpeg") for photo in photos)
    assert stop["interactive"] is False


def test_stop_ends_a_measurement_of_its_own_session_only(studio: Studio, short: None) -> None:
    invent, values = Invent(Page(studio, None, None)), WAY.values_of(WAY.surprise(4))  # type: ignore[arg-type]
    mine, other = (invent.run(values, 9, {"steps": 1}, request(session)) for session in ("mine", "other"))
    for frames in (mine, other):
        while next(frames)[0]["stage"] != "measuring":
            pass
    invent.halt(request("mine"))
    assert [frame[0]["stage"] for frame in mine] == ["stopped"]
    assert [frame[0]["stage"] for frame in other] == ["measuring", "done"]


def test_a_wrong_place_leaves_the_results_and_says_why(studio: Studio) -> None:
    invent = Invent(Page(studio, None, None))  # type: ignore[arg-type]
    *_, last = invent.run(WAY.values_of(WAY.surprise(4)) | {"trees": 7}, 96, None, request())
    assert last[0]["stage"] == "failed" and "trees must lie in 0..1" in last[0]["text"]
    assert "problem" in invent.draw_quick({"stamp": 1})


def test_a_place_can_be_taken_as_a_background_of_ones_own(studio: Studio) -> None:
    invent, place = Invent(Page(studio, None, None)), WAY.surprise(4)  # type: ignore[arg-type]
    shown, session = invent.used("b", WAY.values_of(place), request())
    made = studio.pictures.of(shown["used"]["place"]["name"])
    assert session == request().session_hash
    assert shown["used"]["side"] == "b" and made.picture.shape == (3, 320, 320)
    assert torch.equal(made.embedding, studio.bundle.condition(invention.inventing_in(studio).empty_place(place)))
    assert studio.write(Setting("R10", shown["used"]["place"]["name"], 1.0, steps=1)).isfinite().all()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(own_photos, "get_upload_folder", lambda: str(tmp_path / "uploads"))
    return tmp_path / "uploads"


def sent(folder: Path, data: bytes) -> Any:
    """A file as gradio stores it and the browser names it."""
    path = folder / ("a" * 64) / "01234567-0123-0123-0123-0123456789ab.zip"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    return SimpleNamespace(_data={"path": str(path)})


def zipped(count: int) -> bytes:
    stream, shown = BytesIO(), WORLD.photograph(WORLD.location("R12"), "test", count, classes=[0, 1, 18] * count)
    with zipfile.ZipFile(stream, "w") as archive:
        for index in range(count):
            picture_file = BytesIO()
            Image.fromarray(shown.pixels[index].permute(1, 2, 0).numpy()).save(picture_file, "PNG")
            archive.writestr(f"{SPECIES[int(shown.labels[index])]}/{index}.png", picture_file.getvalue())
    return stream.getvalue()


def test_a_zip_is_read_scored_and_gone_from_disk(studio: Studio, folder: Path) -> None:
    part = OwnPhotos(Page(studio, None, None))  # type: ignore[arg-type]
    wish = {"a": "R10", "b": "R12", "t": 0.5, "steps": 1}
    frames = list(part.read(None, sent(folder, zipped(6)), request()))
    assert list(folder.rglob("*")) == []
    images, fresh, said = frames[-1][:3]
    assert fresh is True and not any(frame[1] for frame in frames[:-1])
    assert len(images) == 6 and said["read"] == "6 photographs were read."
    *_, last = part.score_fresh(fresh, images, wish, request())
    *_, score = own_trial.own_scores(studio, Setting("R10", "R12", 0.5, steps=1), images)
    assert last[0]["stage"] == "done" and score.shares()[0].text in last[0]["text"]
    assert last[4]["rows"] == own_trial.species_table(score, SPECIES)["rows"]


def test_a_bad_zip_is_gone_from_disk_too_and_changes_only_the_sentence(studio: Studio, folder: Path) -> None:
    part = OwnPhotos(Page(studio, None, None))  # type: ignore[arg-type]
    (frame,) = part.read(None, sent(folder, b"no zip"), request())
    assert frame[2]["stage"] == "failed" and "no zip" in frame[2]["read"] and frame[1] is False
    assert list(folder.rglob("*")) == []
    (skipped,) = part.score_fresh(False, None, None, request())
    assert len(skipped) == len(frame) - 2 and all(part == gr.skip() for part in skipped)


def test_zips_are_read_outside_the_turns_of_the_networks(studio: Studio) -> None:
    with gr.Blocks() as blocks:
        OwnPhotos(Page(studio, gr.HTML(), gr.State(""))).build()
    own = {fn.fn.__name__: fn.concurrency_id for fn in blocks.fns.values() if fn.fn is not None}
    assert own["read"] != MODEL == own["score"] == own["score_fresh"]


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../secret.zip", "a" * 64 + "/x.zip", "", None, "b" * 64 + "/../../x.zip"]
)
def test_only_an_upload_of_the_page_itself_is_read_or_deleted(folder: Path, path: str | None) -> None:
    kept = folder / ("a" * 64) / "x.zip"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"another's")
    with pytest.raises(UserError, match="did not arrive"):
        own_photos.taken({"path": path})
    assert kept.exists()


def test_a_score_needs_two_rows_of_the_layout(studio: Studio) -> None:
    batch = WORLD.photograph(WORLD.location("R10"), "test", 2)
    with pytest.raises(UserError):
        next(trial.scores(studio, [Arm("short", torch.zeros(3))], [batch]))
