package dhcp

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"berth/specs"
)

var (
	testServer6 = Packet{From: netip.MustParseAddr("fe80::1"), MAC: specs.MAC{2, 0, 0, 0, 0, 0xfe}}
	addr6       = netip.MustParseAddr("2001:db8::10")
)

func newTest6() *Client6 {
	return New6(Config6{
		MAC: testMAC, DUID: []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, 1}, IAID: [4]byte{1, 2, 3, 4}, Hostname: "web",
		Random: rand.New(rand.NewPCG(1, 2)),
	})
}

// reply6 returns the answer of a server to a message.
func reply6(to *dhcpv6.Message, t dhcpv6.MessageType, addr netip.Addr, life specs.Seconds, status iana.StatusCode, options ...dhcpv6.Option) Packet {
	m := &dhcpv6.Message{MessageType: t, TransactionID: to.TransactionID}
	m.AddOption(to.GetOneOption(dhcpv6.OptionClientID))
	m.AddOption(dhcpv6.OptServerID(ofServer6))
	if addr.IsValid() {
		ia := &dhcpv6.OptIANA{IaId: to.Options.OneIANA().IaId}
		if status != iana.StatusSuccess {
			ia.Options.Add(&dhcpv6.OptStatusCode{StatusCode: status, StatusMessage: "no\x1b"})
		} else {
			valid := time.Duration(life) * time.Second
			ia.Options.Add(&dhcpv6.OptIAAddress{IPv6Addr: addr.AsSlice(), PreferredLifetime: valid, ValidLifetime: valid})
		}
		m.AddOption(ia)
	} else {
		m.AddOption(&dhcpv6.OptStatusCode{StatusCode: status})
	}
	for _, o := range options {
		m.UpdateOption(o)
	}
	p := testServer6
	p.Payload = m.ToBytes()
	return p
}

