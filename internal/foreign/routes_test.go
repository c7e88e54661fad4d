package foreign

import (
	"net/netip"
	"testing"

	"berth/specs"
)

func routeOf(to, via string, metric int) specs.Route {
	return specs.Route{To: netip.MustParsePrefix(to), Via: netip.MustParseAddr(via), Metric: metric}
}

// TestRoutes reads routes of CNI and podman: a default route has its own gateway, and another
// without one has that of the subnet.
func TestRoutes(t *testing.T) {
	home := func(engine string) Network {
		return Network{Name: specs.EngineNetwork{Engine: engine, Name: "home"}, Driver: specs.Macvlan, Parent: "eth1", IPAM: specs.IPAMLocal}
	}
	cni, err := parseCNINetwork([]byte(`{"name":"home","type":"macvlan","master":"eth1","ipam":{"type":"host-local","subnet":"192.0.2.0/24",
"routes":[{"dst":"0.0.0.0/0","gw":"192.0.2.254"},{"dst":"198.51.100.0/24"},{"dst":"203.0.113.0/24","gw":"192.0.2.7","priority":5}]}}`))
	want := home(specs.EngineCNI)
	want.Subnets = []Subnet{subnetOf("192.0.2.0/24", "192.0.2.254", "192.0.2.0", "192.0.2.255")}
	want.Routes = []specs.Route{routeOf("198.51.100.0/24", "192.0.2.254", 0), routeOf("203.0.113.0/24", "192.0.2.7", 5)}
	if err != nil {
		t.Fatal(err)
	}
	wantNetworks(t, []Network{*cni}, want)

	podman, err := parsePodmanNetwork([]byte(`{"name":"home","driver":"macvlan","network_interface":"eth1","options":{"metric":"200"},
"subnets":[{"subnet":"192.0.2.0/24","gateway":"192.0.2.1"}],"ipam_options":{"driver":"host-local"},
"routes":[{"destination":"198.51.100.0/24","gateway":"192.0.2.9","metric":100}]}`))
	want = home(specs.EnginePodman)
	want.Metric, want.Subnets = 200, []Subnet{subnetOf("192.0.2.0/24", "192.0.2.1", "192.0.2.0", "192.0.2.255")}
	want.Routes = []specs.Route{routeOf("198.51.100.0/24", "192.0.2.9", 100)}
	if err != nil {
		t.Fatal(err)
	}
	wantNetworks(t, []Network{*podman}, want)
	for _, text := range []string{`{"dst":"here"}`, `{"dst":"0.0.0.0/0","gw":"there"}`} {
		if _, err := parseCNINetwork([]byte(`{"name":"home","type":"macvlan","master":"eth1","ipam":{"routes":[` + text + `]}}`)); err == nil {
			t.Errorf("the route %s is accepted", text)
		}
	}
}
