package events

import (
	"sync"
	"time"

	"berth/specs"
)

// The rate limit of an endpoint's events of one kind: a burst, so that a person sees the
// kind of traffic, then one per interval. The datapath itself passes ten a second
// (specs/events.md).
const (
	LimitBurst = 20
	LimitEvery = 6 * time.Second
)

// maxBuckets bounds the remembered pairs of endpoint and kind; those that were quiet longest
// are dropped first.
const maxBuckets = 8192

// Limiter limits the rate of events for each endpoint and kind. Its methods may be called
// concurrently.
type Limiter struct {
	mu      sync.Mutex
	buckets map[limited]*bucket
	leftOut uint64
}

type limited struct {
	who  string
	kind specs.Kind
}

// bucket is a leaky bucket: spent is the time until which the passed events have used the rate.
type bucket struct {
	spent    time.Time
	heldBack uint64 // events held back since the last that passed
}

// NewLimiter returns a limiter that has seen nothing.
func NewLimiter() *Limiter { return &Limiter{buckets: make(map[limited]*bucket)} }

// Pass reports whether an event passes. If it does, its LeftOut includes the events held
// back before it.
func (l *Limiter) Pass(e *specs.Event, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leftOut += e.LeftOut
	key := limited{endpointOf(e), e.Kind}
	b := l.buckets[key]
	if b == nil {
		l.makeRoom(now)
		b = &bucket{spent: now}
		l.buckets[key] = b
	}
	if b.spent.Before(now) {
		b.spent = now
	}
	if b.spent.Sub(now) > (LimitBurst-1)*LimitEvery {
		b.heldBack += 1 + e.LeftOut
		l.leftOut++
		return false
	}
	b.spent = b.spent.Add(LimitEvery)
	e.LeftOut, b.heldBack = e.LeftOut+b.heldBack, 0
	return true
}

// makeRoom drops buckets that may send a full burst again and hold no count; if there are
// none, it drops one that has waited longest.
func (l *Limiter) makeRoom(now time.Time) {
	if len(l.buckets) < maxBuckets {
		return
	}
	var oldest limited
	for key, b := range l.buckets {
		if !b.spent.After(now) && b.heldBack == 0 {
			delete(l.buckets, key)
		} else if o := l.buckets[oldest]; o == nil || b.spent.Before(o.spent) {
			oldest = key
		}
	}
	if len(l.buckets) >= maxBuckets {
		delete(l.buckets, oldest)
	}
}

// LeftOut returns the number of events held back here, and by the datapath as far as it has
// reported.
func (l *Limiter) LeftOut() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.leftOut
}