func sentBy6(t *testing.T, all []Action) *dhcpv6.Message {
	t.Helper()
	if len(all) == 0 || all[len(all)-1].Kind != Send {
		t.Fatalf("no message last among %+v", all)
	}
	m, err := dhcpv6.MessageFromBytes(all[len(all)-1].Payload)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const (
	advertise = dhcpv6.MessageTypeAdvertise
	answer    = dhcpv6.MessageTypeReply
	success   = iana.StatusSuccess
)

func boundAt6(t *testing.T, now time.Duration) *Client6 {
	t.Helper()
	c := newTest6()
	solicit := sentBy6(t, c.Start(now, Memory{}))
	if got := c.Receive(now, reply6(solicit, advertise, addr6, 100, success)); len(got) > 0 {
		t.Fatalf("after the Advertise: %+v", got)
	}
	request := sentBy6(t, c.Tick(now+offersWait))
	got := c.Receive(now+offersWait, reply6(request, answer, addr6, 100, success))
	if len(got) != 1 || got[0].Kind != Obtained {
		t.Fatalf("after the Reply: %+v; seen %q", got, c.Seen())
	}
	c.Accept(now + offersWait)
	return c
}

func TestMessages6(t *testing.T) {
	t.Parallel()
	c := boundAt6(t, time.Second)
	l := c.Lease()
	if l.Address.String() != "2001:db8::10/128" || l.T1 != 50 || l.T2 != 80 || l.Lifetime != 100 || l.Server != testServer6.From {
		t.Errorf("lease %+v", l)
	}
	out := c.Tick(l.Began + 50*time.Second)
	m := sentBy6(t, out)
	if c.State() != Renewing || m.MessageType != dhcpv6.MessageTypeRenew || !m.Options.ServerID().Equal(ofServer6) || m.Options.OneIANA().Options.OneAddress() == nil ||
		out[0].To != allServers || out[0].From != netip.MustParseAddr("fe80::ff:fe00:1") {
		t.Errorf("%+v: %s", out, m.Summary())
	}
	m = sentBy6(t, c.Tick(l.Began+80*time.Second))
	if m.MessageType != dhcpv6.MessageTypeRebind || m.Options.ServerID() != nil {
		t.Errorf("%s", m.Summary())
	}
	if got := c.Receive(l.Began+81*time.Second, reply6(m, answer, addr6, 60, success)); len(got) != 1 || got[0].Kind != Renewed || c.Lease().Lifetime != 60 {
		t.Errorf("after the Reply: %+v", got)
	}
	m = sentBy6(t, c.LinkUp(l.Began+82*time.Second))
	if m.MessageType != dhcpv6.MessageTypeConfirm || m.Options.ServerID() != nil {
		t.Errorf("%s", m.Summary())
	}
	if got := c.Receive(l.Began+82*time.Second, reply6(m, answer, netip.Addr{}, 0, iana.StatusNotOnLink)); got[0].Kind != Lost {
		t.Errorf("after NotOnLink: %+v", got)
	}
}

// TestReleaseIsRepeated: once, unless a server confirms it, with whichever status. The address
// is the lease's, and the identifiers are the client's, or the server would not find it.
func TestReleaseIsRepeated(t *testing.T) {
	t.Parallel()
	const at = 9 * time.Second
	c := boundAt6(t, 0)
	first := sentBy6(t, c.Release(at))
	ia := first.Options.OneIANA()
	if first.MessageType != dhcpv6.MessageTypeRelease || first.Options.ServerID() == nil || ia.IaId != c.cfg.IAID ||
		!ia.Options.OneAddress().IPv6Addr.Equal(addr6.AsSlice()) || c.State() != Releasing || c.Lease() != nil {
		t.Errorf("state %s: %s", c.State(), first.Summary())
	}
	if got := c.Tick(at); len(got) > 0 {
		t.Errorf("repeated at once: %+v", got)
	}
	again := sentBy6(t, c.Tick(at+time.Second))
	if again.MessageType != first.MessageType || again.TransactionID != first.TransactionID {
		t.Errorf("repeated as %s", again.Summary())
	}
	if got := c.Tick(at + time.Hour); len(got) > 0 || c.State() != Stopped {
		t.Errorf("after the repetition: state %s, %+v", c.State(), got)
	}
	for _, status := range []iana.StatusCode{success, iana.StatusNoBinding} {
		c := boundAt6(t, 0)
		m := sentBy6(t, c.Release(at))
		if got := c.Receive(at, reply6(m, answer, netip.Addr{}, 0, status)); len(got) > 0 || c.State() != Stopped {
			t.Errorf("after the Reply %s: state %s, %+v", status, c.State(), got)
		}
	}
}

// TestDeclineIsRepeated: once, unless a server confirms it; then another address is solicited.
func TestDeclineIsRepeated(t *testing.T) {
	t.Parallel()
	declined := func() (*Client6, *dhcpv6.Message) {
		c := newTest6()
		m := sentBy6(t, c.Start(0, Memory{}))
		m = sentBy6(t, c.Receive(0, reply6(m, advertise, addr6, 100, success, dhcpv6.OptPreference(255))))
		c.Receive(0, reply6(m, answer, addr6, 100, success))
		return c, sentBy6(t, c.Decline(0))
	}
	c, m := declined()
	if m.MessageType != dhcpv6.MessageTypeDecline || m.Options.ServerID() == nil || c.State() != Declining {
		t.Errorf("state %s: %s", c.State(), m.Summary())
	}
	again := sentBy6(t, c.Tick(2*time.Second))
	if again.MessageType != m.MessageType || again.TransactionID != m.TransactionID {
		t.Errorf("repeated as %s", again.Summary())
	}
	if got := c.Tick(5 * time.Second); len(got) > 0 || c.State() != Init {
		t.Errorf("after the repetition: state %s, %+v", c.State(), got)
	}
	c, m = declined()
	if got := c.Receive(0, reply6(m, answer, netip.Addr{}, 0, success)); len(got) > 0 || c.State() != Init {
		t.Errorf("after the Reply: state %s, %+v", c.State(), got)
	}
	m = sentBy6(t, c.Tick(2*time.Second))
	if m.MessageType != dhcpv6.MessageTypeSolicit || m.Options.OneIANA().Options.OneAddress() != nil {
		t.Errorf("after the pause: %s", m.Summary())
	}
}

// TestDeclineBesideALease: a client that declines another address keeps its lease, and extends it.
func TestDeclineBesideALease(t *testing.T) {
	t.Parallel()
	c := boundAt6(t, 0)
	m := sentBy6(t, c.Tick(60*time.Second))
	got := c.Receive(60*time.Second, reply6(m, answer, netip.MustParseAddr("2001:db8::99"), 100, success))
	if len(got) != 1 || got[0].Kind != Obtained {
		t.Fatalf("another address: %+v", got)
	}
	m = sentBy6(t, c.Decline(60*time.Second))
	if c.Lease() == nil || c.Lease().Address.Addr() != addr6 {
		t.Errorf("lease %+v", c.Lease())
	}
	c.Receive(60*time.Second, reply6(m, answer, netip.Addr{}, 0, success))
	m = sentBy6(t, c.Tick(62*time.Second))
	if m.MessageType != dhcpv6.MessageTypeRebind || !m.Options.OneIANA().Options.OneAddress().IPv6Addr.Equal(addr6.AsSlice()) {
		t.Errorf("%s", m.Summary())
	}
}

// TestLostInTime6: a lease that ends while another address is declined is lost at its end.
func TestLostInTime6(t *testing.T) {
	t.Parallel()
	c := boundAt6(t, 0)
	ends, _ := c.Lease().Ends()
	now := ends - 100*time.Millisecond
	m := sentBy6(t, c.Tick(now))
	c.Receive(now, reply6(m, answer, netip.MustParseAddr("2001:db8::99"), 100, success))
	m = sentBy6(t, c.Decline(now))
	if at, ok := c.Wake(); !ok || at > ends {
		t.Errorf("in state %s it wakes at %s, and its lease ends at %s", c.State(), at, ends)
	}
	c.Receive(now, reply6(m, answer, netip.Addr{}, 0, success))
	if at, ok := c.Wake(); !ok || at > ends {
		t.Errorf("in state %s it wakes at %s, and its lease ends at %s", c.State(), at, ends)
	}
	if got := c.Tick(ends); len(got) == 0 || got[0].Kind != Lost {
		t.Errorf("at the end of the lease: %+v", got)
	}
}

func TestTheBestOfferIsTaken(t *testing.T) {
	t.Parallel()
	other := netip.MustParseAddr("2001:db8::99")
	c := newTest6()
	s := sentBy6(t, c.Start(0, Memory{}))
	c.Receive(0, reply6(s, advertise, addr6, 100, success))
	c.Receive(0, reply6(s, advertise, other, 100, success, dhcpv6.OptPreference(7)))
	c.Receive(0, reply6(s, advertise, addr6, 100, success, dhcpv6.OptPreference(3)))
	m := sentBy6(t, c.Tick(offersWait))
	if got := m.Options.OneIANA().Options.OneAddress().IPv6Addr.String(); got != other.String() {
		t.Errorf("requested %s", got)
	}
	c = newTest6()
	s = sentBy6(t, c.Start(0, Memory{}))
	if m := sentBy6(t, c.Receive(0, reply6(s, advertise, other, 100, success, dhcpv6.OptPreference(255)))); m.MessageType != dhcpv6.MessageTypeRequest {
		t.Errorf("%s", m.Summary())
	}
}

func TestNonsense6IsRefused(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]func(*dhcpv6.Message) Packet{
		"no address available": func(s *dhcpv6.Message) Packet { return reply6(s, advertise, addr6, 9, iana.StatusNoAddrsAvail) },
		"no lifetime":          func(s *dhcpv6.Message) Packet { return reply6(s, advertise, addr6, 0, success) },
		"loopback":             func(s *dhcpv6.Message) Packet { return reply6(s, advertise, netip.IPv6Loopback(), 9, success) },
		"multicast":            func(s *dhcpv6.Message) Packet { return reply6(s, advertise, allServers, 9, success) },
		"link-local":           func(s *dhcpv6.Message) Packet { return reply6(s, advertise, testServer6.From, 9, success) },
		"IPv4-mapped": func(s *dhcpv6.Message) Packet {
			return reply6(s, advertise, netip.MustParseAddr("::ffff:192.0.2.1"), 9, success)
		},
		"nothing": func(s *dhcpv6.Message) Packet { return reply6(s, advertise, netip.Addr{}, 9, success) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTest6()
			s := sentBy6(t, c.Start(0, Memory{}))
			if got := c.Receive(0, p(s)); len(got) > 0 || c.offer != nil {
				t.Errorf("%+v, offer %+v", got, c.offer)
			}
			if seen := strings.Join(c.Seen(), ""); !strings.Contains(seen, "refused") || strings.Contains(seen, "\x1b") {
				t.Errorf("seen %q", seen)
			}
		})
	}
}

