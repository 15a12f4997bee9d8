// The tab Probe: the form of a sweep, its table, the pinned runs, and the code of the present state.
import { make, toast } from './dom.js';
import { counted, percent, regime } from './format.js';
import { on_refused } from './refused.js';
import { store } from './store.js';

const QUARTERS = [0, 0.25, 0.5, 0.75, 1], TENTHS = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];
const WAYS = { ours: 'ours', paper: "paper's" };
const SHOWN = 200, PAUSE = 250;
// The sweep of the form as a command line, as soon as it has a price.
let command = '';
// A group of native radio buttons or check boxes; `choices` are [value, text, mark].
const group = (legend, type, name, choices, chosen, look) => {
  const box = make('div', { className: 'choices' }), made = make('fieldset', { className: look }, make('legend', {}, legend), box);
  const fill = (given, held) => box.replaceChildren(...given.map(([value, text, mark]) => {
    const input = make('input', { type, name, value: String(value), checked: held.includes(String(value)) });
    return make('label', {}, input, make('span', {}, ...(mark ? [mark] : []), text));
  }));
  fill(choices, chosen.map(String));
  const values = () => [...box.querySelectorAll('input:checked')].map((input) => input.value);
  return { made, values, fill };
};
const dot = (place) => {
  const mark = make('i', { className: 'probe-dot' });
  mark.dataset.seen = place.seen ? 'yes' : 'no';
  if (place.seen) mark.style.setProperty('--own', `var(--place-${place.index})`);
  return mark;
};
const number = (text, id, value, low, high, hint) => {
  const input = make('input', { type: 'number', id, value, min: low, max: high, step: 1, inputMode: 'numeric' });
  return { made: make('label', { className: 'probe-number' }, make('span', {}, text), input, make('small', {}, hint)), input };
};

