// One endpoint: its facts, its live chart, its rates, leases, violations and events.
import { Chart } from './chart.js';
import { html, useEffect, useState } from './dom.js';
import { doorOf, engineOf, formatBytes, formatNumber, formatRate, formatTime, nameOf, networkOf } from './format.js';
import { store, watch } from './store.js';
import { texts } from './texts.js';
import { casts, directions, place, scopes } from './traffic.js';
import { Copyable, number, Select, Table, useStore } from './ui.js';
import { About, EventTable, frameText, isAbout, Kind, useKinds } from './events.js';

const series = directions.flatMap((direction) => scopes.map((scope) => [direction, scope]));

// linesOf returns the lines of the chart. The rates are those of bytes alone.
const linesOf = (cast) => series.map(([direction, scope]) => {
  const places = casts.filter((c) => cast === 'all' || c === cast).map((c) => place(direction, scope, c) / 2);
  return { label: `${texts[direction]}, ${texts[scope]}`, value: (rates) => rates && places.reduce((sum, i) => sum + rates[i], 0) };
});

function Split({ traffic }) {
  const cell = (i) => html`<td class="number">${formatRate(traffic.isRated ? traffic.rates[i + 1] : null)}
    <small>${formatBytes(traffic.counts[i + 1])}, ${texts.packetsOf(formatNumber(traffic.counts[i]))}</small></td>`;
  return html`<${Table} label=${texts.chartSplit} head=${[texts.column.traffic, ...casts.map((c) => number(texts[c]))]}>
    ${series.map(([direction, scope]) => html`<tr><th scope="row">${texts[direction]}, ${texts[scope]}</th>
      ${casts.map((c) => cell(place(direction, scope, c)))}</tr>`)}<//>`;
}

function factText(key, value) {
  if (key === 'mac') return html`<${Copyable} text=${value} />`;
  if (key === 'created' || key === 'ended') return formatTime(value);
  if (typeof value === 'boolean') return value ? texts.yes : texts.no;
  if (key === 'addresses') return value.map((a) => html`<${Copyable} text=${a} /> `);
  if (key === 'routes') return value.map((r) => `${r.to}${r.via ? ` via ${r.via}` : ''}${r.metric ? ` metric ${r.metric}` : ''}`).join(', ');
  if (key === 'labels') return html`<pre>${Object.entries(value).map(([k, v]) => `${k}=${v}`).join('\n')}</pre>`;
  if (Array.isArray(value)) return value.join(', ');
  return String(value);
}

// factsOf returns the facts under their keys. The key group_packets is among the traffic.
function factsOf(row) {
  return { ...row, engine: engineOf(row), network: networkOf(row), door: doorOf(row), group_packets: row.traffic.marks.group_packets };
}

function Facts({ facts }) {
  const known = Object.entries(texts.fact).filter(([key]) => facts[key] !== undefined && facts[key] !== '' && facts[key]?.length !== 0);
  return html`<section class="card"><h2>${texts.facts}</h2><dl>${known.map(([key, title]) => html`<dt>${title}</dt><dd>${factText(key, facts[key])}</dd>`)}</dl></section>`;
}

function Leases({ leases }) {
  const show = (key, value) => (['obtained', 'renewed', 'expires'].includes(key) ? formatTime(value) : Array.isArray(value)
    ? value.map((v) => (v.to ? `${v.to}${v.via ? ` via ${v.via}` : ''}` : v)).join(', ') : String(value));
  return html`<section class="card"><h2>${texts.lease}</h2>${leases.map(({ family, lease, lost }) => html`<h3>${texts.families[family]}</h3>
    ${lost && html`<p class="mark">${lost}</p>`}
    ${lease ? html`<dl>${Object.entries(texts.leaseFact).filter(([key]) => lease[key] !== undefined && lease[key] !== '').map(([key, title]) => html`
      <dt>${title}</dt><dd>${show(key, lease[key])}</dd>`)}</dl>` : html`<p>${texts.noLease}</p>`}`)}</section>`;
}

// Violations are the counts by kind, each with the newest event's frame.
function Violations({ traffic, events }) {
  const known = useKinds();
  const [open, setOpen] = useState('');
  const kinds = Object.entries(traffic.marks.violations || {});
  const newest = (kind) => events.findLast((e) => e.kind === kind);
  if (kinds.length === 0) return null;
  const c = texts.column;
  return html`<section class="card problems"><h2>${texts.violations}</h2><${Table} label=${texts.violations} head=${[c.kind, number(c.frames), number(texts.dropped), c.newest, c.frame]}>
    ${kinds.map(([kind, n]) => {
    const e = newest(kind);
    return [html`<tr><th scope="row"><span class="mark" aria-hidden="true">⚠</span> <${Kind} kind=${kind} isOpen=${open === kind} toggle=${() => setOpen(open === kind ? '' : kind)} /></th><td class="number">${n}</td>
      <td class="number">${traffic.marks.dropped?.[kind] || 0}</td><td class="time">${e ? formatTime(e.time) : '–'}</td><td>${e ? frameText(e.frame) : texts.noFrame}</td></tr>`,
    open === kind && html`<${About} about=${known[kind]} span="5" />`];
  })}<//></section>`;
}

function Chips({ row }) {
  const all = [networkOf(row), row.vlan ? `${row.parent} ${texts.vlan(row.vlan)}` : row.parent, `${row.driver} ${row.mode}`, engineOf(row), row.namespace, row.phase];
  return html`<ul class="chips">${all.filter(Boolean).map((text) => html`<li>${text}</li>`)}</ul>`;
}

export function Endpoint({ argument }) {
  useEffect(() => { watch(argument); return () => watch(''); }, [argument]);
  const [cast, setCast] = useState('all');
  useStore('rows', 'traffic', 'events');
  const row = store.byKey.get(argument);
  if (!row) return html`<h1>${texts.views.endpoints}</h1><p>${texts.endpointGone}</p>`;
  const events = store.events.filter((e) => isAbout(e, row));
  return html`<h1>${nameOf(row)}</h1><${Chips} row=${row} />
    <section class="card"><div class="bar"><${Select} label=${texts.cast} value=${cast} choices=${[['all', texts.allCasts], ...casts.map((c) => [c, texts[c]])]} onChange=${setCast} /></div>
      <${Chart} title=${texts.chart} history=${store.history} lines=${linesOf(cast)} /></section>
    <section class="card"><h2>${texts.chartSplit}</h2><${Split} traffic=${row.traffic} /></section>
    <${Violations} traffic=${row.traffic} events=${events} />
    <div class="columns"><${Facts} facts=${factsOf(row)} />${row.dhcp?.length > 0 && html`<${Leases} leases=${row.dhcp} />`}</div>
    <section class="card"><h2>${texts.itsEvents}</h2><${EventTable} events=${events} /></section>`;
}
