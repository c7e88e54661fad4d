package wire

import (
	"bytes"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/insomniacslk/dhcp/rfc1035label"
)

// sample4 is an ACK with every option that a client reads, in the library's encoding.
func sample4(t testing.TB, options ...dhcpv4.Option) []byte {
	t.Helper()
	m, err := dhcpv4.New(dhcpv4.WithMessageType(dhcpv4.MessageTypeAck), dhcpv4.WithHwAddr(net.HardwareAddr{2, 0, 0, 0, 0, 1}),
		dhcpv4.WithYourIP(net.IPv4(192, 0, 2, 10)), dhcpv4.WithNetmask(net.CIDRMask(24, 32)), dhcpv4.WithLeaseTime(600),
		dhcpv4.WithDNS(net.IPv4(192, 0, 2, 1), net.IPv4(192, 0, 2, 2)), dhcpv4.WithDomainSearchList("example.com", "a.example"))
	if err != nil {
		t.Fatal(err)
	}
	m.OpCode = dhcpv4.OpcodeBootReply
	m.UpdateOption(dhcpv4.OptServerIdentifier(net.IPv4(192, 0, 2, 1)))
	m.UpdateOption(dhcpv4.OptClasslessStaticRoute(&dhcpv4.Route{
		Dest: &net.IPNet{IP: net.IPv4(198, 51, 100, 0), Mask: net.CIDRMask(23, 32)}, Router: net.IPv4(192, 0, 2, 1)}))
	for _, o := range options {
		m.UpdateOption(o)
	}
	return m.ToBytes()
}

// peer4 decodes a message by the library, and its overloaded fields in the order of RFC 3396.
func peer4(b []byte) (*dhcpv4.DHCPv4, error) {
	m, err := dhcpv4.FromBytes(b)
	if err != nil {
		return nil, err
	}
	fields := m.GetOneOption(dhcpv4.OptionOptionOverload)
	if len(fields) != 1 {
		return m, nil
	}
	if fields[0]&1 != 0 {
		if err := m.Options.FromBytes(b[atFile:atCookie]); err != nil {
			return nil, err
		}
	}
	if fields[0]&2 != 0 {
		return m, m.Options.FromBytes(b[atSname:atFile])
	}
	return m, nil
}

// FuzzParse4 compares the parser with the library: the same verdict, the same values.
func FuzzParse4(f *testing.F) {
	f.Add(sample4(f))
	f.Add(sample4(f, dhcpv4.OptGeneric(dhcpv4.OptionOptionOverload, []byte{3})))
	f.Add(sample4(f, dhcpv4.OptGeneric(dhcpv4.OptionMessage, bytes.Repeat([]byte("x"), 300))))
	f.Add(sample4(f)[:atOptions])
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= atOptions {
			b = slices.Clone(b)
			copy(b[atCookie:], cookie[:])
		}
		m, err := Parse4(b)
		want, wantErr := peer4(b)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("error %v, the library's %v", err, wantErr)
		}
		if err == nil {
			same4(t, m, want)
		}
	})
}

func same4(t *testing.T, m *Message4, want *dhcpv4.DHCPv4) {
	t.Helper()
	if m.Op != byte(want.OpCode) || m.HWType != byte(want.HWType) || m.XID != want.TransactionID || m.Seconds != want.NumSeconds ||
		m.Flags != want.Flags || !bytes.Equal(m.MAC, want.ClientHWAddr) || m.Client.String() != want.ClientIPAddr.String() ||
		m.Your.String() != want.YourIPAddr.String() || m.Type() != Type4(want.MessageType()) {
		t.Fatalf("%+v, the library's %v", m, want.Summary())
	}
	if len(m.Options) != len(want.Options) {
		t.Fatalf("options %v, the library's %v", m.Options, want.Options)
	}
	for code, value := range want.Options {
		if got, ok := m.Options[code]; !ok || !bytes.Equal(got, value) || (got == nil) != (value == nil) {
			t.Fatalf("option %d is %x, the library's %x", code, got, value)
		}
	}
	if server := want.ServerIdentifier(); m.Server().IsValid() != (server != nil) || server != nil && m.Server().String() != server.String() {
		t.Fatalf("server %s, the library's %s", m.Server(), server)
	}
	var routes dhcpv4.Routes
	if err := routes.FromBytes(want.Options[ClasslessRoutes]); err != nil {
		routes = nil
	}
	sameRoutes(t, m.Routes(), routes)
}

func sameRoutes(t *testing.T, got []Route4, want dhcpv4.Routes) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("routes %v, the library's %v", got, want)
	}
	for i, r := range want {
		ones, _ := r.Dest.Mask.Size()
		to, _ := netip.AddrFromSlice(r.Dest.IP.To4())
		via, _ := netip.AddrFromSlice(r.Router.To4())
		if w := (Route4{netip.PrefixFrom(to, ones).Masked(), via}); got[i] != w {
			t.Fatalf("route %v, the library's %v", got[i], w)
		}
	}
}

