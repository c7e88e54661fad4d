package specs

import (
	"errors"
	"strings"
	"testing"
)

func parsePolicy(t *testing.T, text string) Policy {
	t.Helper()
	c, err := DecodeConfig([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c.Policy
}

func placedNetwork(parent string) *Network {
	n := &Network{Parent: parent}
	n.SetDefaults()
	return n
}

func TestPolicyRefusesByNameOfTheSwitch(t *testing.T) {
	closed := parsePolicy(t, "")
	parents := parsePolicy(t, "[policy]\nparents = ['eth1']\nmodes = ['bridge']\nvlans = ['100-199', '7']\n")
	macs := parsePolicy(t, "[policy]\nparents = ['eth1']\nmodes = ['bridge']\nstatic_macs = true\n")
	for _, c := range []struct {
		name, want string
		err        error
	}{
		{"default names networks", "", closed.AllowNetwork("lan")},
		{"network not listed", "[policy] networks", new(parsePolicy(t, "[policy]\nnetworks = ['prod-*']")).AllowNetwork("lan")},
		{"network by pattern", "", new(parsePolicy(t, "[policy]\nnetworks = ['prod-*']")).AllowNetwork("prod-a")},
		{"default has no parents", "[policy] parents", closed.AllowInPlace(placedNetwork("eth1"))},
		{"parent listed", "", parents.AllowInPlace(placedNetwork("eth1"))},
		{"other parent", "[policy] parents", parents.AllowInPlace(placedNetwork("eth2"))},
		{"VLAN in range", "", parents.AllowInPlace(placedNetwork("eth1.150"))},
		{"VLAN alone", "", parents.AllowInPlace(placedNetwork("eth1.7"))},
		{"VLAN out of range", "[policy] vlans", parents.AllowInPlace(placedNetwork("eth1.200"))},
		{"VLAN by name of its own", "[policy] modes", new(parsePolicy(t, "[policy]\nparents = ['eth1.*']")).AllowInPlace(placedNetwork("eth1.200"))},
		{"mode not listed", "[policy] modes", parents.AllowInPlace(&Network{Parent: "eth1", Mode: ModePassthru})},
		{"client identifier", "dhcp_client_id", parents.AllowInPlace(placedDHCP(ClientIDName))},
		{"derived client identifier", "", parents.AllowInPlace(placedDHCP(ClientIDMAC))},
		{"client identifier by permission", "", macs.AllowInPlace(placedDHCP(ClientIDName))},
		{"address", "static_ips = true", closed.AllowRequest(&Selection{IPs: make([]IP, 1)})},
		{"MAC", "static_macs = true", closed.AllowRequest(&Selection{MAC: MAC{2}})},
		{"namespace", "namespaces = [\"prod-*\"]", (&Network{Namespaces: []string{"prod-*"}}).AllowNamespace("test")},
		{"no namespace", "namespaces = [\"prod-*\"]", (&Network{Namespaces: []string{"prod-*"}}).AllowNamespace("")},
		{"namespace by pattern", "", (&Network{Namespaces: []string{"prod-*"}}).AllowNamespace("prod-a")},
	} {
		switch {
		case c.want == "" && c.err != nil:
			t.Errorf("%s: refused: %v", c.name, c.err)
		case c.want != "" && (!errors.Is(c.err, ErrPolicy) || !strings.Contains(c.err.Error(), c.want)):
			t.Errorf("%s: error %v, want ErrPolicy with %q", c.name, c.err, c.want)
		}
	}
}

// placedDHCP is a network with DHCP that an annotation defines in place.
func placedDHCP(id DHCPClientID) *Network {
	n := &Network{Parent: "eth1", IPAM: IPAMDHCP, MAC: MACRandom, DHCPClientID: id}
	n.SetDefaults()
	return n
}

func TestBadConfig(t *testing.T) {
	for text, want := range map[string]string{
		"[policy]\nnetwork = ['x']":        `line 2: key "policy.network": want one of modes, networks, parents`,
		"[policy]\nparents = ['[']":        `policy.parents[0] "[": want a pattern`,
		"[policy]\nmodes = ['bridgee']":    `policy.modes[0] "bridgee": want one of bridge`,
		"[policy]\nvlans = ['0-10']":       `policy.vlans[0] "0-10": want a VLAN id or a range`,
		"[policy]\nvlans = ['20-10']":      `policy.vlans[0] "20-10": want a VLAN id or a range`,
		"[policy]\nstatic_ips = 'yes'":     `line 2: policy.static_ips is a TOML string: want true or false`,
		"[agent]\nmax_endpoints = 0":       `agent.max_endpoints "0": want 1 to 65536`,
		"[agent]\nattach = 'xdp'":          `agent.attach "xdp": want auto, tcx or clsact`,
		"[agent]\nkeep_ended = 'for ever'": `"for ever": want a duration`,
	} {
		_, err := DecodeConfig([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %s", text, err, want)
		}
	}
}

// A name in the form of a VLAN may be another interface's alternative name, and a
// request may name a listed interface by an alternative name.
func TestPolicyByAllNames(t *testing.T) {
	parents := parsePolicy(t, "[policy]\nparents = ['eth1']\nmodes = ['bridge']\nvlans = ['100-199']\n")
	for _, c := range []struct {
		name, want string
		parent     ParentNames
	}{
		{"alternative name of a listed one", "", ParentNames{Names: []string{"lan0", "eth1"}}},
		{"listed name is an alternative one", "", ParentNames{Names: []string{"enp3s0", "lan0", "eth1"}}},
		{"alternative name of another", "[policy] parents", ParentNames{Names: []string{"lan0", "eth2"}}},
		{"looks like a VLAN", "[policy] parents", ParentNames{Names: []string{"eth1.100", "eth2"}}},
		{"VLAN of the trunk by another name", "", ParentNames{Names: []string{"lan0.100"}, Trunk: []string{"lan0", "eth1"}, VLAN: 100}},
		{"VLAN of the trunk, not listed", "[policy] vlans", ParentNames{Names: []string{"lan0.99"}, Trunk: []string{"lan0", "eth1"}, VLAN: 99}},
		{"VLAN of a VLAN", "[policy] parents", WrittenNames("eth1.100.101")},
	} {
		err := parents.AllowInPlaceOn(placedNetwork(c.parent.Names[0]), c.parent)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}
