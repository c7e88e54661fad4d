package daemon

import (
	"context"
	"slices"

	"berth/bpf"
	"berth/internal/state"
	"berth/specs"
)

// Changes implements api.Backend. It reads the counts of all endpoints by few system calls, and only
// changed endpoints from the store.
func (b backend) Changes(ctx context.Context, after string, each func(*specs.Changes) error) error {
	b.namer.waitForNames(ctx)
	answer, err := b.collectChanges(ctx, after)
	if err != nil {
		return err
	}
	if answer.first.Whole || len(answer.first.Removed) > 0 {
		if err := each(&answer.first); err != nil {
			return err
		}
	}
	for some := range slices.Chunk(answer.rows, chunk) {
		part, err := b.readChanged(ctx, some)
		if err != nil {
			return err
		}
		if err := each(part); err != nil {
			return err
		}
	}
	return each(&answer.last)
}

// readChanged returns the endpoints of some rows. It leaves out those that are gone meanwhile.
func (a *Agent) readChanged(ctx context.Context, some []*versionRow) (*specs.Changes, error) {
	wanted, ids := make([]*record, 0, len(some)), make(map[*record]uint64, len(some))
	for _, row := range some {
		wanted = append(wanted, row.record)
		ids[row.record] = row.id
	}
	endpoints, of, err := a.readEndpoints(ctx, true, wanted)
	if err != nil {
		return nil, err
	}
	part := &specs.Changes{Endpoints: make([]specs.ChangedEndpoint, len(endpoints))}
	for i := range endpoints {
		part.Endpoints[i] = specs.ChangedEndpoint{ID: ids[of[i]], Endpoint: endpoints[i]}
	}
	return part, nil
}

// collectChanges reads all counts, and returns the changes since a client's version. As for a
// scrape, records and counts are read again under the store's lock if they may not belong
// together: see [Agent.collectSnapshot].
func (a *Agent) collectChanges(ctx context.Context, after string) (answer changesAnswer, err error) {
	a.changes.mu.Lock()
	defer a.changes.mu.Unlock()
	v := a.changes.current()
	have := v.since(after)
	v.now++
	err = a.maps.useMaps(func(maps *bpf.Maps) error {
		now, err := a.records.currentReading(ctx)
		if err != nil {
			return err
		}
		fell, err := v.readCounts(&now, maps)
		if err != nil || !fell && a.records.isFresh(now) {
			return err
		}
		return a.records.readExclusively(ctx, func(now *reading) error {
			_, err := v.readCounts(now, maps)
			return err
		})
	})
	if err != nil {
		return answer, err
	}
	v.setGroups(a.groupPacketsOf)
	return v.changesSince(have), nil
}

// readCounts takes the records of a reading with their counts, and reports whether a count fell.
// maps is nil if nothing is pinned.
func (v *versions) readCounts(now *reading, maps *bpf.Maps) (fell bool, err error) {
	v.setRecords(now.all)
	v.setFacts(maps != nil, clockOffset())
	if maps == nil {
		return false, nil
	}
	err = maps.EachCounters(uint32(len(now.bySlot)), func(slot uint32, c *specs.Counters) {
		if i := now.bySlot[slot]; i >= 0 && isCounted(now.all[i]) && v.setCounts(int(i), c) {
			fell = true
		}
	})
	if err != nil {
		return fell, err
	}
	broken := make(map[uint32]map[specs.Kind]specs.Broken)
	err = maps.EachViolation(func(slot uint32, kind specs.Kind, n specs.Broken) {
		if broken[slot] == nil {
			broken[slot] = make(map[specs.Kind]specs.Broken)
		}
		broken[slot][kind] = n
	})
	if err == nil {
		v.setBroken(broken)
	}
	return fell, err
}

// groupPacketsOf is groupPackets for a record.
func (a *Agent) groupPacketsOf(r *record) *uint64 {
	return a.groupPackets(&state.Attachment{Phase: r.phase, Mode: r.Mode, NSID: int(r.nsid), Interface: r.Interface,
		MAC: r.MAC, LinkIndex: int(r.linkIndex)})
}
