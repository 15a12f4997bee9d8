// A stranger to the generator, a picture or words: the gauge, what it is like, and what its adapter says.
import { draw, make } from './dom.js';
import { percent, regime, two } from './format.js';
import { to_send } from './picture.js';
import { on_refused } from './refused.js';
import { store } from './store.js';

const WIDEST = 1.1, TICKS = [0, 0.05, 0.2, 0.4, 0.6, 0.8, 1];

// Dots of a group, piled up where they meet: [{x, y, name}] with y counted upwards from 0.
const pile = (group, x, size) => {
  const columns = {};
  return group.map(([name, value]) => {
    const column = Math.round(x(value) / size), level = (columns[column] = (columns[column] || 0) + 1) - 1;
    return { x: column * size, y: level * size, name, value };
  });
};

const zones = (gauge) => {
  if (!gauge.tells) return [['mixed', 0, WIDEST, ['the two groups overlap: this gauge cannot tell', 'cannot tell']]];
  const [low, high] = [Math.min(gauge.near, gauge.far), Math.max(gauge.near, gauge.far)];
  return [['known', 0, low, ['like a known location', 'like a known one', 'known']], ['between', low, high, ['between']], ['outside', high, WIDEST, ['outside']]];
};

// The drawn scale: three zones, two groups of measured distances, an axis, and a needle that moves along.
const scale = (box, gauge, said) => {
  const width = box.clientWidth, edge = 8, size = width < 480 ? 5 : 7;
  if (!width || !gauge) return null;
  const x = (distance) => edge + Math.sqrt(Math.max(0, Math.min(WIDEST, distance)) / WIDEST) * (width - 2 * edge);
  const groups = [[pile(gauge.known, x, size), gauge.known_label, 'known'], [pile(gauge.others, x, size), gauge.others_label, 'others']];
  const svg = draw('svg', { width, role: 'img', 'aria-label': said });
  let top = 34;
  for (const [kind, from, to, labels] of zones(gauge)) {
    const [left, right] = [x(from) - (from ? 0 : edge), x(to) + (to === WIDEST ? edge : 0)];
    svg.append(draw('rect', { x: left, y: top, width: right - left, height: 24, class: `zone is-${kind}` }));
    const fit = labels.find((text) => text.length * 7 < right - left - 8);
    if (fit) svg.append(draw('text', { x: (left + right) / 2, y: top + 16, 'text-anchor': 'middle', class: 'zone-name' }, fit));
  }
  top += 24;
  for (const [dots, label, kind] of groups) {
    const high = Math.max(...dots.map((dot) => dot.y)) + size;
    svg.append(draw('text', { x: edge, y: top + 17, class: 'group-name' }, label));
    top += 26 + high;
    for (const dot of dots) {
      const circle = draw('circle', { cx: dot.x, cy: top - size / 2 - dot.y, r: size / 2 - 0.4, class: `dot is-${kind}`, 'data-place': dot.name });
      if (kind === 'known') circle.style.fill = store.colour(dot.name);
      circle.append(draw('title', {}, `${dot.name}: ${dot.value.toFixed(2)}`));
      svg.append(circle);
    }
    svg.append(draw('line', { x1: edge, x2: width - edge, y1: top + 1, y2: top + 1, class: 'ground' }));
  }
  for (const tick of TICKS) {
    svg.append(draw('line', { x1: x(tick), x2: x(tick), y1: top + 1, y2: top + 6, class: 'tick' }));
    svg.append(draw('text', { x: x(tick), y: top + 19, 'text-anchor': tick ? 'middle' : 'start', class: 'tick-name' }, tick));
  }
  svg.append(draw('text', { x: edge, y: top + 37, class: 'group-name' }, width < 480 ? 'distance from the nearest known location' : 'distance from the nearest known location (1 − cosine; square-root scale)'));
  svg.setAttribute('height', top + 44);
  const needle = draw('g', { class: 'needle' });
  needle.append(draw('line', { x1: 0, x2: 0, y1: 58, y2: top + 1 }), draw('path', { d: 'M-6 26 L6 26 L0 34 Z' }), draw('text', { y: 17 }));
  svg.append(needle);
  box.replaceChildren(svg);
  return (distance, name) => {
    needle.style.visibility = distance === null ? 'hidden' : 'visible';
    if (distance === null) return;
    const at = x(distance), text = needle.querySelector('text');
    text.textContent = `${name} ${distance.toFixed(2)}`;
    const half = text.textContent.length * 3.7;
    text.setAttribute('text-anchor', at < half ? 'start' : at > width - half ? 'end' : 'middle');
    text.setAttribute('x', at < half ? -at + 2 : at > width - half ? width - at - 2 : 0);
    needle.style.transform = `translateX(${at}px)`;
  };
};

