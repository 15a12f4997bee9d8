"""The tab Unseen: a visitor's picture and words - read, placed, used, forgotten; and a sentence for every bad one."""

import base64
import json
import re
import tempfile
from collections.abc import Iterator
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
import torch
from PIL import Image
from tiny_bundle import CLIP

from wildpdiff.bundle import Bundle
from wildpdiff.condition.clip import SimpleTokenizer
from wildpdiff.errors import UserError
from wildpdiff.evaluate import logits
from wildpdiff.picture import MAX_BYTES
from wildpdiff.studio import upload as stranger_module
from wildpdiff.studio.description import checked, tile
from wildpdiff.studio.download import download
from wildpdiff.studio.ood import PAPER, findings, reading_skill, scale
from wildpdiff.studio.pictures import HOUSE, OF_SESSION, SESSIONS, Pictures, Upload
from wildpdiff.studio.setting import Setting
from wildpdiff.studio.studio import Studio
from wildpdiff.studio.upload import Strangers
from wildpdiff.training.clip_training import build_clip
from wildpdiff.ui.app import build
from wildpdiff.ui.page import WRONG, Page
from wildpdiff.ui.upload import Stranger

REAL = Path(__file__).resolve().parent.parent / "assets" / "savanna"
STATE = {"a": "R12", "b": "U11", "t": 0.4, "m": "H", "w": "ours", "seed": 3, "n": 5, "steps": 2, "images": 100}


@pytest.fixture(scope="module")
def numbers(tiny_bundle: Path) -> Iterator[Strangers]:
    patch = pytest.MonkeyPatch()
    patch.setattr(stranger_module, "PHOTOGRAPHS", 6)
    yield Strangers(Studio.open(tiny_bundle))
    patch.undo()


def part(numbers: Strangers, kind: str) -> Stranger:
    """The sub-section on a page of its own."""
    with gr.Blocks():
        made = Stranger(Page(numbers.studio, gr.HTML(), gr.State("")), numbers, kind)
        made.build()
    return made


@pytest.fixture(scope="module")
def picture_part(numbers: Strangers) -> Stranger:
    return part(numbers, "picture")


@pytest.fixture(scope="module")
def word_part(numbers: Strangers) -> Stranger:
    return part(numbers, "words")


def photograph(**given: Any) -> bytes:
    stream = BytesIO()
    Image.linear_gradient("L").resize((120, 90)).convert("RGB").save(stream, "JPEG", **given)
    return stream.getvalue()


def located() -> bytes:
    """A JPEG that says where and by whom it was taken."""
    exif = Image.Exif()
    exif[0x010F] = "SecretCamera"
    exif.get_ifd(0x8825).update({1: "S", 2: (2.0, 19.0, 51.0), 3: "E", 4: (34.0, 49.0, 59.0)})
    return photograph(exif=exif)


def event(**data: Any) -> Any:
    return SimpleNamespace(_data=data)


def sent(content: bytes, **more: Any) -> Any:
    return event(size=len(content), data=base64.b64encode(content).decode(), state=STATE, **more)


def request(session: str = "me") -> Any:
    return SimpleNamespace(session_hash=session)


def own(numbers: Strangers, upload: Upload, **given: Any) -> Setting:
    """The setting of an upload alone."""
    name = numbers.studio.pictures.add("me", upload)
    return Setting(name, name, **{"steps": 2} | given)


def values(frames: list[list[Any]]) -> list[dict[str, Any]]:
    """What each frame puts on the page."""
    return [frame[0]["value"] for frame in frames]


def sentence(frame: list[Any]) -> str:
    return str(frame[0]["problem"]["text"])


