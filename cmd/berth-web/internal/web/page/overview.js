// The overview: a drawing of parents, VLANs and containers, and a table of the same.
import { useWidth } from './chart.js';
import { html, useState } from './dom.js';
import { finder, formatNumber, formatRate } from './format.js';
import { rowsByName } from './order.js';
import { store, versions } from './store.js';
import { texts } from './texts.js';
import { sumRates } from './traffic.js';
import { boxHeight, branchLabel, buildTree, layout, shimRows, totalTree } from './tree.js';
import { cached, endpointLink, number, Search, Select, Table, useStore, useStored } from './ui.js';

const short = (text, width) => { // as many characters as fit, about 8 pixels each
  const n = Math.max(3, Math.floor(width / 8));
  return text.length > n ? text.slice(0, n - 1) + '…' : text;
};
const thickness = (rate) => 1 + Math.min(7, Math.log10(1 + (rate || 0)) * 0.9);
const barWidth = (rate, width) => Math.min(1, Math.log10(1 + (rate || 0)) / 9) * width;

function Box({ x, y, width, title, lines, bad, kind }) {
  return html`<g transform=${`translate(${x} ${y})`} class=${`box ${kind}${bad ? ' bad' : ''}`}>
    <rect class="outline" width=${width} height=${boxHeight} rx="8" /><text x="11" y="20" class="strong">${short(title, width - 20)}<title>${title}</title></text>
    ${lines.map(([text, style], i) => html`<text x="11" y=${37 + i * 17} class=${`small ${style}`}>${text}</text>`)}</g>`;
}

function addressText(row) {
  const [first, ...others] = row.addresses || [];
  return first ? `${first}${others.length ? ` +${others.length}` : ''}` : row.mac;
}

function Rates({ leaf, width }) {
  return html`<g><text x="10" y="52" class="small of-siblings">⇄ ${formatRate(leaf.siblings)}</text>
    <text x=${width / 2 + 4} y="52" class="small of-wire">⇅ ${formatRate(leaf.wire)}</text>
    <rect class="of-siblings" x="10" y="57" height="2" width=${barWidth(leaf.siblings, width / 2 - 14)} />
    <rect class="of-wire" x=${width / 2 + 4} y="57" height="2" width=${barWidth(leaf.wire, width / 2 - 14)} /></g>`;
}

function Leaf({ placed, dim }) {
  const { leaf, x, y, width, height } = placed;
  const host = leaf.row.shim ? ' shim' : leaf.row.origin === 'observed' ? ' observed' : '';
  const mark = leaf.violations > 0 ? `⚠ ${formatNumber(leaf.violations)}` : '';
  return html`<a href=${leaf.row.shim ? '#networks' : endpointLink(leaf.row.key)} class=${`leaf${host}${dim ? ' dim' : ''}${mark ? ' bad' : ''}`}>
    <g transform=${`translate(${x} ${y})`}><title>${leaf.name} ${(leaf.row.addresses || []).join(' ')} ${leaf.row.mac}${mark && ` – ${texts.violationsOf(leaf.violations)}`}</title>
      <rect class="outline" width=${width} height=${height} rx="8" />
      <text x="10" y="19" class="strong">${short(leaf.name, width - 22 - mark.length * 8)}</text>
      ${mark && html`<text x=${width - 10} y="19" text-anchor="end" class="mark">${mark}</text>`}
      <text x="10" y="36" class="small">${short(addressText(leaf.row), width + 10)}</text>
      ${leaf.row.shim ? html`<text x="10" y="52" class="small">${texts.hostShim}</text>` : html`<${Rates} leaf=${leaf} width=${width} />`}</g></a>`;
}

