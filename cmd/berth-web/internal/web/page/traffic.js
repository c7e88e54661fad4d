// The traffic of one endpoint: 24 counts and the 24 rates that belong to them, in the order of
// direction (receive, transmit), scope (siblings, wire), cast (unicast, multicast, broadcast)
// and unit (packets, bytes).
const size = 24;

export const directions = ['receive', 'transmit'];
export const scopes = ['local', 'external'];
export const casts = ['unicast', 'multicast', 'broadcast'];

// place returns the index of the packets of a direction, scope and cast; the bytes follow.
export const place = (direction, scope, cast) => 2 * (3 * (2 * directions.indexOf(direction) + scopes.indexOf(scope)) + casts.indexOf(cast));

// bytePlaces returns the indices of all bytes of some directions and scopes.
const bytePlaces = (inDirections, inScopes) => inDirections.flatMap((d) => inScopes.flatMap((s) => casts.map((c) => place(d, s, c) + 1)));

const ofSiblings = bytePlaces(directions, ['local']);
const ofWire = bytePlaces(directions, ['external']);
const ofReceive = bytePlaces(['receive'], scopes);
const ofTransmit = bytePlaces(['transmit'], scopes);
const ofAll = bytePlaces(directions, scopes);

function sum(numbers, places) {
  let all = 0;
  for (let i = 0; i < places.length; i++) all += numbers[places[i]];
  return all;
}

// sumRates returns the sum of the known rates, or null if none is known.
export function sumRates(rates) {
  let all = null;
  for (const rate of rates) if (rate !== null) all += rate;
  return all;
}

export class Traffic {
  counts = new Float64Array(size);
  rates = new Float64Array(size); // per second
  isRated = false; // if not, the rates are unknown
  marks = {}; // group_packets, violations and dropped
  violations = 0; // of all kinds

  setMarks(marks) {
    this.marks = marks;
    this.violations = Object.values(marks.violations || {}).reduce((a, b) => a + b, 0);
  }

  // Bytes per second, or null.
  get siblings() { return this.isRated ? sum(this.rates, ofSiblings) : null; }
  get wire() { return this.isRated ? sum(this.rates, ofWire) : null; }
  get receive() { return this.isRated ? sum(this.rates, ofReceive) : null; }
  get transmit() { return this.isRated ? sum(this.rates, ofTransmit) : null; }

  get received() { return sum(this.counts, ofReceive); }
  get transmitted() { return sum(this.counts, ofTransmit); }

  // byteRates has the rates of bytes alone, as a sample of the history has them.
  get byteRates() { return this.isRated ? ofAll.map((i) => this.rates[i]) : null; }
}

// unpack calls fn with the id, the index and the number for each number of a packed list: ids,
// each with a mask of the indices that follow. start is called with each id first.
export function unpack(list, start, fn) {
  for (let i = 0; i < list.length;) {
    const of = start(list[i++]);
    for (let mask = list[i++]; mask; mask &= mask - 1) fn(of, 31 - Math.clz32(mask & -mask), list[i++]);
  }
}
