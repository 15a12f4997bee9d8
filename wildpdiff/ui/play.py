"""The page's main tab: two locations, a slider between them, and what the adapter that is written can do."""

from __future__ import annotations

import base64
import binascii
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from ..errors import UserError
from ..picture import MAX_BYTES
from . import words
from .chart import Chart, LocationPicker, ResultLine
from .studio import MAX_SAMPLES, Result, Setting, Studio, Upload

MODEL = "model"
"""One queue for all that runs the networks."""
TRAIL = 12
WRONG = "Something went wrong here and was noted; try again, or reload the page."
LOG = logging.getLogger(__name__)


@dataclass
class Wishes:
    """The newest slider value of each session, so that a running answer to an older one ends at once."""

    newest: dict[str, float] = field(default_factory=dict)

    def note(self, weight: float, request: gr.Request) -> None:
        """Remember a session's newest value; the oldest of very many sessions are forgotten."""
        self.newest.pop(str(request.session_hash), None)
        self.newest[str(request.session_hash)] = weight
        while len(self.newest) > 1000:
            self.newest.pop(next(iter(self.newest)), None)

    def overtaken(self, weight: float, request: gr.Request) -> Callable[[], bool]:
        """A question: did the session wish for another weight since now?"""
        session = str(request.session_hash)
        before = self.newest.get(session)
        return lambda: self.newest.get(session) not in (before, weight)


