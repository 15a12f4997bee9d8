"""The tab Learn: six lessons with something to try and to guess, the paper's tables beside ours, a glossary, a tour."""

from __future__ import annotations

import html
import json
from dataclasses import asdict, dataclass

import gradio as gr

from ..bundle import Bundle
from ..studio import lessons
from ..studio import paper_tables as beside
from ..studio.glossary import GLOSSARY
from ..studio.lessons import Card, Question, Try
from ..studio.paper_tables import Comparison
from ..studio.stored import Stored
from ..studio.tours import tours
from .page import Page, title

INTRODUCTION = """<p class="lesson-doors"><button type="button" class="primary" data-tour="valley">Take the tour: five
steps</button> <button type="button" class="quiet" data-help>Keyboard and text size</button></p>"""


@dataclass
class Learn:
    """The tab; all of it is plain HTML, brought to life by `js/90-learn.js`."""

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
        with gr.Column(elem_classes="card", elem_id="glossary"):
            title("Words", "What the page's words mean here.")
            _plain(glossary())


@dataclass
class Tour:
    """The guided tours' words; build it outside the tabs, so that a link can begin a tour on any of them."""

    page: Page

    def build(self) -> None:
        """Put the steps into the page as JSON, where `js/91-tour.js` finds them."""
        steps = html.escape(json.dumps(tours(self.page.studio.bundle)))
        gr.HTML(f'<div id="tours" data-tours="{steps}"></div>', apply_default_css=False, visible="hidden")


def lesson_grid(bundle: Bundle) -> str:
    """All six cards."""
    return f'<div class="lessons">{"".join(map(_card, lessons.cards(bundle)))}</div>'


def tables(stored: Stored) -> str:
    """Tables 2 and 3; a sentence in place of one that is not stored."""
    seen, unseen = beside.seen(stored), beside.unseen(stored)
    second = _switched(seen) if seen else _absent(stored.absent("table2"))
    third = _table(unseen[0]) if unseen else _absent(stored.absent("table3"))
    return second + third


def glossary() -> str:
    """The words of the page."""
    entries = "".join(f"<div><dt>{html.escape(word)}</dt><dd>{html.escape(told)}</dd></div>" for word, told in GLOSSARY)
    return f'<dl class="glossary">{entries}</dl>'


def _plain(text: str) -> None:
    gr.HTML(text, apply_default_css=False)


def _card(card: Card) -> str:
    text = "".join(f"<p>{html.escape(part)}</p>" for part in card.text)
    tries = f'<p class="tries"><span>Try it:</span> {"".join(map(_try, card.tries))}</p>'
    asked = _question(card.name, card.question) if card.question else _absent(card.missing)
    heading = f'<h3 id="lesson-{card.name}">{html.escape(card.title)}</h3>'
    inside = f'{heading}<div class="drawing">{card.drawing}</div><div class="told">{text}</div>{tries}{asked}'
    return f'<article class="lesson" aria-labelledby="lesson-{card.name}">{inside}</article>'


def _absent(text: str) -> str:
    return f'<p class="absent">{html.escape(text)}</p>'


def _try(one: Try) -> str:
    given = html.escape(json.dumps({key: value for key, value in asdict(one).items() if key != "label"}))
    return f'<button type="button" class="quiet" data-try="{given}">{html.escape(one.label)}</button>'


def _question(name: str, question: Question) -> str:
    """Native radio buttons; the answer waits, hidden, in the page."""
    choices = "".join(
        f'<label><input type="radio" name="guess-{name}" value="{place}"> {html.escape(choice)}</label>'
        for place, choice in enumerate(question.choices)
    )
    asked = f"<fieldset><legend>{html.escape(question.text)}</legend>{choices}</fieldset>"
    told = f'<p class="answer" role="status" data-answer="{html.escape(question.answer)}"></p>'
    button = '<button type="button" class="quiet" data-reveal>Reveal</button>'
    return f'<div class="guess" data-right="{question.right}">{asked}{button}{told}</div>'


def _switched(seen: tuple[Comparison, ...]) -> str:
    """Table 2, one regime at a time, chosen by radio buttons."""
    shown = seen[-1].name
    choices = "".join(
        f'<label><input type="radio" name="beside" value="{part.name}"{" checked" if part.name == shown else ""}>'
        f"<span>{part.name}</span></label>"
        for part in seen
    )
    switch = f'<fieldset class="segments"><legend>Similarity</legend><div class="choices">{choices}</div></fieldset>'
    parts = "".join(
        f'<div data-regime="{part.name}"{"" if part.name == shown else " hidden"}>{_table(part)}</div>' for part in seen
    )
    return f'<div class="switched">{switch}{parts}</div>'


def _table(part: Comparison) -> str:
    groups = "".join(f'<th scope="colgroup" colspan="2">{html.escape(group)}</th>' for group in part.groups)
    columns = '<th scope="col">ours</th><th scope="col">paper</th>' * len(part.groups)
    rows = "".join(_row(name, cells) for name, cells in part.rows)
    head = f'<tr><th scope="col" rowspan="2">Location</th>{groups}</tr><tr>{columns}</tr>'
    caption = f"<caption><span>{html.escape(part.caption)}</span></caption>"
    whole = f"<table>{caption}<thead>{head}</thead><tbody>{rows}</tbody></table>"
    label = html.escape(part.caption.split(":")[0])
    return f'<div class="beside" tabindex="0" role="region" aria-label="{label}">{whole}</div>'


def _row(name: str, cells: tuple[beside.Cell, ...]) -> str:
    shown = "".join(f"<td>{html.escape(figure)}{_small(below)}</td>" for figure, below in cells)
    mark = ' class="is-mean"' if name == "mean" else ""
    return f'<tr{mark}><th scope="row">{html.escape(name)}</th>{shown}</tr>'


def _small(text: str) -> str:
    return f"<small>{html.escape(text)}</small>" if text else ""
