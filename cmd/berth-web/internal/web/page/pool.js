// The map of a pool: a square for each address of an IPv4 subnet of up to 1024 addresses, and
// lists of the addresses that are not free.
import { useWidth } from './chart.js';
import { html } from './dom.js';
import { texts } from './texts.js';

const mostSquares = 1024;
const square = 14; // units of the drawing
const least = 9; // pixels of the smallest square

// number returns an IPv4 address as a number, or null for other text.
export function number(address) {
  const parts = address.split('.').map(Number);
  return parts.length === 4 ? parts.reduce((all, n) => all * 256 + n, 0) : null;
}

export const address = (n) => [24, 16, 8, 0].map((shift) => Math.floor(n / 2 ** shift) % 256).join('.');

// span returns the first address of an IPv4 prefix as a number, and its length.
export function span(prefix) {
  const [first, bits] = prefix.split('/');
  const from = number(first);
  return from === null ? null : { from, size: 2 ** (32 - (bits ?? 32)) };
}

const inside = (n, s) => s && n >= s.from && n < s.from + s.size;

// squares returns the state and the holder of each address of a pool, or null if it has too
// many or is of IPv6.
export function squares(pool) {
  const all = span(pool.subnet);
  if (!all || all.size > mostSquares) return null;
  const range = span(pool.range);
  const excluded = (pool.exclude || []).map((e) => span(e));
  const holders = new Map();
  for (const part of ['reserved', 'foreign', 'held']) for (const a of pool[part]) holders.set(number(a.address), [part, a.holder]);
  return Array.from({ length: all.size }, (_, i) => {
    const n = all.from + i;
    const [state, holder] = holders.get(n)
      || [excluded.some((e) => inside(n, e)) ? 'excluded' : inside(n, range) ? 'free' : 'outside', ''];
    return { address: address(n), state, holder };
  });
}

function PoolMap({ cells, names, label }) {
  const [ref, width] = useWidth(896);
  const columns = [64, 32, 16].find((n) => n * least <= width) || 16;
  const rows = Math.ceil(cells.length / columns);
  const title = (c) => `${c.address}: ${texts.poolParts[c.state]}${c.holder ? ` – ${names.get(c.address) || c.holder}` : ''}`;
  return html`<div class="mapbox" ref=${ref}><svg role="img" class="map" width=${Math.min(width, columns * square)} aria-label=${label} viewBox=${`0 0 ${columns * square} ${rows * square}`}>
    ${cells.map((c, i) => html`<rect class=${c.state} x=${(i % columns) * square + 1} y=${Math.floor(i / columns) * square + 1}
      width=${square - 2} height=${square - 2} rx="2"><title>${title(c)}</title></rect>`)}</svg></div>`;
}

function Legend({ cells }) {
  const counts = {};
  for (const c of cells) counts[c.state] = (counts[c.state] || 0) + 1;
  return html`<ul class="legend">${Object.entries(texts.poolParts).filter(([state]) => counts[state]).map(([state, text]) => html`
    <li><svg class="map" width="14" height="14" aria-hidden="true"><rect class=${state} x="1" y="1" width="12" height="12" rx="2" /></svg>${text} <b>${counts[state]}</b></li>`)}</ul>`;
}

export function Pool({ network, pool, names }) {
  const cells = squares(pool);
  const held = texts.poolUse(pool.held.length, pool.free, pool.size);
  const list = (addresses) => addresses.slice(0, mostSquares).map((a) => html`<li>${a.address} ${names.get(a.address) || a.holder}</li>`);
  return html`<div class="pool"><h3>${network.name} · ${texts.pool(pool.subnet)}</h3><p>${held}</p>
    ${cells && html`<${PoolMap} cells=${cells} names=${names} label=${`${texts.pool(pool.subnet)}. ${held}. ${texts.drawingHint}`} /><${Legend} cells=${cells} />`}
    ${['held', 'foreign', 'reserved'].filter((part) => pool[part].length).map((part) => html`
      <details><summary>${texts.poolParts[part]}: ${pool[part].length}</summary><ul>${list(pool[part])}</ul></details>`)}
    ${pool.exclude?.length > 0 && html`<p>${texts.poolParts.excluded}: ${pool.exclude.join(', ')}</p>`}</div>`;
}