// TestRouterFlags: a router without the flag M announces that no addresses are
// available by DHCPv6.
func TestRouterFlags(t *testing.T) {
	t.Parallel()
	c := newTest6()
	c.Start(0, Memory{})
	if got := c.Receive(0, Packet{Router: true, Managed: true}); len(got) > 0 || c.State() != Selecting {
		t.Errorf("M: %+v", got)
	}
	m := sentBy6(t, c.Receive(0, Packet{Router: true, Other: true}))
	if m.MessageType != dhcpv6.MessageTypeInformationRequest || m.Options.OneIANA() != nil {
		t.Errorf("O: %s", m.Summary())
	}
	dns := dhcpv6.OptDNS(addr6.AsSlice())
	got := c.Receive(0, reply6(m, answer, netip.Addr{}, 0, success, dns))
	if len(got) != 1 || got[0].Kind != Unmanaged || got[0].Lease == nil || len(got[0].Lease.DNS) != 1 {
		t.Errorf("O: %+v", got)
	}
	c = newTest6()
	c.Start(0, Memory{})
	if got := c.Receive(0, Packet{Router: true}); len(got) != 1 || got[0].Kind != Unmanaged || c.State() != Stopped {
		t.Errorf("neither: %+v", got)
	}
}

// TestNoBinding: a server that has forgotten a lease is asked for it again, while
// the address stays in use.
func TestNoBinding(t *testing.T) {
	t.Parallel()
	c := boundAt6(t, 0)
	m := sentBy6(t, c.Tick(c.Lease().Began+50*time.Second))
	out := c.Receive(51*time.Second, reply6(m, answer, addr6, 0, iana.StatusNoBinding))
	if m = sentBy6(t, out); m.MessageType != dhcpv6.MessageTypeRequest || c.Lease() == nil {
		t.Errorf("%+v", out)
	}
	if out = c.Receive(51*time.Second, reply6(m, answer, addr6, 100, success)); len(out) != 1 || out[0].Kind != Renewed {
		t.Errorf("%+v", out)
	}
}
