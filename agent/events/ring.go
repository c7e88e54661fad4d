package events

import (
	"sync"

	"berth/specs"
)

// Kept is how many events the agent keeps.
const Kept = 10_000

// Ring keeps the last events in the order of their arrival. Its methods may be
// called concurrently.
type Ring struct {
	mu    sync.Mutex
	buf   []*specs.Event // those that have come; most agents see few
	next  uint64         // the number that the next event gets; the first is 0
	added chan struct{}  // closed and replaced when an event arrives
}

// NewRing returns a ring for size events, which is at least 1.
func NewRing(size int) *Ring {
	return &Ring{buf: make([]*specs.Event, size), added: make(chan struct{})}
}

// Add keeps an event, in place of the oldest when the ring is full.
func (r *Ring) Add(e specs.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.buf[r.next%uint64(len(r.buf))] = &e
	r.next++
	close(r.added)
	r.added = make(chan struct{})
}

// Since returns a copy of at most limit of the kept events, oldest first, from
// number from on; the number to go on with; and a channel that is closed when
// more than the kept ones have arrived. Events that are no longer kept are
// left out: next less the number of events is then greater than from.
func (r *Ring) Since(from uint64, limit int) (events []specs.Event, next uint64, more <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	size := uint64(len(r.buf))
	from = max(from, r.next-min(r.next, size))
	next = min(r.next, from+uint64(limit))
	for i := from; i < next; i++ {
		events = append(events, *r.buf[i%size])
	}
	return events, max(from, next), r.added
}
