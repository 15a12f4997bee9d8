// The map of adapters and the heat map of cosines: which view, of what numbers, in which layer.
import { make, radios } from './dom.js';
import { store } from './store.js';

// Radio buttons for the views, each with the sentence that its caption says; the page's state holds the chosen one.
const views = ({ element, props, trigger }) => {
  const box = element.querySelector('.choices'), note = element.querySelector('.view-note');
  box.replaceChildren(...radios(props.group, props.views, (view) => store.set({ view })));
  const show = ({ view }) => {
    const shown = props.views.find(([name]) => name === view) || props.views[0];
    for (const input of box.querySelectorAll('input')) input.checked = input.value === shown[0];
    note.textContent = shown[2];
  };
  store.on('state', show);
  show(store.state);
  // Figures for a link's own setting, before anything is written for it.
  if (props.first) store.ready(() => {
    const { state } = store;
    if (Object.keys(props.first).some((key) => props.first[key] !== state[key])) trigger('open', state);
  });
};

const alike = ({ element, props, trigger, watch }) => {
  const select = element.querySelector('select'), note = element.querySelector('.atlas-note');
  const kinds = [...element.querySelectorAll('input[type=radio]')], groups = {};
  const kind = () => kinds.find((radio) => radio.checked).value;
  select.append(new Option('the whole adapter', '0'));
  props.layers.forEach(([stage, text], at) => {
    if (!groups[stage]) select.append((groups[stage] = make('optgroup', { label: stage })));
    groups[stage].append(new Option(text, String(at + 1)));
  });
  const tell = () => { note.textContent = props.problem || props.notes[kind()]; };
  const choose = () => { tell(); trigger('choose', { kind: kind(), layer: Number(select.value) }); };
  for (const control of [select, ...kinds]) control.addEventListener('change', choose);
  document.addEventListener('chart-pick', (event) => {
    if (!event.target.closest('#layers') || !element.isConnected) return;
    select.value = String(event.detail.index + 1);
    choose();
  });
  watch('problem', tell);
  tell();
};

export const panels = { views, alike };
