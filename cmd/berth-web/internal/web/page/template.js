// html`…` makes nodes of markup. A node is {type, props, children}; a type is a name of an
// element or a function, which is a component. Values never become markup: they are text,
// attributes, nodes or lists of these.
const cache = new WeakMap(); // of the strings of a template: its parsed form
const hole = '\u0000';

export function html(strings, ...values) {
  let parsed = cache.get(strings);
  if (!parsed) cache.set(strings, parsed = parse(strings));
  const made = parsed.map((part) => make(part, values));
  return made.length === 1 ? made[0] : made;
}

// make fills the holes of a parsed part with the values of one call.
function make(part, values) {
  if (typeof part === 'string') return part;
  if (typeof part === 'number') return values[part];
  const props = {};
  for (const [name, value] of part.props) props[name] = typeof value === 'number' ? values[value] : value;
  const type = typeof part.type === 'number' ? values[part.type] : part.type;
  return { type, props, children: part.children.map((child) => make(child, values)) };
}

const token = /<\/[^>]*>|<(\u0000\d+\u0000|[\w-]+)((?:\s+[\w-]+(?:=(?:\u0000\d+\u0000|"[^"]*"))?)*)\s*(\/?)>|\u0000(\d+)\u0000|[^<\u0000]+/g;
const attribute = /([\w-]+)(?:=(?:\u0000(\d+)\u0000|"([^"]*)"))?/g;

const index = (text) => (text.startsWith(hole) ? Number(text.slice(1, -1)) : text);

// parse returns the parts of a template. A hole is the index of its value.
function parse(strings) {
  const text = strings.reduce((all, s, i) => all + hole + (i - 1) + hole + s);
  const root = { children: [] };
  const open = [root];
  let end = 0;
  for (const m of text.matchAll(token)) {
    if (m.index !== end) break;
    end = m.index + m[0].length;
    const top = open.at(-1);
    if (m[0].startsWith('</')) {
      open.pop();
    } else if (m[1]) {
      const part = { type: index(m[1]), props: parseProps(m[2]), children: [] };
      top.children.push(part);
      if (!m[3]) open.push(part);
    } else if (m[4]) {
      top.children.push(Number(m[4]));
    } else {
      const kept = trim(m[0]);
      if (kept) top.children.push(kept);
    }
  }
  if (end !== text.length || open.length !== 1) throw new Error(`template is malformed near ${text.slice(end, end + 40)}`);
  return root.children;
}

// trim drops the spaces at the ends of text that contain a line break.
const trim = (text) => text.replace(/^\s*\n\s*|\s*\n\s*$/g, '');

function parseProps(text) {
  return [...text.matchAll(attribute)].map(([, name, value, literal]) => [name, value === undefined ? literal ?? true : Number(value)]);
}