const quantile = (values, share) => values[Math.min(values.length - 1, Math.round(share * (values.length - 1)))];
const groups_table = (gauge) => {
  const row = (label, group) => {
    const values = group.map(([, value]) => value).sort((a, b) => a - b);
    return [label, ...[0, 0.25, 0.5, 0.75, 1].map((share) => quantile(values, share).toFixed(2))];
  };
  return table(['distances of', 'least', 'a quarter', 'half', 'three quarters', 'most'], [row(gauge.known_label, gauge.known), row(gauge.others_label, gauge.others)]);
};
const table = (head, rows) => {
  const line = (tag, texts) => make('tr', {}, ...texts.map((text, index) => (index ? make(tag, {}, `${text}`) : make('th', { scope: tag === 'th' ? 'col' : 'row' }, text))));
  return make('table', {}, make('thead', {}, line('th', head)), make('tbody', {}, ...rows.map((texts) => line('td', texts))));
};

// Names with a bar each, as [name, share of the full width, what is said of it], and drawn with an interval if given.
const ranked = (items, { thumbs = false, look = '', colour = () => 'var(--ink-soft)' } = {}) => make('ol', `ranked ${look}`, ...items.map(([name, share, said, interval]) => {
  const known = store.place(name), bar = make('span', 'ranked-bar', ...(interval ? [make('i')] : [])), [low, high] = interval || [];
  for (const [key, value] of Object.entries({ share: Math.max(0, Math.min(1, share)), low, high, own: known ? store.colour(name) : colour(name) })) if (value !== undefined) bar.style.setProperty(`--${key}`, value);
  const title = make('span', 'ranked-name', name);
  if (thumbs && known && known.src) title.prepend(make('img', { src: known.src, alt: '' }));
  const item = make('li', {}, title, bar, make('b', {}, said));
  if (known) item.dataset.place = name;
  return item;
}));
const cosines = (pairs, options) => ranked(pairs.map(([name, value]) => [name, value, two(value)]), options);

// How many photographs each adapter names rightly, with the 95% interval drawn and said.
const ARMS = { pretrained: 'pretrained', generated: 'its adapter', noise: 'adapter for pure noise' };
const scores = ({ right, count, interval }) => ranked(Object.entries(ARMS).map(([arm, label]) => {
  const [low, high] = interval[arm], share = right[arm] / count;
  return [label, share, `${right[arm]}/${count}, ${percent(share)} (${percent(low)} to ${percent(high)})`, [low, high]];
}), { look: 'stranger-scores', colour: (label) => (label === ARMS.generated ? 'var(--accent)' : 'var(--ink-soft)') });

// How often generator U expects each species, with the span of its samples, and the mean of all places.
const expected = (rows) => {
  const most = Math.max(...rows.map(([, , , high]) => high));
  return ranked(rows.map(([name, share, low, high, usual]) => [
    name, share / most, `${percent(share)} (${percent(low)} to ${percent(high)}); elsewhere ${percent(usual)}`, [low / most, high / most],
  ]), { look: 'stranger-scores', colour: () => 'var(--accent)' });
};

