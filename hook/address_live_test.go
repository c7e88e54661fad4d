package hook

import (
	"errors"
	"strings"
	"testing"

	"berth/internal/testnet"
)

// ipIn returns the output of `ip ARGS` in a namespace.
func ipIn(t *testing.T, ns *testnet.NS, args string) string {
	t.Helper()
	return testnet.Run(t, ns, "ip", strings.Fields(args)...)
}

func requireContains(t *testing.T, got string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("no %q in:\n%s", w, got)
		}
	}
}

func requireLacks(t *testing.T, got string, unwanted ...string) {
	t.Helper()
	for _, w := range unwanted {
		if strings.Contains(got, w) {
			t.Errorf("%q in:\n%s", w, got)
		}
	}
}

func TestBothFamilies(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", `parent = "PARENT"
metric = 77
[[subnet]]
subnet = "192.0.2.0/24"
gateway = "198.51.100.1"
ip_range = "192.0.2.64/26"
exclude = ["192.0.2.64"]
[[subnet]]
subnet = "2001:db8::/64"
gateway = "2001:db8::1"
[[route]]
to = "203.0.113.0/24"
via = "192.0.2.9"
metric = 5
[[route]]
to = "2001:db8:1::/64"
`)
	testnet.Address(t, h.lan, "wire", "2001:db8::1/64")
	a := h.box("a", "lan")
	h.mustStart(a)
	addrs := ipIn(t, a.ns, "-o addr show net1")
	requireContains(t, addrs, "192.0.2.65/24", "2001:db8::2/64", "fe80::")
	requireLacks(t, strings.ReplaceAll(addrs, "fe80", ""), "tentative scope global", "dadfailed")
	requireContains(t, ipIn(t, a.ns, "route"), "default via 198.51.100.1 dev net1 proto static metric 77 onlink", "203.0.113.0/24 via 192.0.2.9 dev net1 proto static metric 5")
	requireContains(t, ipIn(t, a.ns, "-6 route"), "default via 2001:db8::1 dev net1 proto static metric 77", "2001:db8:1::/64 dev net1")
	if err := ping(t, a.ns, "2001:db8::1"); err != nil {
		t.Error(err)
	}
	h.mustStop(a)
}

func TestPointToPoint(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("p2p", "parent = 'PARENT'\n[[subnet]]\nsubnet = '192.0.2.8/31'\n[[subnet]]\nsubnet = '2001:db8::8/127'\n")
	for i, want := range []string{"192.0.2.8/31", "192.0.2.9/31"} {
		b := h.box("c"+string(rune('a'+i)), "p2p")
		h.mustStart(b)
		requireContains(t, ipIn(t, b.ns, "-o addr show net1"), want, strings.Replace(strings.Replace(want, "192.0.2.", "2001:db8::", 1), "/31", "/127", 1))
	}
	if err := h.start(h.box("cc", "p2p")); err == nil || !strings.Contains(err.Error(), "192.0.2.8/31") {
		t.Errorf("error of a third: %v", err)
	}
}

func TestAFullSubnetGoesOnToTheNext(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", "parent = 'PARENT'\n[[subnet]]\nsubnet = '192.0.2.0/30'\ngateway = '192.0.2.1'\n[[subnet]]\nsubnet = '198.51.100.0/24'\ngateway = '198.51.100.1'\n")
	for _, c := range []struct{ id, addr, gateway string }{
		{"a", "192.0.2.2/30", "192.0.2.1"}, {"b", "198.51.100.2/24", "198.51.100.1"},
	} {
		b := h.box(c.id, "lan")
		h.mustStart(b)
		requireContains(t, ipIn(t, b.ns, "-o addr show net1"), c.addr)
		requireContains(t, ipIn(t, b.ns, "route"), "default via "+c.gateway+" dev net1")
	}
}

func TestTheHostsAddressesAreNotGivenAway(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", strings.ReplaceAll(lan, "192.0.2.", "203.0.113."))
	testnet.Address(t, testnet.Here(t), h.parent, "203.0.113.2/24")
	a := h.box("a", "lan")
	h.mustStart(a)
	requireContains(t, ipIn(t, a.ns, "-o addr show net1"), "203.0.113.3/24")
}

func TestTwoNetworksOfOneParentShareNoAddress(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", lan)
	h.network("also", lan)
	a := h.box("a", "lan,also")
	h.mustStart(a)
	requireContains(t, ipIn(t, a.ns, "-o addr"), "192.0.2.2/24", "192.0.2.3/24")
}

func TestIPv6IsDecidedBeforeTheLinkIsUp(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string][]string{
		"off":        {"disable_ipv6 1"},
		"link-local": {"disable_ipv6 0", "accept_ra 0", "autoconf 0"},
		"slaac":      {"disable_ipv6 0", "accept_ra 2", "autoconf 1"},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			h.network("lan", "parent = 'PARENT'\nipv6 = '"+mode+"'\n")
			a := h.box("a", "lan")
			h.mustStart(a)
			for _, w := range want {
				key, value, _ := strings.Cut(w, " ")
				if got := strings.TrimSpace(testnet.Run(t, a.ns, "cat", "/proc/sys/net/ipv6/conf/net1/"+key)); got != value {
					t.Errorf("%s is %s, want %s", key, got, value)
				}
			}
			if off := !strings.Contains(ipIn(t, a.ns, "-6 -o addr show net1"), "fe80::"); off != (mode == "off") {
				t.Errorf("IPv6 is off: %v", off)
			}
		})
	}
}

func TestAnIPv6AddressThatTheLANHasIsNotUsed(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.write("berth.toml", open)
	h.network("lan", "parent = 'PARENT'\n[[subnet]]\nsubnet = '2001:db8::/64'\n")
	testnet.Address(t, h.lan, "wire", "2001:db8::1/64")
	a := h.box("a", "lan")
	h.mustStart(a)
	requireContains(t, ipIn(t, a.ns, "-6 -o addr show net1"), "2001:db8::2/64")
	err := h.start(h.box("b", `[{"name":"lan","ips":["2001:db8::1"]}]`))
	if err == nil || !strings.Contains(err.Error(), "2001:db8::1 belongs to "+testnet.Link(t, h.lan, "wire").Attrs().HardwareAddr.String()) {
		t.Errorf("error %v", err)
	}
}

func TestTheEnginesDefaultRoute(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", lan)
	a := h.box("a", "lan")
	a.addEngineRoutes(t)
	before := h.snapshot(a)
	err := h.start(a)
	if err == nil || !strings.Contains(err.Error(), "the engine has set a default route already") {
		t.Errorf("error %v", err)
	}
	h.unchanged(a, before)

	a.annotations["berth/networks"] = `[{"name":"lan","default-route":["192.0.2.1"]}]`
	broken := errors.New("broken")
	h.step = func(name string) error {
		if name == "add routes" {
			return broken
		}
		return nil
	}
	if err := h.start(a); !errors.Is(err, broken) {
		t.Fatalf("error %v", err)
	}
	if got := ipIn(t, a.ns, "route show default"); !strings.Contains(got, "via 203.0.113.1 dev eth0") {
		t.Errorf("the engine's route was not given back: %s", got)
	}
	h.step = nil
	h.mustStart(a)
	if got := ipIn(t, a.ns, "route show default"); !strings.Contains(got, "via 192.0.2.1 dev net1") || strings.Contains(got, "eth0") {
		t.Errorf("default route: %s", got)
	}

	b := h.box("b", "lan")
	b.addEngineRoutes(t)
	h.network("lan", strings.Replace(lan, "[[", "default_route = false\n[[", 1))
	h.mustStart(b)
	if got := ipIn(t, b.ns, "route show default"); !strings.Contains(got, "eth0") || strings.Contains(got, "net1") {
		t.Errorf("default route: %s", got)
	}
}
