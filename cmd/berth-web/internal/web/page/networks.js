// The checks, the engines, the networks with their pools, the cluster, the parents, and the
// agent's own state.
import { html } from './dom.js';
import { Checks, Engines } from './checks.js';
import { Cluster } from './cluster.js';
import { Pool } from './pool.js';
import { formatRate, formatTime, nameOf, networkOf } from './format.js';
import { store, versions } from './store.js';
import { texts } from './texts.js';
import { sumRates } from './traffic.js';
import { cached, number, Table, useStore } from './ui.js';

// networksInUse returns the networks that endpoints are on, with these.
const networksInUse = cached((_version) => {
  const all = new Map();
  for (const row of store.rows.values()) {
    if (row.phase === 'ended') continue;
    const name = networkOf(row);
    const n = all.get(name) || { name, parents: new Set(), rows: [], used: new Set() };
    all.set(name, n);
    n.parents.add(row.vlan ? `${row.parent} ${texts.vlan(row.vlan)}` : row.parent);
    n.rows.push(row);
    for (const a of row.addresses || []) n.used.add(a);
  }
  for (const n of all.values()) n.addresses = [...n.used].sort().slice(0, 1000).join(', ');
  return [...all.values()].sort((a, b) => a.name.localeCompare(b.name));
});

function InUse() {
  useStore('rows', 'traffic');
  const c = texts.column;
  const sum = (n, of) => formatRate(sumRates(n.rows.map((row) => of(row.traffic))));
  const violations = (n) => n.rows.reduce((all, row) => all + row.traffic.violations, 0);
  return html`<section class="card"><h2>${texts.networksTitle}</h2>
    <${Table} label=${texts.networksTitle} head=${[c.network, c.parent, number(c.endpoints), c.used, number(c.siblingRate), number(c.wireRate), number(c.violations)]}>
    ${networksInUse(versions.rows).map((n) => html`<tr><th scope="row">${n.name}</th><td>${[...n.parents].join(', ')}</td><td class="number">${n.rows.length}</td>
      <td><details><summary>${n.used.size}</summary>${n.addresses}</details></td>
      <td class="number">${sum(n, (t) => t.siblings)}</td><td class="number">${sum(n, (t) => t.wire)}</td>
      <td class=${violations(n) ? 'number mark' : 'number'}>${violations(n)}</td></tr>`)}<//></section>`;
}

function Parents({ parents }) {
  const c = texts.column;
  return html`<section class="card"><h2>${texts.parents}</h2>
    <${Table} label=${texts.parents} head=${[c.parent, c.mac, c.state, c.attach, number(c.endpoints), c.networks, c.problem]}>
    ${parents.map((p) => html`<tr><th scope="row">${p.name}</th><td><code>${p.mac || '–'}</code></td><td>${p.state}</td><td>${p.attach || '–'}</td>
      <td class="number">${p.endpoints}</td><td>${(p.networks || []).join(', ')}</td><td class=${p.problem ? 'mark' : ''}>${p.problem || ''}</td></tr>`)}<//></section>`;
}

function Agent({ status }) {
  const show = (key, v) => (key === 'started' ? formatTime(v) : typeof v === 'boolean' ? (v ? texts.yes : texts.no) : String(v));
  return html`<section class="card"><h2>${texts.agent}</h2><dl>${Object.entries(texts.agentFacts).map(([key, title]) => html`<dt>${title}</dt><dd>${show(key, status[key])}</dd>`)}</dl></section>`;
}

// namesByAddress returns the names of the containers that have an address.
function namesByAddress() {
  const names = new Map();
  for (const row of store.rows.values()) {
    if (row.phase !== 'ended') for (const a of row.addresses || []) names.set(a.split('/')[0], nameOf(row));
  }
  return names;
}

function Defined({ networks }) {
  const c = texts.column;
  if (networks.length === 0) return html`<p>${texts.noNetworks}</p>`;
  return html`<${Table} label=${texts.definedNetworks} head=${[c.network, c.driver, c.mode, c.parent, texts.subnets, texts.hostReaches, c.problem]}>
    ${networks.map((n) => html`<tr><th scope="row">${n.name}</th><td>${n.driver}</td><td>${n.mode}</td><td>${n.parent}</td>
      <td>${n.pools.map((p) => p.subnet).join(', ') || n.ipam}</td>
      <td>${n.host ? `${n.host.interface} ${n.host.addresses.join(' ')} (${n.host.state})` : '–'}</td><td class=${n.problem ? 'mark' : ''}>${n.problem || ''}</td></tr>`)}<//>`;
}

export function Networks() {
  useStore('link', 'rows', 'facts');
  const status = store.agent.status;
  const names = namesByAddress();
  return html`<h1>${texts.views.networks}</h1><${Checks} /><${Engines} />
    <section class="card"><h2>${texts.definedNetworks}</h2><${Defined} networks=${store.networks} />
      ${store.networks.map((n) => html`<div key=${n.name}>${n.pools.map((p) => html`<${Pool} network=${n} pool=${p} names=${names} />`)}</div>`)}</section>
    <${Cluster} /><${InUse} />
    ${status && html`<${Parents} parents=${status.parents || []} /><${Agent} status=${status} />`}`;
}
