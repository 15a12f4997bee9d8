"""The tab Unseen: places that the generator never met - a picture, an invented one, words, labelled photographs."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from ..studio.learn.stored import Stored
from ..studio.learn.studies import beginnings, by_places, never_seen
from ..studio.upload import Strangers
from ..web import template
from ..worlds.base import Captioned, Inventive
from .invent import Invent
from .labelled import OwnPhotos
from .learn import PARTS
from .page import Page, title
from .upload import Stranger


@dataclass
class Unseen:
    """The tab."""

    page: Page

    def build(self) -> None:
        """Lay out the tab; call inside it."""
        numbers, bundle = Strangers(self.page.studio), self.page.studio.bundle
        world = bundle.world
        with gr.Tabs(elem_id="unseen-tabs"):
            with gr.Tab("Your picture", elem_id="unseen-picture"):
                Stranger(self.page, numbers, "picture").build()
            if isinstance(world, Inventive):
                with gr.Tab("Invent a location", elem_id="unseen-invent"):
                    Invent(self.page).build()
            if isinstance(world, Captioned) and bundle.reads_words:
                with gr.Tab("Describe it", elem_id="unseen-words"):
                    Stranger(self.page, numbers, "words").build()
            with gr.Tab("Your labelled photos", elem_id="unseen-photos"):
                OwnPhotos(self.page).build()
            if (study := never_seen(Stored.of(bundle))) is not None:
                measured = gr.Tab("What was measured", elem_id="unseen-measured")
                with measured, gr.Column(elem_classes="card", elem_id="never-seen"):
                    title("Places never seen", "New places without end, every way to serve one, the true answers.")
                    gr.HTML(str(PARTS.real(study)), apply_default_css=False)
                if (curve := by_places(Stored.of(bundle))) is not None:
                    with measured, gr.Column(elem_classes="card", elem_id="by-places"):
                        title("By the number of training places", "The same short training at more and more places.")
                        gr.HTML(str(template("curve").curve(curve)), apply_default_css=False)
                if (begun := beginnings(Stored.of(bundle))) is not None:
                    with measured, gr.Column(elem_classes="card", elem_id="beginnings"):
                        title("Where fine-tuning begins", "With labels of the new place at hand, from four starts.")
                        gr.HTML(str(PARTS.real(begun)), apply_default_css=False)
