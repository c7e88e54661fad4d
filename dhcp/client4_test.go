package dhcp

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"berth/specs"
)

var (
	testMAC    = specs.MAC{2, 0, 0, 0, 0, 1}
	testServer = Packet{From: netip.MustParseAddr("192.0.2.1"), MAC: specs.MAC{2, 0, 0, 0, 0, 0xfe}}
)

func newTest4() *Client4 {
	return New4(Config4{MAC: testMAC, ClientID: append([]byte{1}, testMAC[:]...), Hostname: "web", Random: rand.New(rand.NewPCG(1, 2))})
}

// sentBy returns the only message among actions.
func sentBy(t *testing.T, all []Action) *dhcpv4.DHCPv4 {
	t.Helper()
	var found *dhcpv4.DHCPv4
	for _, a := range all {
		if a.Kind != Send {
			continue
		}
		m, err := dhcpv4.FromBytes(a.Payload)
		if err != nil || found != nil {
			t.Fatalf("actions %+v: %v", all, err)
		}
		found = m
	}
	if found == nil {
		t.Fatalf("no message among %+v", all)
	}
	return found
}

type option func(*dhcpv4.DHCPv4)

func with(code uint8, value ...byte) option {
	return func(m *dhcpv4.DHCPv4) {
		m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(code), value))
	}
}

func without(code uint8) option {
	return func(m *dhcpv4.DHCPv4) { m.DeleteOption(dhcpv4.GenericOptionCode(code)) }
}

// reply returns the answer of a server to a message.
func reply(to *dhcpv4.DHCPv4, t dhcpv4.MessageType, addr string, options ...option) Packet {
	m, err := dhcpv4.NewReplyFromRequest(to, dhcpv4.WithMessageType(t), dhcpv4.WithServerIP(net.IPv4(192, 0, 2, 1)),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(192, 0, 2, 1))))
	if err != nil {
		panic(err)
	}
	m.ServerIPAddr = net.IPv4zero
	if t != dhcpv4.MessageTypeNak {
		m.YourIPAddr = net.ParseIP(addr)
		for _, o := range []option{with(51, 0, 0, 0, 80), with(1, 255, 255, 255, 0), with(3, 192, 0, 2, 1)} {
			o(m)
		}
	}
	for _, o := range options {
		o(m)
	}
	p := testServer
	p.Payload = m.ToBytes()
	return p
}

const (
	offer = dhcpv4.MessageTypeOffer
	ack   = dhcpv4.MessageTypeAck
	nak   = dhcpv4.MessageTypeNak
)

// boundAt returns a client that got its lease at a time.
func boundAt(t *testing.T, now time.Duration, options ...option) *Client4 {
	t.Helper()
	c := newTest4()
	discover := sentBy(t, c.Start(now, Memory{}))
	request := sentBy(t, c.Receive(now, reply(discover, offer, "192.0.2.10", options...)))
	got := c.Receive(now, reply(request, ack, "192.0.2.10", options...))
	if len(got) != 1 || got[0].Kind != Obtained {
		t.Fatalf("after the ACK: %+v; seen %q", got, c.Seen())
	}
	c.Accept(now)
	if c.State() != Bound {
		t.Fatalf("state %s", c.State())
	}
	return c
}

func TestMessagesAreAsTheTableOfRFC2131(t *testing.T) {
	t.Parallel()
	c := newTest4()
	d := sentBy(t, c.Start(time.Second, Memory{Address: netip.MustParseAddr("192.0.2.77")}))
	if d.MessageType() != dhcpv4.MessageTypeDiscover || !d.ClientIPAddr.IsUnspecified() ||
		d.RequestedIPAddress().String() != "192.0.2.77" || d.HostName() != "web" || d.Flags != 0 {
		t.Errorf("DISCOVER %s", d.Summary())
	}
	r := sentBy(t, c.Receive(2*time.Second, reply(d, offer, "192.0.2.10")))
	if r.TransactionID != d.TransactionID || r.NumSeconds != 1 || r.RequestedIPAddress().String() != "192.0.2.10" ||
		r.ServerIdentifier().String() != "192.0.2.1" || !r.ClientIPAddr.IsUnspecified() {
		t.Errorf("REQUEST of an offer %s", r.Summary())
	}
	c.Receive(2*time.Second, reply(r, ack, "192.0.2.10"))
	c.Accept(3 * time.Second)
	if l := c.Lease(); l.Began != 2*time.Second || l.T1 != 40 || l.T2 != 70 || l.Lifetime != 80 || l.Gateway() != testServer.From {
		t.Errorf("lease %+v", l)
	}
	out := c.Tick(42 * time.Second)
	r = sentBy(t, out)
	if c.State() != Renewing || out[0].To != testServer.From || out[0].MAC != testServer.MAC || out[0].From.String() != "192.0.2.10" ||
		r.ClientIPAddr.String() != "192.0.2.10" || r.RequestedIPAddress() != nil || r.ServerIdentifier() != nil {
		t.Errorf("REQUEST of RENEWING %+v %s", out[0], r.Summary())
	}
	out = c.Tick(72 * time.Second)
	r = sentBy(t, out)
	if c.State() != Rebinding || out[0].To != limitedBroadcast || r.ServerIdentifier() != nil {
		t.Errorf("REQUEST of REBINDING %+v %s", out[0], r.Summary())
	}
	got := c.Receive(73*time.Second, reply(r, ack, "192.0.2.10"))
	if len(got) != 1 || got[0].Kind != Renewed || c.Lease().Began != 72*time.Second || c.State() != Bound {
		t.Errorf("after the ACK: %+v", got)
	}
	out = c.Release(80 * time.Second)
	r = sentBy(t, out)
	if r.MessageType() != dhcpv4.MessageTypeRelease || r.ClientIPAddr.String() != "192.0.2.10" || out[0].From.String() != "192.0.2.10" ||
		r.ServerIdentifier().String() != "192.0.2.1" || out[0].To != testServer.From {
		t.Errorf("RELEASE %+v %s", out[0], r.Summary())
	}
	if len(c.Tick(time.Hour)) > 0 {
		t.Error("a message after RELEASE")
	}
}

