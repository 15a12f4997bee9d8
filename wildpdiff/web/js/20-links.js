// Links: the whole state as a query string, and what a lesson's link hides and locks.
// A part that can be hidden carries data-part="NAME" (or the id part-NAME); a control that can be locked data-control="KEY".
(() => {
  const wpd = (window.wpd = window.wpd || {});
  const VERSION = '1', WAIT = 250, SHOWN = 24, NAMED = 6, NARROWEST = 300;
  const HIDE = {
    probe: 'tab Probe', watch: 'tab Watch it denoise', unseen: 'tab Unseen', learn: 'tab Learn', seed: 'seed',
    more: 'all under More', presets: 'the five stories', changed: 'what changed',
  };
  const LOCK = { a: 'location A', b: 'location B', t: 'blend slider', m: 'similarity', w: 'blending' };
  const TOURS = ['valley'];
  const USUAL = {
    m: ['L', 'M', 'H'], w: ['ours', 'paper'], steps: [10, 25, 50, 100], images: [15, 32, 64, 100],
    tab: ['play', 'watch', 'unseen', 'probe', 'learn'], view: ['umap', 'pca', 'ruler'],
  };
  // What Gradio, a Space or a newsletter may add to an address; none of it is ours to judge.
  const FOREIGN = /^(__|utm_|deep_link$|logs$|fbclid$|gclid$|ref$)/;
  const own = (list, text) => list.find((known) => String(known) === text);
  const number = (text, low, high, whole) => {
    const value = (whole ? /^\d{1,10}$/ : /^\d(\.\d{1,6})?$/).test(text) ? Number(text) : NaN;
    return value >= low && value <= high ? value : undefined;
  };

  // How each key of the state is read; undefined for what is not known.
  const readers = (choices) => {
    const given = Object.fromEntries(Object.entries(USUAL).map(([key, usual]) => [key, choices[key] || usual]));
    const place = (key) => (text) => (choices[key] ? own(choices[key], text) : /^[A-Za-z0-9_-]{1,16}$/.test(text) && text !== 'own' ? text : undefined);
    const one = (key) => (text) => own(given[key], text);
    return {
      a: place('a'), b: place('b'), t: (text) => number(text, 0, 1), m: one('m'), w: one('w'),
      seed: (text) => number(text, 0, 2 ** 31 - 1, true), n: (text) => number(text, 1, 16, true),
      steps: one('steps'), images: one('images'), tab: one('tab'), view: one('view'),
    };
  };
  const KEYS = Object.keys(readers({}));
  const foreign = (key, value) => FOREIGN.test(key) || (key === 'view' && !USUAL.view.includes(value) && /^(api|settings)/.test(value));
  const short = (key, value) => { const text = `${key}=${value}`; return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text; };

  // A query string -> what of it is known: {state, hide, lock, tour, zoom}, and `unknown`, the rest as short texts.
  const parse = (search, choices = {}) => {
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
  const make = (state, { hide = [], lock = [], tour = null, zoom = 1 } = {}) => {
    const pairs = [['v', VERSION], ...KEYS.filter((key) => state[key] !== undefined && state[key] !== 'own').map((key) => [key, key === 't' ? Number(state.t).toFixed(2) : state[key]])];
    for (const [key, names] of [['hide', hide], ['lock', lock]]) if (names.length) pairs.push([key, names.join(',')]);
    if (tour) pairs.push(['tour', tour]);
    if (zoom !== 1) pairs.push(['zoom', zoom]);
    return `?${pairs.map(([key, value]) => `${key}=${encodeURIComponent(value).replaceAll('%2C', ',')}`).join('&')}`;
  };

  const complaint = (unknown) => {
    const more = unknown.length - NAMED;
    return `Some settings in this link are not known: ${unknown.slice(0, NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}.`;
  };

  // The present link's lesson; only `apply`, `zoom` and `end_tour` change it.
  const lesson = { hide: [], lock: [], tour: null, zoom: 1 };
  let armed = false, timer = 0, told = 0;

  const space = () => { const meta = document.querySelector('meta[name="wpd-space"]'); return meta && /^[\w.-]+\/[\w.-]+$/.test(meta.content) ? meta.content : ''; };
  const address = (extras = lesson) => {
    const base = space() ? `https://huggingface.co/spaces/${space()}` : location.origin + location.pathname;
    return base + make(wpd.state, extras);
  };
  const alone = () => { try { return window.top === window || window.top.location.origin === location.origin; } catch { return false; } };
  const write = () => {
    const kept = [...new URLSearchParams(location.search)].filter(([key, value]) => foreign(key, value));
    const rest = kept.map(([key, value]) => `&${encodeURIComponent(key)}=${encodeURIComponent(value)}`).join('');
    try { history.replaceState(history.state, '', make(wpd.state, lesson) + rest + location.hash); } catch { armed = false; }
  };
  const keep = () => { if (armed && !timer) timer = setTimeout(() => { timer = 0; write(); }, WAIT); };

  // Where the screen is narrow, Gradio moves the last tabs into a menu of nameless buttons, in their order.
  const menu = () => {
    const rest = USUAL.tab.filter((tab) => !document.getElementById(`tab-${tab}-button`));
    const buttons = [...document.querySelectorAll('#tabs .overflow-dropdown button')];
    return buttons.length === rest.length ? Object.fromEntries(rest.map((tab, at) => [tab, buttons[at]])) : {};
  };
  const tab_button = (tab) => document.getElementById(`tab-${tab}-button`) || menu()[tab];

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
  let dressing = false;
  const soon = () => { if (!dressing) { dressing = true; requestAnimationFrame(() => { dressing = false; dress(); }); } };
  const say = (text) => { if (Date.now() - told > 4000) { told = Date.now(); wpd.toast(text); } };

  // Nothing on the page, preset or plot or tour, sets what the link has locked or opens what it hides.
  const guard = () => {
    const { set, open } = wpd;
    wpd.set = (patch, options) => {
      const refused = Object.keys(patch).filter((key) => locked(key) && patch[key] !== wpd.state[key]);
      if (refused.length) say(`Locked by this lesson's link: ${refused.map((key) => LOCK[key]).join(', ')}.`);
      set(Object.fromEntries(Object.entries(patch).filter(([key]) => !refused.includes(key))), options);
    };
    wpd.open = (tab) => { if (lesson.hide.includes(tab)) say("Hidden by this lesson's link."); else { const button = menu()[tab]; if (button) button.click(); open(tab); } };
  };

  // A tab of the page is there once Gradio has mounted it.
  const when = (found, call, tries = 200) => { const there = found(); if (there) call(there); else if (tries) setTimeout(() => when(found, call, tries - 1), 50); };

  const apply = (link) => {
    Object.assign(lesson, { hide: link.hide || [], lock: link.lock || [], tour: link.tour || null, zoom: link.zoom || 1 });
    dress();
    if (lesson.lock.length || lesson.hide.length) new MutationObserver(soon).observe(document.body, { childList: true, characterData: true, subtree: true });
    window.addEventListener('resize', soon);
    if (link.unknown && link.unknown.length) wpd.toast(complaint(link.unknown));
    const tab = link.state.tab;
    if (tab && tab !== 'play') when(() => tab_button(tab), () => wpd.open(lesson.hide.includes(tab) ? 'play' : tab));
    if (lesson.tour) when(() => wpd.tour && wpd.tour.has(lesson.tour), () => wpd.tour.start(lesson.tour));
    armed = alone();
  };

  wpd.links = {
    parse, make, apply, address, complaint, when, on_space: () => Boolean(space()),
    names: { hide: HIDE, lock: LOCK },
    lesson: () => ({ ...lesson, hide: [...lesson.hide], lock: [...lesson.lock] }),
    zoom: (value) => { lesson.zoom = number(String(value), 1, 2) || 1; dress(); keep(); },
    end_tour: () => { lesson.tour = null; keep(); },
  };
  if (!wpd.on) return;
  guard();
  wpd.on('state', keep);
  document.addEventListener('click', (event) => {
    const button = event.target.closest ? event.target.closest('[role=tab], .overflow-dropdown button') : null;
    const tab = button && USUAL.tab.find((name) => tab_button(name) === button);
    if (tab && tab !== wpd.state.tab) wpd.set({ tab }, { live: false });
  }, true);
})();
