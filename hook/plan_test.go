package hook

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"berth/internal/state"
	"berth/ipam"
	"berth/network"
	"berth/specs"
)

// newFacts returns a host with eth1, and a container without interfaces.
func newFacts() *Facts {
	return &Facts{
		Container: "c1", Name: "c1",
		Links: map[string]bool{"lo": true},
		Parents: map[string]*network.Parent{
			"eth1": {Name: "eth1", Index: 7, MTU: 1500, Up: true, MAC: specs.MAC{2, 0, 0, 0, 0, 1}},
		},
	}
}

// lookupNetwork returns the networks "lan" and "lab" (each with a gateway), "two" (two
// subnets, IPv6) and "bare" (no addresses), all on eth1.
func lookupNetwork(name string) (*specs.Network, error) {
	text, ok := map[string]string{
		"lan":    "parent='eth1'\n[[subnet]]\nsubnet='192.0.2.0/24'\ngateway='192.0.2.1'\n",
		"lab":    "parent='eth1'\n[[subnet]]\nsubnet='198.51.100.0/24'\ngateway='198.51.100.1'\n",
		"two":    "parent='eth1'\n[[subnet]]\nsubnet='192.0.2.0/24'\n[[subnet]]\nsubnet='203.0.113.0/24'\n[[subnet]]\nsubnet='2001:db8::/64'\ngateway='2001:db8::1'\n",
		"bare":   "parent='eth1'\nmac='derived'\n",
		"leased": "parent='eth1'\nipam='dhcp'\n", "leased6": "parent='eth1'\nipam='none'\nipv6='dhcp'\n",
		"stat": "parent='eth1'\nipam='static'\n[[subnet]]\nsubnet='192.0.2.0/24'\n",
		"prod": "parent='eth1'\nnamespaces=['prod-*']\n",
		"big":  "parent='eth1'\nmtu=9000\n",
	}[name]
	if !ok {
		return nil, specs.Unusable("", name, "there is no such network in networks.d")
	}
	return specs.DecodeNetwork(name, []byte(text))
}

