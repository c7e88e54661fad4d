// Keeps the document like the nodes that components return: a component is a function of
// its props, is called again when a state of it changes, and only what differs is written.
export { html } from './template.js';

const svgSpace = 'http://www.w3.org/2000/svg';
const properties = new Set(['value', 'checked', 'selected']);

let current = null; // the component that is being called
let hookAt = 0;
const changed = new Set(); // components to call again
let effects = []; // functions to call after the document has been written
let scheduled = false;

function hook(first) {
  const { hooks } = current;
  if (hookAt === hooks.length) hooks.push(first());
  return hooks[hookAt++];
}

export function useState(initial) {
  const owner = current;
  const h = hook(() => ({ value: typeof initial === 'function' ? initial() : initial }));
  h.set ||= (next) => {
    if (Object.is(h.value, next)) return;
    h.value = next;
    changed.add(owner);
    schedule();
  };
  return [h.value, h.set];
}

export const useRef = (initial) => hook(() => ({ current: initial }));

// useEffect calls fn after the document has been written, if any of the dependencies has
// changed since. fn may return a function that undoes it.
export function useEffect(fn, dependencies) {
  const h = hook(() => ({ effect: true }));
  if (h.last && dependencies && dependencies.every((d, i) => Object.is(d, h.last[i]))) return;
  h.last = dependencies || [{}];
  const owner = current;
  effects.push(() => {
    h.undo?.();
    h.undo = owner.gone ? undefined : fn();
  });
}

function schedule() {
  if (scheduled) return;
  scheduled = true;
  queueMicrotask(flush);
}

function flush() {
  scheduled = false;
  for (const c of [...changed].sort((a, b) => a.depth - b.depth)) {
    if (changed.delete(c) && !c.gone) redraw(c);
  }
  const now = effects;
  effects = [];
  for (const effect of now) effect();
}

// render shows a node in an element, which must be empty.
export function render(node, element) {
  update(element, [], [node], null, false, 0);
  flush();
}

const isShown = (node) => node !== null && node !== undefined && typeof node !== 'boolean';
const typeOf = (node) => (typeof node === 'object' ? node.type : '#text');

// keyed returns the nodes that are shown, each with its key. One without a key has its place among
// the others without a key, of which a node that is not shown is one.
function keyed(nodes) {
  let place = 0;
  return nodes.flat(Infinity).map((node) => [node?.props?.key ?? `#${place++}`, node]).filter(([, node]) => isShown(node));
}

// An instance is a node in the document: {key, node, dom, below} of an element, {key, node, dom} of
// a text, and {key, node, below, hooks, depth} of a component.
const domOf = (instance) => (instance.dom ? [instance.dom] : instance.below.flatMap(domOf));

// update changes the instances of a parent to show nodes, before an element or at the end,
// and returns the new instances.
function update(parent, old, nodes, before, svg, depth) {
  const byKey = new Map(old.map((instance) => [instance.key, instance]));
  const next = keyed(nodes).map(([key, node]) => {
    const same = byKey.get(key);
    if (!same || typeOf(same.node) !== typeOf(node)) return Object.assign(create(parent, node, svg, depth), { key });
    byKey.delete(key);
    return change(same, node);
  });
  for (const instance of byKey.values()) remove(instance, true);
  let after = before;
  for (const instance of next.toReversed()) {
    for (const dom of domOf(instance).reverse()) {
      if (dom.parentNode !== parent || dom.nextSibling !== after) parent.insertBefore(dom, after);
      after = dom;
    }
  }
  return next;
}

function create(parent, node, svg, depth) {
  if (typeof node !== 'object') return { node, dom: document.createTextNode(node) };
  if (typeof node.type === 'function') {
    const c = { node, parent, svg, depth, hooks: [], below: [] };
    c.below = update(parent, [], call(c), parent.firstChild, svg, depth + 1);
    return c;
  }
  const inSvg = svg || node.type === 'svg';
  const dom = inSvg ? document.createElementNS(svgSpace, node.type) : document.createElement(node.type);
  const instance = { node, dom, svg: inSvg, depth, handlers: {} };
  instance.below = update(dom, [], node.children, null, inSvg, depth);
  setProps(instance, {}, node.props);
  return instance;
}

function change(instance, node) {
  const old = instance.node;
  instance.node = node;
  if (typeof node !== 'object') {
    if (old !== node) instance.dom.data = node;
  } else if (typeof node.type === 'function') {
    changed.delete(instance);
    redraw(instance);
  } else {
    instance.below = update(instance.dom, instance.below, node.children, null, instance.svg, instance.depth);
    setProps(instance, old.props, node.props);
  }
  return instance;
}

// call returns the nodes of a component. One without nodes has an empty text, which keeps
// its place.
function call(c) {
  const outer = [current, hookAt];
  [current, hookAt] = [c, 0];
  try {
    const nodes = [c.node.type({ ...c.node.props, children: c.node.children })].flat(Infinity);
    return nodes.some(isShown) ? nodes : [''];
  } finally {
    [current, hookAt] = outer;
  }
}

function redraw(c) {
  const last = domOf(c).at(-1);
  c.below = update(c.parent, c.below, call(c), last.nextSibling, c.svg, c.depth + 1);
}

function remove(instance, top) {
  instance.gone = true;
  for (const h of instance.hooks || []) if (h.effect) h.undo?.();
  if (instance.node.props?.ref) instance.node.props.ref.current = null;
  for (const below of instance.below || []) remove(below, top && !instance.dom);
  if (top) instance.dom?.remove();
}

function setProps(instance, old, next) {
  for (const name of Object.keys(old)) if (!(name in next)) setProp(instance, name, undefined);
  for (const [name, value] of Object.entries(next)) {
    if (properties.has(name) || old[name] !== value) setProp(instance, name, value);
  }
}

function setProp({ dom, handlers }, name, value) {
  if (name === 'key') return;
  if (name === 'ref') value.current = dom;
  else if (name === 'style') Object.assign(dom.style, value);
  else if (name.startsWith('on')) {
    const event = name.slice(2).toLowerCase();
    if (!(event in handlers)) dom.addEventListener(event, (e) => handlers[event]?.(e));
    handlers[event] = value;
  } else if (properties.has(name)) {
    if (dom[name] !== value) dom[name] = value ?? '';
  } else if (value === undefined || value === null || value === false) dom.removeAttribute(name);
  else dom.setAttribute(name, value === true ? '' : value);
}
