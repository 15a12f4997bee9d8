"""The atlas of the tab Play: where the written adapter lands among the fine-tuned ones, and how alike they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ..errors import UserError
from ..plots.common import Figure
from ..studio.layers import KINDS, layer_names, stages
from ..studio.map import Journey, heat_figure, layer_figure, map_figure
from ..studio.places import Places
from ..studio.setting import Result, Setting
from .chart import Chart, panel
from .page import PRIVATE, Page, sent, sentence, title

#: Of each view its name, label and note, in which `{dim}` stands for the numbers of a row.
VIEWS = (
    ("umap", "UMAP", "UMAP keeps neighbours together, not distances: a midpoint need not lie midway, and the star's "
     "place is approximate, between its nearest fine-tuned rows."),
    ("pca", "PCA", "The two directions in which the fine-tuned rows spread most. Distances are those of a projection "
     "to 128 numbers, right within about 6%; what the other directions hold is not seen."),
    ("ruler", "A–B ruler", "Measured on all {dim:,} numbers: how far along from A's mean row to B's an adapter lies, "
     "and how far off that straight line. Averages of the two lie on the line, at the tick."),
)  # fmt: skip
NOTES = {
    "factors": "Factors: the numbers of the row as they are.",
    "products": "Products: what each pair of factors multiplies to, the change of the convolution itself. Rows can "
    "differ in factors and yet change the network alike.",
}
MAP_HINT = (
    "Fine-tuned adapters by location; the star is the one just written, the small ones are what the next seeds would "
    "give. Click a point to make its location B (with "
    "Shift: A); drag to zoom in, double-click to zoom out."
)
LAYERS_HINT = (
    "Mean cosine between different locations in each adapted layer, from the stem up; click on a layer to see its heat "
    "map above."
)


@dataclass
class Atlas:
    """The cards of map and heat map; `trail` is what they keep of a visitor."""

    page: Page

    def build(self) -> None:
        """Lay out the cards and connect their choices; call inside the tab."""
        bundle = self.page.studio.bundle
        self.places, self._count = Places(self.page.studio), len(layer_names(bundle.layout))
        self.first = Setting(bundle.seen[0], bundle.seen[min(1, len(bundle.seen) - 1)], regime=bundle.regime)
        self.trail = gr.State(Journey(self.first))
        self._blank = self._figures(Journey(self.first))
        with gr.Row(elem_id="atlas"):
            with gr.Column(min_width=300, elem_classes="card"):
                self._lay_map()
            with gr.Column(min_width=300, elem_classes="card"):
                self._lay_heat()
        with gr.Column(elem_classes="card"):
            title("Layer by layer", LAYERS_HINT)
            self.layers = Chart(self._blank["layers"], elem_id="layers")
        quick: dict[str, Any] = PRIVATE | {"show_progress": "hidden", "queue": False}
        outputs = [self.map, self.heat, self.layers, self.trail]
        self.view.open(self.open, [self.trail], outputs, **quick)
        self.choices.choose(self.compare, [self.trail], [self.heat, self.layers, self.choices], **quick)

    def frame(self, setting: Setting, result: Result, trail: Journey) -> dict[str, Figure]:
        """Figures for adapters that were just written, by the chart's name; the trail keeps what it needs of them.

        Raises:
            UserError: if the bundle's zoo of the setting's regime is damaged.
        """
        terrain = self.places.terrain(setting.regime)
        cloud = () if result.cloud is None else terrain.spots(result.cloud)
        trail.go(
            setting, terrain.spots(result.rows), terrain.likeness(result.rows), cloud, self.page.studio.names(setting)
        )
        return self._figures(trail)

    def open(self, trail: Journey, event: gr.EventData, request: gr.Request) -> list[Any]:
        """Figures for a setting that was opened by a link, before anything is written for it."""
        try:
            setting = self.page.setting(sent(event), request)
            self.places.terrain(setting.regime)
            trail.go(setting, names=self.page.studio.names(setting))
            return [*self._figures(trail).values(), trail]
        except Exception as error:
            sentence(error)
            return [gr.skip()] * 4

    def compare(self, trail: Journey, event: gr.EventData) -> list[Any]:
        """Compare by other numbers or in another layer: new figures, and a sentence if that failed."""
        try:
            trail.kind, trail.layer = chosen(sent(event), self._count)
            terrain = self.places.terrain(trail.setting.regime)
            return [heat_figure(terrain, trail), layer_figure(terrain, trail), gr.update(problem="")]
        except Exception as error:
            return [gr.skip(), gr.skip(), gr.update(problem=sentence(error))]

    def _lay_map(self) -> None:
        first = {"a": self.first.a, "b": self.first.b, "m": self.first.regime}
        title("Where the weights land", MAP_HINT)
        dim = self.page.studio.bundle.layout.dim
        self.view = panel(
            "views",
            elem_id="view",
            events=("open",),
            group="atlas-view",
            views=[[name, label, note.format(dim=dim)] for name, label, note in VIEWS],
            first=first,
        )
        self.map = Chart(self._blank["map"], elem_id="map")

    def _lay_heat(self) -> None:
        layout = self.page.studio.bundle.layout
        named = [list(pair) for pair in zip(stages(layout), layer_names(layout), strict=True)]
        title("How alike the weights are", "Cosine similarity of the locations' mean rows and of the one just written.")
        self.choices = panel("alike", elem_id="alike", events=("choose",), layers=named, notes=NOTES, problem="")
        self.heat = Chart(self._blank["heat"], elem_id="heat")

    def _figures(self, trail: Journey) -> dict[str, Figure]:
        terrain = self.places.terrain(trail.setting.regime)
        drawers = {"map": map_figure, "heat": heat_figure, "layers": layer_figure}
        return {name: draw(terrain, trail) for name, draw in drawers.items()}


def chosen(data: Mapping[str, Any], layers: int) -> tuple[str, int]:
    """What the browser chose to compare: a kind, and 0 for the whole adapter or the number of a layer.

    Raises:
        UserError: if it is neither.
    """
    kind, layer = data.get("kind"), data.get("layer")
    if kind not in KINDS or not isinstance(layer, int) or not 0 <= layer <= layers:
        raise UserError(f"Compare factors or products, of the whole adapter or of one of its {layers} layers.")
    return str(kind), layer