const builder = ({ element, props, trigger, watch }) => {
  const find = (selector) => element.querySelector(selector);
  const form = find('form'), fields = find('.probe-fields'), run = find('.probe-run'), stop = find('.probe-stop');
  const price = find('.probe-price'), said = find('.probe-said'), bar = find('progress'), under = find('.probe-under');
  const state = () => store.state, usual = props.regimes.includes(state().m) ? state().m : props.regimes[props.regimes.length - 1];
  let busy = false, ok = false, stamp = 0, waiting = 0, asked = false, sent = false;

  const which = group('Pairs', 'radio', 'probe-which', [['present', 'the bar’s A and B'], ['all', 'all pairs of …']], ['present'], 'segments');
  const names = props.places.slice(0, 3).map((place) => place.name);
  const places = group('Locations', 'checkbox', 'probe-place', props.places.map((place) => [place.name, place.name, dot(place)]), names, 'probe-chips');
  const pair = make('p', { className: 'probe-pair' });
  const grid = group('Blend weights', 'radio', 'probe-grid', [['quarters', 'quarters'], ['tenths', 'every 0.1']], ['quarters'], 'segments');
  const weights = group('Weights', 'checkbox', 'probe-weight', QUARTERS.map((value) => [value, String(value)]), QUARTERS, 'probe-chips is-bare');
  const regimes = group('Similarity', 'checkbox', 'probe-regime', props.regimes.map((name) => [name, regime(name)]), [usual], 'probe-chips');
  const ways = group('Blending', 'checkbox', 'probe-way', Object.entries(WAYS).filter(([name]) => props.ways.includes(name)), ['ours'], 'probe-chips');
  const images = group('Photographs of each location', 'radio', 'probe-images', [32, 64, 100].map((value) => [value, value]), [64], 'segments');
  const steps = group('DDIM steps', 'radio', 'probe-steps', [10, 25, 50, 100].map((value) => [value, value]), [50], 'segments');
  const seeds = number('Seeds', 'probe-seeds', 2, 1, 16, '1 to 16 adapters of each');
  const first = number('First seed', 'probe-first', 0, 0, 2 ** 31 - 17, 'the next ones count up');
  const box = (look, ...inside) => make('div', { className: `probe-field ${look}` }, ...inside);
  fields.replaceChildren(
    box('is-wide', which.made, pair, places.made), box('is-wide', grid.made, weights.made),
    box('', regimes.made), box('', ways.made), box('is-numbers', seeds.made, first.made), box('', images.made), box('', steps.made),
  );

  const pairs = () => {
    if (which.values()[0] === 'present') return [[state().a, state().b]];
    const chosen = places.values();
    return chosen.flatMap((a, at) => chosen.slice(at + 1).map((b) => [a, b]));
  };
  const sweep = () => ({
    pairs: pairs(), weights: weights.values().map(Number), seeds: Number(seeds.input.value || NaN), seed: Number(first.input.value || NaN),
    regimes: regimes.values(), ways: ways.values(), images: Number(images.values()[0]), steps: Number(steps.values()[0]),
  });
  // What can be told without the server.
  const problem = () => {
    const { a, b } = state(), present = which.values()[0] === 'present';
    if (present && (store.is_own(a) || store.is_own(b))) return 'A picture of your own has no labelled photographs to count on; choose two named locations.';
    if (present && a === b) return 'A and B are the same location; choose another one, or all pairs of some locations.';
    if (!pairs().length) return 'Choose at least two locations.';
    if (!weights.values().length) return 'Choose at least one blend weight.';
    if (!regimes.values().length) return 'Choose at least one similarity.';
    if (!ways.values().length) return 'Choose at least one way of blending.';
    if (![seeds.input, first.input].every((input) => input.value !== '' && input.checkValidity())) return 'Seeds are whole numbers: 1 to 16 of them, the first one from 0 on.';
    return '';
  };
  const enable = () => { run.disabled = busy || !ok; stop.disabled = !busy; form.dataset.state = busy ? 'busy' : 'idle'; };
  const tell = (text, bad) => { price.textContent = text; price.classList.toggle('is-problem', bad); };
  // One question at a time: an answer to an older form asks anew.
  const send = () => {
    if (sent) return;
    sent = true;
    trigger('price', { sweep: sweep(), stamp });
  };
  const ask = () => {
    const wrong = problem();
    clearTimeout(waiting);
    ok = false;
    asked = element.offsetParent !== null;
    stamp += 1;
    const { a, b } = state();
    pair.textContent = which.values()[0] === 'present' ? `${store.named(a)} – ${store.named(b)}` : `${pairs().length} pairs`;
    places.made.hidden = which.values()[0] === 'present';
    if (wrong) tell(wrong, true);
    else if (asked) waiting = setTimeout(send, PAUSE);
    enable();
  };
  grid.made.addEventListener('change', () => {
    const given = grid.values()[0] === 'tenths' ? TENTHS : QUARTERS;
    weights.fill(given.map((value) => [value, String(value)]), given.map(String));
  });
  form.addEventListener('change', ask);
  form.addEventListener('input', (event) => { if (event.target.type === 'number') ask(); });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (run.disabled) return;
    busy = true;
    show({ state: 'waiting', text: 'Waiting for its turn: one sweep runs at a time.', done: 0, total: 0 });
    trigger('begin', { sweep: sweep() });
  });
  on_refused(({ event_data: sent }, text) => { if (sent && sent.sweep && !('stamp' in sent)) show({ state: 'failed', text, done: 0, total: 0 }); });
  stop.addEventListener('click', () => {
    stop.disabled = true;
    said.textContent = 'Stopping after the present adapter …';
    trigger('halt');
  });
  const show = (given) => {
    busy = ['waiting', 'preparing', 'running'].includes(given.state);
    const counted = given.total > 0 && given.state !== 'preparing';
    under.hidden = given.state === 'failed' && !given.done;
    if (counted) { bar.max = given.total; bar.value = given.done; } else bar.removeAttribute('value');
    if (!busy || !said.textContent.startsWith('Stopping')) said.textContent = given.text;
    said.classList.toggle('is-problem', given.state === 'failed');
    form.dataset.stage = given.state;
    const stopping = busy && said.textContent.startsWith('Stopping');
    enable();
    if (stopping) stop.disabled = true;
  };
  watch('price', () => {
    sent = false;
    if (!props.price) return;
    if (props.price.stamp !== stamp) { if (!problem()) send(); return; }
    ok = props.price.ok;
    tell(props.price.text, !ok);
    if (ok) command = props.price.command;
    document.dispatchEvent(new CustomEvent('wpd-sweep'));
    enable();
  });
  watch('progress', () => { if (props.progress) show(props.progress); });
  let before = '';
  const follow = (now) => {
    const mine = `${now.a} ${now.b}`;
    if (mine !== before) { before = mine; if (which.values()[0] === 'present') ask(); }
  };
  // Nobody needs the price of a tab that is not open.
  new IntersectionObserver(() => { if (!asked && element.offsetParent !== null) ask(); }).observe(element);
  store.on('state', follow);
  store.ready(() => { follow(store.state); });
  ask();
};

