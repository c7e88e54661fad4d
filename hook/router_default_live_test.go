package hook

import (
	"strings"
	"testing"

	"berth/internal/testnet"
	"berth/specs"
)

// TestRoutersBesideAnotherDefaultRoute requires that a network with SLAAC takes no default route from
// routers if the container has one of IPv6 already, of the engine or of another network, and takes it
// otherwise. With network connect it is the same.
func TestRoutersBesideAnotherDefaultRoute(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		networks        string
		engine, connect bool
		want            string // accept_ra_defrtr
	}{
		"alone":                   {"auto", false, false, "1"},
		"the engine's":            {"auto", true, false, "0"},
		"another network's":       {"lan,auto", false, false, "0"},
		"another, later":          {"auto,lan", false, false, "0"},
		"connect":                 {"auto", false, true, "1"},
		"connect to the engine's": {"auto", true, true, "0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			h.network("lan", dual)
			h.network("auto", "parent = 'PARENT'\nipv6 = 'slaac'\nipam = 'none'\n")
			networks := strings.Split(c.networks, ",")
			for i, network := range networks {
				if network == "auto" {
					networks[i] += "@auto0"
				}
			}
			annotation := strings.Join(networks, ",")
			if c.connect {
				annotation = ""
			}
			a := h.box("a", annotation)
			if c.engine {
				testnet.Veth(t, "eth0", a.ns, "engine", testnet.Namespace(t))
				a.addEngineRoutes6(t)
			}
			if c.connect {
				s := specs.Selection{Network: "auto", Interface: "auto0"}
				if _, err := h.hook().Connect(t.Context(), "a", a.process.Pid, s); err != nil {
					t.Fatal(err)
				}
			} else {
				h.mustStart(a)
			}
			got := strings.TrimSpace(testnet.Run(t, a.ns, "cat", "/proc/sys/net/ipv6/conf/auto0/accept_ra_defrtr"))
			if got != c.want {
				t.Errorf("accept_ra_defrtr = %s, want %s", got, c.want)
			}
			h.mustStop(a)
		})
	}
}
