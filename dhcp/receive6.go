package dhcp

import (
	"fmt"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
)

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
	if !c.isMine(m) {
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

// isMine reports whether a message is a server's answer to this client.
func (c *Client6) isMine(m *dhcpv6.Message) bool {
	id := m.Options.ClientID()
	return m.TransactionID == c.xid && id != nil && id.Equal(c.duid) && m.Options.ServerID() != nil
}

// Offer is [Client4.Offer].
func (c *Client6) Offer(p Packet) (l *Lease, ok bool, err error) {
	if p.Router || len(p.Payload) > maxReply {
		return nil, false, nil
	}
	m, err := dhcpv6.MessageFromBytes(p.Payload)
	if err != nil || !c.isMine(m) || m.MessageType != dhcpv6.MessageTypeAdvertise {
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
	case Declining: // completed, with whichever status (section 18.2.10.2)
		return c.endDecline(now)
	case Releasing:
		return c.stop()
	}
	return nil
}

// leased takes the reply to a Request, Renew or Rebind.
func (c *Client6) leased(now time.Duration, m *dhcpv6.Message, p Packet) []Action {
	l, err := c.leaseOf(m, p)
	if err != nil {
		return c.refused(now, m, p, err)
	}
	return c.take(l)
}

// refused takes a reply without a usable lease (section 18.2.10.1).
func (c *Client6) refused(now time.Duration, m *dhcpv6.Message, p Packet, why error) []Action {
	c.seen.add("%s (%s) replied: refused, %v", p.From, p.MAC, why)
	status := statusOf(m, c.cfg.IAID)
	switch {
	case c.state == Requesting && c.lease == nil:
		c.state = Init
		c.setBack(now, 0, longestWait6)
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
