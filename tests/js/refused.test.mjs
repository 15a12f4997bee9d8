import assert from 'node:assert/strict';
import { test } from 'node:test';
import { on_refused, reason, telling } from '../../wildpdiff/web/js/refused.js';

const answer = (status, body) => new Response(body, { status });
const HTML = '<html><body>413 Request Entity Too Large</body></html>';

test('the server says itself why it refuses', async () => {
  assert.equal(await reason(answer(429, '{"detail": "16 requests wait."}'), 10), '16 requests wait.');
  assert.equal(await reason(answer(413, '{"detail": "No more than 29 MB can be sent at once."}'), 10), 'No more than 29 MB can be sent at once.');
});

test('what a proxy says in its own words becomes a sentence', async () => {
  assert.equal(await reason(answer(413, HTML), 2_340_000), 'The server, or a proxy before it, takes nothing as large as this (2.3 MB); send something smaller.');
  assert.match(await reason(answer(502, '<html>Bad Gateway</html>'), 10), /^The server cannot be reached/);
  assert.match(await reason(answer(503, '{"detail": "Queue is full. Max size is 256 and size is 256."}'), 10), /^The server has too much to do/);
});

test('a refusal is told to those who listen, and Gradio gets it as JSON', async () => {
  const heard = [];
  on_refused((sent, text) => heard.push([sent, text]));
  const fetch = telling(async () => answer(413, HTML));
  const got = await fetch('http://x/wild/gradio_api/queue/join?', { body: '{"event_data": {"at": 7}}' });
  assert.equal(got.status, 413);
  assert.match((await got.json()).detail, /takes nothing as large as this/);
  assert.deepEqual(heard.map(([sent]) => sent), [{ event_data: { at: 7 } }]);
});

test('everything else passes untouched', async () => {
  const heard = [];
  on_refused(() => heard.push(1));
  for (const [url, given] of [['http://x/gradio_api/queue/join', answer(200, '{}')], ['http://x/other', answer(413, HTML)], ['http://x/gradio_api/queue/join', answer(422, '[]')]])
    assert.equal(await telling(async () => given)(url), given);
  assert.deepEqual(heard, []);
});
