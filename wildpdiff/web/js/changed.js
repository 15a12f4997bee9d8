// What changed: photographs whose prediction flips when the adapter goes in; filters, and one of them large.
import { at_rest } from './bridge.js';
import { dialog, make } from './dom.js';
import { percent, regime } from './format.js';
import { store } from './store.js';

const KINDS = ['fixed', 'broken', 'still wrong'];
const STROKES = { fixed: 'M2 7.5 5.5 11 12 3', broken: 'M3 3l8 8M11 3l-8 8', 'still wrong': 'M2 5h10M2 9h10M9.5 2l-5 10' };
const ASKED = ['a', 'b', 't', 'm', 'w', 'seed', 'steps', 'images'];
const KEPT = 200, PIXELS = '96 × 96 pixels';
const pictures = new Map();
let root = null, ask = null, shown = null, filter = 'all', problem = '';

const sure_of = (share) => (share > 0.995 ? '>99%' : percent(share));
const some = (count) => (count ? String(count) : 'none');
const sides = (name) => ['a', 'b'].filter((side) => shown.setting[side] === name).map((side) => side.toUpperCase()).join(' and ');
const current = () => Boolean(shown) && ASKED.every((key) => shown.setting[key] === store.state[key]);

// Sentences.
const tally = ({ name, images, counts, after }) => {
  const wrong = counts['still wrong'];
  if (!counts.fixed && !counts.broken && !wrong) return `No prediction changes at ${name}: the adapter names the same ${after.right} of ${images} rightly.`;
  return `At ${name}: ${some(counts.fixed)} of ${images} photographs fixed, ${some(counts.broken)} broken${wrong ? `, ${wrong} still wrong` : ''}`;
};
const share = ({ right, interval: [low, high] }, images) => `${right} of ${images} (95% interval ${Math.round(100 * low)} to ${Math.round(100 * high)}%)`;
const rightly = ({ images, before, after }) => `Named rightly without the adapter: ${share(before, images)}; with it: ${share(after, images)}.`;
const cut = ({ counts, flips }) => {
  const drawn = (kind) => flips.filter((flip) => flip.kind === kind).length;
  const parts = KINDS.filter((kind) => drawn(kind) < counts[kind]).map((kind) => `${drawn(kind)} of ${counts[kind]} ${kind}`);
  return parts.length ? `Pictured: ${parts.join(', ')}; those whose confidence in the truth changed most.` : '';
};
const told = ({ a, b, t, m, w, seed, n }) => {
  const where = a === b ? `of ${store.named(a)}` : `from ${store.named(a)} to ${store.named(b)} at blend ${t.toFixed(2)}`;
  return `the adapter ${where}, ${regime(m).toLowerCase()} similarity${w === 'paper' ? ', the paper’s plain form' : ''}, seed ${seed}${n > 1 ? ` (the first of ${n})` : ''}`;
};
const status = () => {
  if (problem) return problem;
  const answer = store.answer, stage = answer ? answer.stage : '';
  const next = stage === 'done' ? 'The new ones are being compared …' : ['stopped', 'failed'].includes(stage) ? 'The newest answer was not completed.' : 'New ones follow when the slider rests.';
  if (!shown) return stage === 'done' ? 'The photographs are being compared …' : 'The photographs are compared as soon as an answer is complete.';
  return current() ? `For ${told(shown.setting)}.` : `For the setting before: ${told(shown.setting)}. ${next}`;
};

