"""What is always on the page: title, presets, the bar, the result; and the way from a wish to its answers."""

from __future__ import annotations

import html
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from ..errors import UserError
from ..plots.common import Figure
from ..studio.download import download
from ..studio.learn.stories import presets
from ..studio.results import answer, failure, table
from ..studio.sessions import stamp_of
from ..studio.setting import Result, Setting
from ..studio.studio import Studio
from .chart import CARRIER, as_text, panel
from .page import LOG, PRIVATE, RUNS, Page, sentence, session_of
from .queueing import left, queue_of

LEAD = (
    "Move the slider: a diffusion model writes a wildlife classifier's adapter from two background photos. No training."
)
#: Seconds between two frames of the same answer, but for the first and the last: a browser on the same two cores needs
#: about a third of them to draw one.
SPACING = 0.25
#: Seconds that writing may take before the page hears of it by itself.
PATIENCE = 0.5


def wish_panel() -> gr.HTML:
    """The hidden component that carries the page's state to Python."""
    return panel("wish", html=CARRIER, elem_id="wish", events=("note", "ask", "offer", "wait"), visible="hidden")


@dataclass
class Frame:
    """The frame of the page.

    `drawn` makes the figures by which other parts show a written adapter, by the chart's name, and keeps what they
    need of it in the session's `trail`.
    """

    page: Page
    drawn: Callable[[Setting, Result, Any], dict[str, Figure]] = lambda setting, result, trail: {}
    trail: gr.State | None = None

    def build(self) -> None:
        """Lay out title, presets and bar."""
        studio = self.page.studio
        gr.HTML(header(studio))
        stored = table(studio.bundle, presets(studio.bundle))
        panel("frame", elem_id="frame", table=as_text(stored))
        self.answer = panel("answer", html=CARRIER, elem_id="answer", visible="hidden")
        self.waiting = panel("waiting", html=CARRIER, elem_id="waiting", visible="hidden")
        self.figures = panel("figures", html=CARRIER, elem_id="figures", visible="hidden")

    def connect(self, download: gr.DownloadButton) -> None:
        """Answer wishes; call when the other parts stand."""
        wish, trail = self.page.wish, self.trail or gr.State([])
        quick: dict[str, Any] = PRIVATE | {"queue": False, "show_progress": "hidden", "trigger_mode": "multiple"}
        wish.note(self.note, [wish], None, **quick)
        wish.wait(self.turn, None, [self.waiting], **quick)
        # Few outputs, of text: Gradio's page copies all that an event touches at every frame.
        outputs = [self.answer, self.figures, trail]
        wish.ask(self.run, [wish, trail], outputs, trigger_mode="always_last", **RUNS)
        saving: dict[str, Any] = PRIVATE | {"show_progress": "hidden", "concurrency_id": "files"}
        wish.offer(self.offer, [wish], [download], trigger_mode="always_last", **saving)

    def note(self, wish: dict[str, Any] | None, request: gr.Request) -> None:
        """Remember a session's newest wish: answers to older ones end at once."""
        self.page.wishes.begin(session_of(request), stamp_of(wish))

    def turn(self, event: gr.EventData, request: gr.Request) -> str:
        """How long the live answer that a session asked for will wait, as far as the queue can tell."""
        queue = queue_of(request)
        found = queue.turn(session_of(request), "ask") if queue else None
        told = {"running": found.running, "ahead": found.ahead, "seconds": round(found.seconds)} if found else {}
        return as_text({"stamp": stamp_of(event._data), "known": found is not None} | told)

    def run(self, wish: dict[str, Any], trail: Any, request: gr.Request) -> Iterator[tuple[Any, Any, Any]]:
        """Write and measure an adapter, frame by frame, until it is done or the session wants another."""
        stamp, still = stamp_of(wish), (gr.skip(), gr.skip())
        self.note(wish, request)

        def overtaken() -> bool:
            return self.page.wishes.over(session_of(request), stamp) or left(request)

        try:
            setting, seen = self.page.setting(wish, request), self.page.studio.bundle.seen
            shown, last = False, 0.0
            for index, result in enumerate(self.page.studio.results(setting, lambda: not overtaken())):
                if overtaken():
                    return
                # The bars of A and B come first: the other figures cost the browser more than the server.
                draw = not shown and (index > 1 or result.stage == "done")
                if not (draw or _worth_a_frame(index, result, last)):
                    continue
                drawn, shown = ((as_text(self.drawn(setting, result, trail)), trail), True) if draw else (still, shown)
                last = result.seconds
                yield as_text(answer(result, stamp, seen)), *drawn
        except Exception as error:
            yield as_text(failure(sentence(error), stamp)), *still

    def offer(self, wish: dict[str, Any], request: gr.Request) -> Iterator[Any]:
        """Put the newest adapter behind the button, so that one click fetches it.

        Gradio serves a copy of its own, so the original goes at once.
        """
        folder = Path(tempfile.mkdtemp(prefix="wildpdiff-"))
        try:
            setting = self.page.setting(wish, request)
            saved = download(self.page.studio, setting, folder)
            yield gr.DownloadButton(f"Download {self._words(setting)} (PEFT)", value=str(saved), interactive=True)
        except UserError as error:
            LOG.warning("no file to download: %s", error)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _words(self, setting: Setting) -> str:
        """A setting in as few words as tell one file from another."""
        a, b = self.page.studio.names(setting)
        return a if setting.a == setting.b else f"{a} → {b}, {setting.weight:.2f}"


def _worth_a_frame(index: int, result: Result, last: float) -> bool:
    """Whether to show frame `index` of an answer, the last one having been shown `last` seconds from its start."""
    if index == 0:
        return result.seconds > PATIENCE
    return index == 1 or result.stage == "done" or result.seconds - last > SPACING


def header(studio: Studio) -> str:
    """Title, one sentence, and what runs here in a few words."""
    world = studio.bundle.world
    texts = [("chip world", world.about.partition(",")[0]), ("chip", studio.device)]
    texts.append(("chip", f"weights {studio.bundle.manifest['sum'][:7]}"))
    told = html.escape(f"{world.about} {world.caution}")
    chips = "".join(f'<span class="{kind}" title="{told}">{html.escape(text)}</span>' for kind, text in texts)
    return f"""<div class="top"><h1>Wild-P-Diff</h1><p>{LEAD}</p><div class="chips">{chips}</div></div>"""
