// Tab Unseen: a zip of one's own labelled photographs, sent and scored.
import { make } from './dom.js';
import { too_large } from './refused.js';

const zip = ({ element, props, trigger, watch }) => {
  const box = element.querySelector('.own-drop'), file = element.querySelector('input'), hint = element.querySelector('small');
  const bar = element.querySelector('progress'), told = element.querySelector('.own-told'), read = element.querySelector('.own-read');
  const most = `${Math.round(props.most / 1e6)} MB`;
  hint.textContent = `Folder names may be: ${props.species.join(', ')}; common other names are understood.`;
  const put = (line, text, stage) => { if (line.textContent !== text) line.textContent = text; line.dataset.stage = stage; };
  const fail = (text) => { bar.hidden = true; box.dataset.busy = 'no'; put(read, text, 'failed'); };
  // The server's own sentence, or one for what a proxy before it did not let through.
  const refusal = (request, chosen) => {
    try { return JSON.parse(request.responseText).detail || 'The zip could not be sent; try again.'; } catch {
      return request.status === 413 ? too_large(chosen.size) : 'The zip could not be sent; try again.';
    }
  };
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
      if (request.status !== 200) { fail(refusal(request, chosen)); return; }
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

const scores = ({ element, props, watch }) => {
  const rows = element.querySelector('.own-rows'), list = element.querySelector('ol');
  const head = element.querySelector('.own-mistakes h3'), none = element.querySelector('.own-mistakes p');
  const line = (tag, texts) => { const made = make('tr'); made.append(...texts.map((text, index) => make(index || tag === 'th' ? tag : 'th', '', text))); return made; };
  const show = () => {
    const given = props.value;
    if (!given) return;
    rows.replaceChildren(make('table', {}, make('thead', {}, line('th', given.head)), make('tbody', {}, ...given.rows.map((texts) => line('td', texts)))));
    head.textContent = `Commonest mistakes of ${given.present}`;
    list.replaceChildren(...given.mistakes.map((text) => make('li', {}, text)));
    none.textContent = given.mistakes.length ? '' : 'None.';
  };
  watch('value', show);
  show();
};

export const panels = { own_zip: zip, own_table: scores };
