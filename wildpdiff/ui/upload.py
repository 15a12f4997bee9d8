"""A visitor's own condition, a picture or words: how it is brought, looked at, used and forgotten."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ..errors import UserError
from ..picture import MAX_BYTES
from ..studio.api.requests import from_base64
from ..studio.description import LONGEST
from ..studio.ood import findings, reading_skill, scale
from ..studio.pictures import Upload
from ..studio.upload import NOISE, Strangers
from .chart import panel
from .page import PRIVATE, RUNS, Page, sentence, session_of

Json = dict[str, Any]
QUICK: dict[str, Any] = PRIVATE | {"show_progress": "hidden"}

PICTURE = """
<div class="stranger-drop"><img class="stranger-view" alt="">
 <p class="stranger-hint"><b>Drop a picture here</b> or paste one with Ctrl+V</p></div>
<div class="stranger-buttons">
 <label class="stranger-file"><input type="file" accept="image/jpeg,image/png,image/webp"
 aria-describedby="stranger-rule"><span>Choose a picture</span></label>
 <label class="stranger-file is-camera"><input type="file" accept="image/*" capture="environment"
 aria-describedby="stranger-rule"><span>Take a photograph</span></label>
</div>
<p class="stranger-problem" role="alert"></p>
<p class="stranger-rule" id="stranger-rule">JPEG, PNG or WebP; a large photograph is made smaller before it is
sent. Only the pixels of the middle square are looked at, in memory; nothing is stored.</p>
<ul class="stranger-notes"></ul>
<div class="stranger-examples"><span>None at hand?</span></div>
"""
WORDS = """
<label class="stranger-label" for="stranger-text">The empty place in your words</label>
<textarea id="stranger-text" class="stranger-text" rows="6" maxlength="400"
 aria-describedby="stranger-count"></textarea>
<div class="stranger-buttons"><button type="button" class="primary stranger-read">Read it</button>
<span class="stranger-count" id="stranger-count"></span></div>
<p class="stranger-problem" role="alert"></p>
<div class="stranger-examples"><span>Try the captions of:</span></div>
<ul class="stranger-notes"></ul>
"""
BODY = """
<div class="stranger" data-stage="empty">
 <section class="card stranger-first">
  <div class="stranger-own">{own}
   <div class="stranger-actions"><button type="button" class="quiet" data-use="a">Use as A</button>
   <button type="button" class="quiet" data-use="b">Use as B</button>
   <button type="button" class="quiet" data-remove>Remove {mine}</button></div>
  </div>
  <div class="stranger-gauge">
   <h2 class="panel-title">How far outside the known locations?</h2>
   <p class="stranger-verdict"><b></b><span></span></p><p class="panel-hint stranger-counts"></p>
   <figure><div class="stranger-scale"></div>
   <details class="stranger-groups"><summary>Show as table</summary><div></div></details></figure>
   <p class="panel-hint">{footnote}</p>
   <section class="stranger-finding"><h2 class="panel-title">What to expect</h2><div></div></section>
  </div>
 </section>
 <p class="stranger-status" role="status"></p>
 <div class="stranger-answers">
  <section class="card stranger-pictures"><h2 class="panel-title">The known locations most like it</h2>
   <p class="panel-hint">Cosine of its embedding with each known location's; 1 is the same.</p><div></div></section>
  <section class="card stranger-rows"><h2 class="panel-title">Its adapter is most like</h2>
   <p class="panel-hint">Cosine of the generated row with each known location's mean fine-tuned row.</p>
   <div></div></section>
  <section class="card stranger-matter"><h2 class="panel-title">Did it matter?</h2>
   <p class="panel-hint">Cosine with adapters written from the same seed for other conditions.</p>
   <div></div><p></p></section>
  <section class="card stranger-said"><h2 class="panel-title">What its adapter says</h2>
   <div class="stranger-itself"></div><div class="stranger-at"></div></section>
 </div>
