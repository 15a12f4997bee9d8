"""Tab Unseen, section "Your labelled photos": a zip of folders per species, scored under the present adapters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from ..errors import UserError
from ..labelled import MAX_ARCHIVE, MAX_PHOTOS, open_archive
from ..plots.invent import gap_dots, share_bars
from ..studio.labelled import Photographs, caution, mistakes, own_scores, reading, species_table, told
from ..studio.sessions import Newest
from ..studio.setting import Setting
from ..studio.trial import Score, stopped
from ..studio.words import spoken
from ..worlds.base import Images
from .chart import Chart, panel
from .page import PRIVATE, READS, RUNS, Page, sentence, session_of, title

#: Seconds after which a visitor's photographs are forgotten: half an hour.
KEPT = 1_800
#: What an upload is called on the server: chosen by the page, so that no two of them share a file.
UPLOADED = re.compile(r"([0-9a-f]{64})/([0-9a-f-]{36}\.zip)$")


@dataclass
class OwnPhotos:
    """The section; the photographs, as small squares, stay in the session and nowhere else."""

    page: Page
    turns: Newest = field(default_factory=Newest)

    def build(self) -> None:
        """Lay out the section and connect it."""
        with gr.Column(elem_classes="card", elem_id="own-photos"):
            title(
                "Your labelled photos",
                f"A zip with one folder per species, up to {MAX_PHOTOS} photographs and {MAX_ARCHIVE // 1_000_000} MB, "
                "to see how often the adapter of the bar above names them correctly.",
            )
            species = [spoken(name) for name in self.page.studio.bundle.world.species]
            gr.HTML(f'<p class="own-caution">{caution(self.page.studio.bundle.world)}</p>')
            self.drop = panel("own_zip", elem_id="own-zip", events=("arrived",), most=MAX_ARCHIVE, species=species)
            self.kept = gr.State(None, time_to_live=KEPT)
            self.fresh = gr.State(False)
            with gr.Row(visible=False, elem_id="own-actions") as self.actions:
                self.again = gr.Button("Score with the present adapter", interactive=False, min_width=200)
                self.stop = gr.Button("Stop", interactive=False, min_width=70)
                self.forget = gr.Button("Forget my photos", interactive=False, min_width=130)
            with gr.Column(visible=False, elem_id="own-results") as self.results:
                with gr.Row():
                    with gr.Column(min_width=290):
                        self.bars = Chart(elem_id="own-bars")
                    with gr.Column(min_width=290):
                        self.gaps = Chart(elem_id="own-gaps")
                self.details = panel("own_table", elem_id="own-table")
        self._connect()

    def _connect(self) -> None:
        shown = [self.drop, self.results, self.bars, self.gaps, self.details]
        shown += [self.actions, self.again, self.stop, self.forget]
        inputs = [self.kept, self.page.wish]
        arrived = self.drop.arrived(self.read, [self.kept], [self.kept, self.fresh, *shown], **READS)
        arrived.then(self.score_fresh, [self.fresh, *inputs], shown, **RUNS)
        self.again.click(self.score, inputs, shown, **RUNS)
        self.stop.click(self.halt, None, None, queue=False, **PRIVATE)
        self.forget.click(self.forgotten, None, [self.kept, *shown], **PRIVATE)

    def read(self, before: Images | None, event: gr.EventData, request: gr.Request) -> Iterator[list[Any]]:
        """Read an uploaded zip and delete it at once, outside of the networks' turns; a bad one changes nothing but the
        sentence. Whether there is something to score now goes into `fresh`."""
        session = session_of(request)
        turn, found = self.turns.begin(session), None
        try:
            for found in self._photographs(taken(event._data)):
                if self.turns.over(session, turn):
                    yield [gr.skip(), False, _said("Stopped while the zip was read.", "stopped"), *_rest(before)]
                    return
                text = f"Reading: {found.read} of {found.total} \u2026"
                yield [gr.skip(), False, _said(text, "reading"), *[gr.skip()] * 4, *_buttons("busy")]
        except Exception as error:
            yield [gr.skip(), False, _said(sentence(error), "failed"), *_rest(before)]
            return
        if found is not None:
            yield [found.images, True, _said(found.said, "reading"), *[gr.skip()] * 4, *_buttons("busy")]

    def score_fresh(
        self, fresh: bool, images: Images | None, wish: dict[str, Any] | None, request: gr.Request
    ) -> Iterator[list[Any]]:
        """Score what was read just now, if it was."""
        if fresh:
            yield from self.score(images, wish, request)
        else:
            yield [gr.skip()] * 9

    def score(self, images: Images | None, wish: dict[str, Any] | None, request: gr.Request) -> Iterator[list[Any]]:
        """Score the session's photographs, frame by frame."""
        session = session_of(request)
        turn, text = self.turns.begin(session), ""
        if images is None:
            yield [_scored("There are no photographs; choose a zip.", "failed"), *_rest(None)]
            return
        try:
            for score in own_scores(self.page.studio, self._setting(wish, request), images):
                if self.turns.over(session, turn):
                    yield [_scored(stopped(text), "stopped"), *_rest(images)]
                    return
                busy, text = len(score.labels) < len(images), told(score, len(images))
                state = "measuring" if busy else "done"
                yield [_scored(text, state), *self._figures(score), *_buttons("busy" if busy else "ready")]
        except Exception as error:
            yield [_scored(sentence(error), "failed"), *_rest(images)]

    def halt(self, request: gr.Request) -> None:
        """End the session's reading or scoring at its next frame."""
        self.turns.begin(session_of(request))

    def _setting(self, wish: dict[str, Any] | None, request: gr.Request) -> Setting:
        """The present state; before the page has wished for anything, the first location."""
        bundle = self.page.studio.bundle
        usual = {"a": bundle.seen[0], "b": bundle.seen[0], "t": 0.0, "m": bundle.regime}
        return self.page.setting(usual | (wish or {}), request)

    def _photographs(self, data: bytes) -> Iterator[Photographs]:
        world = self.page.studio.bundle.world
        yield from reading(open_archive(data, world.species), world.size)

    def forgotten(self) -> list[Any]:
        """Drop the session's photographs and all that was said of them."""
        told_so = {"read": "Your photographs are forgotten.", "text": "", "stage": "known"}
        return [None, told_so, gr.update(visible=False), *[gr.skip()] * 3, *_buttons("empty")]

    def _figures(self, score: Score) -> list[Any]:
        species = self.page.studio.bundle.world.species
        details = species_table(score, species) | {"present": score.arms[0], "mistakes": mistakes(score, species)}
        return [gr.update(visible=True), share_bars(score.shares()), gap_dots(score.arms[0], score.gaps()), details]


