// The tree of parents, VLANs, groups and endpoints, and its layout. All functions are pure.
import { engineOf, nameOf, networkOf, siblingRate, sumRates, violationCount, wireRate } from './format.js';
import { texts } from './texts.js';

export const foldAbove = 12; // endpoints of a branch that are drawn without folding
export const foldTo = 8;
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

const rateOf = (leaf) => (leaf.siblings?.bytes || 0) + (leaf.wire?.bytes || 0);
const none = { packets: 0, bytes: 0 };

// buildTree returns the parents with their branches; a branch is a VLAN, or a group in it.
// The leaves that break rules come first, then those that talk most.
export function buildTree(rows, traffic, grouping) {
  const parents = new Map();
  for (const row of rows) {
    if (row.phase === 'ended') continue;
    const t = traffic.get(row.key);
    const leaf = { row, name: nameOf(row), siblings: siblingRate(t), wire: wireRate(t), violations: violationCount(t) };
    const group = groupOf[grouping](row);
    const id = JSON.stringify([row.parent, row.vlan || 0, group]);
    const parent = parents.get(row.parent) || { name: row.parent, branches: new Map() };
    parents.set(row.parent, parent);
    const branch = parent.branches.get(id) || { id, vlan: row.vlan || 0, group, leaves: [] };
    parent.branches.set(id, branch);
    branch.leaves.push(leaf);
  }
  return [...parents.values()].sort((a, b) => a.name.localeCompare(b.name)).map((parent) => {
    const branches = [...parent.branches.values()].map(totalBranch);
    branches.sort((a, b) => a.vlan - b.vlan || a.group.localeCompare(b.group));
    const endpoints = branches.reduce((n, b) => n + b.leaves.filter((l) => !l.row.shim).length, 0);
    return { name: parent.name, branches, endpoints, ...totals(branches) };
  });
}

// shimRows returns a row for each host shim. Nothing counts its traffic.
export function shimRows(networks) {
  return networks.filter((n) => n.host).map(({ name, host }) => ({
    key: `shim/${name}`, shim: true, name: host.interface, container_id: '', network: name, interface: host.interface, mac: host.mac,
    parent: host.parent, vlan: host.vlan, mode: host.mode, origin: texts.hostShim, addresses: host.addresses,
  }));
}

function totals(parts) {
  return {
    siblings: sumRates(...parts.map((p) => p.siblings || none)),
    wire: sumRates(...parts.map((p) => p.wire || none)),
    violations: parts.reduce((n, p) => n + p.violations, 0),
  };
}

function totalBranch(branch) {
  branch.leaves.sort((a, b) => (b.violations > 0) - (a.violations > 0) || a.name.localeCompare(b.name));
  return { ...branch, ...totals(branch.leaves) };
}

// shownLeaves returns the leaves of a branch that are drawn: all, or the first if it is folded.
// Those that a search finds come first, then those that break rules, then the talkers.
export function shownLeaves(branch, unfolded, found) {
  if (branch.leaves.length <= foldAbove || unfolded) return branch.leaves;
  const rank = (leaf) => (found(leaf.row) ? 2 : 0) + (leaf.violations > 0 ? 1 : 0);
  const talkers = [...branch.leaves].sort((a, b) => rank(b) - rank(a) || rateOf(b) - rateOf(a));
  return talkers.slice(0, foldTo);
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
