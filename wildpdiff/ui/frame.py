"""What is always on the page: title, presets, the bar, the result; and the way from a wish to its answers."""

from __future__ import annotations

import html
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from ..errors import UserError
from .answer import answer, failure, table
from .chart import panel
from .page import LOG, PRIVATE, RUNS, Page, sentence
from .setting import Result, Setting, Upload
from .stories import presets
from .studio import Studio

LEAD = (
    "Move the slider: a diffusion model writes a wildlife classifier's adapter from two background photos. No training."
)
WISH = """
const connect = () => {
  if (!window.wpd || !window.wpd.connect) { setTimeout(connect, 20); return; }
  window.wpd.connect({
    ask: (state) => { props.value = state; trigger('note'); trigger('ask'); },
    stop: (state) => { props.value = state; trigger('note'); },
    rest: () => trigger('rest'),
  });
};
connect();
"""
ANSWER = "watch('value', () => window.wpd.receive(props.value));"
STORE = """
const open = () => {
  if (!window.wpd || !window.wpd.open_table) { setTimeout(open, 20); return; }
  window.wpd.mount_bar(element, trigger);
  window.wpd.mount_result(element);
  window.wpd.open_table(JSON.parse(props.table));
};
open();
"""
FRAME = """
<div class="frame" data-ready="no">
 <nav class="preset-row" data-part="presets" aria-label="Five stories"><div id="presets"></div></nav>
 <p id="story" aria-live="polite"></p>
 <section id="bar" class="bar" aria-label="Setting" data-busy="no">
  <div class="bar-row">
   <button type="button" class="end" id="bar-a" data-control="a" aria-haspopup="true" aria-expanded="false"><img alt=""><span class="end-side">A</span><span class="end-name"></span><small class="end-kind"></small></button>
   <div class="blend-box">
    <div class="blend-line"><label for="blend">Blend from A to B</label><output id="blend-value" for="blend">0.00</output></div>
    <input type="range" id="blend" data-control="t" min="0" max="1" step="0.1" value="0">
    <small id="blend-hint"></small>
   </div>
   <button type="button" class="end" id="bar-b" data-control="b" aria-haspopup="true" aria-expanded="false"><img alt=""><span class="end-side">B</span><span class="end-name"></span><small class="end-kind"></small></button>
   <button type="button" id="swap" class="quiet" title="Swap A and B (s)" aria-label="Swap A and B">⇄</button>
   <fieldset id="regime" class="segments" data-control="m"><legend>Similarity</legend><div class="choices"></div></fieldset>
   <fieldset id="way" class="segments" data-control="w"><legend>Blending</legend><div class="choices"></div></fieldset>
   <div class="bar-actions">
    <button type="button" id="generate" class="primary">Generate</button>
    <button type="button" id="stop" class="quiet" disabled>Stop</button>
    <button type="button" id="share" class="quiet">Share</button>
   </div>
  </div>
  <div id="strip" hidden><fieldset><legend>Choose location A</legend><div class="places"></div></fieldset>
   <p><button type="button" id="strip-own" class="quiet">A picture of your own …</button> <button type="button" id="strip-close" class="quiet">Close</button></p></div>
  <div class="result" id="result" data-stage="known"><span class="result-badge">opening</span><span class="result-text">The page is being set up …</span>
  <span class="result-said" role="status" aria-live="polite"></span></div>
  <details id="more" data-part="more"><summary>More: seed, adapters, steps, photographs</summary>
   <div class="more-row">
    <label data-part="seed">Seed <input type="number" id="seed" min="0" max="2147483647" step="1" value="0" data-control="seed"><small>the noise that the first adapter starts from</small></label>
    <label>Adapters <input type="number" id="samples" min="1" max="16" step="1" value="1"><small>written at once, each from its own noise</small></label>
    <label>DDIM steps <select id="steps"><option>10</option><option>25</option><option selected>50</option><option>100</option></select><small>from noise to adapter</small></label>
    <label>Photographs <select id="images"><option>15</option><option>32</option><option>64</option><option selected>100</option></select><small>of A and of B that are named</small></label>
    <p id="regime-hint"></p>
   </div>
  </details>
 </section>
</div>
"""  # noqa: E501


