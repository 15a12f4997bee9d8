"""The tab Unseen: a visitor's picture and words - read, placed, used, forgotten; and a sentence for every bad one."""

import base64
import json
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
from wildpdiff.clip_training import build_clip
from wildpdiff.condition import SimpleTokenizer
from wildpdiff.errors import UserError
from wildpdiff.evaluate import logits
from wildpdiff.studio import upload as stranger_module
from wildpdiff.studio.description import checked, tile
from wildpdiff.studio.ood import PAPER, findings, reading_skill, scale
from wildpdiff.studio.setting import OWN, Setting, Upload
from wildpdiff.studio.studio import Studio
from wildpdiff.studio.upload import Strangers
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
        made = Stranger(Page(numbers.studio, gr.HTML(), gr.State({})), numbers, kind)
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


def values(frames: list[list[Any]]) -> list[dict[str, Any]]:
    """What each frame puts on the page."""
    return [frame[0]["value"] for frame in frames]


def sentence(frame: list[Any]) -> str:
    return str(frame[0]["problem"]["text"])


def test_a_picture_is_placed_first_and_its_adapter_follows(picture_part: Stranger) -> None:
    frames = list(picture_part.read(sent(photograph())))
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
    setting = Setting("R10", "R12", 0.7, seed=3, steps=2, samples=4)
    *_, last = numbers.adapted(upload, setting, picture=True)
    row = numbers.studio.write(Setting(OWN, OWN, seed=3, steps=2, upload_a=upload, upload_b=upload))[0]
    near = last["at"]["name"]
    assert near == upload.nearest[0][0]
    images = numbers.studio.images(near, 6)
    pixels, labels = images.pixels[:6], images.labels[:6]
    for arm, adapter in (("pretrained", None), ("generated", row)):
        said = logits(numbers.bundle.backbone, adapter, pixels).argmax(dim=1)
        assert last["at"]["right"][arm] == int((said == labels).sum())
    assert all(low <= last["at"]["right"][arm] / 6 <= high for arm, (low, high) in last["at"]["interval"].items())


def test_each_column_of_species_adds_up_to_all_photographs(numbers: Strangers) -> None:
    *_, last = numbers.adapted(numbers.noise, Setting("R10", "R12", steps=2), picture=True)
    columns = list(zip(*last["at"]["species"], strict=True))[1:]
    assert [sum(column) for column in columns] == [last["at"]["count"]] * 3 == [6] * 3
    assert all(0 <= share <= 1 for said in last["itself"].values() for _, share in said)


def test_many_species_are_summed_up_in_the_last_row(numbers: Strangers) -> None:
    rows = numbers._tally([torch.arange(19), torch.zeros(19, dtype=torch.int64), torch.arange(19)])
    assert len(rows) == 11 and rows[-1] == ["all others", 9, 0, 9]
    assert rows[0][1:] == [1, 19, 1]


def test_noise_is_told_to_be_the_noise_itself(numbers: Strangers) -> None:
    *_, last = numbers.adapted(numbers.example("noise"), Setting("R10", "R12", steps=2), picture=True)
    assert last["like"][0] == ["pure noise", 1.0] and last["mattered"] == "This is the noise itself."


def test_rows_kept_for_comparison_are_those_that_would_be_written_anew(numbers: Strangers) -> None:
    alone = Setting(OWN, OWN, seed=7, steps=2, upload_a=numbers.noise, upload_b=numbers.noise)
    written = numbers.studio.write(Setting("S09", "S09", seed=7, steps=2))[0]
    assert torch.equal(numbers._control("S09", alone), written)
    assert torch.equal(numbers._control("S09", alone), written)
    for seed in range(stranger_module.KEPT + 3):
        numbers._rows["filler", seed] = written
    assert torch.equal(numbers._control("R10", alone), numbers.studio.write(Setting("R10", "R10", seed=7, steps=2))[0])


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
    frames = list(picture_part.read(sent(content)))
    assert len(frames) == 1
    assert says in sentence(frames[0]) and "/" not in sentence(frames[0])
    assert "value" not in frames[0][0] and frames[0][1] == gr.skip()


def test_a_file_too_large_or_cut_short_is_refused(picture_part: Stranger) -> None:
    assert "larger than 5 MB" in sentence(next(picture_part.read(event(size=5_000_001, data=""))))
    for data in ("***", "abc", 7, ["a"]):
        assert "did not arrive whole" in sentence(next(picture_part.read(event(size=3, data=data))))
    assert "did not arrive whole" in sentence(next(picture_part.read(event(size="many", data=""))))


def test_an_unexpected_fault_is_noted_and_said_in_one_sentence(
    picture_part: Stranger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Strangers, "picture", lambda self, data: 1 / 0)
    assert sentence(next(picture_part.read(sent(photograph())))) == WRONG
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
    frames = list(picture_part.read(sent(content)))
    used = picture_part.use(frames[0][1], {}, event(side="a"))
    assert not list(scratch.rglob("*"))
    for src in (values(frames)[0]["src"], used[0]["used"]["place"]["src"]):
        shown = base64.b64decode(src.partition(",")[2])
        assert b"SecretCamera" not in shown and not Image.open(BytesIO(shown)).getexif()
    upload = used[1]["a"]
    assert set(vars(upload)) == {"name", "embedding", "picture", "nearest"}
    saved = numbers.studio.save(Setting(OWN, "R10", steps=2, upload_a=upload), tmp_path)
    assert b"SecretCamera" not in saved.read_bytes()


