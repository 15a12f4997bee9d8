"""What changed: the flips that two runs of the classifier really show, in their order, with the right pictures."""

import base64
import json
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
import torch
from PIL import Image
from test_files import one_sentence
from torch import Tensor

from wildpdiff.errors import UserError
from wildpdiff.evaluate import correct, logits, wilson
from wildpdiff.studio import changed as flips_module
from wildpdiff.studio.changed import DRAWN, KEPT, SIZE, Change, Flip, Flips, flips
from wildpdiff.studio.pictures import Upload
from wildpdiff.studio.setting import Setting
from wildpdiff.studio.studio import Studio
from wildpdiff.ui.changed import Changed, class_words, view, wanted
from wildpdiff.ui.page import WRONG, Page

REQUEST: Any = SimpleNamespace(session_hash="one")
NAMES = ("zebra", "topi", "eland")
STATE = {"a": "R10", "b": "D03", "t": 0.5, "m": "H", "w": "ours", "seed": 3, "n": 2, "steps": 2, "images": 6}


@pytest.fixture(scope="module")
def studio(tiny_bundle: Path) -> Studio:
    return Studio.open(tiny_bundle)


@pytest.fixture(scope="module")
def compared(studio: Studio) -> Iterator[Flips]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flips_module, "IMAGES", (8,))
        yield Flips(studio)


@pytest.fixture(scope="module")
def loud(studio: Studio) -> Tensor:
    """A row that turns many predictions over."""
    rng = torch.Generator().manual_seed(1)
    return 0.6 * torch.randn(studio.bundle.backbone.layout.dim, generator=rng)


def hand_made() -> tuple[Flip, ...]:
    """Five photographs, the first four of a topi and named otherwise afterwards, the last of a zebra and not."""
    before = [[0.6, 0.3, 0.1], [0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.9, 0.1, 0.0]]
    after = [[0.2, 0.7, 0.1], [0.0, 1.0, 0.0], [0.1, 0.2, 0.7], [0.1, 0.1, 0.8], [0.8, 0.1, 0.1]]
    return flips(torch.tensor(before), torch.tensor(after), torch.tensor([1, 1, 1, 1, 0]), NAMES)


def test_a_flip_is_fixed_broken_or_still_wrong_and_a_kept_prediction_is_none() -> None:
    assert [(flip.index, flip.kind) for flip in hand_made()] == [
        (1, "fixed"), (0, "fixed"), (2, "broken"), (3, "still wrong"),
    ]  # fmt: skip


def test_a_flip_says_what_was_named_how_surely_and_what_the_truth_gained() -> None:
    first, _, broken, wrong = hand_made()
    assert (first.truth, first.before, first.after) == ("topi", "zebra", "topi")
    assert (first.sure_before, first.sure_after, first.gain) == pytest.approx((0.5, 1.0, 0.7))
    assert (broken.before, broken.after, broken.gain) == ("topi", "eland", pytest.approx(-0.6))
    assert (wrong.truth, wrong.before, wrong.after) == ("topi", "zebra", "eland")


def change_of(**counts: int) -> Change:
    kinds = [kind for kind, count in zip(DRAWN, counts.values(), strict=True) for _ in range(count)]
    found = tuple(Flip(place, kind, "zebra", "topi", "eland", 0.5, 0.5, 0.0) for place, kind in enumerate(kinds))
    return Change("R10", 100, 60, 70, found)


def test_few_of_each_kind_are_drawn_and_all_are_counted() -> None:
    change = change_of(fixed=20, broken=9, wrong=5)
    assert [change.count(kind) for kind in DRAWN] == [20, 9, 5]
    assert [flip.index for flip in change.drawn] == [*range(8), *range(20, 24), 29, 30]
    assert change_of(fixed=1, broken=0, wrong=1).drawn == change_of(fixed=1, broken=0, wrong=1).flips


def test_the_counts_are_those_of_two_runs_of_the_classifier(studio: Studio, compared: Flips, loud: Tensor) -> None:
    images = studio.images("R12", 8)
    pixels, labels = images.pixels[:8], images.labels[:8]
    change = compared.at(loud, "R12", 8)
    plain = logits(studio.bundle.backbone, None, pixels)
    assert change.right_before == int((plain.argmax(dim=1) == labels).sum())
    assert change.right_after == int(correct(studio.bundle.backbone, loud[None], pixels, labels).sum())
    assert change.right_after - change.right_before == change.count("fixed") - change.count("broken")
    assert change.intervals == (wilson(change.right_before, 8), wilson(change.right_after, 8))
    assert torch.allclose(compared.plain("R12"), plain.softmax(dim=1), atol=1e-4)