def taken(data: Any) -> bytes:
    """The bytes of an uploaded zip; the file is deleted whatever happens.

    Args:
        data: what the browser says of it: `path`, where gradio put it.

    Raises:
        UserError: if it is not there, or is no such upload.
    """
    found = UPLOADED.search(str(data.get("path", "")).replace("\\", "/")) if isinstance(data, dict) else None
    if found is None:
        raise UserError("The zip did not arrive whole; send it again.")
    path = Path(get_upload_folder()) / found[1] / found[2]
    try:
        with path.open("rb") as file:
            return file.read(MAX_ARCHIVE + 1)
    except OSError:
        raise UserError("The zip did not arrive whole; send it again.") from None
    finally:
        path.unlink(missing_ok=True)
        with suppress(OSError):
            path.parent.rmdir()


def _said(read: str, stage: str) -> dict[str, Any]:
    """What the zip's panel says of reading."""
    return {"read": read, "stage": stage}


def _scored(text: str, stage: str) -> dict[str, Any]:
    """What the zip's panel says of scoring."""
    return {"text": text, "stage": stage}


def _rest(images: Images | None) -> list[Any]:
    """Results left as they are, and the buttons at rest."""
    return [*[gr.skip()] * 4, *_buttons("empty" if images is None else "ready")]


def _buttons(state: str) -> list[Any]:
    """The row of Score, Stop and Forget, and each: without photographs (`empty`), at work (`busy`), at rest."""
    ready, busy = state == "ready", state == "busy"
    buttons = [gr.update(interactive=on) for on in (ready, busy, ready)]
    return [gr.update(visible=state != "empty"), *buttons]