func TestRemembered(t *testing.T) {
	t.Parallel()
	m := Memory{Address: netip.MustParseAddr("192.0.2.10"), Held: true}
	c := newTest4()
	r := sentBy(t, c.Start(0, m))
	if c.State() != Rebooting || r.RequestedIPAddress().String() != "192.0.2.10" || r.ServerIdentifier() != nil || !r.ClientIPAddr.IsUnspecified() {
		t.Errorf("REQUEST of INIT-REBOOT %s", r.Summary())
	}
	if got := c.Receive(0, reply(r, ack, "192.0.2.10")); len(got) != 1 || got[0].Kind != Obtained {
		t.Errorf("after the ACK: %+v", got)
	}
	c = newTest4()
	r = sentBy(t, c.Start(0, m))
	d := sentBy(t, c.Receive(0, reply(r, nak, "", with(56, []byte("not yours\x1b[31m")...))))
	if d.MessageType() != dhcpv4.MessageTypeDiscover || d.RequestedIPAddress() != nil {
		t.Errorf("after the NAK %s", d.Summary())
	}
	if seen := strings.Join(c.Seen(), "\n"); !strings.Contains(seen, "NAK") || !strings.Contains(seen, "not yours") || strings.Contains(seen, "\x1b") {
		t.Errorf("seen %q", seen)
	}
	c = newTest4()
	sentBy(t, c.Start(0, m))
	for range reboots4 { // no server knows the lease
		at, _ := c.Wake()
		d = sentBy(t, c.Tick(at))
	}
	if d.MessageType() != dhcpv4.MessageTypeDiscover || d.RequestedIPAddress() == nil {
		t.Errorf("without an answer %s", d.Summary())
	}
}

// TestNonsenseIsRefused lists replies that must not become a lease.
func TestNonsenseIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		addr    string
		options []option
	}{
		"no address":         {addr: "0.0.0.0"},
		"loopback":           {addr: "127.0.0.5"},
		"multicast":          {addr: "224.0.0.5"},
		"broadcast":          {addr: "255.255.255.255"},
		"link-local":         {addr: "169.254.1.1"},
		"network's own":      {addr: "192.0.2.0"},
		"subnet broadcast":   {addr: "192.0.2.255"},
		"the server's":       {addr: "192.0.2.1"},
		"lease of 0 s":       {addr: "192.0.2.10", options: []option{with(51, 0, 0, 0, 0)}},
		"no lease time":      {addr: "192.0.2.10", options: []option{without(51)}},
		"short lease time":   {addr: "192.0.2.10", options: []option{with(51, 1)}},
		"no server":          {addr: "192.0.2.10", options: []option{without(54)}},
		"server 0":           {addr: "192.0.2.10", options: []option{with(54, 0, 0, 0, 0)}},
		"server multicast":   {addr: "192.0.2.10", options: []option{with(54, 224, 0, 0, 1)}},
		"mask with holes":    {addr: "192.0.2.10", options: []option{with(1, 255, 0, 255, 0)}},
		"mask of 0 bits":     {addr: "192.0.2.10", options: []option{with(1, 0, 0, 0, 0)}},
		"mask of 1 bit":      {addr: "192.0.2.10", options: []option{with(1, 128, 0, 0, 0)}},
		"mask of 3 bytes":    {addr: "192.0.2.10", options: []option{with(1, 255, 255, 255)}},
		"an address of ours": {addr: "192.0.2.66"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := newTest4()
			client.cfg.Foreign = func(a netip.Addr) string {
				if a == netip.MustParseAddr("192.0.2.66") {
					return "it is the host's own address"
				}
				return ""
			}
			d := sentBy(t, client.Start(0, Memory{}))
			if got := client.Receive(0, reply(d, offer, c.addr, c.options...)); len(got) > 0 || client.State() != Selecting {
				t.Errorf("%+v, state %s", got, client.State())
			}
			if len(client.Seen()) != 1 || !strings.Contains(client.Seen()[0], "refused") {
				t.Errorf("seen %q", client.Seen())
			}
			r := sentBy(t, client.Receive(0, reply(d, offer, "192.0.2.10"))) // of a good server
			if got := client.Receive(0, reply(r, ack, c.addr, c.options...)); len(got) > 0 {
				t.Errorf("ACK: %+v", got)
			}
		})
	}
}

