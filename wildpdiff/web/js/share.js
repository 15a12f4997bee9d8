// The dialog Share: a link to the present setting, and a lesson link that hides and locks.
import { dialog, make } from './dom.js';
import { help } from './keys.js';
import { address, on_space, present, zoom_choice } from './lesson.js';
import { HIDE, LOCK } from './links.js';
import { store } from './store.js';

const check = (text, checked, changed) => {
  const box = make('input', { type: 'checkbox', checked });
  box.addEventListener('change', () => changed(box.checked));
  return make('label', {}, box, ` ${text}`);
};

const copy = async (field, said) => {
  field.focus();
  field.select();
  try { await navigator.clipboard.writeText(field.value); said.textContent = 'Copied.'; return; } catch { /* no permission: the old way */ }
  let done = false;
  try { done = document.execCommand('copy'); } catch { done = false; }
  said.textContent = done ? 'Copied.' : 'The link is selected; copy it with Ctrl+C (on a Mac ⌘C).';
};

const options = (names, chosen, legend, changed) => {
  const toggle = (name) => (on) => { changed(on ? [...chosen(), name] : chosen().filter((other) => other !== name)); };
  return make('fieldset', {}, make('legend', {}, legend), ...Object.entries(names).map(([name, text]) => check(text, chosen().includes(name), toggle(name))));
};

const builder = (extras, show) => {
  const set = (patch) => { Object.assign(extras, patch); show(); };
  return make('details', { open: Boolean(extras.hide.length || extras.lock.length) },
    make('summary', {}, 'Make a lesson link'),
    make('p', {}, 'For a class: the page opens at this very setting, with less to get lost in.'),
    options(HIDE, () => extras.hide, 'Hide', (hide) => set({ hide })),
    options(LOCK, () => extras.lock, 'Lock', (lock) => set({ lock })),
    check('Begin with the guided tour (five steps; it cannot move what is locked)', Boolean(extras.tour), (on) => set({ tour: on ? 'valley' : null })),
    zoom_choice(extras.zoom, (zoom) => set({ zoom })));
};

const notes = () => {
  const { a, b } = store.state, found = ['Pictures of your own are never in a link.'];
  if ([a, b].some(store.is_own)) found.push('Whoever opens this one sees a location of ours in its place.');
  if (on_space()) found.push('The address bar of a Space does not follow the page; this link does.');
  return found.join(' ');
};

export const share = () => {
  const extras = present();
  const field = make('input', { type: 'text', readOnly: true, id: 'share-link', 'aria-label': 'Link to this setting' });
  const button = make('button', { type: 'button', className: 'primary' }, 'Copy');
  const said = make('p', { className: 'said', role: 'status' });
  const show = () => { field.value = address(extras); said.textContent = ''; };
  const keys = make('button', { type: 'button', className: 'plain' }, 'Keyboard and text size');
  keys.addEventListener('click', () => { document.getElementById('share-dialog').close(); help(); });
  button.addEventListener('click', () => copy(field, said));
  field.addEventListener('focus', () => field.select());
  show();
  dialog('share-dialog', 'Share this setting', make('div', { className: 'share-line' }, field, button), said, make('p', {}, notes()), builder(extras, show), make('p', {}, keys));
  button.focus();
};
