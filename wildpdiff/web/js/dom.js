// Elements of the page: how they are made, the dialogs, the passing notes, and pointing at one of them.

const filled = (made, given) => {
  const known = typeof given === 'string' ? { className: given } : given;
  for (const [key, value] of Object.entries(known)) if (key in made) made[key] = value; else made.setAttribute(key, value);
  return made;
};

// An element: a class name, or properties where it has them and attributes where not; then children.
export const make = (tag, given = {}, ...inside) => {
  const made = filled(document.createElement(tag), given);
  made.append(...inside);
  return made;
};

// A part of a drawing: attributes, then text.
export const draw = (tag, given = {}, text) => {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [key, value] of Object.entries(given)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
};

// Native radio buttons of one name, each in its label; `choices` are [value, text, title].
export const radios = (name, choices, chosen) => choices.map(([value, text, title]) => {
  const input = make('input', { type: 'radio', name, value });
  input.addEventListener('change', () => chosen(value));
  return make('label', title === undefined ? {} : { title }, input, make('span', {}, text));
});

// A native dialog with a heading and a Close button; it goes when it is closed.
export const dialog = (id, heading, ...inside) => {
  const old = document.getElementById(id);
  if (old) old.remove();
  const close = make('button', { type: 'button', className: 'quiet', 'aria-label': 'Close' }, '✕');
  const head = make('header', {}, make('h2', { id: `${id}-title` }, heading), close);
  const made = make('dialog', { id, className: 'sheet', 'aria-labelledby': `${id}-title` }, head, ...inside);
  close.addEventListener('click', () => made.close());
  made.addEventListener('click', (event) => { if (event.target === made) made.close(); });
  made.addEventListener('close', () => made.remove());
  document.body.append(made);
  made.showModal();
  return made;
};

// A note that passes by itself; `kind` is note or problem.
let toasts = null;
export const toast = (text, kind = 'note') => {
  if (!toasts) {
    toasts = make('div', { className: 'toasts', role: 'status' });
    document.body.append(toasts);
  }
  const made = make('p', `toast is-${kind}`, text);
  toasts.append(made);
  setTimeout(() => made.remove(), 8000);
};

// Scroll to an element and stress it for a moment.
export const point = (id) => {
  const found = document.getElementById(id);
  if (!found) return;
  const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
  found.scrollIntoView({ block: 'center', behavior: calm ? 'auto' : 'smooth' });
  found.classList.add('is-pointed');
  setTimeout(() => found.classList.remove('is-pointed'), 2600);
};

// Call with what is found as soon as there is something: a tab of the page is there once Gradio has mounted it.
export const when = (found, call, tries = 200) => {
  const there = found();
  if (there) call(there); else if (tries) setTimeout(() => when(found, call, tries - 1), 50);
};