// TestBytes4 compares the encoding with the library's.
func TestBytes4(t *testing.T) {
	for name, options := range map[string][]dhcpv4.Option{
		"short": nil,
		"long":  {dhcpv4.OptGeneric(dhcpv4.OptionMessage, bytes.Repeat([]byte("x"), 700)), dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(40), nil)},
	} {
		want := sample4(t, options...)
		m, err := Parse4(want)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Bytes(); !bytes.Equal(got, want) {
			t.Errorf("%s: encoded as\n%x, the library's\n%x", name, got, want)
		}
	}
	if got, want := (&Message4{Options: Options4{}}).Bytes(), (&dhcpv4.DHCPv4{}).ToBytes(); !bytes.Equal(got, want) {
		t.Errorf("an empty message is encoded as\n%x, the library's\n%x", got, want)
	}
}

// sample6 is a Reply with every option that a client reads, in the library's encoding.
func sample6() []byte {
	ia := &dhcpv6.OptIANA{IaId: [4]byte{1, 2, 3, 4}, T1: 50 * time.Second, T2: 80 * time.Second}
	ia.Options.Add(&dhcpv6.OptIAAddress{IPv6Addr: net.ParseIP("2001:db8::1"), PreferredLifetime: time.Minute, ValidLifetime: time.Hour})
	ia.Options.Add(&dhcpv6.OptStatusCode{StatusCode: iana.StatusNoBinding, StatusMessage: "no"})
	m := &dhcpv6.Message{MessageType: dhcpv6.MessageTypeReply, TransactionID: dhcpv6.TransactionID{1, 2, 3}}
	id := &dhcpv6.DUIDLL{HWType: iana.HWTypeEthernet, LinkLayerAddr: net.HardwareAddr{2, 0, 0, 0, 0, 1}}
	ntp := &dhcpv6.OptNTPServer{}
	address := dhcpv6.NTPSuboptionSrvAddr(net.ParseIP("2001:db8::3"))
	ntp.Suboptions.Add(&address)
	for _, o := range []dhcpv6.Option{dhcpv6.OptClientID(id), dhcpv6.OptServerID(id), ia, dhcpv6.OptPreference(7),
		&dhcpv6.OptStatusCode{StatusMessage: "yes"}, dhcpv6.OptDNS(net.ParseIP("2001:db8::2")), ntp,
		dhcpv6.OptDomainSearchList(&rfc1035label.Labels{Labels: []string{"example.com"}})} {
		m.AddOption(o)
	}
	return m.ToBytes()
}

// FuzzParse6 compares the parser with the library. The library also refuses messages whose other
// options it cannot read.
func FuzzParse6(f *testing.F) {
	f.Add(sample6())
	f.Add([]byte{7, 0, 0, 0})
	f.Add(sample6()[:30])
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse6(b)
		want, wantErr := dhcpv6.MessageFromBytes(b)
		if err != nil && wantErr == nil {
			t.Fatalf("refused: %v", err)
		}
		if err == nil && wantErr == nil {
			same6(t, m, want)
		}
	})
}

func same6(t *testing.T, m *Message6, want *dhcpv6.Message) {
	t.Helper()
	o := want.Options
	if m.Type != Type6(want.MessageType) || m.XID != want.TransactionID || m.Preference != o.Preference() {
		t.Fatalf("%+v, the library's %v", m, want.Summary())
	}
	sameDUID(t, m.Client, o.ClientID())
	sameDUID(t, m.Server, o.ServerID())
	sameStatus(t, m.Status, o.Status())
	sameAddrs(t, m.DNS, o.DNS())
	sameAddrs(t, m.NTP, o.NTPServers())
	if search := o.DomainSearchList(); search != nil && !slices.Equal(m.Search, search.Labels) || search == nil && m.Search != nil {
		t.Fatalf("domains %q, the library's %v", m.Search, search)
	}
	all := o.IANA()
	if len(all) != len(m.Identities) {
		t.Fatalf("%d identities, the library's %d", len(m.Identities), len(all))
	}
	for i, ia := range all {
		got := m.Identities[i]
		if got.ID != ia.IaId || time.Duration(got.T1)*time.Second != ia.T1 || time.Duration(got.T2)*time.Second != ia.T2 {
			t.Fatalf("identity %+v, the library's %v", got, ia)
		}
		sameStatus(t, got.Status, ia.Options.Status())
		if len(got.Addresses) != len(ia.Options.Addresses()) {
			t.Fatalf("identity %+v, the library's %v", got, ia)
		}
		for k, a := range ia.Options.Addresses() {
			g := got.Addresses[k]
			if !bytes.Equal(g.Addr.AsSlice(), a.IPv6Addr) || time.Duration(g.Valid)*time.Second != a.ValidLifetime ||
				time.Duration(g.Preferred)*time.Second != a.PreferredLifetime {
				t.Fatalf("address %+v, the library's %v", g, a)
			}
		}
	}
}

