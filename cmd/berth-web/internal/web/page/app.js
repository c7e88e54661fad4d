// The page's frame: navigation, banners and the view that the address names.
import { html, render, useEffect } from './dom.js';
import { formatClock } from './format.js';
import { connect } from './store.js';
import { texts } from './texts.js';
import { useHash, useStore } from './ui.js';
import { Overview } from './overview.js';
import { Endpoints } from './endpoints.js';
import { Endpoint } from './endpoint.js';
import { Events } from './events.js';
import { Networks } from './networks.js';

const views = { overview: Overview, endpoints: Endpoints, endpoint: Endpoint, events: Events, networks: Networks };

function Banner() {
  const store = useStore('link');
  if (store.refused) return html`<p class="banner bad" role="alert">${store.refused === 'token' ? texts.wrongToken : texts.noSession}</p>`;
  if (!store.agent) return html`<p class="banner" role="status">${store.online ? texts.connecting : texts.streamLost}</p>`;
  if (!store.online) return html`<p class="banner bad" role="alert">${texts.streamLost}</p>`;
  if (!store.agent.up) return html`<p class="banner bad" role="alert">${texts.agentLost} <small>${store.agent.problem}</small></p>`;
  return null;
}

function Live() {
  const store = useStore('link', 'traffic');
  const on = store.online && store.agent?.up;
  return html`<span class=${on ? 'live' : 'live off'}>${on && store.time ? texts.live(formatClock(store.time)) : texts.notLive}</span>`;
}

function App() {
  const store = useStore('link');
  const [asked, argument] = useHash();
  const name = asked in views ? asked : 'overview';
  const View = views[name];
  useEffect(() => {
    document.title = `${texts.views[name] || texts.views.endpoints} – ${texts.title}`;
  }, [name]);
  return html`
    <a class="skip" href="#content" onClick=${(e) => { e.preventDefault(); document.getElementById('content').focus(); }}>${texts.skip}</a>
    <header><strong><img src="icon.svg" alt="" width="22" height="22" />${texts.title}</strong><nav aria-label=${texts.title}>
      ${Object.entries(texts.views).map(([view, text]) => html`
        <a href=${`#${view}`} aria-current=${view === name ? 'page' : view === 'endpoints' && name === 'endpoint' ? 'true' : undefined}>${text}</a>`)}
    </nav><${Live} /></header>
    <${Banner} />
    <main id="content" tabindex="-1">${store.agent && html`<${View} key=${argument} argument=${argument} />`}</main>`;
}

render(html`<${App} />`, document.getElementById('app'));
connect();
