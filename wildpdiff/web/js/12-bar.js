// The bar: presets, two locations, the blend slider, regime, way, Generate, Stop and more. Native controls over the store.
(() => {
  const wpd = (window.wpd = window.wpd || {});
  const SEVERAL = { L: 'Low', M: 'Medium', H: 'High' };
  const MEANING = {
    L: 'Low similarity: every location was fine-tuned from a random start of its own.',
    M: 'Medium similarity: all locations were fine-tuned from one shared random start.',
    H: 'High similarity: all locations were fine-tuned from one adapter that had converged.',
  };
  const make = (tag, given = {}, ...inside) => {
    const made = document.createElement(tag);
    for (const [key, value] of Object.entries(given)) if (key in made && key !== 'list') made[key] = value; else made.setAttribute(key, value);
    made.append(...inside);
    return made;
  };

  wpd.mount_bar = (root, trigger) => {
    const $ = (id) => root.querySelector(`#${id}`);
    const blend = $('blend'), strip = $('strip'), more = $('more');
    let open = null, dragged = false;
    const show_t = (t) => { $('blend-value').textContent = Number(t).toFixed(2); };

    blend.addEventListener('input', () => wpd.set({ t: Number(blend.value) }));
    $('swap').addEventListener('click', () => wpd.set({ a: wpd.state.b, b: wpd.state.a, t: 1 - wpd.state.t }));
    $('generate').addEventListener('click', () => wpd.generate());
    $('stop').addEventListener('click', () => wpd.stop());
    $('share').addEventListener('click', () => (wpd.links && wpd.links.dialog ? wpd.links.dialog() : null));
    document.addEventListener('keydown', (event) => { if (event.key === 'Escape') { if (open) close(true); else wpd.stop(); } });

    const radios = (box, key, choices) => {
      box.querySelector('.choices').replaceChildren(...choices.map(([value, text, hint]) => {
        const input = make('input', { type: 'radio', name: key, value });
        input.addEventListener('change', () => wpd.set({ [key]: value }));
        return make('label', { title: hint }, input, make('span', {}, text));
      }));
    };

    const number = (id, key) => $(id).addEventListener('change', () => { wpd.set({ [key]: Number($(id).value) }); show(wpd.state); });
    number('seed', 'seed'); number('samples', 'n'); number('steps', 'steps'); number('images', 'images');

    // The strip of locations, one for both sides: native radio buttons with pictures.
    const choices = (side) => [...wpd.table.places, ...(wpd.own && wpd.own[side] ? [wpd.own[side]] : [])];
    const close = (focus) => {
      if (!open) return;
      const button = $(`bar-${open}`);
      open = null;
      strip.hidden = true;
      for (const side of ['a', 'b']) $(`bar-${side}`).setAttribute('aria-expanded', 'false');
      if (focus) button.focus();
    };
    const choose = (side) => {
      if (open === side) { close(true); return; }
      open = side;
      for (const other of ['a', 'b']) $(`bar-${other}`).setAttribute('aria-expanded', String(other === side));
      strip.hidden = false;
      strip.querySelector('legend').textContent = `Choose location ${side.toUpperCase()}`;
      strip.querySelector('.places').replaceChildren(...choices(side).map((place) => {
        const input = make('input', { type: 'radio', name: 'place', value: place.name, checked: wpd.state[side] === place.name });
        input.setAttribute('aria-label', place.title);
        input.addEventListener('change', () => wpd.set({ [side]: place.name }));
        const label = make('label', { className: 'place', title: place.title }, input, make('img', { src: place.src, alt: '' }), make('span', {}, place.short || place.name));
        label.dataset.kind = place.kind;
        label.addEventListener('mouseenter', () => wpd.hover(place.name));
        label.addEventListener('mouseleave', () => wpd.hover(null));
        return label;
      }));
      const chosen = strip.querySelector('input:checked') || strip.querySelector('input');
      if (chosen) chosen.focus();
    };
    for (const side of ['a', 'b']) {
      $(`bar-${side}`).addEventListener('click', () => choose(side));
      $(`bar-${side}`).addEventListener('mouseenter', () => wpd.hover(wpd.state[side]));
      $(`bar-${side}`).addEventListener('mouseleave', () => wpd.hover(null));
    }
    $('strip-close').addEventListener('click', () => close(true));
    $('strip-own').addEventListener('click', () => { close(false); wpd.open('unseen'); });

    const fill = (table) => {
      radios($('regime'), 'm', table.regimes.map((name) => [name, SEVERAL[name] || name, MEANING[name] || '']));
      radios($('way'), 'w', [['ours', 'ours', 'The condition says around which adapter to look, along curves that serve both locations; the noise decides which one it becomes.'], ['paper', "paper's", 'One plain denoiser that never saw a blend: two conditions are mixed and hoped for the best, and samples stray from fine-tuned rows.']]);
      $('presets').replaceChildren(...table.presets.map((preset, index) => {
        const button = make('button', { type: 'button', className: 'preset' }, make('b', {}, `${index + 1}`), make('span', {}, preset.name));
        button.addEventListener('click', () => {
          wpd.set(preset.state);
          if (!['play'].includes(wpd.state.tab)) wpd.open('play');
        });
        return button;
      }));
    };

    const preset_of = (state) => wpd.table.presets.findIndex((preset) => Object.entries(preset.state).every(([key, value]) => state[key] === value));

    const show = (state) => {
      for (const side of ['a', 'b']) {
        const place = choices(side).find((known) => known.name === state[side]) || { name: state[side], title: state[side] };
        const button = $(`bar-${side}`), picture = button.querySelector('img');
        if (place.src) picture.src = place.src; else picture.removeAttribute('src');
        button.querySelector('.end-name').textContent = place.short || place.name;
        button.querySelector('.end-kind').textContent = place.kind === 'seen' ? '' : place.kind === 'own' ? 'your own' : 'unseen';
        button.setAttribute('aria-label', `Location ${side.toUpperCase()}: ${place.title}. Choose another.`);
        button.style.setProperty('--own', wpd.colour(state[side]));
      }
      const same = wpd.same(state);
      if (Number(blend.value) !== state.t) blend.value = state.t;
      blend.disabled = same || document.body.dataset.lock?.split(',').includes('t') || false;
      blend.style.setProperty('--share', `${100 * state.t}%`);
      $('blend-hint').textContent = same ? 'Same location: blending changes nothing.' : '';
      blend.setAttribute('aria-valuetext', `${Math.round(100 * (1 - state.t))}% ${state.a}, ${Math.round(100 * state.t)}% ${state.b}`);
      show_t(state.t);
      for (const [key, box] of [['m', 'regime'], ['w', 'way']]) for (const radio of $(box).querySelectorAll('input')) radio.checked = radio.value === state[key];
      $('regime-hint').textContent = MEANING[state.m] || '';
      for (const [id, key] of [['seed', 'seed'], ['samples', 'n'], ['steps', 'steps'], ['images', 'images']]) $(id).value = state[key];
      const preset = preset_of(state);
      root.querySelectorAll('.preset').forEach((button, index) => button.setAttribute('aria-pressed', String(index === preset)));
      $('story').textContent = preset < 0 ? '' : wpd.table.presets[preset].story;
      if (open) strip.querySelectorAll('input').forEach((input) => { input.checked = input.value === state[open]; });
    };

    const step = (by) => {
      const now = preset_of(wpd.state), count = wpd.table.presets.length;
      wpd.preset((((now < 0 ? (by > 0 ? -1 : 0) : now) + by) % count + count) % count);
    };
    wpd.preset = (index) => { const button = root.querySelectorAll('.preset')[index]; if (button) button.click(); };
    wpd.next_preset = step;

    // Only the bar stays in view: the presets above it scroll away.
    const bar = root.querySelector('.bar'), block = root.closest('#frame') || root;
    const lift = () => block.style.setProperty('--lift', `${Math.round(bar.getBoundingClientRect().top - block.getBoundingClientRect().top)}px`);
    new ResizeObserver(lift).observe(root);

    wpd.on('state', show);
    wpd.on('busy', (busy) => { $('stop').disabled = !busy; root.querySelector('.bar').dataset.busy = busy ? 'yes' : 'no'; });
    wpd.ready((table) => {
      fill(table);
      show(wpd.state);
      root.querySelector('.frame').dataset.ready = 'yes';
      requestAnimationFrame(() => setTimeout(wpd.load_plotly));
    });
  };
})();
