"""The tab Probe: prices, runs frame by frame, files, pins, and code that reproduces the present state."""

import contextlib
import io
import json
import math
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

from wildpdiff.bundle import Bundle
from wildpdiff.evaluate import accuracy
from wildpdiff.plots.probe import FLOOR, Curve, Dot, Stop, novelty_dots, weaker_curves
from wildpdiff.studio.probe import (
    TABLE,
    Run,
    compared,
    curves_of,
    dots_of,
    notes_of,
    pinned,
    price_words,
    seconds_words,
    table_of,
)
from wildpdiff.studio.setting import Setting
from wildpdiff.studio.snippet import command_of, folder_of, python_of
from wildpdiff.studio.studio import Studio
from wildpdiff.sweep import Gathered, Sweep, run
from wildpdiff.ui import probe as probe_module
from wildpdiff.ui.page import Page
from wildpdiff.ui.probe import Probe

SPEC = {
    "pairs": [["R10", "R12"]], "weights": [0, 0.5], "seeds": 2, "seed": 3, "regimes": ["H"], "ways": ["ours"],
    "images": 4, "steps": 2,
}  # fmt: skip
SWEEP = Sweep.of(SPEC)
SETTING = Setting("R10", "R12", 0.3, seed=4, samples=2, steps=2, images=4)


@pytest.fixture(scope="module")
def studio(tiny_bundle: Path) -> Studio:
    return Studio(Bundle.open(tiny_bundle))


@pytest.fixture(scope="module")
def gathered(studio: Studio) -> Gathered:
    found = Gathered()
    for made in run(studio.bundle, SWEEP, photographs=studio.images):
        found.add(made)
    return found


@pytest.fixture
def part(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> Iterator[Probe]:
    """The part, laid out, whose frames come as often as they can."""
    monkeypatch.setattr(probe_module, "TICK", -1.0)
    monkeypatch.setattr(probe_module, "FRAME", -1.0)
    with gr.Blocks():
        made = Probe(Page(studio, gr.HTML(), gr.State("")))
        made.build()
    yield made


def event(**data: Any) -> Any:
    return SimpleNamespace(_data=data)


REQUEST: Any = SimpleNamespace(session_hash="visitor")


def progress(frame: list[Any]) -> dict[str, Any]:
    return frame[0]["progress"]


def rows(frame: list[Any]) -> list[Any]:
    return frame[1].get("rows", [])


def test_a_price_is_said_in_words_before_anything_runs(part: Probe) -> None:
    found = part.price(event(sweep=SPEC, stamp=7))["price"]
    assert found["ok"] and found["stamp"] == 7
    assert found["text"].startswith("4 adapters, about ") and found["text"].endswith(" on this CPU")
    assert found["command"] == SWEEP.command


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"weights": []}, "at least one blend weight"),
        ({"pairs": [["R10", "R10"]]}, "two different"),
        ({"pairs": [["R10", "own"]]}, "not known"),
        ({"weights": [i / 1000 for i in range(1000)], "seeds": 16}, "at most 2,000"),
        ({"seeds": None}, "not whole"),
        ({"images": "<script>"}, "not whole"),
    ],
)
def test_a_sweep_that_cannot_be_has_a_sentence_instead_of_a_price(part: Probe, change: dict, told: str) -> None:
    found = part.price(event(sweep=SPEC | change, stamp=1))["price"]
    assert not found["ok"] and told in found["text"]
    (frame,) = part.run(event(sweep=SPEC | change), REQUEST) if "own" not in str(change) else [None]
    if frame:
        assert progress(frame)["state"] == "failed" and told in progress(frame)["text"]
        assert all(other == gr.skip() for other in frame[1:])


@pytest.mark.parametrize("data", [None, [], "text", {}])
def test_an_event_with_anything_else_is_answered_with_a_sentence(part: Probe, data: Any) -> None:
    strange = SimpleNamespace(_data=data)
    assert not part.price(strange)["price"]["ok"]
    assert progress(next(part.run(strange, REQUEST)))["state"] == "failed"
    assert "problem" in part.show_code(strange, REQUEST)


