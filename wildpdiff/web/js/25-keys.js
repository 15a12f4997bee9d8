// Single keys for the lecturer, a dialog that lists them, and a switch that turns them off (WCAG 2.1.4).
(() => {
  const wpd = (window.wpd = window.wpd || {});
  const STORE = 'wpd-keys';
  const KEYS = [
    ['g', 'generate an adapter live'], ['s', 'swap A and B'], ['[ and ]', 'previous and next story'], ['1 to 5', 'one of the five stories'],
    ['?', 'this help'], ['arrow keys', 'move the slider, when it has the focus'], ['Esc', 'stop; close a list, a dialog or the tour'],
  ];
  let kept = null;
  const on = () => { if (kept !== null) return kept; try { return localStorage.getItem(STORE) !== 'off'; } catch { return true; } };
  const keep = (value) => { kept = value; try { localStorage.setItem(STORE, value ? 'on' : 'off'); } catch { /* private window: for this page only */ } };

  // Fields in which a key means a character.
  const TYPED = 'textarea, select, [contenteditable], input:not([type=range]):not([type=radio]):not([type=checkbox]):not([type=button])';
  const typing = (target) => Boolean(target && target.closest && target.closest(TYPED));
  const shown = () => !(document.body.dataset.hide || '').split(',').includes('presets');
  const press = (id) => { const button = document.getElementById(id); if (button) button.click(); };

  const acts = { g: () => press('generate'), s: () => press('swap'), '[': () => shown() && wpd.next_preset(-1), ']': () => shown() && wpd.next_preset(1) };
  for (let place = 0; place < 5; place += 1) acts[`${place + 1}`] = () => shown() && wpd.preset(place);

  const help = () => {
    const rows = KEYS.map(([key, told]) => wpd.element('div', {}, wpd.element('dt', {}, wpd.element('kbd', {}, key)), wpd.element('dd', {}, told)));
    const box = wpd.element('input', { type: 'checkbox', checked: on(), id: 'keys-on' });
    box.addEventListener('change', () => keep(box.checked));
    wpd.dialog('help-dialog', 'Keyboard and text size', wpd.element('dl', { className: 'keys' }, ...rows),
      wpd.element('label', { className: 'line' }, box, ' Single keys act (this help is also behind Share and in the tab Learn)'),
      wpd.zoom_choice(wpd.links.lesson().zoom, wpd.links.zoom));
  };

  acts['?'] = help;
  wpd.keys = { on, keep, help };
  document.addEventListener('keydown', (event) => {
    const plain = !event.metaKey && (!(event.ctrlKey || event.altKey) || event.getModifierState('AltGraph'));
    if (event.defaultPrevented || !plain || event.repeat || typing(event.target) || document.querySelector('dialog[open]')) return;
    const act = on() && Object.hasOwn(acts, event.key) ? acts[event.key] : null;
    if (!act || !wpd.preset) return;
    event.preventDefault();
    act();
  });
})();
