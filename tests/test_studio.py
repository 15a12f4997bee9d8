"""The Studio: right answers for several people at once, and a sentence for every bad wish."""

import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
import torch
from PIL import Image

from wildpdiff.bundle import Bundle
from wildpdiff.errors import UserError
from wildpdiff.evaluate import accuracy
from wildpdiff.studio import looks
from wildpdiff.studio import studio as studio_module
from wildpdiff.studio.download import download
from wildpdiff.studio.setting import Live, Result, Setting
from wildpdiff.studio.studio import Studio

SETTING = Setting("R10", "R12", 0.3, seed=3, steps=2, images=4)
STATE = {"a": "R10", "b": "R12", "t": 0.3, "m": "H", "w": "ours", "seed": 3, "n": 1, "steps": 2, "images": 4}


@pytest.fixture(scope="module")
def studio(tiny_bundle: Path) -> Iterator[Studio]:
    patch = pytest.MonkeyPatch()
    for name in ("CHOSEN_FIRST", "OTHERS_FIRST"):
        patch.setattr(looks, name, 2)
    yield Studio.open(tiny_bundle)
    patch.undo()


def last(studio: Studio, setting: Setting) -> Result:
    *_, result = studio.results(setting)
    return result


def numbers(result: Result) -> tuple:
    return dict(result.live), result.alike


def png(size: tuple[int, int] = (80, 60)) -> bytes:
    stream = BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(stream, "PNG")
    return stream.getvalue()


def test_frames_grow_and_end_with_every_location_measured(studio: Studio) -> None:
    frames = list(studio.results(SETTING))
    counts = [len(frame.live) for frame in frames]
    assert counts == sorted(counts) and counts[0] == 0 and counts[-1] == len(studio.bundle.seen)
    assert [frame.stage for frame in frames[:1] + frames[-1:]] == ["written", "done"]
    assert set(frames[1].live) == {"R10", "R12"}


def test_the_chosen_locations_end_with_as_many_photographs_as_were_asked_for(studio: Studio) -> None:
    live = last(studio, SETTING).live
    assert [live[name].count for name in ("R10", "R12", "U11")] == [4, 4, 2]
    assert last(studio, replace(SETTING, images=1)).live["R10"].count == 1


def test_the_live_share_is_what_evaluate_says(studio: Studio) -> None:
    result = last(studio, replace(SETTING, samples=2))
    images = studio.images("R12", 4)
    expected = accuracy(studio.bundle.backbone, result.rows, images.pixels[:4], images.labels[:4])
    assert result.live["R12"].shares == pytest.approx(expected.tolist())


@pytest.mark.parametrize(("regime", "way"), [("L", "ours"), ("M", "paper"), ("H", "paper")])
def test_regime_and_way_choose_the_generator(studio: Studio, regime: str, way: str) -> None:
    row = studio.write(replace(SETTING, weight=1.0, regime=regime, way=way))
    generator = studio.bundle.generator(regime, way=way)
    expected = generator.generate(studio.bundle.embedding("R12")[None], steps=2, seed=3)
    assert torch.allclose(row, expected, atol=1e-6)
    assert not torch.allclose(row, studio.write(replace(SETTING, weight=1.0)), atol=1e-3)


