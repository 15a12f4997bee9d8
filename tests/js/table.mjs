// A small table as the server sends it, for the tests of the scripts.
const NAMES = ['R10', 'R12', 'U11', 'D03'];
const side = (first, last) => [0, 0.5, 1].map((t) => Math.round(first + t * (last - first)));

export const table = () => ({
  places: NAMES.map((name, index) => ({ name, short: name, title: name, kind: name === 'D03' ? 'unseen' : 'seen', index, src: '', note: '' })),
  regime: 'H', regimes: ['L', 'M', 'H'], ways: ['ours', 'paper'],
  about: { L: { label: 'Low', note: 'A start each.' }, M: { label: 'Medium', note: '' }, H: { label: 'High', note: 'One converged start.' } },
  shapes: ['circle', 'square', 'cross', 'star'], species: ['zebra'], tolerance: 1,
  weights: [0, 0.5, 1], images: 100, seed: 0, steps: 50, pretrained: { R10: 40, R12: 50 },
  curves: { H: { 'R10+R12': { ours: [side(94, 60), side(50, 92)], paper: [side(80, 20), side(30, 70)], weights: [side(90, 40), side(45, 91)] } }, L: {}, M: {} },
  known: { H: { R10: { images: 280, pretrained: 0.4, fine_tuned: 0.95, generated: 0.94, spread: { ours: 0.92, paper: 1.4 } }, R12: { fine_tuned: 0.93, spread: { ours: 0.8 } }, D03: { pretrained: 0.3, spread: {} } } },
  presets: [
    { name: 'one', story: 'First.', state: { a: 'R10', b: 'R12', t: 0, m: 'H' } },
    { name: 'two', story: 'Second.', state: { a: 'R10', b: 'R12', t: 0.5, m: 'H' } },
    { name: 'three', story: 'Third.', state: { a: 'R12', b: 'U11', t: 1, m: 'L' } },
  ],
});

export const MINE = { name: 'own-00ff', short: 'yours', title: 'your picture', kind: 'own', src: 'data:,', note: '' };
