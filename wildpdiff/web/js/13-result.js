// The result in one sentence with its badge: precomputed at once, live as it comes; read aloud once when complete.
(() => {
  const wpd = (window.wpd = window.wpd || {});
  const SEVERAL = { L: 'Low', M: 'Medium', H: 'High' };
  const percent = (right, count) => `${Math.round((100 * right) / count)}% (${right}/${count})`;

  // How the setting is called: A -> B, 0.50.
  wpd.title = (state) => (wpd.same(state) ? wpd.named(state, 'a') : `${wpd.named(state, 'a')} → ${wpd.named(state, 'b')}, ${state.t.toFixed(2)}`);

  const head = (state) => [{ text: wpd.title(state), strong: true }, { text: `${SEVERAL[state.m]}${state.w === 'paper' ? ", paper's plain form" : ''}` }];

  // How far samples of a seen location lie apart, over how far fine-tuned rows do that the generator never saw.
  wpd.spread = (state, side) => ((((wpd.table.known || {})[state.m] || {})[state[side]] || {}).spread || {})[state.w] || null;

  const before = (state) => {
    const known = wpd.known(state), parts = head(state), own = state.a === 'own' || state.b === 'own';
    if (own) return { badge: 'waiting', kind: 'known', parts: [...parts, { text: 'nothing is known beforehand about a picture of your own' }] };
    if (!known || !known.at) return { badge: 'waiting', kind: 'known', parts: [...parts, { text: 'not measured beforehand; a live adapter is on its way' }] };
    const sides = wpd.same(state) ? ['a'] : ['a', 'b'];
    parts.push(...sides.map((side, index) => ({ text: `${state[side]} ${percent(known.at[index], known.images)}`, strong: true })));
    if (!known.exact) parts.push({ text: `with seed ${wpd.table.seed} and ${wpd.table.steps} steps` });
    return { badge: 'precomputed', kind: 'known', parts };
  };

  const after = (state, answer) => {
    const parts = head(state), live = answer.live || {};
    for (const side of wpd.same(state) ? ['a'] : ['a', 'b']) {
      const found = live[state[side]];
      if (found) parts.push({ text: `${state[side]} ${percent(found.right, found.count)}`, strong: true });
    }
    for (const [name, alike] of Object.entries(answer.alike || {})) if ([state.a, state.b].includes(name)) parts.push({ text: `cosine to ${name} ${alike.toFixed(3)}` });
    if (state.a === 'own' || state.b === 'own') parts.push({ text: 'no accuracy is claimed for a place of your own' });
    parts.push({ text: state.n > 1 ? `${state.n} adapters from seed ${state.seed}` : `seed ${state.seed}` });
    const spread = wpd.same(state) || state.t === 0 ? wpd.spread(state, 'a') : state.t === 1 ? wpd.spread(state, 'b') : null;
    if (spread) parts.push({ text: `seeds differ ${spread.toFixed(2)}× as much as fine-tuned adapters` });
    if (answer.seconds) parts.push({ text: `${answer.seconds.toFixed(1)} s` });
    if (answer.note) parts.push({ text: answer.note });
    return parts;
  };

  // Whether a finished answer to the precomputed setting has other counts than those that were stored.
  wpd.differs = (state, answer) => {
    const known = wpd.known(state);
    if (!known || !known.at || !known.exact || answer.stage !== 'done') return false;
    return ['a', 'b'].some((side, index) => {
      const found = (answer.live || {})[state[side]];
      return found && found.count === known.images && Math.abs(found.right - known.at[index]) > wpd.table.tolerance;
    });
  };

  wpd.sentence = (state, answer) => {
    if (!answer) return before(state);
    if (answer.stage === 'failed') return { badge: 'not done', kind: 'problem', parts: [{ text: answer.problem }], final: true };
    if (answer.stage === 'stopped') return { badge: 'stopped', kind: 'problem', parts: [...after(state, answer), { text: 'what was measured so far stays' }], final: true };
    const done = answer.stage === 'done', parts = after(state, answer);
    if (wpd.differs(state, answer)) parts.push({ text: 'this differs from the stored measurement; please report it' });
    return { badge: done ? 'live' : answer.stage === 'written' ? 'written, measuring …' : 'measuring …', kind: 'live', parts, final: done };
  };

  wpd.mount_result = (root) => {
    const badge = root.querySelector('.result-badge'), text = root.querySelector('.result-text'), said = root.querySelector('.result-said');
    const show = () => {
      const given = wpd.sentence(wpd.state, wpd.answer);
      badge.textContent = given.badge;
      badge.dataset.kind = given.kind;
      text.replaceChildren(...given.parts.map((part) => {
        const piece = document.createElement(part.strong ? 'b' : 'span');
        piece.textContent = part.text;
        return piece;
      }));
      root.querySelector('.result').dataset.stage = wpd.answer ? wpd.answer.stage : 'known';
      if (given.final) said.textContent = `${given.badge}: ${given.parts.map((part) => part.text).join(', ').replace(/\.$/, '')}.`;
    };
    wpd.on('state', show);
    wpd.on('answer', show);
    wpd.ready(show);
  };
})();
