package daemon

import (
	"cmp"
	"context"
	"hash/maphash"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"berth/agent/metrics"
	"berth/internal/state"
	"berth/specs"
)

// stampSettle is the time after a change within which another change may leave the same
// timestamp on the file: twice the longest tick of the kernel's coarse clock.
const stampSettle = 20 * time.Millisecond

// records caches the attachment records. It reads them again when the store's stamp has
// changed, and decodes only those that differ. Its methods may be called concurrently; the
// returned records are shared and read-only.
type records struct {
	store  *state.Store
	log    *slog.Logger
	format *metrics.Format
	seed   maphash.Seed
	emit   func(specs.Event) // receives the events of leases; nil if they are not wanted

	mu       sync.Mutex
	last     reading
	in       intern
	byKey    map[string]*record // those of the last reading, by storedKey
	arranged *reading           // of these, their order and series; nil if a reading has failed
	turn     uint32             // number of the last reading
	version  state.Version      // that arranged has been read from
}

func newRecords(store *state.Store, format *metrics.Format, log *slog.Logger) *records {
	return &records{store: store, log: log, format: format, seed: maphash.MakeSeed(), in: make(intern),
		byKey: make(map[string]*record)}
}

// reading is the set of records at one time.
type reading struct {
	all    []*record // in the order of bySeries
	series []series
	bySlot []int32 // by slot: the index in all, or -1
	pruned map[metrics.Violation]specs.Broken
	dhcp   map[string]uint64 // numbers of DHCP messages, by type
	stamp  time.Time         // of the file whose timestamp shows changes
	final  bool              // whether a later change would show in the stamp
}

// series holds the records of one traffic series.
type series struct {
	metrics.Range
	hidden bool // beyond the bound
}

// recordOfSlot returns the record that holds a slot, or nil if none does.
func (r *reading) recordOfSlot(slot uint32) *record {
	if int(slot) < len(r.bySlot) && r.bySlot[slot] >= 0 {
		return r.all[r.bySlot[slot]]
	}
	return nil
}

// currentReading returns the current records.
func (r *records) currentReading(ctx context.Context) (reading, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.isFresh(r.last) {
		return r.last, nil
	}
	return r.readRecords(ctx, func(*reading) error { return nil })
}

// isFresh reports whether a reading still matches the store.
func (r *records) isFresh(old reading) bool {
	return old.final && old.stamp.Equal(r.changedAt())
}

// readExclusively reads the records and calls fn within a transaction, so that they do not change
// meanwhile. fn must not wait.
func (r *records) readExclusively(ctx context.Context, fn func(*reading) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, err := r.readRecords(ctx, fn)
	return err
}

func (r *records) readRecords(ctx context.Context, fn func(*reading) error) (reading, error) {
	now := reading{stamp: r.changedAt()}
	now.final = time.Since(now.stamp) > stampSettle
	err := r.store.View(ctx, func(tx *state.Tx) (err error) {
		// A database made anew may have the version of a former one, but not its stamp too.
		if v := tx.Version(); r.arranged == nil || v != r.version || !now.stamp.Equal(r.last.stamp) {
			r.decodeRecords(tx)
			r.version = v
		}
		now.all, now.series, now.bySlot = r.arranged.all, r.arranged.series, r.arranged.bySlot
		if now.pruned, err = prunedViolations(tx); err != nil {
			return err
		}
		now.dhcp = tx.DHCPMessages()
		return fn(&now)
	})
	if err != nil {
		return reading{}, err
	}
	r.last = now
	return now, nil
}

// decodeRecords reads all records; it does not decode those that are unchanged. It
// arranges them, if one has changed since the former reading.
func (r *records) decodeRecords(tx *state.Tx) {
	before := r.arranged
	r.arranged = nil // until all are read: damage to the database ends the reading
	if before == nil {
		before = &reading{all: slices.SortedFunc(maps.Values(r.byKey), bySeries)}
	}
	r.turn++
	var fresh []*record
	read := 0
	for key, stored := range tx.Stored() {
		old, sum := r.byKey[string(key)], maphash.Bytes(r.seed, stored)
		if old != nil && old.sum == sum {
			old.turn = r.turn
			read++
		} else if one := r.decodeRecord(key, stored, old); one != nil {
			one.sum, one.turn = sum, r.turn
			r.byKey[one.storedKey] = one
			fresh = append(fresh, one)
			read++
		}
	}
	if len(fresh) > 0 || len(before.all) != read || before.series == nil {
		r.forgetGone(read)
		before = arrange(mergeRecords(before.all, fresh, r.turn), r.format.Max)
	}
	r.arranged = before
}

