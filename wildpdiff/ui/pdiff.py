"""The tab p-diff: stored systems of a network and a set of pictures, live samples among them, and what changes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from ..studio.pdiff import Hall, Wish, opened, sampled
from ..studio.sessions import Newest, stamp_of
from ..web import markup
from .chart import Chart, as_text, panel
from .page import PRIVATE, RUNS, Page, sent, sentence, session_of, title

LEAD = (
    "p-diff learns the distribution of one network's checkpoints and samples new networks. No picture is its "
    "condition, so the bar above has no part in it. Dots are stored measurements, stars are sampled and measured now."
)
HINTS = {
    "likeness": "The paper's figure 4. Each point is a network: how accurate it is, and how much its wrong predictions "
    "overlap with those of the most similar original (1: it errs on the same pictures). Networks that are new lie to "
    "the left, good ones at the top. Beside them stand originals with noise: as far away as the samples, and, where "
    "there is such noise, as accurate.",
    "accuracy": "Each dot is a network on the test pictures. The average is one network, the mean of the originals' "
    "weights: where it is as good as the samples, sampling buys variety, not accuracy.",
    "way": "Each estimate of the denoiser on the way is a network already, measured live on all test pictures. The "
    "first one is close to the mean of the originals, and good already: later steps decide which network it becomes.",
    "map": "Where the weights lie; the line is the way of the live sample that is chosen below. What the other "
    "directions hold is not seen.",
    "changed": "Test pictures to which a live sample gives another answer than the base network.",
}
QUICK: dict[str, Any] = PRIVATE | {"show_progress": "hidden", "trigger_mode": "multiple"}


@dataclass
class PDiff:
    """The tab; it asks for what is stored when it is first opened, and runs a network only on demand."""

    page: Page
    runs: Newest = field(default_factory=Newest)

    def build(self) -> None:
        """Lay out the cards and connect them; call inside the tab."""
        self.hall = Hall(self.page.studio.bundle)
        with gr.Column(elem_classes="card"):
            title("Sample new networks", LEAD)
            self.bench = panel("pdiff", elem_id="pdiff", events=("choices", "choose", "note", "run"))
        with gr.Column(elem_classes="card"):
            title("As good, and not the same", HINTS["likeness"])
            Chart(elem_id="pdiff-likeness")
        with gr.Row(elem_classes="pdiff-row"):
            for heading, name in (("Accuracies", "accuracy"), ("Where they lie", "map")):
                with gr.Column(min_width=300, elem_classes="card"):
                    title(heading, HINTS[name])
                    Chart(elem_id=f"pdiff-{name}")
        with gr.Row(elem_classes="pdiff-row"):
            with gr.Column(min_width=300, elem_classes="card"):
                title("Out of noise", HINTS["way"])
                Chart(elem_id="pdiff-way")
            with gr.Column(min_width=300, elem_classes="card"):
                title("What changed on real pictures", HINTS["changed"])
                panel("", html=markup("pdiff_changed"), elem_id="pdiff-changed")
        self.bench.choices(self.choices, None, [self.bench], queue=False, **QUICK)
        self.bench.choose(self.choose, None, [self.bench], queue=False, **QUICK)
        self.bench.note(self.note, None, None, queue=False, **QUICK)
        self.bench.run(self.run, None, [self.bench], trigger_mode="multiple", **RUNS)

    def choices(self, event: gr.EventData) -> str:
        """The systems to choose from, and what is stored of the first."""
        return self._told(event, lambda: {"choices": self.hall.choices()} | self._opened(self.hall.names[0]))

    def choose(self, event: gr.EventData) -> str:
        """What is stored of a system."""
        return self._told(event, lambda: self._opened(str(sent(event).get("system", ""))))

    def _opened(self, name: str) -> dict[str, Any]:
        """What is stored of a system, which is made ready meanwhile: pictures and network take a second or two."""
        told = opened(self.hall, name)
        threading.Thread(target=self._warm, args=(name,), name="pdiff", daemon=True).start()
        return told

    def _warm(self, name: str) -> None:
        """Make a system ready; what goes wrong is told when it is sampled."""
        with suppress(Exception):
            self.hall.ready(name)

    def _told(self, event: gr.EventData, tell: Callable[[], dict[str, Any]]) -> str:
        stamp = {"stamp": stamp_of(event._data)}
        try:
            return as_text(tell() | stamp)
        except Exception as error:
            return as_text({"stage": "failed", "problem": sentence(error)} | stamp)

    def note(self, request: gr.Request, event: gr.EventData) -> None:
        """Remember a session's newest wish: the work for an older one ends with its present sample."""
        self.runs.begin(session_of(request), stamp_of(event._data))

    def run(self, request: gr.Request, event: gr.EventData) -> Iterator[str]:
        """Sample and measure, message by message, until it is done or the session wants something else."""
        stamp = stamp_of(event._data)
        try:
            wanted = Wish.of(event._data)
            for message in sampled(self.hall, wanted, lambda: not self.runs.over(session_of(request), stamp)):
                yield as_text(message | {"stamp": stamp})
        except Exception as error:
            yield as_text({"stage": "failed", "problem": sentence(error), "stamp": stamp})
