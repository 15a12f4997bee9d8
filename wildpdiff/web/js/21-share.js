// The dialog Share: a link to the present setting, and a lesson link that hides and locks.
(() => {
  const wpd = (window.wpd = window.wpd || {});
  const ZOOMS = [1, 1.15, 1.3, 1.5, 2];

  // An element: properties where it has them, attributes where not, then children.
  wpd.element = (tag, given = {}, ...inside) => {
    const made = document.createElement(tag);
    for (const [key, value] of Object.entries(given)) if (key in made) made[key] = value; else made.setAttribute(key, value);
    made.append(...inside);
    return made;
  };
  const make = wpd.element;

  // A native dialog with a heading and a Close button; it goes when it is closed.
  wpd.dialog = (id, heading, ...inside) => {
    const old = document.getElementById(id);
    if (old) old.remove();
    const close = make('button', { type: 'button', className: 'quiet', 'aria-label': 'Close' }, '✕');
    const head = make('header', {}, make('h2', { id: `${id}-title` }, heading), close);
    const dialog = make('dialog', { id, className: 'sheet', 'aria-labelledby': `${id}-title` }, head, ...inside);
    close.addEventListener('click', () => dialog.close());
    dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
    dialog.addEventListener('close', () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
    return dialog;
  };

  const check = (text, checked, changed) => {
    const box = make('input', { type: 'checkbox', checked });
    box.addEventListener('change', () => changed(box.checked));
    return make('label', {}, box, ` ${text}`);
  };

  // The choice of a text size; calls back with the number.
  wpd.zoom_choice = (now, changed) => {
    const sizes = [...new Set([...ZOOMS, now])].sort();
    const options = sizes.map((size) => make('option', { value: size, selected: size === now }, `${Math.round(100 * size)}%`));
    const select = make('select', {}, ...options);
    select.addEventListener('change', () => changed(Number(select.value)));
    return make('label', { className: 'line' }, 'Text size ', select);
  };

  const copy = async (field, said) => {
    field.focus();
    field.select();
    try { await navigator.clipboard.writeText(field.value); said.textContent = 'Copied.'; return; } catch { /* no permission: the old way */ }
    let done = false;
    try { done = document.execCommand('copy'); } catch { done = false; }
    said.textContent = done ? 'Copied.' : 'The link is selected; copy it with Ctrl+C (on a Mac ⌘C).';
  };

  const options = (names, chosen, legend, changed) => {
    const toggle = (name) => (on) => { changed(on ? [...chosen(), name] : chosen().filter((other) => other !== name)); };
    return make('fieldset', {}, make('legend', {}, legend), ...Object.entries(names).map(([name, text]) => check(text, chosen().includes(name), toggle(name))));
  };

  const builder = (extras, show) => {
    const { names } = wpd.links, set = (patch) => { Object.assign(extras, patch); show(); };
    return make('details', { open: Boolean(extras.hide.length || extras.lock.length) },
      make('summary', {}, 'Make a lesson link'),
      make('p', {}, 'For a class: the page opens at this very setting, with less to get lost in.'),
      options(names.hide, () => extras.hide, 'Hide', (hide) => set({ hide })),
      options(names.lock, () => extras.lock, 'Lock', (lock) => set({ lock })),
      check('Begin with the guided tour (five steps; it cannot move what is locked)', Boolean(extras.tour), (on) => set({ tour: on ? 'valley' : null })),
      wpd.zoom_choice(extras.zoom, (zoom) => set({ zoom })));
  };

  const notes = () => {
    const { a, b } = wpd.state, found = ['Pictures of your own are never in a link.'];
    if (a === 'own' || b === 'own') found.push('Whoever opens this one sees a location of ours in its place.');
    if (wpd.links.on_space()) found.push('The address bar of a Space does not follow the page; this link does.');
    return found.join(' ');
  };

  wpd.links.dialog = () => {
    const extras = wpd.links.lesson();
    const field = make('input', { type: 'text', readOnly: true, id: 'share-link', 'aria-label': 'Link to this setting' });
    const button = make('button', { type: 'button', className: 'primary' }, 'Copy');
    const said = make('p', { className: 'said', role: 'status' });
    const show = () => { field.value = wpd.links.address(extras); said.textContent = ''; };
    const keys = make('button', { type: 'button', className: 'plain' }, 'Keyboard and text size');
    keys.addEventListener('click', () => { document.getElementById('share-dialog').close(); wpd.keys.help(); });
    button.addEventListener('click', () => copy(field, said));
    field.addEventListener('focus', () => field.select());
    show();
    wpd.dialog('share-dialog', 'Share this setting', make('div', { className: 'share-line' }, field, button), said, make('p', {}, notes()), builder(extras, show), make('p', {}, keys));
    button.focus();
  };
})();
