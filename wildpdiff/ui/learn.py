"""The tab Learn: six lessons with something to try and to guess, the paper's tables beside ours, a glossary, a tour."""

from __future__ import annotations

import html
import json
from dataclasses import asdict, dataclass

import gradio as gr

from ..bundle import Bundle
from ..studio.learn import glossary, lessons
from ..studio.learn import paper_tables as beside
from ..studio.learn.lessons import Try
from ..studio.learn.stored import Stored
from ..studio.learn.studies import real_cameras
from ..studio.learn.tours import tours
from ..web import template
from .page import Page, title

INTRODUCTION = """<p class="lesson-doors"><button type="button" class="primary" data-tour="valley">Take the tour: five
steps</button> <button type="button" class="quiet" data-help>Keyboard and text size</button></p>"""


@dataclass
class Learn:
    """The tab; all of it is plain HTML, brought to life by `js/learn.js`."""

    page: Page

    def build(self) -> None:
        """Lay out the tab; call inside it."""
        bundle = self.page.studio.bundle
        with gr.Column(elem_classes="card", elem_id="learn"):
            title("Learn", "Six short lessons. Try what they speak of, and guess before you look.")
            _plain(INTRODUCTION)
            _plain(lesson_grid(bundle))
        with gr.Column(elem_classes="card", elem_id="beside"):
            title("The paper's tables beside ours", "The same measurements, on two very different sets of photographs.")
            _plain(tables(Stored.of(bundle)))
        study = real_cameras(Stored.of(bundle))
        if study is not None:
            with gr.Column(elem_classes="card", elem_id="real"):
                title("Real cameras", "Held out whole, named after everything was learned at the others.")
                _plain(str(PARTS.real(study)))
        with gr.Column(elem_classes="card", elem_id="glossary"):
            title("Words", "What the page's words mean here.")
            _plain(words(bundle))


@dataclass
class Tour:
    """The guided tours' words; build it outside the tabs, so that a link can begin a tour on any of them."""

    page: Page

    def build(self) -> None:
        """Put the steps into the page as JSON, where `js/tour.js` finds them."""
        steps = html.escape(json.dumps(tours(self.page.studio.bundle)))
        gr.HTML(f'<div id="tours" data-tours="{steps}"></div>', apply_default_css=False, visible="hidden")


def lesson_grid(bundle: Bundle) -> str:
    """All six cards."""
    return str(PARTS.lessons(lessons.cards(bundle)))


def tables(stored: Stored) -> str:
    """Tables 2 and 3; a sentence in place of one that is not stored."""
    missing = {name: stored.absent(name) for name in ("table2", "table3")}
    return str(PARTS.tables(beside.seen(stored), beside.unseen(stored), missing))


def words(bundle: Bundle) -> str:
    """The words of the page."""
    return str(PARTS.glossary(glossary(bundle)))


def _plain(text: str) -> None:
    gr.HTML(text, apply_default_css=False)


def _given(one: Try) -> str:
    """What a button tries, as `js/learn.js` reads it."""
    return json.dumps({key: value for key, value in asdict(one).items() if key != "label"})


PARTS = template("learn", given=_given)
