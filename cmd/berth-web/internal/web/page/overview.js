// The overview: a drawing of parents, VLANs and containers, and a table of the same.
import { useWidth } from './chart.js';
import { html, useState } from './dom.js';
import { formatRate, matches } from './format.js';
import { store } from './store.js';
import { texts } from './texts.js';
import { branchLabel, buildTree, layout, shimRows } from './tree.js';
import { endpointLink, Search, Select, useStored } from './ui.js';

const short = (text, n) => (text.length > n ? text.slice(0, n - 1) + '…' : text);
const thickness = (rate) => 1 + Math.min(7, Math.log10(1 + (rate?.bytes || 0)) * 0.9);

function Box({ x, y, width, title, lines, bad }) {
  return html`<g transform=${`translate(${x} ${y})`} class=${bad ? 'box bad' : 'box'}>
    <rect width=${width} height="62" rx="6" /><text x="10" y="18" class="strong">${short(title, 17)}<title>${title}</title></text>
    ${lines.map((line, i) => html`<text x="10" y=${35 + i * 16} class="small">${line}</text>`)}</g>`;
}

function addressText(row) {
  const [first, ...others] = row.addresses || [];
  return first ? `${first}${others.length ? ` +${others.length}` : ''}` : row.mac;
}

function Leaf({ placed, dim }) {
  const { leaf, x, y, width, height } = placed;
  const host = leaf.row.shim ? ' shim' : leaf.row.origin === 'observed' ? ' observed' : '';
  return html`<a href=${leaf.row.shim ? '#networks' : endpointLink(leaf.row.key)} class=${`leaf${host}${dim ? ' dim' : ''}${leaf.violations ? ' bad' : ''}`}>
    <g transform=${`translate(${x} ${y})`}><title>${leaf.name} ${(leaf.row.addresses || []).join(' ')} ${leaf.row.mac}</title>
      <rect width=${width} height=${height} rx="6" />
      <text x="8" y="17" class="strong">${short(leaf.name, leaf.violations ? 18 : 24)}</text>
      ${leaf.violations > 0 && html`<text x=${width - 8} y="17" text-anchor="end" class="mark">⚠ ${leaf.violations}</text>`}
      <text x="8" y="35" class="small">${short(addressText(leaf.row), 30)}</text>
      <text x="8" y="51" class="small">${leaf.row.shim ? texts.hostShim : `⇄ ${formatRate(leaf.siblings)}  ↑ ${formatRate(leaf.wire)}`}</text></g></a>`;
}

function Branch({ placed, from, dims, toggle }) {
  const { branch, y, leaves, fold, open } = placed;
  return html`<g>
    <line x1="160" y1=${from + 31} x2="200" y2=${y + 31} class="wire" stroke-width=${thickness(branch.wire)} />
    <path d=${`M 390 ${y + 4} v 54`} class="siblings" stroke-width=${thickness(branch.siblings)} />
    <${Box} x=${200} y=${y} width=${180} bad=${branch.violations > 0} title=${branch.group ? `${branchLabel(branch)} · ${branch.group}` : branchLabel(branch)}
      lines=${[`${texts.siblings} ${formatRate(branch.siblings)}`, `${texts.wire} ${formatRate(branch.wire)}`]} />
    ${leaves.map((l) => html`<${Leaf} key=${l.leaf.row.key} placed=${l} dim=${dims(l.leaf.row)} />`)}
    ${fold && html`<g role="button" tabindex="0" class="fold" transform=${`translate(${fold.x} ${fold.y})`}
      onClick=${() => toggle(branch.id)} onKeyDown=${(e) => (e.key === 'Enter' || e.key === ' ') && (e.preventDefault(), toggle(branch.id))}>
      <rect width=${fold.width} height=${fold.height} rx="6" />
      <text x="8" y="27">${open ? texts.fold : texts.more(fold.hidden)}</text></g>`}
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
  const drawn = layout(tree, width, unfolded);
  const dims = (row) => search !== '' && !matches(row, search);
  return html`<div class="drawing" ref=${ref}>
    <svg role="group" aria-label=${`${texts.drawing}. ${texts.drawingHint}`} width=${drawn.width} height=${drawn.height}>
      ${drawn.parents.map(({ parent, y, branches }) => html`<g key=${parent.name}>
        ${branches.map((b) => html`<${Branch} key=${b.branch.id} placed=${b} from=${y} dims=${dims} toggle=${toggle} />`)}
        <${Box} x=${2} y=${y} width=${158} title=${parent.name} bad=${parent.violations > 0}
          lines=${[`${texts.wire} ${formatRate(parent.wire)}`, parent.violations ? `⚠ ${texts.violationsOf(parent.violations)}` : '']} />
      </g>`)}
    </svg></div>`;
}

// Twin has the content of the drawing as a table, for screen readers and small screens.
function Twin({ tree, search }) {
  const c = texts.column;
  return html`<table><caption>${texts.drawing}</caption>
    <thead><tr>${[c.parent, c.vlan, texts.groupColumn, c.endpoints, c.siblingRate, c.wireRate, c.violations].map((t) => html`<th scope="col">${t}</th>`)}</tr></thead>
    <tbody>${tree.flatMap((p) => p.branches.map((b) => html`<tr>
      <th scope="row">${p.name}</th><td>${branchLabel(b)}</td><td>${b.group || '–'}</td>
      <td><details><summary>${texts.endpointsOf(b.leaves.length)}</summary><ul>
        ${b.leaves.filter((l) => !search || matches(l.row, search)).slice(0, 200).map((l) => html`<li><a href=${l.row.shim ? '#networks' : endpointLink(l.row.key)}>${l.name}</a>${l.row.shim ? ` (${texts.hostShim})` : ''} ${(l.row.addresses || []).join(' ')}</li>`)}
      </ul></details></td>
      <td class="number">${formatRate(b.siblings)}</td><td class="number">${formatRate(b.wire)}</td>
      <td class=${b.violations ? 'number mark' : 'number'}>${b.violations}</td></tr>`))}</tbody></table>`;
}

export function Overview() {
  const [search, setSearch] = useState('');
  const [grouping, setGrouping] = useStored('grouping', 'none');
  const tree = buildTree([...store.rows.values(), ...shimRows(store.networks)], store.traffic, grouping in texts.groups ? grouping : 'none');
  const problems = store.agent?.status?.problems || [];
  return html`<h1>${texts.views.overview}</h1>
    ${problems.length > 0 && html`<section class="problems"><h2>${texts.problems}</h2><ul>${problems.map((p) => html`<li>${p}</li>`)}</ul></section>`}
    <form class="bar" onSubmit=${(e) => e.preventDefault()}><${Search} value=${search} onInput=${setSearch} />
      <${Select} label=${texts.group} value=${grouping} choices=${Object.entries(texts.groups)} onChange=${setGrouping} /></form>
    ${tree.length === 0 ? html`<p>${texts.empty}</p>` : html`<${Drawing} tree=${tree} search=${search} /><${Twin} tree=${tree} search=${search} />`}`;
}