def test_a_picture_is_placed_first_and_its_adapter_follows(picture_part: Stranger) -> None:
    frames = list(picture_part.read(sent(photograph()), request()))
    shown = values(frames)
    assert [view["stage"] for view in shown] == ["looked", "written", "written", "measured"]
    for earlier, later in pairwise(shown):
        assert {key: later[key] for key in earlier if key != "stage"} == {
            key: value for key, value in earlier.items() if key != "stage"
        }
    first, last = shown[0], shown[-1]
    assert sorted(name for name, _ in first["nearest"]) == sorted(picture_part.numbers.bundle.seen)
    assert first["distance"] == pytest.approx(1 - first["nearest"][0][1], abs=2e-4)
    assert {"m": "H", "w": "ours", "seed": 3, "steps": 2}.items() <= last.items()
    assert [pair[0] for pair in last["like"]] == ["pure noise", first["nearest"][0][0]]
    json.dumps(shown)


def test_the_adapter_is_the_one_of_the_picture_alone(numbers: Strangers) -> None:
    upload = numbers.picture(photograph())
    alone = own(numbers, upload, seed=3)
    *_, last = numbers.adapted(alone, picture=True)
    row = numbers.studio.generator(alone).generate(upload.embedding[None], steps=2, seed=3)[0]
    near = last["at"]["name"]
    assert near == upload.nearest[0][0]
    images = numbers.studio.images(near, 6)
    pixels, labels = images.pixels[:6], images.labels[:6]
    for arm, adapter in (("pretrained", None), ("generated", row)):
        said = logits(numbers.bundle.backbone, adapter, pixels).argmax(dim=1)
        assert last["at"]["right"][arm] == int((said == labels).sum())
    assert all(low <= last["at"]["right"][arm] / 6 <= high for arm, (low, high) in last["at"]["interval"].items())


def test_each_column_of_species_adds_up_to_all_photographs(numbers: Strangers) -> None:
    *_, last = numbers.adapted(own(numbers, numbers.noise), picture=True)
    columns = list(zip(*last["at"]["species"], strict=True))[1:]
    assert [sum(column) for column in columns] == [last["at"]["count"]] * 3 == [6] * 3
    assert all(0 <= share <= 1 for said in last["itself"].values() for _, share in said)


def test_many_species_are_summed_up_in_the_last_row(numbers: Strangers) -> None:
    rows = numbers._tally([torch.arange(19), torch.zeros(19, dtype=torch.int64), torch.arange(19)])
    assert len(rows) == 11 and rows[-1] == ["all others", 9, 0, 9]
    assert rows[0][1:] == [1, 19, 1]


def test_noise_is_told_to_be_the_noise_itself(numbers: Strangers) -> None:
    *_, last = numbers.adapted(own(numbers, numbers.example("noise")), picture=True)
    assert last["like"][0] == ["pure noise", 1.0] and last["mattered"] == "This is the noise itself."


def test_what_is_compared_with_is_written_once_in_a_setting(
    numbers: Strangers, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Setting] = []
    real = Studio._written
    monkeypatch.setattr(
        Studio, "_written", lambda self, setting, wanted: written.append(setting) or real(self, setting, wanted)
    )
    first, second = (own(numbers, numbers.picture(photograph()), seed=7) for _ in range(2))
    list(numbers.adapted(first, picture=True)), list(numbers.adapted(second, picture=True))
    near = numbers.studio.pictures.of(first.a).nearest[0][0]
    assert [setting.a for setting in written] == [first.a, numbers.noise_id, near, second.a]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"no picture", "is not a JPEG, PNG or WebP"),
        (photograph()[:300], "damaged"),
        (b"", "is not a JPEG"),
    ],
)
def test_a_bad_file_gives_one_sentence_and_the_old_picture_stays(
    picture_part: Stranger, content: bytes, says: str
) -> None:
    frames = list(picture_part.read(sent(content), request()))
    assert len(frames) == 1
    assert says in sentence(frames[0]) and "/" not in sentence(frames[0])
    assert "value" not in frames[0][0] and frames[0][1] == gr.skip()


def test_a_file_too_large_or_cut_short_is_refused(picture_part: Stranger) -> None:
    assert "larger than 20 MB" in sentence(next(picture_part.read(event(size=MAX_BYTES + 1, data=""), request())))
    for data in ("***", "abc", 7, ["a"]):
        assert "did not arrive whole" in sentence(next(picture_part.read(event(size=3, data=data), request())))
    assert "did not arrive whole" in sentence(next(picture_part.read(event(size="many", data=""), request())))