@dataclass
class Wishes:
    """When each session last wished for something, in its browser's milliseconds; an older answer then ends at once."""

    newest: dict[str, float] = field(default_factory=dict)

    def note(self, wish: dict[str, Any] | None, request: gr.Request) -> None:
        """Remember a session's newest wish; the oldest of very many sessions are forgotten."""
        session = str(request.session_hash)
        self.newest[session] = max(stamp_of(wish), self.newest.pop(session, 0.0))
        while len(self.newest) > 1000:
            self.newest.pop(next(iter(self.newest)), None)

    def overtaken(self, stamp: float, request: gr.Request) -> bool:
        """Whether the session has since wished for something else; its browser asks again by itself."""
        return self.newest.get(str(request.session_hash), 0.0) > stamp


def stamp_of(wish: dict[str, Any] | None) -> float:
    """When a wish was made, in the browser's milliseconds; 0 if it does not say."""
    stamp = wish.get("stamp") if isinstance(wish, dict) else None
    return float(stamp) if isinstance(stamp, int | float) else 0.0


def wish_panel() -> gr.HTML:
    """The hidden component that carries the page's state to Python."""
    return panel("<div></div>", WISH, value=None, elem_id="wish", visible="hidden")


@dataclass
class Frame:
    """The frame of the page.

    `drawn` makes what other parts show of a written adapter, for the components `drawn_on`.
    """

    page: Page
    drawn_on: list[Any] = field(default_factory=list)
    drawn: Callable[[Setting, Result, Any], list[Any]] = lambda setting, result, trail: []
    trail: gr.State | None = None
    wishes: Wishes = field(default_factory=Wishes)

    def build(self) -> None:
        """Lay out title, presets and bar."""
        studio = self.page.studio
        gr.HTML(header(studio))
        stored = table(studio.bundle, presets(studio.bundle))
        panel(FRAME, STORE, elem_id="frame", table=json.dumps(stored, separators=(",", ":")))
        self.answer = panel("<div></div>", ANSWER, value=None, elem_id="answer", visible="hidden")

    def connect(self, download: gr.DownloadButton) -> None:
        """Answer wishes; call when the other parts stand."""
        wish, uploads, trail = self.page.wish, self.page.uploads, self.trail or gr.State([])
        quick: dict[str, Any] = PRIVATE | {"queue": False, "show_progress": "hidden", "trigger_mode": "multiple"}
        wish.note(self.wishes.note, [wish], None, **quick)
        outputs = [self.answer, *self.drawn_on]
        wish.ask(self.run, [wish, uploads, trail], outputs, trigger_mode="always_last", **RUNS)
        saving: dict[str, Any] = PRIVATE | {"show_progress": "hidden", "concurrency_id": "files"}
        wish.rest(self.offer, [wish, uploads], [download], trigger_mode="always_last", **saving)

    def run(
        self, wish: dict[str, Any], uploads: dict[str, Upload], trail: Any, request: gr.Request
    ) -> Iterator[list[Any]]:
        """Write and measure an adapter, frame by frame, until it is done or the session wants another."""
        stamp, still = stamp_of(wish), [gr.skip()] * len(self.drawn_on)
        try:
            setting, seen = Setting.of(wish, uploads), self.page.studio.bundle.seen
            shown = False
            for index, result in enumerate(
                self.page.studio.results(setting, lambda: not self.wishes.overtaken(stamp, request))
            ):
                if self.wishes.overtaken(stamp, request):
                    return
                # The bars of A and B come first: the other figures cost the browser more than the server.
                draw = not shown and (index > 1 or result.stage == "done")
                drawn, shown = (self.drawn(setting, result, trail), True) if draw else (still, shown)
                yield [answer(result, stamp, seen), *drawn]
        except Exception as error:
            yield [failure(sentence(error), stamp), *still]

    def offer(self, wish: dict[str, Any], uploads: dict[str, Upload]) -> Iterator[Any]:
        """Put the newest adapter behind the button, so that one click fetches it.

        Gradio serves a copy of its own, so the original goes at once.
        """
        folder = Path(tempfile.mkdtemp(prefix="wildpdiff-"))
        try:
            saved = self.page.studio.save(Setting.of(wish, uploads), folder)
            yield gr.DownloadButton(value=str(saved), interactive=True)
        except UserError as error:
            LOG.warning("no file to download: %s", error)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def header(studio: Studio) -> str:
    """Title, one sentence, and what runs here in a few words."""
    texts = [("chip world", "procedural savanna · no real photos"), ("chip", studio.device)]
    texts.append(("chip", f"weights {studio.bundle.manifest['sum'][:7]}"))
    chips = "".join(f'<span class="{kind}">{html.escape(text)}</span>' for kind, text in texts)
    return f"""<div class="top"><h1>Wild-P-Diff</h1><p>{LEAD}</p><div class="chips">{chips}</div></div>"""