// Columns of the table: heading, what it means, text of a row, what to sort by, and whether it is a number.
const told = (value, digits) => (value === null ? '–' : value.toFixed(digits));
const COLUMNS = [
  ['Weight', 'blend weight: 0 is A, 1 is B', (row) => told(row.weight, 2), (row) => row.weight, true],
  ['Similarity', 'of the zoo that the generator learned from', (row) => regime(row.regime), (row) => store.table.regimes.indexOf(row.regime), false],
  ['Blending', 'how the middle is written', (row) => WAYS[row.way], (row) => row.way, false],
  ['Seed', 'of its noise', (row) => String(row.seed), (row) => row.seed, true],
  ['At A', 'photographs of A named correctly; hover for the 95% interval', (row, all) => share(row, all, 'a'), (row) => row.right_a, true],
  ['At B', 'photographs of B named correctly; hover for the 95% interval', (row, all) => share(row, all, 'b'), (row) => row.right_b, true],
  ['Weaker', 'accuracy at the weaker of both', (row, all) => percent(Math.min(row.right_a, row.right_b) / all.images), (row) => Math.min(row.right_a, row.right_b), true],
  ['Cosine A', 'with the mean fine-tuned adapter of A', (row) => told(row.cosine_a, 3), (row) => row.cosine_a, true],
  ['Cosine B', 'with the mean fine-tuned adapter of B', (row) => told(row.cosine_b, 3), (row) => row.cosine_b, true],
  ['Nearest checkpoint', 'the kept fine-tuned adapter most like it: its location, number, cosine', (row) => `${row.near_location} #${row.near_row} · ${told(row.near_cosine, 4)}`, (row) => row.near_cosine, true],
  ['Distance', 'to that checkpoint', (row) => told(row.near_distance, 2), (row) => row.near_distance, true],
  ['Novelty', '1 − the cosine with the nearest checkpoint', (row) => told(row.novelty, 4), (row) => row.novelty, true],
  ['On the map', 'nearest of the map’s checkpoints and how far it is, approximate', (row) => `${row.map_location} ≈ ${told(row.map_distance, 2)}`, (row) => row.map_distance, true],
  ['Norm', 'length of the adapter', (row) => told(row.norm, 2), (row) => row.norm, true],
];
const share = (row, all, side) => counted(row[`right_${side}`], all.images);
const interval = (row, side) => `95% interval ${percent(row[`low_${side}`])} to ${percent(row[`high_${side}`])}`;

