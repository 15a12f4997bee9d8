import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create_bridge } from '../../wildpdiff/web/js/bridge.js';
import { regime } from '../../wildpdiff/web/js/format.js';
import { create_store } from '../../wildpdiff/web/js/store.js';
import { MINE, table } from './table.mjs';

const opened = (search = '') => { const store = create_store(); store.open_table(table(), search); return store; };

test('a change reaches all who listen, with whether it needs an answer', () => {
  const store = opened(), heard = [];
  store.on('state', (state, more) => heard.push([state.t, state.view, more]));
  store.set({ t: 0.5 });
  store.set({ t: 0.5 });
  store.set({ view: 'pca' });
  store.set({ seed: 3 }, { live: false });
  assert.deepEqual(heard, [
    [0.5, 'umap', { asked: true, live: true }], [0.5, 'pca', { asked: false, live: false }], [0.5, 'pca', { asked: true, live: false }],
  ]);
});

test('whatever is set, the state holds only what the page knows', () => {
  const store = opened();
  store.set({ a: 'nowhere', b: '<script>', t: 'x', m: 'Z', w: 'theirs', seed: -4, n: 99, steps: 7, images: 3 });
  assert.deepEqual(store.state, { a: 'R10', b: 'R12', t: 0, m: 'H', w: 'ours', seed: 0, n: 16, steps: 50, images: 100, tab: 'play', view: 'umap' });
  store.set({ t: 7, seed: 1e12, n: 0 });
  assert.deepEqual([store.state.t, store.state.seed, store.state.n], [1, 2 ** 31 - 1, 1]);
});

test('counts of a small set are of the photographs that there are', () => {
  const store = create_store();
  store.open_table({ ...table(), photographs: { R10: 95 } }, '?v=1&a=R10&b=R12&t=0.00&m=H');
  assert.deepEqual(store.known().of, [95, 100]);
  assert.deepEqual(store.known({ ...store.state, b: 'R10' }).of, [95, 95]);
});

test('nobody can change the state but by set', () => {
  const store = opened();
  store.state.t = 1;
  assert.equal(store.state.t, 0);
});

test('the table brings the state of the link, and comes once', () => {
  const store = opened('?v=1&a=R12&b=D03&t=0.50&m=L');
  assert.deepEqual([store.state.a, store.state.b, store.state.t, store.state.m], ['R12', 'D03', 0.5, 'L']);
  store.open_table({ ...table(), regime: 'L' });
  assert.equal(store.table.regime, 'H');
});

test('a bundle may have other zoos and fewer ways, under names of its own', () => {
  const store = create_store();
  store.open_table({ ...table(), regime: 'norms', regimes: ['norms'], ways: ['ours'], about: { norms: { label: 'Norms', note: '' } } }, '?v=1&m=H&w=paper');
  assert.deepEqual([store.state.m, store.state.w, regime('norms')], ['norms', 'ours', 'Norms']);
  store.set({ m: 'L', w: 'paper' });
  assert.deepEqual([store.state.m, store.state.w], ['norms', 'ours']);
});

test('stored counts are those of the pair, turned with it, and of one place alone', () => {
  const store = opened();
  assert.deepEqual(store.known({ ...store.state, t: 0.5 }).at, [77, 71]);
  assert.deepEqual(store.known({ ...store.state, a: 'R12', b: 'R10', t: 0.5 }).at, [71, 77]);
  assert.deepEqual(store.known({ ...store.state, a: 'R12', b: 'R10', t: 0 }).at, [92, 60]);
  assert.deepEqual(store.known({ ...store.state, a: 'R10', b: 'R10', t: 0.5 }).at, [94, 94]);
  assert.deepEqual(store.known({ ...store.state, w: 'paper', t: 1 }).at, [20, 70]);
});

test('what was not stored is not made up', () => {
  const store = opened();
  assert.equal(store.known({ ...store.state, t: 0.3 }).at, null);
  assert.equal(store.known({ ...store.state, b: 'U11' }), null);
  assert.equal(store.known({ ...store.state, m: 'L' }), null);
  assert.equal(store.known({ ...store.state, seed: 1 }).exact, false);
});