// TestRepliesToOthers lists replies that are not this client's.
func TestRepliesToOthers(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]option{
		"another transaction": func(m *dhcpv4.DHCPv4) { m.TransactionID[0]++ },
		"another MAC":         func(m *dhcpv4.DHCPv4) { m.ClientHWAddr = net.HardwareAddr{2, 0, 0, 0, 0, 9} },
		"a short MAC":         func(m *dhcpv4.DHCPv4) { m.ClientHWAddr = m.ClientHWAddr[:5] },
		"another client id":   with(61, 1, 2, 0, 0, 0, 0, 9),
		"a request":           func(m *dhcpv4.DHCPv4) { m.OpCode = dhcpv4.OpcodeBootRequest },
		"no type":             without(53),
		"an unknown type":     with(53, 99),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTest4()
			d := sentBy(t, c.Start(0, Memory{}))
			if got := c.Receive(0, reply(d, offer, "192.0.2.10", o)); len(got) > 0 || c.State() != Selecting || len(c.Seen()) > 0 {
				t.Errorf("%+v, state %s, seen %q", got, c.State(), c.Seen())
			}
		})
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options []option
		life    specs.Seconds
		t1, t2  specs.Seconds
		wakes   bool
	}{
		"omitted":        {nil, 80, 40, 70, true},
		"of the server":  {[]option{with(58, 0, 0, 0, 10), with(59, 0, 0, 0, 20)}, 80, 10, 20, true},
		"T1 after T2":    {[]option{with(58, 0, 0, 0, 30), with(59, 0, 0, 0, 20)}, 80, 20, 20, true},
		"beyond the end": {[]option{with(58, 0, 0, 1, 0), with(59, 0, 0, 2, 0)}, 80, 40, 70, true},
		"zero":           {[]option{with(58, 0, 0, 0, 0), with(59, 0, 0, 0, 0)}, 80, 40, 70, true},
		"one second":     {[]option{with(51, 0, 0, 0, 1)}, 1, 0, 0, true},
		"forever":        {[]option{with(51, 255, 255, 255, 255)}, specs.Forever, specs.Forever, specs.Forever, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := boundAt(t, time.Second, c.options...)
			l := client.Lease()
			if l.Lifetime != c.life || l.T1 != c.t1 || l.T2 != c.t2 {
				t.Errorf("lifetime %d, T1 %d, T2 %d; want %d, %d, %d", l.Lifetime, l.T1, l.T2, c.life, c.t1, c.t2)
			}
			if _, wakes := client.Wake(); wakes != c.wakes {
				t.Errorf("wakes %t", wakes)
			}
			if c.life == specs.Forever && len(client.Tick(1000*time.Hour)) > 0 {
				t.Error("a lease that never ends is renewed")
			}
		})
	}
}

func TestConflict(t *testing.T) {
	t.Parallel()
	c := newTest4()
	d := sentBy(t, c.Start(0, Memory{}))
	r := sentBy(t, c.Receive(0, reply(d, offer, "192.0.2.10")))
	c.Receive(0, reply(r, ack, "192.0.2.10"))
	m := sentBy(t, c.Decline(0))
	if m.MessageType() != dhcpv4.MessageTypeDecline || m.RequestedIPAddress().String() != "192.0.2.10" ||
		m.ServerIdentifier().String() != "192.0.2.1" || !m.ClientIPAddr.IsUnspecified() {
		t.Errorf("DECLINE %s", m.Summary())
	}
	at, _ := c.Wake()
	if at > 2*time.Second {
		t.Errorf("first pause %s", at)
	}
	d = sentBy(t, c.Tick(at))
	r = sentBy(t, c.Receive(at, reply(d, offer, "192.0.2.11")))
	c.Receive(at, reply(r, ack, "192.0.2.11"))
	c.Decline(at)
	if next, _ := c.Wake(); next < at+declineWait {
		t.Errorf("second pause %s", next-at)
	}
}