def test_an_unexpected_fault_is_noted_and_said_in_one_sentence(
    picture_part: Stranger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Strangers, "picture", lambda self, data: 1 / 0)
    assert sentence(next(picture_part.read(sent(photograph()), request()))) == WRONG
    assert "ZeroDivisionError" in caplog.text


def test_where_a_picture_was_taken_reaches_neither_disk_nor_page_nor_download(
    numbers: Strangers, picture_part: Stranger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    content = located()
    assert b"SecretCamera" in content and Image.open(BytesIO(content)).getexif().get_ifd(0x8825)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(scratch))
    frames = list(picture_part.read(sent(content), request()))
    assert not list(scratch.rglob("*"))
    shown = base64.b64decode(values(frames)[0]["src"].partition(",")[2])
    assert b"SecretCamera" not in shown and not Image.open(BytesIO(shown)).getexif()
    name = values(frames)[0]["place"]["name"]
    assert set(vars(numbers.studio.pictures.of(name))) == {
        "name", "embedding", "picture", "nearest", "notes", "known",
    }  # fmt: skip
    saved = download(numbers.studio, Setting(name, "R10", steps=2), tmp_path)
    assert b"SecretCamera" not in saved.read_bytes() and name not in saved.name


def test_the_bar_names_it_by_its_id_and_remove_takes_only_that(picture_part: Stranger) -> None:
    page = picture_part.page
    first, second = (values(list(picture_part.read(sent(photograph()), request())))[0]["place"] for _ in range(2))
    assert first["name"] != second["name"] and (first["title"], first["kind"]) == ("your picture", "own")
    setting = page.setting(STATE | {"a": first["name"], "b": second["name"]}, request())
    assert setting.own == (first["name"], second["name"]) and page.studio.names(setting) == ("your picture",) * 2
    assert picture_part.remove(event(name=first["name"]), request())["value"] is None
    assert page.setting(STATE | {"b": second["name"]}, request()).b == second["name"]
    with pytest.raises(UserError, match="bring it again"):
        page.setting(STATE | {"a": first["name"]}, request())


def test_no_session_can_use_or_remove_what_another_one_brought(picture_part: Stranger) -> None:
    name = values(list(picture_part.read(sent(photograph()), request())))[0]["place"]["name"]
    with pytest.raises(UserError, match="not here"):
        picture_part.page.setting(STATE | {"a": name}, request("another"))
    assert "not here" in sentence(next(picture_part.again(event(name=name, state=STATE), request("another"))))
    picture_part.remove(event(name=name), request("another"))
    assert picture_part.page.setting(STATE | {"a": name}, request()).a == name


def test_few_are_kept_of_a_session_and_all_go_when_it_ends(numbers: Strangers) -> None:
    pictures, upload = Pictures(), numbers.noise
    first, *others = [pictures.add("me", upload) for _ in range(OF_SESSION)]
    theirs = pictures.add("another", upload)
    assert pictures.of(first) is upload, "it counts as used, so the next one is the oldest"
    pictures.add("me", upload)
    assert pictures.of(first) is upload
    with pytest.raises(UserError, match="not here"):
        pictures.of(others[0])
    assert set(others[1:]) < set(pictures.forget("me"))
    assert pictures.of(theirs) is upload and pictures.forget("me") == []


def test_of_very_many_sessions_the_oldest_is_forgotten_but_never_the_houses_own(numbers: Strangers) -> None:
    pictures = Pictures()
    ids = [pictures.add(session, numbers.noise) for session in (HOUSE, *map(str, range(SESSIONS)))]
    assert pictures.of(ids[0]) is numbers.noise
    with pytest.raises(UserError, match="not here"):
        pictures.of(ids[1])
    assert pictures.of(ids[2]) is numbers.noise


