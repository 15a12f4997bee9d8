// Watch it denoise: all steps lie in the browser once they are sent; playing and scrubbing ask nothing.
import { charts } from './chart.js';
import { make } from './dom.js';
import { PLAIN_FORM, regime, wilson } from './format.js';
import { on_refused } from './refused.js';
import { store } from './store.js';

const NOW = 'this step', SO_FAR = 'the way so far', HERE = 'generated', OTHERS = 'other seeds', CURSOR = 'cursor';
const KEYS = ['a', 'b', 't', 'm', 'w', 'seed', 'steps'];
const PACE = 110, REACH = 3;
const STOPS = [[0, 34, 78], [67, 78, 108], [125, 124, 120], [188, 174, 108], [254, 232, 56]];
const CHARTS = { accuracy: 'watch-accuracy', map: 'watch-map', spread: 'watch-spread', layers: 'watch-layers' };
const exact = (share) => `${(100 * share).toFixed(share > 0.95 && share < 1 ? 1 : 0)}%`;

// Colours of the 256 levels of a byte, from -REACH to REACH.
const colours = (levels) => Array.from({ length: 256 }, (_, at) => {
  const place = Math.min(1, Math.max(0, (at - 128) / levels / (2 * REACH) + 0.5)) * (STOPS.length - 1);
  const from = Math.min(STOPS.length - 2, Math.floor(place)), part = place - from;
  return STOPS[from].map((value, channel) => Math.round(value + part * (STOPS[from + 1][channel] - value)));
});
const bytes = (text) => Int8Array.from(atob(text), (letter) => letter.charCodeAt(0));

const paint = (canvas, values, [rows, columns], table) => {
  if (canvas.width !== columns || canvas.height !== rows) Object.assign(canvas, { width: columns, height: rows });
  const context = canvas.getContext('2d'), picture = context.createImageData(columns, rows);
  values.forEach((value, at) => {
    const [red, green, blue] = table[value + 128];
    picture.data.set([red, green, blue, 255], 4 * at);
  });
  context.putImageData(picture, 0, 0);
};

// Write a value into a figure by a path such as `error_y.array`.
const write = (trace, path, value) => {
  const keys = path.split('.'), last = keys.pop();
  keys.reduce((part, key) => part[key], trace)[last] = value;
};

const in_view = (node) => {
  const { top, bottom, width } = node.getBoundingClientRect();
  return width > 0 && bottom > 0 && top < innerHeight;
};

// Move traces and the cursor of a figure; at once if it is drawn and in view, else when it is.
const move = (id, figure, patches, cursor) => {
  const found = Object.keys(patches).map((name) => [figure.data.findIndex((trace) => trace.name === name), patches[name]]).filter(([at]) => at >= 0);
  for (const [at, patch] of found) for (const [path, value] of Object.entries(patch)) write(figure.data[at], path, value);
  const line = (figure.layout.shapes || []).findIndex((shape) => shape.name === CURSOR), layout = {};
  if (line >= 0 && cursor !== undefined) {
    Object.assign(figure.layout.shapes[line], { x0: cursor, x1: cursor });
    Object.assign(layout, { [`shapes[${line}].x0`]: cursor, [`shapes[${line}].x1`]: cursor });
  }
  const node = charts[id] && charts[id].node;
  const drawn = node && node.data && in_view(node) && found.every(([at]) => node.data[at] && node.data[at].name === figure.data[at].name);
  if (!drawn || !window.Plotly || !found.length) return;
  const paths = [...new Set(found.flatMap(([, patch]) => Object.keys(patch)))];
  const traces = Object.fromEntries(paths.map((path) => [path, found.map(([, patch]) => patch[path])]));
  window.Plotly.update(node, traces, layout, found.map(([at]) => at));
};

// Which of the map's two views the page's state names.
const view_of = (views) => (views[store.state.view] ? store.state.view : Object.keys(views)[0]);

