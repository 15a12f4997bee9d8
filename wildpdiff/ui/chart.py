"""The page's own components: a plot that keeps its node, a location picker, the result line.

Gradio writes a `.pyi` beside a module that sub-classes components; that is why they live together in this one.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

CHART_HTML = """
<figure class="chart" role="group" aria-label="chart">
  <div class="chart-node" data-drawn="no"></div>
  <details class="chart-table"><summary>Show as table</summary><div class="chart-rows" tabindex="0"></div></details>
</figure>
"""

CHART_JS = """
const figure = element.querySelector('.chart'), node = element.querySelector('.chart-node');
const rows = element.querySelector('.chart-rows'), details = element.querySelector('details');
const styles = () => getComputedStyle(node);
const paint = (value, style) => {
  if (typeof value === 'string') {
    const found = value.match(/^var\\((--[\\w-]+)\\)$/);
    return found ? style.getPropertyValue(found[1]).trim() : value;
  }
  if (Array.isArray(value)) return value.map((part) => paint(part, style));
  if (value && typeof value === 'object')
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, paint(part, style)]));
  return value;
};
const tabulate = (table) => {
  const make = (tag, texts) => {
    const line = document.createElement('tr');
    for (const text of texts) line.appendChild(document.createElement(tag)).textContent = text;
    return line;
  };
  const made = document.createElement('table');
  made.append(make('th', table.head), ...table.rows.map((texts) => make('td', texts)));
  rows.replaceChildren(made);
};
const config = { displayModeBar: false, responsive: false, doubleClick: 'reset', showTips: false };
let queued = false;
const draw = async () => {
  queued = false;
  const given = props.value;
  if (!given || !given.data || !node.isConnected) return;
  if (!window.Plotly) { setTimeout(draw, 40); return; }
  const style = styles();
  const layout = { ...paint(given.layout, style), uirevision: 'kept' };
  const data = paint(given.data, style);
  if (node.clientWidth < 520 && given.narrow) {
    const { markers, ...axes } = given.narrow;
    for (const [key, value] of Object.entries(axes)) layout[key] = { ...layout[key], ...paint(value, style) };
    for (const trace of data) if (markers && markers[trace.name]) trace.marker.size = markers[trace.name];
  }
  Object.assign(layout, { autosize: false, width: node.clientWidth, height: node.clientHeight });
  await window.Plotly.react(node, data, layout, config);
  node.dataset.drawn = given.stage || 'yes';
  figure.setAttribute('aria-label', given.summary);
  if (details.open) tabulate(given.table);
};
const ask = () => { if (!queued) { queued = true; requestAnimationFrame(draw); } };
details.addEventListener('toggle', () => { if (details.open && props.value) tabulate(props.value.table); });
watch('value', ask);
let dark = document.body.classList.contains('dark');
new MutationObserver(() => {
  const now = document.body.classList.contains('dark');
  if (now !== dark) { dark = now; ask(); }
}).observe(document.body, { attributes: true, attributeFilter: ['class'] });
let width = 0;
new ResizeObserver(() => {
  if (node.clientWidth === width) return;
  width = node.clientWidth;
  ask();
}).observe(node);
ask();
"""

PICKER_HTML = """
<fieldset class="picker">
  <legend class="picker-legend"></legend>
  <div class="picker-scene"><img class="picker-view" alt=""><span class="picker-name"></span></div>
  <div class="picker-strip" role="radiogroup"></div>
  <label class="picker-own"><input type="file" accept="image/jpeg,image/png,image/webp"><span>Your own background
  <small>choose, drop or paste</small></span></label>
  <p class="picker-note"></p>
