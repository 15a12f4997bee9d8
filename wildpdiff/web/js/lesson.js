// A link's lesson on the page: what is hidden and locked, how large the text is; and the address that follows the state.
import { make as element, toast, when } from './dom.js';
import { percent } from './format.js';
import { LOCK, complaint, foreign, make, number } from './links.js';
import { store } from './store.js';
import { menu, open, tab_button } from './tabs.js';

const WAIT = 250, NARROWEST = 300, ZOOMS = [1, 1.15, 1.3, 1.5, 2];
// The present link's lesson; only `apply`, `zoom` and `end_tour` change it.
const lesson = { hide: [], lock: [], tour: null, zoom: 1 };
let armed = false, timer = 0, told = 0, dressing = false;

const space = () => { const meta = document.querySelector('meta[name="wpd-space"]'); return meta && /^[\w.-]+\/[\w.-]+$/.test(meta.content) ? meta.content : ''; };
export const on_space = () => Boolean(space());
export const present = () => ({ ...lesson, hide: [...lesson.hide], lock: [...lesson.lock] });
export const address = (extras = lesson) => {
  const base = space() ? `https://huggingface.co/spaces/${space()}` : location.origin + location.pathname;
  return base + make(store.state, extras);
};

const alone = () => { try { return window.top === window || window.top.location.origin === location.origin; } catch { return false; } };
const write = () => {
  const kept = [...new URLSearchParams(location.search)].filter(([key, value]) => foreign(key, value));
  const rest = kept.map(([key, value]) => `&${encodeURIComponent(key)}=${encodeURIComponent(value)}`).join('');
  try { history.replaceState(history.state, '', make(store.state, lesson) + rest + location.hash); } catch { armed = false; }
};
const keep = () => { if (armed && !timer) timer = setTimeout(() => { timer = 0; write(); }, WAIT); };

const locked = (key) => lesson.lock.includes(key);
const dress = () => {
  const body = document.body, zoom = Math.min(lesson.zoom, Math.max(1, window.innerWidth / NARROWEST));
  body.dataset.hide = lesson.hide.join(',');
  body.dataset.lock = lesson.lock.join(',');
  body.dataset.zoom = zoom;
  body.style.setProperty('--zoom', zoom);
  for (const [tab, button] of Object.entries(menu())) button.dataset.part = tab;
  const swap = document.getElementById('swap');
  const shut = [...document.querySelectorAll('[data-control]')].filter((control) => locked(control.dataset.control));
  for (const control of swap && ['a', 'b', 't'].some(locked) ? [...shut, swap] : shut) {
    if (!control.disabled) control.disabled = true;
    control.title = "locked by this lesson's link";
  }
};
const soon = () => { if (!dressing) { dressing = true; requestAnimationFrame(() => { dressing = false; dress(); }); } };
const say = (text) => { if (Date.now() - told > 4000) { told = Date.now(); toast(text); } };

// Nothing on the page, preset or plot or tour, sets what the link has locked.
const admit = (patch, state) => {
  const refused = Object.keys(patch).filter((key) => locked(key) && patch[key] !== state[key]);
  if (refused.length) say(`Locked by this lesson's link: ${refused.map((key) => LOCK[key]).join(', ')}.`);
  return Object.fromEntries(Object.entries(patch).filter(([key]) => !refused.includes(key)));
};

const apply = (link) => {
  Object.assign(lesson, { hide: link.hide, lock: link.lock, tour: link.tour, zoom: link.zoom });
  dress();
  if (lesson.lock.length || lesson.hide.length) new MutationObserver(soon).observe(document.body, { childList: true, characterData: true, subtree: true });
  window.addEventListener('resize', soon);
  if (link.unknown.length) toast(complaint(link.unknown));
  const { tab } = link.state;
  if (tab && tab !== 'play') when(() => tab_button(tab), () => open(lesson.hide.includes(tab) ? 'play' : tab));
  armed = alone();
};

export const zoom = (value) => { lesson.zoom = number(String(value), 1, 2) || 1; dress(); keep(); };
export const end_tour = () => { lesson.tour = null; keep(); };

// The choice of a text size; calls back with the number.
export const zoom_choice = (now, changed) => {
  const sizes = [...new Set([...ZOOMS, now])].sort();
  const select = element('select', {}, ...sizes.map((size) => element('option', { value: size, selected: size === now }, percent(size))));
  select.addEventListener('change', () => changed(Number(select.value)));
  return element('label', 'line', 'Text size ', select);
};

export const start = () => {
  store.guard(admit);
  store.on('link', apply);
  store.on('state', keep);
};