// Figures. A mark is drawn, as no font has all of them.
const mark = (kind) => {
  const made = make('span', { className: 'flip-mark', 'aria-hidden': 'true' });
  made.innerHTML = `<svg viewBox="0 0 14 14" width="11" height="11" fill="none" stroke="currentColor" stroke-width="2.2"><path d="${STROKES[kind]}"/></svg>`;
  return made;
};
const said = (flip) => {
  const line = (name, right, word, sure) => make('div', {}, make('dt', {}, name), make('dd', {},
    mark(right ? 'fixed' : 'broken'), make('span', {}, word), make('b', {}, sure)));
  const truth = make('div', {}, make('dt', {}, 'truth'), make('dd', {}, make('span'), make('strong', {}, flip.truth)));
  return make('dl', { className: 'flip-lines' }, truth,
    line('before', flip.kind === 'broken', flip.before[0], sure_of(flip.before[1])), line('after', flip.kind === 'fixed', flip.after[0], sure_of(flip.after[1])));
};
const badge = (flip) => make('span', { className: 'flip-badge', 'data-kind': flip.kind }, mark(flip.kind), flip.kind);
const alt = (place, flip) => `Photograph ${flip.number} of ${place.name}: ${flip.truth}`;
const fill = (image, key) => {
  const found = (pictures.get(key) || [])[Number(image.dataset.size || 0)];
  if (found && image.getAttribute('src') !== found) image.src = found;
  image.parentElement.classList.toggle('is-blank', !found);
};
const figure = (place, flip) => {
  const image = make('img', { alt: alt(place, flip), 'data-flip': flip.key, width: 288, height: 288, draggable: false });
  const button = make('button', { type: 'button', className: 'flip-open', title: 'Enlarge', 'aria-haspopup': 'dialog' }, image);
  button.addEventListener('click', () => enlarge(place, flip));
  fill(image, flip.key);
  return make('figure', { className: 'flip', 'data-kind': flip.kind }, button, make('figcaption', {}, badge(flip), said(flip)));
};
const section = (place) => {
  const swatch = make('span', { className: 'changed-side' }, sides(place.name));
  swatch.style.setProperty('--own', store.colour(place.name));
  const grid = make('div', { className: 'flips' }, ...place.flips.map((flip) => figure(place, flip)));
  const made = make('section', { className: 'changed-place', 'data-place': place.name }, make('h3', {}, swatch, ' ', tally(place)),
    make('p', { className: 'panel-hint' }, [rightly(place), cut(place)].join(' ')), grid, make('p', { className: 'changed-none', hidden: true }));
  made.querySelector('h3').addEventListener('pointerenter', () => store.hover(place.name));
  made.querySelector('h3').addEventListener('pointerleave', () => store.hover(null));
  return made;
};
const waiting = (name) => make('section', { className: 'changed-place' }, make('h3', {}, `At ${name}`), make('p', { className: 'panel-hint' }, 'Its photographs are being compared …'));
const own = () => ['a', 'b'].filter((side) => store.is_own(shown.setting[side])).map((side) => make('p', { className: 'changed-own' },
  `${side.toUpperCase()} is a picture of your own: there are no labelled photographs of its place, so nothing to compare. Score your own photographs in the tab Unseen.`));

// One of the figures large; the others are a key away.
const enlarge = (place, flip) => {
  const image = make('img', { width: 576, height: 576 }), lines = make('div', { className: 'flip-said' });
  const seen = make('img', { width: 192, height: 192, alt: '', 'data-size': 1 });
  const small = make('figure', { className: 'flip-seen' }, make('div', {}, seen), make('figcaption', {}, `The same in the ${PIXELS} that the classifier sees.`));
  const count = make('span', { className: 'flip-count', role: 'status' });
  const steps = [-1, 1].map((step) => make('button', { type: 'button', className: 'quiet' }, step < 0 ? '← Previous' : 'Next →'));
  const sheet = dialog('flip-dialog', '', make('div', { className: 'flip-body' }, make('div', { className: 'flip-large' }, image), make('div', { className: 'flip-side' }, lines, small)),
    make('div', { className: 'flip-turn' }, steps[0], count, steps[1]));
  let now = flip;
  const others = () => place.flips.filter((one) => one === now || filter === 'all' || one.kind === filter);
  const show = () => {
    const at = others().indexOf(now), all = others().length;
    sheet.querySelector('h2').textContent = `Photograph ${now.number} of ${place.name}`;
    image.alt = alt(place, now);
    image.dataset.flip = now.key;
    fill(image, now.key);
    seen.dataset.flip = now.key;
    fill(seen, now.key);
    lines.replaceChildren(badge(now), said(now));
    count.textContent = `${at + 1} of ${all}`;
    steps.forEach((button, index) => { button.disabled = index ? at === all - 1 : at === 0; });
  };
  const turn = (step) => { const next = others()[others().indexOf(now) + step]; if (next) { now = next; show(); } };
  steps.forEach((button, index) => button.addEventListener('click', () => turn(index ? 1 : -1)));
  sheet.addEventListener('keydown', (event) => {
    event.stopPropagation();
    if (event.key === 'ArrowLeft' || event.key === 'ArrowRight') { event.preventDefault(); turn(event.key === 'ArrowLeft' ? -1 : 1); }
  });
  sheet.addEventListener('close', () => focus(now.key));
  show();
};
const focus = (key) => {
  const image = root.querySelector(`img[data-flip="${CSS.escape(key)}"]`);
  if (image) image.parentElement.focus();
};