// TestAnotherAddressAtRenewal: the old address is kept until the new one is probed.
func TestAnotherAddressAtRenewal(t *testing.T) {
	t.Parallel()
	for _, conflict := range []bool{false, true} {
		c := boundAt(t, 0)
		r := sentBy(t, c.Tick(40*time.Second))
		got := c.Receive(40*time.Second, reply(r, ack, "192.0.2.20"))
		if len(got) != 1 || got[0].Kind != Obtained || got[0].Old.Address.Addr().String() != "192.0.2.10" {
			t.Fatalf("after the ACK: %+v", got)
		}
		want := "192.0.2.20"
		if conflict {
			want = "192.0.2.10"
			c.Decline(41 * time.Second)
		} else {
			c.Accept(41 * time.Second)
		}
		if c.Lease() == nil || c.Lease().Address.Addr().String() != want {
			t.Errorf("lease %+v, want %s", c.Lease(), want)
		}
		if conflict && c.State() != Rebinding {
			t.Errorf("state %s", c.State())
		}
	}
}

// TestSuspended wakes the client at times that a suspended machine skips.
func TestSuspended(t *testing.T) {
	t.Parallel()
	for at, want := range map[time.Duration]State{
		39 * time.Second: Bound, 41 * time.Second: Renewing, 71 * time.Second: Rebinding, 81 * time.Second: Selecting, 999 * time.Hour: Selecting,
	} {
		c := Resume4(newTest4().cfg, boundAt(t, 0).Lease()) // as a new process does
		out := c.Tick(at)
		if c.State() != want {
			t.Errorf("after %s: state %s, want %s", at, c.State(), want)
		}
		if lost := len(out) > 0 && out[0].Kind == Lost; lost != (want == Selecting) {
			t.Errorf("after %s: %+v", at, out)
		}
	}
}

func TestNAK(t *testing.T) {
	t.Parallel()
	c := boundAt(t, 0)
	r := sentBy(t, c.Tick(40*time.Second))
	other := with(54, 192, 0, 2, 9)
	if got := c.Receive(40*time.Second, reply(r, nak, "", other)); len(got) > 0 {
		t.Errorf("a NAK of another server while RENEWING: %+v", got)
	}
	got := c.Receive(40*time.Second, reply(r, nak, ""))
	if len(got) != 2 || got[0].Kind != Lost || c.Lease() != nil || sentBy(t, got).MessageType() != dhcpv4.MessageTypeDiscover {
		t.Errorf("after the NAK: %+v", got)
	}
}

func TestLinkUp(t *testing.T) {
	t.Parallel()
	c := boundAt(t, 0)
	r := sentBy(t, c.LinkUp(5*time.Second))
	if c.State() != Confirming || r.RequestedIPAddress().String() != "192.0.2.10" || !r.ClientIPAddr.IsUnspecified() || c.Lease() == nil {
		t.Errorf("REQUEST after the link was down %s", r.Summary())
	}
	for range reboots4 {
		at, _ := c.Wake()
		c.Tick(at)
	}
	if c.State() != Bound || c.Lease() == nil {
		t.Errorf("without an answer: state %s", c.State())
	}
	r = sentBy(t, c.LinkUp(10*time.Second))
	if got := c.Receive(10*time.Second, reply(r, nak, "", with(54, 198, 51, 100, 1))); len(got) == 0 || got[0].Kind != Lost {
		t.Errorf("after a NAK of another network: %+v", got)
	}
}

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
		began := time.Now()
		c.Receive(0, reply(d, offer, "192.0.2.10", with(119, names...)))
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("with %d pointers %s", pointers, took)
		}
	}
}

func TestClientsBehindOneMACAskForBroadcast(t *testing.T) {
	t.Parallel()
	c := newTest4()
	c.cfg.Broadcast = true
	d := sentBy(t, c.Start(0, Memory{}))
	if d.Flags != 0x8000 || hex.EncodeToString(d.GetOneOption(dhcpv4.OptionClientIdentifier)) != "01020000000001" {
		t.Errorf("DISCOVER %s", d.Summary())
	}
}

// TestRetransmission: waits double from about a second to about a minute, with jitter.
func TestRetransmission(t *testing.T) {
	t.Parallel()
	c := newTest4()
	c.Start(0, Memory{})
	now, base := time.Duration(0), firstWait
	for range 10 {
		at, _ := c.Wake()
		if wait := at - now; wait < base*3/4 || wait > base*5/4 {
			t.Errorf("wait of %s, want about %s", wait, base)
		}
		now, base = at, min(2*base, longestWait4)
		if m := sentBy(t, c.Tick(now)); m.NumSeconds != uint16(now/time.Second) {
			t.Errorf("secs %d after %s", m.NumSeconds, now)
		}
	}
}
