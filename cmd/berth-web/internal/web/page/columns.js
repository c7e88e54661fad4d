// The columns of the table of endpoints: the value to sort by, and the text.
import { doorOf, engineOf, formatBytes, formatRate, nameOf, networkOf } from './format.js';

const text = (of) => ({ value: of, show: of });
const rate = (of) => ({ value: (r) => of(r.traffic) ?? -1, show: (r) => formatRate(of(r.traffic)), number: true, live: true });
const bytes = (of) => ({ value: (r) => of(r.traffic), show: (r) => formatBytes(of(r.traffic)), number: true, live: true });

// A live column may change with each message.
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
  receiveRate: rate((t) => t.receive),
  transmitRate: rate((t) => t.transmit),
  siblingRate: rate((t) => t.siblings),
  wireRate: rate((t) => t.wire),
  receiveTotal: bytes((t) => t.received),
  transmitTotal: bytes((t) => t.transmitted),
  violations: { value: (r) => r.traffic.violations, show: (r) => r.traffic.violations, number: true, live: true },
};

export const firstColumns = ['name', 'network', 'addresses', 'mac', 'parent', 'vlan', 'mode', 'receiveRate', 'transmitRate', 'violations'];
