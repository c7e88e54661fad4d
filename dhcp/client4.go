package dhcp

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"berth/specs"
)

// Waits of DHCPv4. RFC 2131 section 4.1 suggests 4 s before the first
// retransmission, for 10 Mb/s Ethernet; a container waits for its address, so the
// first wait is shorter.
const (
	firstWait4   = time.Second
	longestWait4 = 64 * time.Second
	requests4    = 4 // REQUESTs for an offer before the client starts again
	reboots4     = 2 // REQUESTs for a remembered lease before the client starts again
	renewWait    = time.Minute
	shortestWait = time.Second

	// longestExtend bounds the wait between two attempts to extend a long lease, so
	// that a server that was away is found again within the hour.
	longestExtend = time.Hour

	// declineWait is the pause after an address was declined (RFC 2131 section
	// 3.1, step 5). The first time, the pause is firstWait4: it is for loops.
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
	cfg   Config4
	state State
	wake  time.Duration // 0 if nothing is due
	xid   dhcpv4.TransactionID
	began time.Duration // of this attempt, for the field secs
	asked time.Duration // when the last REQUEST was sent
	sent  int           // messages of this state

	wish     netip.Addr // asked for in a DISCOVER or a REBOOTING request
	offer    *Lease     // of Requesting
	pending  *Lease     // of Checking
	lease    *Lease
	setbacks int // NAKs and conflicts since the last lease
	seen     notes
	counts   Counts
}

// New4 returns a client in the state Init.
func New4(cfg Config4) *Client4 { return &Client4{cfg: cfg, state: Init, counts: Counts{}} }

// Resume4 returns a client that holds a lease of an earlier process. Call Tick.
func Resume4(cfg Config4, l *Lease) *Client4 {
	c := New4(cfg)
	c.bind(l)
	return c
}

// State implements [Client].
func (c *Client4) State() State { return c.state }

// Lease implements [Client].
func (c *Client4) Lease() *Lease { return c.lease }

// Seen implements [Client].
func (c *Client4) Seen() []string { return c.seen }

// Counts implements [Client].
func (c *Client4) Counts() Counts { return c.counts }

// Wake implements [Client].
func (c *Client4) Wake() (time.Duration, bool) { return c.wake, c.wake != 0 }

// Start implements [Client].
func (c *Client4) Start(now time.Duration, m Memory) []Action {
	c.wish, c.lease = m.Address, nil
	if m.Held && m.Address.Is4() {
		c.enter(now, Rebooting)
		return c.request(now)
	}
	return c.discover(now)
}

// enter begins a state with a new transaction.
func (c *Client4) enter(now time.Duration, s State) {
	c.state, c.sent, c.began = s, 0, now
	c.newXID()
}