const film_panel = ({ element: root, props, trigger, watch }) => {
  const find = (selector) => root.querySelector(selector);
  const box = find('.watch'), run = find('#watch-run'), stop = find('#watch-stop'), status = find('.watch-status'), said = find('.watch-said');
  const changed = find('.watch-changed'), play = find('#watch-play'), slider = find('#watch-step'), tiles = find('.watch-tiles');
  const calm = matchMedia('(prefers-reduced-motion: reduce)');
  const latents = (selector) => [...document.querySelectorAll(`#watch-latents ${selector}`)];
  let film = null, strips = null, at = 0, playing = false, pace = 1, due = 0, stamp = 0, running = false, asked = '', queued = false;

  const key = (state) => KEYS.map((name) => state[name]).join();
  const named = (state) => `${store.title(state)} · ${regime(state.m)}${state.w === 'paper' ? `, ${PLAIN_FORM}` : ''} · seed ${state.seed}`;

  const stage = (name, text) => { box.dataset.stage = name; status.textContent = text; };
  const buttons = () => { run.disabled = running; stop.disabled = !running; };

  // The newest mark at or before a place of the way, and -1 before the first.
  const mark_at = (place) => film.marks.reduce((found, mark, index) => (mark.at <= place ? index : found), -1);

  const tile = (name, value, note, colour) => {
    const made = make('div', 'watch-tile'), own = make('dd'), small = make('small', {}, note);
    if (colour) made.style.setProperty('--own', colour);
    own.append(make('b', {}, value), small);
    made.append(make('dt', {}, name), own);
    return made;
  };
  const scores = () => {
    const index = mark_at(at), mark = film.marks[index], { steps } = film.frames, ends = ['A', 'B'];
    return film.places.map((name) => {
      const side = film.places.length > 1 ? film.places.indexOf(name) : name === film.state.a ? 0 : 1, place = film.places.indexOf(name);
      const label = `Right at ${name} (${ends[side]})`;
      if (!mark) return tile(label, '…', running ? 'being measured' : 'not measured', store.colour(name));
      const when = mark.at === at ? '' : ` · at step ${steps[mark.at]}`;
      return tile(label, `${mark.right[place]}/${film.photographs}`, `pretrained ${film.pretrained[place]}${when}`, store.colour(name));
    });
  };
  const tell = () => {
    const { steps, noise, gap, norm } = film.frames, last = steps[steps.length - 1];
    tiles.replaceChildren(
      ...scores(),
      tile('Noise in the latent', exact(noise[at]), 'of its variance'),
      tile('Distance to the final row', exact(gap[at]), "of the noise's"),
      tile("The row's norm", norm[at].toFixed(2), `final ${norm[norm.length - 1].toFixed(2)}`),
    );
    const mark = film.marks[mark_at(at)], right = mark ? film.places.map((name, place) => `${name} ${mark.right[place]} of ${film.photographs}`) : [];
    const fresh = mark && mark.at === at ? '' : mark ? ` at step ${steps[mark.at]}` : '';
    find('output').textContent = `${steps[at]} of ${last}`;
    slider.value = at;
    slider.style.setProperty('--share', `${(100 * at) / (steps.length - 1)}%`);
    slider.setAttribute('aria-valuetext', [`step ${steps[at]} of ${last}`, ...(right.length ? [`right${fresh}: ${right.join(', ')}`] : [])].join('; '));
  };

  const strip = () => {
    const { shape, steps, noise } = film.frames, canvases = latents('canvas');
    strips.values.forEach((values, which) => paint(canvases[which], values[at], shape, strips.table));
    const where = `at step ${steps[at]}: ${shape[0]} rows of ${shape[1]} numbers`;
    canvases[0].setAttribute('aria-label', `The noisy latent ${where}; ${exact(noise[at])} of its variance is noise`);
    canvases[1].setAttribute('aria-label', `The denoiser's guess ${where}`);
  };

  const chart = () => {
    const { frames, figures, marks, places, photographs } = film, step = frames.steps[at], mark = marks[mark_at(at)];
    const patches = {};
    places.forEach((name, place) => {
      const right = mark ? mark.right[place] : 0, share = right / photographs, [low, high] = wilson(right, photographs);
      const there = mark ? { x: [frames.steps[mark.at]], y: [share], up: [high - share], down: [share - low] } : { x: [], y: [], up: [], down: [] };
      patches[`${NOW} at ${name}`] = { x: there.x, y: there.y, 'error_y.array': there.up, 'error_y.arrayminus': there.down };
    });
    move(CHARTS.accuracy, figures.accuracy, patches, step);
    move(CHARTS.spread, figures.spread, { [NOW]: { y: frames.spread[at] } });
    move(CHARTS.layers, figures.layers, { [NOW]: { y: frames.layers[at] } });
    const names = Object.keys(figures.map.views), seen = view_of(figures.map.views);
    for (const name of [...names.filter((each) => each !== seen), seen]) {
      const [x, y] = [0, 1].map((axis) => frames[name].map((point) => point[axis]));
      const patch = { [SO_FAR]: { x: x.slice(0, at + 1), y: y.slice(0, at + 1) }, [HERE]: { x: [x[at]], y: [y[at]] }, [OTHERS]: { x: frames.others[name][at].map((point) => point[0]), y: frames.others[name][at].map((point) => point[1]) } };
      move(name === seen ? CHARTS.map : '', figures.map.views[name], patch);
    }
  };
  const draw = () => { queued = false; if (film) { strip(); chart(); } };
  const go = (place) => {
    at = Math.min(film.frames.steps.length - 1, Math.max(0, place));
    tell();
    if (!queued) { queued = true; requestAnimationFrame(draw); }
  };

  const dress = () => {
    const word = calm.matches ? 'Next step' : playing ? 'Pause' : 'Play';
    play.querySelector('b').textContent = word;
    play.querySelector('span').textContent = calm.matches ? '›' : playing ? '❚❚' : '▶';
    play.dataset.playing = playing ? 'yes' : 'no';
    find('.watch-speed').hidden = calm.matches;
  };
  const pause = () => { playing = false; dress(); };
  const tick = (now) => {
    if (!playing) return;
    if (!box.offsetParent) { pause(); return; }
    if (now - due >= PACE / pace) {
      due = now;
      if (at >= film.frames.steps.length - 1) { pause(); return; }
      go(at + 1);
    }
    requestAnimationFrame(tick);
  };
  const begin = () => {
    if (calm.matches || !film) return;
    if (at >= film.frames.steps.length - 1) go(0);
    playing = true;
    due = performance.now() + 500;
    dress();
    requestAnimationFrame(tick);
  };
  play.addEventListener('click', () => {
    const last = film.frames.steps.length - 1;
    if (calm.matches) go(at >= last ? 0 : at + 1);
    else if (playing) pause();
    else begin();
  });
  slider.addEventListener('input', () => { pause(); go(Number(slider.value)); });
  find('#watch-speed').addEventListener('change', (event) => { pace = Number(event.target.value); });
  calm.addEventListener('change', pause);
  document.addEventListener('chart-pick', (event) => {
    if (!film || !event.target.closest(`#${CHARTS.accuracy}`)) return;
    pause();
    go(film.frames.steps.indexOf(event.detail.x));
  });

  const compare = () => {
    const other = film && !running && key(store.state) !== film.key;
    changed.hidden = !other;
    if (other) changed.firstElementChild.textContent = `Shows ${named(film.state)}; the setting has changed. `;
  };

  const regions = () => {
    for (const line of latents('.watch-regions')) {
      line.replaceChildren(...film.regions.map(([name, share]) => {
        const part = make('span', {}, share > 0.12 ? name : share > 0.05 ? name.split(' ').pop() : '');
        part.style.flexGrow = share;
        part.title = name;
        return part;
      }));
    }
    const [rows, columns] = film.frames.shape;
    latents('.watch-note')[0].textContent = `${rows} × ${columns} numbers, of about unit size. ${film.regions.length ? "Each column mostly stands for its own part of the row of weights, the network's first layers on the left." : 'Each stands for one direction in which fine-tuned adapters differ, the widest first, line by line.'}`;
  };
  const open = (message) => {
    strips = { values: [message.frames.noisy, message.frames.guesses].map((texts) => texts.map(bytes)), table: colours(message.frames.levels) };
    find('.watch-film').hidden = false;
    find('.watch-story').hidden = true;
    document.body.dataset.watched = 'yes';
    slider.max = message.frames.steps.length - 1;
    regions();
    for (const name of ['spread', 'layers', 'map']) show(name);
  };
  const returned = new IntersectionObserver((found) => { if (film && found.some((one) => one.isIntersecting)) chart(); });
  const show = (name) => {
    const there = charts[CHARTS[name]];
    if (!there || !film) return;
    returned.observe(there.node);
    there.show({ ...film.figures[name], stage: film.stage });
  };
  const fill = (message) => {
    const fresh = !film || film.stamp !== message.stamp;
    // The figures that do not grow are kept: their moving traces stand at the present step.
    film = fresh ? { ...message, key: asked } : { ...message, key: film.key, figures: { ...film.figures, accuracy: message.figures.accuracy } };
    if (fresh) { at = 0; open(message); }
    chart();
    show('accuracy');
    go(at);
    if (fresh) begin();
    compare();
  };

  const start = () => {
    pause();
    stamp = Math.max(Date.now(), stamp + 1);
    running = true;
    asked = key(store.state);
    said.textContent = '';
    buttons();
    stage('waiting', `Waiting for a free place to sample ${named(store.state)} …`);
    trigger('note', { stamp });
    trigger('run', { stamp, state: store.state });
    compare();
  };
  const end = (name, text, spoken = text) => {
    running = false;
    buttons();
    stage(name, text);
    said.textContent = spoken;
  };
  const halt = () => {
    if (!running) return;
    const mine = film && film.stamp === stamp, count = mine ? film.marks.length : 0;
    stamp = Math.max(Date.now(), stamp + 1);
    trigger('note', { stamp });
    end('stopped', mine ? `Stopped. All steps are here; photographs were named at ${count} of them.` : `Stopped before the last step. ${film ? 'The earlier one stays.' : 'Press Watch it appear to begin again.'}`);
    if (film) tell();
    compare();
  };
  run.addEventListener('click', start);
  stop.addEventListener('click', halt);
  changed.lastElementChild.addEventListener('click', () => { start(); run.focus(); });

  store.on('state', () => { compare(); if (film) go(at); });
  document.addEventListener('chart-ready', (event) => {
    const name = Object.keys(CHARTS).find((each) => CHARTS[each] === event.detail);
    if (name) show(name);
  });
  dress();

  const receive = (message) => {
    if (!message || message.stamp !== stamp || !running) return;
    if (message.stage === 'failed') { end('failed', message.problem); compare(); return; }
    if (message.frames) fill(message);
    if (message.stage === 'done') { end('done', `${named(message.state)}. ${message.said}`, message.said); tell(); compare(); return; }
    if (message.frames) stage('measuring', `${named(message.state)}: naming photographs, ${message.marks.length ? `measured up to step ${message.frames.steps[message.marks[message.marks.length - 1].at]}` : 'none measured yet'} …`);
    else stage('sampling', `${named(message.state)}: step ${message.step} of ${message.state.steps} …`);
  };
  watch('value', () => receive(props.value));
  on_refused(({ event_data: sent }, problem) => receive(sent && { stamp: sent.stamp, stage: 'failed', problem }));
};

export const panels = { film: film_panel };
