//go:build engines

package e2e

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"berth/test/lab"
)

// An oddNetwork is a network of an engine's own in a form beside the usual one.
type oddNetwork struct {
	create []string // arguments of network create, without the name
	file   string   // the network's file that berth adopt prints
	starts []string // the prefixes of the addresses of a container on the adopted network, or nil if this kernel may lack the driver
}

const macvlanOnEth1 = "driver = 'macvlan'\nparent = 'eth1'\nmode = 'bridge'\nipam = 'local'\nipv6 = 'off'\n"

// dockersOdd are networks of docker. The host has interfaces eth1 and eth1.10.
var dockersOdd = map[string]oddNetwork{
	"vlan": {
		create: []string{"-d", "macvlan", "-o", "parent=eth1.10", "--subnet", "198.51.100.0/24", "--gateway", "198.51.100.1"},
		file: "driver = 'macvlan'\nparent = 'eth1.10'\nmode = 'bridge'\nipam = 'local'\nipv6 = 'off'\n" + `
[[subnet]]
subnet = '198.51.100.0/24'
gateway = '198.51.100.1'
`,
	},
	"inside": {
		create: []string{"-d", "macvlan", "--internal", "-o", "parent=eth1", "--subnet", "192.0.2.0/24", "--ip-range", "192.0.2.208/28"},
		file: "driver = 'macvlan'\nparent = 'eth1'\nmode = 'bridge'\ndefault_route = false\nipam = 'local'\nipv6 = 'off'\n" + `
[[subnet]]
subnet = '192.0.2.0/24'
ip_range = '192.0.2.208/28'
`,
		starts: []string{"192.0.2.208/28"},
	},
	"dual": {
		create: []string{"-d", "macvlan", "-o", "parent=eth1", "--subnet", "192.0.2.0/24", "--gateway", "192.0.2.1", "--ip-range", "192.0.2.208/28",
			"--aux-address", "nas=192.0.2.208", "--ipv6", "--subnet", "2001:db8::/64", "--gateway", "2001:db8::1"},
		file: macvlanOnEth1 + `
[[subnet]]
subnet = '192.0.2.0/24'
gateway = '192.0.2.1'
ip_range = '192.0.2.208/28'
exclude = ['192.0.2.208']

[[subnet]]
subnet = '2001:db8::/64'
gateway = '2001:db8::1'
`,
		starts: []string{"192.0.2.208/28", "2001:db8::/64"},
	},
	"many": {
		create: []string{"-d", "macvlan", "-o", "parent=eth1", "--subnet", "192.0.2.0/24", "--gateway", "192.0.2.1", "--ip-range", "192.0.2.208/28",
			"--subnet", "198.51.100.0/24", "--gateway", "198.51.100.1"},
		file: macvlanOnEth1 + `
[[subnet]]
subnet = '192.0.2.0/24'
gateway = '192.0.2.1'
ip_range = '192.0.2.208/28'

[[subnet]]
subnet = '198.51.100.0/24'
gateway = '198.51.100.1'
`,
	},
	"routed": {
		create: []string{"-d", "ipvlan", "-o", "parent=eth1", "-o", "ipvlan_mode=l3", "--subnet", "192.0.2.0/24", "--subnet", "198.51.100.0/24"},
		file: "driver = 'ipvlan'\nparent = 'eth1'\nmode = 'l3'\nipam = 'local'\nipv6 = 'off'\n" + `
[[subnet]]
subnet = '192.0.2.0/24'
gateway = '192.0.2.1'

[[subnet]]
subnet = '198.51.100.0/24'
gateway = '198.51.100.1'
`,
	},
	"apart": {
		create: []string{"-d", "ipvlan", "-o", "parent=eth1", "-o", "ipvlan_mode=l2", "-o", "ipvlan_flag=private",
			"--subnet", "192.0.2.0/24", "--gateway", "192.0.2.1"},
		file: "driver = 'ipvlan'\nparent = 'eth1'\nmode = 'l2'\nipvlan_flag = 'private'\nipam = 'local'\nipv6 = 'off'\n" + `
[[subnet]]
subnet = '192.0.2.0/24'
gateway = '192.0.2.1'
`,
	},
}

