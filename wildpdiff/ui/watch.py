"""The tab Watch it denoise: a network appears out of noise, to play and to scrub."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from ..errors import UserError
from ..studio.sessions import Newest, stamp_of
from ..studio.setting import Setting
from ..studio.trajectory import path_frames
from ..studio.watch import messages
from ..web import markup
from .chart import Chart, panel
from .page import PRIVATE, RUNS, Page, sent, sentence, session_of, title

LEAD = (
    "The place's picture says around which adapter to look; out of noise, step by step, becomes one of the many that "
    "lie there. Every step is an adapter already, and can be tried out."
)
CAPTION = '<p class="watch-caption"><b>Accuracy</b> photographs of A and of B named correctly at each step</p>'
VIEWS = (
    ("umap", "UMAP", "A place on this map is approximate, the middle of the nearest fine-tuned rows' places: between "
     "two groups it means nothing, so the star jumps where the nearest ones change."),
    ("pca", "PCA", "The two directions in which the fine-tuned rows spread most. What the other directions hold is not "
     "seen, so a star among a location's rows may still lie far from them."),
)  # fmt: skip
HINTS = {
    "accuracy": "Photographs named correctly with the adapter that the noisy latent decodes to; thin lines: with the "
    "guess's. The first guess is the mean of the place's adapters, and good already: what the later steps decide is "
    "which of them it becomes, not how good it is. The noise at the start is as wide as the place's adapters differ. "
    "The whiskers are 95% intervals for so few photographs.",
    "map": "The adapters of all steps among the fine-tuned ones of the known locations; small stars are the ways "
    "of the next five seeds. They begin anywhere around the mean, and settle on different adapters of the same place.",
    "spread": "How the row's numbers are spread; the outermost bars also hold what lies beyond. Which weight takes "
    "which number is not seen here.",
    "layers": "How much the adapter adds to each convolution that it changes, from the stem up.",
}


@dataclass
class Watch:
    """The tab; everything that it shows of a run lies in the browser, so playing and scrubbing ask nothing."""

    page: Page
    runs: Newest = field(default_factory=Newest)

    def build(self) -> None:
        """Lay out the cards and connect them; call inside the tab."""
        with gr.Column(elem_classes="card"):
            title("Watch a network appear out of noise", LEAD)
            self.film = panel("film", elem_id="watch", events=("note", "run"))
            with gr.Row(elem_classes=["watch-later", "watch-row"]):
                with gr.Column(min_width=300):
                    panel("", html=markup("watch_latents"), elem_id="watch-latents")
                with gr.Column(min_width=300):
                    gr.HTML(CAPTION)
                    Chart(elem_id="watch-accuracy")
            gr.HTML(f'<p class="panel-hint">{HINTS["accuracy"]}</p>', elem_classes="watch-later")
        with gr.Row(elem_classes=["watch-later", "watch-row"]):
            with gr.Column(min_width=300, elem_classes="card"):
                title("The way on the map", HINTS["map"])
                panel(
                    "views",
                    html=markup("watch_views"),
                    elem_id="watch-view",
                    group="watch-view",
                    views=[list(view) for view in VIEWS],
                )
                Chart(elem_id="watch-map")
            for heading, name in (("Layer by layer", "layers"), ("The weights", "spread")):
                with gr.Column(min_width=300, elem_classes="card"):
                    title(heading, HINTS[name])
                    Chart(elem_id=f"watch-{name}")
        quick: dict[str, Any] = PRIVATE | {"show_progress": "hidden", "queue": False, "trigger_mode": "multiple"}
        self.film.note(self.note, None, None, **quick)
        self.film.run(self.run, None, [self.film], trigger_mode="multiple", **RUNS)

    def note(self, request: gr.Request, event: gr.EventData) -> None:
        """Remember a session's newest run, or that it wants none: an older one ends at its next step."""
        self.runs.begin(session_of(request), stamp_of(event._data))

    def run(self, request: gr.Request, event: gr.EventData) -> Iterator[dict[str, Any]]:
        """Walk and measure the way of a setting, frame by frame, until it is done or the session wants no more."""
        stamp = stamp_of(event._data)
        try:
            setting = self._asked(sent(event), request)
            films = path_frames(self.page.studio, setting, lambda: not self.runs.over(session_of(request), stamp))
            for message in messages(self.page.studio, films):
                yield message | {"stamp": stamp}
        except Exception as error:
            yield {"stage": "failed", "problem": sentence(error), "stamp": stamp}

    def _asked(self, data: Mapping[str, Any], request: gr.Request) -> Setting:
        """The setting of the page's state that the browser sends with a run.

        Raises:
            UserError: as `Page.setting`, or if there is none.
        """
        state = data.get("state")
        if not isinstance(state, dict):
            raise UserError("The setting is not whole; it needs locations a and b and a blend weight t.")
        return self.page.setting(state, request)