@pytest.mark.slow
def test_two_threads_get_what_one_gets_and_leave_the_network_unchanged(studio: Studio) -> None:
    settings = [replace(SETTING, weight=weight, b=b) for weight in (0.0, 1.0) for b in ("R12", "U11", "D03")]
    before = {name: value.clone() for name, value in studio.bundle.backbone.network.state_dict().items()}
    alone = [numbers(last(studio, setting)) for setting in settings]
    together: list[tuple] = []

    def work(order: list[int]) -> None:
        together.extend((place, numbers(last(studio, settings[place]))) for place in order)

    orders = [list(range(len(settings))), list(reversed(range(len(settings))))]
    threads = [threading.Thread(target=work, args=(order,)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(together) == 2 * len(settings)
    assert all(found == alone[place] for place, found in together)
    after = studio.bundle.backbone.network.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_an_abandoned_answer_does_not_disturb_the_next(studio: Studio) -> None:
    expected = numbers(last(studio, SETTING))
    frames = studio.results(replace(SETTING, weight=0.9))
    next(frames), next(frames)
    frames.close()
    assert numbers(last(studio, SETTING)) == expected


def test_an_answer_that_nobody_wants_any_more_ends(studio: Studio) -> None:
    assert list(studio.results(SETTING, lambda: False)) == []


@pytest.mark.parametrize(("weight", "location"), [(0.0, "R10"), (1.0, "R12")])
def test_the_ends_of_the_slider_are_the_locations_themselves(studio: Studio, weight: float, location: str) -> None:
    own = studio.bundle.generator("H").generate(studio.bundle.embedding(location)[None], steps=2, seed=3)
    assert torch.allclose(studio.write(replace(SETTING, weight=weight)), own, atol=1e-6)


def test_the_same_location_twice_makes_the_weight_irrelevant(studio: Studio) -> None:
    same = replace(SETTING, b="R10")
    assert torch.equal(studio.write(same), studio.write(replace(same, weight=0.7)))


def test_sample_i_is_the_adapter_of_seed_plus_i(studio: Studio) -> None:
    rows = studio.write(replace(SETTING, samples=3))
    assert torch.allclose(rows[2:], studio.write(replace(SETTING, seed=SETTING.seed + 2)), atol=1e-5)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"t": 1.2}, "0..1"),
        ({"t": -0.1}, "0..1"),
        ({"t": float("nan")}, "finite"),
        ({"t": "abc"}, "not whole"),
        ({"t": None}, "not whole"),
        ({"n": 0}, "adapters"),
        ({"n": 99}, "adapters"),
        ({"n": 1.5}, "whole number"),
        ({"steps": 0}, "steps"),
        ({"seed": -1}, "seed"),
        ({"seed": float("inf")}, "whole number"),
        ({"images": 0}, "photographs"),
        ({"images": 101}, "photographs"),
    ],
)
def test_a_state_out_of_range_is_refused_in_one_sentence(change: dict, word: str) -> None:
    with pytest.raises(UserError, match=word) as caught:
        Setting.of(STATE | change)
    assert str(caught.value).count(". ") == 0


@pytest.mark.parametrize(("change", "word"), [({"m": "Z"}, "Regime 'Z'"), ({"w": "theirs"}, "theirs")])
def test_what_the_bundle_has_not_is_refused_in_one_sentence(studio: Studio, change: dict, word: str) -> None:
    with pytest.raises(UserError, match=word) as caught:
        studio.check(Setting.of(STATE | change))
    assert str(caught.value).count(". ") == 0


@pytest.mark.parametrize("state", [None, [], "R10", {}, {"a": "R10"}])
def test_what_is_no_state_at_all_is_refused(state: object) -> None:
    with pytest.raises(UserError, match="not whole"):
        Setting.of(state)  # type: ignore[arg-type]


def test_a_state_becomes_the_setting_that_it_names() -> None:
    assert Setting.of(STATE) == SETTING


@pytest.mark.parametrize("change", [{"a": "Z99"}, {"b": "<script>"}])
def test_an_unknown_location_is_refused_in_one_sentence(studio: Studio, change: dict) -> None:
    with pytest.raises(UserError, match="is not known"):
        last(studio, replace(SETTING, **change))


def test_an_upload_takes_a_locations_place_and_is_not_measured(studio: Studio) -> None:
    upload = studio.upload(png())
    result = last(studio, Setting.of(STATE | {"a": studio.pictures.add("me", upload), "t": 0.0}))
    assert set(result.live) == set(studio.bundle.seen)
    expected = studio.bundle.generator("H").generate(upload.embedding[None], steps=2, seed=3)
    assert torch.allclose(result.rows, expected, atol=1e-6)


