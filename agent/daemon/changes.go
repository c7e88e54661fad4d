package daemon

import (
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"berth/internal/state"
	"berth/specs"
)

const (
	// changesKept is the time without a request for the changes after which their versions are
	// forgotten.
	changesKept = 5 * time.Minute

	mostRemoved    = 10_000      // removed endpoints whose ids are remembered
	groupsAtOnce   = 200         // group counts that are read for one answer
	clockTolerance = time.Second // a step of the clock that lease ends may be wrong by
)

// changesHolder has the versions of the endpoints while clients ask for changes.
type changesHolder struct {
	mu       sync.Mutex
	versions *versions   // nil if there was no request for long
	forget   *time.Timer // sets it to nil
}

// current returns the versions, and keeps them for some time more. The caller holds the lock.
func (h *changesHolder) current() *versions {
	if h.versions == nil {
		h.versions = newVersions()
		h.forget = time.AfterFunc(changesKept, func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.versions = nil
		})
	}
	h.forget.Reset(changesKept)
	return h.versions
}

// versions has the version in which each endpoint changed last, so that an answer to GET
// /v1/changes has only those that changed since the version that the client names. It remembers no
// clients.
type versions struct {
	instance string // distinguishes these ids and versions from those of another run
	now      uint64
	lastID   uint64
	all      []*record     // of the last reading
	rows     []*versionRow // as all
	removed  []removedRow  // the oldest first
	lost     uint64        // the version of the newest removal that is not in removed any more
	counted  bool          // the counts could be read
	offset   time.Duration // the clock's time less the time since boot
	next     int           // the row whose group count is read next
}

// versionRow is the state of an endpoint, and the versions in which its parts changed.
type versionRow struct {
	id                 uint64
	record             *record
	row, counts, marks uint64
	counters           specs.Counters
	broken             map[specs.Kind]specs.Broken
	group              *uint64
}

// removedRow is an endpoint that is gone since a version.
type removedRow struct{ id, version uint64 }

func newVersions() *versions { return &versions{instance: rand.Text()[:10]} }

// String returns the newest version, for the client's next request.
func (v *versions) String() string { return fmt.Sprintf("%s-%d", v.instance, v.now) }

// since returns the version that a client has, or 0 if it must be given all endpoints.
func (v *versions) since(after string) uint64 {
	instance, number, _ := strings.Cut(after, "-")
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil || instance != v.instance || n > v.now || n < v.lost {
		return 0
	}
	return n
}

// setRecords takes the records of a reading.
func (v *versions) setRecords(all []*record) {
	if len(all) == len(v.all) && (len(all) == 0 || &all[0] == &v.all[0]) {
		return // the same reading
	}
	known := make(map[string]*versionRow, len(v.rows))
	for _, row := range v.rows {
		known[row.record.storedKey] = row
	}
	rows := make([]*versionRow, len(all))
	for i, r := range all {
		row := known[r.storedKey]
		if row == nil || row.record.Created != r.Created {
			v.lastID++
			row = &versionRow{id: v.lastID, row: v.now}
		} else if delete(known, r.storedKey); row.record != r {
			row.row = v.now
		}
		row.record = r
		rows[i] = row
	}
	v.all, v.rows = all, rows
	for _, row := range known {
		v.removed = append(v.removed, removedRow{row.id, v.now})
	}
	for len(v.removed) > mostRemoved {
		v.lost, v.removed = v.removed[0].version, v.removed[1:]
	}
}

// setFacts takes whether counts can be read, and the clock's time less the time since boot. The ends
// of DHCP leases move with the clock.
func (v *versions) setFacts(counted bool, offset time.Duration) {
	moved := (offset - v.offset).Abs() > clockTolerance
	for _, row := range v.rows {
		if moved && row.record.rareFacts().leases != nil || counted != v.counted && row.record.slot != 0 {
			row.row = v.now
		}
	}
	if v.counted = counted; moved {
		v.offset = offset
	}
}

// setCounts takes the counts of a row, and reports whether they fell.
func (v *versions) setCounts(i int, c *specs.Counters) (fell bool) {
	row := v.rows[i]
	if row.counters == *c {
		return false
	}
	fell = totalFrames(c) < totalFrames(&row.counters)
	row.counters, row.counts = *c, v.now
	return fell
}

// setBroken takes the violations of all rows, by slot.
func (v *versions) setBroken(bySlot map[uint32]map[specs.Kind]specs.Broken) {
	for _, row := range v.rows {
		if got := bySlot[row.record.slot]; isCounted(row.record) && !maps.Equal(got, row.broken) {
			row.broken, row.marks = got, v.now
		}
	}
}

// setGroups reads the group counts of some rows, the next ones at each call. read returns nil if
// the count is unknown, and then the last one stays.
func (v *versions) setGroups(read func(*record) *uint64) {
	for range min(groupsAtOnce, len(v.rows)) {
		v.next = (v.next + 1) % len(v.rows)
		row := v.rows[v.next]
		if n := read(row.record); n != nil && (row.group == nil || *n != *row.group) {
			row.group, row.marks = n, v.now
		}
	}
}

// isCounted reports whether the counts of a record are in the maps.
func isCounted(r *record) bool { return r.slot != 0 && r.finalCounts() == nil }

// changesAnswer is the answer to one request. The endpoints of rows are to be read.
type changesAnswer struct {
	rows  []*versionRow // id and record alone may be used
	first specs.Changes // for before the endpoints
	last  specs.Changes // for after them
}

// changesSince returns the answer for a client that has a version, or has nothing if it is 0.
func (v *versions) changesSince(have uint64) (a changesAnswer) {
	a.first.Whole, a.last.Version = have == 0, v.String()
	if have != 0 {
		for _, r := range slices.Backward(v.removed) {
			if r.version <= have {
				break
			}
			a.first.Removed = append(a.first.Removed, r.id)
		}
	}
	for _, row := range v.rows {
		if row.row > have {
			a.rows = append(a.rows, &versionRow{id: row.id, record: row.record})
			continue
		}
		if row.counts > have && v.counted {
			n := row.counters.Numbers()
			a.last.Counts = specs.AppendPacked(a.last.Counts, row.id, &n)
		}
		if row.marks > have && v.counted {
			m := specs.ChangedMarks{ID: row.id, GroupPackets: row.group}
			m.Violations, m.Dropped = specs.SplitBroken(row.broken)
			a.last.Marks = append(a.last.Marks, m)
		}
	}
	return a
}

// clockOffset returns the clock's time less the time since boot.
func clockOffset() time.Duration { return time.Duration(time.Now().UnixNano()) - state.SinceBoot() }
