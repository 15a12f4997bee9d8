// The result in one sentence with its badge: precomputed at once, live as it comes; read aloud once when complete.
import { PLAIN_FORM, counted, regime } from './format.js';
import { store } from './store.js';

const head = (state) => [{ text: store.title(state), strong: true }, { text: `${regime(state.m)}${state.w === 'paper' ? `, ${PLAIN_FORM}` : ''}` }];

// How far samples of a seen location lie apart, over how far fine-tuned rows do that the generator never saw.
export const spread = (state, side) => (store.figures(state.m, state[side]).spread || {})[state.w] || null;

// How long the live answer that was asked for will wait; nothing while it comes at once.
export const waits = (turn) => {
  if (!turn || !turn.known) return [];
  if (turn.running) return [{ text: 'the live adapter is being written' }];
  const others = turn.ahead ? `${turn.ahead} ${turn.ahead === 1 ? 'request' : 'requests'} before it, ` : '';
  return [{ text: `the live answer waits: ${others}about ${turn.seconds} s` }];
};

const before = (state) => {
  const known = store.known(state), parts = head(state), own = store.is_own(state.a) || store.is_own(state.b);
  if (own) return { badge: 'waiting', kind: 'known', parts: [...parts, { text: 'nothing is known beforehand about a picture of your own' }] };
  if (!known || !known.at) return { badge: 'waiting', kind: 'known', parts: [...parts, { text: 'not measured beforehand; a live adapter is on its way' }] };
  const sides = store.same(state) ? ['a'] : ['a', 'b'];
  parts.push(...sides.map((side, index) => ({ text: `${state[side]} ${counted(known.at[index], known.of[index])}`, strong: true })));
  if (!known.exact) parts.push({ text: `with seed ${store.table.seed} and ${store.table.steps} steps` });
  return { badge: 'precomputed', kind: 'known', parts };
};

const after = (state, answer) => {
  const parts = head(state), live = answer.live || {};
  for (const side of store.same(state) ? ['a'] : ['a', 'b']) {
    const found = live[state[side]];
    if (found) parts.push({ text: `${state[side]} ${counted(found.right, found.count)}`, strong: true });
  }
  for (const [name, alike] of Object.entries(answer.alike || {})) if ([state.a, state.b].includes(name)) parts.push({ text: `cosine to ${name} ${alike.toFixed(3)}` });
  if (store.is_own(state.a) || store.is_own(state.b)) parts.push({ text: 'no accuracy is claimed for a place of your own' });
  parts.push({ text: state.n > 1 ? `${state.n} adapters from seed ${state.seed}` : `seed ${state.seed}` });
  const ratio = store.same(state) || state.t === 0 ? spread(state, 'a') : state.t === 1 ? spread(state, 'b') : null;
  if (ratio) parts.push({ text: `seeds differ ${ratio.toFixed(2)}× as much as fine-tuned adapters` });
  if (answer.seconds) parts.push({ text: `${answer.seconds.toFixed(1)} s` });
  if (answer.note) parts.push({ text: answer.note });
  return parts;
};

// Whether a finished answer to the precomputed setting has other counts than those that were stored.
export const differs = (state, answer) => {
  const known = store.known(state);
  if (!known || !known.at || !known.exact || answer.stage !== 'done') return false;
  return ['a', 'b'].some((side, index) => {
    const found = (answer.live || {})[state[side]];
    return found && found.count === known.of[index] && Math.abs(found.right - known.at[index]) > store.table.tolerance;
  });
};

export const sentence = (state, answer, turn = null) => {
  if (!answer) { const known = before(state); return { ...known, parts: [...known.parts, ...waits(turn)] }; }
  if (answer.stage === 'failed') return { badge: 'not done', kind: 'problem', parts: [{ text: answer.problem }], final: true };
  if (answer.stage === 'stopped') return { badge: 'stopped', kind: 'problem', parts: [...after(state, answer), { text: 'what was measured so far stays' }], final: true };
  const done = answer.stage === 'done', parts = after(state, answer);
  if (differs(state, answer)) parts.push({ text: 'this differs from the stored measurement; please report it' });
  return { badge: done ? 'live' : answer.stage === 'written' ? 'written, measuring …' : 'measuring …', kind: 'live', parts, final: done };
};

export const result = (root) => {
  const badge = root.querySelector('.result-badge'), text = root.querySelector('.result-text'), said = root.querySelector('.result-said');
  const show = () => {
    const given = sentence(store.state, store.answer, store.turn);
    badge.textContent = given.badge;
    badge.dataset.kind = given.kind;
    text.replaceChildren(...given.parts.map((part) => {
      const piece = document.createElement(part.strong ? 'b' : 'span');
      piece.textContent = part.text;
      return piece;
    }));
    root.querySelector('.result').dataset.stage = store.answer ? store.answer.stage : 'known';
    if (given.final) said.textContent = `${given.badge}: ${given.parts.map((part) => part.text).join(', ').replace(/\.$/, '')}.`;
  };
  store.on('state', show);
  store.on('answer', show);
  store.on('turn', show);
  store.ready(show);
};