def test_a_run_grows_and_ends_with_every_record_and_its_figures(part: Probe, gathered: Gathered) -> None:
    frames = list(part.run(event(sweep=SPEC), REQUEST))
    states = [progress(frame)["state"] for frame in frames]
    assert states == ["preparing", *["running"] * 4, "done"]
    counts = [len(rows(frame)) for frame in frames]
    assert counts == [0, 1, 2, 3, 4, 4]
    assert progress(frames[3]) | {"text": ""} == {"state": "running", "text": "", "done": 3, "total": 4}
    assert "3 of 4 adapters" in progress(frames[3])["text"] and progress(frames[3])["text"].endswith("left")
    last = frames[-1]
    assert last[1] == table_of(SWEEP, gathered.records, last[1]["notes"]) and last[1]["notes"]
    assert last[3] == curves_of(gathered.cells, stage="done") and last[4] == dots_of(gathered.cells, stage="done")
    assert last[8] == Run(SWEEP, tuple(gathered.cells), 4)
    assert all(len(frame) == len(frames[0]) == 10 for frame in frames)


def test_the_files_are_behind_the_buttons_when_a_run_ends_and_gone_afterwards(part: Probe, gathered: Gathered) -> None:
    frames = part.run(event(sweep=SPEC), REQUEST)
    last: list[Any] = []
    for last in frames:
        if progress(last)["state"] == "done":
            break
    paths = [Path(button.value["path"] if isinstance(button.value, dict) else button.value) for button in last[5:8]]
    assert [path.suffix for path in paths] == [".csv", ".json", ".npz"]
    assert len(paths[0].read_text().splitlines()) == 5
    assert json.loads(paths[1].read_text())["records"] == [record.to_json() for record in gathered.records]
    with np.load(paths[2]) as found:
        assert found["rows"].shape == (4, len(gathered.rows[0]))
    folder = paths[0].parent
    assert list(frames) == []
    assert not folder.exists() or "wildpdiff-" not in folder.name


def test_a_stop_keeps_what_is_there_with_its_files(part: Probe, gathered: Gathered) -> None:
    frames = part.run(event(sweep=SPEC), REQUEST)
    seen = [next(frames) for _ in range(3)]
    assert len(rows(seen[-1])) == 2
    part.halt(REQUEST)
    (last,) = frames
    assert progress(last)["state"] == "stopped"
    assert progress(last)["text"] == "Stopped after 2 of 4 adapters; these stay."
    assert rows(last) == table_of(SWEEP, gathered.records[:2])["rows"]
    assert all(button.interactive for button in last[5:8])


def test_a_stop_before_the_first_adapter_leaves_the_old_result(part: Probe) -> None:
    frames = part.run(event(sweep=SPEC), REQUEST)
    next(frames)
    part.halt(REQUEST)
    (last,) = frames
    assert progress(last)["text"] == "Stopped."
    assert all(other == gr.skip() for other in last[1:])