</div>
"""
DAYLIGHT = (
    "Calibrated on daylight pictures without animals: at night, or with a large animal, even a known location's "
    "picture moves to the right."
)


@dataclass
class Stranger:
    """A sub-section: one condition of the visitor's own, a picture or words, with its gauge and its adapter."""

    page: Page
    numbers: Strangers
    kind: str

    def build(self) -> None:
        """Lay out and connect; call inside its tab."""
        words, bundle = self.kind == "words", self.numbers.bundle
        own, mine, footnote = (WORDS, "my words", reading_skill(bundle)) if words else (PICTURE, "my picture", DAYLIGHT)
        self.shown = panel(
            BODY.format(own=own, mine=mine, footnote=footnote),
            "upload",
            elem_id=f"stranger-{self.kind}",
            events=("upload", "example", "describe", "write", "remove"),
            kind=self.kind,
            gauge=None if words else scale(self.numbers.gauge, bundle.unseen, "pictures"),
            findings={regime: findings(bundle, regime) for regime in bundle.regimes},
            examples=self._examples(),
            most=LONGEST if words else MAX_BYTES,
            problem=None,
        )
        self._connect()

    def _examples(self) -> list[list[str]]:
        """What there is to try: name, label, and the words themselves."""
        seen = self.numbers.bundle.seen
        label = {NOISE: "pure noise"}
        named = {name: label.get(name, f"{name} ({'known' if name in seen else 'unseen'})") for name in self._tried()}
        texts = dict(self.numbers.captions()) if self.kind == "words" else {}
        return [[name, shown, texts.get(name, "")] for name, shown in named.items()]

    def _tried(self) -> tuple[str, ...]:
        return tuple(dict(self.numbers.captions())) if self.kind == "words" else self.numbers.examples

    def _connect(self) -> None:
        runs = RUNS | {"trigger_mode": "always_last"}
        outputs = [self.shown, self.page.owner]
        brought = (self.shown.describe,) if self.kind == "words" else (self.shown.upload, self.shown.example)
        asked = [event(self.read, None, outputs, **runs) for event in brought]
        asked.append(self.shown.write(self.again, None, outputs, **runs))
        self.shown.remove(self.remove, None, [self.shown], cancels=asked, **QUICK)

    def read(self, event: gr.EventData, request: gr.Request) -> Iterator[list[Any]]:
        """Read what the visitor brought, then write its adapter; a bad one changes nothing but a sentence."""
        try:
            session = session_of(request)
            name = self.page.studio.pictures.add(session, self._brought(event._data))
            yield [gr.update(value=self._looked(name), problem=None), session]
            yield from self._frames(name, event, request)
        except Exception as error:
            yield [_problem(error), gr.skip()]

    def again(self, event: gr.EventData, request: gr.Request) -> Iterator[list[Any]]:
        """Write the adapter of what was brought, for the present setting."""
        try:
            yield from self._frames(str(event._data.get("name")), event, request)
        except Exception as error:
            yield [_problem(error), gr.skip()]

    def remove(self, event: gr.EventData, request: gr.Request) -> Any:
        """Forget it; the page has taken it out of the bar."""
        self.page.studio.forget(session_of(request), str(event._data.get("name")))
        return gr.update(value=None, problem=None)

    def _frames(self, name: str, event: gr.EventData, request: gr.Request) -> Iterator[list[Any]]:
        setting = self.page.setting(_alone(name, event._data.get("state"), self.numbers.bundle.regime), request)
        looked = self._looked(name)
        for frame in self.numbers.adapted(setting, picture=self.kind == "picture"):
            yield [gr.update(value=looked | frame, problem=None), gr.skip()]

    def _looked(self, name: str) -> Json:
        if self.kind == "picture":
            return self.numbers.looked(name, self.numbers.gauge, "pictures")
        gauge = self.numbers.word_gauge
        drawn = scale(gauge, self.numbers.strangers, "captions")
        return self.numbers.looked(name, gauge, "captions") | {"gauge": drawn}

    def _brought(self, data: Mapping[str, Any]) -> Upload:
        """What an event carries: a file's bytes, the name of an example, or words.

        Raises:
            UserError: if it cannot be used.
        """
        if self.kind == "words":
            return self.numbers.words(str(data.get("text", "")))
        return self.numbers.example(str(data["name"])) if "name" in data else self.numbers.picture(_bytes(data))


def _alone(name: str, state: Any, regime: str) -> Json:
    """The page's state with one background as A and B, and of the rest regime, way, seed and steps alone.

    Raises:
        UserError: if there is no such state.
    """
    if not isinstance(state, Mapping | None):
        raise UserError("The setting is not whole; reload the page.")
    given = {key: value for key, value in (state or {}).items() if key in ("m", "w", "seed", "steps")}
    return {"m": regime, **given, "a": name, "b": name, "t": 0}


def _bytes(data: Mapping[str, Any]) -> bytes:
    """The file that a browser sent.

    Raises:
        UserError: if it is too large or did not arrive whole.
    """
    try:
        size, content = int(data.get("size", 0)), from_base64(str(data.get("data", "")))
    except (ValueError, TypeError, OverflowError):
        raise UserError("The picture did not arrive whole; send it again.") from None
    if size > MAX_BYTES:
        raise UserError(f"The picture is larger than {MAX_BYTES // 1_000_000} MB; save it smaller or as JPEG.")
    if size != len(content):
        raise UserError("The picture did not arrive whole; send it again.")
    return content


def _problem(error: Exception) -> Any:
    """One sentence under the buttons; the time makes the same sentence news again."""
    return gr.update(problem={"text": sentence(error), "at": time.time()})
