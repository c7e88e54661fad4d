// The tree of parents, VLANs, groups and endpoints, and its layout. All functions are pure.
import { nameOf, networkOf, siblingRate, sumRates, violationCount, wireRate } from './format.js';
import { texts } from './texts.js';

export const foldAbove = 12; // endpoints of a branch that are drawn without folding
export const foldTo = 8;
const chip = { width: 200, height: 62, gap: 10 };
const left = 400; // of the first column of endpoints

const groupOf = {
  none: () => '',
  network: networkOf,
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
    return { name: parent.name, branches, ...totals(branches) };
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
export function shownLeaves(branch, unfolded) {
  if (branch.leaves.length <= foldAbove || unfolded) return branch.leaves;
  const talkers = [...branch.leaves].sort((a, b) => (b.violations > 0) - (a.violations > 0) || rateOf(b) - rateOf(a));
  return talkers.slice(0, foldTo);
}

// layout places the tree in a drawing of a width.
export function layout(tree, width, unfolded) {
  const columns = Math.max(1, Math.floor((width - left) / (chip.width + chip.gap)));
  const out = { width: Math.max(width, left + chip.width + chip.gap), height: 0, parents: [] };
  let y = 10;
  for (const parent of tree) {
    const top = y;
    const branches = parent.branches.map((branch) => {
      const open = unfolded.has(branch.id);
      const shown = shownLeaves(branch, open);
      const folds = branch.leaves.length > foldAbove;
      const count = shown.length + (folds ? 1 : 0);
      const place = (i) => ({
        x: left + (i % columns) * (chip.width + chip.gap), y: y + Math.floor(i / columns) * (chip.height + chip.gap),
        width: chip.width, height: chip.height,
      });
      const placed = {
        branch, open, y, leaves: shown.map((leaf, i) => ({ leaf, ...place(i) })),
        fold: folds ? { ...place(shown.length), hidden: branch.leaves.length - shown.length } : null,
      };
      y += Math.ceil(count / columns) * (chip.height + chip.gap) + 16;
      return placed;
    });
    out.parents.push({ parent, y: top, branches });
    y += 14;
  }
  out.height = y;
  return out;
}

export const branchLabel = (b) => (b.vlan ? texts.vlan(b.vlan) : texts.untagged);
