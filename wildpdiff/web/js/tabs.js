// The tabs of the page: their buttons, wherever Gradio has put them, and opening one.
import { toast } from './dom.js';
import { USUAL } from './links.js';
import { store } from './store.js';

// What this lesson's link hides; see lesson.js.
export const hidden = (part) => (document.body.dataset.hide || '').split(',').includes(part);

// The tabs that this page has.
const known = () => store.choices.tab || USUAL.tab;

// Where the screen is narrow, Gradio moves the last tabs into a menu of nameless buttons, in their order.
export const menu = () => {
  const rest = known().filter((tab) => !document.getElementById(`tab-${tab}-button`));
  const buttons = [...document.querySelectorAll('#tabs .overflow-dropdown button')];
  return buttons.length === rest.length ? Object.fromEntries(rest.map((tab, at) => [tab, buttons[at]])) : {};
};
export const tab_button = (tab) => document.getElementById(`tab-${tab}-button`) || menu()[tab];

export const open = (tab) => {
  if (hidden(tab)) { toast("Hidden by this lesson's link."); return; }
  const button = tab_button(tab);
  if (button) button.click();
  if (tab !== store.state.tab) store.set({ tab }, { live: false });
};

// A tab that is clicked is in the state.
export const start = () => document.addEventListener('click', (event) => {
  const button = event.target.closest ? event.target.closest('[role=tab], .overflow-dropdown button') : null;
  const tab = button && known().find((name) => tab_button(name) === button);
  if (tab && tab !== store.state.tab) store.set({ tab }, { live: false });
}, true);