</fieldset>
"""

PICKER_JS = """
const find = (name) => element.querySelector('.picker-' + name);
const strip = find('strip'), view = find('view'), file = element.querySelector('input[type=file]');
const side = props.side;
find('legend').textContent = 'Location ' + side;
strip.setAttribute('aria-label', 'Location ' + side);
const choices = () => [...(props.places || []), ...(props.own ? [props.own] : [])];
const show = () => {
  const chosen = choices().find((place) => place.name === props.value);
  for (const radio of strip.querySelectorAll('input')) radio.checked = radio.value === props.value;
  if (chosen) {
    view.src = chosen.src;
    view.alt = 'Background of location ' + chosen.label;
    find('name').textContent = side + ' · ' + chosen.label;
    find('name').dataset.kind = chosen.kind;
  }
  const note = props.problem || (chosen && chosen.note) || '';
  find('note').textContent = note;
  find('note').classList.toggle('is-problem', Boolean(props.problem));
  find('note').setAttribute('role', props.problem ? 'alert' : 'note');
};
const build = () => {
  strip.replaceChildren(...choices().map((place) => {
    const label = document.createElement('label'), radio = document.createElement('input');
    const picture = document.createElement('img'), name = document.createElement('span');
    label.className = 'picker-place';
    label.dataset.kind = place.kind;
    label.title = place.title;
    Object.assign(radio, { type: 'radio', name: 'location-' + side, value: place.name });
    radio.setAttribute('aria-label', place.title);
    Object.assign(picture, { src: place.src, alt: '', draggable: false });
    name.textContent = place.short;
    label.append(radio, picture, name);
    return label;
  }));
  show();
};
strip.addEventListener('change', (event) => {
  props.problem = '';
  props.value = event.target.value;
  show();
  trigger('select');
});
const send = (chosen) => {
  if (!chosen) return;
  const reader = new FileReader();
  reader.onload = () => trigger('upload', { size: chosen.size, data: String(reader.result).split(',')[1] || '' });
  reader.readAsDataURL(chosen.size > props.most ? chosen.slice(0, 0) : chosen);
};
file.addEventListener('change', () => { send(file.files[0]); file.value = ''; });
element.addEventListener('dragover', (event) => { event.preventDefault(); element.classList.add('is-over'); });
element.addEventListener('dragleave', () => element.classList.remove('is-over'));
element.addEventListener('drop', (event) => {
  event.preventDefault();
  element.classList.remove('is-over');
  send(event.dataTransfer.files[0]);
});
document.addEventListener('paste', (event) => {
  const here = element.contains(document.activeElement) || element.matches(':hover');
  const item = [...event.clipboardData.files].find((each) => each.type.startsWith('image/'));
  if (here && item) { event.preventDefault(); send(item); }
});
watch('places', build);
watch('own', () => { props.value = props.own.name; build(); trigger('select'); });
watch(['value', 'problem'], show);
build();
"""

RESULT_HTML = """
<div class="result"><span class="result-badge"></span><span class="result-text"></span>
<span class="result-said" role="status" aria-live="polite"></span></div>
"""

RESULT_JS = """
const badge = element.querySelector('.result-badge'), text = element.querySelector('.result-text');
const said = element.querySelector('.result-said');
const show = () => {
  const given = props.value;
  if (!given) return;
  badge.textContent = given.badge;
  badge.dataset.kind = given.kind;
  text.replaceChildren(...given.parts.map((part) => {
    const piece = document.createElement(part.strong ? 'b' : 'span');
    piece.textContent = part.text;
    return piece;
  }));
  if (given.final) said.textContent = given.badge + ': ' + given.parts.map((part) => part.text).join(', ') + '.';
};
watch('value', show);
show();
"""


class Chart(gr.HTML):
    """A plotly node that is redrawn in place; its value is a figure of `wildpdiff.plots`."""

    def __init__(self, value: dict[str, Any] | None = None, *, elem_id: str | None = None, **given: Any) -> None:
        given |= {"html_template": CHART_HTML, "js_on_load": CHART_JS, "apply_default_css": False}
        super().__init__(value, elem_id=elem_id, **given)

    def api_info(self) -> dict[str, Any]:
        """A figure."""
        return {"type": "object"}


class LocationPicker(gr.HTML):
    """Radio buttons with pictures, and a place to drop one's own; its value is the name of the chosen location.

    Events: `select` after a choice, `upload` with `size` and base64 `data` of a user's file.
    """

    def __init__(self, value: str | None = None, *, elem_id: str | None = None, **given: Any) -> None:
        given |= {"html_template": PICKER_HTML, "js_on_load": PICKER_JS, "apply_default_css": False}
        super().__init__(value, elem_id=elem_id, **given)


class ResultLine(gr.HTML):
    """The result in one sentence with a badge, read aloud once when it is complete."""

    def __init__(self, value: dict[str, Any] | None = None, *, elem_id: str | None = None, **given: Any) -> None:
        given |= {"html_template": RESULT_HTML, "js_on_load": RESULT_JS, "apply_default_css": False}
        super().__init__(value, elem_id=elem_id, **given)

    def api_info(self) -> dict[str, Any]:
        """A sentence in parts."""
        return {"type": "object"}
