// Numbers, times and names for people. No function changes anything.
import { texts } from './texts.js';

const units = ['', 'k', 'M', 'G', 'T'];

export function formatNumber(n) {
  let i = 0;
  while (n >= 1000 && i < units.length - 1) { n /= 1000; i++; }
  const text = i === 0 ? Math.round(n) : n < 10 ? n.toFixed(1) : Math.round(n);
  return `${text}${i ? ' ' + units[i] : ''}`;
}

export const formatBytes = (n) => `${formatNumber(n)}${n >= 1000 ? '' : ' '}B`;

// formatRate takes bytes per second; null and undefined are an unknown rate.
export const formatRate = (bytes) => (bytes === null || bytes === undefined ? '–' : `${formatBytes(bytes)}/s`);

const clock = new Intl.DateTimeFormat(undefined, { dateStyle: 'short', timeStyle: 'medium' });
const ofDay = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });
export const formatClock = (seconds) => ofDay.format(new Date(seconds * 1000));
export const formatTime = (text) => clock.format(new Date(text));

export const engineOf = (row) => row.engine || row.engine_network?.engine || '';
export const doorOf = (row) => (row.origin === 'observed' ? texts.notBerths : row.door || texts.hook);
export const nameOf = (row) => row.name || row.pod || row.container_id.slice(0, 12);
export const networkOf = (row) => row.network || (row.engine_network && `${row.engine_network.engine}:${row.engine_network.name}`) || (row.origin === 'observed' ? texts.notBerths : texts.inPlace);

const searchTexts = new WeakMap(); // by row; a row that changes is another object

// searchText is the text in which a search looks for an endpoint.
function searchText(row) {
  if (!searchTexts.has(row)) {
    searchTexts.set(row, [row.name, row.pod, row.container_id, row.image, row.network, row.namespace, engineOf(row), networkOf(row), row.interface,
      row.mac, row.parent, row.vlan && `vlan ${row.vlan}`, row.mode, row.origin, ...(row.addresses || [])].filter(Boolean).join(' ').toLowerCase());
  }
  return searchTexts.get(row);
}

// finder returns the test of a row that a search means.
export function finder(search) {
  const words = search.toLowerCase().split(/\s+/);
  return (row) => words.every((word) => searchText(row).includes(word));
}

// csvField quotes a field. A leading sign that a spreadsheet would run as a formula gets an
// apostrophe.
export function csvField(value) {
  let text = String(value ?? '');
  if (/^[=+\-@\t\r]/.test(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
