package dhcp

import (
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"berth/specs"
)

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
	c.wake = now + extendWait(c.random, c.lease, until-now)
	return []Action{send}
}

func (c *Client4) broadcast(now time.Duration, m *dhcpv4.DHCPv4) []Action {
	c.wake = now + backoff(c.random, firstWait, longestWait4, c.sent)
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
		c.setBack(now, least, longestWait4)
		return declined
	}
	c.pause(now, least)
	return declined
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