def test_a_mistake_in_the_midst_keeps_what_is_there(part: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = probe_module.run

    def broken(*given: Any) -> Any:
        yield next(whole(*given))
        raise probe_module.UserError("This sample is not finite.")

    monkeypatch.setattr(probe_module, "run", broken)
    *_, last = part.run(event(sweep=SPEC), REQUEST)
    assert progress(last)["state"] == "failed"
    assert progress(last)["text"] == "This sample is not finite. What was measured before, 1 of 4 adapters, stays."
    assert len(rows(last)) == 1


def test_an_error_of_ours_is_one_sentence_without_details(part: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("/secret/path")

    monkeypatch.setattr(probe_module, "run", broken)
    *_, last = part.run(event(sweep=SPEC), REQUEST)
    assert progress(last)["state"] == "failed" and "secret" not in progress(last)["text"]


def test_two_runs_are_pinned_and_the_oldest_goes(part: Probe, gathered: Gathered) -> None:
    runs = [Run(replace(SWEEP, seed=seed), tuple(gathered.cells), 4) for seed in range(3)]
    pins, value, first, shown, _, hidden = part.pin(runs[0], [])
    assert pins == runs[:1] and first == curves_of(gathered.cells)
    assert shown["visible"] and not hidden["visible"]
    assert value["text"] == "Pin a second run to compare both."
    assert part.pin(runs[0], pins)[0] == runs[:1]
    assert part.pin(None, pins)[0] == pins
    both, value, *_ = part.pin(runs[1], pins)
    assert both == runs[:2] and len(value["runs"]) == 2
    assert pinned(both, runs[2]) == runs[1:]
    assert part.unpin(both, event(place=0))[0] == runs[1:2]
    assert part.unpin(both, event(place=9))[0] == both


def test_a_comparison_is_said_with_its_interval_and_what_it_rests_on(gathered: Gathered) -> None:
    one = Run(SWEEP, tuple(gathered.cells), 4)
    said = compared([one, one])
    assert "+0.0 points (95% interval +0.0 to +0.0; 2 cells" in said
    assert "4 photographs of each location" in said and "no difference is shown" in said
    elsewhere = Run(SWEEP, tuple(replace(cell, weight=0.9) for cell in gathered.cells), 4)
    assert "nothing to compare" in compared([one, elsewhere])
    assert compared([]).startswith("Pin a run")


def test_a_runs_name_says_what_was_swept() -> None:
    assert Run(SWEEP, (), 4).name == "R10–R12 · 2 weights · High; ours · 2 seeds from 3"
    many = replace(SWEEP, pairs=(("R10", "R12"), ("R10", "U11")), regimes=("L", "H"), ways=("ours", "paper"), seeds=1)
    assert Run(many, (), 4).name == "2 pairs · 2 weights · Low, High; ours, paper's · 1 seed from 3"


def test_the_tables_rows_hold_the_records_in_the_columns_order(gathered: Gathered) -> None:
    table = table_of(SWEEP, gathered.records)
    assert table["columns"] == list(TABLE) and (table["images"], table["steps"]) == (4, 2)
    first = dict(zip(table["columns"], table["rows"][0], strict=True))
    record = gathered.records[0]
    assert (first["a"], first["weight"], first["right_b"]) == (record.a, record.weight, record.right_b)
    assert first["novelty"] == pytest.approx(record.novelty, abs=1e-5)
    json.dumps(table)


def test_the_notes_say_where_a_nearest_checkpoint_was_looked_for(studio: Studio, gathered: Gathered) -> None:
    (note,) = notes_of(studio.bundle, SWEEP, gathered.records)
    assert "240 fine-tuned rows" in note and "approximate" in note and "The adapter nearest to any" in note
    copy = [replace(gathered.records[0], map_distance=0.0)]
    assert "look whether it is a copy" in notes_of(studio.bundle, SWEEP, copy)[0]
    assert "no sign of a copy" in notes_of(studio.bundle, SWEEP, [replace(copy[0], map_distance=1e6)])[0]
    assert "first 256 of 300" in notes_of(studio.bundle, SWEEP, copy * 300)[-1]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (7.6, "8 s"), (41, "40 s"), (200, "3 min"), (9000, "2.5 h")],
)
def test_durations_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert seconds_words(seconds) == words
    assert (
        price_words(replace(SWEEP, seeds=1, weights=(0.0,)), seconds, "CPU") == f"1 adapter, about {words} on this CPU"
    )


def curve(regime: str = "H", way: str = "ours") -> Curve:
    return Curve(regime, way, [Stop(0.0, 0.5, 0.4, 0.6, 3), Stop(1.0, 0.9, 0.8, 1.0, 3)])


def test_curves_show_their_numbers_and_always_the_same_axes() -> None:
    one, four = weaker_curves([curve()]), weaker_curves([curve(r, w) for r in "LH" for w in ("ours", "paper")])
    assert one["data"][0]["x"] == [0.0, 1.0] and one["data"][0]["y"] == [0.5, 0.9]
    assert one["data"][0]["error_y"]["array"] == pytest.approx([0.1, 0.1])
    for axis in ("xaxis", "yaxis"):
        assert (
            one["layout"][axis]["range"] == four["layout"][axis]["range"] == weaker_curves([])["layout"][axis]["range"]
        )
    looks = {(t["line"]["color"], t["line"]["dash"], t["marker"]["symbol"], t["marker"]["color"]) for t in four["data"]}
    assert len(looks) == 4
    assert "50% at 0" in one["summary"] and len(four["table"]["rows"]) == 8
    assert one["table"]["rows"][0] == ["High similarity, ours", "0", "50.0%", "40.0% to 60.0%", "3"]


def test_what_is_not_new_at_all_is_drawn_at_the_edge_of_the_logarithmic_axis() -> None:
    figure = novelty_dots([Dot("H", "ours", "R10–R12 at 0", 0.0, 1e-12), Dot("H", "paper", "R10–R12 at 1", 0.5, 0.01)])
    assert figure["data"][0]["x"] == [FLOOR] and figure["data"][0]["y"] == [FLOOR]
    low, high = figure["layout"]["xaxis"]["range"]
    assert low <= math.log10(FLOOR) and high >= math.log10(0.5)
    assert "2 cells" in figure["summary"] and len(figure["table"]["rows"]) == 2


