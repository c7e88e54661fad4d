package metrics

// ledger adds up counts from sources (attachments) by series, so that a
// series does not fall when one of its sources goes away: a container that
// was started again has the labels that it had before, and the record of its
// first run is pruned one day. It is not safe for concurrent use.
type ledger[S comparable] struct {
	last map[string]entry[S] // by source
	base map[S][]uint64      // of sources that are gone
}

// entry is what one source has counted so far.
type entry[S comparable] struct {
	series S
	counts []uint64
}

// sums returns the counts of every series that has a source now, or that keep
// wants to go on. A series without either is forgotten.
func (l *ledger[S]) sums(now map[string]entry[S], keep func(S) bool) map[S][]uint64 {
	base := make(map[S][]uint64)
	for series, counts := range l.base {
		add(base, series, counts)
	}
	for source, e := range l.last {
		if _, still := now[source]; !still {
			add(base, e.series, e.counts)
		}
	}
	live := make(map[S]bool)
	for _, e := range now {
		live[e.series] = true
	}
	for series := range base {
		if !live[series] && !keep(series) {
			delete(base, series)
		}
	}
	l.last, l.base = now, base
	return l.total()
}

func (l *ledger[S]) total() map[S][]uint64 {
	total := make(map[S][]uint64, len(l.last))
	for series, counts := range l.base {
		add(total, series, counts)
	}
	for _, e := range l.last {
		add(total, e.series, e.counts)
	}
	return total
}

// add adds counts to those of a series, in a slice of the map's own.
func add[S comparable](to map[S][]uint64, series S, counts []uint64) {
	sum, ok := to[series]
	if !ok {
		sum = make([]uint64, len(counts))
		to[series] = sum
	}
	for i, n := range counts {
		sum[i] += n
	}
}
