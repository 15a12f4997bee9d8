// A plot that keeps its node: drawn in place, lit by hovering, saved as picture or table; see `ui.chart.Chart`.
import { make, toast } from './dom.js';
import { store } from './store.js';

// Plotly's 4 MB are fetched from the beginning, but run only when the slider can be moved: that takes up to a second.
export const load_plotly = () => {
  const script = document.createElement('script');
  script.src = document.getElementById('plotly-file').href;
  document.head.append(script);
};

// The charts of the page by name: {show(figure), node}.
export const charts = {};

const chart = ({ element, props, watch }) => {
  const find = (selector) => element.querySelector(selector);
  const figure = find('.chart'), node = find('.chart-node'), rows = find('.chart-rows'), details = find('details');
  const buttons = [...element.querySelectorAll('[data-save]')];
  const config = { displayModeBar: false, responsive: false, doubleClick: 'reset', showTips: false };
  const read = (value) => (typeof value === 'string' ? (value ? JSON.parse(value) : null) : value);
  let given = read(props.value), drawn = null, queued = '', near = false, lit = null, dimmed = false, saying = 0;
  // The node's size, and whether the page is dark; asking the node itself would lay out the page in the middle of a move.
  let width = node.clientWidth, height = node.clientHeight, dark = document.body.classList.contains('dark');

  // Of a figure with several views, the one that the page's state names.
  const view_name = () => (given.views[store.state.view] ? store.state.view : Object.keys(given.views)[0]);
  const present = () => (given && given.views ? { name: view_name(), ...given.views[view_name()] } : given);

  // A copy of a figure in which every CSS variable has become the colour that it stands for here.
  const painter = () => {
    const style = getComputedStyle(node), known = {};
    const colour = (name) => (known[name] = known[name] || style.getPropertyValue(name).trim());
    const paint = (value) => {
      if (typeof value === 'string') {
        const found = value.match(/^var\((--[\w-]+)\)$/);
        return found ? colour(found[1]) : value;
      }
      if (Array.isArray(value)) return value.map(paint);
      if (value && typeof value === 'object')
        return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, paint(part)]));
      return value;
    };
    return paint;
  };

  // The traces of a new drawing; those that stay as they are keep their identity, by which plotly leaves them alone,
  // unless a hover has written into them.
  const same_traces = (wanted, made, looks) => {
    const texts = wanted.data.map((trace) => JSON.stringify(trace));
    const kept = drawn && !dimmed && drawn.looks === looks && drawn.texts.length === texts.length;
    return { looks, texts, data: made.data.map((trace, at) => (kept && drawn.texts[at] === texts[at] ? drawn.data[at] : trace)) };
  };

  // Data and layout of a figure at a width and height, painted.
  const made_for = (wanted, width, height) => {
    const paint = painter();
    const layout = { ...paint(wanted.layout), uirevision: wanted.name || 'kept' }, data = paint(wanted.data);
    if (width < 520 && wanted.narrow) {
      const { markers, hidden, ...axes } = wanted.narrow;
      for (const [key, value] of Object.entries(axes)) layout[key] = { ...layout[key], ...paint(value) };
      for (const trace of data) {
        if (markers && markers[trace.name]) trace.marker.size = markers[trace.name];
        if (hidden && hidden.includes(trace.name)) trace.visible = false;
      }
    }
    if (wanted.zoom && matchMedia('(hover: hover)').matches) layout.dragmode = 'zoom';
    return { data, layout: Object.assign(layout, { autosize: false, width, height }) };
  };

  const draw = async () => {
    if (!queued) return;
    queued = '';
    const wanted = present();
    if (!wanted || !wanted.data || !node.isConnected || !width) return;
    if (!window.Plotly) { setTimeout(ask, 40); return; }
    const made = made_for(wanted, width, height);
    drawn = { wanted, ...made, ...same_traces(wanted, made, `${wanted.name} ${width} ${dark}`) };
    dimmed = false;
    await window.Plotly.react(node, drawn.data, drawn.layout, config);
    listen();
    light();
    node.dataset.drawn = given.stage || wanted.stage || 'yes';
    figure.setAttribute('aria-label', wanted.summary);
    for (const button of buttons) button.disabled = !drawn.data.length;
    if (details.open) tabulate(wanted.table);
  };
  // What can be seen is drawn with the next frame, what is scrolled away when the slider has had its turn.
  const ask = () => {
    if (near && queued !== 'now') { queued = 'now'; requestAnimationFrame(draw); }
    if (!near && !queued) { queued = 'later'; setTimeout(draw, 800); }
  };
  new IntersectionObserver((entries) => {
    near = entries.at(-1).isIntersecting;
    if (near && queued) ask();
  }, { rootMargin: '120px' }).observe(node);

  // Hovering and clicking: a point's location by the figure's `pick`.
  const plain = (text) => String(text === undefined ? '' : text).replace(/<[^>]*>/g, '');
  const place = (text) => { const name = plain(text); return store.place(name) ? name : null; };
  const named = (point) => {
    const pick = drawn && drawn.wanted.pick;
    if (pick === 'trace') return place(point.data && point.data.name);
    if (pick === 'xy') return place(point.y) || place(point.x);
    return pick === 'x' ? place(point.x) : null;
  };
  const say = (name) => {
    clearTimeout(saying);
    saying = setTimeout(() => { store.hover(name); }, name ? 0 : 70);
  };
  const choose = (point, event) => {
    const name = named(point), other = drawn.wanted.pick === 'xy' && place(point.x);
    if (!name) return;
    if (other && other !== name) store.set({ a: name, b: other }, { live: true });
    else store.set({ [event && event.shiftKey ? 'a' : 'b']: name }, { live: true });
  };
  const listen = () => {
    if (node.dataset.listens) return;
    node.dataset.listens = 'yes';
    node.on('plotly_hover', (event) => say(named(event.points[0])));
    node.on('plotly_unhover', () => say(null));
    node.on('plotly_click', ({ points: [point], event }) => {
      node.dispatchEvent(new CustomEvent('chart-pick', { bubbles: true, detail: { x: point.x, y: point.y, index: point.pointIndex } }));
      choose(point, event);
    });
  };

  // The hovered location stands out: all others fade, without a new drawing. Plotly writes into what it draws, so what
  // was there before is read from the figure as it was given.
  const FAINT = 0.13;
  const faded = (name) => Boolean(lit) && name !== lit;
  const light_traces = () => {
    const places = drawn.data.map((trace) => place(trace.name)), here = places.includes(lit);
    const opacity = drawn.wanted.data.map((trace, at) => (here && places[at] && faded(places[at]) ? FAINT : trace.opacity ?? 1));
    window.Plotly.restyle(node, { opacity }, opacity.map((_, at) => at));
    const labels = {};
    (drawn.wanted.layout.annotations || []).forEach((label, at) => {
      if (label.name) labels[`annotations[${at}].opacity`] = here && faded(label.name) ? FAINT : 1;
    });
    if (Object.keys(labels).length) window.Plotly.relayout(node, labels);
  };
  const light_columns = () => {
    const indices = drawn.data.flatMap((trace, at) => (trace.marker && Array.isArray(trace.x) ? [at] : []));
    const here = indices.some((at) => drawn.data[at].x.some((x) => plain(x) === lit));
    const shades = indices.map((at) => {
      const own = drawn.wanted.data[at].marker.opacity ?? 1;
      return drawn.data[at].x.map((x, i) => (here && faded(plain(x)) ? 0.25 : 1) * (Array.isArray(own) ? own[i] : own));
    });
    if (indices.length) window.Plotly.restyle(node, { 'marker.opacity': shades }, indices);
  };
  const light_cells = () => {
    const across = drawn.data[0].x.map(plain), down = drawn.data[0].y.map(plain);
    const i = across.indexOf(lit), j = down.indexOf(lit), fill = painter()('var(--panel)');
    const sides = (at, count) => [[-0.5, at - 0.5], [at + 0.5, count - 0.5]].filter(([from, to]) => to > from);
    const veils = i < 0 || j < 0 ? [] : sides(i, across.length).flatMap(([x0, x1]) => sides(j, down.length).map(([y0, y1]) => (
      { type: 'rect', xref: 'x', yref: 'y', x0, x1, y0, y1, fillcolor: fill, opacity: 0.72, line: { width: 0 }, layer: 'above' })));
    window.Plotly.relayout(node, { shapes: [...painter()(drawn.wanted.layout.shapes || []), ...veils] });
  };
  const light = () => {
    if (!drawn || !node.isConnected || (!lit && !dimmed)) return;
    const by = { trace: light_traces, x: light_columns, xy: light_cells }[drawn.wanted.pick];
    if (by && drawn.data.length) by();
    dimmed = Boolean(lit);
  };

  // Saving: pictures twice as fine as the screen on the present ground, and the table.
  const cell = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const csv = (table) => [table.head, ...table.rows].map((line) => line.map((text) => cell(plain(text))).join(',')).join('\n') + '\n';
  const file_name = (wanted) => {
    const { a, b, t, m } = store.state, setting = [`${a}-${b}`, t.toFixed(2), m];
    return ['wildpdiff', props.name, wanted.name, ...setting].filter(Boolean).join('-');
  };
  const keep = (content, name) => {
    const address = URL.createObjectURL(content);
    make('a', { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 4000);
  };
  const save = async (kind) => {
    const wanted = present(), name = file_name(wanted);
    if (kind === 'csv') { keep(new Blob([csv(wanted.table)], { type: 'text/csv;charset=utf-8' }), `${name}.csv`); return; }
    const width = Math.max(node.clientWidth, 640), height = Math.max(node.clientHeight, 400);
    const made = made_for(wanted, width, height), ground = painter()('var(--panel)');
    Object.assign(made.layout, { paper_bgcolor: ground, plot_bgcolor: ground });
    await window.Plotly.downloadImage(made, { format: kind, width, height, scale: 2, filename: name });
  };
  for (const button of buttons)
    button.addEventListener('click', () => save(button.dataset.save).catch(() => {
      toast('This browser could not save the chart; try another format.', 'problem');
    }));

  const tabulate = (table) => {
    const line = (tag, texts) => make('tr', {}, ...texts.map((text) => make(tag, {}, plain(text))));
    rows.replaceChildren(make('table', {}, line('th', table.head), ...table.rows.map((texts) => line('td', texts))));
  };
  details.addEventListener('toggle', () => { if (details.open && present()) tabulate(present().table); });

  // A new figure comes from the server, or from the page by `charts[name].show(figure)`.
  const show = (figure) => { given = figure; ask(); };
  watch('value', () => show(read(props.value)));
  if (props.name) {
    charts[props.name] = { show, node };
    document.dispatchEvent(new CustomEvent('chart-ready', { detail: props.name }));
  }
  store.on('hover', (name) => { lit = name; light(); });
  store.on('state', () => { if (given && given.views && drawn && drawn.wanted.name !== view_name()) ask(); });

  new MutationObserver(() => {
    const now = document.body.classList.contains('dark');
    if (now !== dark) { dark = now; ask(); }
  }).observe(document.body, { attributes: true, attributeFilter: ['class'] });
  new ResizeObserver(() => {
    const before = width;
    [width, height] = [node.clientWidth, node.clientHeight];
    if (width !== before) ask();
  }).observe(node);
  ask();
};

// Figures from the server, by the name of their chart.
const figures = ({ props, watch }) => watch('value', () => {
  for (const [name, figure] of Object.entries(JSON.parse(props.value || '{}'))) charts[name].show(figure);
});

export const panels = { chart, figures };