// resolveNetworks resolves a value of berth/networks under an open policy.
func resolveNetworks(t *testing.T, networks string) []Request {
	t.Helper()
	all, err := specs.ParseAnnotations(map[string]string{specs.KeyNetworks: networks})
	if err != nil {
		t.Fatal(err)
	}
	open := specs.Policy{Networks: []string{"*"}, Parents: []string{"*"}, Modes: []string{"bridge", "passthru"}, StaticIPs: true, StaticMACs: true}
	rs, err := Resolve(all, &open, "", lookupNetwork, nil)
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

func mustPlan(t *testing.T, networks string, f *Facts) *Plan {
	t.Helper()
	p, err := MakePlan(resolveNetworks(t, networks), f)
	if err != nil {
		t.Fatalf("%s: %v", networks, err)
	}
	return p
}

func TestInterfacesAreNamedInOrder(t *testing.T) {
	f := newFacts()
	f.Links["net2"] = true
	p := mustPlan(t, "lan,lab@net1,two,bare@eth-x", f)
	var names []string
	for _, in := range p.New {
		names = append(names, in.Name)
	}
	if got := strings.Join(names, " "); got != "net3 net1 net4 eth-x" {
		t.Errorf("names %q", got)
	}
}

func TestTheFirstNetworkWithAGatewayHasTheDefaultRoute(t *testing.T) {
	p := mustPlan(t, "bare,two,lan,lab", newFacts())
	for i, want := range [][families]bool{{}, {false, true}, {true, false}, {}} {
		if got := p.New[i].Default; got != want {
			t.Errorf("%s: default routes %v, want %v", p.New[i].Net.Name, got, want)
		}
	}
}

func TestASelectionTakesTheDefaultRoute(t *testing.T) {
	f := newFacts()
	f.Default[ipv4] = true
	p := mustPlan(t, `[{"name":"lan"},{"name":"lab","default-route":["198.51.100.9"]}]`, f)
	if p.New[0].Default[ipv4] || !p.New[1].Default[ipv4] {
		t.Fatalf("default routes %v, %v", p.New[0].Default, p.New[1].Default)
	}
	got := routesOf(p.New[1], []netip.Prefix{netip.MustParsePrefix("198.51.100.2/24")})
	if len(got) != 1 || got[0].Via.String() != "198.51.100.9" || got[0].OnLink || got[0].To.IsValid() {
		t.Errorf("routes %+v", got)
	}
}

func TestADefaultRouteOfAnotherContainerOfTheNamespaceIsLeft(t *testing.T) {
	f := newFacts()
	f.Default[ipv4] = true
	f.Existing = []*state.Attachment{{Interface: "net1", Gateways: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}}
	if p := mustPlan(t, "lab", f); p.New[0].Default[ipv4] {
		t.Error("a second default route")
	}
}

func TestSatisfiedRequestIsKept(t *testing.T) {
	rs := resolveNetworks(t, "lan,lan")
	f := newFacts()
	f.Links["net1"] = true
	f.Existing = []*state.Attachment{{Interface: "net1", Phase: specs.PhaseAttached, Selection: rs[0].Text(1)}}
	p, err := MakePlan(rs, f)
	if err != nil || len(p.Kept) != 1 || len(p.New) != 1 || p.New[0].Name != "net2" {
		t.Fatalf("plan %+v, %v", p, err)
	}
	f.Existing[0].Leaving = true
	if p, err := MakePlan(rs, f); err != nil || len(p.Kept) != 0 {
		t.Errorf("an attachment on its way out is kept: %+v, %v", p, err)
	}
}

func TestDerivedMACsAreStable(t *testing.T) {
	a, b := mustPlan(t, "bare", newFacts()).New[0], mustPlan(t, "bare", newFacts()).New[0]
	other := newFacts()
	other.Name = "c2"
	c := mustPlan(t, "bare", other).New[0]
	if a.WantMAC != b.WantMAC || a.WantMAC == c.WantMAC || a.WantMAC[0] != 0x02 {
		t.Errorf("MACs %s, %s, of another container %s", a.WantMAC, b.WantMAC, c.WantMAC)
	}
}

func TestAddressesAskedForTakeTheSubnetsPrefix(t *testing.T) {
	p := mustPlan(t, `[{"name":"two","ips":["203.0.113.7"]}]`, newFacts())
	in := p.New[0]
	if len(in.Static) != 1 || in.Static[0].String() != "203.0.113.7/24" {
		t.Errorf("static %v", in.Static)
	}
	if len(in.Pools[ipv4]) != 0 || len(in.Pools[ipv6]) != 1 {
		t.Errorf("pools of IPv4 %d, IPv6 %d; want none and one", len(in.Pools[ipv4]), len(in.Pools[ipv6]))
	}
}

func TestAGatewayOutsideTheSubnetIsOnLink(t *testing.T) {
	in := mustPlan(t, `[{"name":"lan","default-route":["198.51.100.1"]}]`, newFacts()).New[0]
	in.Net.Routes = []specs.Route{
		{To: netip.MustParsePrefix("203.0.113.0/24"), Via: netip.MustParseAddr("192.0.2.9"), Metric: 4},
		{To: netip.MustParsePrefix("2001:db8:1::/64")}, // no address of this family
	}
	got := routesOf(in, []netip.Prefix{netip.MustParsePrefix("192.0.2.7/24")})
	if len(got) != 2 || !got[0].OnLink || got[1].OnLink || got[1].Metric != 4 {
		t.Errorf("routes %+v", got)
	}
}

func TestPlanRefuses(t *testing.T) {
	down := newFacts()
	down.Parents["eth1"].Up = false
	taken := newFacts()
	taken.Links["x"] = true
	routed := newFacts()
	routed.Default[ipv4] = true
	hosts := newFacts()
	hosts.Host = []netip.Addr{netip.MustParseAddr("192.0.2.5")}
	for _, c := range []struct {
		networks string
		facts    *Facts
		want     string
	}{
		{"big", newFacts(), `berth/networks[0].mtu "9000": the parent "eth1" has an MTU of only 1500 bytes`},
		{"lan", down, `berth/networks[0]: parent "eth1" is down; set it up: ip link set eth1 up`},
		{"lan@x", taken, `berth/networks[0]: the container has an interface "x" already; request another name`},
		{"lan", routed, `berth/networks[0]: the default route via 192.0.2.1 is refused, because the engine has set a default route already`},
		{`[{"name":"lan","ips":["192.0.2.1"]}]`, newFacts(), `192.0.2.1`},
		{`[{"name":"lan","ips":["192.0.2.255"]}]`, newFacts(), `192.0.2.255`},
		{`[{"name":"lan","ips":["192.0.2.5"]}]`, hosts, `192.0.2.5`},
		{`[{"name":"lan","default-route":["2001:db8::1"]}]`, newFacts(), `berth/networks[0].default-route "2001:db8::1": the interface has no address of this family`},
		{`[{"name":"lan","default-route":["192.0.2.1","192.0.2.2"]}]`, newFacts(), `berth/networks[0].default-route "192.0.2.2": there is another gateway of this family: 192.0.2.1`},
		{`[{"name":"lan","default-route":["192.0.2.1"]},{"name":"lab","default-route":["198.51.100.1"]}]`, newFacts(), `berth/networks[1]: the default route via 198.51.100.1 is refused, because berth/networks[0] requests one already; remove one of them`},
	} {
		_, err := MakePlan(resolveNetworks(t, c.networks), c.facts)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error\n     %v\nwant %s", c.networks, err, c.want)
		}
	}
}