def test_without_a_second_seed_the_figure_says_what_is_missing() -> None:
    figure = novelty_dots([])
    assert figure["data"] == [] and "at least two adapters" in figure["layout"]["annotations"][0]["text"]


def ran(program: str, folder: Path) -> tuple[dict[str, Any], str]:
    """What a program leaves and prints when its bundle is this one."""
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(program.replace("assets/savanna", folder.as_posix()), names)
    return names, printed.getvalue()


@pytest.mark.parametrize(
    "change", [{}, {"weight": 1.0, "way": "paper", "regime": "L"}, {"b": "R10", "samples": 1}, {"b": "D03"}]
)
def test_the_python_writes_the_very_rows_of_the_page_and_counts_as_it_does(
    studio: Studio, tiny_bundle: Path, change: dict[str, Any]
) -> None:
    setting = replace(SETTING, **change)
    names, printed = ran(python_of(setting, "assets/savanna"), tiny_bundle)
    written = studio.write(setting)
    assert torch.equal(names["rows"], written)
    expected = []
    for location in setting.chosen:
        images = studio.bundle.world.images(location, "eval", first=4)
        shares = accuracy(studio.bundle.backbone, written, images.pixels, images.labels)
        expected.append(f"{location} {shares.tolist()}")
    assert printed.splitlines() == expected


@pytest.mark.slow
def test_the_python_of_a_picture_of_ones_own_reads_it_from_a_file(
    studio: Studio, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = BytesIO()
    Image.linear_gradient("L").resize((90, 70)).convert("RGB").save(stream, "PNG")
    monkeypatch.chdir(tmp_path)
    Path("your-picture-b.jpg").write_bytes(stream.getvalue())
    setting = replace(SETTING, b=studio.pictures.add("me", studio.upload(stream.getvalue())))
    names, printed = ran(python_of(setting, "assets/savanna"), tiny_bundle)
    assert torch.allclose(names["rows"], studio.write(setting), atol=1e-6)
    assert [line.split()[0] for line in printed.splitlines()] == ["R10"]
    assert command_of(setting).startswith("# The command line blends named locations only")


def test_the_command_lines_are_ones_that_the_program_knows(
    tiny_bundle: Path, tmp_path: Path, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from wildpdiff.cli import app
    from wildpdiff.network.peft_folder import load_peft

    monkeypatch.chdir(tmp_path)
    lines = command_of(SETTING).splitlines()
    assert len(lines) == 2
    for line in lines:
        ended = CliRunner().invoke(app, [*line.split()[1:], "--bundle", str(tiny_bundle)])
        assert ended.exit_code == 0, ended.output
    rows = studio.write(SETTING)
    assert torch.allclose(load_peft(studio.bundle.backbone, tmp_path / "adapters" / "adapter-5"), rows[1], atol=1e-5)
    assert len((tmp_path / "sweep.csv").read_text().splitlines()) == 3
    assert command_of(replace(SETTING, b="R10")).startswith("wildpdiff generate")


def test_the_code_of_a_state_is_shown_with_its_stamp(part: Probe) -> None:
    state = {"a": "R10", "b": "R12", "t": 0.3, "m": "H", "w": "ours", "seed": 4, "n": 2, "steps": 2, "images": 4}
    shown = part.show_code(event(state=state, stamp=9), REQUEST)
    folder = folder_of(part.page.studio.bundle.folder)
    assert shown == {"stamp": 9, "python": python_of(SETTING, folder), "command": command_of(SETTING)}
    assert (
        "picture of your own is not here"
        in part.show_code(event(state=state | {"a": "own"}, stamp=9), REQUEST)["problem"]
    )


def test_no_folder_of_the_server_stands_in_the_code() -> None:
    assert folder_of(Path("/anywhere/wildpdiff/assets/savanna")) == "assets/savanna"
    assert folder_of(Path("/anywhere/mine")) == "mine"


def test_every_listener_of_the_tab_is_private(studio: Studio) -> None:
    with gr.Blocks() as blocks:
        Probe(Page(studio, gr.HTML(), gr.State(""))).build()
    listeners: list[Any] = list(blocks.fns.values())
    assert len(listeners) == 6
    assert {listener.api_visibility for listener in listeners} == {"private"}