// Drawing.
const sift = () => {
  for (const part of root.querySelectorAll('.changed-place')) {
    const figures = [...part.querySelectorAll('.flip')], none = part.querySelector('.changed-none');
    figures.forEach((one) => { one.hidden = filter !== 'all' && one.dataset.kind !== filter; });
    if (!none) continue;
    none.hidden = !figures.length || figures.some((one) => !one.hidden);
    none.textContent = filter === 'all' ? '' : `No photograph of ${part.dataset.place} was ${filter}.`;
  }
};
const tell = () => {
  if (!root) return;
  const line = root.querySelector('.changed-status'), text = status();
  if (line.textContent !== text) line.textContent = text;
  line.classList.toggle('is-problem', Boolean(problem));
  root.classList.toggle('is-before', Boolean(shown) && !current());
  root.dataset.stage = !shown ? 'empty' : !current() ? 'before' : shown.waiting.length ? 'comparing' : 'done';
};
const draw = () => {
  const held = document.activeElement && root.contains(document.activeElement) ? document.activeElement.querySelector('img[data-flip]') : null;
  root.querySelector('.changed-places').replaceChildren(...shown.places.map(section), ...shown.waiting.map(waiting), ...own());
  root.querySelector('.changed-filter').hidden = !shown.places.some((place) => place.flips.length);
  sift();
  tell();
  if (held) focus(held.dataset.flip);
};
const request = () => {
  const keys = shown.places.flatMap((place) => place.flips.map((flip) => flip.key)).filter((key) => !pictures.has(key));
  if (keys.length && ask) ask(keys);
};

const mount = ({ element, props, trigger, watch }) => {
  root = element.querySelector('.changed');
  at_rest(root, () => trigger('compare'));
  for (const radio of root.querySelectorAll('.changed-filter input')) radio.addEventListener('change', () => { filter = radio.value; sift(); });
  for (const text of root.querySelectorAll('[data-mark]')) text.prepend(mark(text.dataset.mark), ' ');
  const take = (value) => {
    problem = value.problem || '';
    if (problem) { tell(); return; }
    shown = value;
    draw();
    if (current()) request();
  };
  const show = () => { if (props.value) take(JSON.parse(props.value)); };
  watch('value', show);
  tell();
  show();
};

// The hidden panel that fetches pictures.
const fetcher = ({ props, trigger, watch }) => {
  ask = (keys) => trigger('draw', { keys });
  if (shown) request();
  const receive = (value) => {
    for (const [key, source] of Object.entries(value.pictures || {})) { pictures.delete(key); pictures.set(key, source); }
    while (pictures.size > KEPT) pictures.delete(pictures.keys().next().value);
    for (const image of document.querySelectorAll('img[data-flip]')) fill(image, image.dataset.flip);
    if (value.problem) { problem = value.problem; tell(); }
  };
  watch('value', () => { if (props.value) receive(JSON.parse(props.value)); });
};

export const start = () => {
  store.on('state', () => { problem = ''; tell(); });
  // Pictures that a newer wish cut off are asked for again once nothing newer comes.
  store.on('answer', (answer) => { tell(); if (['stopped', 'failed'].includes(answer.stage) && shown) request(); });
  store.on('hover', (name) => { if (root) for (const part of root.querySelectorAll('.changed-place')) part.classList.toggle('is-lit', Boolean(name) && part.dataset.place === name); });
};

export const panels = { changed: mount, pictures: fetcher };