func TestResolveRefuses(t *testing.T) {
	for _, c := range []struct {
		networks, policy, namespace, want string
		policyErr                         bool
	}{
		{"nolan", "", "", `berth/networks[0] "nolan": there is no such network in`, false},
		{"lan", "[policy]\nnetworks=['prod-*']", "", `berth/networks[0].networks "lan": [policy] networks in berth.toml permits only ["prod-*"]`, true},
		{"prod", "", "test", `berth/networks[0].network "prod": the namespace "test" may not use it`, true},
		{`[{"name":"lan","ips":["192.0.2.7"]}]`, "", "", `berth/networks[0].ips "192.0.2.7": containers may not request addresses; set static_ips = true`, true},
		{`[{"name":"lan","mac":"02:00:5e:00:53:01"}]`, "", "", `berth/networks[0].mac "02:00:5e:00:53:01": containers may not request MACs; set static_macs = true`, true},
		{`[{"parent":"eth1","ipam":"dhcp"}]`, "[policy]\nparents=['eth1']\nmodes=['bridge']", "", `berth/networks[0].mac "derived": containers may choose only "random"; with DHCP "derived" is the default, so request "mac": "random"; or set static_macs = true`, true},
		{`[{"parent":"eth1"}]`, "", "", `berth/networks[0].parent "eth1": [policy] parents in berth.toml permits none; to permit it, set parents = ["eth1"] there`, true},
		{`[{"parent":"eth1"}]`, "[policy]\nparents=['eth1']", "", `berth/networks[0].mode "bridge": [policy] modes in berth.toml permits none; to permit it, set modes = ["bridge"] there`, true},
		{`[{"parent":"eth1","mode":"vepa"}]`, "[policy]\nparents=['eth1']\nmodes=['bridge']", "", `berth/networks[0].mode "vepa": [policy] modes in berth.toml permits only ["bridge"]`, true},
		{`[{"name":"lan","ips":["198.51.100.7"]}]`, "[policy]\nstatic_ips=true", "", `berth/networks[0].ips "198.51.100.7": it is outside of the network's subnet 192.0.2.0/24`, false},
		{`[{"name":"leased","ips":["192.0.2.7"]}]`, "[policy]\nstatic_ips=true", "", `berth/networks[0].ips "192.0.2.7": a DHCP server leases the network's IPv4 addresses; reserve the address there, for the container's MAC or client identifier`, false},
		{`[{"name":"leased6","ips":["2001:db8::7"]}]`, "[policy]\nstatic_ips=true", "", `berth/networks[0].ips "2001:db8::7": a DHCP server leases the network's IPv6 addresses`, false},
		{`[{"name":"leased","ips":["2001:db8::7"]}]`, "[policy]\nstatic_ips=true", "", `berth/networks[0].ips "2001:db8::7": it is outside of the network's subnets: it has none`, false},
		{`[{"name":"lan","ips":["192.0.2.7/25"]}]`, "[policy]\nstatic_ips=true", "", `berth/networks[0].ips "192.0.2.7/25": the prefix differs from that of the subnet 192.0.2.0/24; leave it out`, false},
		{"stat", "", "", `berth/networks[0]: network "stat" has ipam = "static", so berth chooses no address; request one by ips, or by the engine's --ip`, false},
		{`[{"parent":"eth1","mode":"passthru","mac":"02:00:5e:00:53:01"}]`, "[policy]\nparents=['*']\nmodes=['passthru']\nstatic_macs=true", "", `an interface of macvlan passthru has its parent's MAC; request none`, false},
	} {
		cfg, err := specs.DecodeConfig([]byte(c.policy))
		if err != nil {
			t.Fatal(err)
		}
		all, err := specs.ParseAnnotations(map[string]string{specs.KeyNetworks: c.networks})
		if err != nil {
			t.Fatal(err)
		}
		_, err = Resolve(all, &cfg.Policy, c.namespace, lookupNetwork, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, specs.ErrPolicy) != c.policyErr {
			t.Errorf("%s: error\n     %v\nwant %s", c.networks, err, c.want)
		}
	}
}

