// Numbers to plotly figures: the blend curve and the accuracy bars. Pure functions of what they are given.
import { percent, wilson } from './format.js';

const INK = 'var(--ink)', SOFT = 'var(--ink-soft)', LINE = 'var(--hairline)', ACCENT = 'var(--accent)', PALE = 'var(--accent-soft)';

const axis = (more) => ({ gridcolor: LINE, linecolor: LINE, zeroline: false, tickfont: { size: 12, color: SOFT }, fixedrange: true, ...more });
const layout = (more) => ({
  paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)', font: { family: 'IBM Plex Sans, sans-serif', color: INK, size: 13 },
  hoverlabel: { bgcolor: 'var(--panel)', bordercolor: LINE, font: { color: INK, size: 13 } }, dragmode: false, ...more,
});

const line = (name, x, y, style, more) => ({ type: 'scatter', mode: 'lines', name, x, y, line: style, hoverinfo: 'skip', ...more });

// One panel of the blend curve. `known` as of store.known, `dots` [{t, side, share, low, high, now}] measured live.
const panel = (given, known, dots, place) => {
  const { a, b, t } = given.state, names = [a, b], sides = given.same ? [0] : [0, 1], data = [];
  const xaxis = `x${place || ''}`, yaxis = `y${place || ''}`, legend = place === '';
  const own = { xaxis, yaxis };
  for (const side of sides) {
    const name = names[side], colour = given.colour(name, side), dash = side ? '7px,3px' : 'solid';
    const label = given.labels[side], pre = given.pretrained[name];
    if (pre !== undefined)
      data.push(line(`pretrained at ${label}`, [0, 1], [pre, pre], { color: colour, width: 1.2, dash: 'dot' }, { ...own, showlegend: false, opacity: 0.8 }));
    if (known && known.ensemble)
      data.push(line(`weight average at ${label}`, known.weights, known.ensemble[side].map((k) => k / known.of[side]),
        { color: colour, width: 1.3, dash: '2px,3px' }, { ...own, showlegend: false, opacity: 0.9 }));
    if (known && known.own)
      data.push({
        type: 'scatter', mode: 'lines+markers', name: `generated at ${label}`, x: known.weights, y: known.own[side].map((k) => k / known.of[side]),
        line: { color: colour, width: 2.6, dash }, marker: { color: colour, symbol: given.shape(name, side), size: 7 }, showlegend: legend,
        customdata: known.own[side].map((k) => `${k}/${known.of[side]}`), hovertemplate: `${label}: %{y:.0%} (%{customdata})<extra>weight %{x}</extra>`, ...own,
      });
    const mine = dots.filter((dot) => dot.side === side);
    data.push({
      type: 'scatter', mode: 'markers', name: `live at ${label}`, x: mine.map((dot) => dot.t), y: mine.map((dot) => dot.share), showlegend: false, ...own,
      marker: { color: 'var(--panel)', symbol: given.shape(name, side), size: mine.map((dot) => (dot.now ? 13 : 8)), line: { color: colour, width: 2.4 } },
      error_y: { type: 'data', symmetric: false, array: mine.map((dot) => (dot.now ? dot.high - dot.share : 0)), arrayminus: mine.map((dot) => (dot.now ? dot.share - dot.low : 0)), color: colour, thickness: 1.4, width: 5 },
      hovertemplate: `${label}, live: %{y:.0%}<extra>weight %{x}</extra>`,
    });
  }
  if (legend) {
    data.push(line('average of the weights', [null], [null], { color: SOFT, width: 1.3, dash: '2px,3px' }));
    data.push(line('pretrained', [null], [null], { color: SOFT, width: 1.2, dash: 'dot' }));
  }
  const cursor = { type: 'line', xref: xaxis, yref: `${yaxis} domain`, x0: t, x1: t, y0: 0, y1: 1, line: { color: ACCENT, width: 2 }, layer: 'below' };
  return { data, cursor };
};

const lowest = (figures) => {
  const values = figures.flatMap((one) => one.data.flatMap((trace) => trace.y)).filter((value) => value !== null);
  return Math.max(0, Math.min(0.8, Math.floor(Math.min(...values, 0.8) * 10 - 0.5) / 10));
};

const curve_layout = (given, panels) => {
  const made = layout({ margin: { l: 46, r: 14, t: 34, b: 44 }, shapes: panels.map((one) => one.cursor) });
  const low = lowest(panels), count = panels.length, gap = 0.04, ends = [`${given.labels[0]}`, '', '½', '', `${given.labels[1]}`];
  panels.forEach((one, index) => {
    const place = index ? index + 1 : '', from = (index * (1 + gap)) / count, to = from + (1 - gap * (count - 1)) / count;
    made[`xaxis${place}`] = axis({ domain: [from, Math.min(1, to)], range: [-0.03, 1.03], tickvals: [0, 0.25, 0.5, 0.75, 1], ticktext: ends, anchor: `y${place}`, showgrid: true });
    made[`yaxis${place}`] = axis({ range: [low, 1.03], tickformat: '.0%', nticks: 6, anchor: `x${place}`, ...(index ? { matches: 'y', showticklabels: false } : {}) });
  });
  if (count > 1)
    made.annotations = panels.map((one, index) => ({ text: `<b>${one.title}</b>`, showarrow: false, xref: `x${index ? index + 1 : ''} domain`, yref: 'paper', x: 0, y: 1.02, xanchor: 'left', yanchor: 'bottom', font: { size: 12.5, color: SOFT } }));
  made.legend = { orientation: 'h', x: 1, xanchor: 'right', y: 1.02, yanchor: 'bottom', font: { size: 12, color: SOFT } };
  made.showlegend = count === 1;
  return made;
};

