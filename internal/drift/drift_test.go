package drift

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

func testMAC(last byte) specs.MAC { return specs.MAC{2, 0, 0x5e, 0, 0x53, last} }

func mustPrefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func recordedAttachment() *state.Attachment {
	return &state.Attachment{
		Cookie: 5, Interface: "net1", ParentIndex: 2, Driver: specs.Macvlan, Mode: specs.ModeBridge, MAC: testMAC(1),
		Addresses: []netip.Prefix{mustPrefix("192.0.2.7/24"), mustPrefix("2001:db8::7/64")},
	}
}

func TestMode(t *testing.T) {
	ipvlan := func(flag specs.IPvlanFlag) func(*state.Attachment, *network.LinkInfo) {
		return func(a *state.Attachment, l *network.LinkInfo) {
			a.Driver, a.Mode, l.Driver, l.Mode, l.Flag = specs.IPvlan, specs.ModeL2, specs.IPvlan, specs.ModeL2, flag
		}
	}
	source := func(recorded, is []specs.MAC) func(*state.Attachment, *network.LinkInfo) {
		return func(a *state.Attachment, l *network.LinkInfo) {
			a.Mode, l.Mode, a.SourceMACs, l.SourceMACs = specs.ModeSource, specs.ModeSource, recorded, is
		}
	}
	for _, c := range []struct {
		name   string
		change func(*state.Attachment, *network.LinkInfo)
		same   bool
		is     string
	}{
		{"as recorded", func(*state.Attachment, *network.LinkInfo) {}, true, "macvlan bridge"},
		{"another mode", func(_ *state.Attachment, l *network.LinkInfo) { l.Mode = specs.ModePrivate }, false, "macvlan private"},
		{"the default flag of ipvlan", ipvlan(specs.FlagBridge), true, "ipvlan l2 bridge"},
		{"another flag of ipvlan", ipvlan(specs.FlagPrivate), false, "ipvlan l2 private"},
		{"the list in another order", source([]specs.MAC{testMAC(8), testMAC(9)}, []specs.MAC{testMAC(9), testMAC(8)}), true,
			"macvlan source of 02:00:5e:00:53:08 02:00:5e:00:53:09"},
		{"a shorter list", source([]specs.MAC{testMAC(8)}, nil), false, "macvlan source of no MACs"},
		{"another driver", func(_ *state.Attachment, l *network.LinkInfo) { l.Driver, l.Mode = "", "" }, false, ""},
	} {
		a, l := recordedAttachment(), &network.LinkInfo{Driver: specs.Macvlan, Mode: specs.ModeBridge}
		c.change(a, l)
		if is, want := Mode(a, l); is != c.is || (is == want) != c.same {
			t.Errorf("%s: is %q, recorded %q; want %q", c.name, is, want, c.is)
		}
	}
}

// TestBrief requires that a mode with thousands of MACs fits a line of a log, and an event the memory.
func TestBrief(t *testing.T) {
	const few = "macvlan source of 02:00:5e:00:53:08 02:00:5e:00:53:09"
	if got := Brief(few); got != few {
		t.Errorf("%q", got)
	}
	long := few + strings.Repeat(" 02:00:5e:00:53:0a", 5000)
	if got := Brief(long); len(got) > 450 || !strings.HasPrefix(got, few+" ") || !strings.HasSuffix(got, ":0a …") {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}

func TestMAC(t *testing.T) {
	a, l := recordedAttachment(), &network.LinkInfo{MAC: testMAC(9)}
	if MAC(a, l) {
		t.Error("another MAC is taken for the recorded one")
	}
	a.Mode = specs.ModePassthru
	if !MAC(a, l) {
		t.Error("passthru may have any")
	}
	a.Driver, a.Mode = specs.IPvlan, specs.ModeL3
	if !MAC(a, l) {
		t.Error("ipvlan has the parent's")
	}
}

func TestAddresses(t *testing.T) {
	own := []network.AddressInfo{{Prefix: mustPrefix("192.0.2.7/24"), Permanent: true}, {Prefix: mustPrefix("2001:db8::7/64"), Permanent: true}}
	for _, c := range []struct {
		name string
		has  []network.AddressInfo
		want string
	}{
		{"as recorded", own, "[] []"},
		{"link-local", append(own[:2:2], network.AddressInfo{Prefix: mustPrefix("fe80::1/64"), Permanent: true}), "[] []"},
		{"from a router", append(own[:2:2], network.AddressInfo{Prefix: mustPrefix("2001:db8:1::1/64")}), "[] []"},
		{"tentative", []network.AddressInfo{own[0], {Prefix: own[1].Prefix, Permanent: true, Tentative: true}}, "[] []"},
		{"one too many", append(own[:2:2], network.AddressInfo{Prefix: mustPrefix("192.0.2.8/24"), Permanent: true}), "[] [192.0.2.8/24]"},
		{"from DHCP", append(own[:2:2], network.AddressInfo{Prefix: mustPrefix("192.0.2.8/24")}), "[] [192.0.2.8/24]"},
		{"IPv6 by hand", append(own[:2:2], network.AddressInfo{Prefix: mustPrefix("2001:db8::9/64"), Permanent: true}), "[] [2001:db8::9/64]"},
		{"one missing", own[1:], "[192.0.2.7/24] []"},
		{"another prefix", []network.AddressInfo{{Prefix: mustPrefix("192.0.2.7/25"), Permanent: true}, own[1]}, "[192.0.2.7/24] [192.0.2.7/25]"},
	} {
		missing, extra := Addresses(recordedAttachment(), c.has)
		if got := fmt.Sprint(missing, extra); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestFewOfManyAddresses requires that the work for an interface is bounded, although a container with
// CAP_NET_ADMIN can assign as many addresses as it likes. The agent reports and counts each of them.
func TestFewOfManyAddresses(t *testing.T) {
	has := []network.AddressInfo{}
	for i := range 1 << 16 {
		has = append(has, network.AddressInfo{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), 32)})
	}
	missing, extra := Addresses(recordedAttachment(), append(has, network.AddressInfo{Prefix: mustPrefix("192.0.2.7/24")}))
	if len(extra) != MaxExtra || fmt.Sprint(missing) != "[2001:db8::7/64]" {
		t.Errorf("%d extra addresses, want %d; missing %s", len(extra), MaxExtra, missing)
	}
}

func TestForeignLink(t *testing.T) {
	a := recordedAttachment()
	for _, c := range []struct {
		name string
		link network.LinkInfo
		want bool
	}{
		{"itself", network.LinkInfo{MAC: a.MAC, Alias: a.Alias(), ParentIndex: 2}, false},
		{"with another MAC", network.LinkInfo{MAC: testMAC(9), Alias: a.Alias(), ParentIndex: 2}, false},
		{"with no alias and another MAC", network.LinkInfo{MAC: testMAC(9), ParentIndex: 2}, false},
		{"another of berth's", network.LinkInfo{MAC: testMAC(9), Alias: "berth:0000000000000006/net1", ParentIndex: 2}, true},
		{"something else", network.LinkInfo{MAC: testMAC(9), ParentIndex: 12}, true},
	} {
		if got := Another(a, &c.link); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
