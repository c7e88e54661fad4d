package dhcp

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"berth/specs"
)

// Waits of DHCPv6 (RFC 8415 section 7.6), except for offersWait.
const (
	firstWait6    = time.Second       // SOL_TIMEOUT, REQ_TIMEOUT, CNF_TIMEOUT, INF_TIMEOUT
	longestWait6  = 120 * time.Second // below SOL_MAX_RT, because a container waits
	requests6     = 4                 // below REQ_MAX_RC, for the same reason
	confirms6     = 4
	informations6 = 2

	// offersWait is the time for which offers are collected after the first. RFC
	// 8415 section 18.2.1 waits a second; berth delays a container's start.
	offersWait = 100 * time.Millisecond
)

// Config6 is the configuration of a Client6.
type Config6 struct {
	MAC      specs.MAC
	DUID     []byte  // of this client
	IAID     [4]byte // of the interface
	Hostname string  // sent as option 39, or ""
	Random   *rand.Rand

	// Foreign is as in Config4.
	Foreign func(netip.Addr) string
}

// Client6 is a DHCPv6 client that asks for one non-temporary address (IA_NA).
type Client6 struct {
	cfg   Config6
	duid  dhcpv6.DUID
	state State
	wake  time.Duration // 0 if nothing is due
	xid   dhcpv6.TransactionID
	began time.Duration
	asked time.Duration // when the last message was sent that may yield a lease
	sent  int

	wish     netip.Addr
	offer    *offer6
	pending  *Lease
	lease    *Lease
	setbacks int
	seen     notes
	counts   Counts
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
	return &Client6{cfg: cfg, duid: duid, state: Init, counts: Counts{}}
}

// Resume6 returns a client that holds a lease of an earlier process. Call Tick.
func Resume6(cfg Config6, l *Lease) *Client6 {
	c := New6(cfg)
	c.bind(l)
	return c
}

// State implements [Client].
func (c *Client6) State() State { return c.state }

// Lease implements [Client].
func (c *Client6) Lease() *Lease { return c.lease }

// Seen implements [Client].
func (c *Client6) Seen() []string { return c.seen }

// Counts implements [Client].
func (c *Client6) Counts() Counts { return c.counts }

// Wake implements [Client].
func (c *Client6) Wake() (time.Duration, bool) { return c.wake, c.wake != 0 }

// Start implements [Client].
func (c *Client6) Start(now time.Duration, m Memory) []Action {
	c.wish, c.lease = m.Address, nil
	return c.solicit(now)
}

func (c *Client6) enter(now time.Duration, s State) {
	c.state, c.sent, c.began = s, 0, now
	n := c.cfg.Random.Uint32()
	c.xid = dhcpv6.TransactionID{byte(n >> 16), byte(n >> 8), byte(n)}
}

func (c *Client6) solicit(now time.Duration) []Action {
	if c.state != Selecting {
		c.enter(now, Selecting)
		c.offer = nil
	}
	return c.transmit(now, dhcpv6.MessageTypeSolicit, nil, c.wish)
}

// transmit sends a message to all servers and sets the time of the next one.
func (c *Client6) transmit(now time.Duration, t dhcpv6.MessageType, server *Lease, addr netip.Addr) []Action {
	c.wake = now + backoff(c.cfg.Random, firstWait6, longestWait6, c.sent)
	c.sent++
	c.asked = now
	return []Action{c.send(now, t, server, addr)}
}

// again sends the message of the current state.
func (c *Client6) again(now time.Duration) []Action {
	switch c.state {
	case Requesting:
		return c.transmit(now, dhcpv6.MessageTypeRequest, c.offer.Lease, c.offer.Address.Addr())
	case Confirming:
		return c.transmit(now, dhcpv6.MessageTypeConfirm, nil, c.lease.Address.Addr())
	case Informing:
		return c.transmit(now, dhcpv6.MessageTypeInformationRequest, nil, netip.Addr{})
	case Renewing:
		sent := c.transmit(now, dhcpv6.MessageTypeRenew, c.lease, c.lease.Address.Addr())
		c.wake = now + extendWait(c.cfg.Random, c.lease, c.t2()-now)
		return sent
	case Rebinding:
		sent := c.transmit(now, dhcpv6.MessageTypeRebind, nil, c.lease.Address.Addr())
		c.wake = now + extendWait(c.cfg.Random, c.lease, c.lease.after(c.lease.Lifetime)-now)
		return sent
	}
	return c.solicit(now)
}

