package ipam_test

import (
	"math"
	"net/netip"
	"strings"
	"testing"

	"berth/ipam"
	"berth/specs"
)

func parseAddrs(list string) (all []netip.Addr) {
	for _, s := range strings.Fields(list) {
		all = append(all, netip.MustParseAddr(s))
	}
	return all
}

// parseSubnet parses "SUBNET [range=CIDR] [gateway=A] [exclude=A]…".
func parseSubnet(t testing.TB, text string) (s specs.Subnet) {
	t.Helper()
	for i, word := range strings.Fields(text) {
		key, value, _ := strings.Cut(word, "=")
		switch {
		case i == 0:
			s.Subnet = netip.MustParsePrefix(word)
		case key == "range":
			s.IPRange = netip.MustParsePrefix(value)
		case key == "gateway":
			s.Gateway = netip.MustParseAddr(value)
		case key == "exclude":
			e, err := specs.ParseExclusion(value)
			if err != nil {
				t.Fatal(err)
			}
			s.Exclude = append(s.Exclude, e)
		default:
			t.Fatalf("subnet %q: %q?", text, word)
		}
	}
	return s
}

// freeBeside returns the function by which a pool finds an address that is not
// held.
func freeBeside(held map[netip.Addr]bool) func(netip.Addr) netip.Addr {
	return func(from netip.Addr) netip.Addr {
		for held[from] {
			from = from.Next()
		}
		return from
	}
}

func TestDockersRules(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		subnet, never string
		size          uint64
		taken         string // in this order, from an empty pool; "!" means exhausted
	}{
		{"192.0.2.0/24", "", 254, "192.0.2.1 192.0.2.2"},
		{"192.0.2.0/24 gateway=192.0.2.1", "", 253, "192.0.2.2 192.0.2.3"},
		{"192.0.2.0/24 gateway=198.51.100.1", "", 254, "192.0.2.1"},
		{"192.0.2.0/29 gateway=192.0.2.1 exclude=192.0.2.3", "192.0.2.4", 3, "192.0.2.2 192.0.2.5 192.0.2.6 !"},
		{"192.0.2.0/29", "::ffff:192.0.2.1 2001:db8::1 192.0.2.9", 5, "192.0.2.2"},
		{"192.0.2.0/30", "", 2, "192.0.2.1 192.0.2.2 !"},
		{"192.0.2.0/31", "", 2, "192.0.2.0 192.0.2.1 !"},
		{"192.0.2.0/31 gateway=192.0.2.0", "", 1, "192.0.2.1 !"},
		{"192.0.2.7/32", "", 1, "192.0.2.7 !"},
		{"192.0.2.7/32 exclude=192.0.2.7", "", 0, "!"},
		{"192.0.2.0/28 exclude=192.0.2.0/29", "", 7, "192.0.2.8 192.0.2.9"},
		{"192.0.2.0/28 gateway=192.0.2.1 exclude=192.0.2.4 exclude=192.0.2.4/30 exclude=192.0.2.4", "192.0.2.5 192.0.2.8", 8, "192.0.2.2 192.0.2.3 192.0.2.9"},
		{"192.0.2.0/24 range=192.0.2.64/30 exclude=192.0.2.64/26", "", 0, "!"},
		{"192.0.2.0/24 range=192.0.2.64/26 exclude=192.0.2.0/25", "", 0, "!"},
		{"192.0.2.0/24 range=192.0.2.252/30 exclude=192.0.2.254/31", "", 2, "192.0.2.252 192.0.2.253 !"},
		{"2001:db8::/64 exclude=2001:db8::/65", "", 1 << 63, "2001:db8:0:0:8000:: 2001:db8:0:0:8000::1"},
		{"2001:db8::/64 range=2001:db8::/96 exclude=2001:db8::/97", "", 1 << 31, "2001:db8::8000:0"},
		{"192.0.2.0/24 range=192.0.2.64/30", "", 4, "192.0.2.64 192.0.2.65 192.0.2.66 192.0.2.67 !"},
		{"192.0.2.0/24 range=192.0.2.0/30 gateway=192.0.2.1", "", 2, "192.0.2.2 192.0.2.3 !"},
		{"192.0.2.0/24 range=192.0.2.252/30", "", 3, "192.0.2.252 192.0.2.253 192.0.2.254 !"},
		{"192.0.2.0/24 range=192.0.2.9/32", "", 1, "192.0.2.9 !"},
		{"128.0.0.0/1", "", 1<<31 - 2, "128.0.0.1"},
		{"2001:db8::/126", "", 3, "2001:db8::1 2001:db8::2 2001:db8::3 !"},
		{"2001:db8::/127", "", 2, "2001:db8:: 2001:db8::1 !"},
		{"2001:db8::5/128", "", 1, "2001:db8::5 !"},
		{"2001:db8::/65 gateway=2001:db8::1", "", 1<<63 - 2, "2001:db8::2"},
		{"2001:db8::/64 gateway=2001:db8::1", "", math.MaxUint64 - 1, "2001:db8::2 2001:db8::3"},
		{"2001:db8::/32 range=2001:db8:0:1::/48", "2001:db8::1", math.MaxUint64, "2001:db8::2"},
		{"2001:db8::/32 range=2001:db8:0:1::/64", "", math.MaxUint64, "2001:db8:0:1:: 2001:db8:0:1::1"},
		{"::/1", "", math.MaxUint64, "::1"},
	} {
		p := ipam.NewPool("lan", parseSubnet(t, test.subnet), parseAddrs(test.never))
		if p.Size() != test.size {
			t.Errorf("%s: size %d, want %d", test.subnet, p.Size(), test.size)
		}
		held := make(map[netip.Addr]bool)
		for i, text := range strings.Fields(test.taken) {
			var want netip.Addr
			if text != "!" {
				want = netip.MustParseAddr(text)
			}
			got := p.Next(freeBeside(held))
			if got != want {
				t.Errorf("%s: address %d: %v, want %s", test.subnet, i, got, text)
			}
			held[got] = true
		}
	}
}

