package dhcp

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"berth/specs"
)

// Waits of both protocols.
const (
	// firstWait is the wait before the first retransmission. RFC 2131 section 4.1 suggests 4 s,
	// for 10 Mb/s Ethernet; a container waits for its address, so it is shorter. RFC 8415
	// section 7.6 has the same (SOL_TIMEOUT, REQ_TIMEOUT, CNF_TIMEOUT, INF_TIMEOUT).
	firstWait = time.Second

	renewWait    = time.Minute
	shortestWait = time.Second

	// longestExtend bounds the wait between two attempts to extend a long lease, so
	// that a server that was away is found again within the hour.
	longestExtend = time.Hour
)

// leasing is the part of a client that both protocols have: its state, its timer, its lease and
// its notes.
type leasing struct {
	random *rand.Rand
	state  State
	wake   time.Duration // 0 if nothing is due
	began  time.Duration // of this attempt
	asked  time.Duration // when the last message was sent that may yield a lease
	sent   int           // messages of this state

	wish     netip.Addr // asked for in the first message
	pending  *Lease     // of Checking
	lease    *Lease
	setbacks int // refusals and conflicts since the last lease
	seen     notes
	counts   Counts
}

func newLeasing(random *rand.Rand) leasing {
	return leasing{random: random, state: Init, counts: Counts{}}
}

// State implements [Client].
func (c *leasing) State() State { return c.state }

// Lease implements [Client].
func (c *leasing) Lease() *Lease { return c.lease }

// Seen implements [Client].
func (c *leasing) Seen() []string { return c.seen }

// Counts implements [Client].
func (c *leasing) Counts() Counts { return c.counts }

// Wake implements [Client]. No pause outlasts the lease in use.
func (c *leasing) Wake() (time.Duration, bool) {
	if c.lease != nil {
		if ends, ok := c.lease.Ends(); ok && (c.wake == 0 || ends < c.wake) {
			return ends, true
		}
	}
	return c.wake, c.wake != 0
}

// Accept implements [Client].
func (c *leasing) Accept(time.Duration) []Action {
	if c.state != Checking {
		return nil
	}
	c.setbacks, c.seen = 0, nil
	c.bind(c.pending)
	return nil
}

func (c *leasing) t1() time.Duration { return c.lease.after(c.lease.T1) }
func (c *leasing) t2() time.Duration { return c.lease.after(c.lease.T2) }

// bind begins to use a lease.
func (c *leasing) bind(l *Lease) {
	c.state, c.lease, c.pending = Bound, l, nil
	c.wake = 0
	if l.T1 != specs.Forever {
		c.wake = max(1, c.t1())
	}
}

// hasEnded reports whether the lease has ended.
func (c *leasing) hasEnded(now time.Duration) bool {
	if c.lease == nil {
		return false
	}
	ends, ok := c.lease.Ends()
	return ok && now >= ends
}

// extending returns the state in which the lease is extended at this time. due is false before
// T1, for which the timer is set.
func (c *leasing) extending(now time.Duration) (next State, due bool) {
	switch {
	case now >= c.t2():
		return Rebinding, true
	case c.state != Bound:
		return c.state, true
	case now >= c.t1():
		return Renewing, true
	}
	c.wake = c.t1()
	return Bound, false
}

// take takes a lease that a server granted. It is in use at once if it extends the one in use,
// and else after a probe.
func (c *leasing) take(l *Lease) []Action {
	l.Began = c.asked
	if old := c.lease; old != nil && old.Address == l.Address {
		l.Obtained = old.Obtained
		c.bind(l)
		return []Action{{Kind: Renewed, Lease: l, Old: old}}
	}
	c.state, c.wake, c.pending = Checking, 0, l
	return []Action{{Kind: Obtained, Lease: l, Old: c.lease}}
}

// dropLease gives the lease up; its address is asked for again.
func (c *leasing) dropLease(reason string) Action {
	lost := Action{Kind: Lost, Old: c.lease, Reason: reason}
	c.wish, c.lease, c.pending = c.lease.Address.Addr(), nil, nil
	return lost
}

// setBack sets the timer after a refusal or a conflict: later with each one.
func (c *leasing) setBack(now, least, limit time.Duration) {
	c.wake = now + max(least, backoff(c.random, firstWait, limit, c.setbacks))
	c.setbacks++
}

// extendWait returns the wait after an unanswered attempt to extend a lease: half
// of what remains, at least a minute (RFC 2131 section 4.4.5), or a sixteenth of
// a lease too short for that.
func extendWait(random *rand.Rand, l *Lease, remains time.Duration) time.Duration {
	least := min(renewWait, max(shortestWait, (l.after(l.Lifetime)-l.Began)/16))
	wait := max(least, min(longestExtend, remains/2))
	return min(max(remains, 1), wait+time.Duration(random.Int64N(int64(least/4)+1)))
}

// backoff returns the wait before the next transmission: first, doubled with each
// transmission up to the limit, and up to a quarter more or less, so that clients
// that start together do not stay together (RFC 2131 section 4.1).
func backoff(random *rand.Rand, first, limit time.Duration, sent int) time.Duration {
	wait := min(limit, first<<min(sent, 16))
	return wait - wait/4 + time.Duration(random.Int64N(int64(wait/2)+1))
}
