// The two charts that answer at once: the blend curve with its cursor, and the bars by location.
import { at_rest, bridge } from './bridge.js';
import { charts } from './chart.js';
import { regime, wilson } from './format.js';
import { bars, curve } from './plots.js';
import { store } from './store.js';

const similarity = (m) => `${regime(m)} similarity`;
const lived = {};
let all_three = false;
const key = (state) => [state.a, state.b, state.m, state.w].join(' ');

const remember = (state, answer) => {
  if (!answer || answer.stage !== 'done') return;
  const dots = (lived[key(state)] = lived[key(state)] || []);
  ['a', 'b'].forEach((side, index) => {
    const found = answer.live[state[side]];
    if (!found || (index && store.same(state))) return;
    const [low, high] = wilson(found.right, found.count);
    const old = dots.findIndex((dot) => dot.t === state.t && dot.side === index);
    if (old >= 0) dots.splice(old, 1);
    dots.push({ t: state.t, side: index, share: found.right / found.count, low, high, now: true });
  });
  if (dots.length > 60) dots.splice(0, dots.length - 60);
};

const said = (state, known) => {
  const where = `Accuracy of generated adapters against the blend weight from ${store.named(state.a)} to ${store.named(state.b)}, ${similarity(state.m)}.`;
  if (!known || !known.at) return `${where} Nothing was measured beforehand here.`;
  return `${where} At ${state.t.toFixed(1)}: ${state.a} ${known.at[0]} of ${known.of[0]}, ${state.b} ${known.at[1]} of ${known.of[1]}.`;
};

export const curve_of = (state) => {
  const regimes = all_three ? store.table.regimes : [state.m];
  const panels = regimes.map((m) => {
    const own = { ...state, m }, here = m === state.m;
    const dots = (lived[key(own)] || []).map((dot) => ({ ...dot, now: here && dot.t === state.t }));
    return { title: similarity(m), known: store.known(own), dots };
  });
  const pretrained = Object.fromEntries(Object.entries(store.table.pretrained || {}).map(([name, right]) => [name, right / store.of(name)]));
  const of = (name, side, kind, own) => { const known = store.place(name); return known && known.kind === 'seen' ? store[kind](name) : own[side]; };
  return curve({
    state, same: store.same(state), panels, pretrained, labels: [store.named(state.a), store.named(state.b)], summary: said(state, store.known(state)),
    colour: (name, side) => of(name, side, 'colour', ['var(--ink)', 'var(--ink-soft)']), shape: (name, side) => of(name, side, 'shape', ['star-diamond', 'hexagram']),
  });
};

export const bars_of = (state, answer) => {
  const sure = store.known(state);
  const names = store.table.places.filter((place) => place.kind === 'seen').map((place) => place.name);
  const extra = [state.a, state.b].filter((name, index, all) => !store.is_own(name) && !names.includes(name) && all.indexOf(name) === index);
  const columns = [...names, ...extra].map((name) => {
    const own = store.figures(state.m, name), found = answer && answer.live && answer.live[name];
    const side = name === state.a ? 0 : name === state.b ? 1 : -1;
    const base = { name, pretrained: own.pretrained, fine_tuned: own.fine_tuned, own: own.generated };
    if (found) return { ...base, ...found, kind: 'live' };
    if (!answer && sure && sure.at && sure.exact && side >= 0) return { ...base, right: sure.at[side], count: sure.of[side], kind: 'precomputed' };
    return { ...base, kind: 'none' };
  });
  return bars(columns, [state.a, state.b]);
};

const draw = (answer) => {
  if (!store.table) return;
  const state = store.state, stage = answer ? answer.stage : 'known';
  // Along the way of an answer only the bars change.
  if (charts.curve && !(answer && ['written', 'measuring'].includes(stage))) charts.curve.show({ ...curve_of(state), stage });
  // On a move the curve is painted first, the bars in the next frame.
  const draw_bars = () => { if (charts.bars) charts.bars.show({ ...bars_of(store.state, store.answer), stage: store.answer ? store.answer.stage : 'known' }); };
  if (answer) draw_bars(); else requestAnimationFrame(() => setTimeout(draw_bars));
};

// Dragging on the curve moves the slider.
const draggable = () => {
  const node = document.querySelector('#curve .chart-node');
  if (!node || node.dataset.draggable) return;
  node.dataset.draggable = 'yes';
  let down = false;
  const move = (event) => {
    const full = node._fullLayout;
    if (!full || !full.xaxis || store.same(store.state)) return;
    const left = event.clientX - node.getBoundingClientRect().left;
    const axes = ['xaxis', 'xaxis2', 'xaxis3'].map((name) => full[name]).filter(Boolean);
    const axis = axes.find((one) => left >= one._offset - 8 && left <= one._offset + one._length + 8);
    if (axis) store.set({ t: Math.round(10 * axis.p2d(left - axis._offset)) / 10 });
  };
  node.addEventListener('pointerdown', (event) => { if (event.button === 0) { down = true; move(event); } });
  node.addEventListener('pointermove', (event) => { if (down) move(event); });
  window.addEventListener('pointerup', () => { down = false; });
};

// The file is packed when its button comes into view.
const download = () => {
  const keep = document.getElementById('keep');
  if (!keep || keep.dataset.offers) return;
  keep.dataset.offers = 'yes';
  at_rest(keep, bridge.offer);
};

const pictures = (state) => {
  for (const [side, box] of [['a', document.getElementById('scene-a')], ['b', document.getElementById('scene-b')]]) {
    if (!box) continue;
    const place = store.place(state[side]) || { title: state[side] };
    const picture = box.querySelector('img');
    if (!place.src) picture.removeAttribute('src');
    else if (picture.getAttribute('src') !== place.src) picture.src = place.src;
    picture.alt = `Background of ${place.title}`;
    box.querySelector('figcaption b').textContent = `${side.toUpperCase()} · ${store.named(state[side])}`;
    box.querySelector('figcaption span').textContent = place.note || '';
    box.style.setProperty('--own', store.colour(state[side]));
    const share = store.same(state) ? 1 : side === 'a' ? 1 - state.t : state.t;
    box.style.setProperty('--share', share.toFixed(2));
  }
};

const draw_all = () => { draw(store.answer); pictures(store.state); draggable(); download(); };

export const start = () => {
  store.on('state', (state) => { draw(store.answer); pictures(state); });
  store.on('answer', (answer) => { remember(store.state, answer); draw(answer); });
  document.addEventListener('chart-ready', draw_all);
  store.ready(draw_all);
};

export const panels = {
  scenes: draw_all,
  spread: ({ element }) => {
    const box = element.querySelector('input');
    store.ready((table) => { box.closest('label').hidden = table.regimes.length < 2; });
    box.addEventListener('change', () => { all_three = box.checked; draw(store.answer); });
  },
};
