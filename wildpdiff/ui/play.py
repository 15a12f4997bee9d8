"""The tab Play: the blend curve, accuracy by location, where the weights land, and what changed."""

from __future__ import annotations

import html
from dataclasses import dataclass

import gradio as gr

from ..studio.results import curves
from .changed import Changed
from .chart import Chart, panel
from .map import Atlas
from .page import Page, title


@dataclass
class Play:
    """The main tab."""

    page: Page

    def build(self) -> None:
        """Lay out the tab; call inside it."""
        with gr.Row(elem_id="hero", elem_classes="card"):
            with gr.Column(scale=1, min_width=150, elem_id="scene-column"):
                panel("scenes", elem_id="scenes")
            with gr.Column(scale=5, min_width=300):
                title(
                    "Along the blend",
                    "Accuracy of generated adapters at A and at B. Drag on the plot: the line is the slider; ringed "
                    "markers were measured live just now.",
                )
                self.curve = Chart(elem_id="curve")
                panel("spread", elem_id="spread")
                if problem := curves(self.page.studio.bundle).get("problem"):
                    gr.HTML(f'<p class="absent">{html.escape(problem)}</p>', apply_default_css=False)
        with gr.Column(elem_classes="card"):
            title(
                "Accuracy by location",
                "Share of photographs that this adapter names correctly, of how many. Whiskers: 95% Wilson interval; "
                "striped: fewer than 40 photographs.",
            )
            self.bars = Chart(elem_id="bars")
        self.atlas = Atlas(self.page)
        self.atlas.build()
        with gr.Row(elem_id="keep"):
            self.download = gr.DownloadButton(
                "Download this adapter (PEFT)", interactive=False, elem_id="download", min_width=220
            )
        with gr.Column(elem_id="part-changed"):
            Changed(self.page).build()