// Links are the lines from a parent to a branch, as thick as the wire's rate, and along its
// endpoints, as thick as the rate between siblings.
function Links({ placed, from, drawn }) {
  const { branch, y, leaves } = placed;
  if (drawn.narrow) return null;
  const right = drawn.parent.x + drawn.parent.width;
  const middle = (right + drawn.branch.x) / 2;
  const rail = (drawn.branch.x + drawn.branch.width + drawn.leaves) / 2;
  const bottom = Math.max(y + boxHeight, ...leaves.map((l) => l.y + l.height));
  return html`<g><path d=${`M${right} ${from + 32}H${middle}V${y + 32}H${drawn.branch.x}`} class="wire" stroke-width=${thickness(branch.wire)} />
    <path d=${`M${rail} ${y + 4}V${bottom - 4}`} class="siblings" stroke-width=${thickness(branch.siblings)} /></g>`;
}

function Branch({ placed, drawn, from, dims, toggle }) {
  const { branch, y, leaves, fold, open } = placed;
  return html`<g><${Links} placed=${placed} from=${from} drawn=${drawn} />
    <${Box} x=${drawn.branch.x} y=${y} width=${drawn.branch.width} kind="branch" bad=${branch.violations > 0} title=${branch.group ? `${branchLabel(branch)} · ${branch.group}` : branchLabel(branch)}
      lines=${[[`⇄ ${formatRate(branch.siblings)}`, 'of-siblings'], [`⇅ ${formatRate(branch.wire)}`, 'of-wire']]} />
    ${leaves.map((l) => html`<${Leaf} key=${l.leaf.row.key} placed=${l} dim=${dims(l.leaf.row)} />`)}
    ${fold && html`<g role="button" tabindex="0" class="fold" transform=${`translate(${fold.x} ${fold.y})`}
      onClick=${() => toggle(branch.id)} onKeyDown=${(e) => (e.key === 'Enter' || e.key === ' ') && (e.preventDefault(), toggle(branch.id))}>
      <rect width=${fold.width} height=${fold.height} rx="8" />
      <text x="10" y="37">${open ? texts.fold : texts.more(fold.hidden)}</text></g>`}
  </g>`;
}

function Drawing({ tree, search }) {
  const [ref, width] = useWidth(1000);
  const [unfolded, set] = useState(new Set());
  const toggle = (id) => {
    const next = new Set(unfolded);
    if (!next.delete(id)) next.add(id);
    set(next);
  };
  const isFound = finder(search);
  const found = (row) => search !== '' && isFound(row);
  const drawn = layout(tree, width, unfolded, found);
  const dims = (row) => search !== '' && !found(row);
  return html`<div class="drawing" ref=${ref}>
    <svg role="group" aria-label=${`${texts.drawing}. ${texts.drawingHint}`} width=${drawn.width} height=${drawn.height}>
      ${drawn.parents.map(({ parent, y, branches }) => html`<g key=${parent.name}>
        ${branches.map((b) => html`<${Branch} key=${b.branch.id} placed=${b} drawn=${drawn} from=${y} dims=${dims} toggle=${toggle} />`)}
        <${Box} x=${drawn.parent.x} y=${y} width=${drawn.parent.width} kind="parent" title=${parent.name} bad=${parent.violations > 0}
          lines=${[[`⇅ ${formatRate(parent.wire)}`, 'of-wire'], parent.violations ? [`⚠ ${texts.violationsOf(parent.violations)}`, 'mark'] : [texts.endpointsOf(parent.endpoints), '']]} />
      </g>`)}
    </svg></div>`;
}

function Key() {
  return html`<ul class="key">${texts.key.map(([mark, text, style]) => html`<li><span class=${style} aria-hidden="true">${mark}</span> ${text}</li>`)}</ul>`;
}

// Tiles are the sums over all parents.
function Tiles({ tree }) {
  const sum = (of) => tree.reduce((all, p) => all + of(p), 0);
  const violations = sum((p) => p.violations);
  const tile = ([title, value], bad) => html`<div class=${bad ? 'mark' : ''}><dt>${title}</dt><dd>${value}</dd></div>`;
  return html`<dl class="tiles">${tile([texts.views.endpoints, sum((p) => p.endpoints)])}
    ${tile([texts.parents, tree.length])}${tile([texts.siblingTraffic, formatRate(sumRates(tree.map((p) => p.siblings)))])}
    ${tile([texts.wireTraffic, formatRate(sumRates(tree.map((p) => p.wire)))])}${tile([texts.violations, violations > 0 ? html`<a href="#events" title=${texts.showEvents}>${violations}</a>` : 0], violations > 0)}</dl>`;
}

