"""A visitor's own condition, a picture or words: how it is brought, looked at, used and forgotten."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import gradio as gr
import torch

from ..errors import UserError
from ..picture import MAX_BYTES
from ..studio.description import LONGEST
from ..studio.ood import findings, reading_skill, scale
from ..studio.setting import OWN, Setting, Upload
from ..studio.upload import NOISE, Strangers
from .chart import panel
from .page import PRIVATE, RUNS, Page, sentence

Json = dict[str, Any]
Uploads = dict[str, Upload]
#: A visitor's condition, and what was seen of it.
Mine = tuple[Upload, Json]
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
<p class="stranger-rule" id="stranger-rule">JPEG, PNG or WebP, up to 5 MB and 25 megapixels. Only the pixels of the
middle square are looked at, in memory; nothing is stored.</p>
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
SCRIPT = """
const send = {
  upload: (data) => trigger('upload', data), example: (data) => trigger('example', data),
  describe: (data) => trigger('describe', data), write: (data) => trigger('write', data),
  use: (data) => trigger('use', data), remove: (data) => trigger('remove', data),
};
const mount = () => {
  if (window.wpd && window.wpd.mount_stranger) window.wpd.mount_stranger(element, props, watch, send);
  else setTimeout(mount, 20);
};
mount();
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
    mine: gr.State = field(init=False)
    shown: gr.HTML = field(init=False)

    def build(self) -> None:
        """Lay out and connect; call inside its tab."""
        words, bundle = self.kind == "words", self.numbers.bundle
        own, mine, footnote = (WORDS, "my words", reading_skill(bundle)) if words else (PICTURE, "my picture", DAYLIGHT)
        self.mine = gr.State(None)
        self.shown = panel(
            BODY.format(own=own, mine=mine, footnote=footnote),
            SCRIPT,
            elem_id=f"stranger-{self.kind}",
            kind=self.kind,
            gauge=None if words else scale(self.numbers.gauge, bundle.unseen, "pictures"),
            findings={regime: findings(bundle, regime) for regime in bundle.regimes},
            examples=self._examples(),
            most=LONGEST if words else MAX_BYTES,
            problem=None,
            used=None,
            gone=None,
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
        read = self.shown.describe if self.kind == "words" else self.shown.upload
        asked = [read(self.read, None, [self.shown, self.mine], **runs)]
        asked.append(self.shown.write(self.again, [self.mine], [self.shown, self.mine], **runs))
        if self.kind == "picture":
            asked.append(self.shown.example(self.read, None, [self.shown, self.mine], **runs))
        self.shown.use(self.use, [self.mine, self.page.uploads], [self.shown, self.page.uploads], **QUICK)
        outputs = [self.shown, self.mine, self.page.uploads]
        self.shown.remove(self.remove, [self.mine, self.page.uploads], outputs, cancels=asked, **QUICK)

    def read(self, event: gr.EventData) -> Iterator[list[Any]]:
        """Read what the visitor brought, then write its adapter; a bad one changes nothing but a sentence."""
        try:
            upload, notes = self._brought(event._data)
            mine = (upload, self._looked(upload) | {"notes": notes})
        except Exception as error:
            yield [_problem(error), gr.skip()]
            return
        yield [gr.update(value=mine[1], problem=None), mine]
        yield from self.again(mine, event)

    def again(self, mine: Mine | None, event: gr.EventData) -> Iterator[list[Any]]:
        """Write the adapter of what is there, for the present setting."""
        try:
            upload, looked = _there(mine)
            setting = _setting(event._data.get("state"), self.numbers.bundle.regime, upload)
            for frame in self.numbers.adapted(upload, setting, picture=self.kind == "picture"):
                yield [gr.update(value=looked | frame, problem=None), gr.skip()]
        except Exception as error:
            yield [_problem(error), gr.skip()]

    def use(self, mine: Mine | None, uploads: Uploads, event: gr.EventData) -> list[Any]:
        """Put it into the bar as A or B."""
        try:
            upload, side = _there(mine)[0], _side(event._data)
        except UserError as error:
            return [_problem(error), gr.skip()]
        used = {"side": side, "place": self.numbers.place(upload), "at": time.time()}
        return [gr.update(used=used, problem=None), uploads | {side: upload}]

    def remove(self, mine: Mine | None, uploads: Uploads) -> list[Any]:
        """Forget it, here and in the bar."""
        sides = [side for side, upload in uploads.items() if mine and torch.equal(upload.picture, mine[0].picture)]
        kept = {side: upload for side, upload in uploads.items() if side not in sides}
        return [gr.update(value=None, problem=None, gone={"sides": sides, "at": time.time()}), None, kept]

    def _looked(self, upload: Upload) -> Json:
        if self.kind == "picture":
            return self.numbers.looked(upload, self.numbers.gauge, "pictures")
        gauge = self.numbers.word_gauge
        drawn = scale(gauge, self.numbers.strangers, "captions")
        return self.numbers.looked(upload, gauge, "captions") | {"gauge": drawn}

    def _brought(self, data: Mapping[str, Any]) -> tuple[Upload, list[str]]:
        """What an event carries: a file's bytes, the name of an example, or words; and how the words were read.

        Raises:
            UserError: if it cannot be used.
        """
        if self.kind == "words":
            return self.numbers.words(str(data.get("text", "")))
        return self.numbers.example(str(data["name"])) if "name" in data else self.numbers.picture(_bytes(data)), []


def _setting(state: Any, regime: str, upload: Upload) -> Setting:
    """The page's regime, way, seed and steps for an upload that stands alone.

    Raises:
        UserError: for a value that is of another kind or out of range.
    """
    if not isinstance(state, Mapping | None):
        raise UserError("The setting is not whole; reload the page.")
    given = {key: value for key, value in (state or {}).items() if key in ("m", "w", "seed", "steps")}
    return Setting.of({"m": regime, **given, "a": OWN, "b": OWN, "t": 0}, {"a": upload, "b": upload})


def _there(mine: Mine | None) -> Mine:
    if mine is None:
        raise UserError("There is nothing here yet; bring a picture or words first.")
    return mine


def _side(data: Mapping[str, Any]) -> str:
    side = str(data.get("side"))
    if side not in ("a", "b"):
        raise UserError("It can take the place of A or of B, of nothing else.")
    return side


def _bytes(data: Mapping[str, Any]) -> bytes:
    """The file that a browser sent.

    Raises:
        UserError: if it is too large or did not arrive whole.
    """
    try:
        size, content = int(data.get("size", 0)), base64.b64decode(str(data.get("data", "")), validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise UserError("The picture did not arrive whole; send it again.") from None
    if size > MAX_BYTES:
        raise UserError(f"The picture is larger than {MAX_BYTES // 1_000_000} MB; save it smaller or as JPEG.")
    return content


def _problem(error: Exception) -> Any:
    """One sentence under the buttons; the time makes the same sentence news again."""
    return gr.update(problem={"text": sentence(error), "at": time.time()})
