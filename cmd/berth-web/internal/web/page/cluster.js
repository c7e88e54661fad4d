// The cluster that this machine is a node of: its nodes, and the blocks of the shared pools.
import { html } from './dom.js';
import { formatTime } from './format.js';
import { texts } from './texts.js';
import { number, Table, useStore } from './ui.js';

const share = (part, all) => html`<meter min="0" max=${Math.max(1, all)} value=${part} aria-label=${texts.partOf(part, all)}></meter> ${texts.partOf(part, all)}`;

function Nodes({ nodes }) {
  const c = texts.column;
  return html`<${Table} label=${texts.nodes} caption=${texts.nodes} head=${[c.node, c.state, c.since, number(c.blocks), c.used]}>${nodes.map((n) => html`<tr>
    <th scope="row">${n.name}${n.this ? html` <small>${texts.thisNode}</small>` : ''}</th><td>${n.present ? texts.present : texts.absent}</td><td>${formatTime(n.since)}</td>
    <td class="number">${n.blocks}</td><td>${share(n.used, n.size)}</td></tr>`)}<//>`;
}

function Pools({ pools }) {
  const c = texts.column;
  return html`<${Table} label=${texts.sharedPools} caption=${texts.sharedPools} head=${[c.domain, c.range, c.used, c.claimed, number(c.idle), number(c.here), number(c.freeHere), c.problem]}>${pools.map((p) => html`<tr>
    <th scope="row">${p.domain}</th><td>${p.ip_range}</td><td>${share(p.used, p.size)}</td><td>${share(p.claimed, p.blocks)}</td>
    <td class="number">${p.idle}</td><td class="number">${p.here}</td><td class="number">${p.free_here}</td><td class=${p.error ? 'mark' : ''}>${p.error || ''}</td></tr>`)}<//>`;
}

export function Cluster() {
  const { cluster } = useStore('facts');
  if (!cluster) return null;
  return html`<section class="card"><h2>${texts.cluster} <small>${cluster.contact ? texts.contactAt(formatTime(cluster.contact)) : texts.noContact}</small></h2>
    ${cluster.error && html`<p class="mark">${cluster.error}</p>`}
    <${Nodes} nodes=${cluster.nodes || []} /><${Pools} pools=${cluster.pools || []} /></section>`;
}
