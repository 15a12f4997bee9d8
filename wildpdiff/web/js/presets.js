// The five stories: which of them the state tells, and going to one.
import { store } from './store.js';
import { open } from './tabs.js';

const all = () => (store.table ? store.table.presets : []);

export const presets = {
  // The place of the story that a state tells; -1 for none.
  of: (state) => all().findIndex((preset) => Object.entries(preset.state).every(([key, value]) => state[key] === value)),
  go: (place) => {
    if (!all()[place]) return;
    store.set(all()[place].state);
    if (store.state.tab !== 'play') open('play');
  },
  step: (by) => {
    const now = presets.of(store.state), count = all().length;
    presets.go((((now < 0 ? (by > 0 ? -1 : 0) : now) + by) % count + count) % count);
  },
};