// The hero: accuracy at A and at B against the blend weight, one panel or one a regime.
export const curve = (given) => {
  const panels = given.panels.map((one, index) => ({ ...panel(given, one.known, one.dots, index ? index + 1 : ''), title: one.title }));
  const known = given.panels[0].known, rows = [];
  if (known && known.own)
    known.weights.forEach((weight, index) => rows.push([weight.toFixed(1), ...known.own.map((one, side) => `${one[index]}/${known.of[side]}`), ...(known.ensemble ? known.ensemble.map((one, side) => `${one[index]}/${known.of[side]}`) : [])]));
  const head = ['weight', ...given.labels.map((label) => `generated at ${label}`), ...given.labels.map((label) => `average at ${label}`)];
  return { data: panels.flatMap((one) => one.data), layout: curve_layout(given, panels), summary: given.summary, table: { head, rows } };
};

// Accuracy by location. `columns` [{name, pretrained, fine_tuned, own, right, count, shares, kind}], kind: live, precomputed or none.
export const bars = (columns, chosen) => {
  const names = columns.map((one) => one.name), shown = (one) => one.kind !== 'none';
  const share = (one) => (shown(one) ? one.right / one.count : null);
  const reach = columns.map((one) => (shown(one) ? wilson(one.right, one.count) : [0, 0]));
  const text = (one) => `${chosen.includes(one.name) ? `<b>${one.name}</b>` : one.name}<br>${shown(one) ? `${one.right}/${one.count}` : '…'}`;
  const pale = columns.map((one) => (one.kind === 'live' && one.count < 40 ? '/' : ''));
  const data = [
    {
      type: 'bar', name: 'this adapter', x: names, y: columns.map(share), customdata: columns.map((one) => (shown(one) ? `${one.right}/${one.count}, ${one.kind}` : '')),
      marker: { color: columns.map((one) => (chosen.includes(one.name) ? ACCENT : PALE)), pattern: { shape: pale, fillmode: 'overlay', size: 6, solidity: 0.3, fgcolor: 'var(--panel)', fgopacity: 0.75 } },
      hovertemplate: '%{x}: %{y:.0%} (%{customdata})<extra>this adapter</extra>',
      error_y: { type: 'data', symmetric: false, thickness: 1.2, width: 4, color: INK, array: columns.map((one, i) => (shown(one) ? reach[i][1] - share(one) : 0)), arrayminus: columns.map((one, i) => (shown(one) ? share(one) - reach[i][0] : 0)) },
    },
    { type: 'bar', showlegend: false, hoverinfo: 'skip', x: names, y: columns.map((one) => (shown(one) ? null : 0.02)), marker: { color: LINE } },
  ];
  const dots = columns.flatMap((one) => (shown(one) && (one.shares || []).length > 1 ? one.shares.map((value) => [one.name, value]) : []));
  data.push({ type: 'scatter', mode: 'markers', name: 'each adapter', showlegend: dots.length > 0, x: dots.map((dot) => dot[0]), y: dots.map((dot) => dot[1]), hoverinfo: 'skip', marker: { size: 5, color: 'var(--panel)', line: { color: INK, width: 1 } } });
  const ticks = (name, key, symbol, size, width, colour) => ({
    type: 'scatter', mode: 'markers', name, x: names, y: columns.map((one) => one[key] ?? null), marker: { symbol, size, color: colour, line: { color: colour, width } },
    hovertemplate: `%{x}: %{y:.0%}<extra>${name}, precomputed</extra>`,
  });
  data.push(ticks('pretrained', 'pretrained', 'line-ew', 22, 3, SOFT), ticks('fine-tuned', 'fine_tuned', 'diamond-open', 9, 2, INK));
  const made = layout({ margin: { l: 42, r: 4, t: 30, b: 46 }, bargap: 0.34, barmode: 'overlay' });
  made.xaxis = axis({ showgrid: false, tickangle: 0, type: 'category', tickvals: names, ticktext: columns.map(text) });
  made.yaxis = axis({ range: [0, 1.09], tickvals: [0, 0.25, 0.5, 0.75, 1], tickformat: '.0%' });
  made.legend = { orientation: 'h', x: 0, y: 1.01, yanchor: 'bottom', font: { size: 12.5, color: SOFT } };
  const known = (value) => (value === undefined || value === null ? '' : percent(value));
  const rows = columns.map((one) => [one.name, known(one.pretrained), known(one.fine_tuned), known(one.own), shown(one) ? percent(share(one)) : '', shown(one) ? `${one.right}/${one.count}` : '', one.kind]);
  const said = columns.filter(shown).map((one) => `${one.name} ${percent(share(one))}`).join(', ') || 'being measured';
  const long = Math.max(...names.map((name) => name.length)) > 4;
  const narrow = { xaxis: { ticktext: columns.map((one) => (chosen.includes(one.name) ? `<b>${one.name}</b>` : one.name)), tickfont: { size: 9.5, color: SOFT }, ...(long ? { tickangle: -90, automargin: true } : {}) }, markers: { pretrained: 11 } };
  return { data, layout: made, narrow, pick: 'x', summary: `Accuracy of this adapter by location: ${said}.`, table: { head: ['location', 'pretrained', 'fine-tuned', 'generated for it', 'this adapter', 'right / photographs', 'measured'], rows } };
};
