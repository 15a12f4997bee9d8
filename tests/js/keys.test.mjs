import assert from 'node:assert/strict';
import { test } from 'node:test';

// As much of a page as the keys look at.
const went = [], heard = {};
globalThis.document = {
  body: { dataset: {} }, querySelector: () => null,
  getElementById: (id) => (['generate', 'swap'].includes(id) ? { click: () => went.push(id) } : null),
  addEventListener: (kind, listen) => { heard[kind] = listen; },
};
Object.defineProperty(globalThis, 'localStorage', { configurable: true, get: () => { throw new Error('denied'); } });

const keys = await import('../../wildpdiff/web/js/keys.js');
const { presets } = await import('../../wildpdiff/web/js/presets.js');
const { store } = await import('../../wildpdiff/web/js/store.js');
const { table } = await import('./table.mjs');

const press = (key, more = {}) => {
  let taken = false;
  heard.keydown({ key, target: null, getModifierState: () => false, preventDefault: () => { taken = true; }, ...more });
  return taken;
};
keys.start();
store.open_table(table());

test('single keys act, others and those with a modifier do not', () => {
  went.length = 0;
  assert.deepEqual(['g', 's', 'x', '6'].map((key) => press(key)), [true, true, false, false]);
  assert.deepEqual(went, ['generate', 'swap']);
  assert.equal(press('g', { ctrlKey: true }), false);
  assert.equal(press('g', { repeat: true }), false);
});

test('a key in a field is a character', () => {
  const field = { closest: (selector) => selector.includes('textarea') };
  assert.equal(press('g', { target: field }), false);
});

test('numbers and brackets go through the stories and round', () => {
  press('2');
  assert.equal(presets.of(store.state), 1);
  press(']');
  assert.deepEqual([presets.of(store.state), store.state.b, store.state.m], [2, 'U11', 'L']);
  press(']');
  assert.equal(presets.of(store.state), 0);
  press('[');
  assert.equal(presets.of(store.state), 2);
  store.set({ t: 0.3 });
  assert.equal(presets.of(store.state), -1);
  press('5');
  assert.equal(presets.of(store.state), -1);
});

test('what a lesson hides no key opens', () => {
  document.body.dataset.hide = 'seed,presets';
  store.set({ t: 0.3 });
  press('1');
  assert.equal(presets.of(store.state), -1);
  document.body.dataset.hide = '';
});

test('where nothing can be stored the keys still work, and can be turned off', () => {
  assert.equal(keys.on(), true);
  keys.keep(false);
  assert.equal(press('g'), false);
  keys.keep(true);
  assert.equal(press('g'), true);
});
