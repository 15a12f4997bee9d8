// The way to the server and back: a change of the state asks, answers to anything older are dropped.
import { store } from './store.js';

const REST = 600;
// What is stored is painted first: asking makes Gradio copy the values of its components.
const painted = (call) => requestAnimationFrame(() => setTimeout(call));

export const create_bridge = (store, { later = painted, now = Date.now } = {}) => {
  let server = null, waiting = false, stamp = 0, resting = 0, asked = 0, ended = 0;
  const renew = () => { clearTimeout(resting); stamp = Math.max(now(), stamp + 1); };

  const ask = () => {
    waiting = !server;
    if (waiting) return;
    store.set_busy(true);
    const wish = { ...store.state, stamp };
    later(() => {
      if (wish.stamp !== stamp) return;
      const running = asked !== ended;
      asked = stamp;
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
    // `made` has ask(wish, running), stop(wish) and offer().
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
  }),
  answer: (panel) => parsed(panel, bridge.receive),
};
