// The page's copy of the agent's state, kept by the stream of /feed.
const keptEvents = 1000;
const keptSeconds = 300;

export const store = {
  rows: new Map(), // by key; endpoints without traffic
  traffic: new Map(), // by key
  events: [], // oldest first
  networks: [], // of the agent's configuration, with their pools
  checks: null, // {time, lines} of the last berth check
  cluster: null, // of the cluster that this machine is a node of
  agent: null, // {up, problem, status}
  time: 0, // of the last message, in seconds
  online: false, // the stream lives
  refused: '', // why the session is refused: 'none' or 'token'
  watched: '', // the key whose history is kept
  history: [], // of the watched endpoint: [seconds, rates]
  version: 0,
};

const listeners = new Set();

export function subscribe(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function changed() {
  store.version++;
  for (const listener of listeners) listener(store.version);
}

// watch keeps the history of an endpoint, beginning with that which berth-web has.
export async function watch(key) {
  if (store.watched === key) return;
  store.watched = key;
  store.history = [];
  if (!key) return;
  const answer = await fetch(`history?key=${encodeURIComponent(key)}`);
  if (!answer.ok || store.watched !== key) return;
  const earlier = (await answer.json()).map(([at, values]) => [at, values && ratesOf(values)]);
  if (store.watched !== key) return;
  const first = store.history.length ? store.history[0][0] : Infinity;
  store.history = [...earlier.filter(([at]) => at < first), ...store.history].slice(-keptSeconds);
  changed();
}

// ratesOf returns the rates of a sample of the history: bytes by direction, scope and cast.
function ratesOf(values) {
  let i = 0;
  const casts = () => Object.fromEntries(['unicast', 'multicast', 'broadcast'].map((cast) => [cast, { packets: 0, bytes: values[i++] }]));
  const scopes = () => ({ local: casts(), external: casts() });
  return { receive: scopes(), transmit: scopes() };
}

// apply takes one message of the stream.
export function apply(m) {
  if (m.error) throw new Error(m.error);
  if (m.full) {
    store.rows = new Map();
    store.traffic = new Map();
  }
  if (m.time) store.time = Date.parse(m.time) / 1000;
  if (m.agent) store.agent = m.agent;
  if (m.full) [store.networks, store.checks, store.cluster] = [[], null, null];
  if (m.networks) store.networks = m.networks;
  if (m.checks) store.checks = m.checks.lines ? m.checks : null;
  if (m.cluster) store.cluster = m.cluster.id ? m.cluster : null;
  for (const row of m.rows || []) store.rows.set(row.key, row);
  for (const [key, t] of Object.entries(m.traffic || {})) store.traffic.set(key, t);
  for (const key of m.removed || []) {
    store.rows.delete(key);
    store.traffic.delete(key);
  }
  if (m.reset) store.events = [];
  if (m.events) store.events = store.events.concat(m.events).slice(-keptEvents);
  const rates = store.traffic.get(store.watched)?.rates;
  if (store.watched && m.time) {
    store.history.push([Date.parse(m.time) / 1000, rates || null]);
    if (store.history.length > keptSeconds) store.history.shift();
  }
  changed();
}

const tokenInAddress = () => location.hash.match(/^#([^/]{16,})$/)?.[1];

async function openSession() {
  const token = tokenInAddress();
  if (!token) return '';
  history.replaceState(null, '', location.pathname + '#overview');
  const answer = await fetch('session', { method: 'POST', headers: { Authorization: `Bearer ${token}` } });
  return answer.ok ? '' : 'token';
}

async function readStream() {
  const answer = await fetch('feed');
  if (answer.status === 401) {
    store.refused ||= 'none';
    return changed();
  }
  if (!answer.ok) throw new Error(await answer.text());
  store.refused = '';
  store.online = true;
  changed();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let parts = []; ;) { // of a line, which may be megabytes long
    const { value, done } = await reader.read();
    if (done) return undefined;
    for (let from = 0; ;) {
      const end = value.indexOf('\n', from);
      parts.push(value.slice(from, end < 0 ? value.length : end));
      if (end < 0) break;
      apply(JSON.parse(parts.join('')));
      parts = [];
      from = end + 1;
    }
  }
}

// connect reads the stream for as long as the page is open. A refused session ends it.
export async function connect() {
  window.addEventListener('hashchange', () => tokenInAddress() && location.reload());
  store.refused = await openSession().catch(() => '');
  for (;;) {
    try {
      await readStream();
    } catch (e) {
      console.warn(e);
    }
    if (store.refused) return;
    store.online = false;
    changed();
    await new Promise((done) => setTimeout(done, 1000));
  }
}