func TestPoolsFallBackInOrder(t *testing.T) {
	in := mustPlan(t, "two", newFacts()).New[0]
	if len(in.Pools[ipv4]) != 2 || in.Pools[ipv4][0].Prefix().String() != "192.0.2.0/24" {
		t.Fatalf("pools %v", in.Pools[ipv4])
	}
	var _ *ipam.Pool = in.Pools[ipv6][0]
}

func TestAPodCannotNameItsNamespaceBesideTheEngine(t *testing.T) {
	both := map[string]string{namespaceContainerd: "kube-system", namespaceCRIO: "evil"}
	if _, err := kubernetesNamespace(both); !errors.Is(err, specs.ErrPolicy) {
		t.Errorf("error %v, want ErrPolicy", err)
	}
	for _, one := range []string{namespaceContainerd, namespaceCRIO} {
		if got, err := kubernetesNamespace(map[string]string{one: "prod"}); got != "prod" || err != nil {
			t.Errorf("%s: %q, %v", one, got, err)
		}
	}
}

func TestGatewayThatCannotRoute(t *testing.T) {
	for _, c := range []struct{ gw, want string }{
		{"192.0.2.0", "it is the network's own or the broadcast address"},
		{"192.0.2.255", "it is the network's own or the broadcast address"},
		{"192.0.2.7", "it is the interface's own address"},
	} {
		_, err := MakePlan(resolveNetworks(t, `[{"name":"lan","ips":["192.0.2.7"],"default-route":["`+c.gw+`"]}]`), newFacts())
		if err == nil || !strings.Contains(err.Error(), `berth/networks[0].default-route "`+c.gw+`": `+c.want) {
			t.Errorf("%s: error %v", c.gw, err)
		}
	}
}
