"""Tab Unseen, section "Invent a location": sliders, a live picture, the adapter, and its true accuracy there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from ..plots.invent import gap_dots, share_bars
from ..studio.invent import FEW, MANY, QUICK, SHARP, Finding, commonest, findings, inventing_in, told, upload
from ..studio.results import picture_uri
from ..studio.sessions import Newest, stamp_of
from ..studio.setting import Setting
from ..studio.trial import stopped
from ..studio.words import spoken
from ..worlds.base import Inventing
from .chart import Chart, panel
from .page import PRIVATE, RUNS, Page, sent, sentence, session_of, title

SHOWN = 6
ARMS = (
    "Pretrained: the classifier without an adapter. Fine-tuned: trained at the known location that looks most like "
    "this place. Shared: one adapter trained on all known locations together. Mean of all: the average of their "
    "adapters. Whiskers: 95% intervals; on the right a filled dot is a difference, an open one is not."
)


@dataclass
class Invent:
    """The section; `page` is shared by all parts."""

    page: Page
    turns: Newest = field(default_factory=Newest)

    @property
    def way(self) -> Inventing:
        """How places are invented in the page's world."""
        return inventing_in(self.page.studio)

    def build(self) -> None:
        """Lay out the section and connect it."""
        with gr.Column(elem_classes="card", elem_id="invent"):
            title(
                "Invent a location",
                "Set up a place that never was. Its adapter is written from pictures of the empty scene alone; then "
                "photographs are drawn there, with the right answers, to see how often that adapter is truly right.",
            )
            with gr.Row(elem_id="invent-top"):
                with gr.Column(min_width=280, scale=5):
                    self.scene = panel("invent_scene", elem_id="invent-scene")
                    self._lay_actions()
                    first = _found("Nothing is measured yet.", "known", 0)
                    self.found = panel("invent_found", first, elem_id="invent-found", used=None)
                with gr.Column(min_width=280, scale=6):
                    self.knobs = self._knobs()
            self._lay_findings()
        self._connect()

    def _knobs(self) -> gr.HTML:
        bundle, way = self.page.studio.bundle, self.way
        named = [(name, "known" if name in bundle.seen else "unseen") for name in (*bundle.seen, *bundle.unseen)]
        starts = [{"name": name, "kind": kind, "values": way.values_of(way.like(name))} for name, kind in named]
        return panel(
            "invent_knobs",
            way.values_of(way.like(bundle.seen[0])) | {"stamp": 0},
            elem_id="invent-knobs",
            events=("drag", "rest", "surprise"),
            groups=way.sliders(),
            starts=starts,
            drawn=None,
        )

    def _lay_actions(self) -> None:
        self.count = gr.Radio([FEW, MANY], value=FEW, label="Photographs to draw", elem_id="invent-count")
        with gr.Row(elem_id="invent-actions"):
            self.measure = gr.Button("Write and measure its adapter", variant="primary", elem_id="invent-measure")
            self.stop = gr.Button("Stop", elem_id="invent-stop", interactive=False, min_width=70)
            self.use = [gr.Button(f"Use as {side}", elem_id=f"invent-use-{side}", min_width=90) for side in "AB"]

    def _lay_findings(self) -> None:
        with gr.Column(visible=False, elem_id="invent-results") as self.results:
            with gr.Row():
                with gr.Column(min_width=290):
                    self.bars = Chart(elem_id="invent-bars")
                with gr.Column(min_width=290):
                    self.gaps = Chart(elem_id="invent-gaps")
            gr.HTML(f'<p class="panel-hint">{ARMS}</p>')
            self.photos = panel("trial_photos", [], elem_id="invent-photos")

    def _connect(self) -> None:
        drawing: dict[str, Any] = PRIVATE | {"show_progress": "hidden", "trigger_mode": "always_last"}
        drawing |= {"concurrency_id": "scenes", "concurrency_limit": 2}
        self.knobs.drag(self.draw_quick, [self.knobs], [self.scene], **drawing)
        self.knobs.rest(self.draw_sharp, [self.knobs], [self.scene], **drawing)
        self.knobs.surprise(self.draw_surprise, None, [self.knobs], **drawing)
        inputs = [self.knobs, self.count, self.page.wish]
        outputs = [self.found, self.results, self.bars, self.gaps, self.photos, self.stop]
        self.measure.click(self.run, inputs, outputs, **RUNS)
        self.stop.click(self.halt, None, None, queue=False, **PRIVATE)
        for side, button in zip("ab", self.use, strict=True):
            button.click(self._using(side), [self.knobs], [self.found, self.page.owner], **RUNS)

    def draw_quick(self, values: dict[str, Any]) -> dict[str, Any]:
        """The scene while a slider moves: small."""
        return self._drawn(values, QUICK, sharp=False)

    def draw_sharp(self, values: dict[str, Any]) -> dict[str, Any]:
        """The scene at rest, with who passes there."""
        return self._drawn(values, SHARP, sharp=True)

    def draw_surprise(self, event: gr.EventData) -> Any:
        """The numbers of a place drawn by the world, for the browser to take over."""
        data = sent(event)
        seed = data.get("seed")
        number = int(seed) % 2**31 if isinstance(seed, int | float) and abs(seed) < 2**53 else 0
        return gr.update(drawn=self.way.values_of(self.way.surprise(number)))

    def run(
        self,
        values: dict[str, Any],
        count: int,
        wish: dict[str, Any] | None,
        request: gr.Request,
    ) -> Iterator[list[Any]]:
        """Write the place's adapter and measure it, frame by frame, until it is done or the session stops it."""
        stamp, session = _stamp(values), session_of(request)
        turn, text = self.turns.begin(session), ""
        yield [_found("The empty place is being photographed \u2026", "looking", stamp), *[gr.skip()] * 4, _stop(True)]
        try:
            place, setting = self.way.place_of(values), self._setting(wish)
            for finding in findings(self.page.studio, place, setting, int(count)):
                if self.turns.over(session, turn):
                    yield [_found(stopped(text), "stopped", stamp), *[gr.skip()] * 4, _stop(False)]
                    return
                text, busy = told(finding), finding.stage != "done"
                yield [_found(text, finding.stage, stamp), *self._figures(finding), _stop(busy)]
        except Exception as error:
            yield [_found(sentence(error), "failed", stamp), *[gr.skip()] * 4, _stop(False)]

    def halt(self, request: gr.Request) -> None:
        """End the session's measurement at its next frame."""
        self.turns.begin(session_of(request))

    def _using(self, side: str) -> Callable[[dict[str, Any], gr.Request], list[Any]]:
        """A listener that puts the place into the bar as A or B."""

        def used(values: dict[str, Any], request: gr.Request) -> list[Any]:
            return self.used(side, values, request)

        return used

    def used(self, side: str, values: dict[str, Any], request: gr.Request) -> list[Any]:
        """Put the place into the page's bar as A or B."""
        try:
            made, session = upload(self.page.studio, self.way.place_of(values)), session_of(request)
        except Exception as error:
            return [gr.update(value=_found(sentence(error), "failed", _stamp(values))), gr.skip()]
        note = "Invented in the tab Unseen; its true accuracy can be measured there."
        shown = {"name": self.page.studio.pictures.add(session, made), "short": "invented", "title": made.name}
        shown |= {"kind": "own", "note": note, "src": picture_uri(made.picture, width=256)}
        return [gr.update(used={"side": side, "place": shown, "at": time.time()}), session]

    def _setting(self, wish: dict[str, Any] | None) -> Setting:
        """Regime, way, seed and steps of the present state; A and B play no part here."""
        bundle = self.page.studio.bundle
        return Setting.of({"m": bundle.regime} | (wish or {}) | {"a": bundle.seen[0], "b": bundle.seen[0], "t": 0.0})

    def _drawn(self, values: dict[str, Any], sides: tuple[int, int], *, sharp: bool) -> dict[str, Any]:
        """What the scene's panel shows for the sliders' numbers."""
        stamp = _stamp(values)
        try:
            place = self.way.place_of(values)
            pixels = self.way.scene(place, *sides)
            src = picture_uri(pixels, width=sides[1])
            who = [(spoken(name), round(100 * share)) for name, share in commonest(self.page.studio, place)]
            return {"stamp": stamp, "sharp": sharp, "src": src, "who": who}
        except Exception as error:
            return {"stamp": stamp, "sharp": sharp, "problem": sentence(error)}

    def _figures(self, finding: Finding) -> list[Any]:
        """The charts and photographs of a frame; before the first photograph they stay as they are."""
        score = finding.score
        if not len(score.labels):
            return [gr.skip()] * 4
        bars, gaps = share_bars(score.shares()), gap_dots(score.arms[0], score.gaps())
        return [gr.update(visible=True), bars, gaps, self._photos(finding)]

    def _photos(self, finding: Finding) -> list[dict[str, Any]]:
        """Some photographs with the truth and what the generated and the pretrained classifier called them."""
        species, score = self.page.studio.bundle.world.species, finding.score
        shown = []
        for place in score.telling(SHOWN):
            named = [score.named[arm, place].item() for arm in (0, 1)]
            said = [
                (score.arms[arm], spoken(species[int(named[arm])]), named[arm] == score.labels[place]) for arm in (0, 1)
            ]
            truth = spoken(species[int(score.labels[place])])
            src = picture_uri(finding.pixels[place], width=finding.pixels.shape[-1])
            shown.append({"src": src, "truth": truth, "said": [(who, what, bool(right)) for who, what, right in said]})
        return shown


def _found(text: str, stage: str, stamp: int) -> dict[str, Any]:
    return {"text": text, "stage": stage, "stamp": stamp}


def _stamp(values: Any) -> int:
    """The browser's count of changes, so that it knows which of them an answer belongs to."""
    return int(stamp_of(values))


def _stop(busy: bool) -> Any:
    """The button Stop while a measurement runs, or not."""
    return gr.update(interactive=busy)