// podmansOdd are networks of podman.
var podmansOdd = map[string]oddNetwork{
	"vlan": {
		create: []string{"-d", "macvlan", "-o", "parent=eth1.10", "--subnet", "198.51.100.0/24", "--gateway", "198.51.100.1"},
		file:   dockersOdd["vlan"].file,
	},
	"inside": {
		create: []string{"-d", "macvlan", "--internal", "-o", "parent=eth1", "--subnet", "192.0.2.0/24", "--ip-range", "192.0.2.208-192.0.2.220"},
		file: "driver = 'macvlan'\nparent = 'eth1'\nmode = 'bridge'\ndefault_route = false\nipam = 'local'\nipv6 = 'off'\n" + `
[[subnet]]
subnet = '192.0.2.0/24'
ip_range = '192.0.2.208/28'
exclude = ['192.0.2.221', '192.0.2.222/31']
`,
		starts: []string{"192.0.2.208/28"},
	},
	"dual": {
		create: []string{"-d", "macvlan", "-o", "parent=eth1", "-o", "metric=50", "--route", "203.0.113.0/24,192.0.2.1", "--subnet", "192.0.2.0/24", "--gateway", "192.0.2.1",
			"--ip-range", "192.0.2.208-192.0.2.223", "--ipv6", "--subnet", "2001:db8::/64", "--gateway", "2001:db8::1"},
		file: "driver = 'macvlan'\nparent = 'eth1'\nmode = 'bridge'\nmetric = 50\nipam = 'local'\nipv6 = 'off'\n" + `
[[route]]
to = '203.0.113.0/24'
via = '192.0.2.1'

[[subnet]]
subnet = '192.0.2.0/24'
gateway = '192.0.2.1'
ip_range = '192.0.2.208/28'

[[subnet]]
subnet = '2001:db8::/64'
gateway = '2001:db8::1'
`,
		starts: []string{"192.0.2.208/28", "2001:db8::/64"},
	},
	"many": {
		create: []string{"-d", "macvlan", "-o", "parent=eth1", "--subnet", "192.0.2.0/24", "--ip-range", "192.0.2.208-192.0.2.223",
			"--subnet", "198.51.100.0/24"},
		file:   dockersOdd["many"].file,
		starts: []string{"192.0.2.208/28"},
	},
	"routed": {
		create: []string{"-d", "ipvlan", "-o", "parent=eth1", "-o", "mode=l3", "--subnet", "192.0.2.0/24", "--subnet", "198.51.100.0/24"},
		file: "driver = 'ipvlan'\nparent = 'eth1'\nmode = 'l3'\nipam = 'local'\nipv6 = 'off'\n" + `
[[subnet]]
subnet = '192.0.2.0/24'
gateway = '192.0.2.1'

[[subnet]]
subnet = '198.51.100.0/24'
gateway = '198.51.100.1'
`,
	},
	"leased": {
		create: []string{"-d", "macvlan", "--ipam-driver", "dhcp", "-o", "parent=eth1", "-o", "mode=private", "-o", "mtu=1400"},
		file:   "driver = 'macvlan'\nparent = 'eth1'\nmode = 'private'\nmtu = 1400\nipam = 'dhcp'\nipv6 = 'off'\n",
	},
}

// addTagged gives the host an interface with the name of a VLAN, which this kernel need not support.
func (s *site) addTagged(t *testing.T) {
	t.Helper()
	must(t, s.lan.Plug(s.Host.Machine, "eth1.10"))
}

// expectAdoptedAs adopts a network under another name, and checks its file. It returns the commands that
// are printed.
func (s *site) expectAdoptedAs(t *testing.T, odd *oddNetwork, env string, args ...string) (printed string) {
	t.Helper()
	printed = s.adopt(t, env, append(args, "--name", "adopted", "--dry-run")...)
	_, rest, _ := strings.Cut(printed, "/adopted.toml\n")
	file, _, _ := strings.Cut(rest, "\nCreate a network of")
	file, _, _ = strings.Cut(file, "\nTo move ")
	if !slices.Equal(tablesOf(file), tablesOf(odd.file)) {
		t.Errorf("the file is\n%s\nwant\n%s", file, odd.file)
	}
	return s.adopt(t, env, append(args, "--name", "adopted")...)
}

// tablesOf returns the tables of a file in the order of their texts: docker changes the order of subnets.
func tablesOf(file string) []string {
	tables := strings.Split(strings.TrimSpace(file), "\n\n")
	slices.Sort(tables)
	return tables
}

