// Single keys for the lecturer, a dialog that lists them, and a switch that turns them off (WCAG 2.1.4).
import { dialog, make } from './dom.js';
import { present, zoom, zoom_choice } from './lesson.js';
import { presets } from './presets.js';
import { hidden } from './tabs.js';

const STORE = 'wpd-keys';
const KEYS = [
  ['g', 'generate an adapter live'], ['s', 'swap A and B'], ['[ and ]', 'previous and next story'], ['1 to 5', 'one of the five stories'],
  ['?', 'this help'], ['arrow keys', 'move the slider, when it has the focus'], ['Esc', 'stop; close a list, a dialog or the tour'],
];
let kept = null;
export const on = () => { if (kept !== null) return kept; try { return localStorage.getItem(STORE) !== 'off'; } catch { return true; } };
export const keep = (value) => { kept = value; try { localStorage.setItem(STORE, value ? 'on' : 'off'); } catch { /* private window: for this page only */ } };

// Fields in which a key means a character.
const TYPED = 'textarea, select, [contenteditable], input:not([type=range]):not([type=radio]):not([type=checkbox]):not([type=button])';
export const typing = (target) => Boolean(target && target.closest && target.closest(TYPED));
const shown = () => !hidden('presets');
const press = (id) => { const button = document.getElementById(id); if (button) button.click(); };

const acts = { g: () => press('generate'), s: () => press('swap'), '[': () => shown() && presets.step(-1), ']': () => shown() && presets.step(1) };
for (let place = 0; place < 5; place += 1) acts[`${place + 1}`] = () => shown() && presets.go(place);

export const help = () => {
  const rows = KEYS.map(([key, told]) => make('div', {}, make('dt', {}, make('kbd', {}, key)), make('dd', {}, told)));
  const box = make('input', { type: 'checkbox', checked: on(), id: 'keys-on' });
  box.addEventListener('change', () => keep(box.checked));
  dialog('help-dialog', 'Keyboard and text size', make('dl', { className: 'keys' }, ...rows),
    make('label', { className: 'line' }, box, ' Single keys act (this help is also behind Share and in the tab Learn)'),
    zoom_choice(present().zoom, zoom));
};

acts['?'] = help;
export const start = () => document.addEventListener('keydown', (event) => {
  const plain = !event.metaKey && (!(event.ctrlKey || event.altKey) || event.getModifierState('AltGraph'));
  if (event.defaultPrevented || !plain || event.repeat || typing(event.target) || document.querySelector('dialog[open]')) return;
  const act = on() && Object.hasOwn(acts, event.key) ? acts[event.key] : null;
  if (!act) return;
  event.preventDefault();
  act();
});