def test_every_flip_is_a_photograph_that_is_named_otherwise(studio: Studio, compared: Flips, loud: Tensor) -> None:
    images, species = studio.images("R10", 6), studio.bundle.world.species
    before, after = (logits(studio.bundle.backbone, row, images.pixels[:6]).softmax(dim=1) for row in (None, loud))
    found = {flip.index: flip for flip in compared.at(loud, "R10", 6).flips}
    assert set(found) == set((before.argmax(dim=1) != after.argmax(dim=1)).nonzero().flatten().tolist())
    assert found
    for index, flip in found.items():
        assert flip.truth == species[images.labels[index]]
        assert (flip.before, flip.after) == (species[before[index].argmax()], species[after[index].argmax()])
        assert (flip.sure_before, flip.sure_after) == pytest.approx(
            (float(before[index].max()), float(after[index].max())), abs=1e-3
        )


def test_a_row_of_zeros_changes_nothing(studio: Studio, compared: Flips) -> None:
    change = compared.at(torch.zeros(studio.bundle.backbone.layout.dim), "R10", 8)
    assert change.flips == ()
    assert change.right_before == change.right_after


def test_the_row_is_the_first_of_several_adapters(studio: Studio, compared: Flips) -> None:
    setting = Setting.of(STATE)
    assert torch.allclose(compared.row(setting), studio.write(setting)[0], atol=1e-5)


def test_threads_at_once_find_what_one_alone_finds(compared: Flips, loud: Tensor) -> None:
    rows = [loud, -loud, 0.5 * loud, torch.zeros_like(loud)]
    alone = [compared.at(row, "R10", 8) for row in rows]
    found: dict[int, Change] = {}
    fresh = Flips(compared.studio)
    threads = [
        threading.Thread(target=lambda place=place: found.__setitem__(place, fresh.at(rows[place % 4], "R10", 8)))
        for place in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[place] for place in range(8)] == alone * 2


def decoded(address: str) -> np.ndarray:
    kind, _, data = address.partition(",")
    assert kind == "data:image/jpeg;base64"
    return np.asarray(Image.open(BytesIO(base64.b64decode(data)))).astype(int)


def test_pictures_show_the_very_photograph_large_and_as_it_is(studio: Studio, compared: Flips) -> None:
    photograph = studio.images("R12", 4).pixels[2].permute(1, 2, 0).numpy().astype(int)
    picture = compared.picture("R12", 2)
    large, seen = decoded(picture.large), decoded(picture.seen)
    assert (large.shape, seen.shape) == ((SIZE, SIZE, 3), (96, 96, 3))
    for shown in (seen, large.reshape(96, 3, 96, 3, 3).mean(axis=(1, 3))):
        assert np.corrcoef(shown.ravel(), photograph.ravel())[0, 1] > 0.9


def test_pictures_are_kept_but_not_without_end(compared: Flips) -> None:
    assert compared.picture("R12", 1) is compared.picture("R12", 1)
    assert compared.picture.cache_info().maxsize == KEPT


def test_the_page_is_told_what_it_shows_in_plain_json() -> None:
    setting, change = Setting.of(STATE), change_of(fixed=9, broken=1, wrong=0)
    told = json.loads(json.dumps(view(setting, [change])))
    assert {key: told["setting"][key] for key in STATE} == STATE
    assert told["waiting"] == ["D03"]
    [place] = told["places"]
    assert place["counts"] == {"fixed": 9, "broken": 1, "still wrong": 0}
    assert len(place["flips"]) == 9
    named = {"truth": "zebra", "before": ["topi", 0.5], "after": ["eland", 0.5]}
    assert place["flips"][8] == {"key": "R10:9", "number": 10, "kind": "broken"} | named
    assert place["after"]["right"] == 70 and place["after"]["interval"] == list(wilson(70, 100))


