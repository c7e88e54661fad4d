package dhcp

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	"berth/specs"
)

func TestOptions(t *testing.T) {
	t.Parallel()
	c := boundAt(t, 0,
		with(3, 192, 0, 2, 10, 192, 0, 2, 255, 0, 0, 0, 0, 198, 51, 100, 1, 192, 0, 2, 1, 192, 0, 2, 1),
		with(6, 192, 0, 2, 53, 255, 255, 255, 255, 192, 0, 2), with(15, []byte("example.net.\x00")...), with(26, 5, 120), // 1400
		with(121, 0, 192, 0, 2, 2, 24, 198, 51, 100, 192, 0, 2, 3, 8, 127, 192, 0, 2, 3, 32, 203, 0, 113, 9, 0, 0, 0, 0))
	l := c.Lease()
	if want := []netip.Addr{netip.MustParseAddr("198.51.100.1"), testServer.From}; !slices.Equal(l.Routers, want) {
		t.Errorf("routers %v, want %v", l.Routers, want)
	}
	if !slices.Equal(l.DNS, []netip.Addr{netip.MustParseAddr("192.0.2.53")}) || l.Domain != "example.net" || l.MTU != 1400 {
		t.Errorf("DNS %v, domain %q, MTU %d", l.DNS, l.Domain, l.MTU)
	}
	want := []specs.Route{
		{To: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr("192.0.2.2")},
		{To: netip.MustParsePrefix("198.51.100.0/24"), Via: netip.MustParseAddr("192.0.2.3")},
		{To: netip.MustParsePrefix("203.0.113.9/32")},
	}
	if !slices.Equal(l.Routes, want) || l.Gateway() != want[0].Via {
		t.Errorf("routes %v via %s, want %v", l.Routes, l.Gateway(), want)
	}
	if l := boundAt(t, 0, with(121, 33, 1, 2)).Lease(); len(l.Routes) > 0 || l.Gateway() != testServer.From {
		t.Errorf("of unreadable routes %v via %s", l.Routes, l.Gateway())
	}
	if l := boundAt(t, 0, with(33, 198, 51, 100, 9, 192, 0, 2, 4, 0, 0, 0, 0, 192, 0, 2, 4)).Lease(); len(l.Routes) != 1 || l.Gateway() != testServer.From {
		t.Errorf("of option 33 %v via %s", l.Routes, l.Gateway())
	}
	if l := boundAt(t, 0, with(26, 0, 68)).Lease(); l.MTU != 0 {
		t.Errorf("MTU %d", l.MTU)
	}
}

// TestManyOptions takes a message with 300 options, and with options in the fields
// file and sname (option 52).
func TestManyOptions(t *testing.T) {
	t.Parallel()
	c := newTest4()
	d := sentBy(t, c.Start(0, Memory{}))
	p := reply(d, offer, "192.0.2.10", without(51), with(52, 3))
	copy(p.Payload[44:], []byte{58, 4, 0, 0, 0, 9, 255})
	copy(p.Payload[108:], []byte{51, 4, 0, 0, 0, 90, 255})
	p.Payload = p.Payload[:bytes.LastIndexByte(p.Payload, 255)]
	for range 300 {
		p.Payload = append(p.Payload, 224, 1, 7)
	}
	p.Payload = append(p.Payload, 255)
	c.Receive(0, p)
	if c.State() != Requesting || c.offer.Lifetime != 90 || c.offer.T1 != 9 {
		t.Errorf("state %s, offer %+v, seen %q", c.State(), c.offer, c.Seen())
	}
}

// TestDomainsTakeNoTime takes a reply whose domains refer to each other so often that
// the codec would work for minutes.
func TestDomainsTakeNoTime(t *testing.T) {
	t.Parallel()
	domains := append(bytes.Repeat([]byte{1, 'a'}, 5000), 0)
	for _, pointers := range []int{300, 20_000} {
		c := newTest4()
		d := sentBy(t, c.Start(0, Memory{}))
		names := append(domains[len(domains)-601:], bytes.Repeat([]byte{0xc0, 0}, pointers)...)
		done := make(chan struct{})
		go func() {
			c.Receive(0, reply(d, offer, "192.0.2.10", with(119, names...)))
			close(done)
		}()
		select {
		case <-done:
		case <-time.After(time.Minute):
			t.Fatalf("a reply with %d pointers is not read in a minute", pointers)
		}
	}
}
