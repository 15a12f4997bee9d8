// The way to the server and back: a change of the state asks, answers to anything older are dropped.
import { on_refused } from './refused.js';
import { store } from './store.js';

const REST = 600;
// When to ask how long the live answer will wait: first, again, and how often the server may know of none.
const PATIENCE = 1500, AGAIN = 2000, UNKNOWN = 3;
// What is stored is painted first: asking makes Gradio copy the values of its components.
const painted = (call) => requestAnimationFrame(() => setTimeout(call));

export const create_bridge = (store, { later = painted, now = Date.now } = {}) => {
  let server = null, waiting = false, stamp = 0, resting = 0, asked = 0, ended = 0, looking = 0, unknown = 0;
  const renew = () => { clearTimeout(resting); clearTimeout(looking); stamp = Math.max(now(), stamp + 1); };

  const pending = () => store.busy && !store.answer;
  const look_after = (delay) => {
    clearTimeout(looking);
    looking = setTimeout(() => { if (pending() && server.wait) { server.wait(stamp); look_after(AGAIN); } }, delay);
  };
  const refuse = (problem) => {
    clearTimeout(looking);
    ended = asked;
    store.set_answer({ stage: 'failed', live: {}, problem });
    store.set_busy(false);
  };

  const ask = () => {
    waiting = !server;
    if (waiting) return;
    store.set_busy(true);
    const wish = { ...store.state, stamp };
    later(() => {
      if (wish.stamp !== stamp) return;
      const running = asked !== ended;
      asked = stamp;
      unknown = 0;
      look_after(PATIENCE);
      server.ask(wish, running);
    });
  };

  store.on('state', (_, { asked, live }) => {
    if (!asked) return;
    renew();
    store.set_busy(false);
    if (live) ask();
  });

  return {
    // `made` has ask(wish, running), stop(wish), offer() and wait(stamp).
    connect: (made) => { server = made; if (waiting) ask(); },
    generate: store.repeat,
    offer: () => server.offer(),
    stop: () => {
      if (!store.busy) return;
      renew();
      if (server) server.stop({ ...store.state, stamp });
      store.set_busy(false);
      store.set_answer({ ...(store.answer || { live: {} }), stage: 'stopped' });
    },
    // How far the answer's turn is: {stamp, known, running, ahead, seconds}.
    receive_turn: (given) => {
      if (!given || given.stamp !== stamp || !pending()) return;
      unknown = given.known ? 0 : unknown + 1;
      if (unknown < UNKNOWN) store.set_turn(given); else refuse('The live answer was lost on its way; press Generate to ask again.');
    },
    refused: (sent, problem) => {
      const wish = sent.data && sent.data[0];
      if (wish && wish.stamp === asked && asked === stamp && pending()) refuse(problem);
    },
    receive: (given) => {
      if (!given) return;
      const last = ['done', 'failed'].includes(given.stage);
      if (last && given.stamp === asked) ended = asked;
      if (given.stamp !== stamp) return;
      store.set_answer(given);
      if (!last) return;
      store.set_busy(false);
      clearTimeout(resting);
      if (given.stage === 'done') resting = setTimeout(() => store.emit('rest'), REST);
    },
  };
};

export const bridge = create_bridge(store);
on_refused(bridge.refused);

// Call once an answer is complete and the slider rests, but only for an element that can be seen: what follows an
// answer costs the server and the page more than the answer itself.
export const at_rest = (element, call) => {
  let near = false, due = false;
  const go = () => { if (near && due) { due = false; call(); } };
  new IntersectionObserver((entries) => { near = entries.at(-1).isIntersecting; go(); }, { rootMargin: '200px' }).observe(element);
  store.on('rest', () => { due = true; go(); });
  store.on('state', () => { due = due && Boolean(store.answer); });
};

// A panel of Gradio's that is hidden: it carries the state there and back.
const parsed = ({ props, watch }, call) => watch('value', () => { if (props.value) call(JSON.parse(props.value)); });
export const panels = {
  wish: ({ props, trigger }) => bridge.connect({
    ask: (state, running) => { props.value = state; if (running) trigger('note'); trigger('ask'); },
    stop: (state) => { props.value = state; trigger('note'); },
    offer: () => trigger('offer'),
    wait: (stamp) => trigger('wait', { stamp }),
  }),
  answer: (panel) => parsed(panel, bridge.receive),
  waiting: (panel) => parsed(panel, bridge.receive_turn),
};
