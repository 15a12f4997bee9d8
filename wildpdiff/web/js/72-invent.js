// Tab Unseen: the sliders, picture and findings of an invented location, and a zip of one's own labelled photographs.
(() => {
  const wpd = (window.wpd = window.wpd || {});
  // How long sliders must be left alone before the sharp picture is painted, in milliseconds.
  const REST = 350;
  const NARROW = matchMedia('(max-width: 640px)');
  // The newest change of the sliders on this page, counted up.
  let stamp = 0;
  const changed = [];

  const make = (tag, name, text) => {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const percent = (value) => `${Math.round(100 * value)}%`;
  const FORMS = {
    share: percent,
    metres: (value) => `${value.toFixed(1)} m`,
    times: (value) => `×${value.toFixed(2)}`,
    signed: (value) => (Math.abs(value) < 0.005 ? 'neutral' : `${value < 0 ? 'cool' : 'warm'} ${percent(2 * Math.abs(value))}`),
    haze: (value) => percent((50 * value) / (1 + 50 * value)),
    grain: (value) => `${(100 * value).toFixed(1)}%`,
  };

  wpd.invent_scene = ({ element, props, watch }) => {
    const figure = element.querySelector('.invent-scene'), image = element.querySelector('img');
    const who = element.querySelector('.invent-who'), trouble = element.querySelector('.invent-trouble');
    let shown = { stamp: -1, sharp: false };
    const show = () => {
      const given = props.value;
      if (!given) return;
      const late = given.sharp ? given.stamp !== stamp : given.stamp < shown.stamp || (shown.sharp && given.stamp === shown.stamp);
      if (late) return;
      trouble.textContent = given.problem || '';
      if (given.problem) return;
      shown = given;
      image.src = given.src;
      image.alt = 'The invented place without animals, by day';
      figure.dataset.state = given.sharp ? 'sharp' : 'quick';
      who.textContent = `Who passes here: ${given.who.map(([name, share]) => `${name} ${share}%`).join(', ')}.`;
    };
    changed.push(() => { figure.dataset.state = shown.stamp < 0 ? 'waiting' : 'quick'; });
    watch('value', show);
    show();
  };

  const slider = (number, move) => {
    const row = make('div', 'knob'), input = make('input'), name = make('label', '', number.label), value = make('output');
    const id = `invent-${number.key}`, step = (number.high - number.low) / 100;
    Object.assign(input, { type: 'range', id, min: number.low, max: number.high, step });
    input.setAttribute('aria-describedby', `${id}-hint`);
    name.htmlFor = value.htmlFor = id;
    row.title = number.hint;
    row.append(name, value, input);
    const say = (now) => {
      value.textContent = FORMS[number.form](now);
      input.setAttribute('aria-valuetext', value.textContent);
      row.style.setProperty('--share', `${(100 * (now - number.low)) / (number.high - number.low)}%`);
    };
    input.addEventListener('input', () => { say(input.valueAsNumber); move(number.key, input.valueAsNumber); });
    return { row, set: (now) => { input.value = now; say(now); }, key: number.key };
  };

  const fieldset = (group, move, sliders) => {
    const box = make('details', 'knob-group'), head = make('summary', '', group.heading), rows = make('div', 'knob-rows');
    head.append(make('small', '', group.note));
    const made = group.numbers.map((number) => slider(number, move));
    rows.append(...made.map((each) => each.row));
    rows.setAttribute('role', 'group');
    rows.setAttribute('aria-label', group.heading);
    box.open = true;
    box.append(head, rows);
    sliders.push(...made);
    return box;
  };

  const meanings = (list, groups) => {
    for (const number of groups.flatMap((group) => group.numbers)) {
      const said = make('dd', '', number.hint);
      said.id = `invent-${number.key}-hint`;
      list.append(make('dt', '', number.label), said);
    }
  };

  wpd.invent_knobs = ({ element, props, trigger, watch }) => {
    const find = (name) => element.querySelector(`.invent-${name}`);
    const choice = find('like'), reset = find('reset'), from = find('from'), sliders = [];
    let place = { ...props.value }, start = { ...props.value }, called = '', resting = 0, surprises = 0;

    const name = () => {
      reset.disabled = sliders.every(({ key }) => place[key] === start[key]);
      from.textContent = called + (reset.disabled ? '' : ', changed') + '.';
    };
    const tell = (event) => {
      stamp += 1;
      place = { ...place, stamp };
      props.value = place;
      name();
      changed.forEach((listen) => listen());
      clearTimeout(resting);
      if (event === 'drag') trigger('drag');
      resting = setTimeout(() => trigger('rest'), event === 'drag' ? REST : 0);
    };
    const move = (key, value) => { place[key] = value; tell('drag'); };
    const take = (values, text) => {
      start = { ...values };
      place = { ...values, stamp };
      called = text;
      sliders.forEach(({ key, set }) => set(place[key]));
      name();
    };
    const begin = (values, text) => { take(values, text); tell('rest'); };
    const like = (known) => `Began like ${known.name}, ${known.kind === 'known' ? 'a known' : 'an unseen'} location, with its animals`;
    const named = (wanted) => props.starts.find((each) => each.name === wanted);

    for (const [kind, label] of [['known', 'known locations'], ['unseen', 'unseen locations']]) {
      const group = make('optgroup');
      group.label = label;
      group.append(...props.starts.filter((each) => each.kind === kind).map((each) => new Option(each.name, each.name)));
      choice.append(group);
    }
    const surprised = new Option('a surprise', '');
    surprised.hidden = true;
    choice.append(surprised);
    find('groups').append(...props.groups.map((group) => fieldset(group, move, sliders)));
    element.querySelectorAll('.knob-group').forEach((box, index) => { if (NARROW.matches && index) box.open = false; });
    meanings(element.querySelector('dl'), props.groups);
    choice.addEventListener('change', () => { const known = named(choice.value); if (known) begin(known.values, like(known)); });
    find('surprise').addEventListener('click', () => {
      surprises += 1;
      trigger('surprise', { seed: Math.floor(Math.random() * 1e6) * 1000 + surprises });
    });
    reset.addEventListener('click', () => { begin(start, called); choice.focus(); });
    watch('drawn', () => {
      if (!props.drawn) return;
      surprised.selected = true;
      begin(props.drawn, 'A surprise, with animals of its own');
    });
    choice.value = place.like;
    // What the panel begins with is its value already; a value that is set before it stands would not arrive.
    take(place, like(named(place.like)));
    trigger('rest');
  };

  wpd.invent_found = ({ element, props, watch }) => {
    const told = element.querySelector('.invent-told'), old = element.querySelector('.invent-old');
    const show = () => {
      const given = props.value;
      if (!given) return;
      told.textContent = given.text;
      told.dataset.stage = given.stage;
      const results = document.getElementById('invent-results');
      const stale = given.stage !== 'known' && given.stamp !== stamp;
      old.hidden = !stale || given.stage === 'failed';
      if (results) results.classList.toggle('is-old', stale);
    };
    let taken = props.used;
    watch('used', () => {
      if (!props.used || props.used === taken) return;
      taken = props.used;
      const { side, at, ...place } = taken;
      wpd.own = { ...wpd.own, [side]: place };
      if (wpd.state && wpd.state[side] === 'own') wpd.generate(); else if (wpd.set) wpd.set({ [side]: 'own' }, { live: true });
      told.textContent = `The invented place is ${side.toUpperCase()} in the bar now; the tab Play shows what comes of it.`;
      told.dataset.stage = 'known';
    });
    changed.push(show);
    watch('value', show);
    show();
  };

  wpd.trial_photos = ({ element, props, watch }) => {
    const box = element.querySelector('.trial-photos');
    const photo = (given) => {
      const figure = make('figure', 'trial-photo'), image = make('img'), caption = make('figcaption');
      Object.assign(image, { src: given.src, alt: `Photograph of: ${given.truth}` });
      caption.append(make('b', '', given.truth));
      for (const [arm, said, right] of given.said) {
        const line = make('span', right ? 'is-right' : 'is-wrong', `${arm}: ${said} `);
        const mark = make('i', '', right ? '✓' : '✗');
        mark.setAttribute('role', 'img');
        mark.setAttribute('aria-label', right ? 'right' : 'wrong');
        line.append(mark);
        caption.append(line);
      }
      figure.append(image, caption);
      return figure;
    };
    const show = () => {
      const given = props.value || [];
      if (!given.length) { box.replaceChildren(); return; }
      const head = make('p', 'panel-hint', 'Six of the photographs as the classifier sees them, 96 pixels wide: first those that only one of the two names correctly.');
      const grid = make('div', 'trial-grid');
      grid.append(...given.map(photo));
      box.replaceChildren(head, grid);
    };
    watch('value', show);
    show();
  };

  wpd.own_zip = ({ element, props, trigger, watch }) => {
    const box = element.querySelector('.own-drop'), file = element.querySelector('input'), hint = element.querySelector('small');
    const bar = element.querySelector('progress'), told = element.querySelector('.own-told'), read = element.querySelector('.own-read');
    const most = `${Math.round(props.most / 1e6)} MB`;
    hint.textContent = `Folder names may be: ${props.species.join(', ')}; common other names are understood.`;
    const put = (line, text, stage) => { if (line.textContent !== text) line.textContent = text; line.dataset.stage = stage; };
    const fail = (text) => { bar.hidden = true; box.dataset.busy = 'no'; put(read, text, 'failed'); };
    const send = (chosen) => {
      if (!chosen || box.dataset.busy === 'yes') return;
      if (chosen.size > props.most) { fail(`The zip is larger than ${most}; send fewer or smaller photographs.`); return; }
      const form = new FormData(), request = new XMLHttpRequest();
      // A name of its own for every upload, so that deleting one never takes another visitor's file of equal content.
      form.append('files', chosen, `${unique()}.zip`);
      request.open('POST', 'gradio_api/upload');
      request.upload.onprogress = (event) => { bar.value = event.loaded / event.total; };
      request.onerror = () => fail('The zip could not be sent; try again.');
      request.onload = () => {
        if (request.status !== 200) { fail(request.status === 413 ? `The zip is larger than ${most}; send fewer or smaller photographs.` : 'The zip could not be sent; try again.'); return; }
        bar.hidden = true;
        box.dataset.busy = 'no';
        put(read, 'The zip has arrived and is being read …', 'reading');
        trigger('arrived', { path: JSON.parse(request.responseText)[0] });
      };
      box.dataset.busy = 'yes';
      bar.value = 0;
      bar.hidden = false;
      put(read, 'The zip is being sent …', 'reading');
      request.send(form);
    };
    const unique = () => [8, 4, 4, 4, 12].map((long) => [...crypto.getRandomValues(new Uint8Array(long))].map((byte) => (byte % 16).toString(16)).join('')).join('-');
    file.addEventListener('change', () => { send(file.files[0]); file.value = ''; });
    box.addEventListener('dragover', (event) => { event.preventDefault(); box.classList.add('is-over'); });
    box.addEventListener('dragleave', () => box.classList.remove('is-over'));
    box.addEventListener('drop', (event) => { event.preventDefault(); box.classList.remove('is-over'); send(event.dataTransfer.files[0]); });
    watch('value', () => {
      const given = props.value;
      if (!given) return;
      if (given.read !== undefined) put(read, given.read, given.stage);
      else if (read.dataset.stage === 'failed') put(read, '', given.stage);
      if (given.text !== undefined) put(told, given.text, given.stage);
    });
  };

  wpd.own_table = ({ element, props, watch }) => {
    const rows = element.querySelector('.own-rows'), list = element.querySelector('ol');
    const head = element.querySelector('.own-mistakes h3'), none = element.querySelector('.own-mistakes p');
    const line = (tag, texts) => { const made = make('tr'); made.append(...texts.map((text, index) => make(index || tag === 'th' ? tag : 'th', '', text))); return made; };
    const show = () => {
      const given = props.value;
      if (!given) return;
      const table = make('table'), top = make('thead'), body = make('tbody');
      top.append(line('th', given.head));
      body.append(...given.rows.map((texts) => line('td', texts)));
      table.append(top, body);
      rows.replaceChildren(table);
      head.textContent = `Commonest mistakes of ${given.present}`;
      list.replaceChildren(...given.mistakes.map((text) => make('li', '', text)));
      none.textContent = given.mistakes.length ? '' : 'None.';
    };
    watch('value', show);
    show();
  };
})();
