package daemon

import (
	"sync"
	"time"

	"berth/bpf"
	"berth/specs"
)

// suspects are the slots that have violations, so that a scrape reads those of
// few. The first violation of a slot and kind always makes an event, unless
// the ring buffer is full, which is counted; so a slot is known by its event,
// and all are looked at when events were lost and from time to time.
type suspects struct {
	mu    sync.Mutex
	slots map[uint32]bool
	lost  uint64    // events that were lost by the last look at all
	all   time.Time // of the last look at all
}

// fewSuspects is up to how many slots are read one by one: a single read takes
// as long as 30 in a batch.
const fewSuspects = 200

// add says that a slot has violations.
func (s *suspects) add(slot uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.slots != nil && slot != 0 {
		s.slots[slot] = true
	}
}

// reset forgets all; the next read looks at all slots.
func (s *suspects) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slots = nil
}

// read calls fn with the violations of all slots before end.
func (s *suspects) read(maps *bpf.Maps, end uint32, fn func(slot uint32, kind specs.Kind, packets uint64)) error {
	lost, err := maps.EventsLost()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.slots == nil || lost != s.lost || len(s.slots) > fewSuspects || time.Since(s.all) > resync {
		return s.readAll(maps, end, lost, fn)
	}
	for slot := range s.slots {
		if slot >= end {
			continue
		}
		found, err := maps.Violations(slot)
		if err != nil {
			return err
		}
		for kind, n := range found {
			fn(slot, kind, n)
		}
	}
	return nil
}

func (s *suspects) readAll(maps *bpf.Maps, end uint32, lost uint64, fn func(uint32, specs.Kind, uint64)) error {
	s.slots, s.lost, s.all = make(map[uint32]bool), lost, time.Now()
	kinds := specs.Kinds()
	return maps.EachViolations(end, func(slot uint32, packets []uint64) {
		s.slots[slot] = true
		for i, n := range packets {
			if n != 0 {
				fn(slot, kinds[i], n)
			}
		}
	})
}
