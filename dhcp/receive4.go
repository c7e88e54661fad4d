package dhcp

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

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
	return c.take(l)
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
		if c.server.IsValid() && from != c.server {
			c.refusal = said
			return nil
		}
		c.wish = netip.Addr{}
		return c.discover(now)
	case Renewing, Confirming, Rebinding:
		if from == c.lease.Server {
			return c.lose(now, said)
		}
		if c.state != Renewing {
			c.refusal = said
		}
	}
	return nil
}
