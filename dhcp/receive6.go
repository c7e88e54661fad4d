package dhcp

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"time"

	"berth/dhcp/wire"
)

// Receive implements [Client].
func (c *Client6) Receive(now time.Duration, p Packet) []Action {
	if p.Router {
		return c.routed(now, p)
	}
	if len(p.Payload) < 4 || len(p.Payload) > maxReply || [3]byte(p.Payload[1:]) != c.xid {
		return nil
	}
	m, err := wire.Parse6(p.Payload)
	if err != nil {
		c.seen.add("%s (%s) sent a message that cannot be read", p.From, p.MAC)
		return nil
	}
	if !c.isMine(m) {
		return nil
	}
	switch m.Type {
	case wire.Advertise, wire.Reply:
		c.counts[m.Type.String()]++
	}
	switch m.Type {
	case wire.Advertise:
		return c.offered(now, m, p)
	case wire.Reply:
		return c.replied(now, m, p)
	}
	return nil
}

// isMine reports whether a message is a server's answer to this client.
func (c *Client6) isMine(m *wire.Message6) bool {
	return m.XID == c.xid && m.Client != nil && bytes.Equal(m.Client, c.cfg.DUID) && m.Server != nil
}

// Offer is [Client4.Offer].
func (c *Client6) Offer(p Packet) (l *Lease, ok bool, err error) {
	if p.Router || len(p.Payload) > maxReply {
		return nil, false, nil
	}
	m, err := wire.Parse6(p.Payload)
	if err != nil || !c.isMine(m) || m.Type != wire.Advertise {
		return nil, false, nil
	}
	l, err = c.leaseOf(m, p)
	return l, true, err
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

func (c *Client6) offered(now time.Duration, m *wire.Message6, p Packet) []Action {
	if c.state != Selecting {
		return nil
	}
	l, err := c.leaseOf(m, p)
	if err != nil {
		c.seen.add("%s (%s) made an offer: refused, %v", p.From, p.MAC, err)
		return nil
	}
	if c.offer == nil {
		c.wake = now + offersWait
	}
	if c.offer == nil || m.Preference > c.offer.preference {
		c.offer = &offer6{l, m.Preference}
	}
	if m.Preference == 255 { // section 18.2.9
		return c.choose(now)
	}
	return nil
}

func (c *Client6) replied(now time.Duration, m *wire.Message6, p Packet) []Action {
	switch c.state {
	case Informing:
		return c.inform(c.optionsOf(m, p))
	case Confirming:
		if m.Status != nil && m.Status.Code == wire.NotOnLink {
			return c.lose(now, fmt.Sprintf("%s (%s) says that the address does not belong on this link", p.From, p.MAC))
		}
		c.bind(c.lease)
		return c.Tick(now)
	case Requesting, Renewing, Rebinding:
		return c.leased(now, m, p)
	case Declining: // completed, with whichever status (section 18.2.10.2)
		return c.endDecline(now)
	case Releasing:
		return c.stop()
	}
	return nil
}

// leased takes the reply to a Request, Renew or Rebind.
func (c *Client6) leased(now time.Duration, m *wire.Message6, p Packet) []Action {
	l, err := c.leaseOf(m, p)
	if err != nil {
		return c.refused(now, m, p, err)
	}
	return c.take(l)
}

// refused takes a reply without a usable lease (section 18.2.10.1).
func (c *Client6) refused(now time.Duration, m *wire.Message6, p Packet, why error) []Action {
	c.seen.add("%s (%s) replied: refused, %v", p.From, p.MAC, why)
	status := statusOf(m, c.cfg.IAID)
	switch {
	case c.state == Requesting && c.lease == nil:
		c.state = Init
		c.setBack(now, 0, longestWait6)
	case c.state == Requesting:
		return c.giveUpOffer(now)
	case status == wire.NoBinding:
		asked := *c.lease
		asked.ServerID = hex.EncodeToString(m.Server)
		c.offer = &offer6{Lease: &asked}
		return c.choose(now)
	case ended(m, c.cfg.IAID, c.lease.Address.Addr()):
		return c.lose(now, fmt.Sprintf("%s (%s) ended the lease", p.From, p.MAC))
	}
	return nil
}
