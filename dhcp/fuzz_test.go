package dhcp

import (
	"encoding/hex"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"
)

// FuzzClient4 sends arbitrary replies to a client in every state; only the fields by
// which the client recognises its own are set. Whatever it takes for a lease must
// be one that an interface can have.
func FuzzClient4(f *testing.F) {
	c := newTest4()
	d, _ := dhcpv4.FromBytes(c.Start(0, Memory{})[0].Payload)
	f.Add(reply(d, offer, "192.0.2.10").Payload, reply(d, ack, "192.0.2.10").Payload)
	f.Add(reply(d, ack, "192.0.2.10", with(121, 0, 192, 0, 2, 1), with(52, 3)).Payload, reply(d, nak, "").Payload)
	f.Add([]byte{}, []byte{2, 1, 6})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		for _, begin := range []func() *Client4{
			newTest4, func() *Client4 { return boundAt(t, 0) },
		} {
			c := begin()
			if c.State() == Bound {
				c.Tick(41 * time.Second)
			} else {
				c.Start(0, Memory{Address: netip.MustParseAddr("192.0.2.7"), Held: len(first)%2 == 0})
			}
			for i, raw := range [][]byte{first, second, first} {
				b := append([]byte(nil), raw...)
				if len(b) > 240 {
					copy(b, []byte{2, 1, 6})
					copy(b[4:], c.xid[:])
					copy(b[28:], testMAC[:])
					copy(b[236:], []byte{99, 130, 83, 99})
				}
				now := time.Duration(42+i) * time.Second
				for _, a := range c.Receive(now, Packet{From: testServer.From, MAC: testServer.MAC, Payload: b}) {
					checkAction(t, a, netip.Addr.Is4)
					if a.Kind == Obtained {
						c.Accept(now)
					}
				}
				for _, a := range c.Tick(now) {
					checkAction(t, a, netip.Addr.Is4)
				}
			}
		}
	})
}

// FuzzClient6 is FuzzClient4 for DHCPv6.
func FuzzClient6(f *testing.F) {
	c := newTest6()
	s, _ := dhcpv6.MessageFromBytes(c.Start(0, Memory{})[0].Payload)
	f.Add(reply6(s, advertise, addr6, 9, success).Payload, reply6(s, answer, addr6, 9, success).Payload)
	f.Add([]byte{}, []byte{7, 0, 0, 0})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		for _, c := range []*Client6{newTest6(), boundAt6(t, 0)} {
			if c.State() == Bound {
				c.Tick(60 * time.Second)
			} else {
				c.Start(0, Memory{})
			}
			for i, raw := range [][]byte{first, second, first} {
				b := append([]byte(nil), raw...)
				if len(b) > 4 {
					copy(b[1:], c.xid[:])
				}
				now := time.Duration(61+i) * time.Second
				for _, a := range append(c.Receive(now, Packet{From: testServer6.From, Payload: b}), c.Tick(now)...) {
					checkAction(t, a, netip.Addr.Is6)
					switch {
					case a.Kind == Obtained && i == 1:
						endsAfterNonsense(t, c, now, c.Decline(now), b)
					case a.Kind == Obtained:
						c.Accept(now)
					}
				}
			}
			endsAfterNonsense(t, c, 70*time.Second, c.Release(70*time.Second), first)
			if c.State() != Stopped {
				t.Fatalf("released, state %s", c.State())
			}
		}
	})
}

// endsAfterNonsense fails if a client that declines or releases does not end that, with at most one
// repetition, while a server answers with an arbitrary message.
func endsAfterNonsense(t *testing.T, c *Client6, now time.Duration, sent []Action, answer []byte) {
	t.Helper()
	for range 4 {
		for _, a := range sent {
			checkAction(t, a, netip.Addr.Is6)
		}
		if c.State() != Declining && c.State() != Releasing {
			return
		}
		b := append([]byte(nil), answer...)
		if len(b) > 4 {
			copy(b[1:], c.xid[:])
		}
		now += 4 * time.Second
		sent = append(c.Receive(now, Packet{From: testServer6.From, Payload: b}), c.Tick(now)...)
	}
	t.Fatalf("still %s after four messages", c.State())
}

// checkAction fails if an action is not one that the caller can carry out.
func checkAction(t *testing.T, a Action, ofFamily func(netip.Addr) bool) {
	t.Helper()
	if a.Kind == Send && (!ofFamily(a.To) || !ofFamily(a.From) || len(a.Payload) == 0 || a.Type == "") {
		t.Fatalf("sends %+v", a)
	}
	if a.Kind != Obtained && a.Kind != Renewed {
		return
	}
	l := a.Lease
	switch addr := l.Address.Addr(); {
	case !l.Address.IsValid(), !ofFamily(addr), addr.IsMulticast(), addr.IsLoopback(), addr.IsUnspecified(), addr.IsLinkLocalUnicast():
		t.Fatalf("address of %+v", l)
	case l.Lifetime == 0, l.T1 > l.T2, l.T2 > l.Lifetime, l.Preferred > l.Lifetime:
		t.Fatalf("times of %+v", l)
	case len(l.Routers) > maxServers, len(l.Routes) > maxRoutes, len(l.DNS) > maxServers, len(l.Search) > maxDomains, len(l.Domain) > maxDomain:
		t.Fatalf("too much in %+v", l)
	}
	for _, r := range l.Routes {
		if r.To != r.To.Masked() || r.Via == l.Address.Addr() || r.Via.IsValid() && r.Via.IsMulticast() {
			t.Fatalf("route %+v of %+v", r, l)
		}
	}
	if gw := l.Gateway(); gw.IsValid() && (gw == l.Address.Addr() || gw.IsMulticast() || gw.IsLoopback()) {
		t.Fatalf("gateway of %+v", l)
	}
	if _, err := hex.DecodeString(l.ClientID); err != nil {
		t.Fatal(err)
	}
}
