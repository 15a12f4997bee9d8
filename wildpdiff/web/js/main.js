// The page's scripts together. Gradio's panels are brought to life by name, see `ui.chart.panel`; the console and the
// tests find the state and what may be done with it in `wpd`.
import * as bar from './bar.js';
import * as bridge from './bridge.js';
import * as changed from './changed.js';
import * as chart from './chart.js';
import * as invent from './invent.js';
import * as keys from './keys.js';
import * as labelled from './labelled.js';
import * as learn from './learn.js';
import * as lesson from './lesson.js';
import * as map from './map.js';
import * as pdiff from './pdiff.js';
import * as play from './play.js';
import { presets } from './presets.js';
import * as probe from './probe.js';
import * as refused from './refused.js';
import { share } from './share.js';
import { store } from './store.js';
import * as tabs from './tabs.js';
import * as tour from './tour.js';
import * as upload from './upload.js';
import * as watch from './watch.js';

const parts = [refused, bridge, lesson, tabs, keys, tour, learn, chart, bar, play, map, changed, watch, upload, invent, labelled, probe, pdiff];
const panels = Object.assign({}, ...parts.map((part) => part.panels));
for (const part of parts) if (part.start) part.start();

window.wpd = Object.assign(Object.create(store), bridge.bridge, {
  charts: chart.charts, keys, lesson, presets, share, open: tabs.open, mount: (name, panel) => panels[name](panel),
});
