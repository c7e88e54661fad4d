package dhcp

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"berth/specs"
)

// Waits of DHCPv4 (RFC 2131 section 4.1), and numbers of messages before the client starts again.
const (
	longestWait4 = 64 * time.Second
	requests4    = 4 // REQUESTs for an offer
	reboots4     = 2 // REQUESTs for a remembered lease

	// declineWait is the pause after an address was declined (RFC 2131 section
	// 3.1, step 5). The first time, the pause is firstWait: it is for loops.
	declineWait = 10 * time.Second
)

// Config4 is the configuration of a Client4.
type Config4 struct {
	MAC       specs.MAC
	ClientID  []byte // option 61, or empty for none
	Hostname  string // option 12, or ""
	Broadcast bool   // replies must be broadcast, because the interface shares its MAC
	Random    *rand.Rand

	// Foreign, if set, returns the reason for which an address cannot be this
	// client's, or "": it belongs to the host or to another container.
	Foreign func(netip.Addr) string
}

// Client4 is a DHCPv4 client.
type Client4 struct {
	leasing
	cfg   Config4
	xid   dhcpv4.TransactionID
	offer *Lease // of Requesting

	// refusal is the NAK of another server than the lease's, to a broadcast REQUEST. The lease, or
	// the remembered address, is lost by it only if its own server does not answer: on a LAN with
	// two servers, the other one refuses an address that it does not lease.
	refusal string
	server  netip.Addr // of the remembered lease, if known, for Rebooting
}

// New4 returns a client in the state Init.
func New4(cfg Config4) *Client4 { return &Client4{leasing: newLeasing(cfg.Random), cfg: cfg} }

// Resume4 returns a client that holds a lease of an earlier process. Call Tick.
func Resume4(cfg Config4, l *Lease) *Client4 {
	c := New4(cfg)
	c.bind(l)
	return c
}

// Start implements [Client].
func (c *Client4) Start(now time.Duration, m Memory) []Action {
	c.wish, c.lease, c.server = m.Address, nil, m.Server
	if m.Held && m.Address.Is4() {
		c.enter(now, Rebooting)
		return c.request(now)
	}
	return c.discover(now)
}

// enter begins a state with a new transaction.
func (c *Client4) enter(now time.Duration, s State) {
	c.state, c.sent, c.began, c.refusal = s, 0, now, ""
	c.newXID()
}

func (c *Client4) newXID() {
	n := c.random.Uint32()
	c.xid = dhcpv4.TransactionID{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}

// Tick implements [Client].
func (c *Client4) Tick(now time.Duration) []Action {
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
	case Init, Selecting:
		return c.discover(now)
	case Requesting:
		return c.again(now, requests4)
	case Rebooting:
		if c.refusal != "" {
			return c.discover(now)
		}
		return c.again(now, reboots4)
	case Confirming:
		if c.sent < reboots4 {
			return c.request(now)
		}
		if c.refusal != "" {
			return c.lose(now, c.refusal)
		}
		c.bind(c.lease) // without an answer the lease holds for its rest (RFC 2131 section 3.2)
		return c.Tick(now)
	case Bound, Renewing, Rebinding:
		return c.renew(now)
	}
	return nil
}

// again sends the REQUEST once more, or starts again after so many.
func (c *Client4) again(now time.Duration, most int) []Action {
	if c.sent < most {
		return c.request(now)
	}
	if c.state == Requesting {
		c.seen.add("%s offered %s and did not answer the request for it", c.offer.Server, c.offer.Address)
	}
	return c.discover(now)
}

// renew extends the lease, whose T1 or T2 has passed.
func (c *Client4) renew(now time.Duration) []Action {
	next, due := c.extending(now)
	if !due {
		return nil
	}
	if next != c.state {
		c.enter(now, next)
	}
	if c.refusal != "" {
		return c.lose(now, c.refusal)
	}
	return c.request(now)
}

// lose gives the lease up and starts again.
func (c *Client4) lose(now time.Duration, reason string) []Action {
	lost := c.dropLease(reason)
	return append([]Action{lost}, c.discover(now)...)
}

// pause starts again after a while, longer with each setback.
func (c *Client4) pause(now, least time.Duration) {
	c.state, c.wish = Init, netip.Addr{}
	c.setBack(now, least, longestWait4)
}

// LinkUp implements [Client]. The interface may be on another network now.
func (c *Client4) LinkUp(now time.Duration) []Action {
	switch c.state {
	case Bound, Renewing, Rebinding:
		c.enter(now, Confirming)
		return c.request(now)
	case Init, Selecting:
		c.enter(now, Selecting)
		return c.discover(now)
	}
	return nil
}
