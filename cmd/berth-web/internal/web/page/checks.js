// The results of berth check with their remedies, and the engines with their doors.
import { html } from './dom.js';
import { doorOf, engineOf, formatTime } from './format.js';
import { store } from './store.js';
import { texts } from './texts.js';
import { Copyable, number, Prose, Table, useStore } from './ui.js';

const order = ['fail', 'warn', 'pass'];
const marks = { fail: '✕', warn: '!', pass: '✓' };

// The names that berth check gives to the engines, and those of endpoints.
const engineNames = { podman: 'podman', docker: 'docker', containerd: 'containerd', 'CRI-O': 'cri-o' };

export const Result = ({ result }) => html`<span class=${`result ${result}`}><b aria-hidden="true">${marks[result]}</b> ${texts.results[result]}</span>`;

// Remedy shows prose, and the commands in backquotes with a button to copy them.
function Remedy({ text }) {
  return html`<p class="remedy">${text.split('`').map((part, i) => (i % 2 ? html`<${Copyable} text=${part} />` : part))}</p>`;
}

function Line({ line }) {
  return html`<li><${Result} result=${line.result} /><div><strong>${line.subject}</strong> · ${line.check}<br />${line.message}
    ${line.remedy && html`<${Remedy} text=${line.remedy} />`}</div></li>`;
}

export function Checks() {
  const { checks } = useStore('facts');
  if (!checks) return html`<section class="card"><h2>${texts.checks}</h2><p><${Prose} text=${texts.notChecked} /></p></section>`;
  const by = (result) => checks.lines.filter((l) => l.result === result);
  const open = [...by('fail'), ...by('warn')];
  return html`<section class="card"><h2>${texts.checks} <small>${texts.checkedAt(formatTime(checks.time))}</small></h2>
    <p class="counts">${order.map((result) => html`<span><${Result} result=${result} /> <b>${by(result).length}</b></span>`)}</p>
    ${open.length > 0 && html`<ul class="lines">${open.map((line) => html`<${Line} line=${line} />`)}</ul>`}
    <details><summary>${texts.passes(by('pass').length)}</summary><ul class="lines">${by('pass').map((line) => html`<${Line} line=${line} />`)}</ul></details></section>`;
}

// enginesInUse returns the engines that are installed or have containers on the LAN, with the
// doors by which they requested interfaces.
export function enginesInUse(rows, lines) {
  const all = new Map();
  const engine = (name) => all.get(name) || all.set(name, { name, line: null, doors: new Map(), endpoints: 0 }).get(name);
  for (const line of lines) {
    if (line.subject === 'host' && line.check in engineNames) {
      const e = engine(engineNames[line.check]);
      if (!e.line || order.indexOf(line.result) < order.indexOf(e.line.result)) e.line = line;
    }
  }
  for (const row of rows) {
    if (row.phase === 'ended') continue;
    const e = engine(engineOf(row) || texts.unknownEngine);
    e.endpoints++;
    e.doors.set(doorOf(row), (e.doors.get(doorOf(row)) || 0) + 1);
  }
  return [...all.values()].sort((a, b) => a.name.localeCompare(b.name));
}

export function Engines() {
  useStore('rows', 'facts');
  const c = texts.column;
  const rows = enginesInUse(store.rows.values(), store.checks?.lines || []);
  if (rows.length === 0) return null;
  return html`<section class="card"><h2>${texts.engines}</h2><p class="soft"><${Prose} text=${texts.doorsHint} /></p>
    <${Table} label=${texts.engines} head=${[c.engine, number(c.endpoints), c.doors, c.state]}>${rows.map((e) => html`<tr><th scope="row">${e.name}</th><td class="number">${e.endpoints}</td>
      <td>${[...e.doors].map(([door, n]) => `${door} ${n}`).join(', ') || '–'}</td>
      <td class="wide">${e.line ? html`<${Result} result=${e.line.result} /> ${e.line.message}${e.line.remedy && html`<${Remedy} text=${e.line.remedy} />`}` : texts.noCheck}</td></tr>`)}<//></section>`;
}
