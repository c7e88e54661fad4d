package daemon

import (
	"context"
	"slices"
	"time"

	"berth/agent/metrics"
	"berth/bpf"
	"berth/specs"
)

// collectSnapshot fills s with the data of a scrape.
//
// Usually it takes no lock of the store: the records are those of the last reading, and the
// counts are read beside them. If the records changed meanwhile, or a count fell (its slot
// was drained, and its record is about to change), both are read again under the lock.
func (a *Agent) collectSnapshot(ctx context.Context, s *metrics.Snapshot) error {
	a.namer.waitForNames(ctx)
	a.scraping.Lock()
	defer a.scraping.Unlock()
	start := time.Now()
	s.Parents, s.Maps, s.EventsLost = a.status.Load().Parents, nil, 0
	s.UnknownOverflow, s.EventsLeftOut = 0, a.limiter.LeftOut()
	s.Cluster = a.clusterNumbers()
	err := a.maps.useMaps(func(maps *bpf.Maps) error {
		now, err := a.records.currentReading(ctx)
		if err == nil {
			err = a.readCounts(&now, maps, s)
		}
		if err == nil && a.records.isFresh(now) && !anyFell(now.all, s.Rows) {
			a.rememberShown(&now, maps != nil, s)
			return a.addMapUse(maps, &now, s)
		}
		return a.records.readExclusively(ctx, func(now *reading) error {
			if err := a.readCounts(now, maps, s); err != nil {
				return err
			}
			a.rememberShown(now, maps != nil, s)
			return a.addMapUse(maps, now, s)
		})
	})
	s.Reading = time.Since(start)
	return err
}

// anyFell reports whether a count is lower than the value shown last.
func anyFell(all []*record, rows []metrics.Row) bool {
	for i, r := range all {
		if totalFrames(&rows[i].Counters)+r.broken < r.shown.Load() {
			return true
		}
	}
	return false
}

func totalFrames(c *specs.Counters) uint64 {
	return c.Receive.Total().Packets + c.Transmit.Total().Packets
}

// rememberShown stores the shown values, to detect a fall, and removes hidden series from the
// snapshot.
func (a *Agent) rememberShown(now *reading, pinned bool, s *metrics.Snapshot) {
	for i, r := range now.all {
		r.shown.Store(totalFrames(&s.Rows[i].Counters) + r.broken)
		if r.past != nil && r.past.earlier != nil {
			s.Rows[i].Counters = s.Rows[i].Counters.Plus(*r.past.earlier)
		}
	}
	s.Series, s.LeftOut = slices.Grow(s.Series[:0], len(now.series)), 0
	oldest := time.Now().Add(-time.Duration(a.keepEnded.Load())).UnixNano()
	for _, one := range now.series {
		newest := now.all[one.From]
		counted := newest.finalCounts() != nil || pinned && newest.slot != 0
		switch {
		case !newest.isLive() && newest.ended < oldest, !counted:
		case one.hidden:
			s.LeftOut++
		default:
			s.Series = append(s.Series, one.Range)
		}
	}
}

// readCounts reads the counts of the records. maps is nil if nothing is pinned.
func (a *Agent) readCounts(now *reading, maps *bpf.Maps, s *metrics.Snapshot) error {
	s.Rows = slices.Grow(s.Rows[:0], len(now.all))
	s.Violations = make(map[metrics.Violation]specs.Broken, len(now.pruned))
	for v, n := range now.pruned {
		s.Violations[v] = n
	}
	for _, r := range now.all {
		row := metrics.Row{Endpoint: &r.Endpoint}
		r.broken = 0
		if final := r.finalCounts(); final != nil {
			row.Counters = *final
			for kind, n := range r.past.violations {
				addViolations(s, r, kind, specs.Broken{Packets: n, Dropped: r.past.dropped[kind]})
			}
		}
		s.Rows = append(s.Rows, row)
	}
	s.Leases, s.DHCPMessages = leaseRows(now.all), now.dhcp
	if maps == nil || len(now.bySlot) == 0 {
		return nil
	}
	err := maps.EachCounters(uint32(len(now.bySlot)), func(slot uint32, c *specs.Counters) {
		if i := now.bySlot[slot]; i >= 0 && now.all[i].finalCounts() == nil {
			s.Rows[i].Counters = *c
		}
	})
	if err != nil {
		return err
	}
	return maps.EachViolation(func(slot uint32, kind specs.Kind, n specs.Broken) {
		if slot == 0 {
			s.Violations[metrics.Violation{Kind: kind}] = n
		} else if r := now.recordOfSlot(slot); r != nil && r.finalCounts() == nil {
			addViolations(s, r, kind, n)
		}
	})
}

// addViolations adds the violations of one endpoint.
func addViolations(s *metrics.Snapshot, r *record, kind specs.Kind, n specs.Broken) {
	v := metrics.Violation{Kind: kind, Parent: r.Parent, Network: r.Network}
	s.Violations[v] = s.Violations[v].Plus(n)
	r.broken += n.Packets
}

// addMapUse adds the fill level of the maps.
func (a *Agent) addMapUse(maps *bpf.Maps, now *reading, s *metrics.Snapshot) (err error) {
	if maps == nil {
		return nil
	}
	used := 0
	for _, i := range now.bySlot {
		if i >= 0 {
			used++
		}
	}
	s.Maps = []metrics.MapUse{{Name: "counters", Entries: used, Capacity: int(maps.Slots()) - 1}}
	unknown, err := maps.UnknownCapacity()
	if err != nil {
		return err
	}
	s.Maps = append(s.Maps, metrics.MapUse{Name: "unknown", Entries: int(a.unknown.Load()), Capacity: unknown})
	if s.UnknownOverflow, err = maps.UnknownOverflow(); err != nil {
		return err
	}
	s.EventsLost, err = maps.EventsLost()
	return err
}
