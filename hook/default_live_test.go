package hook

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"berth/internal/testnet"
	"berth/specs"
)

// addEngineRoutes gives a container an interface with the default routes, as docker's
// bridge does.
func (b *box) addEngineRoutes(t *testing.T) {
	t.Helper()
	testnet.Veth(t, "eth0", b.ns, "engine", testnet.Namespace(t))
	testnet.Address(t, b.ns, "eth0", "203.0.113.2/24")
	ipIn(t, b.ns, "route add default via 203.0.113.1")
}

// addEngineRoutes6 is addEngineRoutes for IPv6.
func (b *box) addEngineRoutes6(t *testing.T) {
	t.Helper()
	testnet.Address(t, b.ns, "eth0", "2001:db8:2::2/64")
	ipIn(t, b.ns, "-6 route add default via 2001:db8:2::1")
}

func (b *box) wantDefault(t *testing.T, via string) {
	t.Helper()
	four, six, _ := strings.Cut(via, ",")
	for family, want := range map[string]string{"-4": four, "-6": six} {
		got := ipIn(t, b.ns, family+" route show default")
		if strings.Count(got, "default") != 1 || !strings.HasPrefix(got, "default via "+want+" ") {
			t.Errorf("default route %q, want one, %s", got, want)
		}
	}
}

func (h *host) wantNoRecords() {
	h.Helper()
	if got := h.records(); got != "" {
		h.Errorf("left behind:\n%s", got)
	}
}

const (
	engines = "203.0.113.1 dev eth0,2001:db8:2::1 dev eth0"
	berths  = "192.0.2.1 dev net1,2001:db8::1 dev net1"
)

func TestDisconnectGivesTheEnginesDefaultRouteBack(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", dual)
	a := h.box("a", "")
	a.addEngineRoutes(t)
	a.addEngineRoutes6(t)
	s := specs.Selection{Network: "lan", DefaultRoute: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}}
	if _, err := h.hook().Connect(t.Context(), "a", a.process.Pid, s); err != nil {
		t.Fatal(err)
	}
	a.wantDefault(t, berths)
	if _, err := h.hook().Disconnect(t.Context(), "a", "lan"); err != nil {
		t.Fatal(err)
	}
	a.wantDefault(t, engines)
	h.wantNoRecords()
}

// A new start and a collection both have only the record to restore the route
// from.
func TestDefaultRouteIsRestoredAfterKill(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", dual)
	a := h.box("a", `[{"name":"lan","default-route":["192.0.2.1","2001:db8::1"]}]`)
	a.addEngineRoutes(t)
	a.addEngineRoutes6(t)
	h.killAfterStep(a, "add routes")
	a.wantDefault(t, berths)
	if _, err := h.releaserHere().Collect(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	a.wantDefault(t, engines)
	h.wantNoRecords()

	h.killAfterStep(a, "add routes")
	h.mustStart(a)
	a.wantDefault(t, berths)
	h.mustStop(a) // its namespace remains, as a pod's does
	a.wantDefault(t, engines)
	h.wantNoRecords()
}

// A route that replaced it in the meantime stays.
func TestAnotherDefaultRouteStays(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", lan)
	a := h.box("a", `[{"name":"lan","default-route":["192.0.2.1"]}]`)
	a.addEngineRoutes(t)
	h.mustStart(a)
	ipIn(t, a.ns, "route replace default via 203.0.113.9 dev eth0")
	h.mustStop(a)
	if got := ipIn(t, a.ns, "-4 route show default"); strings.Count(got, "default") != 1 || !strings.Contains(got, "203.0.113.9") {
		t.Errorf("default route %q", got)
	}
}

// network connect leaves the engine's default route, as docker does with a second
// network, unless the selection replaces it.
func TestConnectLeavesTheEnginesDefaultRoute(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", dual)
	a := h.box("a", "")
	a.addEngineRoutes(t)
	a.addEngineRoutes6(t)
	got, err := h.hook().Connect(t.Context(), "a", a.process.Pid, specs.Selection{Network: "lan"})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Gateways) > 0 || len(got.Addresses) != 2 {
		t.Errorf("attachment %+v", got)
	}
	a.wantDefault(t, engines)
	h.mustStop(a)
	a.wantDefault(t, engines)

	none := h.box("none", "") // the engine has set no default route: berth does
	if _, err := h.hook().Connect(t.Context(), "none", none.process.Pid, specs.Selection{Network: "lan"}); err != nil {
		t.Fatal(err)
	}
	none.wantDefault(t, berths)
	h.mustStop(none)
	h.wantNoRecords()
}

// default-route wins for every metric of the network and of the engine, and the
// engine's routes are restored unchanged.
func TestDefaultRouteWinsWhateverTheMetrics(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ network, engine string }{
		"a network's metric":         {"metric = 50\n", ""},
		"an engine's (podman's 100)": {"", " metric 100"},
		"both":                       {"metric = 2000\n", " metric 100"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			h.network("lan", c.network+dual)
			a := h.box("a", `[{"name":"lan","default-route":["192.0.2.1","2001:db8::1"]}]`)
			testnet.Veth(t, "eth0", a.ns, "engine", testnet.Namespace(t))
			testnet.Address(t, a.ns, "eth0", "203.0.113.2/24")
			testnet.Address(t, a.ns, "eth0", "2001:db8:2::2/64")
			ipIn(t, a.ns, "route add default via 203.0.113.1"+c.engine)
			ipIn(t, a.ns, "-6 route add default via 2001:db8:2::1"+c.engine)
			// berth restores the route on link, with or without the address.
			ours := strings.NewReplacer(" proto static", "", " onlink", "")
			routes := func() string {
				return ours.Replace(ipIn(t, a.ns, "route show default") + ipIn(t, a.ns, "-6 route show default"))
			}
			before := routes()
			h.mustStart(a)
			a.wantDefault(t, berths)
			h.mustStop(a)
			if after := routes(); after != before {
				t.Errorf("after the end\n%s\nbefore\n%s", after, before)
			}

			h.step = func(step string) error {
				if step == "add routes" {
					return errors.New("the step after fails")
				}
				return nil
			}
			if err := h.start(a); err == nil {
				t.Fatal("no error")
			}
			if after := routes(); after != before {
				t.Errorf("after the undo\n%s\nbefore\n%s", after, before)
			}
			h.wantNoRecords()
		})
	}
}
