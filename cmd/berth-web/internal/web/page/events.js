// The events, newest first, with the explanation of each kind.
import { html, useEffect, useState } from './dom.js';
import { formatTime } from './format.js';
import { store } from './store.js';
import { texts } from './texts.js';
import { Search, Select, Table, useStore } from './ui.js';

const mostShown = 300;

export const isAbout = (event, row) => [event.sender, event.owner, event.receiver]
  .some((p) => p && p.container_id === row.container_id && p.interface === row.interface);

const partyName = (p) => p && (p.name || p.container_id.slice(0, 12));

let kinds; // the explanations, fetched once

export function useKinds() {
  const [known, set] = useState(kinds || {});
  useEffect(() => {
    if (!kinds) fetch('kinds.json').then((a) => a.json()).then((k) => set(kinds = k)).catch(console.warn);
  }, []);
  return known;
}

export function frameText(f) {
  if (!f) return '';
  const end = (ip, port) => (port ? (ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`) : ip);
  const ips = f.source_ip ? `, ${end(f.source_ip, f.source_port)} → ${end(f.destination_ip || '', f.destination_port)}` : '';
  return `${f.source} → ${f.destination}, ${f.protocol || f.ethertype}${ips}, ${f.length} B`;
}

// Kind is a button that shows the explanation of a kind.
export function Kind({ kind, isOpen, toggle }) {
  return html`<button type="button" class="kind" aria-expanded=${isOpen ? 'true' : 'false'} onClick=${toggle}>${isOpen ? '▾' : '▸'} ${kind}</button>`;
}

// About is the row with the explanation, below that of the button.
export const About = ({ about, span }) => html`<tr><td colspan=${span}>${(about || texts.noAbout).split('\n\n').map((p) => html`<p>${p}</p>`)}</td></tr>`;

const eventKey = (e, i) => `${e.time} ${e.kind} ${i}`;

export function EventTable({ events }) {
  const known = useKinds();
  const [open, setOpen] = useState('');
  if (events.length === 0) return html`<p>${texts.noEvents}</p>`;
  const c = texts.column;
  const first = Math.max(0, events.length - mostShown);
  return html`<${Table} className="events" label=${texts.views.events} head=${[c.time, c.kind, c.parent, c.who, c.detail]}>
    ${events.slice(first).map((e, i) => [eventKey(e, i), e]).reverse().map(([key, e]) => [html`<tr>
      <td class="time"><time datetime=${e.time}>${formatTime(e.time)}</time></td>
      <td><${Kind} kind=${e.kind} isOpen=${open === key} toggle=${() => setOpen(open === key ? '' : key)} /> <small>${texts[e.certainty] || e.certainty}${e.dropped ? `, ${texts.dropped}` : ''}</small></td>
      <td>${e.parent}${e.vlan ? ` ${texts.vlan(e.vlan)}` : ''}</td>
      <td>${partyName(e.sender) || partyName(e.owner) || '–'}</td>
      <td>${[e.detail, frameText(e.frame)].filter(Boolean).map((line) => html`<div>${line}</div>`)} ${e.left_out ? html`<small>${texts.leftOut(e.left_out)}</small>` : ''}</td></tr>`,
    open === key && html`<${About} about=${known[e.kind]} span="5" />`])}<//>
    ${events.length > mostShown && html`<p class="soft">${texts.newestOf(mostShown, events.length)}</p>`}`;
}

const instant = (text, otherwise) => (text ? Date.parse(text) : otherwise);

function Times({ since, setSince, from, setFrom, to, setTo }) {
  const input = (label, value, set) => html`<label>${label} <input type="datetime-local" step="1" value=${value} onInput=${(e) => set(e.target.value)} /></label>`;
  return html`<${Select} label=${texts.since} value=${since} choices=${texts.sinceChoice} onChange=${setSince} />
    ${since === 'between' && [input(texts.from, from, setFrom), input(texts.to, to, setTo)]}`;
}

// isMoving reports whether a choice of time ends now, and so changes without an event.
const isMoving = (since) => since !== 'all' && since !== 'between';

// within returns the test of an event's time that a choice means.
function within(since, from, to) {
  if (since === 'between') return (at) => at >= instant(from, 0) && at <= instant(to, Infinity);
  const first = since === 'all' ? 0 : Date.now() - Number(since) * 1000;
  return (at) => at >= first;
}

export function Events() {
  const [kind, setKind] = useState('');
  const [search, setSearch] = useState('');
  const [since, setSince] = useState('all');
  const [from, setFrom] = useState('');
  const [to, setTo] = useState('');
  useStore('events', isMoving(since) ? 'traffic' : 'events');
  const all = [...new Set(store.events.map((e) => e.kind))].sort();
  const isWithin = within(since, from, to);
  const word = search.toLowerCase();
  const found = store.events.filter((e) => (!kind || e.kind === kind) && isWithin(Date.parse(e.time))
    && (!word || [e.sender, e.owner, e.receiver].some((p) => p && `${p.name || ''} ${p.container_id} ${p.mac}`.toLowerCase().includes(word))));
  return html`<h1>${texts.views.events}</h1>
    <form class="bar" onSubmit=${(e) => e.preventDefault()}>
      <${Select} label=${texts.kind} value=${kind} choices=${[['', texts.allKinds], ...all.map((k) => [k, k])]} onChange=${setKind} />
      <${Search} value=${search} onInput=${setSearch} />
      <${Times} since=${since} setSince=${setSince} from=${from} setFrom=${setFrom} to=${to} setTo=${setTo} />
      <span role="status">${texts.eventsShown(found.length, store.events.length)}</span></form>
    <section class="card"><${EventTable} events=${found} /></section>`;
}
