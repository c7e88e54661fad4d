// The tree of parents, VLANs, groups and endpoints, and its layout. All functions are pure.
import { engineOf, nameOf, networkOf } from './format.js';
import { texts } from './texts.js';
import { sumRates, Traffic } from './traffic.js';

export const foldAbove = 12; // endpoints of a branch that are drawn without folding
export const foldTo = 8;
const mostDrawn = 300; // endpoints of a branch that is not folded
export const boxHeight = 64;
const gap = 10;
const leastWide = 640; // pixels of a drawing with the boxes side by side

const groupOf = {
  none: () => '',
  network: networkOf,
  engine: (row) => engineOf(row) || (row.origin === 'observed' ? texts.notBerths : texts.unknownEngine),
  namespace: (row) => row.namespace || '–',
  origin: (row) => row.origin,
};

const untold = new Traffic(); // of a host shim, whose traffic nothing counts

// buildTree returns the parents with their branches; a branch is a VLAN, or a group in it. The
// leaves of a branch are in the order of the rows. Their traffic is not read yet.
export function buildTree(rows, grouping) {
  const parents = new Map();
  for (const row of rows) {
    if (row.phase === 'ended') continue;
    const group = groupOf[grouping](row);
    const id = JSON.stringify([row.parent, row.vlan || 0, group]);
    const parent = parents.get(row.parent) || { name: row.parent, branches: new Map() };
    parents.set(row.parent, parent);
    const branch = parent.branches.get(id) || { id, vlan: row.vlan || 0, group, leaves: [] };
    parent.branches.set(id, branch);
    branch.leaves.push({ row, name: nameOf(row), traffic: row.traffic || untold });
  }
  return [...parents.values()].sort((a, b) => a.name.localeCompare(b.name)).map((parent) => {
    const branches = [...parent.branches.values()].sort((a, b) => a.vlan - b.vlan || a.group.localeCompare(b.group));
    const endpoints = branches.reduce((n, b) => n + b.leaves.filter((l) => !l.row.shim).length, 0);
    return { name: parent.name, branches, endpoints };
  });
}

// totalTree sets the rates and violations of the leaves, branches and parents by their traffic.
export function totalTree(tree) {
  for (const parent of tree) {
    for (const branch of parent.branches) {
      for (const leaf of branch.leaves) {
        const { siblings, wire, violations } = leaf.traffic;
        Object.assign(leaf, { siblings, wire, violations });
      }
      total(branch, branch.leaves);
    }
    total(parent, parent.branches);
  }
}

function total(whole, parts) {
  whole.siblings = sumRates(parts.map((p) => p.siblings));
  whole.wire = sumRates(parts.map((p) => p.wire));
  whole.violations = parts.reduce((n, p) => n + p.violations, 0);
}

// shimRows returns a row for each host shim. Nothing counts its traffic.
export function shimRows(networks) {
  return networks.filter((n) => n.host).map(({ name, host }) => ({
    key: `shim/${name}`, shim: true, name: host.interface, container_id: '', network: name, interface: host.interface, mac: host.mac,
    parent: host.parent, vlan: host.vlan, mode: host.mode, origin: texts.hostShim, addresses: host.addresses,
  }));
}

// shownLeaves returns the leaves of a branch that are drawn: the first of all, or a few if it is
// folded. Those that a search finds come first, then those that break rules, and in a folded
// branch then the talkers.
export function shownLeaves(branch, unfolded, found) {
  const isFolded = branch.leaves.length > foldAbove && !unfolded;
  const rank = (leaf) => (isFolded && found(leaf.row) ? 2 : 0) + (leaf.violations > 0 ? 1 : 0);
  const most = isFolded ? foldTo : mostDrawn;
  return firstOf(branch.leaves, most, (leaf) => rank(leaf) * 1e15 + (isFolded ? leaf.siblings + leaf.wire : 0));
}

// firstOf returns the elements with the highest values, of equal ones the first.
function firstOf(all, most, value) {
  return all.map((of, i) => [value(of), i, of]).sort((a, b) => b[0] - a[0] || a[1] - b[1]).slice(0, most).map((e) => e[2]);
}

// chipWidth returns the width of the endpoints that fill a room, each at least least wide.
function chipWidth(room, least) {
  const columns = Math.max(1, Math.floor((room + gap) / (least + gap)));
  return Math.min(280, Math.floor((room + gap) / columns) - gap);
}

// geometry returns the places of a drawing of a width. A narrow one has the boxes of a parent
// and its VLANs above the endpoints, a wide one beside them.
function geometry(width) {
  if (width >= leastWide) return { narrow: false, parent: { x: 1, width: 160 }, branch: { x: 200, width: 180 }, leaves: 410, chip: chipWidth(width - 410, 190) };
  return { narrow: true, parent: { x: 1, width: width - 2 }, branch: { x: 13, width: width - 14 }, leaves: 25, chip: chipWidth(width - 26, 150) };
}

// layout places the tree in a drawing of a width.
export function layout(tree, width, unfolded, found) {
  const g = geometry(width);
  const columns = Math.max(1, Math.floor((width - g.leaves + gap) / (g.chip + gap)));
  const out = { width, height: 0, parents: [], ...g };
  let y = 1;
  for (const parent of tree) {
    const top = y;
    if (g.narrow) y += boxHeight + gap;
    const branches = parent.branches.map((branch) => {
      const open = unfolded.has(branch.id);
      const shown = shownLeaves(branch, open, found);
      const folds = branch.leaves.length > foldAbove;
      const at = y;
      if (g.narrow) y += boxHeight + gap;
      const place = (i) => ({
        x: g.leaves + (i % columns) * (g.chip + gap), y: y + Math.floor(i / columns) * (boxHeight + gap), width: g.chip, height: boxHeight,
      });
      const placed = {
        branch, open, y: at, leaves: shown.map((leaf, i) => ({ leaf, ...place(i) })),
        fold: folds ? { ...place(shown.length), hidden: branch.leaves.length - shown.length } : null,
      };
      y += Math.ceil((shown.length + (folds ? 1 : 0)) / columns) * (boxHeight + gap) + gap;
      return placed;
    });
    out.parents.push({ parent, y: top, branches });
    y += gap;
  }
  out.height = y;
  return out;
}

export const branchLabel = (b) => (b.vlan ? texts.vlan(b.vlan) : texts.untagged);