const results = ({ element, props, watch }) => {
  const table = element.querySelector('table'), count = element.querySelector('.probe-count'), notes = element.querySelector('.probe-notes');
  let order = { column: -1, down: false }, rows = [], all = null;

  const put = (row) => {
    store.set({ a: row.a, b: row.b, t: row.weight, m: row.regime, w: row.way, seed: row.seed, n: 1, steps: all.steps, images: all.images });
    const now = store.state, off = Math.abs(now.t - row.weight) > 1e-6;
    const text = `${row.a} with ${row.b} at ${told(row.weight, 2)}, seed ${row.seed}, is in the bar now.`;
    toast(off ? `The bar moves in steps of 0.1: it shows ${told(now.t, 1)} instead of ${told(row.weight, 2)}.` : text);
  };
  const value = (row) => (order.column < 0 ? row.place : COLUMNS[order.column][3](row));
  const sorted = () => [...rows].sort((one, other) => {
    const [a, b] = [value(one), value(other)];
    if (a === null || b === null) return (a === null) - (b === null) || one.place - other.place;
    return (a < b ? -1 : a > b ? 1 : 0) * (order.down ? -1 : 1) || one.place - other.place;
  });
  const sort = (column) => {
    order = order.column === column ? { column, down: !order.down } : { column, down: column >= 4 };
    draw();
    table.querySelectorAll('thead button')[column + 1].focus();
  };
  const heading = (column) => {
    const [text, title, , , numeric] = column < 0 ? ['Pair', 'in the order of the sweep', null, null, false] : COLUMNS[column];
    const now = rows.length > 0 && order.column === column, button = make('button', { type: 'button', title }, text, make('i', { ariaHidden: 'true' }, now ? (order.down ? '▾' : '▴') : ''));
    button.addEventListener('click', () => sort(column));
    const made = make('th', { scope: 'col', className: numeric ? 'is-number' : '' }, button);
    made.setAttribute('aria-sort', now ? (order.down ? 'descending' : 'ascending') : 'none');
    return made;
  };
  const line = (row) => {
    const button = make('button', { type: 'button', title: 'Put this setting into the bar' }, `${row.a} – ${row.b}`);
    button.setAttribute('aria-label', `Put ${row.a} with ${row.b} at ${told(row.weight, 2)}, seed ${row.seed}, into the bar`);
    const made = make('tr', {}, make('th', { scope: 'row' }, button));
    COLUMNS.forEach(([, , text, , numeric], at) => {
      const cell = make('td', { className: numeric ? 'is-number' : '' }, text(row, all));
      if (at === 4 || at === 5) cell.title = interval(row, at === 4 ? 'a' : 'b');
      made.append(cell);
    });
    made.addEventListener('click', () => put(row));
    return made;
  };
  // Before the first sweep: what a row looks like, with the stored counts of the present blend, if there are any.
  const example = () => {
    const state = store.state, known = store.known({ ...state, t: 0.5 }), at = known && known.at;
    const cells = ['0.50', regime(state.m), WAYS[state.w], '0', ...(at ? at.map((right, side) => counted(right, known.of[side])) : ['…', '…'])];
    cells.push(at ? percent(Math.min(...at.map((right, side) => right / known.of[side]))) : '…');
    const made = make('tr', { className: 'is-example' }, make('th', { scope: 'row' }, `${state.a} – ${state.b}`));
    made.append(...COLUMNS.map(([, , , , numeric], place) => make('td', { className: numeric ? 'is-number' : '' }, cells[place] || '…')));
    return made;
  };
  const draw = () => {
    const head = make('thead', {}, make('tr', {}, ...[-1, ...COLUMNS.keys()].map(heading)));
    const shown = sorted().slice(0, SHOWN);
    table.replaceChildren(head, make('tbody', {}, ...(rows.length ? shown.map(line) : [example()])));
    count.textContent = rows.length
      ? `${rows.length} adapter${rows.length === 1 ? '' : 's'}, ${all.images} photographs of each location, ${all.steps} DDIM steps${rows.length > SHOWN ? `; the first ${SHOWN} in this order are shown, the files hold all` : ''}.`
      : 'Run your first sweep: each adapter becomes a row like this one, in which only stored counts stand.';
    element.querySelector('.probe-results').dataset.rows = rows.length;
    for (const button of table.querySelectorAll('thead button')) button.disabled = !rows.length;
    notes.replaceChildren(...((all && all.notes) || []).map((text) => make('li', {}, text)));
  };
  const take = () => {
    const given = props.value;
    if (!given || !given.rows) return;
    all = given;
    rows = given.rows.map((values, place) => ({ place, ...Object.fromEntries(given.columns.map((name, at) => [name, values[at]])) }));
    draw();
  };
  watch('value', take);
  store.on('state', () => { if (!rows.length) draw(); });
  store.ready(() => { if (!rows.length) draw(); });
  take();
};

