package dhcp

import (
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
)

func (c *Client6) solicit(now time.Duration) []Action {
	if c.state != Selecting {
		c.enter(now, Selecting)
		c.offer = nil
	}
	return c.transmit(now, dhcpv6.MessageTypeSolicit, nil, c.wish)
}

// transmit sends a message to all servers and sets the time of the next one.
func (c *Client6) transmit(now time.Duration, t dhcpv6.MessageType, server *Lease, addr netip.Addr) []Action {
	c.wake = now + backoff(c.random, firstWait, longestWait6, c.sent)
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
		c.wake = now + extendWait(c.random, c.lease, c.t2()-now)
		return sent
	case Rebinding:
		sent := c.transmit(now, dhcpv6.MessageTypeRebind, nil, c.lease.Address.Addr())
		c.wake = now + extendWait(c.random, c.lease, c.lease.after(c.lease.Lifetime)-now)
		return sent
	}
	return c.solicit(now)
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
	c.setBack(now, 0, longestWait6)
	return declined
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
