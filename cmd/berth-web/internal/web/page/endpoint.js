// One endpoint: its facts, its live chart, its rates and its events.
import { Chart } from './chart.js';
import { html, useEffect } from './dom.js';
import { formatBytes, formatNumber, formatTime, nameOf, scopeTotal } from './format.js';
import { store, watch } from './store.js';
import { texts } from './texts.js';
import { Copyable } from './ui.js';
import { EventTable, isAbout } from './events.js';

const series = [['receive', 'local'], ['receive', 'external'], ['transmit', 'local'], ['transmit', 'external']];

const lines = series.map(([direction, scope]) => ({
  label: `${texts[direction]} ${texts[scope]}`,
  value: (rates) => (rates ? scopeTotal(rates[direction][scope]).bytes : null),
}));

function Split({ traffic }) {
  const casts = ['unicast', 'multicast', 'broadcast'];
  const cell = (rate, count) => html`<td class="number">${rate ? `${formatBytes(rate.bytes)}/s` : '–'}
    <small>${formatNumber(count.packets)} · ${formatBytes(count.bytes)}</small></td>`;
  return html`<table><caption>${texts.chartSplit}</caption>
    <thead><tr><td></td>${casts.map((c) => html`<th scope="col">${texts[c]}</th>`)}</tr></thead>
    <tbody>${series.map(([direction, scope]) => html`<tr><th scope="row">${texts[direction]} ${texts[scope]}</th>
      ${casts.map((c) => cell(traffic.rates?.[direction][scope][c], traffic.counters[direction][scope][c]))}</tr>`)}</tbody></table>`;
}

function factText(key, value) {
  if (key === 'mac') return html`<${Copyable} text=${value} />`;
  if (key === 'created' || key === 'ended') return formatTime(value);
  if (typeof value === 'boolean') return value ? texts.yes : texts.no;
  if (key === 'addresses') return value.map((a) => html`<${Copyable} text=${a} /> `);
  if (Array.isArray(value) && value.every((v) => typeof v !== 'object')) return value.join(', ');
  if (typeof value === 'object') return html`<pre>${JSON.stringify(value, null, 1)}</pre>`;
  return String(value);
}

function Facts({ row }) {
  return html`<h2>${texts.facts}</h2><dl>${Object.entries(texts.fact).filter(([key]) => row[key] !== undefined && row[key] !== '')
    .map(([key, title]) => html`<dt>${title}</dt><dd>${factText(key, row[key])}</dd>`)}</dl>`;
}

function Violations({ traffic }) {
  const kinds = Object.entries(traffic.violations || {});
  if (kinds.length === 0) return null;
  return html`<h2>${texts.violations}</h2><ul>${kinds.map(([kind, n]) => html`<li class="mark">⚠ ${kind}: ${n}
    ${traffic.dropped?.[kind] ? ` (${traffic.dropped[kind]} ${texts.dropped})` : ''}</li>`)}</ul>`;
}

export function Endpoint({ argument }) {
  useEffect(() => { watch(argument); return () => watch(''); }, [argument]);
  const row = store.rows.get(argument);
  const traffic = store.traffic.get(argument);
  if (!row || !traffic) return html`<h1>${texts.views.endpoints}</h1><p>${texts.endpointGone}</p>`;
  return html`<h1>${nameOf(row)}</h1><${Chart} title=${texts.chart} history=${store.history} lines=${lines} /><${Split} traffic=${traffic} /><${Violations} traffic=${traffic} /><${Facts} row=${row} />
    <h2>${texts.itsEvents}</h2><${EventTable} events=${store.events.filter((e) => isAbout(e, row))} />`;
}