const pins = ({ element, props, trigger, watch }) => {
  const pin = element.querySelector('.probe-pin'), list = element.querySelector('.probe-pinned'), text = element.querySelector('.probe-compared');
  const hint = element.querySelector('.probe-pin-hint');
  pin.addEventListener('click', () => trigger('pin'));
  const show = () => {
    const { runs = [], text: words = '' } = props.value || {};
    pin.disabled = !props.ready;
    hint.textContent = !props.ready ? 'There is no finished run to pin yet.' : runs.length === 2 ? 'A third run replaces the older pin.' : '';
    list.replaceChildren(...runs.map((name, place) => {
      const button = make('button', { type: 'button', className: 'quiet' }, 'Unpin');
      button.setAttribute('aria-label', `Unpin run ${place + 1}: ${name}`);
      button.addEventListener('click', () => trigger('unpin', { place }));
      return make('li', {}, make('b', {}, place ? 'Second' : 'First'), make('span', {}, name), button);
    }));
    text.textContent = words;
    element.querySelector('.probe-pins').dataset.runs = runs.length;
  };
  watch(['value', 'ready'], show);
  show();
};

const code = ({ element, props, trigger, watch }) => {
  const said = element.querySelector('.probe-said'), texts = { python: '', command: '', sweep: '' };
  let waiting = 0, stamp = 0, sent = false;
  const show = () => {
    for (const [kind, text] of Object.entries(texts)) {
      element.querySelector(`[data-code="${kind}"]`).textContent = text;
      element.querySelector(`[data-copy="${kind}"]`).disabled = !text;
    }
    element.querySelector('.probe-code').dataset.ready = texts.python ? 'yes' : 'no';
  };
  // Where the clipboard is closed to scripts, the text is marked so that one key copies it.
  const mark = (kind) => {
    getSelection().selectAllChildren(element.querySelector(`[data-code="${kind}"]`));
    said.textContent = 'The text is marked; copy it with Ctrl+C.';
  };
  for (const button of element.querySelectorAll('[data-copy]'))
    button.addEventListener('click', async () => {
      const kind = button.dataset.copy;
      try {
        await navigator.clipboard.writeText(texts[kind]);
        said.textContent = 'Copied.';
      } catch { mark(kind); }
    });
  const send = () => {
    if (sent) return;
    sent = true;
    trigger('code', { state: store.state, stamp });
  };
  const ask = () => { clearTimeout(waiting); stamp += 1; said.textContent = ''; waiting = setTimeout(send, 2 * PAUSE); };
  watch('value', () => {
    const given = props.value || {};
    sent = false;
    if (given.stamp !== stamp) { send(); return; }
    texts.python = given.python || '';
    texts.command = given.command || '';
    said.textContent = given.problem || '';
    show();
  });
  document.addEventListener('wpd-sweep', () => { texts.sweep = command || ''; show(); });
  // Nobody needs the code of a tab that is not open.
  let fresh = false;
  const here = () => element.offsetParent !== null;
  const look = () => { if (here() && !fresh) { fresh = true; ask(); } };
  store.on('state', () => { fresh = false; look(); });
  store.ready(look);
  new IntersectionObserver(look).observe(element);
  show();
};

export const panels = { probe_builder: builder, probe_results: results, probe_pins: pins, probe_code: code };