def test_when_gradio_ends_a_session_its_pictures_and_their_adapters_are_forgotten(
    numbers: Strangers,
) -> None:
    studio = numbers.studio
    alone = own(numbers, numbers.picture(photograph()))
    studio.write(alone)
    assert alone in studio._kept
    states = [block for block in build(studio).blocks.values() if isinstance(block, gr.State)]
    (owner,) = (state for state in states if state.value == "")
    owner.delete_callback("me"), owner.delete_callback(owner.value)
    assert alone not in studio._kept
    with pytest.raises(UserError):
        studio.pictures.of(alone.a)
    assert studio.pictures.of(numbers.noise_id) is numbers.noise, "a session that brought nothing takes nothing along"


def test_nothing_can_be_written_before_something_was_brought(picture_part: Stranger) -> None:
    for name in (None, "own", "own-1", "../own", {"a": 1}):
        assert "not here" in sentence(next(picture_part.again(event(name=name, state=STATE), request())))
        assert picture_part.remove(event(name=name), request())["value"] is None


@pytest.mark.parametrize(
    "state", [{"m": "Z"}, {"steps": 10**9}, {"seed": "x"}, {"w": "theirs"}, {"seed": float("nan")}, "text", 7]
)
def test_a_hostile_state_gives_a_sentence_and_no_adapter(picture_part: Stranger, state: Any) -> None:
    name = picture_part.page.studio.pictures.add("me", picture_part.numbers.noise)
    frames = list(picture_part.again(event(name=name, state=state), request()))
    assert len(frames) == 1 and sentence(frames[0]).endswith(".") and sentence(frames[0]) != WRONG


def test_without_a_state_the_bundles_own_regime_is_written(
    picture_part: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Setting] = []
    monkeypatch.setattr(Strangers, "adapted", lambda self, alone, picture, halves: asked.append(alone) or iter(()))
    name = picture_part.page.studio.pictures.add("me", picture_part.numbers.noise)
    assert list(picture_part.again(event(name=name), request())) == []
    assert (asked[0].regime, asked[0].way, asked[0].seed, asked[0].steps) == ("H", "ours", 0, 50)


def test_the_examples_are_a_known_location_an_unseen_one_and_noise(numbers: Strangers, picture_part: Stranger) -> None:
    assert numbers.examples == ("R10", "D03", "noise")
    frames = list(picture_part.read(event(name="R10", state=STATE), request()))
    assert values(frames)[0]["name"] == "a picture of R10"
    assert "no example of that name" in sentence(next(picture_part.read(event(name="../R10", state=STATE), request())))


def test_words_are_read_placed_and_written(word_part: Stranger) -> None:
    frames = list(word_part.read(event(text="  dense   woodland, red soil ", state=STATE), request()))
    shown = values(frames)
    upload = word_part.page.studio.pictures.of(shown[0]["place"]["name"])
    assert [view["stage"] for view in shown] == ["looked", "written", "written", "measured"]
    assert upload.picture.shape == (3, 256, 256) and upload.picture.dtype == torch.uint8
    assert len(shown[0]["gauge"]["known"]) == 10 and len(shown[0]["gauge"]["others"]) == 105
    assert shown[-1]["itself"] is None and shown[-1]["at"]["name"] == upload.nearest[0][0]
    expected = word_part.numbers.bundle.condition.text(["dense woodland, red soil"])[0]
    assert torch.equal(upload.embedding, expected)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "Describe the place"),
        (" \n ", "Describe the place"),
        ("x" * 201, "201 characters"),
        ("!!!", "None of these words"),
    ],
)
def test_bad_words_give_one_sentence(word_part: Stranger, text: str, says: str) -> None:
    frames = list(word_part.read(event(text=text, state=STATE), request()))
    assert len(frames) == 1 and says in sentence(frames[0]) and frames[0][1] == gr.skip()


def taught(text: str) -> Any:
    """A CLIP that read these words only."""
    network = build_clip(CLIP, seed=0).requires_grad_(False)
    pieces = SimpleTokenizer(context_length=network.context_length).encode(text)
    kept = torch.zeros(len(network.token_embedding.weight), dtype=torch.bool)
    kept[pieces] = True
    network.token_embedding.weight[~kept] = 0
    return network