const mostListed = 200;

// Leaves is the list of a branch's endpoints, which is made when it is opened.
function Leaves({ branch, search }) {
  const [open, set] = useState(false);
  const leaf = (l) => html`<li key=${l.row.key}><a href=${l.row.shim ? '#networks' : endpointLink(l.row.key)}>${l.name}</a>${l.row.shim ? ` (${texts.hostShim})` : ''} ${(l.row.addresses || []).join(' ')}</li>`;
  const found = open ? branch.leaves.filter((l) => finder(search)(l.row)) : [];
  return html`<details onToggle=${(e) => set(e.target.open)}><summary>${texts.endpointsOf(branch.leaves.filter((l) => !l.row.shim).length)}</summary>
    <ul>${found.slice(0, mostListed).map(leaf)}</ul>${found.length > mostListed && html`<p>${texts.more(found.length - mostListed)}</p>`}</details>`;
}

// Found is the number of endpoints that a search finds.
function Found({ tree, search }) {
  const isFound = finder(search);
  const all = tree.flatMap((p) => p.branches).flatMap((b) => b.leaves).filter((l) => !l.row.shim);
  return html`<span role="status">${texts.rowsShown(all.filter((l) => isFound(l.row)).length, all.length)}</span>`;
}

// Twin has the content of the drawing as a table, for screen readers and small screens.
function Twin({ tree, search }) {
  const c = texts.column;
  return html`<section class="card"><h2>${texts.twin}</h2><${Table} label=${texts.twin} head=${[c.parent, c.vlan, texts.groupColumn, c.endpoints, number(c.siblingRate), number(c.wireRate), number(c.violations)]}>
    ${tree.flatMap((p) => p.branches.map((b) => html`<tr key=${b.id}>
      <th scope="row">${p.name}</th><td>${branchLabel(b)}</td><td>${b.group || '–'}</td><td><${Leaves} branch=${b} search=${search} /></td>
      <td class="number">${formatRate(b.siblings)}</td><td class="number">${formatRate(b.wire)}</td>
      <td class=${b.violations ? 'number mark' : 'number'}>${b.violations}</td></tr>`))}<//></section>`;
}

// treeOf returns the tree without its traffic.
const treeOf = cached((_rows, networks, grouping) => buildTree([...rowsByName(versions.rows), ...shimRows(networks)], grouping));

export function Overview() {
  const [search, setSearch] = useState('');
  const [grouping, setGrouping] = useStored('grouping', 'none');
  useStore('link', 'rows', 'traffic', 'facts');
  const tree = treeOf(versions.rows, store.networks, grouping in texts.groups ? grouping : 'none');
  totalTree(tree);
  const problems = store.agent?.status?.problems || [];
  return html`<h1>${texts.views.overview}</h1>
    ${problems.length > 0 && html`<section class="card problems"><h2>${texts.problems}</h2><ul>${problems.map((p) => html`<li>${p}</li>`)}</ul></section>`}
    <${Tiles} tree=${tree} />
    <form class="bar" onSubmit=${(e) => e.preventDefault()}><${Search} value=${search} onInput=${setSearch} />
      <${Select} label=${texts.group} value=${grouping} choices=${Object.entries(texts.groups)} onChange=${setGrouping} />
      ${search && html`<${Found} tree=${tree} search=${search} />`}</form>
    ${tree.length === 0 ? html`<p>${texts.empty}</p>` : html`<section class="card"><${Drawing} tree=${tree} search=${search} /><${Key} /></section><${Twin} tree=${tree} search=${search} />`}`;
}
