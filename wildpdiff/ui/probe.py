"""The tab Probe: sweeps with their cost first, a table, figures, files, two pinned runs, and the code of the state."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from ..errors import UserError
from ..studio.probe import (
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
from ..studio.sessions import Newest, stamp_of
from ..studio.snippet import command_of, folder_of, python_of
from ..sweep import Cell, Gathered, Sweep, run
from ..sweep.record import FORMATS
from ..sweep.written import save
from .chart import Chart, panel
from .page import PRIVATE, Page, sent, sentence, session_of, title

#: One sweep at a time for all visitors, beside the two places that the page's own answers share.
SWEEPS: dict[str, Any] = PRIVATE | {"show_progress": "hidden", "concurrency_id": "sweep", "concurrency_limit": 1}
QUICK: dict[str, Any] = PRIVATE | {"show_progress": "hidden", "concurrency_id": "probe", "concurrency_limit": 4}
#: Seconds between two frames of progress and, at least, between two of the table and the figures.
TICK, FRAME = 0.4, 1.2

#: All of a run's outputs after the form, left as they are.
_NOTHING = [gr.skip()] * 9
FIRST = {"columns": [], "rows": [], "images": 0, "steps": 0, "notes": []}


@dataclass
class Probe:
    """The tab for questions of many adapters at once."""

    page: Page
    runs: Newest = field(default_factory=Newest)

    def build(self) -> None:
        """Lay out the tab and connect it; call inside it."""
        with gr.Column(elem_classes="card", elem_id="probe"):
            title(
                "Sweep",
                "Write and measure many adapters: every combination of what is chosen here. Accuracy is counted on "
                "photographs that nothing was trained on.",
            )
            self.builder = self._builder()
        with gr.Column(elem_classes="card", elem_id="probe-found"):
            title(
                "What the sweep found",
                "One row an adapter: click a heading to sort, a row to put it into the bar. Novelty and diversity are "
                "drawn by pair and weight, after the paper's Figure 5.",
            )
            with gr.Row(elem_id="probe-figures", visible=False) as self.figures:
                with gr.Column(min_width=290):
                    self.curve = Chart(curves_of([]), elem_id="probe-curve")
                with gr.Column(min_width=290):
                    self.dots = Chart(dots_of([]), elem_id="probe-dots")
            self.results = panel("probe_results", FIRST, elem_id="probe-results")
            with gr.Row(elem_id="probe-files"):
                self.files = [self._file(form) for form in FORMATS]
        with gr.Column(elem_classes="card", elem_id="probe-compare"):
            title("Compare two runs", "Accuracy at the weaker location, run against run, on the same axes.")
            self.pinboard = panel(
                "probe_pins", _pin_value([]), elem_id="probe-pins", events=("pin", "unpin"), ready=False
            )
            with gr.Row():
                self.sides = [self._side(place) for place in range(2)]
        with gr.Column(elem_classes="card", elem_id="probe-code"):
            title(
                "Show code",
                "The present state of the bar as a program: the same seed gives the same adapter.",
            )
            self.code = panel("probe_code", elem_id="probe-code-panel", events=("code",))
        self.latest, self.pins = gr.State(None), gr.State([])
        self._connect()

    def _builder(self) -> gr.HTML:
        bundle = self.page.studio.bundle
        seen, unseen = bundle.seen, bundle.unseen
        places = [{"name": name, "index": index, "seen": name in seen} for index, name in enumerate((*seen, *unseen))]
        return panel(
            "probe_builder",
            elem_id="probe-builder",
            events=("price", "begin", "halt"),
            places=places,
            regimes=list(bundle.regimes),
            ways=list(bundle.ways),
            price=None,
            progress=None,
        )

    def _file(self, form: str) -> gr.DownloadButton:
        name = form[1:].upper()
        what = {"CSV": "one line an adapter", "JSON": "with cells and notes", "NPZ": "with the weights"}[name]
        return gr.DownloadButton(f"{name}, {what}", interactive=False, size="sm", elem_id=f"probe-{form[1:]}", scale=0)

    def _side(self, place: int) -> tuple[Chart, gr.Column]:
        with gr.Column(min_width=290, visible=False, elem_classes="probe-side") as column:
            chart = Chart(curves_of([]), elem_id=f"probe-side-{place}")
        return chart, column

    def _connect(self) -> None:
        found = [
            self.builder,
            self.results,
            self.figures,
            self.curve,
            self.dots,
            *self.files,
            self.latest,
            self.pinboard,
        ]
        self.builder.price(self.price, None, [self.builder], trigger_mode="multiple", **QUICK)
        self.builder.begin(self.run, None, found, **SWEEPS)
        self.builder.halt(self.halt, None, None, queue=False, **PRIVATE)
        sides = [part for side in self.sides for part in side]
        self.pinboard.pin(self.pin, [self.latest, self.pins], [self.pins, self.pinboard, *sides], **QUICK)
        self.pinboard.unpin(self.unpin, [self.pins], [self.pins, self.pinboard, *sides], **QUICK)
        self.code.code(self.show_code, None, [self.code], trigger_mode="multiple", **QUICK)

    def price(self, event: gr.EventData) -> Any:
        """What the sweep in the form costs, or what is wrong with it."""
        data = sent(event)
        try:
            sweep, studio = Sweep.of(data.get("sweep") or {}), self.page.studio
            words = price_words(sweep, sweep.cost(studio.bundle, drawn=True), studio.device)
            return gr.update(price={"text": words, "ok": True, "stamp": stamp_of(data), "command": sweep.command})
        except Exception as error:
            return gr.update(price={"text": sentence(error), "ok": False, "stamp": stamp_of(data)})

    def halt(self, request: gr.Request) -> None:
        """End the session's run after the present adapter; what is there stays."""
        self.runs.begin(session_of(request))

    def run(self, event: gr.EventData, request: gr.Request) -> Iterator[list[Any]]:
        """Run a sweep, frame by frame, and put its files behind the buttons."""
        session = session_of(request)
        number = self.runs.begin(session)
        folder = Path(tempfile.mkdtemp(prefix="wildpdiff-"))
        try:
            data = sent(event)
            sweep = Sweep.of(data.get("sweep") or {})
            yield self._frame(sweep, Gathered(), "preparing", "Opening the generator and the photographs \u2026")
            yield from self._frames(sweep, session, number, folder)
        except Exception as error:
            yield [gr.update(progress={"state": "failed", "text": sentence(error)}), *_NOTHING]
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _frames(self, sweep: Sweep, session: str, number: float, folder: Path) -> Iterator[list[Any]]:
        studio, gathered, began = self.page.studio, Gathered(), time.monotonic()
        told = drawn = 0.0
        shown, problem = 0, ""
        try:
            for made in run(studio.bundle, sweep, lambda: not self.runs.over(session, number), studio.images):
                gathered.add(made)
                now, count = time.monotonic(), len(gathered.records)
                fresh = now - drawn > FRAME and count - shown > shown // 20
                if fresh or now - told > TICK:
                    left = (now - began) / count * (sweep.size - count)
                    text = f"{count:,} of {sweep.size:,} adapters, {seconds_words(left)} left"
                    yield self._frame(sweep, gathered, "running", text, data=fresh)
                    told = time.monotonic()
                    drawn, shown = (told, count) if fresh else (drawn, shown)
        except UserError as error:
            problem = str(error)
        yield self._last(sweep, gathered, time.monotonic() - began, folder, problem)

    def _frame(self, sweep: Sweep, gathered: Gathered, state: str, text: str, *, data: bool = False) -> list[Any]:
        """Progress, and with `data` the table and the figures so far."""
        progress = {"state": state, "text": text, "done": len(gathered.records), "total": sweep.size}
        if not data:
            return [gr.update(progress=progress), *_NOTHING]
        cells, table = gathered.cells, table_of(sweep, gathered.records)
        off = [gr.update(interactive=False)] * len(self.files)
        return [gr.update(progress=progress), table, *_figures(cells), *off, None, gr.update(ready=False)]

    def _last(self, sweep: Sweep, gathered: Gathered, seconds: float, folder: Path, problem: str) -> list[Any]:
        """All that was found, with its files."""
        count = len(gathered.records)
        state, text = _ended(count, sweep.size, seconds, problem)
        progress = {"state": state, "text": text, "done": count, "total": sweep.size}
        if not count:
            return [gr.update(progress=progress), *_NOTHING]
        bundle, cells = self.page.studio.bundle, gathered.cells
        table = table_of(sweep, gathered.records, notes_of(bundle, sweep, gathered.records))
        buttons = []
        for form in FORMATS:
            path = folder / f"sweep-{count}-adapters{form}"
            save(path, bundle, sweep, gathered)
            buttons.append(gr.DownloadButton(value=str(path), interactive=True))
        latest = Run(sweep, tuple(cells), count)
        figures = _figures(cells, stage="done")
        return [gr.update(progress=progress), table, *figures, *buttons, latest, gr.update(ready=True)]

    def pin(self, latest: Run | None, pins: list[Run]) -> list[Any]:
        """Keep the latest run; a third one replaces the oldest."""
        return self._pinned(pinned(pins, latest) if latest else pins)

    def unpin(self, pins: list[Run], event: gr.EventData) -> list[Any]:
        """Let a pinned run go."""
        data = sent(event)
        return self._pinned([pin for place, pin in enumerate(pins) if place != data.get("place")])

    def _pinned(self, pins: list[Run]) -> list[Any]:
        charts: list[Any] = []
        for place in range(len(self.sides)):
            here = place < len(pins)
            charts += [curves_of(pins[place].cells) if here else gr.skip(), gr.update(visible=here)]
        return [pins, _pin_value(pins), *charts]

    def show_code(self, event: gr.EventData, request: gr.Request) -> dict[str, Any]:
        """The present state as code."""
        data = sent(event)
        stamp = {"stamp": stamp_of(data)}
        try:
            setting = self.page.setting(data.get("state") or {}, request)
            folder = folder_of(self.page.studio.bundle.folder)
            return stamp | {"python": python_of(setting, folder), "command": command_of(setting)}
        except Exception as error:
            return stamp | {"problem": sentence(error)}


def _figures(cells: list[Cell], *, stage: str = "yes") -> list[Any]:
    """The row of figures, shown, and its two."""
    return [gr.update(visible=True), curves_of(cells, stage=stage), dots_of(cells, stage=stage)]


def _ended(count: int, total: int, seconds: float, problem: str) -> tuple[str, str]:
    """How a run ended, as a state and in words."""
    kept = f" What was measured before, {count:,} of {total:,} adapters, stays." if count else ""
    if problem:
        return "failed", problem + kept
    if count == total:
        return "done", f"Done: {count:,} adapter{'' if count == 1 else 's'} in {seconds_words(seconds)}."
    return "stopped", f"Stopped after {count:,} of {total:,} adapters; these stay." if count else "Stopped."


def _pin_value(pins: list[Run]) -> dict[str, Any]:
    """The pinned runs for the browser."""
    return {"runs": [f"{pin.name} ({pin.adapters:,} adapters)" for pin in pins], "text": compared(pins)}