def test_one_location_twice_is_compared_once_and_an_own_picture_never() -> None:
    twice = Setting.of(STATE | {"b": "R10"})
    assert view(twice, [])["waiting"] == ["R10"]
    own = Setting.of(STATE | {"b": "own-1"})
    assert view(own, [])["waiting"] == ["R10"]
    assert view(own, [])["setting"]["b"] == "own-1"


NOTHING = ("R10", "Z99:1", "R10:100", "R10:-1", "R10:²", "R10:1:2", "R10:" + "9" * 5000)


@pytest.mark.parametrize("keys", [None, "R10:1", ["R10:1"] * 29, [7], *([key] for key in NOTHING)], ids=range(11))
def test_pictures_of_nothing_are_refused_in_one_sentence(keys: object, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        wanted({"keys": keys}, ("R10", "R12"))
    one_sentence(error, tmp_path)


@pytest.mark.parametrize("data", [None, [], "keys", 3])
def test_a_request_that_is_none_is_refused(data: object) -> None:
    with pytest.raises(UserError):
        wanted(data, ("R10",))


def test_pictures_are_asked_for_by_location_and_number() -> None:
    assert wanted({"keys": ["R12:99", "R10:0"]}, ("R10", "R12")) == [("R12", 99), ("R10", 0)]


def test_classes_read_as_words() -> None:
    words = [class_words(name) for name in ("empty", "grants_gazelle", "spotted_hyena", "zebra")]
    assert words == ["no animal", "Grant's gazelle", "spotted hyena", "zebra"]


@pytest.fixture(scope="module")
def part(studio: Studio, compared: Flips) -> Changed:
    with gr.Blocks():
        part = Changed(Page(studio, gr.HTML(), gr.State("")))
        part.build()
    part.flips = compared
    return part


def frames(texts: Iterator[str]) -> list[dict]:
    """What the browser reads."""
    return [json.loads(text) for text in texts]


def test_the_panel_is_filled_location_by_location(part: Changed) -> None:
    first, last = frames(part.compare(STATE, REQUEST))
    assert [place["name"] for place in first["places"]] == ["R10"] and first["waiting"] == ["D03"]
    assert [place["name"] for place in last["places"]] == ["R10", "D03"] and last["waiting"] == []


def test_a_setting_of_two_own_pictures_is_told_without_photographs(
    part: Changed, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = Upload("mine", torch.zeros(16), torch.zeros(3, 4, 4, dtype=torch.uint8), ())
    mine = part.page.studio.pictures.add(REQUEST.session_hash, upload)
    monkeypatch.setattr(part.flips, "row", lambda setting: torch.zeros(1))
    [told] = frames(part.compare(STATE | {"a": mine, "b": mine}, REQUEST))
    assert told["places"] == told["waiting"] == []


def test_a_bad_wish_is_one_sentence_and_anything_else_is_noted(
    part: Changed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    [told] = frames(part.compare(STATE | {"t": 7}, REQUEST))
    assert told == {"problem": "The blend weight must lie in 0..1 (0 is A, 1 is B), not 7."}
    monkeypatch.setattr(part.flips, "row", lambda setting: 1 / 0)
    assert frames(part.compare(STATE, REQUEST)) == [{"problem": WRONG}]
    assert "ZeroDivisionError" in caplog.text


def test_pictures_come_a_few_at_a_time(part: Changed) -> None:
    event = gr.EventData(None, {"keys": [f"R10:{index}" for index in range(6)]})
    drawn = frames(part.draw(event, REQUEST))
    assert [len(frame["pictures"]) for frame in drawn] == [4, 6]
    assert [len(addresses) for addresses in drawn[-1]["pictures"].values()] == [2] * 6
    [refused] = frames(part.draw(gr.EventData(None, {"keys": ["R10:100"]}), REQUEST))
    assert "below 100" in refused["problem"]


def test_comparing_and_drawing_end_when_the_session_wants_another_adapter(part: Changed) -> None:
    wishes = part.page.wishes
    wishes.begin(REQUEST.session_hash, 5.0)
    comparing = part.compare(STATE | {"stamp": 5.0}, REQUEST)
    drawing = part.draw(gr.EventData(None, {"keys": [f"R10:{index}" for index in range(9)]}), REQUEST)
    assert next(comparing) and next(drawing)
    wishes.begin("another", 9.0)
    assert next(drawing)
    wishes.begin(REQUEST.session_hash, 9.0)
    assert list(comparing) == list(drawing) == []
