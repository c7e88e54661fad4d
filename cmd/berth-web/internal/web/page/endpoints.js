// The table of endpoints. Only the rows in sight are in the document.
import { html, useEffect, useRef, useState } from './dom.js';
import { columns, firstColumns } from './columns.js';
import { csvField } from './format.js';
import { Order, rowsByName } from './order.js';
import { versions } from './store.js';
import { texts } from './texts.js';
import { Copyable, endpointLink, Search, useStore, useStored } from './ui.js';

const rowHeight = 34; // as .virtual tr in style.css
const margin = 10; // rows above and below those in sight

function downloadCSV(rows, shown) {
  const lines = [shown.map((c) => texts.column[c]), ...rows.map((r) => shown.map((c) => columns[c].value(r)))];
  const text = lines.map((line) => line.map(csvField).join(',')).join('\r\n') + '\r\n';
  const a = document.createElement('a');
  a.href = URL.createObjectURL(new Blob([text], { type: 'text/csv' }));
  a.download = 'berth-endpoints.csv';
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 1000);
}

function Head({ shown, by, descending, sort }) {
  return html`<thead><tr>${shown.map((c) => html`
    <th scope="col" class=${columns[c].number ? 'number' : undefined} aria-sort=${c === by ? (descending ? 'descending' : 'ascending') : undefined}>
      <button type="button" onClick=${() => sort(c)} title=${texts.sortedBy(texts.column[c])}>${texts.column[c]}${c === by ? (descending ? ' ▾' : ' ▴') : ''}</button></th>`)}</tr></thead>`;
}

function Cell({ column, row }) {
  if (column === 'name') return html`<th scope="row"><a href=${endpointLink(row.key)}>${columns.name.show(row)}</a></th>`;
  if (column === 'mac') return html`<td><${Copyable} text=${row.mac} /></td>`;
  const c = columns[column];
  const text = c.show(row);
  const marked = column === 'violations' && text > 0;
  return html`<td class=${`${c.number ? 'number' : ''}${marked ? ' mark' : ''}`} title=${c.number ? undefined : text}>${marked ? `⚠ ${text}` : text}</td>`;
}

function VirtualTable({ rows, shown, head }) {
  const ref = useRef(null);
  const [sight, set] = useState('0 40'); // the first row to have in the document, and the one after the last
  useEffect(() => {
    const measure = () => {
      const first = Math.max(0, Math.floor(ref.current.scrollTop / rowHeight) - margin);
      set(`${first} ${first + Math.ceil(ref.current.clientHeight / rowHeight) + 2 * margin}`);
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(ref.current);
    ref.current.addEventListener('scroll', measure, { passive: true });
    return () => observer.disconnect();
  }, []);
  const [from, until] = sight.split(' ').map(Number);
  const first = Math.min(from, Math.max(0, rows.length - 1));
  const part = rows.slice(first, until);
  const space = (n) => n > 0 && html`<tr aria-hidden="true" style=${{ height: `${n * rowHeight}px` }}><td colspan=${shown.length}></td></tr>`;
  return html`<div class="scroll" ref=${ref} tabindex="0" role="region" aria-label=${texts.views.endpoints}>
    <table class="virtual" aria-rowcount=${rows.length + 1}>${head}<tbody>${space(first)}
      ${part.map((row, i) => html`<tr key=${row.key} aria-rowindex=${first + i + 2}>${shown.map((c) => html`<${Cell} key=${c} column=${c} row=${row} />`)}</tr>`)}
      ${space(rows.length - first - part.length)}</tbody></table></div>`;
}

function ColumnChoice({ shown, choose }) {
  const toggle = (c) => choose(Object.keys(columns).filter((k) => (k === c ? !shown.includes(k) : shown.includes(k))));
  return html`<details class="choice"><summary>${texts.columns}</summary><div>${Object.keys(columns).map((c) => html`
    <label><input type="checkbox" checked=${shown.includes(c)} onChange=${() => toggle(c)} /> ${texts.column[c]}</label>`)}</div></details>`;
}

export function Endpoints() {
  const [search, setSearch] = useState('');
  const [ended, setEnded] = useStored('ended', false);
  const [stored, choose] = useStored('columns', firstColumns);
  const [[by, descending], setSort] = useStored('sort', ['name', false]);
  const shown = stored.filter((c) => c in columns);
  const sort = (c) => setSort(c === by ? [c, !descending] : [c, !!columns[c].number]);
  useStore('rows', 'traffic');
  const order = useRef(null);
  order.current ||= new Order();
  const rows = order.current.rows({ search, ended, by: by in columns ? by : 'name', descending });
  const all = rowsByName(versions.rows);
  const shownOf = ended ? all.length : all.filter((r) => r.phase !== 'ended').length;
  return html`<h1>${texts.views.endpoints}</h1>
    <form class="bar" onSubmit=${(e) => e.preventDefault()}><${Search} value=${search} onInput=${setSearch} />
      <label><input type="checkbox" checked=${ended} onChange=${(e) => setEnded(e.target.checked)} /> ${texts.showEnded}</label>
      <${ColumnChoice} shown=${shown} choose=${choose} />
      <button type="button" onClick=${() => downloadCSV(rows, shown)}>${texts.csv}</button>
      <span role="status">${texts.rowsShown(rows.length, shownOf)}</span></form>
    <${VirtualTable} rows=${rows} shown=${shown} head=${html`<${Head} shown=${shown} by=${by} descending=${descending} sort=${sort} />`} />
    ${rows.length === 0 && html`<p>${shownOf ? texts.noMatch : texts.empty}</p>`}`;
}
