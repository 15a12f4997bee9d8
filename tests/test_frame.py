"""The frame: from a wish to its answers, for every session on its own."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
import torch

from wildpdiff.studio import looks
from wildpdiff.studio.pictures import Pictures
from wildpdiff.studio.sessions import MOST, Newest
from wildpdiff.studio.setting import Result, Setting
from wildpdiff.studio.studio import Studio
from wildpdiff.ui.frame import Frame, header, wish_panel
from wildpdiff.ui.page import WRONG, Page

REQUEST: Any = SimpleNamespace(session_hash="one")
OTHER: Any = SimpleNamespace(session_hash="two")
WISH = {"a": "R10", "b": "R12", "t": 0.3, "m": "H", "w": "ours", "seed": 0, "n": 1, "steps": 2, "images": 2, "stamp": 5}


@pytest.fixture(scope="module")
def studio(tiny_bundle: Path) -> Iterator[Studio]:
    patch = pytest.MonkeyPatch()
    for name in ("CHOSEN_FIRST", "OTHERS_FIRST"):
        patch.setattr(looks, name, 2)
    yield Studio.open(tiny_bundle)
    patch.undo()


def frame_of(studio: Any) -> Frame:
    with gr.Blocks():
        return Frame(Page(studio, wish_panel(), gr.State("")))


def told(frame: Frame, wish: dict = WISH) -> list[dict[str, Any]]:
    """All frames of an answer, as the browser reads them."""
    return [json.loads(text) for text, _, _ in frame.run(wish, [], REQUEST)]


def test_a_run_ends_done_and_names_the_wish_that_it_answers(studio: Studio) -> None:
    *_, last = told(frame_of(studio))
    assert (last["stage"], last["stamp"]) == ("done", 5)
    assert set(last["live"]) == set(studio.bundle.seen) and last["live"]["R10"]["count"] == 2


@pytest.mark.parametrize(
    ("change", "word"), [({"a": "Z99"}, "Z99"), ({"t": 7}, "0..1"), ({"m": "X"}, "Regime"), ({"b": "own"}, "picture")]
)
def test_a_bad_wish_fails_in_one_sentence(studio: Studio, change: dict, word: str) -> None:
    [only] = told(frame_of(studio), WISH | change)
    assert only["stage"] == "failed" and word in only["problem"] and only["stamp"] == 5


def test_a_fault_of_the_program_gives_a_plain_sentence_without_a_trace() -> None:
    class Broken:
        bundle, pictures = SimpleNamespace(seen=(), variant=lambda *_: None), Pictures()

        def results(self, *_: object) -> Iterator[Any]:
            raise RuntimeError("/secret/path")

    [only] = told(frame_of(Broken()))
    assert only["problem"] == WRONG


def test_a_running_answer_ends_when_its_session_wishes_for_something_else(studio: Studio) -> None:
    frame = frame_of(studio)
    running = frame.run(WISH, [], REQUEST)
    next(running)
    frame.note(WISH | {"stamp": 9}, OTHER)
    next(running)
    frame.note(WISH | {"stamp": 9}, REQUEST)
    assert list(running) == []


class Slow:
    """A studio whose frames come at given seconds; every session's numbers are empty."""

    bundle, pictures = SimpleNamespace(seen=(), variant=lambda *_: None), Pictures()

    def __init__(self, *seconds: float) -> None:
        self.seconds = seconds

    def results(self, setting: Setting, _: object) -> Iterator[Result]:
        for index, second in enumerate(self.seconds):
            stage: Any = "written" if index == 0 else "done" if index == len(self.seconds) - 1 else "measuring"
            yield Result(setting, stage, {}, torch.zeros(1, 1), (), second)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        ((0.1, 0.2, 0.25, 0.3, 0.4, 0.6, 0.65), [0.2, 0.25, 0.6, 0.65]),
        ((2.0, 2.1, 2.15, 2.2, 2.6), [2.0, 2.1, 2.15, 2.6]),
    ],
)
def test_frames_come_no_faster_than_a_page_can_draw_but_the_first_numbers_and_the_last(
    seconds: tuple[float, ...], shown: list[float]
) -> None:
    assert [frame["seconds"] for frame in told(frame_of(Slow(*seconds)))] == shown


def test_the_figures_come_once_and_after_the_numbers_of_a_and_b() -> None:
    frame = frame_of(Slow(0.1, 0.2, 0.5, 0.9, 1.3))
    frame.drawn = lambda setting, result, trail: trail.append(result.seconds) or {"map": {"at": result.seconds}}
    trail: list[float] = []
    figures = [figures for _, figures, _ in frame.run(WISH, trail, REQUEST)]
    assert [isinstance(figure, str) for figure in figures] == [False, True, False, False]
    assert json.loads(figures[1]) == {"map": {"at": 0.5}} and trail == [0.5]


def test_an_answer_is_not_overtaken_by_its_own_wish_or_an_older_one() -> None:
    wishes = Newest()
    wishes.begin("one", 10.0)
    assert not wishes.over("one", 10.0) and wishes.over("one", 9.0)
    assert wishes.begin("one", 8.0) == 10.0
    assert not wishes.over("one", 10.0)
    assert not wishes.over("two", 1.0)


def test_a_new_run_ends_the_sessions_earlier_ones_and_nobody_elses() -> None:
    runs = Newest()
    first, other = runs.begin("one"), runs.begin("two")
    assert not runs.over("one", first)
    second = runs.begin("one")
    assert runs.over("one", first) and not runs.over("one", second) and not runs.over("two", other)


def test_runs_of_very_many_sessions_are_forgotten() -> None:
    runs = Newest()
    for index in range(MOST + 500):
        runs.begin(str(index), 1.0)
    assert len(runs.newest) == MOST and str(MOST + 499) in runs.newest and not runs.over("0", 1.0)


def test_a_hostile_wish_is_noted_without_harm(studio: Studio) -> None:
    frame = frame_of(studio)
    for wish in (None, [], "x", {"stamp": "soon"}, {"stamp": None}):
        frame.note(wish, REQUEST)  # type: ignore[arg-type]
    assert frame.page.wishes.newest == {"one": 0.0}


@pytest.mark.slow
def test_one_click_finds_a_zip_behind_the_button_and_nothing_is_left(studio: Studio, tmp_path: Any) -> None:
    offered = frame_of(studio).offer(WISH, REQUEST)
    button = next(offered)
    path = button.value["path"] if isinstance(button.value, dict) else button.value
    assert str(path).endswith(".zip")
    with pytest.raises(StopIteration):
        next(offered)


def test_the_header_says_that_the_world_is_procedural(studio: Studio) -> None:
    assert "procedural savanna" in header(studio) and "CPU" in header(studio)