// decodeRecord returns the record of an attachment, or nil if it cannot be decoded. old is its former
// record, or nil.
func (r *records) decodeRecord(key, stored []byte, old *record) *record {
	a, err := state.Decode(key, stored)
	if err != nil {
		r.log.Warn("record skipped: it cannot be decoded", "error", err)
		return nil
	}
	one := newRecord(a, r.in)
	if old != nil {
		one.storedKey = old.storedKey
	} else {
		one.storedKey = string(key)
	}
	if one.storedKey == one.key { // equal strings share their memory
		one.key = one.storedKey
	}
	one.inheritFrom(old)
	for _, e := range append(leaseEvents(old, one), healEvents(old, one)...) {
		if r.emit != nil {
			r.emit(e)
		}
	}
	r.format.Prepare(&one.Endpoint)
	return one
}

// forgetGone forgets the records that the reading has not found; it has found a number of them.
func (r *records) forgetGone(found int) {
	if len(r.byKey) == found {
		return
	}
	maps.DeleteFunc(r.byKey, func(_ string, one *record) bool { return one.turn != r.turn })
}

// mergeRecords returns those records of a reading that the reading with a number has found too, and the
// fresh ones. The former are in the order of bySeries, and so is the result.
func mergeRecords(former, fresh []*record, turn uint32) []*record {
	slices.SortFunc(fresh, bySeries)
	all := make([]*record, 0, len(former)+len(fresh))
	for _, one := range former {
		if one.turn != turn {
			continue
		}
		for len(fresh) > 0 && bySeries(fresh[0], one) < 0 {
			all, fresh = append(all, fresh[0]), fresh[1:]
		}
		all = append(all, one)
	}
	return append(all, fresh...)
}

func prunedViolations(tx *state.Tx) (map[metrics.Violation]specs.Broken, error) {
	sums, err := tx.PrunedViolations()
	pruned := make(map[metrics.Violation]specs.Broken, len(sums))
	for v, n := range sums {
		pruned[metrics.Violation(v)] = n
	}
	return pruned, err
}

// arrange returns a reading of records, which are in the order of bySeries, with their series and slots.
// If there are more than most series, it chooses those to show: live ones first, then the oldest, so that
// a shown series stays shown.
func arrange(all []*record, most int) *reading {
	r := &reading{all: all, series: make([]series, 0, len(all))}
	slots := uint32(0)
	for i, one := range r.all {
		if i == 0 || r.all[i-1].Series() != one.Series() {
			r.series = append(r.series, series{Range: metrics.Range{From: int32(i)}})
		}
		r.series[len(r.series)-1].To = int32(i + 1)
		slots = max(slots, one.slot+1)
	}
	r.bySlot = make([]int32, slots)
	for i := range r.bySlot {
		r.bySlot[i] = -1
	}
	for i, one := range r.all {
		if one.slot != 0 {
			r.bySlot[one.slot] = int32(i)
		}
	}
	if len(r.series) > most {
		r.hideSeries(most)
	}
	return r
}

// hideSeries marks the series beyond the bound.
func (r *reading) hideSeries(most int) {
	order := make([]*series, len(r.series))
	for i := range r.series {
		order[i] = &r.series[i]
	}
	slices.SortFunc(order, func(a, b *series) int {
		newest, other := r.all[a.From], r.all[b.From]
		oldest, others := r.all[a.To-1], r.all[b.To-1]
		return cmp.Or(cmp.Compare(min(newest.ended, 1), min(other.ended, 1)), cmp.Compare(oldest.Created, others.Created))
	})
	for _, s := range order[most:] {
		s.hidden = true
	}
}

func (r *records) changedAt() time.Time {
	info, err := os.Stat(r.store.Changed())
	if err != nil {
		return time.Time{} // nothing was recorded yet
	}
	return info.ModTime()
}
