import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create_bridge } from '../../wildpdiff/web/js/bridge.js';
import { create_store } from '../../wildpdiff/web/js/store.js';
import { waits } from '../../wildpdiff/web/js/result.js';
import { table } from './table.mjs';

const begin = () => {
  const store = create_store(), asked = [];
  store.open_table(table());
  const bridge = create_bridge(store, { later: (call) => call(), now: () => 1000 });
  bridge.connect({ ask: (wish) => asked.push(wish), stop: () => {}, offer: () => {} });
  store.set({ t: 0.5 });
  return { store, bridge, asked, stamp: asked.at(-1).stamp };
};

test('while an answer waits, the page knows how long, until the first frame comes', () => {
  const { store, bridge, stamp } = begin(), turn = { stamp, known: true, running: false, ahead: 3, seconds: 12 };
  bridge.receive_turn(turn);
  assert.deepEqual(store.turn, turn);
  bridge.receive({ stamp, stage: 'measuring', live: {} });
  assert.equal(store.turn, null);
  bridge.receive_turn(turn);
  assert.equal(store.turn, null);
});

test('how long an older answer waits is nobody’s concern', () => {
  const { store, bridge, stamp } = begin();
  bridge.receive_turn({ stamp: stamp - 1, known: true, running: false, ahead: 3, seconds: 12 });
  assert.equal(store.turn, null);
});

test('an answer that the server knows nothing of three times is given up, in a sentence', () => {
  const { store, bridge, stamp } = begin();
  for (let times = 0; times < 2; times += 1) bridge.receive_turn({ stamp, known: false });
  assert.equal(store.answer, null);
  bridge.receive_turn({ stamp, known: false });
  assert.equal(store.answer.stage, 'failed');
  assert.match(store.answer.problem, /^The live answer was lost/);
  assert.equal(store.busy, false);
});

test('a refused wish ends the waiting with the server’s sentence; that of an older one does not', () => {
  const { store, bridge, stamp } = begin();
  bridge.refused({ data: [{ stamp: stamp - 1 }] }, 'no');
  bridge.refused({ event_data: {} }, 'no');
  assert.equal(store.answer, null);
  bridge.refused({ data: [{ stamp }, null] }, '64 requests wait.');
  assert.deepEqual([store.answer.stage, store.answer.problem, store.busy], ['failed', '64 requests wait.', false]);
});

test('waiting is told in words', () => {
  const text = (turn) => waits(turn).map((part) => part.text).join();
  assert.equal(text(null), '');
  assert.equal(text({ known: false }), '');
  assert.equal(text({ known: true, running: true, ahead: 0, seconds: 0 }), 'the live adapter is being written');
  assert.equal(text({ known: true, running: false, ahead: 0, seconds: 2 }), 'the live answer waits: about 2 s');
  assert.equal(text({ known: true, running: false, ahead: 1, seconds: 2 }), 'the live answer waits: 1 request before it, about 2 s');
  assert.equal(text({ known: true, running: false, ahead: 3, seconds: 12 }), 'the live answer waits: 3 requests before it, about 12 s');
});
