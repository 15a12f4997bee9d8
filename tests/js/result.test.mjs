import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bars_of, curve_of } from '../../wildpdiff/web/js/play.js';
import { differs, sentence, spread } from '../../wildpdiff/web/js/result.js';
import { store } from '../../wildpdiff/web/js/store.js';
import { counted, percent, regime, two, wilson } from '../../wildpdiff/web/js/format.js';
import { MINE, table } from './table.mjs';

store.open_table(table());
const USUAL = store.state;
const words = (state, answer) => sentence({ ...USUAL, ...state }, answer).parts.map((part) => part.text).join(' · ');
const done = (live, more) => ({ stage: 'done', live, alike: { R10: 0.98312, U11: 0.1 }, seconds: 0.94, note: '', ...more });

test('numbers are written alike everywhere', () => {
  assert.deepEqual([percent(0.946), counted(263, 280), two(-0.001), two(-0.5), regime('L'), regime('X')], ['95%', '94% (263/280)', '0.00', '−0.50', 'Low', 'X']);
  assert.deepEqual(wilson(0, 0), [0, 1]);
  for (let count = 1; count < 60; count += 1) for (let right = 0; right <= count; right += 1) {
    const [low, high] = wilson(right, count), [other, least] = wilson(count - right, count);
    assert.ok(low >= 0 && high <= 1 && low <= right / count + 1e-12 && high >= right / count - 1e-12);
    assert.ok(Math.abs(low + least - 1) < 1e-12 && Math.abs(high + other - 1) < 1e-12);
  }
});

test('before anything is computed the sentence says the stored counts', () => {
  const given = sentence({ ...USUAL, t: 0.5 }, null);
  assert.equal(given.badge, 'precomputed');
  assert.equal(words({ t: 0.5 }, null), 'R10 → R12, 0.50 · High · R10 77% (77/100) · R12 71% (71/100)');
  assert.equal(words({ t: 0.5, seed: 4 }, null), 'R10 → R12, 0.50 · High · R10 77% (77/100) · R12 71% (71/100) · with seed 0 and 50 steps');
  assert.equal(sentence({ ...USUAL, b: 'U11' }, null).badge, 'waiting');
});

test('a live answer says counts, cosines with A and B, seed and time', () => {
  const answer = done({ R10: { right: 47, count: 50 }, R12: { right: 20, count: 50 } });
  assert.equal(words({ t: 0.5, n: 3 }, answer), 'R10 → R12, 0.50 · High · R10 94% (47/50) · R12 40% (20/50) · cosine to R10 0.983 · 3 adapters from seed 0 · 0.9 s');
  assert.equal(sentence({ ...USUAL, t: 0.5 }, answer).final, true);
});

test('at an end the spread of the place that stands there is said, in the way that was chosen', () => {
  const chip = (state) => (words(state, done({})).match(/seeds differ (\S+)× as much as fine-tuned adapters/) || [])[1];
  assert.deepEqual([chip({ t: 0 }), chip({ t: 1 }), chip({ t: 0, w: 'paper' }), chip({ a: 'R12', b: 'R12', t: 0.4 })], ['0.92', '0.80', '1.40', '0.80']);
  assert.deepEqual([chip({ t: 0.5 }), chip({ t: 1, w: 'paper' }), chip({ t: 1, b: 'D03' }), chip({ t: 0, m: 'L' })], [undefined, undefined, undefined, undefined]);
  assert.equal(spread({ ...USUAL, a: 'own-1' }, 'a'), null);
});

test('a finished answer that differs from the stored one says so, within the tolerance it does not', () => {
  const answer = (right) => done({ R10: { right, count: 100 }, R12: { right: 50, count: 100 } });
  assert.deepEqual([94, 93, 92].map((right) => differs(USUAL, answer(right))), [false, false, true]);
  assert.equal(differs({ ...USUAL, seed: 1 }, answer(10)), false);
  assert.ok(words({}, answer(92)).endsWith('please report it'));
});

test('what failed or was stopped is told as that', () => {
  assert.deepEqual(sentence(USUAL, { stage: 'failed', problem: 'No.' }), { badge: 'not done', kind: 'problem', parts: [{ text: 'No.' }], final: true });
  assert.ok(words({}, { ...done({}), stage: 'stopped' }).endsWith('what was measured so far stays'));
});

test("of a picture of one's own no accuracy is claimed", () => {
  store.use('a', MINE);
  assert.equal(words({ a: MINE.name, t: 0.5 }, null), 'your picture → R12, 0.50 · High · nothing is known beforehand about a picture of your own');
  assert.ok(words({ a: MINE.name, t: 0.5 }, done({ R12: { right: 1, count: 2 } })).includes('R12 50% (1/2) · no accuracy is claimed for a place of your own'));
  assert.ok(!bars_of({ ...USUAL, a: MINE.name }, null).data[0].x.includes(MINE.name));
  assert.ok(curve_of({ ...USUAL, a: MINE.name }).summary.includes('from your picture to R12'));
  store.forget(MINE.name);
});

test('bars show stored counts at once, live ones as they come, and nothing in between', () => {
  const stored = bars_of({ ...USUAL, t: 0.5 }, null);
  assert.deepEqual(stored.data[0].x, ['R10', 'R12', 'U11']);
  assert.deepEqual(stored.data[0].y, [0.77, 0.71, null]);
  assert.deepEqual(stored.data[0].customdata, ['77/100, precomputed', '71/100, precomputed', '']);
  const live = bars_of({ ...USUAL, t: 0.5 }, done({ U11: { right: 3, count: 24, shares: [0.125] } }));
  assert.deepEqual(live.data[0].y, [null, null, 0.125]);
  assert.deepEqual(live.data[0].marker.pattern.shape, ['', '', '/']);
  assert.deepEqual(live.table.rows[0].slice(0, 4), ['R10', '40%', '95%', '94%']);
  assert.equal(bars_of({ ...USUAL, seed: 3 }, null).data[0].y[0], null);
  assert.deepEqual(bars_of({ ...USUAL, b: 'D03' }, null).data[0].x, ['R10', 'R12', 'U11', 'D03']);
});

test('the whiskers of a bar are its interval', () => {
  const { error_y: error } = bars_of({ ...USUAL, t: 0.5 }, null).data[0], [low, high] = wilson(77, 100);
  assert.ok(Math.abs(error.array[0] - (high - 0.77)) < 1e-12 && Math.abs(error.arrayminus[0] - (0.77 - low)) < 1e-12);
});

test('the curve shows one similarity, with its cursor at the blend', () => {
  const drawn = curve_of({ ...USUAL, t: 0.5 });
  assert.deepEqual(drawn.layout.shapes.map((shape) => [shape.x0, shape.x1]), [[0.5, 0.5]]);
  assert.deepEqual(drawn.data.find((trace) => trace.name === 'generated at R10').y, [0.94, 0.77, 0.6]);
});
