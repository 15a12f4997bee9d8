// The bar: presets, two locations, the blend slider, regime, way, Generate, Stop and more. Native controls over the store.
import { bridge } from './bridge.js';
import { load_plotly } from './chart.js';
import { make, radios } from './dom.js';
import { percent, regime } from './format.js';
import { presets } from './presets.js';
import { result } from './result.js';
import { share } from './share.js';
import { store } from './store.js';
import { open } from './tabs.js';

// How the middle between two locations can be written: a name and what it means.
const WAYS = {
  ours: ['ours', 'The condition says around which adapter to look, along curves that serve both locations; the noise decides which one it becomes.'],
  paper: ["paper's", 'One plain denoiser that never saw a blend: two conditions are mixed and hoped for the best, and samples stray from fine-tuned rows.'],
};
const bar = (root) => {
  const $ = (id) => root.querySelector(`#${id}`);
  const blend = $('blend'), strip = $('strip'), more = $('more');
  let opened = null;
  const show_t = (t) => { $('blend-value').textContent = Number(t).toFixed(2); };

  blend.addEventListener('input', () => store.set({ t: Number(blend.value) }));
  $('swap').addEventListener('click', () => store.set({ a: store.state.b, b: store.state.a, t: 1 - store.state.t }));
  $('generate').addEventListener('click', () => bridge.generate());
  $('stop').addEventListener('click', () => bridge.stop());
  $('share').addEventListener('click', () => share());
  document.addEventListener('keydown', (event) => { if (event.key === 'Escape') { if (opened) close(true); else bridge.stop(); } });

  const fill_choices = (box, key, choices) => box.querySelector('.choices').replaceChildren(...radios(key, choices, (value) => store.set({ [key]: value })));
  const number = (id, key) => $(id).addEventListener('change', () => { store.set({ [key]: Number($(id).value) }); show(store.state); });
  number('seed', 'seed'); number('samples', 'n'); number('steps', 'steps'); number('images', 'images');

  // The strip of locations, one for both sides: native radio buttons with pictures.
  const choices = () => [...store.table.places, ...store.own];
  const close = (focus) => {
    if (!opened) return;
    const button = $(`bar-${opened}`);
    opened = null;
    strip.hidden = true;
    for (const side of ['a', 'b']) $(`bar-${side}`).setAttribute('aria-expanded', 'false');
    if (focus) button.focus();
  };
  const choose = (side) => {
    if (opened === side) { close(true); return; }
    opened = side;
    for (const other of ['a', 'b']) $(`bar-${other}`).setAttribute('aria-expanded', String(other === side));
    strip.hidden = false;
    strip.querySelector('legend').textContent = `Choose location ${side.toUpperCase()}`;
    strip.querySelector('.places').replaceChildren(...choices().map((place) => {
      const input = make('input', { type: 'radio', name: 'place', value: place.name, checked: store.state[side] === place.name });
      input.setAttribute('aria-label', place.title);
      input.addEventListener('change', () => store.set({ [side]: place.name }));
      const label = make('label', { className: 'place', title: place.title }, input, make('img', { src: place.src, alt: '' }), make('span', {}, place.short || place.name));
      label.dataset.kind = place.kind;
      label.addEventListener('mouseenter', () => store.hover(place.name));
      label.addEventListener('mouseleave', () => store.hover(null));
      return label;
    }));
    const chosen = strip.querySelector('input:checked') || strip.querySelector('input');
    if (chosen) chosen.focus();
  };
  for (const side of ['a', 'b']) {
    $(`bar-${side}`).addEventListener('click', () => choose(side));
    $(`bar-${side}`).addEventListener('mouseenter', () => store.hover(store.state[side]));
    $(`bar-${side}`).addEventListener('mouseleave', () => store.hover(null));
  }
  $('strip-close').addEventListener('click', () => close(true));
  $('strip-own').addEventListener('click', () => { close(false); open('unseen'); });

  const meaning = (name) => store.table?.about[name]?.note || '';
  const fill = (table) => {
    fill_choices($('regime'), 'm', table.regimes.map((name) => [name, regime(name), meaning(name)]));
    fill_choices($('way'), 'w', table.ways.map((name) => [name, ...WAYS[name]]));
    $('presets').replaceChildren(...table.presets.map((preset, index) => {
      const button = make('button', { type: 'button', className: 'preset' }, make('b', {}, `${index + 1}`), make('span', {}, preset.name));
      button.addEventListener('click', () => presets.go(index));
      return button;
    }));
  };

  const show = (state) => {
    for (const side of ['a', 'b']) {
      const place = store.place(state[side]) || { name: state[side], title: state[side] };
      const button = $(`bar-${side}`), picture = button.querySelector('img');
      if (place.src) picture.src = place.src; else picture.removeAttribute('src');
      button.querySelector('.end-name').textContent = place.short || place.name;
      button.querySelector('.end-kind').textContent = place.kind === 'seen' ? '' : place.kind === 'own' ? 'your own' : 'unseen';
      button.setAttribute('aria-label', `Location ${side.toUpperCase()}: ${place.title}. Choose another.`);
      button.style.setProperty('--own', store.colour(state[side]));
    }
    const same = store.same(state);
    if (Number(blend.value) !== state.t) blend.value = state.t;
    blend.disabled = same || document.body.dataset.lock?.split(',').includes('t') || false;
    blend.style.setProperty('--share', `${100 * state.t}%`);
    $('blend-hint').textContent = same ? 'Same location: blending changes nothing.' : '';
    blend.setAttribute('aria-valuetext', `${percent(1 - state.t)} ${store.named(state.a)}, ${percent(state.t)} ${store.named(state.b)}`);
    show_t(state.t);
    for (const [key, box] of [['m', 'regime'], ['w', 'way']]) for (const radio of $(box).querySelectorAll('input')) radio.checked = radio.value === state[key];
    $('regime-hint').textContent = meaning(state.m);
    for (const [id, key] of [['seed', 'seed'], ['samples', 'n'], ['steps', 'steps'], ['images', 'images']]) $(id).value = state[key];
    const preset = presets.of(state);
    root.querySelectorAll('.preset').forEach((button, index) => button.setAttribute('aria-pressed', String(index === preset)));
    $('story').textContent = preset < 0 ? '' : store.table.presets[preset].story;
    if (opened) strip.querySelectorAll('input').forEach((input) => { input.checked = input.value === state[opened]; });
  };

  // Only the bar stays in view: the presets above it scroll away.
  const box = root.querySelector('.bar'), block = root.closest('#frame') || root;
  const lift = () => block.style.setProperty('--lift', `${Math.round(box.getBoundingClientRect().top - block.getBoundingClientRect().top)}px`);
  new ResizeObserver(lift).observe(root);

  store.on('state', show);
  store.on('busy', (busy) => { $('stop').disabled = !busy; root.querySelector('.bar').dataset.busy = busy ? 'yes' : 'no'; });
  store.ready((table) => {
    fill(table);
    show(store.state);
    root.querySelector('.frame').dataset.ready = 'yes';
    requestAnimationFrame(() => setTimeout(load_plotly));
  });
};

export const panels = {
  frame: ({ element, props }) => {
    bar(element);
    result(element);
    store.open_table(JSON.parse(props.table), location.search);
  },
};
