// The networks in use, the parents, and the agent's own state.
import { html } from './dom.js';
import { Pool } from './pool.js';
import { formatRate, formatTime, nameOf, networkOf, sumRates, siblingRate, violationCount, wireRate } from './format.js';
import { store } from './store.js';
import { texts } from './texts.js';

const none = { packets: 0, bytes: 0 };

function networksInUse() {
  const all = new Map();
  for (const row of store.rows.values()) {
    if (row.phase === 'ended') continue;
    const name = networkOf(row);
    const n = all.get(name) || { name, parents: new Set(), endpoints: 0, used: new Set(), siblings: none, wire: none, violations: 0 };
    all.set(name, n);
    const t = store.traffic.get(row.key);
    n.parents.add(row.vlan ? `${row.parent} ${texts.vlan(row.vlan)}` : row.parent);
    n.endpoints++;
    for (const a of row.addresses || []) n.used.add(a);
    n.siblings = sumRates(n.siblings, siblingRate(t) || none);
    n.wire = sumRates(n.wire, wireRate(t) || none);
    n.violations += violationCount(t);
  }
  return [...all.values()].sort((a, b) => a.name.localeCompare(b.name));
}

function NetworkTable() {
  const c = texts.column;
  return html`<table><caption>${texts.networksTitle}</caption>
    <thead><tr>${[c.network, c.parent, c.endpoints, c.used, c.siblingRate, c.wireRate, c.violations].map((t) => html`<th scope="col">${t}</th>`)}</tr></thead>
    <tbody>${networksInUse().map((n) => html`<tr><th scope="row">${n.name}</th><td>${[...n.parents].join(', ')}</td><td class="number">${n.endpoints}</td>
      <td><details><summary>${n.used.size}</summary>${[...n.used].sort().slice(0, 1000).join(', ')}</details></td>
      <td class="number">${formatRate(n.siblings)}</td><td class="number">${formatRate(n.wire)}</td>
      <td class=${n.violations ? 'number mark' : 'number'}>${n.violations}</td></tr>`)}</tbody></table>`;
}

function ParentTable({ parents }) {
  const c = texts.column;
  return html`<table><caption>${texts.parents}</caption>
    <thead><tr>${[c.parent, c.mac, c.state, c.attach, c.endpoints, c.networks, c.problem].map((t) => html`<th scope="col">${t}</th>`)}</tr></thead>
    <tbody>${parents.map((p) => html`<tr><th scope="row">${p.name}</th><td>${p.mac || '–'}</td><td>${p.state}</td><td>${p.attach || '–'}</td>
      <td class="number">${p.endpoints}</td><td>${(p.networks || []).join(', ')}</td><td class=${p.problem ? 'mark' : ''}>${p.problem || ''}</td></tr>`)}</tbody></table>`;
}

function Agent({ status }) {
  const show = (key, v) => (key === 'started' ? formatTime(v) : typeof v === 'boolean' ? (v ? texts.yes : texts.no) : String(v));
  return html`<h2>${texts.agent}</h2><dl>${Object.entries(texts.agentFacts).map(([key, title]) => html`<dt>${title}</dt><dd>${show(key, status[key])}</dd>`)}</dl>`;
}

// namesByAddress returns the names of the containers that have an address.
function namesByAddress() {
  const names = new Map();
  for (const row of store.rows.values()) {
    if (row.phase !== 'ended') for (const a of row.addresses || []) names.set(a.split('/')[0], nameOf(row));
  }
  return names;
}

function DefinedTable({ networks }) {
  const c = texts.column;
  return html`<table><caption>${texts.definedNetworks}</caption>
    <thead><tr>${[c.network, c.driver, c.mode, c.parent, texts.subnets, texts.hostReaches, c.problem].map((t) => html`<th scope="col">${t}</th>`)}</tr></thead>
    <tbody>${networks.map((n) => html`<tr><th scope="row">${n.name}</th><td>${n.driver}</td><td>${n.mode}</td><td>${n.parent}</td>
      <td>${n.pools.map((p) => p.subnet).join(', ') || n.ipam}</td>
      <td>${n.host ? `${n.host.interface} ${n.host.addresses.join(' ')} (${n.host.state})` : '–'}</td><td class=${n.problem ? 'mark' : ''}>${n.problem || ''}</td></tr>`)}</tbody></table>`;
}

export function Networks() {
  const status = store.agent.status;
  return html`<h1>${texts.views.networks}</h1>
    ${store.networks.length > 0 ? html`<${DefinedTable} networks=${store.networks} />` : html`<p>${texts.noNetworks}</p>`}
    ${store.networks.map((n) => html`<section key=${n.name}>${n.pools.map((p) => html`<${Pool} network=${n} pool=${p} names=${namesByAddress()} />`)}</section>`)}
    <p>${texts.checksHint}</p><${NetworkTable} />
    ${status && html`<${ParentTable} parents=${status.parents || []} /><${Agent} status=${status} />`}`;
}
