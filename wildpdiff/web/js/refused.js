// What the server, or a proxy before it, did not take: a sentence for Gradio to show, and for the part that sent it.

const listeners = [];
// Call with what was sent (parsed) and the sentence, whenever a request for work is refused.
export const on_refused = (call) => { listeners.push(call); };

const BUSY = 'The server has too much to do; ask again in a minute.';
export const too_large = (bytes) => `The server, or a proxy before it, takes nothing as large as this (${(bytes / 1e6).toFixed(1)} MB); send something smaller.`;

// The sentence for an answer that is a refusal: the server's own, or one for what a proxy says in its own words.
export const reason = async (answer, bytes) => {
  try {
    const { detail } = await answer.clone().json();
    if (typeof detail === 'string' && answer.status !== 503) return detail;
  } catch { /* a proxy answers in HTML */ }
  if (answer.status === 413) return too_large(bytes);
  return answer.status === 429 || answer.status === 503 ? BUSY : 'The server cannot be reached at the moment; try again.';
};

const parsed = (text) => { try { return JSON.parse(text); } catch { return {}; } };

// A `fetch` that tells of refused work. Gradio gets the sentence as JSON: of HTML it would say that the connection broke.
export const telling = (fetch) => async (...given) => {
  const answer = await fetch(...given), address = String((given[0] && given[0].url) || given[0]);
  if (answer.ok || answer.status === 422 || !address.includes('/queue/join')) return answer;
  const sent = String((given[1] && given[1].body) || ''), detail = await reason(answer, sent.length);
  for (const call of listeners) call(parsed(sent), detail);
  return new Response(JSON.stringify({ detail }), { status: answer.status, headers: { 'Content-Type': 'application/json' } });
};

export const start = () => { window.fetch = telling(window.fetch.bind(window)); };
