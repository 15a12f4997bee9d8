// The two charts that answer at once: the blend curve with its cursor, and the bars by location.
(() => {
  const wpd = (window.wpd = window.wpd || {});
  const SEVERAL = { L: 'Low similarity', M: 'Medium similarity', H: 'High similarity' };
  const lived = {};
  let spread = false;
  const key = (state) => [state.a, state.b, state.m, state.w].join(' ');

  const remember = (state, answer) => {
    if (!answer || answer.stage !== 'done') return;
    const dots = (lived[key(state)] = lived[key(state)] || []);
    ['a', 'b'].forEach((side, index) => {
      const found = answer.live[state[side]];
      if (!found || (index && wpd.same(state))) return;
      const [low, high] = wpd.figures.wilson(found.right, found.count);
      const old = dots.findIndex((dot) => dot.t === state.t && dot.side === index);
      if (old >= 0) dots.splice(old, 1);
      dots.push({ t: state.t, side: index, share: found.right / found.count, low, high, now: true });
    });
    if (dots.length > 60) dots.splice(0, dots.length - 60);
  };

  const said = (state, known) => {
    const where = `Accuracy of generated adapters against the blend weight from ${wpd.named(state, 'a')} to ${wpd.named(state, 'b')}, ${SEVERAL[state.m]}.`;
    if (!known || !known.at) return `${where} Nothing was measured beforehand here.`;
    return `${where} At ${state.t.toFixed(1)}: ${state.a} ${known.at[0]} of ${known.images}, ${state.b} ${known.at[1]} of ${known.images}.`;
  };

  wpd.curve_of = (state) => {
    const regimes = spread ? wpd.table.regimes : [state.m];
    const panels = regimes.map((m) => {
      const own = { ...state, m }, here = m === state.m;
      const dots = (lived[key(own)] || []).map((dot) => ({ ...dot, now: here && dot.t === state.t }));
      return { title: SEVERAL[m], known: wpd.known(own), dots };
    });
    const pretrained = Object.fromEntries(Object.entries(wpd.table.pretrained || {}).map(([name, right]) => [name, right / wpd.table.images]));
    const of = (name, side, kind, own) => { const known = wpd.place(name); return known && known.kind === 'seen' ? wpd[kind](name) : own[side]; };
    return wpd.figures.curve({
      state, same: wpd.same(state), panels, pretrained, labels: [wpd.named(state, 'a'), wpd.named(state, 'b')], summary: said(state, wpd.known(state)),
      colour: (name, side) => of(name, side, 'colour', ['var(--ink)', 'var(--ink-soft)']), shape: (name, side) => of(name, side, 'shape', ['star-diamond', 'hexagram']),
    });
  };

  wpd.bars_of = (state, answer) => {
    const known = wpd.table.known[state.m] || {}, sure = wpd.known(state);
    const names = wpd.table.places.filter((place) => place.kind === 'seen').map((place) => place.name);
    const extra = [state.a, state.b].filter((name, index, all) => name !== 'own' && !names.includes(name) && all.indexOf(name) === index);
    const columns = [...names, ...extra].map((name) => {
      const own = known[name] || {}, found = answer && answer.live && answer.live[name];
      const side = name === state.a ? 0 : name === state.b ? 1 : -1;
      const base = { name, pretrained: own.pretrained, fine_tuned: own.fine_tuned, own: own.generated };
      if (found) return { ...base, ...found, kind: 'live' };
      if (!answer && sure && sure.at && sure.exact && side >= 0) return { ...base, right: sure.at[side], count: sure.images, kind: 'precomputed' };
      return { ...base, kind: 'none' };
    });
    return wpd.figures.bars(columns, [state.a, state.b]);
  };

  const draw = (answer) => {
    if (!wpd.table) return;
    const state = wpd.state, stage = answer ? answer.stage : 'known';
    const charts = wpd.charts || {};
    // Along the way of an answer only the bars change.
    if (charts.curve && !(answer && ['written', 'measuring'].includes(stage))) charts.curve.show({ ...wpd.curve_of(state), stage });
    // On a move the curve is painted first, the bars in the next frame.
    const bars = () => { if (charts.bars) charts.bars.show({ ...wpd.bars_of(wpd.state, wpd.answer), stage: wpd.answer ? wpd.answer.stage : 'known' }); };
    if (answer) bars(); else requestAnimationFrame(() => setTimeout(bars));
  };

  // Dragging on the curve moves the slider.
  const draggable = () => {
    const node = document.querySelector('#curve .chart-node');
    if (!node || node.dataset.draggable) return;
    node.dataset.draggable = 'yes';
    let down = false;
    const move = (event) => {
      const full = node._fullLayout;
      if (!full || !full.xaxis || wpd.same(wpd.state)) return;
      const left = event.clientX - node.getBoundingClientRect().left;
      const axes = ['xaxis', 'xaxis2', 'xaxis3'].map((name) => full[name]).filter(Boolean);
      const axis = axes.find((one) => left >= one._offset - 8 && left <= one._offset + one._length + 8);
      if (axis) wpd.set({ t: Math.round(10 * axis.p2d(left - axis._offset)) / 10 });
    };
    node.addEventListener('pointerdown', (event) => { if (event.button === 0) { down = true; move(event); } });
    node.addEventListener('pointermove', (event) => { if (down) move(event); });
    window.addEventListener('pointerup', () => { down = false; });
  };

  // The file is packed when its button comes into view.
  const download = () => {
    const keep = document.getElementById('keep');
    if (!keep || keep.dataset.offers) return;
    keep.dataset.offers = 'yes';
    wpd.at_rest(keep, wpd.offer);
  };

  const pictures = (state) => {
    for (const [side, box] of [['a', document.getElementById('scene-a')], ['b', document.getElementById('scene-b')]]) {
      if (!box) continue;
      const place = wpd.place(state[side]) || (wpd.own || {})[side] || { title: wpd.named(state, side) };
      const picture = box.querySelector('img');
      if (!place.src) picture.removeAttribute('src');
      else if (picture.getAttribute('src') !== place.src) picture.src = place.src;
      picture.alt = `Background of ${place.title}`;
      box.querySelector('figcaption b').textContent = `${side.toUpperCase()} · ${wpd.named(state, side)}`;
      box.querySelector('figcaption span').textContent = place.note || '';
      box.style.setProperty('--own', wpd.colour(state[side]));
      const share = wpd.same(state) ? 1 : side === 'a' ? 1 - state.t : state.t;
      box.style.setProperty('--share', share.toFixed(2));
    }
  };

  wpd.spread = (on) => { spread = on; draw(wpd.answer); };
  wpd.draw_play = () => { draw(wpd.answer); pictures(wpd.state); draggable(); download(); };
  wpd.on('state', (state) => { draw(wpd.answer); pictures(state); });
  wpd.on('answer', (answer) => { remember(wpd.state, answer); draw(answer); });
  document.addEventListener('chart-ready', () => wpd.draw_play());
  wpd.ready(() => wpd.draw_play());
})();
