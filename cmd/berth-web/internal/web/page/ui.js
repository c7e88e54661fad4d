// Small parts that several views share.
import { html, useEffect, useState } from './dom.js';
import { store, subscribe, versions } from './store.js';
import { texts } from './texts.js';

// useStore renders a component again when one of these parts of the state has changed.
export function useStore(...parts) {
  const version = () => parts.reduce((sum, part) => sum + versions[part], 0);
  const [, set] = useState(version);
  useEffect(() => {
    const update = () => set(version());
    update(); // it may have changed before this effect ran
    return subscribe(update);
  }, parts);
  return store;
}

// cached returns a function that computes again only if one of its arguments has changed.
export function cached(compute) {
  let last;
  let value;
  return (...args) => {
    if (!last || args.some((a, i) => !Object.is(a, last[i]))) value = compute(...args);
    last = args;
    return value;
  };
}

// useHash returns the view and its argument from the address.
export function useHash() {
  const read = () => location.hash.slice(1) || 'overview';
  const [hash, set] = useState(read());
  useEffect(() => {
    const listener = () => set(read());
    window.addEventListener('hashchange', listener);
    return () => window.removeEventListener('hashchange', listener);
  }, []);
  const cut = hash.indexOf('/');
  return cut < 0 ? [hash, ''] : [hash.slice(0, cut), decodeURIComponent(hash.slice(cut + 1))];
}

export const endpointLink = (key) => `#endpoint/${encodeURIComponent(key)}`;

// useStored is a choice of the viewer that outlives the page.
export function useStored(name, initial) {
  const [value, set] = useState(() => {
    try {
      return JSON.parse(localStorage.getItem(name)) ?? initial;
    } catch {
      return initial;
    }
  });
  return [value, (next) => { localStorage.setItem(name, JSON.stringify(next)); set(next); }];
}

export function Copyable({ text }) {
  const [done, set] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    set(true);
    setTimeout(() => set(false), 1500);
  };
  return html`<span class="copyable"><code>${text}</code>
    <button type="button" class="copy" onClick=${copy} aria-label=${`${texts.copy} ${text}`}>${done ? texts.copied : texts.copy}</button></span>`;
}

export function Search({ value, onInput }) {
  return html`<label>${texts.search} <input type="search" value=${value} placeholder=${texts.searchHint}
    onInput=${(e) => onInput(e.target.value)} /></label>`;
}

export function Select({ label, value, choices, onChange }) {
  return html`<label>${label} <select value=${value} onChange=${(e) => onChange(e.target.value)}>
    ${choices.map(([v, text]) => html`<option value=${v} selected=${v === value}>${text}</option>`)}</select></label>`;
}

// Prose shows text with its commands in backquotes as code.
export const Prose = ({ text }) => text.split('`').map((part, i) => (i % 2 ? html`<code>${part}</code>` : part));

// number marks the heading of a column of numbers.
export const number = (text) => ({ number: text });

// Table is a table that scrolls by itself if it is wider than the page.
export function Table({ label, caption, head, className, children }) {
  return html`<div class="table" role="region" aria-label=${label} tabindex="0"><table class=${className}>
    ${caption && html`<caption>${caption}</caption>`}
    <thead><tr>${head.map((t) => html`<th scope="col" class=${t.number ? 'number' : undefined}>${t.number || t}</th>`)}</tr></thead><tbody>${children}</tbody></table></div>`;
}