def test_words_that_the_clip_never_read_are_named() -> None:
    network = taught("dense woodland, knee-high grass")
    phrase = checked("Dense woodland, an office, knee-high grass", network, "dry grass")
    assert phrase.unread == ("an", "office") and not phrase.cut
    assert "an, office" in phrase.notes[0]
    assert checked("dense grass", network, "dry grass").notes == []
    with pytest.raises(UserError, match="None of these words"):
        checked("kitchen cupboard", network, "dry grass")


def test_what_does_not_fit_into_the_clip_is_named() -> None:
    text = ", ".join(["dense woodland"] * 12)
    network = taught(text)
    phrase = checked(text, network, "dry grass")
    pieces = SimpleTokenizer(context_length=network.context_length).encode(text)
    assert len(pieces) > network.context_length - 2
    assert phrase.cut and text.endswith(phrase.cut) and phrase.cut in phrase.notes[0]


def test_any_words_fit_onto_their_tile() -> None:
    for text in ("a", "woodland " * 22, "x" * 200):
        pixels = tile(text)
        assert pixels.shape == (3, 256, 256) and len(pixels.unique()) > 10
        assert (pixels[:, :3] == pixels[:, :1, :1]).all() and (pixels[:, -3:] == pixels[:, :1, :1]).all()


def test_the_drawn_scale_holds_every_measured_distance_with_its_location(numbers: Strangers) -> None:
    drawn = scale(numbers.gauge, numbers.bundle.unseen, "pictures")
    assert [name for name, _ in drawn["known"]] == [name for name in numbers.bundle.seen for _ in range(2)]
    assert [name for name, _ in drawn["others"]] == [name for name in numbers.bundle.unseen for _ in range(2)]
    assert drawn["known_label"] == "20 pictures of 10 known locations"
    assert drawn["near"] == pytest.approx(max(value for _, value in drawn["known"]))


def test_what_was_found_is_read_from_the_stored_results() -> None:
    bundle = Bundle.open(REAL)
    data = json.loads((REAL / "results" / "unseen.json").read_text())["data"]
    gain = data["gains"]["u-pretrained"]
    said = findings(bundle, "H")
    assert said[0] == PAPER
    assert f"{100 * gain['mean']:.1f} ({100 * gain['low']:.1f} to {100 * gain['high']:.1f})" in said[1]
    assert "11%" in reading_skill(bundle) and "chance: 1%" in reading_skill(bundle)


def test_a_bundle_without_results_says_what_the_paper_found_and_that_it_has_none(numbers: Strangers) -> None:
    paper, missing = findings(numbers.bundle, "H")
    assert paper == PAPER and "does not store table3" in missing
    assert reading_skill(numbers.bundle) == ""


def test_no_listener_is_an_endpoint(numbers: Strangers) -> None:
    with gr.Blocks() as blocks:
        page = Page(numbers.studio, gr.HTML(), gr.State(""))
        for kind in ("picture", "words"):
            Stranger(page, numbers, kind).build()
    assert len(blocks.fns) >= 9
    assert {fn.api_visibility for fn in blocks.fns.values()} <= {"private"}


def test_the_walk_that_a_newcomer_reads_names_at_most_fifteen_functions_that_exist() -> None:
    root = Path(__file__).parent.parent
    walk = root.joinpath("CONTRIBUTING.md").read_text().split("## One walk: a picture of your own to its bar")[1]
    steps = re.findall(r"^(\d+)\. `([\w/.]+)`: `(\w+)`", walk.split("\n## ")[0], re.M)
    assert [int(number) for number, _, _ in steps] == list(range(1, len(steps) + 1)) and 10 < len(steps) <= 15
    for _, path, name in steps:
        defined = rf"^\s*(?:def|const|export const) {name}\b"
        assert re.search(defined, (root / path).read_text(), re.M), (path, name)