def test_use_puts_it_beside_what_was_there_and_remove_takes_only_that(picture_part: Stranger) -> None:
    numbers = picture_part.numbers
    first, second = numbers.picture(photograph()), numbers.example("noise")
    mine = (first, numbers.looked(first, numbers.gauge, "pictures"))
    before: dict[str, Upload] = {"b": second}
    told, after = picture_part.use(mine, before, event(side="a"))
    assert set(after) == {"a", "b"} and after["a"] is first and before == {"b": second}
    assert told["used"]["side"] == "a" and told["used"]["place"]["name"] == OWN
    told, nothing, left = picture_part.remove(mine, after)
    assert told["value"] is None and nothing is None
    assert left == {"b": second} and told["gone"]["sides"] == ["a"]


def test_nothing_can_be_used_before_something_was_brought(picture_part: Stranger) -> None:
    assert "nothing here yet" in sentence(picture_part.use(None, {}, event(side="a")))
    assert "nothing here yet" in sentence(next(picture_part.again(None, event(state=STATE))))
    upload = picture_part.numbers.noise
    assert "A or of B" in sentence(picture_part.use((upload, {}), {}, event(side="../a")))
    assert picture_part.remove(None, {"a": upload})[2] == {"a": upload}


@pytest.mark.parametrize(
    "state", [{"m": "Z"}, {"steps": 10**9}, {"seed": "x"}, {"w": "theirs"}, {"seed": float("nan")}, "text", 7]
)
def test_a_hostile_state_gives_a_sentence_and_no_adapter(picture_part: Stranger, state: Any) -> None:
    mine = (picture_part.numbers.noise, {"stage": "looked"})
    frames = list(picture_part.again(mine, event(state=state)))
    assert len(frames) == 1 and sentence(frames[0]).endswith(".") and sentence(frames[0]) != WRONG


def test_without_a_state_the_bundles_own_regime_is_written(
    picture_part: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Setting] = []
    monkeypatch.setattr(Strangers, "adapted", lambda self, upload, setting, picture: asked.append(setting) or iter(()))
    assert list(picture_part.again((picture_part.numbers.noise, {}), event())) == []
    assert (asked[0].regime, asked[0].way, asked[0].seed, asked[0].steps) == ("H", "ours", 0, 50)


def test_the_examples_are_a_known_location_an_unseen_one_and_noise(numbers: Strangers, picture_part: Stranger) -> None:
    assert numbers.examples == ("R10", "D03", "noise")
    frames = list(picture_part.read(event(name="R10", state=STATE)))
    assert values(frames)[0]["name"] == "a picture of R10"
    assert "no example of that name" in sentence(next(picture_part.read(event(name="../R10", state=STATE))))


def test_words_are_read_placed_and_written(word_part: Stranger) -> None:
    frames = list(word_part.read(event(text="  dense   woodland, red soil ", state=STATE)))
    shown, (upload, _) = values(frames), frames[0][1]
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
    frames = list(word_part.read(event(text=text, state=STATE)))
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
    phrase = checked("Dense woodland, an office, knee-high grass", network)
    assert phrase.unread == ("an", "office") and not phrase.cut
    assert "an, office" in phrase.notes[0]
    assert checked("dense grass", network).notes == []
    with pytest.raises(UserError, match="None of these words"):
        checked("kitchen cupboard", network)


def test_what_does_not_fit_into_the_clip_is_named() -> None:
    text = ", ".join(["dense woodland"] * 12)
    network = taught(text)
    phrase = checked(text, network)
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
    data = json.loads((REAL / "results" / "table3.json").read_text())["data"]
    for regime in bundle.regimes:
        said = findings(bundle, regime)
        mean = data["regimes"][regime]["mean"]
        assert said[0] == PAPER
        assert f"generated {mean['generated']['mean']:.1%}" in said[1] and f"regime {regime}" in said[1]
        assert ("no difference is shown" in said[1]) is not mean["generated_gain"]["real"]
    assert "11%" in reading_skill(bundle) and "chance: 1%" in reading_skill(bundle)


def test_a_bundle_without_results_says_what_the_paper_found_alone(numbers: Strangers) -> None:
    assert findings(numbers.bundle, "H") == [PAPER]
    assert reading_skill(numbers.bundle) == ""


def test_no_listener_is_an_endpoint(numbers: Strangers) -> None:
    with gr.Blocks() as blocks:
        page = Page(numbers.studio, gr.HTML(), gr.State({}))
        for kind in ("picture", "words"):
            Stranger(page, numbers, kind).build()
    assert len(blocks.fns) >= 9
    assert {fn.api_visibility for fn in blocks.fns.values()} <= {"private"}
