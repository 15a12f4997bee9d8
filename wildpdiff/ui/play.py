"""The page's main tab: two locations, a slider between them, and what the adapter that is written can do."""

from __future__ import annotations

import base64
import binascii
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from ..errors import UserError
from ..picture import MAX_BYTES
from . import words
from .chart import Chart, LocationPicker, ResultLine
from .setting import Result, Setting, Upload
from .studio import MAX_SAMPLES, Studio

PRIVATE: dict[str, Any] = {"api_visibility": "private"}
MODEL = "model"
"""One queue for all that runs the networks."""
STAMPED = "(...inputs) => [...inputs.slice(0, -1), Date.now()]"
"""Puts the browser's clock into the last input."""
TRAIL = 12
REST = 1.0
"""Seconds without a newer value after which the adapter is written to a file."""
WRONG = "Something went wrong here and was noted; try again, or reload the page."
LEAD = (
    "Move the slider: a diffusion model writes a wildlife classifier's adapter from two background photos. No training."
)
LOG = logging.getLogger(__name__)


@dataclass
class Wishes:
    """The newest slider value of each session and when its browser set it (milliseconds), so that a running answer to
    an older one ends at once."""

    newest: dict[str, tuple[float, float]] = field(default_factory=dict)

    def note(self, weight: float, stamp: float, request: gr.Request) -> None:
        """Remember a session's newest value; the oldest of very many sessions are forgotten."""
        session = str(request.session_hash)
        if stamp >= self.newest.pop(session, (0.0, 0.0))[1]:
            self.newest[session] = (weight, stamp)
        while len(self.newest) > 1000:
            self.newest.pop(next(iter(self.newest)), None)

    def overtaken(self, weight: float, stamp: float, request: gr.Request) -> bool:
        """Whether the session has since wished for another weight; if so, its browser asks again by itself."""
        newest, when = self.newest.get(str(request.session_hash), (weight, 0.0))
        return when > stamp and newest != weight


