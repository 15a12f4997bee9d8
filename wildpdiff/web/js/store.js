// The page's one state: what is chosen, what is known beforehand, what was answered, and who listens to it.
import { know_regimes } from './format.js';
import { parse } from './links.js';

const ASKED = ['a', 'b', 't', 'm', 'w', 'seed', 'n', 'steps', 'images'];
const whole = (value, low, high) => Math.min(high, Math.max(low, Math.round(Number(value)) || 0));

export const create_store = () => {
  const defaults = { a: '', b: '', t: 0, m: 'H', w: 'ours', seed: 0, n: 1, steps: 50, images: 100, tab: 'play', view: 'umap' };
  const choices = { m: ['L', 'M', 'H'], w: ['ours', 'paper'], steps: [10, 25, 50, 100], images: [15, 32, 64, 100] };
  const listeners = { state: [], answer: [], turn: [], hover: [], table: [], busy: [], rest: [], link: [] };
  let state = { ...defaults }, table = null, answer = null, turn = null, busy = false, hovered = null, admitted = (patch) => patch;
  // The visitor's own backgrounds by the id that the server gave them.
  const own = new Map();

  const on = (kind, listen) => { listeners[kind].push(listen); };
  const emit = (kind, ...values) => listeners[kind].forEach((listen) => listen(...values));
  const place = (name) => own.get(name) || (table && table.places.find((known) => known.name === name)) || null;

  // A copy of a state in which every value is one that the page knows.
  const clean = (wanted) => {
    const made = { ...wanted };
    for (const [key, known] of Object.entries(choices)) if (!known.includes(made[key])) made[key] = defaults[key];
    for (const side of ['a', 'b']) if (table && !place(made[side])) made[side] = defaults[side];
    made.t = Math.round(Math.min(1, Math.max(0, Number(made.t) || 0)) * 100) / 100;
    made.seed = whole(made.seed, 0, 2 ** 31 - 1);
    made.n = whole(made.n, 1, 16);
    return made;
  };

  // Change the state. Its listeners learn whether the change needs a new answer, and whether one is wanted now.
  const set = (patch, { live = true } = {}) => {
    const next = clean({ ...state, ...admitted(patch, state) });
    const changed = Object.keys(next).filter((key) => next[key] !== state[key]);
    if (!changed.length) return;
    state = next;
    const asked = changed.some((key) => ASKED.includes(key));
    if (asked) { answer = null; turn = null; }
    emit('state', { ...state }, { asked, live: asked && live });
  };
  // Tell of the same state again, as when it is to be answered anew.
  const repeat = () => { answer = null; turn = null; emit('state', { ...state }, { asked: true, live: true }); };

  // What the page calls A or B, whether the two are one, and how the whole setting is called: A → B, 0.50.
  const named = (name) => (own.get(name) || { title: name }).title;
  const same = ({ a, b }) => a === b;
  const title = (wanted) => (same(wanted) ? named(wanted.a) : `${named(wanted.a)} → ${named(wanted.b)}, ${wanted.t.toFixed(2)}`);
  const seen = (name) => { const known = place(name); return known && known.kind === 'seen' ? known : null; };

  // Put a background of the visitor's own into the bar as A or B.
  const use = (side, given) => { own.set(given.name, given); set({ [side]: given.name }); };
  // Forget one; where it stood, the first locations stand again.
  const forget = (name) => { if (own.delete(name)) set({}); };

  // The precomputed table arrives once; with it the state of the link, if there is one.
  const open_table = (given, search = '') => {
    if (table || !given) return;
    table = given;
    defaults.a = table.places[0].name;
    defaults.b = (table.places[1] || table.places[0]).name;
    defaults.m = table.regime;
    choices.m = table.regimes;
    choices.w = table.ways;
    if (table.tabs) choices.tab = table.tabs;
    know_regimes(table.about);
    const names = table.places.map((known) => known.name);
    const link = parse(search, { ...choices, a: names, b: names });
    state = clean({ ...state, ...defaults, ...link.state });
    emit('table', table);
    emit('state', { ...state }, { asked: false, live: false });
    emit('link', link);
  };

  // How many photographs of a location the stored counts are of; a small set has fewer than were asked for.
  const of = (name) => (table.photographs || {})[name] || table.images;

  // Counts known beforehand for a state: at A and at B, and whether they are of this very seed and number of steps.
  const known = (wanted = state) => {
    const { a, b, m, w } = wanted, curves = table && table.curves && table.curves[m];
    if (!curves) return null;
    const alone = same(wanted), pair = alone ? Object.keys(curves).find((key) => key.split('+').includes(a)) : null;
    const [key, turned] = pair ? [pair, pair.split('+')[0] !== a] : curves[`${a}+${b}`] ? [`${a}+${b}`, false] : [`${b}+${a}`, true];
    if (!curves[key]) return null;
    const weights = table.weights, last = weights.length - 1;
    const t = alone ? 0 : wanted.t, at = weights.findIndex((weight) => Math.abs(weight - (turned ? 1 - t : t)) < 1e-6);
    const series = (way) => {
      const found = curves[key][way];
      if (!found) return null;
      const both = turned ? [[...found[1]].reverse(), [...found[0]].reverse()] : found;
      return alone ? [weights.map(() => both[0][0]), weights.map(() => both[0][0])] : both;
    };
    const mine = series(w), index = turned ? last - at : at;
    const exact = wanted.seed === table.seed && wanted.n === 1 && wanted.steps === table.steps;
    return { weights, of: alone ? [of(a), of(a)] : [of(a), of(b)], exact, own: mine, ensemble: series('weights'), at: at < 0 || !mine ? null : mine.map((one) => one[index]) };
  };

  // What was measured of a location in a regime when the bundle was made.
  const figures = (m, name) => ((table.known || {})[m] || {})[name] || {};

  return {
    on, emit, set, repeat, place, named, same, title, of, use, forget, open_table, known, figures, defaults, choices,
    get state() { return { ...state }; },
    get table() { return table; },
    get answer() { return answer; },
    // How far the turn of the answer is that was asked for, if it takes long.
    get turn() { return turn; },
    get busy() { return busy; },
    // The visitor's own backgrounds.
    get own() { return [...own.values()]; },
    is_own: (name) => own.has(name),
    colour: (name) => { const found = seen(name); return found ? `var(--place-${found.index})` : 'var(--ink)'; },
    shape: (name) => { const found = seen(name); return found ? table.shapes[found.index] : 'star-diamond'; },
    hover: (name) => { if (name !== hovered) { hovered = name; emit('hover', name); } },
    // Let a function take out of every change what it does not admit.
    guard: (admit) => { admitted = admit; },
    // Call a function when the table is there.
    ready: (call) => { if (table) call(table); else on('table', call); },
    set_busy: (now) => { if (now !== busy) { busy = now; emit('busy', busy); } },
    set_turn: (given) => { turn = given; emit('turn', turn); },
    set_answer: (given) => { answer = given; turn = null; emit('answer', answer); },
  };
};

export const store = create_store();