def test_an_upload_names_the_locations_it_looks_like_best_first(studio: Studio) -> None:
    values = [similarity for _, similarity in studio.upload(png()).nearest]
    assert values == sorted(values, reverse=True)
    assert all(-1.001 <= value <= 1.001 for value in values)


@pytest.mark.parametrize("data", [b"", b"not a picture", png()[:60], png((1, 1))])
def test_a_bad_picture_is_refused_in_one_sentence(studio: Studio, data: bytes) -> None:
    with pytest.raises(UserError):
        studio.upload(data)


def test_an_unseen_location_is_measured_too_when_it_is_chosen(studio: Studio) -> None:
    assert set(last(studio, replace(SETTING, b="D03")).live) == {*studio.bundle.seen, "D03"}


def test_the_saved_adapter_is_a_zipped_peft_folder_of_the_row(studio: Studio, tmp_path: Path) -> None:
    from wildpdiff.network.peft_folder import load_peft

    archive = download(studio, SETTING, tmp_path)
    zipfile.ZipFile(archive).extractall(tmp_path / "out")
    folder = next((tmp_path / "out").iterdir())
    assert {"adapter_config.json", "adapter_model.safetensors", "README.md"} <= {path.name for path in folder.iterdir()}
    assert torch.allclose(load_peft(studio.bundle.backbone, folder), studio.write(SETTING)[0])


def test_a_live_interval_holds_the_share_and_stays_in_range() -> None:
    for right in range(11):
        low, high = Live((right / 10,), 10).interval
        assert 0 <= low <= right / 10 + 1e-9 and right / 10 - 1e-9 <= high <= 1


def test_a_folder_without_a_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a bundle"):
        Bundle.open(tmp_path)


def test_a_writer_elsewhere_is_asked_first_and_what_it_says_is_passed_on(studio: Studio) -> None:
    rows, asked = torch.full((1, studio.bundle.backbone.layout.dim), 0.001), []

    def writer(*given: object) -> tuple:
        asked.append(given[1:])
        return (rows.numpy(), "From elsewhere.") if len(asked) == 1 else (None, "Refused.")

    own = studio.write(SETTING)
    try:
        studio.writer = writer
        first, second = last(studio, SETTING), last(studio, SETTING)
    finally:
        studio.writer = None
    assert asked[0] == (SETTING.weight, 2, 1, 3, "H", "ours")
    assert torch.equal(first.rows, rows) and first.note == "From elsewhere."
    assert torch.equal(second.rows, own) and second.note == "Refused."
    assert studio.write_noting(SETTING)[1] == "Refused."


def test_what_follows_an_answer_takes_its_rows_and_only_the_newest_answers_are_kept(studio: Studio) -> None:
    first = next(studio.results(SETTING)).rows
    assert studio.write(replace(SETTING, images=2)) is first
    assert studio.write(replace(SETTING, seed=4)) is not first
    for seed in range(100, 100 + studio_module.ANSWERS):
        next(studio.results(replace(SETTING, seed=seed, steps=1)))
    again = studio.write(SETTING)
    assert again is not first and torch.equal(again, first)


def test_what_was_written_for_a_picture_is_measured_not_written_again_and_forgotten_with_it(studio: Studio) -> None:
    name = studio.pictures.add("me", studio.upload(png()))
    alone, blended = (replace(SETTING, a=name, b=other, weight=0.0, images=2) for other in (name, "R12"))
    rows = studio.write(alone)
    first = next(studio.results(blended))
    assert first.rows is rows and first.setting == blended
    assert torch.equal(studio._written(blended, lambda: True)[0], rows), "at weight 0 B changes nothing"
    studio.forget("me", name)
    assert all(name not in key.own for key in studio._kept)
    with pytest.raises(UserError, match="picture of your own is not here"):
        studio.write(alone)