test("a picture of one's own stands in the bar by its id until it is forgotten", () => {
  const store = opened();
  store.use('b', MINE);
  assert.deepEqual([store.state.b, store.named(store.state.b), store.is_own(store.state.b)], [MINE.name, 'your picture', true]);
  assert.equal(store.title({ ...store.state, t: 0.5 }), 'R10 → your picture, 0.50');
  assert.equal(store.known(), null);
  assert.equal(store.same({ ...store.state, a: MINE.name }), true);
  store.forget(MINE.name);
  assert.deepEqual([store.state.b, store.own], ['R12', []]);
});

test('a guard takes out of a change what a lesson has locked', () => {
  const store = opened();
  store.guard(({ m: _, ...rest }) => rest);
  store.set({ m: 'L', t: 0.5 });
  assert.deepEqual([store.state.m, store.state.t], ['H', 0.5]);
});

const bridged = () => {
  const store = opened(), sent = [], due = [];
  let clock = 1000;
  const bridge = create_bridge(store, { later: (call) => due.push(call), now: () => clock++ });
  const run = () => due.splice(0).forEach((call) => call());
  const server = { ask: (wish, running) => sent.push(['ask', wish, running]), stop: (wish) => sent.push(['stop', wish]), offer: () => sent.push(['offer']) };
  return { store, bridge, sent, run, server };
};

test('only the newest of several quick wishes is asked', () => {
  const { store, bridge, sent, run, server } = bridged();
  bridge.connect(server);
  for (const t of [0.1, 0.2, 0.3]) store.set({ t });
  assert.equal(store.busy, true);
  run();
  assert.deepEqual(sent.map(([kind, wish]) => [kind, wish.t]), [['ask', 0.3]]);
});

test('a wish before the server is there is asked once it comes', () => {
  const { store, bridge, sent, run, server } = bridged();
  store.set({ t: 0.4 });
  bridge.connect(server);
  run();
  assert.deepEqual(sent.map(([kind, wish]) => [kind, wish.t]), [['ask', 0.4]]);
});

test('a late answer to an older wish is dropped', () => {
  const { store, bridge, sent, run, server } = bridged();
  bridge.connect(server);
  store.set({ t: 0.4 });
  run();
  const { stamp } = sent[0][1];
  bridge.receive({ stamp: stamp - 1, stage: 'done', live: {} });
  assert.equal(store.answer, null);
  bridge.receive({ stamp, stage: 'measuring', live: { R10: { right: 1, count: 2 } } });
  assert.equal(store.busy, true);
  bridge.receive({ stamp, stage: 'done', live: {} });
  assert.deepEqual([store.answer.stage, store.busy], ['done', false]);
  store.set({ t: 0.5 });
  assert.equal(store.answer, null);
});

test('a running answer is told of a newer wish, a finished one is not', () => {
  const { store, bridge, sent, run, server } = bridged();
  bridge.connect(server);
  store.set({ t: 0.1 }); run();
  store.set({ t: 0.2 }); run();
  bridge.receive({ stamp: sent[1][1].stamp, stage: 'done', live: {} });
  store.set({ t: 0.3 }); run();
  assert.deepEqual(sent.map(([, , running]) => running), [false, true, false]);
});

test('stop keeps what was measured and drops what comes after', () => {
  const { store, bridge, sent, run, server } = bridged();
  bridge.connect(server);
  store.set({ t: 0.1 }); run();
  bridge.receive({ stamp: sent[0][1].stamp, stage: 'measuring', live: { R10: { right: 1, count: 2 } } });
  bridge.stop();
  assert.deepEqual([store.answer.stage, store.answer.live.R10.right, store.busy, sent[1][0]], ['stopped', 1, false, 'stop']);
  bridge.receive({ stamp: sent[0][1].stamp, stage: 'done', live: {} });
  assert.equal(store.answer.stage, 'stopped');
  bridge.stop();
  assert.equal(sent.length, 2);
});
