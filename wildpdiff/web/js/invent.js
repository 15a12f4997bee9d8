// Tab Unseen: the sliders, picture and findings of an invented location.
import { make } from './dom.js';
import { percent } from './format.js';
import { store } from './store.js';

// How long sliders must be left alone before the sharp picture is painted, in milliseconds.
const REST = 350;
// The newest change of the sliders on this page, counted up.
let stamp = 0;
const changed = [];

const FORMS = {
  share: percent,
  metres: (value) => `${value.toFixed(1)} m`,
  times: (value) => `×${value.toFixed(2)}`,
  signed: (value) => (Math.abs(value) < 0.005 ? 'neutral' : `${value < 0 ? 'cool' : 'warm'} ${percent(2 * Math.abs(value))}`),
  haze: (value) => percent((50 * value) / (1 + 50 * value)),
  grain: (value) => `${(100 * value).toFixed(1)}%`,
};

const scene = ({ element, props, watch }) => {
  const figure = element.querySelector('.invent-scene'), image = element.querySelector('img');
  const who = element.querySelector('.invent-who'), trouble = element.querySelector('.invent-trouble');
  let shown = { stamp: -1, sharp: false };
  const show = () => {
    const given = props.value;
    if (!given) return;
    const late = given.sharp ? given.stamp !== stamp : given.stamp < shown.stamp || (shown.sharp && given.stamp === shown.stamp);
    if (late) return;
    trouble.textContent = given.problem || '';
    if (given.problem) return;
    shown = given;
    image.src = given.src;
    image.alt = 'The invented place without animals, by day';
    figure.dataset.state = given.sharp ? 'sharp' : 'quick';
    who.textContent = `Who passes here: ${given.who.map(([name, share]) => `${name} ${share}%`).join(', ')}.`;
  };
  changed.push(() => { figure.dataset.state = shown.stamp < 0 ? 'waiting' : 'quick'; });
  watch('value', show);
  show();
};

const slider = (number, move) => {
  const row = make('div', 'knob'), input = make('input'), name = make('label', {}, number.label), value = make('output');
  const id = `invent-${number.key}`, step = (number.high - number.low) / 100;
  Object.assign(input, { type: 'range', id, min: number.low, max: number.high, step });
  input.setAttribute('aria-describedby', `${id}-hint`);
  name.htmlFor = value.htmlFor = id;
  row.title = number.hint;
  row.append(name, value, input);
  const say = (now) => {
    value.textContent = FORMS[number.form](now);
    input.setAttribute('aria-valuetext', value.textContent);
    row.style.setProperty('--share', `${(100 * (now - number.low)) / (number.high - number.low)}%`);
  };
  input.addEventListener('input', () => { say(input.valueAsNumber); move(number.key, input.valueAsNumber); });
  return { row, set: (now) => { input.value = now; say(now); }, key: number.key };
};

const fieldset = (group, move, sliders) => {
  const box = make('details', 'knob-group'), head = make('summary', {}, group.heading), rows = make('div', 'knob-rows');
  head.append(make('small', {}, group.note));
  const made = group.numbers.map((number) => slider(number, move));
  rows.append(...made.map((each) => each.row));
  rows.setAttribute('role', 'group');
  rows.setAttribute('aria-label', group.heading);
  box.open = true;
  box.append(head, rows);
  sliders.push(...made);
  return box;
};

const meanings = (list, groups) => {
  for (const number of groups.flatMap((group) => group.numbers)) {
    const said = make('dd', {}, number.hint);
    said.id = `invent-${number.key}-hint`;
    list.append(make('dt', {}, number.label), said);
  }
};

