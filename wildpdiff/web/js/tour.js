// The guided tour: a box at the bottom that is no modal; every step sets the state and points at what it speaks of.
import { make, when } from './dom.js';
import { reveal, visit } from './learn.js';
import { end_tour } from './lesson.js';
import { share } from './share.js';
import { store } from './store.js';

let box = null, steps = [], at = 0, before = null;

const all = () => { const found = document.getElementById('tours'); try { return found ? JSON.parse(found.dataset.tours) : {}; } catch { return {}; } };
const go = (state, step) => visit({ state, tab: step.tab, point: step.point });

const question = (step) => {
  const { question: asked } = step;
  const choices = asked.choices.map((choice, place) => make('label', {}, make('input', { type: 'radio', name: 'guess-tour', value: place }), ` ${choice}`));
  const door = make('button', { type: 'button', className: 'quiet' }, 'Reveal');
  const part = make('div', { className: 'guess' }, make('fieldset', {}, make('legend', {}, asked.text), ...choices), door, make('p', { className: 'answer', role: 'status' }));
  part.dataset.right = asked.right;
  part.querySelector('.answer').dataset.answer = asked.answer;
  door.addEventListener('click', () => { if (reveal(part)) { room(); go(step.then, { ...step, point: 'curve' }); } });
  return part;
};

// What is pointed at comes to rest between the bar, where that stays in view, and the box.
const room = () => {
  const bar = document.getElementById('bar'), frame = document.getElementById('frame'), root = document.documentElement.style;
  const stays = box && bar && frame && getComputedStyle(frame).position === 'sticky';
  root.scrollPaddingTop = stays ? `${bar.offsetHeight + 12}px` : '';
  root.scrollPaddingBottom = document.body.style.paddingBottom = box ? `${box.offsetHeight + 24}px` : '';
};

const button = (text, call, given = {}) => {
  const made = make('button', { type: 'button', className: 'quiet', ...given }, text);
  made.addEventListener('click', call);
  return made;
};

const show = () => {
  const step = steps[at], last = at === steps.length - 1;
  const doors = make('p', { className: 'tour-doors' },
    button('Back', () => move(-1), { disabled: at === 0 }),
    last ? button('Finish', close, { className: 'primary' }) : button('Next', () => move(1), { className: 'primary' }),
    ...(step.share ? [button('Share', () => share())] : []));
  const head = make('header', {}, make('h2', {}, step.title), make('span', {}, `step ${at + 1} of ${steps.length}`), button('✕', close, { 'aria-label': 'Close the tour' }));
  const text = make('div', { className: 'tour-text', 'aria-live': 'polite' }, make('p', {}, step.text));
  box.replaceChildren(head, text, ...(step.question ? [question(step)] : []), doors);
  box.setAttribute('aria-label', `Guided tour, step ${at + 1} of ${steps.length}`);
  doors.querySelector('.primary').focus({ preventScroll: true });
  room();
  go(step.state, step);
};

const move = (by) => { at = Math.min(steps.length - 1, Math.max(0, at + by)); show(); };
const clear = () => { if (box) box.remove(); box = null; };
const close = () => {
  if (!box) return;
  const inside = box.contains(document.activeElement);
  clear();
  delete document.body.dataset.touring;
  room();
  end_tour();
  if (inside && before && before.isConnected) before.focus({ preventScroll: true });
};

const begin = (name) => {
  const found = all()[name];
  if (!found) return;
  clear();
  before = document.activeElement;
  [steps, at] = [found, 0];
  box = make('section', { className: 'tour', id: 'tour' });
  document.body.append(box);
  document.body.dataset.touring = name;
  show();
};

export const start = () => {
  document.addEventListener('click', (event) => {
    const found = event.target.closest && event.target.closest('[data-tour]');
    if (found) begin(found.dataset.tour);
  });
  store.on('link', ({ tour }) => { if (tour) when(() => all()[tour], () => begin(tour)); });
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && box && !document.querySelector('dialog[open]')) { close(); event.stopPropagation(); }
  }, true);
};
