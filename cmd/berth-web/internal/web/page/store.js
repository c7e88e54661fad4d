// The page's copy of the agent's state, kept by the stream of /feed. The format of its messages is
// specs/schema/page-feed.json.
import { Traffic, unpack } from './traffic.js';

const keptEvents = 1000;
const keptSeconds = 300;

export const store = {
  rows: new Map(), // by id; each has its traffic, which is changed in place
  byKey: new Map(), // the same by their keys
  events: [], // oldest first
  networks: [], // of the agent's configuration, with their pools
  checks: null, // {time, lines} of the last berth check
  cluster: null, // of the cluster that this machine is a node of
  agent: null, // {up, problem, status}
  time: 0, // of the last message, in seconds
  online: false, // the stream lives
  refused: '', // why the session is refused: 'none' or 'token'
  watched: '', // the key whose history is kept
  history: [], // of the watched endpoint: [seconds, bytes per second]
};

// Each part of the state has a version. A view is rendered again if a part that it shows has
// changed: link (agent, online, refused), rows, traffic (time, counts, rates and history), events,
// facts (networks, checks and cluster).
export const versions = { link: 0, rows: 0, traffic: 0, events: 0, facts: 0 };

const listeners = new Set();

export function subscribe(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function changed(...parts) {
  for (const part of parts) versions[part]++;
  for (const listener of listeners) listener();
}

// watch keeps the history of an endpoint, beginning with that which berth-web has.
export async function watch(key) {
  if (store.watched === key) return;
  store.watched = key;
  store.history = [];
  if (!key) return;
  const answer = await fetch(`history?key=${encodeURIComponent(key)}`);
  if (!answer.ok || store.watched !== key) return;
  const earlier = await answer.json();
  if (store.watched !== key) return;
  const first = store.history.length ? store.history[0][0] : Infinity;
  store.history = [...earlier.filter(([at]) => at < first), ...store.history].slice(-keptSeconds);
  changed('traffic');
}

let talking = []; // the traffic whose rates are not 0

// applyTraffic takes the counts of a message. Its lists are explained at Message in message.go.
function applyTraffic(m) {
  const of = (id) => store.rows.get(id).traffic;
  for (const t of talking) t.rates.fill(0);
  talking = [];
  unpack(m.bases || [], (id) => {
    const t = of(id);
    t.counts.fill(0);
    t.isRated = true;
    return t;
  }, (t, i, n) => { t.counts[i] = n; });
  for (const id of m.unrated || []) of(id).isRated = false;
  unpack(m.moves || [], (id) => {
    talking.push(of(id));
    return of(id);
  }, (t, i, n) => {
    t.counts[i] += n;
    t.rates[i] = n / m.over;
  });
  for (const marks of m.marks || []) of(marks.id).setMarks(marks);
}

function applyRows(m) {
  for (const id of m.removed || []) {
    store.byKey.delete(store.rows.get(id).key);
    store.rows.delete(id);
  }
  for (const row of m.rows || []) {
    row.traffic = store.rows.get(row.id)?.traffic || new Traffic();
    store.rows.set(row.id, row);
    store.byKey.set(row.key, row);
  }
  return m.full || m.rows || m.removed ? ['rows'] : [];
}

function applyFacts(m) {
  if (m.full) [store.networks, store.checks, store.cluster] = [[], null, null];
  if (m.networks) store.networks = m.networks;
  if (m.checks) store.checks = m.checks.lines ? m.checks : null;
  if (m.cluster) store.cluster = m.cluster.id ? m.cluster : null;
  return m.full || m.networks || m.checks || m.cluster ? ['facts'] : [];
}

function applyEvents(m) {
  if (m.reset) store.events = [];
  if (m.events) store.events = store.events.concat(m.events).slice(-keptEvents);
  return m.reset || m.events ? ['events'] : [];
}

// apply takes one message of the stream.
export function apply(m) {
  if (m.error) throw new Error(m.error);
  if (m.version) loadAgain(m.version);
  if (m.full) [store.rows, store.byKey, talking] = [new Map(), new Map(), []];
  store.time = Date.parse(m.time) / 1000;
  const parts = ['traffic', ...applyRows(m), ...applyFacts(m), ...applyEvents(m)];
  applyTraffic(m);
  if (m.agent) {
    store.agent = m.agent;
    parts.push('link');
  }
  if (store.watched) {
    store.history.push([store.time, store.byKey.get(store.watched)?.traffic.byteRates || null]);
    if (store.history.length > keptSeconds) store.history.shift();
  }
  changed(...parts);
}

// loadAgain loads the page again, once, if berth-web has another version of it.
function loadAgain(version) {
  if (version === document.documentElement.dataset.version || sessionStorage.getItem('loaded') === version) return;
  sessionStorage.setItem('loaded', version);
  location.reload();
}

const tokenInAddress = () => location.hash.match(/^#([^/]{16,})$/)?.[1];

async function openSession() {
  const token = tokenInAddress();
  if (!token) return '';
  history.replaceState(null, '', location.pathname + '#overview');
  const answer = await fetch('session', { method: 'POST', headers: { Authorization: `Bearer ${token}` } });
  return answer.ok ? '' : 'token';
}

// A message comes each second. A stream without one for so many ms is lost, although neither side has
// closed it, as after a machine slept or changed its network.
export const patience = { silence: 30000 };

// readStream takes the messages of one stream until it ends, fails or falls silent.
async function readStream() {
  const stop = new AbortController();
  let alarm;
  const heard = () => {
    clearTimeout(alarm);
    alarm = setTimeout(() => stop.abort(), patience.silence);
  };
  try {
    heard();
    const answer = await fetch('feed', { signal: stop.signal });
    if (answer.status === 401) {
      store.refused ||= 'none';
      return changed('link');
    }
    if (!answer.ok) throw new Error(await answer.text());
    store.refused = '';
    store.online = true;
    changed('link');
    await readLines(answer.body, heard);
  } finally {
    clearTimeout(alarm);
    stop.abort(); // else a stream whose message failed would stay open
  }
  return undefined;
}

// readLines applies the messages of a stream, and calls heard after each.
async function readLines(body, heard) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let parts = []; ;) { // of a line, which may be megabytes long
    const { value, done } = await reader.read();
    if (done) return;
    heard();
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
    changed('link');
    await new Promise((done) => setTimeout(done, 1000));
  }
}
