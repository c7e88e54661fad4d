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
	case Declining:
		return c.transmit(now, dhcpv6.MessageTypeDecline, c.pending, c.pending.Address.Addr())
	case Releasing:
		sent := c.transmit(now, dhcpv6.MessageTypeRelease, c.pending, c.pending.Address.Addr())
		c.wake = now + backoff(c.random, releaseWait, longestWait6, c.sent-1)
		return sent
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

// Decline implements [Client]. The message is repeated until a server confirms it (section 18.2.8).
func (c *Client6) Decline(now time.Duration) []Action {
	if c.state != Checking {
		return nil
	}
	c.seen.add("%s leased %s, which another host has", c.pending.Server, c.pending.Address)
	c.wish = netip.Addr{}
	c.enter(now, Declining)
	return c.again(now)
}

// endDecline goes on after an address was declined: with the lease in use, or with a new
// Solicit after a pause.
func (c *Client6) endDecline(now time.Duration) []Action {
	next := Init
	if c.lease != nil {
		next = Rebinding
	}
	c.pending = nil
	c.enter(now, next)
	c.setBack(now, 0, longestWait6)
	return nil
}

// Release implements [Client]. The message is repeated until a server confirms it (section 18.2.7).
func (c *Client6) Release(now time.Duration) []Action {
	l := c.lease
	c.lease, c.pending = nil, l
	if l == nil {
		return c.stop()
	}
	c.enter(now, Releasing)
	return c.again(now)
}

// stop ends the client.
func (c *Client6) stop() []Action {
	c.state, c.wake, c.pending = Stopped, 0, nil
	return nil
}