const knobs = ({ element, props, trigger, watch }) => {
  const find = (name) => element.querySelector(`.invent-${name}`);
  const choice = find('like'), reset = find('reset'), from = find('from'), sliders = [];
  let place = { ...props.value }, start = { ...props.value }, called = '', resting = 0, surprises = 0;

  const name = () => {
    reset.disabled = sliders.every(({ key }) => place[key] === start[key]);
    from.textContent = called + (reset.disabled ? '' : ', changed') + '.';
  };
  const tell = (event) => {
    stamp += 1;
    place = { ...place, stamp };
    props.value = place;
    name();
    changed.forEach((listen) => listen());
    clearTimeout(resting);
    if (event === 'drag') trigger('drag');
    resting = setTimeout(() => trigger('rest'), event === 'drag' ? REST : 0);
  };
  const move = (key, value) => { place[key] = value; tell('drag'); };
  const take = (values, text) => {
    start = { ...values };
    place = { ...values, stamp };
    called = text;
    sliders.forEach(({ key, set }) => set(place[key]));
    name();
  };
  const begin = (values, text) => { take(values, text); tell('rest'); };
  const like = (known) => `Began like ${known.name}, ${known.kind === 'known' ? 'a known' : 'an unseen'} location, with its animals`;
  const named = (wanted) => props.starts.find((each) => each.name === wanted);

  for (const [kind, label] of [['known', 'known locations'], ['unseen', 'unseen locations']]) {
    const group = make('optgroup');
    group.label = label;
    group.append(...props.starts.filter((each) => each.kind === kind).map((each) => new Option(each.name, each.name)));
    choice.append(group);
  }
  const surprised = new Option('a surprise', '');
  surprised.hidden = true;
  choice.append(surprised);
  find('groups').append(...props.groups.map((group) => fieldset(group, move, sliders)));
  const narrow = matchMedia('(max-width: 640px)').matches;
  element.querySelectorAll('.knob-group').forEach((box, index) => { if (narrow && index) box.open = false; });
  meanings(element.querySelector('dl'), props.groups);
  choice.addEventListener('change', () => { const known = named(choice.value); if (known) begin(known.values, like(known)); });
  find('surprise').addEventListener('click', () => {
    surprises += 1;
    trigger('surprise', { seed: Math.floor(Math.random() * 1e6) * 1000 + surprises });
  });
  reset.addEventListener('click', () => { begin(start, called); choice.focus(); });
  watch('drawn', () => {
    if (!props.drawn) return;
    surprised.selected = true;
    begin(props.drawn, 'A surprise, with animals of its own');
  });
  choice.value = place.like;
  // What the panel begins with is its value already; a value that is set before it stands would not arrive.
  take(place, like(named(place.like)));
  trigger('rest');
};

const found = ({ element, props, watch }) => {
  const told = element.querySelector('.invent-told'), old = element.querySelector('.invent-old');
  const show = () => {
    const given = props.value;
    if (!given) return;
    told.textContent = given.text;
    told.dataset.stage = given.stage;
    const results = document.getElementById('invent-results');
    const stale = given.stage !== 'known' && given.stamp !== stamp;
    old.hidden = !stale || given.stage === 'failed';
    if (results) results.classList.toggle('is-old', stale);
  };
  let taken = props.used;
  watch('used', () => {
    if (!props.used || props.used === taken) return;
    taken = props.used;
    const { side, place } = taken;
    store.use(side, place);
    told.textContent = `The invented place is ${side.toUpperCase()} in the bar now; the tab Play shows what comes of it.`;
    told.dataset.stage = 'known';
  });
  changed.push(show);
  watch('value', show);
  show();
};

const photos = ({ element, props, watch }) => {
  const box = element.querySelector('.trial-photos');
  const photo = (given) => {
    const figure = make('figure', 'trial-photo'), image = make('img'), caption = make('figcaption');
    Object.assign(image, { src: given.src, alt: `Photograph of: ${given.truth}` });
    caption.append(make('b', {}, given.truth));
    for (const [arm, said, right] of given.said) {
      const line = make('span', right ? 'is-right' : 'is-wrong', `${arm}: ${said} `);
      const mark = make('i', {}, right ? '✓' : '✗');
      mark.setAttribute('role', 'img');
      mark.setAttribute('aria-label', right ? 'right' : 'wrong');
      line.append(mark);
      caption.append(line);
    }
    figure.append(image, caption);
    return figure;
  };
  const show = () => {
    const given = props.value || [];
    if (!given.length) { box.replaceChildren(); return; }
    const head = make('p', 'panel-hint', 'Six of the photographs as the classifier sees them, 96 pixels wide: first those that only one of the two names correctly.');
    const grid = make('div', 'trial-grid');
    grid.append(...given.map(photo));
    box.replaceChildren(head, grid);
  };
  watch('value', show);
  show();
};

export const panels = { invent_scene: scene, invent_knobs: knobs, invent_found: found, trial_photos: photos };