const species = (at) => {
  const most = Math.max(...at.species.flatMap((row) => row.slice(1)));
  const made = table(['named', 'in truth', 'pretrained', 'its adapter'], at.species);
  made.className = 'species';
  for (const cell of made.querySelectorAll('td')) cell.style.setProperty('--share', Number(cell.textContent) / most);
  return made;
};

// What two cards are called where generator U writes: its rows lie close together, what it writes beside them need not.
const RENAMED = [
  ['.stranger-rows', 'Its adapter is most like', 'Cosine of what is written beside the row for all places with that for each known location’s picture.'],
  ['.stranger-matter', 'Is its word taken?', 'Cosine with what is written for other conditions; 0 where nothing is written.'],
];

const upload = ({ element, props, trigger, watch }) => {
  const root = element.querySelector('.stranger'), find = (name) => root.querySelector(name);
  const words = props.kind === 'words', own = words ? 'your words' : 'your picture';
  const status = find('.stranger-status'), problem = find('.stranger-problem');
  let move = null, width = 0, drawn = null, sent_at = 0;
  // What is sent, with the present state, and when: by that a refusal finds back.
  const halves = () => Object.fromEntries([...root.querySelectorAll('[data-half]')].map((box) => [box.dataset.half, box.checked]));
  const send = (event, given) => { sent_at = Math.max(Date.now(), sent_at + 1); trigger(event, { ...given, ...halves(), state: store.state, at: sent_at }); };

  const wait = (text) => { status.textContent = text; problem.textContent = ''; root.dataset.busy = 'yes'; };
  const write = () => { wait('Writing its adapter …'); send('write', { name: props.value.place.name }); };

  const gauge = () => (props.value && props.value.gauge) || props.gauge;
  const redraw = () => {
    const value = props.value, box = find('.stranger-scale');
    if (!gauge()) { box.replaceChildren(); move = null; return; }
    if (drawn !== gauge() || box.clientWidth !== width || !move) {
      width = box.clientWidth;
      drawn = gauge();
      move = scale(box, drawn, value ? `${value.name}: ${value.verdict}. ${value.said}` : `${drawn.known_label} and ${drawn.others_label} on a scale of distances.`);
      find('.stranger-groups > div').replaceChildren(groups_table(drawn));
    }
    if (!move) return;
    box.querySelector('svg').setAttribute('aria-label', value ? `${value.name}: ${value.verdict}. ${value.said}` : `${drawn.known_label} and ${drawn.others_label} on a scale of distances.`);
    move(value ? value.distance : null, value ? value.name : '');
  };

  const verdict = (value) => {
    const box = find('.stranger-verdict'), waiting = words
      ? 'A description becomes an embedding, as a picture does. Describe a place: the gauge then shows where it stands.'
      : 'Each dot is a picture. Bring one of your own: the needle then shows where it stands.';
    box.dataset.verdict = value ? value.verdict : 'none';
    box.querySelector('b').textContent = value ? value.verdict[0].toUpperCase() + value.verdict.slice(1) : '';
    box.querySelector('span').textContent = value ? value.meaning : waiting;
    find('.stranger-counts').textContent = value ? value.said : '';
    find('.stranger-groups').hidden = !gauge();
  };

  const answers = (value) => {
    const into = (name, ...made) => find(name).replaceChildren(...made);
    const waiting = () => make('p', { className: 'stranger-waiting' }, 'being computed …');
    into('.stranger-pictures > div', cosines(value.nearest, { thumbs: true }));
    into('.stranger-rows > div', value.rows ? cosines(value.rows, { thumbs: true }) : waiting());
    if (value.prior) into('.stranger-prior > div', expected(value.prior));
    into('.stranger-matter > div', value.like ? cosines(value.like) : waiting());
    find('.stranger-matter > p:last-child').textContent = value.mattered || '';
    into('.stranger-itself', ...(value.itself ? itself(value.itself) : []));
    into('.stranger-at', ...(value.at ? at(value) : [waiting()]));
    for (const item of root.querySelectorAll('.ranked li[data-place]')) {
      item.addEventListener('mouseenter', () => store.hover(item.dataset.place));
      item.addEventListener('mouseleave', () => store.hover(null));
    }
  };
  const itself = (said) => [
    make('h3', {}, 'Of your picture'),
    make('p', { className: 'panel-hint' }, 'Its likeliest species with the network’s own confidence. If no animal is in the picture, “empty” is right.'),
    make('div', { className: 'stranger-two' }, ...['pretrained', 'generated'].map((arm) => make('div', {}, make('h4', {}, ARMS[arm]), ranked(said[arm].map(([name, share]) => [name, share, percent(share)]))))),
  ];
  const at = ({ at: found }) => [
    make('h3', {}, `Of ${found.count} photographs of ${found.name}, the known location most like it`),
    make('p', { className: 'panel-hint' }, `Named rightly, with the 95% interval. This is how it does at ${found.name}; nothing is claimed for ${words ? 'the place that you described' : 'the place in your picture'}.`),
    scores(found),
    make('div', { className: 'stranger-table', tabIndex: 0, role: 'group', 'aria-label': 'How often each species is named' }, species(found)),
  ];

  // What the adapter on show was written for, and whether the bar now says something else.
  const stale = (value) => value.by !== 'U' && ['m', 'w', 'seed', 'steps'].some((key) => value[key] !== undefined && store.state[key] !== value[key]);
  const said = (value) => value.by === 'U' ? `by generator U; ${percent(value.trust)} of its word taken` : `similarity ${regime(value.m)}, ${value.w === 'paper' ? 'paper’s plain form' : 'our way'}, seed ${value.seed}, ${value.steps} steps`;
  const report = () => {
    const value = props.value;
    if (!value) return;
    if (value.stage === 'looked') { status.textContent = 'Writing its adapter …'; return; }
    if (value.stage === 'written') { status.textContent = 'Written; now naming photographs …'; return; }
    if (root.dataset.busy) return;
    status.replaceChildren(`Its adapter was written and tried in ${value.seconds.toFixed(1)} s (${said(value)}). `);
    if (!stale(value)) return;
    const button = make('button', { type: 'button', className: 'quiet' }, 'Write it for the present setting');
    button.addEventListener('click', write);
    status.append(button);
  };

  const findings = () => {
    const now = store.state.m, said = props.findings[now] || Object.values(props.findings)[0] || [];
    find('.stranger-finding > div').replaceChildren(...said.map((text) => make('p', {}, text)));
  };

  const view = (value) => {
    find('.stranger-notes').replaceChildren(...((value && value.notes) || []).map((note) => make('li', {}, note)));
    if (words) return;
    const picture = find('.stranger-view');
    if (value) picture.src = value.src; else picture.removeAttribute('src');
    picture.alt = value ? `The middle square of ${value.name}, as the model sees it` : '';
  };

  const show = () => {
    const value = props.value;
    if (value) delete root.dataset.busy;
    root.dataset.stage = value ? value.stage : 'empty';
    view(value);
    verdict(value);
    redraw();
    if (value) answers(value);
    report();
  };

  const fail = () => {
    problem.textContent = props.problem ? props.problem.text : '';
    if (!props.problem) return;
    delete root.dataset.busy;
    status.textContent = props.value && !props.value.at ? 'Its adapter was not written.' : '';
    if (props.value && props.value.at) report();
  };

  // Its id takes the place of A or B; the server knows it already.
  const use = (side) => {
    if (!props.value) { problem.textContent = 'There is nothing here yet; bring a picture or words first.'; return; }
    const { place, src } = props.value, text = `${place.title} ${words ? 'are' : 'is'} ${side.toUpperCase()} in the bar now; the tab Play shows what comes of it.`;
    store.use(side, { ...place, src });
    problem.textContent = '';
    status.textContent = text[0].toUpperCase() + text.slice(1);
  };
  const remove = () => {
    const name = props.value && props.value.place.name;
    if (name) store.forget(name);
    trigger('remove', { name });
    delete root.dataset.busy;
    status.textContent = words ? 'Your words were removed.' : 'Your picture was removed.';
  };

  const hand_over = async (file) => {
    if (!file) return;
    wait('Reading the picture …');
    const sent = await to_send(file, props.most), reader = new FileReader();
    reader.onload = () => send('upload', { size: sent.size, data: String(reader.result).split(',')[1] || '' });
    reader.onerror = () => { delete root.dataset.busy; status.textContent = ''; problem.textContent = 'The picture could not be read; choose it again.'; };
    reader.readAsDataURL(sent.size > props.most ? sent.slice(0, 0) : sent);
  };

  const listen_for_pictures = () => {
    for (const input of root.querySelectorAll('input[type=file]'))
      input.addEventListener('change', () => { hand_over(input.files[0]); input.value = ''; });
    const drop = find('.stranger-own');
    drop.addEventListener('dragover', (event) => { event.preventDefault(); drop.classList.add('is-over'); });
    drop.addEventListener('dragleave', () => drop.classList.remove('is-over'));
    drop.addEventListener('drop', (event) => { event.preventDefault(); drop.classList.remove('is-over'); hand_over(event.dataTransfer.files[0]); });
    document.addEventListener('paste', (event) => {
      const typing = event.target.closest && event.target.closest('input, textarea, [contenteditable]');
      const file = event.clipboardData && [...event.clipboardData.files].find((each) => each.type.startsWith('image/'));
      if (!root.offsetParent || typing || !file) return;
      event.preventDefault();
      hand_over(file);
    });
  };

  const listen_for_words = () => {
    const text = find('.stranger-text'), count = find('.stranger-count');
    const read = () => { wait('Reading your words …'); send('describe', { text: text.value }); };
    const tell = () => {
      const long = text.value.trim().length;
      count.textContent = `${long} of ${props.most} characters`;
      count.classList.toggle('is-problem', long > props.most);
    };
    text.addEventListener('input', tell);
    text.addEventListener('keydown', (event) => { if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) read(); });
    find('.stranger-read').addEventListener('click', read);
    tell();
    return (given) => { text.value = given; tell(); read(); };
  };

  const start = words ? listen_for_words() : (listen_for_pictures(), (given, name) => { wait('Reading the picture …'); send('example', { name }); });
  for (const [name, label, text] of props.examples) {
    const button = make('button', { type: 'button', className: 'quiet', title: text || `Try ${label}` }, label);
    button.addEventListener('click', () => start(text, name));
    find('.stranger-examples').append(button);
  }
  for (const box of root.querySelectorAll('[data-half]')) { box.checked = true; box.addEventListener('change', () => { if (props.value) write(); }); }
  find('.stranger-halves').hidden = find('.stranger-prior').hidden = !props.universal;
  if (props.universal) for (const [part, title, hint] of RENAMED) {
    find(`${part} > .panel-title`).textContent = title;
    find(`${part} > .panel-hint`).textContent = hint;
  }
  for (const button of root.querySelectorAll('[data-use]')) button.addEventListener('click', () => use(button.dataset.use));
  find('[data-remove]').addEventListener('click', remove);

  watch('value', show);
  watch('problem', fail);
  on_refused((given, text) => {
    if (!root.dataset.busy || !given.event_data || given.event_data.at !== sent_at) return;
    delete root.dataset.busy;
    status.textContent = '';
    problem.textContent = text;
  });
  new ResizeObserver(() => { if (find('.stranger-scale').clientWidth !== width) redraw(); }).observe(find('.stranger-scale'));
  store.on('state', () => { findings(); report(); });
  store.on('table', () => { width = 0; show(); });
  store.on('hover', (name) => {
    for (const item of root.querySelectorAll('[data-place]')) item.classList.toggle('is-faint', Boolean(name) && item.dataset.place !== name);
  });
  findings();
  show();
  root.dataset.ready = own;
};

export const panels = { upload };
