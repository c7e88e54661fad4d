package dhcp

import (
	"math/rand/v2"
	"net"
	"net/netip"
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
