import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HIDE, LOCK, complaint, make, parse } from '../../wildpdiff/web/js/links.js';

const NAMES = ['R10', 'R12', 'U11', 'S09', 'D03'];
const CHOICES = { a: NAMES, b: NAMES, m: ['L', 'M', 'H'], w: ['ours', 'paper'], steps: [10, 25, 50, 100] };
const USUAL = { a: 'R10', b: 'R12', t: 0.5, m: 'H', w: 'ours', seed: 0, n: 1, steps: 50, images: 100, tab: 'play', view: 'umap' };
const read = (query) => parse(query, CHOICES);

// A stream of numbers that is the same in every run.
const stream = (seed) => () => { seed = (seed * 1103515245 + 12345) % 2 ** 31; return seed / 2 ** 31; };
const drawer = (next) => ({
  below: (most) => Math.floor(next() * most), one: (list) => list[Math.floor(next() * list.length)], some: (list) => list.filter(() => next() < 0.4),
});

test('every state survives the way into a link and back', () => {
  const draw = drawer(stream(7));
  for (let round = 0; round < 500; round += 1) {
    const state = {
      a: draw.one(NAMES), b: draw.one(NAMES), t: draw.below(101) / 100, m: draw.one(['L', 'M', 'H']), w: draw.one(['ours', 'paper']),
      seed: draw.below(2 ** 31), n: 1 + draw.below(16), steps: draw.one([10, 25, 50, 100]), images: draw.one([15, 32, 64, 100]),
      tab: draw.one(['play', 'watch', 'unseen', 'probe', 'learn']), view: draw.one(['umap', 'pca', 'ruler']),
    };
    const extras = { hide: draw.some(Object.keys(HIDE)), lock: draw.some(Object.keys(LOCK)), tour: draw.one([null, 'valley']), zoom: draw.one([1, 1.15, 1.3, 2]) };
    assert.deepEqual(read(make(state, extras)), { state, ...extras, unknown: [] });
  }
});

test('whatever stands in a link, what is read is known and can be written again', () => {
  const draw = drawer(stream(11));
  const keys = [...Object.keys(USUAL), 'hide', 'lock', 'tour', 'zoom', 'v', '__proto__', 'constructor', 'x'];
  const values = ['R10', 'own', 'own-1', '0.5', '1', '-1', '1e9', 'NaN', '', 'H', 'paper', 'probe,seed', '%', '%00', '<b>', '"', '2147483648', 'toString', 'valley', '1.3'];
  for (let round = 0; round < 2000; round += 1) {
    const query = `?${Array.from({ length: 1 + draw.below(6) }, () => `${draw.one(keys)}=${draw.one(values)}`).join('&')}`;
    const { unknown, ...link } = read(query);
    assert.ok(Object.keys(link.state).every((key) => Object.hasOwn(USUAL, key)), query);
    assert.deepEqual(read(make({ ...USUAL, ...link.state }, link)), { ...link, state: { ...USUAL, ...link.state }, unknown: [] }, query);
  }
});

test('a link looks as it is documented', () => {
  const usual = '?v=1&a=R10&b=R12&t=0.50&m=H&w=ours&seed=0&n=1&steps=50&images=100&tab=play&view=umap';
  assert.equal(make(USUAL), usual);
  assert.equal(make(USUAL, { hide: ['probe', 'seed'], lock: ['m'], tour: 'valley', zoom: 1.3 }), `${usual}&hide=probe,seed&lock=m&tour=valley&zoom=1.3`);
});

test("a picture of one's own is never in a link nor read from one", () => {
  assert.ok(make({ ...USUAL, a: 'own-00ff' }).startsWith('?v=1&b=R12&t=0.50'));
  for (const name of ['own', 'own-00ff']) {
    const found = read(`?a=${name}&b=R12`);
    assert.deepEqual([found.state, found.unknown], [{ b: 'R12' }, [`a=${name}`]]);
    assert.deepEqual(parse(`?a=${name}`).state, {});
  }
});

for (const value of ['m=Z', 'm=h', 't=abc', 't=-1', 't=1.01', 't=NaN', 't=1e0', 't=', 'seed=-1', 'seed=2147483648', 'seed=1.5', 'seed=0x10', 'n=0', 'n=17',
  'steps=51', 'images=99', 'a=R99', 'a=__proto__', 'a=constructor', 'tab=toString', 'view=3d', 'w=theirs', 'tour=alps', 'zoom=0.5', 'zoom=3', 'zoom=',
  'hide=bar', 'hide=__proto__', 'lock=seed', 'lock=hasOwnProperty', 'regime=L', 'constructor=1']) {
  test(`${value} is not known: it falls back and is named`, () => {
    const found = read(`?v=1&b=R12&${value}`);
    assert.deepEqual(found, { state: { b: 'R12' }, hide: [], lock: [], tour: null, zoom: 1, unknown: [value] });
  });
}

test('of a list the known names count once each', () => {
  const found = read('?hide=probe,,bar,probe,seed&lock=t,x,m');
  assert.deepEqual([found.hide, found.lock, found.unknown], [['probe', 'seed'], ['t', 'm'], ['hide=bar', 'lock=x']]);
});

test('the first of two values counts and the other is named', () => {
  const found = read('?m=L&m=H');
  assert.deepEqual([found.state, found.unknown], [{ m: 'L' }, ['m=H']]);
});

test('of an unknown version nothing is taken', () => {
  assert.deepEqual(read('?v=2&m=L&hide=probe&tour=valley'), { state: {}, hide: [], lock: [], tour: null, zoom: 1, unknown: ['v=2'] });
  assert.deepEqual(read('?m=L').state, { m: 'L' });
});

test('what Gradio and Spaces add to an address is not complained of', () => {
  const found = read('?__theme=dark&__sign=abc&utm_source=x&view=api&logs=container');
  assert.deepEqual([found.state, found.unknown], [{}, []]);
});

test('long values are cut short, and many unknown settings are counted, not listed', () => {
  assert.equal(read(`?t=${'9'.repeat(5000)}`).unknown[0].length, 25);
  const told = complaint([...Array(9).keys()].map((place) => `x${place}=1`));
  assert.equal(told, 'Some settings in this link are not known: x0=1, x1=1, x2=1, x3=1, x4=1, x5=1 and 3 more.');
});