@dataclass
class Play:
    """The tab's components and what they do; `studio` waits until the bundle is open."""

    studio: Callable[[], Studio]
    wishes: Wishes = field(default_factory=Wishes)

    def build(self) -> None:
        """Lay out the tab and connect it; call inside `gr.Blocks`."""
        self.uploads, self.trail = gr.State(dict), gr.State(list)
        self._lay_controls()
        self.result = ResultLine(elem_id="result")
        self._lay_charts()
        self._connect()

    def listen_to_load(self, blocks: gr.Blocks, chips: gr.HTML) -> None:
        """Fill the page when it opens."""
        outputs = [self.a, self.b, *self.shown, chips]
        blocks.load(self.first, None, outputs, show_progress="hidden", api_visibility="private")

    def _lay_controls(self) -> None:
        with gr.Row(elem_id="controls", elem_classes="card"):
            with gr.Column(min_width=280):
                self.a = LocationPicker(elem_id="location-a", side="A", places=[], own=None, problem="", most=MAX_BYTES)
            with gr.Column(min_width=280, elem_id="blend-column"):
                self.weight = gr.Slider(
                    0, 1, 0.0, step=0.05, label="Blend from A to B", elem_id="blend", buttons=[],
                    info="0 is location A, 1 is location B. Each move has a new adapter written.",
                )  # fmt: skip
                self.generate = gr.Button("Generate", variant="primary", elem_id="generate")
                self.download = gr.DownloadButton("Download adapter (PEFT)", interactive=False, elem_id="download")
                with gr.Accordion("More", open=False, elem_id="more"):
                    self.seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=2**31 - 1)
                    self.samples = gr.Slider(1, MAX_SAMPLES, 1, step=1, label="Adapters", buttons=[])
                    self.steps = gr.Radio([10, 25, 50, 100], value=50, label="DDIM steps")
            with gr.Column(min_width=280):
                self.b = LocationPicker(elem_id="location-b", side="B", places=[], own=None, problem="", most=MAX_BYTES)

    def _lay_charts(self) -> None:
        with gr.Column(elem_classes="card"):
            _title("Accuracy by location", "Share of photographs that the adapter names correctly. Whiskers: 95% Wilson interval.")
            self.bars = Chart(elem_id="bars")
        with gr.Row():
            with gr.Column(min_width=300, elem_classes="card"):
                _title("Where the weights land", "UMAP of fine-tuned rows; the star is the generated one (approximate), dots lead from earlier ones.")
                self.map = Chart(elem_id="map")
            with gr.Column(min_width=300, elem_classes="card"):
                _title("How alike the weights are", "Cosine similarity of the locations' mean rows and the new one; mind the scale.")
                self.heat = Chart(elem_id="heat")

    @property
    def shown(self) -> list[Any]:
        """Outputs of every frame, in order."""
        return [self.result, self.bars, self.map, self.heat, self.trail, self.download]

    def _connect(self) -> None:
        setting = [self.a, self.b, self.weight, self.seed, self.samples, self.steps, self.uploads, self.trail]
        triggers = [self.weight.change, self.a.change, self.b.change, self.generate.click]
        triggers += [self.seed.change, self.samples.change, self.steps.change]
        run = {"show_progress": "hidden", "concurrency_id": MODEL, "concurrency_limit": 2, "api_visibility": "private"}
        gr.on(triggers, self.run, setting, self.shown, trigger_mode="always_last", **run)
        quick = {"show_progress": "hidden", "queue": False, "api_visibility": "private", "trigger_mode": "multiple"}
        self.weight.change(self.wishes.note, [self.weight], None, **quick)
        for side, picker in (("a", self.a), ("b", self.b)):
            picker.upload(_uploader(self, side), [self.uploads], [picker, self.uploads], **run)

    def first(self) -> list[Any]:
        """The first view: everything that is known beforehand."""
        studio = self.studio()
        a, b = studio.locations[0], studio.locations[min(1, len(studio.locations) - 1)]
        result, choices = studio.first(Setting(a, b)), words.places(studio)
        pickers = [gr.update(value=name, places=choices) for name in (a, b)]
        return [*pickers, *self._frame(studio, result, []), gr.skip(), gr.skip(), chips(studio)]

    def run(
        self, a: str, b: str, weight: float, seed: float, samples: float, steps: float,
        uploads: dict[str, Upload], trail: list[tuple[float, float]], request: gr.Request,
    ) -> Iterator[list[Any]]:  # fmt: skip
        """Write and measure an adapter, frame by frame, until it is done or the session wants another."""
        overtaken, result = self.wishes.overtaken(weight, request), None
        try:
            own = {side: uploads.get(side) if name == words.OWN else None for side, name in (("a", a), ("b", b))}
            numbers = (float(weight), int(seed or 0), int(samples), int(steps))
            setting, studio = Setting(a, b, *numbers, own["a"], own["b"]), self.studio()
            for result in studio.results(setting):
                if overtaken():
                    return
                yield [*self._frame(studio, result, trail), gr.skip(), gr.skip()]
            if result and not overtaken():
                yield from self._finish(studio, result, trail)
        except UserError as error:
            yield _failed(str(error))
        except Exception:
            LOG.exception("a setting could not be answered")
            yield _failed(WRONG)

    def upload(self, side: str, uploads: dict[str, Upload], event: gr.EventData) -> list[Any]:
        """Read a user's background; a bad one changes nothing but the sentence under the picker."""
        try:
            upload = self.studio().upload(_bytes(event._data))
        except UserError as error:
            return [gr.update(problem=str(error)), gr.skip()]
        except Exception:
            LOG.exception("a picture could not be read")
            return [gr.update(problem=WRONG), gr.skip()]
        return [gr.update(own=words.own_place(upload), problem=""), uploads | {side: upload}]

    def _frame(self, studio: Studio, result: Result, trail: list[tuple[float, float]]) -> list[Any]:
        known = studio.known
        placed = result.stage in ("known", "written")
        figures = [words.map_figure(known, result, trail), words.heat_figure(known, result)] if placed else [gr.skip()] * 2
        return [words.sentence(studio, result), words.bars_figure(result), *figures]

    def _finish(self, studio: Studio, result: Result, trail: list[tuple[float, float]]) -> Iterator[list[Any]]:
        """Offer the adapter as a file; Gradio serves its own copy, so the original goes at once."""
        folder = Path(tempfile.mkdtemp(prefix="wildpdiff-"))
        try:
            button = gr.DownloadButton(value=str(studio.save(result, folder)), interactive=True)
            yield [gr.skip(), gr.skip(), gr.skip(), gr.skip(), [*trail, *result.points[:1]][-TRAIL:], button]
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def chips(studio: Studio) -> str:
    """What runs here, in three words each."""
    texts = (("chip", studio.device), ("chip", f"regime {studio.bundle.regime}"), ("chip world", "procedural savanna, no real photos"))
    return '<div class="chips">' + "".join(f'<span class="{kind}">{text}</span>' for kind, text in texts) + "</div>"


def _uploader(play: Play, side: str) -> Callable[..., Any]:
    def upload(uploads: dict[str, Upload], event: gr.EventData) -> list[Any]:
        return play.upload(side, uploads, event)

    return upload


def _bytes(data: Any) -> bytes:
    """The file that a browser sent.

    Raises:
        UserError: if it is too large or did not arrive whole.
    """
    if int(data.get("size", 0)) > MAX_BYTES:
        raise UserError(f"The picture is larger than {MAX_BYTES // 1_000_000} MB; save it smaller or as JPEG.")
    try:
        return base64.b64decode(str(data.get("data", "")), validate=True)
    except (binascii.Error, ValueError):
        raise UserError("The picture did not arrive whole; send it again.") from None


def _failed(text: str) -> list[Any]:
    return [words.problem(text), *[gr.skip()] * 5]


def _title(title: str, hint: str) -> None:
    gr.HTML(f'<h2 class="panel-title">{title}</h2><p class="panel-hint">{hint}</p>')
