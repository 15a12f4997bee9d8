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
from ..studio.universal import Halves
from ..studio.upload import NOISE, Strangers
from ..web import markup
from .chart import panel
from .page import PRIVATE, RUNS, Page, sent, sentence, session_of

Json = dict[str, Any]
QUICK: dict[str, Any] = PRIVATE | {"show_progress": "hidden"}

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
        mine, footnote = ("my words", reading_skill(bundle)) if words else ("my picture", DAYLIGHT)
        own = markup(f"upload_{self.kind}")
        self.shown = panel(
            "upload",
            html=markup("upload").format(own=own, mine=mine, footnote=footnote),
            elem_id=f"stranger-{self.kind}",
            events=("upload", "example", "describe", "write", "remove"),
            kind=self.kind,
            gauge=None if words else scale(self.numbers.gauge, bundle.unseen, "pictures"),
            findings={regime: findings(bundle, regime) for regime in bundle.regimes},
            universal=bundle.has_universal,
            examples=self._examples(),
            most=LONGEST if words else MAX_BYTES,
            problem=None,
        )
        self._connect()

    def _examples(self) -> list[list[str]]:
        """What there is to try: name, label, and the words themselves."""
        seen = self.numbers.bundle.seen
        label, texts = {NOISE: "pure noise"}, dict(self.numbers.captions()) if self.kind == "words" else {}
        tried = texts or self.numbers.examples
        named = {name: label.get(name, f"{name} ({'known' if name in seen else 'unseen'})") for name in tried}
        return [[name, shown, texts.get(name, "")] for name, shown in named.items()]

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
            name = self.page.studio.pictures.add(session, self._brought(sent(event)))
            yield [gr.update(value=self._looked(name), problem=None), session]
            yield from self._frames(name, event, request)
        except Exception as error:
            yield [_problem(error), gr.skip()]

    def again(self, event: gr.EventData, request: gr.Request) -> Iterator[list[Any]]:
        """Write the adapter of what was brought, for the present setting."""
        try:
            yield from self._frames(str(sent(event).get("name")), event, request)
        except Exception as error:
            yield [_problem(error), gr.skip()]

    def remove(self, event: gr.EventData, request: gr.Request) -> Any:
        """Forget it; the page has taken it out of the bar."""
        self.page.studio.forget(session_of(request), str(sent(event).get("name")))
        return gr.update(value=None, problem=None)

    def _frames(self, name: str, event: gr.EventData, request: gr.Request) -> Iterator[list[Any]]:
        setting = self.page.setting(_alone(name, sent(event).get("state"), self.numbers.bundle.regime), request)
        looked = self._looked(name)
        for frame in self.numbers.adapted(setting, picture=self.kind == "picture", halves=Halves.of(sent(event))):
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
    broken = UserError("The picture did not arrive whole; send it again.")
    try:
        size, content = int(data.get("size", 0)), from_base64(str(data.get("data", "")))
    except (ValueError, TypeError, OverflowError):
        raise broken from None
    if size > MAX_BYTES:
        raise UserError(f"The picture is larger than {MAX_BYTES // 1_000_000} MB; save it smaller or as JPEG.")
    if len(content) != size:
        raise broken
    return content


def _problem(error: Exception) -> Any:
    """One sentence under the buttons; the time makes the same sentence news again."""
    return gr.update(problem={"text": sentence(error), "at": time.time()})