func TestStaticAddresses(t *testing.T) {
	t.Parallel()
	text := "192.0.2.0/24 range=192.0.2.64/26 gateway=192.0.2.1 exclude=192.0.2.70"
	p := ipam.NewPool("lan", parseSubnet(t, text), parseAddrs("192.0.2.80"))
	for a, want := range map[string]string{
		"192.0.2.64":         "",
		"192.0.2.2":          "", // outside the range, inside the subnet
		"192.0.2.254":        "",
		"192.0.2.0":          `"192.0.2.0": in the subnet 192.0.2.0/24 it is the network's own`,
		"192.0.2.255":        `"192.0.2.255": in the subnet 192.0.2.0/24 it is the broadcast address`,
		"192.0.2.1":          `"192.0.2.1": in the subnet 192.0.2.0/24 it is the gateway`,
		"192.0.2.70":         `"192.0.2.70": in the subnet 192.0.2.0/24 it is excluded by the network`,
		"192.0.2.80":         `"192.0.2.80": in the subnet 192.0.2.0/24 it is in use by this host or another`,
		"198.51.100.1":       `"198.51.100.1": it is outside of the subnet 192.0.2.0/24`,
		"2001:db8::1":        `"2001:db8::1": it is outside of the subnet 192.0.2.0/24`,
		"::ffff:192.0.2.100": `"::ffff:192.0.2.100": it is outside of the subnet 192.0.2.0/24`,
	} {
		if got := errorText(p.Allows(netip.MustParseAddr(a))); got != want {
			t.Errorf("%s: %q, want %q", a, got, want)
		}
	}
	six := ipam.NewPool("lan", parseSubnet(t, "2001:db8::/64"), nil)
	want := `"2001:db8::": in the subnet 2001:db8::/64 it is the anycast address of its routers`
	if got := errorText(six.Allows(netip.MustParseAddr("2001:db8::"))); got != want {
		t.Errorf("first of /64: %q, want %q", got, want)
	}
	if got := errorText(six.Allows(netip.MustParseAddr("2001:db8::ffff:ffff:ffff:ffff"))); got != "" {
		t.Errorf("last of /64: %q, want it allowed: IPv6 has no broadcast", got)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