func (c *Client4) newXID() {
	n := c.cfg.Random.Uint32()
	c.xid = dhcpv4.TransactionID{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}

func (c *Client4) discover(now time.Duration) []Action {
	if c.state != Selecting {
		c.enter(now, Selecting)
	}
	m := c.message(now, dhcpv4.MessageTypeDiscover)
	if c.wish.Is4() {
		m.UpdateOption(dhcpv4.OptRequestedIPAddress(c.wish.AsSlice()))
	}
	return c.broadcast(now, m)
}

// request sends the REQUEST of the current state (RFC 2131 section 4.3.2, table 4).
func (c *Client4) request(now time.Duration) []Action {
	m := c.message(now, dhcpv4.MessageTypeRequest)
	c.asked = now
	switch c.state {
	case Requesting:
		m.UpdateOption(dhcpv4.OptRequestedIPAddress(c.offer.Address.Addr().AsSlice()))
		m.UpdateOption(dhcpv4.OptServerIdentifier(c.offer.Server.AsSlice()))
	case Rebooting:
		m.UpdateOption(dhcpv4.OptRequestedIPAddress(c.wish.AsSlice()))
	case Confirming:
		m.UpdateOption(dhcpv4.OptRequestedIPAddress(c.lease.Address.Addr().AsSlice()))
	case Renewing, Rebinding:
		m.ClientIPAddr = c.lease.Address.Addr().AsSlice()
		return c.extend(now, m)
	}
	return c.broadcast(now, m)
}

// extend sends a REQUEST for the lease in use: to its server, or from T2 on to all.
func (c *Client4) extend(now time.Duration, m *dhcpv4.DHCPv4) []Action {
	until := c.t2()
	send := Action{Kind: Send, Type: "request", From: c.lease.Address.Addr(), To: c.lease.Server, MAC: c.lease.ServerMAC}
	if c.state == Rebinding {
		until = c.lease.after(c.lease.Lifetime)
		send.To, send.MAC = limitedBroadcast, specs.MAC{}
	}
	send.Payload = m.ToBytes()
	c.counts[send.Type]++
	c.sent++
	c.wake = now + extendWait(c.cfg.Random, c.lease, until-now)
	return []Action{send}
}

// extendWait returns the wait after an unanswered attempt to extend a lease: half
// of what remains, at least a minute (RFC 2131 section 4.4.5), or a sixteenth of
// a lease too short for that.
func extendWait(random *rand.Rand, l *Lease, remains time.Duration) time.Duration {
	least := min(renewWait, max(shortestWait, (l.after(l.Lifetime)-l.Began)/16))
	wait := max(least, min(longestExtend, remains/2))
	return min(max(remains, 1), wait+time.Duration(random.Int64N(int64(least/4)+1)))
}

func (c *Client4) broadcast(now time.Duration, m *dhcpv4.DHCPv4) []Action {
	c.wake = now + backoff(c.cfg.Random, firstWait4, longestWait4, c.sent)
	c.sent++
	return []Action{c.send(m, limitedBroadcast, specs.MAC{})}
}

func (c *Client4) send(m *dhcpv4.DHCPv4, to netip.Addr, mac specs.MAC) Action {
	from, _ := netip.AddrFromSlice(m.ClientIPAddr.To4())
	if !from.IsValid() {
		from = netip.IPv4Unspecified()
	}
	c.counts[typeName4(m.MessageType())]++
	return Action{Kind: Send, Type: typeName4(m.MessageType()), Payload: m.ToBytes(), From: from, To: to, MAC: mac}
}

// Tick implements [Client].
func (c *Client4) Tick(now time.Duration) []Action {
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
	case Init, Selecting:
		return c.discover(now)
	case Requesting:
		return c.again(now, requests4)
	case Rebooting:
		return c.again(now, reboots4)
	case Confirming:
		if c.sent < reboots4 {
			return c.request(now)
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
	switch {
	case now >= c.t2() && c.state != Rebinding:
		c.enter(now, Rebinding)
	case now >= c.t1() && c.state == Bound:
		c.enter(now, Renewing)
	case c.state == Bound:
		c.wake = c.t1()
		return nil
	}
	return c.request(now)
}

func (c *Client4) t1() time.Duration { return c.lease.after(c.lease.T1) }
func (c *Client4) t2() time.Duration { return c.lease.after(c.lease.T2) }

// bind begins to use a lease.
func (c *Client4) bind(l *Lease) {
	c.state, c.lease, c.pending, c.offer = Bound, l, nil, nil
	c.wake = 0
	if l.Lifetime != specs.Forever {
		c.wake = max(1, c.t1())
	}
}

// lose gives the lease up and starts again.
func (c *Client4) lose(now time.Duration, reason string) []Action {
	lost := Action{Kind: Lost, Old: c.lease, Reason: reason}
	c.wish, c.lease, c.pending = c.lease.Address.Addr(), nil, nil
	return append([]Action{lost}, c.discover(now)...)
}

// pause starts again after a while, longer with each setback.
func (c *Client4) pause(now, least time.Duration) {
	c.state, c.wish = Init, netip.Addr{}
	c.wake = now + max(least, backoff(c.cfg.Random, firstWait4, longestWait4, c.setbacks))
	c.setbacks++
}

// Accept implements [Client].
func (c *Client4) Accept(now time.Duration) []Action {
	if c.state != Checking {
		return nil
	}
	c.setbacks, c.seen = 0, nil
	c.bind(c.pending)
	return nil
}

// Decline implements [Client].
func (c *Client4) Decline(now time.Duration) []Action {
	if c.state != Checking {
		return nil
	}
	l, least := c.pending, time.Duration(0)
	m := c.message(now, dhcpv4.MessageTypeDecline)
	m.UpdateOption(dhcpv4.OptRequestedIPAddress(l.Address.Addr().AsSlice()))
	m.UpdateOption(dhcpv4.OptServerIdentifier(l.Server.AsSlice()))
	c.seen.add("%s leased %s, which another host has", l.Server, l.Address)
	if c.setbacks > 0 {
		least = declineWait
	}
	c.pending = nil
	declined := []Action{c.send(m, limitedBroadcast, specs.MAC{})}
	if c.lease != nil { // a renewal brought another address; the old one holds for its rest
		c.bind(c.lease)
		if c.lease.Lifetime == specs.Forever {
			return declined
		}
		c.enter(now, Rebinding)
		c.wake = now + max(least, backoff(c.cfg.Random, firstWait4, longestWait4, c.setbacks))
		c.setbacks++
		return declined
	}
	c.pause(now, least)
	return declined
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

// Release implements [Client].
func (c *Client4) Release(now time.Duration) []Action {
	l := c.lease
	c.state, c.wake, c.lease, c.pending = Stopped, 0, nil, nil
	if l == nil {
		return nil
	}
	c.newXID()
	m := c.message(now, dhcpv4.MessageTypeRelease)
	m.NumSeconds, m.Flags = 0, 0
	m.ClientIPAddr = l.Address.Addr().AsSlice()
	m.UpdateOption(dhcpv4.OptServerIdentifier(l.Server.AsSlice()))
	return []Action{c.send(m, l.Server, l.ServerMAC)}
}

// ReleaseOf returns the RELEASE of a recorded lease.
func ReleaseOf(l *Lease, mac specs.MAC) (Action, error) {
	random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	id, err := hex.DecodeString(l.ClientID)
	if err != nil {
		return Action{}, fmt.Errorf("client id %q of the lease of %s: %w", l.ClientID, l.Address, err)
	}
	if l.Address.Addr().Is4() {
		return Resume4(Config4{MAC: mac, ClientID: id, Random: random}, l).Release(l.Began)[0], nil
	}
	return Resume6(Config6{MAC: mac, DUID: id, Random: random}, l).Release(l.Began)[0], nil
}

// Receive implements [Client].
func (c *Client4) Receive(now time.Duration, p Packet) []Action {
	if len(p.Payload) < 8 || len(p.Payload) > maxReply || [4]byte(p.Payload[4:]) != c.xid {
		return nil
	}
	m, err := parse4(p.Payload)
	if err != nil {
		c.seen.add("%s (%s) sent a message that cannot be read", p.From, p.MAC)
		return nil
	}
	if !c.isMine(m) {
		return nil
	}
	switch t := m.MessageType(); t {
	case dhcpv4.MessageTypeOffer, dhcpv4.MessageTypeAck, dhcpv4.MessageTypeNak:
		c.counts[typeName4(t)]++
	}
	switch m.MessageType() {
	case dhcpv4.MessageTypeOffer:
		return c.offered(now, m, p)
	case dhcpv4.MessageTypeAck:
		return c.acknowledged(now, m, p)
	case dhcpv4.MessageTypeNak:
		return c.refused(now, m, p)
	}
	return nil
}

// Offer returns the lease that a message offers, or the reason for refusing it. ok is
// false if the message is no offer to this client. The client's state does not change.
func (c *Client4) Offer(p Packet) (l *Lease, ok bool, err error) {
	if len(p.Payload) > maxReply {
		return nil, false, nil
	}
	m, err := parse4(p.Payload)
	if err != nil || !c.isMine(m) || m.MessageType() != dhcpv4.MessageTypeOffer {
		return nil, false, nil
	}
	l, err = c.leaseOf(m, p)
	return l, true, err
}

func (c *Client4) offered(now time.Duration, m *dhcpv4.DHCPv4, p Packet) []Action {
	if c.state != Selecting {
		return nil
	}
	l, err := c.leaseOf(m, p)
	if err != nil {
		c.seen.add("%s (%s) offered %s: refused, %v", sender(m, p), p.MAC, m.YourIPAddr, err)
		return nil
	}
	c.offer = l
	c.state, c.sent = Requesting, 0 // the transaction stays the same (section 4.4.1)
	return c.request(now)
}

func (c *Client4) acknowledged(now time.Duration, m *dhcpv4.DHCPv4, p Packet) []Action {
	switch c.state {
	case Requesting, Rebooting, Confirming, Renewing, Rebinding:
	default:
		return nil
	}
	l, err := c.leaseOf(m, p)
	if err == nil && c.state == Requesting && l.Server != c.offer.Server {
		return nil // of a server that was not chosen
	}
	if err != nil {
		c.seen.add("%s (%s) acknowledged %s: refused, %v", sender(m, p), p.MAC, m.YourIPAddr, err)
		return nil
	}
	l.Began = c.asked
	if old := c.lease; old != nil && old.Address == l.Address {
		l.Obtained = old.Obtained
		c.bind(l)
		return []Action{{Kind: Renewed, Lease: l, Old: old}}
	}
	c.state, c.wake, c.pending = Checking, 0, l
	if c.lease != nil {
		c.wake, _ = c.lease.Ends() // only Tick's look at the end of the lease
	}
	return []Action{{Kind: Obtained, Lease: l, Old: c.lease}}
}

func (c *Client4) refused(now time.Duration, m *dhcpv4.DHCPv4, p Packet) []Action {
	from := sender(m, p)
	said := fmt.Sprintf("%s (%s) refused the request (NAK)%s", from, p.MAC, said4(m))
	switch c.state {
	case Requesting:
		if from != c.offer.Server {
			return nil
		}
		c.seen.add("%s", said)
		c.pause(now, 0)
		return nil
	case Rebooting:
		c.seen.add("%s", said)
		c.wish = netip.Addr{}
		return c.discover(now)
	case Renewing:
		if from != c.lease.Server {
			return nil
		}
		return c.lose(now, said)
	case Confirming, Rebinding:
		return c.lose(now, said)
	}
	return nil
}
