package events

import (
	"sync"
	"time"

	"berth/specs"
)

// The rate at which an endpoint's events of one kind are let through: a few at
// once, so that a person sees what they are about, then one in a while. The
// datapath lets ten a second through (specs/events.md).
const (
	LimitBurst = 20
	LimitEvery = 6 * time.Second
)

// limits bounds how many endpoints and kinds are remembered; those that have
// been quiet for longest go first.
const limits = 8192

// Limiter holds back events of an endpoint and kind of which there are too
// many. Its methods may be called concurrently.
type Limiter struct {
	mu      sync.Mutex
	buckets map[limited]*bucket
	leftOut uint64
}

type limited struct {
	who  string
	kind specs.Kind
}

// bucket is a leaking one: spent is until when what was let through is paid for.
type bucket struct {
	spent time.Time
	held  uint64 // events held back since the last that was let through
}

// NewLimiter returns a limiter that has seen nothing.
func NewLimiter() *Limiter { return &Limiter{buckets: make(map[limited]*bucket)} }

// Pass reports whether an event is to be told. Its LeftOut then has those that
// were held back before as well.
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
		b.held += 1 + e.LeftOut
		l.leftOut++
		return false
	}
	b.spent = b.spent.Add(LimitEvery)
	e.LeftOut, b.held = e.LeftOut+b.held, 0
	return true
}

// makeRoom forgets those that may send a full burst again and have nothing to
// tell; where that is not enough, one that has waited longest.
func (l *Limiter) makeRoom(now time.Time) {
	if len(l.buckets) < limits {
		return
	}
	var oldest limited
	for key, b := range l.buckets {
		if !b.spent.After(now) && b.held == 0 {
			delete(l.buckets, key)
		} else if o := l.buckets[oldest]; o == nil || b.spent.Before(o.spent) {
			oldest = key
		}
	}
	if len(l.buckets) >= limits {
		delete(l.buckets, oldest)
	}
}

// LeftOut returns how many events were held back, here and by the datapath, as
// far as it has said so.
func (l *Limiter) LeftOut() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.leftOut
}
