// The order of the rows. To compare texts by the rules of a language is slow, so that each row has
// its rank among the names, which is computed only after rows have changed.
import { columns } from './columns.js';
import { finder, nameOf } from './format.js';
import { store, versions } from './store.js';
import { cached } from './ui.js';

const compareTexts = new Intl.Collator(undefined, { numeric: true }).compare;

let named = []; // the rows in the order of their names

// rowsByName returns all rows in the order of their names, and sets their ranks.
export const rowsByName = cached((_version) => {
  const known = new Set(named.map((r) => r.id));
  const kept = named.map((r) => store.rows.get(r.id)).filter(Boolean);
  const added = [...store.rows.values()].filter((r) => !known.has(r.id));
  // Sorting takes a comparison per row if most are sorted already.
  named = kept.concat(added).sort((a, b) => compareTexts(nameOf(a), nameOf(b)) || compareTexts(a.key, b.key));
  named.forEach((row, rank) => { row.rank = rank; });
  return named;
});

// sortRows sorts by a column; equal rows keep the order of their names.
export function sortRows(rows, by, descending) {
  const { value, number } = columns[by];
  const compare = number ? (a, b) => a - b : compareTexts;
  const sign = descending ? -1 : 1;
  const keyed = rows.map((row) => [value(row), row]);
  keyed.sort((a, b) => sign * compare(a[0], b[0]) || a[1].rank - b[1].rank);
  return keyed.map((k) => k[1]);
}

// An Order has the rows of the table. It does again only what a change requires: a message with
// traffic alone sorts by a live column, and nothing else.
export class Order {
  filter = cached((_rows, ended, isFound) => rowsByName(versions.rows).filter((r) => (ended || r.phase !== 'ended') && isFound(r)));
  sort = cached((rows, by, descending, _traffic) => sortRows(rows, by, descending));
  find = cached((search) => (search ? finder(search) : () => true));

  rows({ search, ended, by, descending }) {
    const found = this.filter(versions.rows, ended, this.find(search));
    return this.sort(found, by, descending, columns[by].live ? versions.traffic : 0);
  }
}
