import assert from 'node:assert/strict';
import { test } from 'node:test';
import { change_words, next_seed, rgba, with_way, wrong } from '../../wildpdiff/web/js/pdiff.js';

test('one to eight networks and any seed that fits can be sampled; anything else is one sentence', () => {
  for (const [count, seed] of [['1', '0'], ['8', '2147483647'], ['4', '007']]) assert.equal(wrong(count, seed), '');
  for (const count of ['', '0', '9', '2.5', '-1', 'four', '1e1']) assert.match(wrong(count, '0'), /^Between 1 and 8 networks .*\.$/);
  for (const seed of ['', '-1', '2147483648', '1.5', 'x']) assert.match(wrong('4', seed), /^The seed must be a whole number .*\.$/);
});

test('the next seeds follow the sampled ones, and begin again before they are too large', () => {
  assert.equal(next_seed(0, 4), 4);
  assert.equal(next_seed(7, 1), 8);
  assert.equal(next_seed(2 ** 31 - 8, 4), 2 ** 31 - 4);
  assert.equal(next_seed(2 ** 31 - 4, 4), 0);
});

test('what a sample changed is told with all its parts, and how many are shown', () => {
  const shown = (count) => Array.from({ length: count }, (_, at) => [at, 1, 2, 3]);
  assert.match(change_words({ gained: 0, lost: 0, all: 0, shown: [] }), /answer to every test picture/);
  const three = change_words({ gained: 2, lost: 0, all: 3, shown: shown(3) });
  assert.match(three, /to 3 pictures: 2 that only it .*, 0 that only the base .*, 1 that both/);
  assert.doesNotMatch(three, /shown/);
  const many = change_words({ gained: 20, lost: 10, all: 30, shown: shown(24) });
  assert.match(many, /The first 24 are shown\.$/);
  assert.doesNotMatch(many, /both/);
  assert.match(change_words({ gained: 1, lost: 0, all: 1, shown: shown(1) }), /to 1 picture:/);
});

test('grey bytes become opaque pixels of the same grey', () => {
  assert.deepEqual([...rgba(btoa(String.fromCharCode(0, 128, 255)))], [0, 0, 0, 255, 128, 128, 128, 255, 255, 255, 255, 255]);
});

test('the map takes the way of another sample and leaves all else as it is', () => {
  const dots = { name: 'originals', x: [1], y: [2] }, map = { layout: {}, data: [dots, { name: 'way of the sample', x: [0], y: [0], customdata: [1] }] };
  const made = with_way(map, [[1, 0.5, 0.6], [50, 0.7, 0.8]]);
  assert.equal(made.data[0], dots);
  assert.deepEqual(made.data[1], { name: 'way of the sample', x: [0.5, 0.7], y: [0.6, 0.8], customdata: [1, 50] });
  assert.deepEqual(map.data[1].x, [0]);
});
