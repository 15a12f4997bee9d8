// The page's one state, who listens to it, and the way to the server and back.
(() => {
  const wpd = (window.wpd = window.wpd || {});
  const REST = 600;
  const DEFAULTS = { a: '', b: '', t: 0, m: 'H', w: 'ours', seed: 0, n: 1, steps: 50, images: 100, tab: 'play', view: 'umap' };
  const CHOICES = { m: ['L', 'M', 'H'], w: ['ours', 'paper'], steps: [10, 25, 50, 100], images: [15, 32, 64, 100] };
  const ASKED = ['a', 'b', 't', 'm', 'w', 'seed', 'n', 'steps', 'images'];
  const listeners = { state: [], answer: [], hover: [], table: [], busy: [], rest: [] };
  let state = { ...DEFAULTS }, table = null, bridge = null, waiting = false, stamp = 0, resting = 0, busy = false, asked = 0, ended = 0;
  let answer = null, hovered = null;

  const emit = (kind, value) => listeners[kind].forEach((listen) => listen(value));
  const whole = (value, low, high) => Math.min(high, Math.max(low, Math.round(Number(value)) || 0));
  const place = (name) => (table ? table.places.find((known) => known.name === name) : null);

  // A copy of a state in which every value is one that the page knows.
  const clean = (wanted) => {
    const made = { ...wanted };
    for (const [key, choices] of Object.entries(CHOICES)) if (!choices.includes(made[key])) made[key] = DEFAULTS[key];
    for (const side of ['a', 'b']) if (table && made[side] !== 'own' && !place(made[side])) made[side] = DEFAULTS[side];
    made.t = Math.round(Math.min(1, Math.max(0, Number(made.t) || 0)) * 100) / 100;
    made.seed = whole(made.seed, 0, 2 ** 31 - 1);
    made.n = whole(made.n, 1, 16);
    return made;
  };

  const setBusy = (now) => { if (now !== busy) { busy = now; emit('busy', busy); } };

  const ask = () => {
    clearTimeout(resting);
    stamp = Math.max(Date.now(), stamp + 1);
    answer = null;
    if (!bridge) { waiting = true; return; }
    waiting = false;
    setBusy(true);
    // What is stored is painted first: asking makes Gradio copy the values of its components.
    const wish = { ...state, stamp };
    requestAnimationFrame(() => setTimeout(() => {
      if (wish.stamp !== stamp) return;
      const running = asked !== ended;
      asked = stamp;
      bridge.ask(wish, running);
    }));
  };

  wpd.defaults = DEFAULTS;
  wpd.choices = CHOICES;
  Object.defineProperty(wpd, 'state', { get: () => ({ ...state }) });
  Object.defineProperty(wpd, 'table', { get: () => table });
  Object.defineProperty(wpd, 'answer', { get: () => answer });
  Object.defineProperty(wpd, 'busy', { get: () => busy });

  wpd.on = (kind, listen) => { listeners[kind].push(listen); };
  wpd.colour = (name) => { const known = place(name); return known && known.kind === 'seen' ? `var(--place-${known.index})` : 'var(--ink)'; };
  wpd.shape = (name) => { const known = place(name); return known && known.kind === 'seen' ? table.shapes[known.index] : 'star-diamond'; };
  wpd.place = place;
  // What the page calls A or B, and whether the two are one: two conditions of one's own may differ.
  const mine = (side) => (wpd.own || {})[side];
  wpd.named = (wanted, side) => (wanted[side] === 'own' ? (mine(side) || { title: 'your picture' }).title : wanted[side]);
  wpd.same = ({ a, b }) => a === b && (a !== 'own' || JSON.stringify(mine('a')) === JSON.stringify(mine('b')));
  wpd.hover = (name) => { if (name !== hovered) { hovered = name; emit('hover', name); } };

  wpd.set = (patch, { live = true } = {}) => {
    const next = clean({ ...state, ...patch });
    const changed = Object.keys(next).filter((key) => next[key] !== state[key]);
    if (!changed.length) return;
    state = next;
    const asked = changed.some((key) => ASKED.includes(key));
    if (asked) { clearTimeout(resting); answer = null; stamp = Math.max(Date.now(), stamp + 1); setBusy(false); }
    emit('state', wpd.state);
    if (asked && live) ask();
  };

  // Ask for the present state again, as Generate does.
  wpd.generate = () => { ask(); emit('state', wpd.state); };
  wpd.stop = () => {
    if (!busy) return;
    stamp = Math.max(Date.now(), stamp + 1);
    if (bridge) bridge.stop({ ...state, stamp });
    setBusy(false);
    answer = { ...(answer || { live: {} }), stage: 'stopped' };
    emit('answer', answer);
  };

  wpd.receive = (given) => {
    if (!given) return;
    const last = ['done', 'failed'].includes(given.stage);
    if (last && given.stamp === asked) ended = asked;
    if (given.stamp !== stamp) return;
    answer = given;
    emit('answer', answer);
    if (!last) return;
    setBusy(false);
    clearTimeout(resting);
    if (given.stage === 'done') resting = setTimeout(() => emit('rest'), REST);
  };

  // Call once an answer is complete and the slider rests, but only for an element that can be seen: what follows an
  // answer costs the server and the page more than the answer itself.
  wpd.at_rest = (element, call) => {
    let near = false, due = false;
    const go = () => { if (near && due) { due = false; call(); } };
    new IntersectionObserver((entries) => { near = entries.at(-1).isIntersecting; go(); }, { rootMargin: '200px' }).observe(element);
    wpd.on('rest', () => { due = true; go(); });
    wpd.on('state', () => { due = due && Boolean(answer); });
  };
  wpd.offer = () => bridge.offer();

  // Figures from the server, by the name of their chart.
  wpd.show_figures = (figures) => { for (const [name, figure] of Object.entries(figures)) wpd.charts[name].show(figure); };

  wpd.connect = (made) => { bridge = made; if (waiting) ask(); };

  // The precomputed table arrives once; with it the state of the link, if there is one.
  wpd.open_table = (given) => {
    if (table || !given) return;
    table = given;
    DEFAULTS.a = table.places[0].name;
    DEFAULTS.b = (table.places[1] || table.places[0]).name;
    DEFAULTS.m = table.regime;
    CHOICES.m = table.regimes;
    const names = table.places.map((known) => known.name);
    const link = wpd.links ? wpd.links.parse(location.search, { ...CHOICES, a: names, b: names }) : { state: {} };
    state = clean({ ...state, ...DEFAULTS, ...link.state });
    emit('table', table);
    emit('state', wpd.state);
    if (wpd.links && wpd.links.apply) wpd.links.apply(link);
  };

  // Counts known beforehand for a state: at A and at B, and whether they are of this very seed and number of steps.
  wpd.known = (wanted = state) => {
    const { a, b, m, w } = wanted;
    const curves = table && table.curves && table.curves[m];
    if (!curves) return null;
    const same = a === b, pair = same ? Object.keys(curves).find((key) => key.split('+').includes(a)) : null;
    const [key, turned] = pair ? [pair, pair.split('+')[0] !== a] : curves[`${a}+${b}`] ? [`${a}+${b}`, false] : [`${b}+${a}`, true];
    if (!curves[key]) return null;
    const weights = table.weights, last = weights.length - 1;
    const t = same ? 0 : wanted.t, at = weights.findIndex((weight) => Math.abs(weight - (turned ? 1 - t : t)) < 1e-6);
    const series = (way) => {
      const found = curves[key][way];
      if (!found) return null;
      const both = turned ? [[...found[1]].reverse(), [...found[0]].reverse()] : found;
      return same ? [weights.map(() => both[0][0]), weights.map(() => both[0][0])] : both;
    };
    const own = series(w), index = turned ? last - at : at;
    const exact = wanted.seed === table.seed && wanted.n === 1 && wanted.steps === table.steps;
    return { weights, images: table.images, exact, own, ensemble: series('weights'), at: at < 0 || !own ? null : own.map((one) => one[index]) };
  };

  let toasts = null;
  wpd.toast = (text, kind = 'note') => {
    if (!toasts) {
      toasts = document.createElement('div');
      toasts.className = 'toasts';
      toasts.setAttribute('role', 'status');
      document.body.appendChild(toasts);
    }
    const made = document.createElement('p');
    made.className = `toast is-${kind}`;
    made.textContent = text;
    toasts.appendChild(made);
    setTimeout(() => made.remove(), 8000);
  };

  wpd.open = (tab) => {
    const button = document.getElementById(`tab-${tab}-button`);
    if (button) button.click();
    if (tab !== state.tab) wpd.set({ tab }, { live: false });
  };

  wpd.point = (id) => {
    const found = document.getElementById(id);
    if (!found) return;
    const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
    found.scrollIntoView({ block: 'center', behavior: calm ? 'auto' : 'smooth' });
    found.classList.add('is-pointed');
    setTimeout(() => found.classList.remove('is-pointed'), 2600);
  };

  // Call a function when the head's scripts and the table are there.
  wpd.ready = (call) => { if (table) call(table); else listeners.table.push(call); };
})();