func sameDUID(t *testing.T, got []byte, want dhcpv6.DUID) {
	t.Helper()
	if (got == nil) != (want == nil) || want != nil && !bytes.Equal(got, want.ToBytes()) {
		t.Fatalf("DUID %x, the library's %v", got, want)
	}
}

func sameStatus(t *testing.T, got *Status, want *dhcpv6.OptStatusCode) {
	t.Helper()
	if (got == nil) != (want == nil) || want != nil && (got.Code != Code(want.StatusCode) || got.Said != want.StatusMessage) {
		t.Fatalf("status %+v, the library's %v", got, want)
	}
}

func sameAddrs(t *testing.T, got []netip.Addr, want []net.IP) {
	t.Helper()
	if !slices.EqualFunc(got, want, func(a netip.Addr, b net.IP) bool { return bytes.Equal(a.AsSlice(), b) }) {
		t.Fatalf("addresses %v, the library's %v", got, want)
	}
}

// TestBytes6 compares the encoding of a message to servers with the library's.
func TestBytes6(t *testing.T) {
	duid := &dhcpv6.DUIDLL{HWType: iana.HWTypeEthernet, LinkLayerAddr: net.HardwareAddr{2, 0, 0, 0, 0, 1}}
	addr := netip.MustParseAddr("2001:db8::1")
	want := &dhcpv6.Message{MessageType: dhcpv6.MessageTypeRenew, TransactionID: dhcpv6.TransactionID{1, 2, 3}}
	ia := &dhcpv6.OptIANA{IaId: [4]byte{1, 2, 3, 4}}
	ia.Options.Add(&dhcpv6.OptIAAddress{IPv6Addr: addr.AsSlice()})
	for _, o := range []dhcpv6.Option{dhcpv6.OptClientID(duid), dhcpv6.OptServerID(duid), dhcpv6.OptElapsedTime(1230 * time.Millisecond), ia,
		dhcpv6.OptRequestedOption(dhcpv6.OptionDNSRecursiveNameServer, dhcpv6.OptionDomainSearchList, dhcpv6.OptionNTPServer),
		&dhcpv6.OptFQDN{Flags: 1, DomainName: &rfc1035label.Labels{Labels: []string{"web.example"}}}} {
		want.AddOption(o)
	}
	got := (&Message6{Type: Renew, XID: [3]byte{1, 2, 3}, Client: duid.ToBytes(), Server: duid.ToBytes(), Elapsed: 123,
		Identities: []Identity{{ID: ia.IaId, Addresses: []Address6{{Addr: addr}}}}, Requested: []uint16{DNS6, DomainSearch6, NTP6},
		FQDN: "web.example", FQDNFlags: 1}).Bytes()
	if !bytes.Equal(got, want.ToBytes()) {
		t.Errorf("encoded as\n%x, the library's\n%x", got, want.ToBytes())
	}
}

// FuzzNames compares the decoded domain names with the library's.
func FuzzNames(f *testing.F) {
	f.Add([]byte("\x07example\x03com\x00\x01a\xc0\x00"))
	f.Add([]byte("\xc0\x00"))
	f.Add([]byte("\x01a"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1500 {
			return
		}
		got, err := Names(b)
		want, wantErr := rfc1035label.FromBytes(b)
		if (err == nil) != (wantErr == nil) || err == nil && !slices.Equal(got, want.Labels) {
			t.Fatalf("%q, %v; the library's %v, %v", got, err, want, wantErr)
		}
	})
}

// TestNamesOfTypes compares the names of types and codes with the library's, by which messages are
// counted and explained.
func TestNamesOfTypes(t *testing.T) {
	for n := range Release4 {
		if got, want := n.String(), dhcpv4.MessageType(n).String(); n > 0 && !equalFold(got, want) {
			t.Errorf("type %d of DHCPv4 is %q, the library's %q", n, got, want)
		}
	}
	for _, n := range []Type6{Solicit, Advertise, Request6, Confirm, Renew, Rebind, Reply, Release6, Decline6, InformationRequest, 200} {
		if got, want := n.String(), dhcpv6.MessageType(n).String(); !equalFold(got, want) {
			t.Errorf("type %d of DHCPv6 is %q, the library's %q", n, got, want)
		}
	}
	for n := range Code(len(codes)) {
		if got, want := n.String(), iana.StatusCode(n).String(); got != want {
			t.Errorf("status %d is %q, the library's %q", n, got, want)
		}
	}
}

func equalFold(a, b string) bool { return bytes.EqualFold([]byte(a), []byte(b)) }
