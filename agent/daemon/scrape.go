package daemon

import (
	"context"
	"time"

	"berth/agent"
	"berth/agent/metrics"
	"berth/bpf"
	"berth/internal/state"
	"berth/specs"
)

// endpoints returns all attachments with their counts, and the key by which
// each is told from all others.
//
// Usually no lock is taken: the records are those of the last reading, and the
// counts are read beside them. If the records changed meanwhile, or a count
// went down (its slot was drained, and the records are about to say so), both
// are read again while nothing can change.
func (a *Agent) endpoints(ctx context.Context) (all []metrics.Endpoint, err error) {
	a.scraping.Lock()
	defer a.scraping.Unlock()
	err = a.maps.use(func(maps *bpf.Maps) error {
		now, err := a.records.current(ctx)
		if err == nil {
			all, err = join(now.all, maps)
		}
		if err == nil && a.records.fresh(now) && !a.fell(all) {
			return nil
		}
		return a.records.exclusive(ctx, func(now *reading) error {
			all, err = join(now.all, maps)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	a.last = make(map[string]uint64, len(all))
	for i := range all {
		a.last[all[i].Key] = frames(&all[i].Endpoint)
	}
	return all, nil
}

// fell reports whether a count is lower than when it was shown last.
func (a *Agent) fell(all []metrics.Endpoint) bool {
	for i := range all {
		if frames(&all[i].Endpoint) < a.last[all[i].Key] {
			return true
		}
	}
	return false
}

func frames(e *specs.Endpoint) uint64 {
	sum := e.Counters.Receive.Total().Packets + e.Counters.Transmit.Total().Packets
	for _, n := range e.Violations {
		sum += n
	}
	return sum
}

// join reads the counts of attachments. maps is nil when nothing is pinned.
func join(all []*state.Attachment, maps *bpf.Maps) ([]metrics.Endpoint, error) {
	counts, err := readBatch(all, maps)
	if err != nil {
		return nil, err
	}
	joined := make([]metrics.Endpoint, 0, len(all))
	for _, at := range all {
		e, err := agent.Endpoint(at, counts)
		if err != nil {
			return nil, err
		}
		joined = append(joined, metrics.Endpoint{Key: identity(at), Endpoint: e})
	}
	return joined, nil
}

// batch is counters that were read at once.
type batch struct {
	counters []specs.Counters // by slot
	maps     *bpf.Maps
}

// readBatch reads the counters of all slots in use; nil without maps.
func readBatch(all []*state.Attachment, maps *bpf.Maps) (agent.Counts, error) {
	if maps == nil {
		return nil, nil
	}
	var end uint32
	for _, at := range all {
		end = max(end, at.Slot+1)
	}
	if end <= 1 {
		return batch{maps: maps}, nil
	}
	counters, err := maps.AllCounters(end)
	return batch{counters, maps}, err
}

// Counters implements agent.Counts.
func (b batch) Counters(slot uint32) (specs.Counters, error) {
	if int(slot) < len(b.counters) {
		return b.counters[slot], nil
	}
	return b.maps.Counters(slot)
}

// Violations implements agent.Counts.
func (b batch) Violations(slot uint32) (map[specs.Kind]uint64, error) {
	return b.maps.Violations(slot)
}

// snapshot is what a scrape shows.
func (a *Agent) snapshot(ctx context.Context) (metrics.Snapshot, error) {
	all, err := a.endpoints(ctx)
	if err != nil {
		return metrics.Snapshot{}, err
	}
	s := metrics.Snapshot{Parents: a.status.Load().Parents}
	used, oldest := 0, time.Now().Add(-time.Duration(a.keep.Load()))
	for i := range all {
		e := &all[i]
		if e.Phase != specs.PhaseEnded {
			used++
		} else if e.Ended.Before(oldest) {
			continue
		}
		if !e.Counted {
			continue
		}
		s.Endpoints = append(s.Endpoints, *e)
		for kind, n := range e.Violations {
			s.Violations = append(s.Violations, metrics.Violation{Source: e.Key, Kind: kind, Parent: e.Parent, Network: e.Network, Count: n})
		}
	}
	return s, a.maps.use(func(maps *bpf.Maps) (err error) {
		if maps == nil {
			return nil
		}
		s.Maps = []metrics.MapUse{{Name: "counters", Entries: used, Capacity: int(maps.Slots()) - 1}}
		s.EventsLost, err = maps.EventsLost()
		return err
	})
}
