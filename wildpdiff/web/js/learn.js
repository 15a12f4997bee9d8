// The tab Learn: buttons that set the state and point, questions that reveal their answer, one table of three.
import { point, when } from './dom.js';
import { help } from './keys.js';
import { store } from './store.js';
import { open } from './tabs.js';

// An element once it can be seen, and its chart is drawn.
const shown = (id) => {
  const found = document.getElementById(id);
  return found && found.getClientRects().length && !found.querySelector('.chart-node[data-drawn="no"]') ? found : null;
};

// While a page is still being laid out, what was scrolled to moves away; look again unless the visitor has scrolled.
let scrolled = 0;
const point_again = (id) => {
  const before = scrolled;
  point(id);
  setTimeout(() => {
    const found = shown(id), box = found && found.getBoundingClientRect(), middle = box && box.top + box.height / 2;
    if (found && scrolled === before && (middle < 0.2 * window.innerHeight || middle > 0.75 * window.innerHeight)) point(id);
  }, 1400);
};

// Set a state, open a tab, and point at an element as soon as it is on the page.
export const visit = ({ state = {}, tab = 'play', point: id = '' }) => {
  store.set(state, { live: true });
  open(tab);
  if (id) setTimeout(() => when(() => shown(id), () => point_again(id), 100), 60);
};

// Write the answer below a question; a guess comes first. Says whether it did.
export const reveal = (box) => {
  const answer = box.querySelector('.answer'), labels = [...box.querySelectorAll('label')];
  const guess = labels.findIndex((label) => label.querySelector('input').checked), right = Number(box.dataset.right);
  if (guess < 0) { answer.textContent = 'Choose first; a guess is enough.'; return false; }
  labels.forEach((label, place) => label.classList.toggle('is-right', place === right));
  box.dataset.revealed = guess === right ? 'right' : 'other';
  answer.textContent = `${guess === right ? 'Yes.' : 'No.'} ${answer.dataset.answer}`;
  return true;
};

export const start = () => {
  for (const kind of ['wheel', 'touchmove', 'keydown']) document.addEventListener(kind, () => { scrolled += 1; }, { passive: true, capture: true });
  document.addEventListener('click', (event) => {
    const button = event.target.closest ? event.target.closest('[data-try], [data-reveal], [data-help]') : null;
    if (!button) return;
    if (button.dataset.try) visit(JSON.parse(button.dataset.try));
    else if ('reveal' in button.dataset) reveal(button.closest('.guess'));
    else help();
  });
  document.addEventListener('change', (event) => {
    if (!event.target.matches || !event.target.matches('input[name=beside]')) return;
    for (const part of event.target.closest('.switched').querySelectorAll('[data-regime]')) part.hidden = part.dataset.regime !== event.target.value;
  });
};
