"""The page's own components: a plot that keeps its node, and panels of plain HTML and script.

Gradio writes a `.pyi` beside a module that sub-classes components; that is why `Chart` is the only one that does.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import gradio as gr

from ..web import markup

#: Brings a component to life once the page's scripts are there, by the function of that name in their `panels`.
MOUNT = """const panel = {{ element, props, trigger, watch }};
const mount = () => (window.wpd ? window.wpd.mount('{name}', panel) : setTimeout(mount, 20));
mount();
// events: {events}"""
CHART_HTML = markup("chart")
#: Of a panel that only carries values.
CARRIER = "<div></div>"


class Chart(gr.HTML):
    """A plotly node that is redrawn in place; its value is a figure of `wildpdiff.plots`.

    A figure may name where a point's location stands (`pick`: `x`, `xy` or `trace`): then hovering a point stresses
    its location on the whole page, and a click makes it B (with Shift: A; in a heat map, the row becomes A and the
    column B). A figure may hold several `views` by name, of which the page's state chooses one. In the browser
    `charts[elem_id].show(figure)` draws a figure too (see `js/chart.js`), and the event `chart-pick` tells of every
    click.
    """

    def __init__(self, value: dict[str, Any] | None = None, *, elem_id: str | None = None, **given: Any) -> None:
        given |= {
            "html_template": CHART_HTML,
            "js_on_load": MOUNT.format(name="chart", events=""),
            "apply_default_css": False,
            "name": elem_id,
        }
        super().__init__(value, elem_id=elem_id, **given)

    def postprocess(self, value: Any) -> str | None:
        """The figure as text, see `as_text`."""
        return None if value is None else as_text(value)

    def api_info(self) -> dict[str, Any]:
        """A figure, as JSON text."""
        return {"type": "string"}


def as_text(value: Any) -> str:
    """A value of a panel or chart as JSON text.

    Gradio's page copies every number of an object by itself, again and again (measured: 600 ms a move of the slider),
    but a text in one go.
    """
    return json.dumps(value, separators=(",", ":"))


def panel(
    name: str,
    value: Any = None,
    *,
    html: str | None = None,
    events: Sequence[str] = (),
    elem_id: str | None = None,
    **props: Any,
) -> gr.HTML:
    """A panel of the page's own.

    Args:
        name: of its file in `web/panels` and of the page's function that brings it to life (see `MOUNT`); without one
            it stays as it is.
        value: what `props.value` begins with.
        html: in place of the file, with nothing of a visitor in it.
        events: what the function triggers; each is a listener of the panel by that name.
        elem_id: id in the page.
        props: further values for the function, and gradio's own options of `gr.HTML`.
    """
    script = MOUNT.format(name=name, events=" ".join(f"'{event}'" for event in events)) if name else ""
    given: dict[str, Any] = {"js_on_load": script, "apply_default_css": False} | props
    given["html_template"] = markup(name) if html is None else html
    return gr.HTML(value, elem_id=elem_id, **given)
