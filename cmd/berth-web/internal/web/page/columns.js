// The columns of the table of endpoints: the value to sort by, and the text.
import { doorOf, engineOf, formatBytes, formatRate, nameOf, networkOf, siblingRate, total, violationCount, wireRate } from './format.js';

const text = (of) => ({ value: of, show: of });
const rate = (of) => ({ value: (r, t) => of(t)?.bytes ?? -1, show: (r, t) => formatRate(of(t)), number: true });
const bytes = (of) => ({ value: (r, t) => of(t), show: (r, t) => formatBytes(of(t)), number: true });

export const columns = {
  name: text(nameOf),
  image: text((r) => r.image || ''),
  network: text(networkOf),
  engine: text(engineOf),
  door: text(doorOf),
  namespace: text((r) => r.namespace || ''),
  interface: text((r) => r.interface),
  addresses: text((r) => (r.addresses || []).join(' ')),
  mac: text((r) => r.mac),
  parent: text((r) => r.parent),
  vlan: { value: (r) => r.vlan || 0, show: (r) => r.vlan || '–', number: true },
  mode: text((r) => r.mode),
  origin: text((r) => r.origin),
  phase: text((r) => r.phase),
  receiveRate: rate((t) => t?.rates && total(t.rates.receive)),
  transmitRate: rate((t) => t?.rates && total(t.rates.transmit)),
  siblingRate: rate(siblingRate),
  wireRate: rate(wireRate),
  receiveTotal: bytes((t) => (t ? total(t.counters.receive).bytes : 0)),
  transmitTotal: bytes((t) => (t ? total(t.counters.transmit).bytes : 0)),
  violations: { value: (r, t) => violationCount(t), show: (r, t) => violationCount(t), number: true },
};

export const firstColumns = ['name', 'network', 'addresses', 'mac', 'parent', 'vlan', 'mode', 'receiveRate', 'transmitRate', 'violations'];

const order = new Intl.Collator(undefined, { numeric: true }).compare;

// sortRows sorts by a column; equal rows keep the order of their names.
export function sortRows(rows, traffic, by, descending) {
  const { value } = columns[by];
  const keyed = rows.map((row) => [value(row, traffic.get(row.key)), nameOf(row), row]);
  const compare = (a, b) => (typeof a === 'number' ? a - b : order(a, b));
  keyed.sort((a, b) => (descending ? -1 : 1) * compare(a[0], b[0]) || order(a[1], b[1]) || order(a[2].key, b[2].key));
  return keyed.map((k) => k[2]);
}