// commandIn returns the words of a printed command that begins with some words, or nil if there is none.
func commandIn(printed, start string) []string {
	for line := range strings.Lines(printed) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, start+" ") {
			return strings.Fields(line)
		}
	}
	return nil
}

// expectMoved starts a container on an adopted network, and checks its addresses.
func (s *site) expectMoved(t *testing.T, e lab.Engine, c lab.Container, starts []string) {
	t.Helper()
	id, err := e.Start(c)
	must(t, err)
	shown := findEndpoint(t, s.ps(t), id)
	for _, within := range starts {
		if !slices.ContainsFunc(shown.Addresses, func(a netip.Prefix) bool { return netip.MustParsePrefix(within).Contains(a.Addr()) }) {
			t.Errorf("the moved container has %v, want an address of %s", shown.Addresses, within)
		}
	}
	if shown.Network != "adopted" || len(shown.Addresses) != len(starts) {
		t.Errorf("the moved container is %+v, want one address of each of %v", shown, starts)
	}
	for _, a := range shown.Addresses {
		if netip.MustParsePrefix("192.0.2.0/24").Contains(a.Addr()) {
			s.expectReached(t, a.Addr().String())
		}
	}
	must(t, e.Stop(c.ID))
}

// TestDockerAdopted adopts networks of docker's own, and starts a container on each as printed: by an
// annotation and, from docker 28 on, by a network of docker.
func TestDockerAdopted(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.addTagged(t)
	d := newDockerDriver(t, s, nil)
	version, err := d.Client("version", "--format", "{{.Server.Version}}")
	must(t, err)
	for name, odd := range dockersOdd {
		t.Run(name, func(t *testing.T) {
			_, err := d.Client(slices.Concat([]string{"network", "create"}, odd.create, []string{name})...)
			must(t, err)
			printed := s.expectAdoptedAs(t, &odd, "DOCKER_HOST="+d.Socket(), "docker:"+name)
			create := commandIn(printed, "docker network create")
			if isNew := !strings.HasPrefix(version, "26."); (create != nil) != isNew {
				t.Errorf("for docker %s, berth adopt printed\n%s", version, printed)
			}
			if odd.starts != nil {
				d.Plain = false
				moved := s.sleeper("moved")
				moved.Annotations = annotations{"berth/networks": "adopted"}
				s.expectMoved(t, d, moved, odd.starts)
				d.Plain = true
			}
			if odd.starts != nil && create != nil {
				for i, word := range create {
					if word == "berth" { // the driver of this test has a name of its own
						create[i] = d.name
					}
				}
				_, err = d.Client(create[1:]...)
				must(t, err)
				on := commandIn(printed, "docker run --network")[3]
				s.expectMoved(t, d, s.onDocker("moved", on), odd.starts)
				_, err = d.Client("network", "rm", on)
				must(t, err)
			}
			_, err = d.Client("network", "rm", name)
			must(t, err)
			_, err = s.Berth("network", "rm", "adopted")
			must(t, err)
		})
	}
}

// TestPodmanAdopted adopts networks of podman's own, and starts a container on each as printed: by a
// network of podman.
func TestPodmanAdopted(t *testing.T) {
	t.Parallel()
	s, p := newPodmanSite(t)
	s.addTagged(t)
	for name, odd := range podmansOdd {
		t.Run(name, func(t *testing.T) {
			_, err := p.Client(slices.Concat([]string{"network", "create"}, odd.create, []string{name})...)
			must(t, err)
			file, err := p.NetworkFile(name)
			must(t, err)
			printed := s.expectAdoptedAs(t, &odd, "", "--file", file)
			create := commandIn(printed, "podman network create")
			if create == nil {
				t.Fatalf("berth adopt printed no network of podman:\n%s", printed)
			}
			_, err = p.Client(create[1:]...)
			must(t, err)
			on := commandIn(printed, "podman run --network")[3]
			if odd.starts != nil {
				s.expectMoved(t, p, s.onPodmanNetwork("moved", on), odd.starts)
			}
			for _, network := range []string{on, name} {
				_, err = p.Client("network", "rm", network)
				must(t, err)
			}
			_, err = s.Berth("network", "rm", "adopted")
			must(t, err)
		})
	}
}
