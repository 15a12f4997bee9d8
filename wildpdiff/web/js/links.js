// Links: the whole state as a query string, and what a lesson's link hides and locks; no page is needed for either.
// A part that can be hidden carries data-part="NAME" (or the id part-NAME); a control that can be locked data-control="KEY".

const VERSION = '1', SHOWN = 24, NAMED = 6;
export const HIDE = {
  probe: 'tab Probe', pdiff: 'tab p-diff', watch: 'tab Watch it denoise', unseen: 'tab Unseen', learn: 'tab Learn', seed: 'seed',
  more: 'all under More', presets: 'the five stories', changed: 'what changed',
};
export const LOCK = { a: 'location A', b: 'location B', t: 'blend slider', m: 'similarity', w: 'blending' };
const TOURS = ['valley'];
export const USUAL = {
  m: ['L', 'M', 'H'], w: ['ours', 'paper'], steps: [10, 25, 50, 100], images: [15, 32, 64, 100],
  tab: ['play', 'watch', 'unseen', 'probe', 'pdiff', 'learn'], view: ['umap', 'pca', 'ruler'],
};
// What Gradio, a Space or a newsletter may add to an address; none of it is ours to judge.
const FOREIGN = /^(__|utm_|deep_link$|logs$|fbclid$|gclid$|ref$)/;
// A background of the visitor's own: its id is known to this session alone.
const OWN = /^own(-|$)/;
const own = (list, text) => list.find((known) => String(known) === text);
export const number = (text, low, high, whole) => {
  const value = (whole ? /^\d{1,10}$/ : /^\d(\.\d{1,6})?$/).test(text) ? Number(text) : NaN;
  return value >= low && value <= high ? value : undefined;
};

// How each key of the state is read; undefined for what is not known.
const readers = (choices) => {
  const given = Object.fromEntries(Object.entries(USUAL).map(([key, usual]) => [key, choices[key] || usual]));
  const place = (key) => (text) => (choices[key] ? own(choices[key], text) : /^[A-Za-z0-9_-]{1,16}$/.test(text) && !OWN.test(text) ? text : undefined);
  const one = (key) => (text) => own(given[key], text);
  return {
    a: place('a'), b: place('b'), t: (text) => number(text, 0, 1), m: one('m'), w: one('w'),
    seed: (text) => number(text, 0, 2 ** 31 - 1, true), n: (text) => number(text, 1, 16, true),
    steps: one('steps'), images: one('images'), tab: one('tab'), view: one('view'),
  };
};
const KEYS = Object.keys(readers({}));
export const foreign = (key, value) => FOREIGN.test(key) || (key === 'view' && !USUAL.view.includes(value) && /^(api|settings)/.test(value));
const short = (key, value) => { const text = `${key}=${value}`; return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text; };

// A query string -> what of it is known: {state, hide, lock, tour, zoom}, and `unknown`, the rest as short texts.
export const parse = (search, choices = {}) => {
  const link = { state: {}, hide: [], lock: [], tour: null, zoom: 1, unknown: [] };
  const query = new URLSearchParams(search), read = readers(choices), done = new Set();
  const refuse = (key, value) => link.unknown.push(short(key, value));
  const version = query.get('v');
  if (version !== null && version !== VERSION) { refuse('v', version); return link; }
  const list = (key, known, value) => {
    for (const name of value.split(',').filter(Boolean)) if (!Object.hasOwn(known, name)) refuse(key, name); else if (!link[key].includes(name)) link[key].push(name);
  };
  for (const [key, value] of query) {
    if (key === 'v' || foreign(key, value)) continue;
    if (done.has(key)) { refuse(key, value); continue; }
    done.add(key);
    if (key === 'hide') list('hide', HIDE, value);
    else if (key === 'lock') list('lock', LOCK, value);
    else {
      const found = key === 'tour' ? own(TOURS, value) : key === 'zoom' ? number(value, 1, 2) : KEYS.includes(key) ? read[key](value) : undefined;
      if (found === undefined) refuse(key, value);
      else if (key === 'tour' || key === 'zoom') link[key] = found;
      else link.state[key] = found;
    }
  }
  return link;
};

// A state and what a lesson adds to it -> a query string. A picture of one's own is never in it.
export const make = (state, { hide = [], lock = [], tour = null, zoom = 1 } = {}) => {
  const pairs = [['v', VERSION], ...KEYS.filter((key) => state[key] !== undefined && !OWN.test(state[key])).map((key) => [key, key === 't' ? Number(state.t).toFixed(2) : state[key]])];
  for (const [key, names] of [['hide', hide], ['lock', lock]]) if (names.length) pairs.push([key, names.join(',')]);
  if (tour) pairs.push(['tour', tour]);
  if (zoom !== 1) pairs.push(['zoom', zoom]);
  return `?${pairs.map(([key, value]) => `${key}=${encodeURIComponent(value).replaceAll('%2C', ',')}`).join('&')}`;
};

export const complaint = (unknown) => {
  const more = unknown.length - NAMED;
  return `Some settings in this link are not known: ${unknown.slice(0, NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}.`;
};
