import assert from 'node:assert/strict';
import { test } from 'node:test';
import { smaller_size, to_send } from '../../wildpdiff/web/js/picture.js';

const MOST = 20e6;

test('a small picture is sent as it is, bit by bit', () => {
  for (const [width, height, bytes] of [[640, 480, 90e3], [2400, 1800, 3e6], [1, 1, 1], [4000, 2000, 4e6]])
    assert.equal(smaller_size(width, height, bytes, MOST), null);
});

test('a phone photograph is made smaller in its own shape, whether it has many bytes or many pixels', () => {
  assert.deepEqual(smaller_size(4000, 3000, 5.7e6, MOST), [1600, 1200]);
  assert.deepEqual(smaller_size(3000, 4000, 2e6, MOST), [1200, 1600]);
  assert.deepEqual(smaller_size(6960, 4640, 3e6, MOST), [1600, 1067]);
});

test('a small picture of many bytes keeps its size and a very long one keeps a pixel', () => {
  assert.deepEqual(smaller_size(1000, 800, 30e6, MOST), [1000, 800]);
  assert.deepEqual(smaller_size(90000, 20, 5e6, MOST), [1600, 1]);
});

test('a limit below ours is kept', () => {
  assert.equal(smaller_size(1000, 800, 2e6, 3e6), null);
  assert.deepEqual(smaller_size(1000, 800, 2e6, 1e6), [1000, 800]);
});

test('what the browser cannot decode, and what is small enough, is sent as the very file', async () => {
  const file = { size: 30e6 };
  assert.equal(await to_send(file, MOST, () => Promise.reject(new Error('no picture'))), file);
  const small = { size: 1e5 };
  assert.equal(await to_send(small, MOST, async () => ({ width: 640, height: 480 })), small);
});
