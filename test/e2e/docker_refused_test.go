//go:build engines

package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestNetworkOfDockerOddOptions creates networks of docker with options that berth cannot meet. docker
// prints the reason, and the driver keeps no network.
func TestNetworkOfDockerOddOptions(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := newDockerDriver(t, s, nil)
	before := s.snapshot(t)
	own := []string{"--subnet", "192.0.2.0/24", "--opt", "parent=eth1"}
	for name, c := range map[string]struct{ args, want []string }{
		"unknown option":     {append(own, "--opt", "vlan=7"), []string{"vlan", "parent"}},
		"unknown mode":       {append(own, "--opt", "macvlan_mode=brigde"), []string{"brigde", "bridge"}},
		"forbidden mode":     {append(own, "--opt", "ipvlan_mode=l3"), []string{"modes", "[policy]"}},
		"forbidden parent":   {[]string{"--subnet", "192.0.2.0/24", "--opt", "parent=eth2"}, []string{"eth2", "parents", "[policy]"}},
		"a long parent":      {[]string{"--subnet", "192.0.2.0/24", "--opt", "parent=abcdefghijklmnop"}, []string{"abcdefghijklmnop"}},
		"a network too":      {append(own, "--opt", "network=lan"), []string{"network", "parent"}},
		"unknown network":    {[]string{"--subnet", "192.0.2.0/24", "--opt", "network=lam"}, []string{"lam", "lan"}},
		"a long network":     {[]string{"--subnet", "192.0.2.0/24", "--opt", "network=" + strings.Repeat("l", 65)}, []string{"network", "64"}},
		"a gateway outside":  {append(own, "--gateway", "198.51.100.1"), []string{"198.51.100.1"}},
		"a range outside":    {append(own, "--ip-range", "198.51.100.0/26"), []string{"198.51.100.0/26"}},
		"the gateway's only": {append(own, "--gateway", "192.0.2.1", "--ip-range", "192.0.2.1/32"), []string{"--ip-range", "no address for a container"}},
		"the network's only": {append(own, "--gateway", "192.0.2.1", "--ip-range", "192.0.2.0/31"), []string{"--ip-range", "no address for a container"}},
		"a reserved range":   {append(own, "--ip-range", "192.0.2.64/32", "--aux-address", "a=192.0.2.64"), []string{"--ip-range", "no address for a container"}},
		"another subnet":     {[]string{"--subnet", "192.0.2.0/25", "--opt", "network=lan"}, []string{"192.0.2.0/25", "192.0.2.0/24"}},
		"IPv6 of none":       {[]string{"--ipv6", "--ipv4=false", "--subnet", "2001:db8::/64", "--opt", "network=lan"}, []string{"2001:db8::/64", "192.0.2.0/24"}},
		"an odd MTU":         {append(own, "--opt", "mtu=9000000"), []string{"mtu", "9000000"}},
		"an option of IPAM":  {append(own, "--ipam-opt", "a=b"), []string{"--ipam-opt a"}},
		"the scope of swarm": {append(own, "--scope", "swarm"), []string{"swarm"}},
	} {
		err := d.create("bad", slices.Clone(c.args)...)
		if err == nil {
			t.Errorf("%s: the network was created", name)
			_, err = d.Client("network", "rm", "bad")
			must(t, err)
			continue
		}
		t.Logf("%s: %v", name, err)
		for _, want := range c.want {
			if !strings.Contains(unquote(err.Error()), want) {
				t.Errorf("%s: %v, want %q in it", name, err, want)
			}
		}
	}
	if left, err := os.ReadDir(filepath.Join(s.Dir, "docker-networks")); err == nil && len(left) > 0 {
		t.Errorf("left %v", left)
	}
	s.expectNothingLeft(t, before)
}

// TestNetworkOfDockerOddRequests requests addresses and MACs by docker run that berth cannot meet,
// beside a container that has others. docker prints the reason, and nothing of the container is left.
func TestNetworkOfDockerOddRequests(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := newDockerDriver(t, s, nil)
	before := s.snapshot(t)
	must(t, d.create("lan", "--subnet", "192.0.2.0/24", "--opt", "network=lan"))
	must(t, d.create("inner", "--internal", "--subnet", "203.0.113.0/24", "--opt", "parent=eth1", "--opt", "conflict_timeout=0"))
	held := s.onDocker("held", "name=lan,ip="+heldIP+",mac-address="+heldMAC)
	_, err := d.Start(held)
	must(t, err)
	during := s.snapshot(t)
	for request, want := range map[string]string{
		"name=lan,ip=" + heldIP:                                                 heldIP,
		"name=lan,ip=198.51.100.7":                                              "198.51.100.7",
		"name=lan,ip=192.0.2.1":                                                 "192.0.2.1",
		"name=lan,ip=192.0.2.255":                                               "192.0.2.255",
		"name=lan,ip=192.0.2.300":                                               "192.0.2.300",
		"name=lan,ip6=2001:db8::9":                                              "2001:db8::9",
		"name=lan,mac-address=" + heldMAC:                                       heldMAC,
		"name=lan,mac-address=03:00:5e:00:53:01":                                "unicast",
		"name=lan,mac-address=00:00:00:00:00:00":                                "00:00:00:00:00:00",
		"name=lan,mac-address=02:00:5e":                                         "02:00:5e",
		"name=lan" + strings.Replace(ifnameNet1, "net1", "lo", 1):               "lo",
		"name=lan" + strings.Replace(ifnameNet1, "net1", "abcdefghijklmnop", 1): "abcdefghijklmnop",
	} {
		_, err := d.Start(s.onDocker("bad", request))
		if err == nil {
			t.Errorf("%s: the container starts", request)
			must(t, d.Stop(s.id("bad")))
			continue
		}
		t.Logf("%s: %v", request, err)
		if !strings.Contains(unquote(err.Error()), want) {
			t.Errorf("%s: %v, want %q in it", request, err, want)
		}
	}
	s.drainEnded(t)
	if diff := s.snapshot(t).difference(during); diff != "" {
		t.Errorf("refused containers leave: %s", diff)
	}
	inner := s.onDocker("inner", "inner")
	_, err = d.Start(inner)
	must(t, err)
	if routes := defaultRoutes(t, d.Docker, inner.ID); routes != "" {
		t.Errorf("on an internal network there is the default route %s", routes)
	}
	must(t, d.Stop(inner.ID))
	must(t, d.Stop(held.ID))
	s.expectNothingLeft(t, before)
}
