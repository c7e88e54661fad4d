// Numbers, times and names for people. All functions are pure.
import { texts } from './texts.js';

const units = ['', 'k', 'M', 'G', 'T'];

export function formatNumber(n) {
  let i = 0;
  while (n >= 1000 && i < units.length - 1) { n /= 1000; i++; }
  const text = i === 0 ? Math.round(n) : n < 10 ? n.toFixed(1) : Math.round(n);
  return `${text}${i ? ' ' + units[i] : ''}`;
}

export const formatBytes = (n) => `${formatNumber(n)}${n >= 1000 ? '' : ' '}B`;
export const formatRate = (rate) => (rate ? `${formatBytes(rate.bytes)}/s` : '–');

const clock = new Intl.DateTimeFormat(undefined, { dateStyle: 'short', timeStyle: 'medium' });
const ofDay = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });
export const formatClock = (seconds) => ofDay.format(new Date(seconds * 1000));
export const formatTime = (text) => clock.format(new Date(text));

export const engineOf = (row) => row.engine || row.engine_network?.engine || '';
export const doorOf = (row) => (row.origin === 'observed' ? texts.notBerths : row.door || texts.hook);
export const nameOf = (row) => row.name || row.pod || row.container_id.slice(0, 12);
export const networkOf = (row) => row.network || (row.engine_network && `${row.engine_network.engine}:${row.engine_network.name}`) || (row.origin === 'observed' ? texts.notBerths : texts.inPlace);

export function sumRates(...rates) {
  return rates.reduce((a, b) => ({ packets: a.packets + b.packets, bytes: a.bytes + b.bytes }), { packets: 0, bytes: 0 });
}

// scopeTotal sums the casts of one scope, for rates and for counts.
export const scopeTotal = (c) => sumRates(c.unicast, c.multicast, c.broadcast);
export const total = (t) => sumRates(scopeTotal(t.local), scopeTotal(t.external));

export const siblingRate = (t) => t?.rates && sumRates(scopeTotal(t.rates.receive.local), scopeTotal(t.rates.transmit.local));
export const wireRate = (t) => t?.rates && sumRates(scopeTotal(t.rates.receive.external), scopeTotal(t.rates.transmit.external));

export const violationCount = (t) => Object.values(t?.violations || {}).reduce((a, b) => a + b, 0);

// searchText is the text in which a search looks for an endpoint.
export function searchText(row) {
  return [row.name, row.pod, row.container_id, row.image, row.network, row.namespace, engineOf(row), networkOf(row), row.interface, row.mac, row.parent,
    row.vlan && `vlan ${row.vlan}`, row.mode, row.origin, ...(row.addresses || [])].filter(Boolean).join(' ').toLowerCase();
}

export const matches = (row, search) => search.toLowerCase().split(/\s+/).every((word) => searchText(row).includes(word));

// csvField quotes a field. A leading sign that a spreadsheet would run as a formula gets an
// apostrophe.
export function csvField(value) {
  let text = String(value ?? '');
  if (/^[=+\-@\t\r]/.test(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
