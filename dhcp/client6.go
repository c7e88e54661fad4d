package dhcp

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"berth/specs"
)

// Waits of DHCPv6 (RFC 8415 section 7.6), except for offersWait.
const (
	longestWait6 = 120 * time.Second // below SOL_MAX_RT, because a container waits
	// offersWait is the time for which offers are collected after the first. RFC
	// 8415 section 18.2.1 waits a second; berth delays a container's start.
	offersWait = 100 * time.Millisecond

	// releaseWait is below REL_TIMEOUT, because a container's end waits.
	releaseWait = 80 * time.Millisecond
)

// transmissions6 are the numbers of messages in a state without an answer. They are below
// REQ_MAX_RC, DEC_MAX_RC and REL_MAX_RC, because a container's start or end waits. An address that
// no server takes back is free when its lease ends.
var transmissions6 = map[State]int{Requesting: 4, Confirming: 4, Informing: 2, Declining: 2, Releasing: 2}

// Config6 is the configuration of a Client6.
type Config6 struct {
	MAC      specs.MAC
	DUID     []byte     // of this client
	IAID     [4]byte    // of the interface
	Hostname string     // sent as option 39, or ""
	From     netip.Addr // the source of messages; the link-local address of MAC if not set
	Random   *rand.Rand

	// Foreign is as in Config4.
	Foreign func(netip.Addr) string
}

// Client6 is a DHCPv6 client that asks for one non-temporary address (IA_NA).
type Client6 struct {
	leasing
	cfg   Config6
	duid  dhcpv6.DUID
	xid   dhcpv6.TransactionID
	offer *offer6 // the best so far
}

// offer6 is the best offer so far.
type offer6 struct {
	*Lease
	preference uint8
}

// New6 returns a client in the state Init.
func New6(cfg Config6) *Client6 {
	duid, err := dhcpv6.DUIDFromBytes(cfg.DUID)
	if err != nil {
		duid = &dhcpv6.DUIDOpaque{Data: cfg.DUID}
	}
	return &Client6{leasing: newLeasing(cfg.Random), cfg: cfg, duid: duid}
}

// Resume6 returns a client that holds a lease of an earlier process. Call Tick.
func Resume6(cfg Config6, l *Lease) *Client6 {
	c := New6(cfg)
	c.bind(l)
	return c
}

// Start implements [Client].
func (c *Client6) Start(now time.Duration, m Memory) []Action {
	c.wish, c.lease = m.Address, nil
	return c.solicit(now)
}

func (c *Client6) enter(now time.Duration, s State) {
	c.state, c.sent, c.began = s, 0, now
	n := c.random.Uint32()
	c.xid = dhcpv6.TransactionID{byte(n >> 16), byte(n >> 8), byte(n)}
}

// Tick implements [Client].
func (c *Client6) Tick(now time.Duration) []Action {
	if c.state == Stopped {
		return nil
	}
	if c.hasEnded(now) {
		return c.lose(now, "the lease ended and no server extended it")
	}
	if c.wake == 0 || now < c.wake {
		return nil
	}
	switch c.state {
	case Selecting:
		if c.offer != nil {
			return c.choose(now)
		}
	case Bound, Renewing, Rebinding:
		return c.renew(now)
	case Checking:
		return nil
	}
	if most, ok := transmissions6[c.state]; ok && c.sent >= most {
		return c.unanswered(now)
	}
	return c.again(now)
}

// unanswered goes on after the last message of a state has had no answer.
func (c *Client6) unanswered(now time.Duration) []Action {
	switch c.state {
	case Requesting:
		return c.giveUpOffer(now)
	case Confirming: // without an answer the lease holds for its rest (section 18.2.3)
		c.bind(c.lease)
		return c.Tick(now)
	case Informing:
		return c.inform(nil)
	case Declining:
		return c.endDecline(now)
	}
	return c.stop() // of Releasing
}

// giveUpOffer starts again after an offer that its server does not honour. A lease
// in use is kept for its rest.
func (c *Client6) giveUpOffer(now time.Duration) []Action {
	c.seen.add("%s offered %s and did not answer the request for it", c.offer.Server, c.offer.Address)
	if c.lease != nil {
		c.enter(now, Rebinding)
		return c.again(now)
	}
	c.state = Init
	return c.solicit(now)
}

// renew extends the lease, whose T1 or T2 has passed.
func (c *Client6) renew(now time.Duration) []Action {
	next, due := c.extending(now)
	if !due {
		return nil
	}
	if next != c.state {
		c.enter(now, next)
	}
	return c.again(now)
}

// lose gives the lease up and starts again.
func (c *Client6) lose(now time.Duration, reason string) []Action {
	lost := c.dropLease(reason)
	c.state = Init
	return append([]Action{lost}, c.solicit(now)...)
}

// choose requests the best offer.
func (c *Client6) choose(now time.Duration) []Action {
	c.enter(now, Requesting)
	return c.again(now)
}

// LinkUp implements [Client].
func (c *Client6) LinkUp(now time.Duration) []Action {
	switch c.state {
	case Bound, Renewing, Rebinding:
		c.enter(now, Confirming)
		return c.again(now)
	case Init, Selecting:
		c.state = Init
		return c.solicit(now)
	}
	return nil
}
