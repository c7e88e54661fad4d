package events

import (
	"slices"
	"sort"
	"sync"

	"berth/specs"
)

// Kept is the number of events that the agent keeps.
const Kept = 10_000

// ringShare limits an endpoint to one in so many events of a full ring; beyond it, its new
// events replace its own oldest.
const ringShare = 10

// Ring keeps the last events in the order of their arrival. If it is full, an endpoint that
// exceeds its share pushes out only its own events. Its methods may be called concurrently.
type Ring struct {
	mu      sync.Mutex
	size    int
	kept    []entry
	countOf map[string]int // number of kept events by endpoint
	next    uint64         // number of the next event; the first is 0
	gone    uint64         // one more than the highest number pushed out
	added   chan struct{}  // closed and replaced when an event arrives
}

type entry struct {
	number uint64
	who    string
	event  *specs.Event
}

// NewRing returns a ring for size events, which is at least 1.
func NewRing(size int) *Ring {
	return &Ring{size: size, countOf: make(map[string]int), added: make(chan struct{})}
}

// Add stores an event; if the ring is full, it replaces an older one.
func (r *Ring) Add(e specs.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	who := endpointOf(&e)
	if len(r.kept) == r.size {
		r.pushOut(who)
	}
	r.kept = append(r.kept, entry{r.next, who, &e})
	r.countOf[who]++
	r.next++
	close(r.added)
	r.added = make(chan struct{})
}

// pushOut makes room for an event of an endpoint.
func (r *Ring) pushOut(who string) {
	victim := 0
	if r.countOf[who] > r.size/ringShare {
		victim = slices.IndexFunc(r.kept, func(e entry) bool { return e.who == who })
	}
	old := r.kept[victim]
	r.gone = max(r.gone, old.number+1)
	if r.countOf[old.who]--; r.countOf[old.who] == 0 {
		delete(r.countOf, old.who)
	}
	r.kept = slices.Delete(r.kept, victim, victim+1)
}

// Since returns a copy of at most limit of the kept events, oldest first, from number from
// on; the number to continue with; whether events from that number on were dropped; and a
// channel that is closed when a new event arrives.
func (r *Ring) Since(from uint64, limit int) (events []specs.Event, next uint64, lost bool, more <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	begin := sort.Search(len(r.kept), func(i int) bool { return r.kept[i].number >= from })
	end := min(len(r.kept), begin+limit)
	for _, e := range r.kept[begin:end] {
		events = append(events, *e.event)
		next = e.number + 1
	}
	if end == len(r.kept) {
		next = max(from, r.next)
	}
	return events, max(from, next), r.gone > from, r.added
}

// endpointOf returns the endpoint of an event: its sender, else its owner or receiver, else
// its parent.
func endpointOf(e *specs.Event) string {
	for _, p := range []*specs.Party{e.Sender, e.Owner, e.Receiver} {
		if p != nil {
			return p.ContainerID + "/" + p.Interface
		}
	}
	return e.Parent
}