@dataclass
class Play:
    """The tab's components and what they do; `studio` waits until the bundle is open."""

    studio: Callable[[], Studio]
    wishes: Wishes = field(default_factory=Wishes)

    def build(self) -> None:
        """Lay out the tab and connect it; call inside `gr.Blocks`."""
        self.uploads, self.trail = gr.State({}), gr.State([])
        self.stamp = gr.Number(0, visible="hidden")
        self._lay_controls()
        self._lay_charts()
        self._connect()

    def listen_to_load(self, blocks: gr.Blocks, header: gr.HTML) -> None:
        """Fill the page when it opens."""
        outputs = [self.a, self.b, *self.shown, header]
        blocks.load(self.first, None, outputs, show_progress="hidden", api_visibility="private")

    def _lay_controls(self) -> None:
        with gr.Row(elem_id="controls", elem_classes="card"):
            with gr.Column(min_width=160, scale=3, elem_id="column-a"):
                self.a = LocationPicker(elem_id="location-a", side="A", places=[], own=None, problem="", most=MAX_BYTES)
            with gr.Column(min_width=280, scale=4, elem_id="blend-column"):
                self.weight = gr.Slider(
                    0, 1, 0.0, step=0.05, label="Blend from A to B", elem_id="blend", buttons=[],
                    info="0 is A, 1 is B; every move writes a new adapter.",
                )  # fmt: skip
                self.result = ResultLine(words.waiting(), elem_id="result")
                with gr.Row(elem_id="actions"):
                    self.generate = gr.Button("Generate", variant="primary", elem_id="generate", min_width=110)
                    self.download = gr.DownloadButton("Download", interactive=False, elem_id="download", min_width=110)
                with gr.Accordion("More", open=False, elem_id="more"):
                    self.seed = gr.Number(0, label="Seed", elem_id="seed", precision=0, minimum=0, maximum=2**31 - 1)
                    self.samples = gr.Slider(1, MAX_SAMPLES, 1, step=1, label="Adapters", buttons=[])
                    self.steps = gr.Radio([10, 25, 50, 100], value=50, label="DDIM steps")
            with gr.Column(min_width=160, scale=3, elem_id="column-b"):
                self.b = LocationPicker(elem_id="location-b", side="B", places=[], own=None, problem="", most=MAX_BYTES)

    def _lay_charts(self) -> None:
        with gr.Column(elem_classes="card"):
            _title(
                "Accuracy by location",
                "Share of photographs that the adapter names correctly. Whiskers: 95% Wilson interval.",
            )
            self.bars = Chart(elem_id="bars")
        with gr.Row():
            with gr.Column(min_width=300, elem_classes="card"):
                _title(
                    "Where the weights land",
                    "UMAP of fine-tuned rows; the star is the generated one, its place approximate.",
                )
                self.map = Chart(elem_id="map")
            with gr.Column(min_width=300, elem_classes="card"):
                _title(
                    "How alike the weights are",
                    "Cosine similarity of the locations' mean rows and the new one; mind the scale.",
                )
                self.heat = Chart(elem_id="heat")

    @property
    def shown(self) -> list[Any]:
        """Outputs of every frame, in order."""
        return [self.result, self.bars, self.map, self.heat, self.trail, self.download]

    def _connect(self) -> None:
        setting = [
            self.a,
            self.b,
            self.weight,
            self.seed,
            self.samples,
            self.steps,
            self.uploads,
            self.trail,
            self.stamp,
        ]
        triggers = [self.weight.change, self.a.select, self.b.select, self.generate.click]
        triggers += [self.seed.change, self.samples.change, self.steps.change]
        run: dict[str, Any] = {
            "show_progress": "hidden",
            "concurrency_id": MODEL,
            "concurrency_limit": 2,
            "api_visibility": "private",
        }
        ran = gr.on(triggers, self.run, setting, self.shown, js=STAMPED, trigger_mode="always_last", **run)
        ran.then(self.offer, setting, [self.download], show_progress="hidden", concurrency_id="files", **PRIVATE)
        quick: dict[str, Any] = {
            "show_progress": "hidden",
            "queue": False,
            "api_visibility": "private",
            "trigger_mode": "multiple",
        }
        self.weight.change(self.wishes.note, [self.weight, self.stamp], None, js=STAMPED, **quick)
        for side, picker in (("a", self.a), ("b", self.b)):
            picker.upload(_uploader(self, side), [self.uploads], [picker, self.uploads], **run)

    def first(self) -> list[Any]:
        """The first view: everything that is known beforehand."""
        studio = self.studio()
        a, b = studio.locations[0], studio.locations[min(1, len(studio.locations) - 1)]
        result, choices = studio.first(Setting(a, b)), words.places(studio)
        pickers = [gr.update(value=name, places=choices) for name in (a, b)]
        return [*pickers, *self._frame(studio, result, []), gr.skip(), gr.skip(), header(studio)]

    def run(
        self, a: str, b: str, weight: float, seed: float, samples: float, steps: float,
        uploads: dict[str, Upload], trail: list[tuple[float, float]], stamp: float, request: gr.Request,
    ) -> Iterator[list[Any]]:  # fmt: skip
        """Write and measure an adapter, frame by frame, until it is done or the session wants another."""
        try:
            studio = self.studio()
            setting = _setting(a, b, weight, seed, samples, steps, uploads)
            for result in studio.results(setting, lambda: not self.wishes.overtaken(weight, stamp, request)):
                if self.wishes.overtaken(weight, stamp, request):
                    return
                grown = [*trail, *result.points[:1]][-TRAIL:] if result.stage == "done" else gr.skip()
                yield [*self._frame(studio, result, trail), grown, gr.DownloadButton(interactive=False)]
        except UserError as error:
            yield _failed(str(error))
        except Exception:
            LOG.exception("a setting could not be answered")
            yield _failed(WRONG)

    def offer(
        self,
        a: str,
        b: str,
        weight: float,
        seed: float,
        samples: float,
        steps: float,
        uploads: dict[str, Upload],
        trail: list[tuple[float, float]],
        stamp: float,
        request: gr.Request,
    ) -> Iterator[Any]:
        """Put the newest adapter behind the button, so that one click fetches it.

        It waits until the slider rests, since writing the file would slow the next answer down. Gradio serves a copy of
        its own, so the original goes at once.
        """
        time.sleep(REST)
        if self.wishes.overtaken(weight, stamp, request):
            return
        folder = Path(tempfile.mkdtemp(prefix="wildpdiff-"))
        try:
            saved = self.studio().save(_setting(a, b, weight, seed, samples, steps, uploads), folder)
            yield gr.DownloadButton(value=str(saved), interactive=True)
        except UserError as error:
            LOG.warning("no file to download: %s", error)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

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
        figures = (
            [words.map_figure(known, result, trail), words.heat_figure(known, result)] if placed else [gr.skip()] * 2
        )
        bars = gr.skip() if result.stage == "written" else words.bars_figure(result)
        return [words.sentence(studio, result), bars, *figures]


def header(studio: Studio | None = None) -> str:
    """Title, one sentence, and what runs here in a few words."""
    texts = [("chip world", "procedural savanna · no real photos")]
    if studio:
        texts += [("chip", studio.device), ("chip", f"regime {studio.bundle.regime}")]
    chips = "".join(f'<span class="{kind}">{text}</span>' for kind, text in texts)
    return f"""<div class="top"><h1>Wild-P-Diff</h1><p>{LEAD}</p><div class="chips">{chips}</div></div>"""


def _setting(
    a: str, b: str, weight: float, seed: float, samples: float, steps: float, uploads: dict[str, Upload]
) -> Setting:
    """The page's values as a setting."""
    own = {side: uploads.get(side) if name == words.OWN else None for side, name in (("a", a), ("b", b))}
    return Setting(a, b, float(weight), int(seed or 0), int(samples), int(steps), own["a"], own["b"])


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