// Tick implements [Client].
func (c *Client6) Tick(now time.Duration) []Action {
	if c.state == Stopped {
		return nil
	}
	if c.lease != nil {
		if ends, ok := c.lease.Ends(); ok && now >= ends {
			return c.lose(now, "the lease ended and no server extended it")
		}
	}
	if c.wake == 0 || now < c.wake {
		return nil
	}
	switch c.state {
	case Selecting:
		if c.offer != nil {
			return c.choose(now)
		}
	case Requesting:
		if c.sent >= requests6 {
			return c.giveUpOffer(now)
		}
	case Confirming:
		if c.sent >= confirms6 {
			c.bind(c.lease) // without an answer the lease holds for its rest (section 18.2.3)
			return c.Tick(now)
		}
	case Informing:
		if c.sent >= informations6 {
			return c.inform(nil)
		}
	case Bound, Renewing, Rebinding:
		return c.renew(now)
	case Checking:
		return nil
	}
	return c.again(now)
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

func (c *Client6) renew(now time.Duration) []Action {
	switch {
	case now >= c.t2() && c.state != Rebinding:
		c.enter(now, Rebinding)
	case now >= c.t1() && c.state == Bound:
		c.enter(now, Renewing)
	case c.state == Bound:
		c.wake = c.t1()
		return nil
	}
	return c.again(now)
}

func (c *Client6) t1() time.Duration { return c.lease.after(c.lease.T1) }
func (c *Client6) t2() time.Duration { return c.lease.after(c.lease.T2) }

// bind begins to use a lease.
func (c *Client6) bind(l *Lease) {
	c.state, c.lease, c.pending, c.offer = Bound, l, nil, nil
	c.wake = 0
	if l.T1 != specs.Forever {
		c.wake = max(1, c.t1())
	} else if ends, ok := l.Ends(); ok {
		c.wake = ends
	}
}

func (c *Client6) lose(now time.Duration, reason string) []Action {
	lost := Action{Kind: Lost, Old: c.lease, Reason: reason}
	c.wish, c.lease, c.pending, c.state = c.lease.Address.Addr(), nil, nil, Init
	return append([]Action{lost}, c.solicit(now)...)
}

// choose requests the best offer.
func (c *Client6) choose(now time.Duration) []Action {
	c.enter(now, Requesting)
	return c.again(now)
}

// Accept implements [Client].
func (c *Client6) Accept(now time.Duration) []Action {
	if c.state != Checking {
		return nil
	}
	c.setbacks, c.seen = 0, nil
	c.bind(c.pending)
	return nil
}

// Decline implements [Client].
func (c *Client6) Decline(now time.Duration) []Action {
	if c.state != Checking {
		return nil
	}
	l, old := c.pending, c.lease
	c.enter(now, Init)
	declined := []Action{c.send(now, dhcpv6.MessageTypeDecline, l, l.Address.Addr())}
	c.seen.add("%s leased %s, which another host has", l.Server, l.Address)
	c.pending, c.wish = nil, netip.Addr{}
	if old != nil {
		c.state = Rebinding
	}
	c.pause(now)
	return declined
}

// pause starts again after a while, longer with each setback.
func (c *Client6) pause(now time.Duration) {
	c.wake = now + backoff(c.cfg.Random, firstWait6, longestWait6, c.setbacks)
	c.setbacks++
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

// Release implements [Client].
func (c *Client6) Release(now time.Duration) []Action {
	l := c.lease
	c.enter(now, Stopped)
	c.wake, c.lease, c.pending = 0, nil, nil
	if l == nil {
		return nil
	}
	return []Action{c.send(now, dhcpv6.MessageTypeRelease, l, l.Address.Addr())}
}

// Receive implements [Client].
func (c *Client6) Receive(now time.Duration, p Packet) []Action {
	if p.Router {
		return c.routed(now, p)
	}
	if len(p.Payload) < 4 || len(p.Payload) > maxReply || [3]byte(p.Payload[1:]) != c.xid {
		return nil
	}
	m, err := dhcpv6.MessageFromBytes(p.Payload)
	if err != nil {
		c.seen.add("%s (%s) sent a message that cannot be read", p.From, p.MAC)
		return nil
	}
	if m.Options.ClientID() == nil || !m.Options.ClientID().Equal(c.duid) || m.Options.ServerID() == nil {
		return nil
	}
	switch t := m.MessageType; t {
	case dhcpv6.MessageTypeAdvertise, dhcpv6.MessageTypeReply:
		c.counts[typeName6(t)]++
	}
	switch m.MessageType {
	case dhcpv6.MessageTypeAdvertise:
		return c.offered(now, m, p)
	case dhcpv6.MessageTypeReply:
		return c.replied(now, m, p)
	}
	return nil
}

// routed takes the flags of a router advertisement (RFC 4861 section 4.2): without
// the flag M no addresses are available by DHCPv6 on this link, without O nothing
// else either.
func (c *Client6) routed(now time.Duration, p Packet) []Action {
	if c.state != Selecting || c.offer != nil || p.Managed {
		return nil
	}
	if !p.Other {
		return c.inform(nil)
	}
	c.enter(now, Informing)
	return c.again(now)
}

// inform ends the client, which gets no address.
func (c *Client6) inform(l *Lease) []Action {
	c.state, c.wake = Stopped, 0
	return []Action{{Kind: Unmanaged, Lease: l}}
}

func (c *Client6) offered(now time.Duration, m *dhcpv6.Message, p Packet) []Action {
	if c.state != Selecting {
		return nil
	}
	l, err := c.leaseOf(m, p)
	if err != nil {
		c.seen.add("%s (%s) made an offer: refused, %v", p.From, p.MAC, err)
		return nil
	}
	preference := m.Options.Preference()
	if c.offer == nil {
		c.wake = now + offersWait
	}
	if c.offer == nil || preference > c.offer.preference {
		c.offer = &offer6{l, preference}
	}
	if preference == 255 { // section 18.2.9
		return c.choose(now)
	}
	return nil
}

func (c *Client6) replied(now time.Duration, m *dhcpv6.Message, p Packet) []Action {
	switch c.state {
	case Informing:
		return c.inform(c.optionsOf(m, p))
	case Confirming:
		if status := m.Options.Status(); status != nil && status.StatusCode == iana.StatusNotOnLink {
			return c.lose(now, fmt.Sprintf("%s (%s) says that the address does not belong on this link", p.From, p.MAC))
		}
		c.bind(c.lease)
		return c.Tick(now)
	case Requesting, Renewing, Rebinding:
		return c.leased(now, m, p)
	}
	return nil
}

// leased takes the reply to a Request, Renew or Rebind.
func (c *Client6) leased(now time.Duration, m *dhcpv6.Message, p Packet) []Action {
	l, err := c.leaseOf(m, p)
	if err != nil {
		return c.refused(now, m, p, err)
	}
	l.Began = c.asked
	if old := c.lease; old != nil && old.Address == l.Address {
		l.Obtained = old.Obtained
		c.bind(l)
		return []Action{{Kind: Renewed, Lease: l, Old: old}}
	}
	c.state, c.wake, c.pending = Checking, 0, l
	if c.lease != nil {
		c.wake, _ = c.lease.Ends()
	}
	return []Action{{Kind: Obtained, Lease: l, Old: c.lease}}
}

// refused takes a reply without a usable lease (section 18.2.10.1).
func (c *Client6) refused(now time.Duration, m *dhcpv6.Message, p Packet, why error) []Action {
	c.seen.add("%s (%s) replied: refused, %v", p.From, p.MAC, why)
	status := statusOf(m, c.cfg.IAID)
	switch {
	case c.state == Requesting && c.lease == nil:
		c.state = Init
		c.pause(now)
	case c.state == Requesting:
		return c.giveUpOffer(now)
	case status == iana.StatusNoBinding:
		c.offer = &offer6{Lease: c.lease}
		if id, ok := serverID(m); ok {
			asked := *c.lease
			asked.ServerID = id
			c.offer.Lease = &asked
		}
		return c.choose(now)
	case ended(m, c.cfg.IAID, c.lease.Address.Addr()):
		return c.lose(now, fmt.Sprintf("%s (%s) ended the lease", p.From, p.MAC))
	}
	return nil
}
