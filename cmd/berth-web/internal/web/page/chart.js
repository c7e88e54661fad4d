// A chart of rates over the last minutes. Each line has a colour and a dash of its own.
import { html, useEffect, useRef, useState } from './dom.js';
import { formatBytes, formatClock } from './format.js';
import { texts } from './texts.js';

const height = 240;
const edge = { left: 76, right: 12, top: 10, bottom: 24 };
const labelWidth = 110; // pixels from one time to the next, at least: the first ends at the edge
const span = 300; // seconds that the chart shows

// scaleTop returns the least number of 1, 2 or 5 times a power of ten that is above a maximum.
export function scaleTop(most) {
  const power = 10 ** Math.floor(Math.log10(Math.max(most, 100)));
  return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= most);
}

// linePath returns the path of a line; a value of null interrupts it.
export function linePath(points) {
  let pen = 'M';
  return points.map(([x, y]) => {
    if (y === null) {
      pen = 'M';
      return '';
    }
    const step = `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = 'L';
    return step;
  }).join('');
}

// useWidth measures an element.
export function useWidth(initial) {
  const ref = useRef(null);
  const [width, set] = useState(initial);
  useEffect(() => {
    const observer = new ResizeObserver(([e]) => set(Math.round(e.contentRect.width)));
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, []);
  return [ref, width];
}

// nearest returns the index of the sample next to a time.
function nearest(history, at) {
  return history.reduce((best, [t], i) => (Math.abs(t - at) < Math.abs(history[best][0] - at) ? i : best), 0);
}

function Axes({ x, y, top, end, width }) {
  const values = [0, 0.2, 0.4, 0.6, 0.8, 1].map((part) => part * top);
  const step = 60 * Math.max(1, Math.ceil(labelWidth / (x(end) - x(end - 60))));
  const times = Array.from({ length: 6 }, (_, i) => end - i * step).filter((t) => x(t) > edge.left + labelWidth / 2);
  return html`<g class="axes">
    ${values.map((v) => html`<line x1=${edge.left} x2=${width - edge.right} y1=${y(v)} y2=${y(v)} />
      <text x=${edge.left - 6} y=${y(v) + 4} text-anchor="end" class="small">${formatBytes(v)}/s</text>`)}
    ${times.map((t) => html`<text x=${x(t)} y=${height - 6} text-anchor=${t === end ? 'end' : 'middle'} class="small">${formatClock(t)}</text>`)}</g>`;
}

function Legend({ lines, sample }) {
  return html`<ul class="legend">${lines.map((line, i) => {
    const value = sample && line.value(sample[1]);
    return html`<li><svg width="28" height="10" aria-hidden="true"><path class=${`line line${i}`} d="M0 5L28 5" /></svg>
      ${line.label} <b>${value === null || value === undefined ? '–' : `${formatBytes(value)}/s`}</b></li>`;
  })}<li>${sample && formatClock(sample[0])}</li></ul>`;
}

export function Chart({ title, history, lines }) {
  const [ref, width] = useWidth(800);
  const [pointed, point] = useState(null); // the time under the pointer
  const end = history.length ? history.at(-1)[0] : Date.now() / 1000;
  const most = Math.max(0, ...lines.flatMap((line) => history.map(([, rates]) => line.value(rates) || 0)));
  const top = scaleTop(most * 1.05);
  const x = (t) => width - edge.right - ((end - t) / span) * (width - edge.left - edge.right);
  const y = (v) => height - edge.bottom - (v / top) * (height - edge.top - edge.bottom);
  const timeAt = (e) => end - ((width - edge.right - e.offsetX) / (width - edge.left - edge.right)) * span;
  const sample = history.length ? history[pointed === null ? history.length - 1 : nearest(history, pointed)] : null;
  const place = (value) => (value === null ? null : y(value));
  return html`<figure ref=${ref} class="chart"><figcaption>${title}</figcaption>
    <svg role="img" aria-label=${`${title}. ${texts.chartHint}`} width=${width} height=${height}
      onPointerMove=${(e) => point(timeAt(e))} onPointerLeave=${() => point(null)}>
      <${Axes} x=${x} y=${y} top=${top} end=${end} width=${width} />
      ${pointed !== null && sample && html`<line class="pointed" x1=${x(sample[0])} x2=${x(sample[0])} y1=${edge.top} y2=${height - edge.bottom} />`}
      ${lines.map((line, i) => html`<path class=${`line line${i}`} d=${linePath(history.map(([t, rates]) => [x(t), place(line.value(rates))]))} />`)}
    </svg><${Legend} lines=${lines} sample=${sample} /></figure>`;
}
