// p-diff: choose a stored system, sample networks of it live, and see what changes; asks nothing until the tab opens.
import { charts } from './chart.js';
import { make, radios } from './dom.js';
import { counted } from './format.js';
import { on_refused } from './refused.js';

const MOST = 8, LARGEST = 2 ** 31 - 1, WAY = 'way of the sample', MAP = 'pdiff-map';

// What is wrong with a count and a seed as typed; nothing if they can be sampled.
export const wrong = (count, seed) => {
  if (!/^\d+$/.test(count) || Number(count) < 1 || Number(count) > MOST) return `Between 1 and ${MOST} networks can be sampled at once; write a whole number.`;
  if (!/^\d+$/.test(seed) || Number(seed) > LARGEST) return `The seed must be a whole number from 0 to ${LARGEST}.`;
  return '';
};

// The seed after those that were sampled; after the largest it begins again.
export const next_seed = (seed, count) => (seed + count + count - 1 > LARGEST ? 0 : seed + count);

// What a sample changed, in a sentence.
export const change_words = ({ gained, lost, all, shown }) => {
  if (!all) return 'It gives the base network’s answer to every test picture.';
  const rest = all - gained - lost;
  const parts = [`${gained} that only it names correctly`, `${lost} that only the base does`];
  if (rest) parts.push(`${rest} that both name wrongly`);
  const more = shown.length < all ? ` The first ${shown.length} are shown.` : '';
  return `Another answer to ${all} picture${all === 1 ? '' : 's'}: ${parts.join(', ')}.${more}`;
};

// Grey bytes in base64 as the RGBA of a canvas.
export const rgba = (text) => {
  const grey = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)), made = new Uint8ClampedArray(4 * grey.length);
  grey.forEach((value, at) => made.set([value, value, value, 255], 4 * at));
  return made;
};

// The map with the way of one sample, [step, x, y] each; what was drawn before stays as it was.
export const with_way = (map, way) => ({
  ...map,
  data: map.data.map((trace) => (trace.name === WAY ? { ...trace, customdata: way.map(([step]) => step), x: way.map(([, x]) => x), y: way.map(([, , y]) => y) } : trace)),
});

const digit = (size, text, truth) => {
  const canvas = make('canvas', { width: size, height: size, role: 'img', 'aria-label': `Handwritten digit ${truth}` });
  canvas.getContext('2d').putImageData(new ImageData(rgba(text), size, size), 0, 0);
  return canvas;
};

const answer = (who, said, truth) => {
  const right = said === truth;
  return make('span', right ? 'is-right' : 'is-wrong', `${who} ${said} ${right ? '✓' : '✗'}`);
};

const panel = ({ element: root, props, trigger, watch }) => {
  const find = (selector) => root.querySelector(selector);
  const box = find('.pdiff'), choice = find('#pdiff-system'), count = find('#pdiff-count'), seed = find('#pdiff-seed');
  const run = find('#pdiff-run'), next = find('#pdiff-next'), status = find('.pdiff-status');
  let stamp = 0, figures = null, changes = null, samples = [], which = 0, running = false;

  const mark = () => { stamp = Math.max(Date.now(), stamp + 1); return stamp; };
  const stage = (name, text) => { box.dataset.stage = name; status.textContent = text; };
  const buttons = () => { run.disabled = next.disabled = choice.disabled || running; };

  const show = (name) => { if (figures && charts[name]) charts[name].show({ ...figures[name], stage: box.dataset.stage }); };
  const tile = (sample) => make('li', {}, make('small', {}, `seed ${sample.seed}, live`), make('b', {}, counted(sample.right, sample.total)), make('small', {}, `likeness ${sample.likeness.toFixed(2)}`));

  const see = () => {
    const page = document.querySelector('#pdiff-changed'), own = page && page.querySelector('.pdiff-digits');
    if (!own) return;
    const told = page.querySelector('.pdiff-told'), choice_box = page.querySelector('.pdiff-which'), picks = choice_box.querySelector('.choices');
    choice_box.hidden = !changes;
    if (!changes) { own.replaceChildren(); picks.replaceChildren(); told.textContent = 'Sample, and the pictures appear here.'; return; }
    const found = changes.samples[which];
    const pick = radios('pdiff-which', samples.map((sample, at) => [String(at), String(sample.seed), `seed ${sample.seed}`]), (value) => { which = Number(value); see(); trace(); });
    if (picks.children.length !== pick.length || picks.dataset.first !== String(samples[0].seed)) picks.replaceChildren(...pick);
    picks.dataset.first = samples[0].seed;
    picks.querySelectorAll('input').forEach((input, at) => { input.checked = at === which; });
    told.textContent = `Live, seed ${samples[which].seed}. ${change_words(found)}`;
    own.replaceChildren(...found.shown.map(([at, truth, before, now]) => make('figure', {}, digit(changes.size, changes.pixels[at], truth), make('figcaption', {}, answer('base', before, truth), answer('sample', now, truth)))));
  };

  const trace = () => {
    if (!samples[which] || !samples[which].way.length) return;
    figures[MAP] = with_way(figures[MAP], samples[which].way);
    show(MAP);
  };
  const take = (message) => {
    figures = { ...figures, ...message.figures };
    Object.keys(message.figures).forEach(show);
    if (which) trace();
  };
  const stored = (message) => {
    if (message.choices) choice.replaceChildren(...message.choices.map((one) => new Option(one.title, one.name)));
    choice.disabled = false;
    choice.value = message.system;
    find('.pdiff-about').textContent = message.about;
    find('.pdiff-stored').textContent = message.said;
    find('.pdiff-tiles').replaceChildren();
    changes = null;
    samples = [];
    stage('stored', 'Nothing is sampled yet.');
    see();
    take(message);
  };
  const live = (message) => {
    samples = message.samples;
    if (message.changed) { changes = message.changed; which = 0; see(); }
    find('.pdiff-tiles').replaceChildren(...samples.map(tile));
    stage(message.stage, message.said);
    take(message);
  };

  const start = () => {
    const problem = wrong(count.value.trim(), seed.value.trim());
    if (problem) { stage('failed', problem); return; }
    running = true;
    buttons();
    stage('waiting', 'Sampling …');
    const wish = { stamp: mark(), system: choice.value, count: Number(count.value), seed: Number(seed.value) };
    trigger('note', { stamp: wish.stamp });
    trigger('run', wish);
  };
  run.addEventListener('click', start);
  next.addEventListener('click', () => { seed.value = next_seed(Number(seed.value) || 0, Number(count.value) || 1); start(); });
  for (const field of [count, seed]) field.addEventListener('keydown', (event) => { if (event.key === 'Enter' && !run.disabled) start(); });
  choice.addEventListener('change', () => {
    const wanted = mark();
    running = false;
    stage('waiting', 'Reading what is stored …');
    trigger('note', { stamp: wanted });
    trigger('choose', { stamp: wanted, system: choice.value });
  });
  document.addEventListener('chart-ready', (event) => show(event.detail));

  const receive = (message) => {
    if (!message || message.stamp !== stamp) return;
    if (message.stage === 'failed') { running = false; stage('failed', message.problem); }
    else if (message.stage === 'stored') stored(message);
    else live(message);
    if (message.stage === 'done') running = false;
    buttons();
  };
  watch('value', () => receive(props.value ? JSON.parse(props.value) : null));
  on_refused(({ event_data: sent }, problem) => receive(sent && { stamp: sent.stamp, stage: 'failed', problem }));
  trigger('choices', { stamp: mark() });
};

export const panels = { pdiff: panel };
