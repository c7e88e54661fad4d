//go:build engines

package e2e

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"berth/specs"
	"berth/test/lab"
	"berth/test/traffic"
)

// An ownNetwork is a network of an engine's own, with ipvlan or on a VLAN.
type ownNetwork struct {
	name    string
	create  []string // arguments of network create
	parent  string
	mode    specs.Mode
	subnet  string
	address string // that a container requests
	forges  bool   // its containers can send a frame with another MAC
}

// wideHost gives the host a second port eth2 with an address, and the neighbor a VLAN, and a route to the
// containers of mode l3.
func (s *site) wideHost(t *testing.T) {
	t.Helper()
	const routerMAC = "02:00:5e:00:53:22"
	must(t, s.lan.Plug(s.Host.Machine, "eth2", "198.51.100.130/25"))
	_, err := s.Run("ip", "link", "set", "eth2", "address", routerMAC)
	must(t, err)
	for _, args := range [][]string{
		{"address", "add", "198.51.100.129/25", "dev", "eth0"},
		{"neighbour", "replace", "198.51.100.130", "lladdr", routerMAC, "dev", "eth0"},
		{"route", "add", "203.0.113.0/25", "via", "198.51.100.130"},
		{"link", "add", "link", "eth0", "name", "eth0.10", "type", "vlan", "id", "10"},
		{"address", "add", "203.0.113.129/25", "dev", "eth0.10"},
		{"link", "set", "eth0.10", "up"},
	} {
		_, err := s.neighbor.Run("ip", args...)
		must(t, err)
	}
}

// ownNetworks returns three networks with the words by which an engine names the mode of ipvlan.
func ownNetworks(l2, l3 []string) []ownNetwork {
	create := func(driver, parent, subnet string, more ...string) []string {
		return append([]string{"network", "create", "--driver", driver, "--opt", "parent=" + parent, "--subnet", subnet}, more...)
	}
	return []ownNetwork{
		{"flat", create("ipvlan", "eth1", "192.0.2.0/24", append(l2, "--gateway", "192.0.2.1")...), "eth1", specs.ModeL2,
			"192.0.2.0/24", "192.0.2.201", true},
		{"routed", create("ipvlan", "eth2", "203.0.113.0/25", l3...), "eth2", specs.ModeL3, "203.0.113.0/25", "203.0.113.70", false},
		{"tagged", create("macvlan", "eth1.10", "203.0.113.128/25", "--gateway", "203.0.113.129"), "eth1.10", specs.ModeBridge,
			"203.0.113.128/25", "203.0.113.170", true},
	}
}

// An owner is an engine with networks of its own.
type owner struct {
	lab.Engine
	client  func(args ...string) (string, error)
	start   func(name string, n *ownNetwork) (id string, err error) // without berth
	program string                                                  // that names the network
	adopt   func(t *testing.T, network string) (printed string)
	move    func(c lab.Container) (id string, err error) // starts a container by an annotation
}

// expectOwnNetworks starts a container on each network of an engine, and checks that each command shows it,
// that a forged frame is counted for it, and that berth adopts the network.
func (s *site) expectOwnNetworks(t *testing.T, o *owner, all []ownNetwork) {
	t.Helper()
	pids := make(map[string]int)
	for i := range all {
		n := &all[i]
		_, err := o.client(append(n.create, n.name)...)
		must(t, err)
		id, err := o.start(n.name, n)
		must(t, err)
		expectPing(t, "from "+n.name, func() (string, error) {
			return o.Exec(s.id(n.name), "ping", "-c", "3", "-W", "5", neighborOn(n))
		})
		s.expectReached(t, n.address)
		s.expectOwn(t, o, n, id)
		pids[n.name] = pidOf(t, o, s.id(n.name))
	}
	for i := range all {
		if n := &all[i]; n.forges {
			s.expectForgedBy(t, n, pids[n.name])
		}
	}
	if events := s.events(t); len(events) != 2 {
		t.Errorf("berth events shows %+v, want two forged frames", events)
	}
	for i := range all {
		s.expectOwnAdopted(t, o, &all[i])
	}
}

// neighborOn returns the neighbor's address that a network's containers reach.
func neighborOn(n *ownNetwork) string {
	switch n.parent {
	case "eth1.10":
		return "203.0.113.129"
	case "eth2":
		return "198.51.100.129"
	}
	return neighborIP
}

// expectOwn checks that berth shows the container of a network.
func (s *site) expectOwn(t *testing.T, o *owner, n *ownNetwork, id string) {
	t.Helper()
	want := specs.EngineNetwork{Engine: o.program, Name: n.name}
	must(t, lab.Eventually(60*time.Second, func() error {
		e := s.observedOn(t, n.address)
		if e.EngineNetwork == nil || *e.EngineNetwork != want || e.ContainerID != id || e.Name != s.id(n.name) ||
			e.Parent != n.parent || e.Mode != n.mode {
			return fmt.Errorf("berth ps shows %+v, want the network %s of %s, named %s, on %s in mode %s", e, want, id,
				s.id(n.name), n.parent, n.mode)
		}
		return nil
	}))
	s.expectShown(t, s.observedOn(t, n.address))
}

// expectForgedBy lets a container send a frame with a forged MAC, which is counted for it.
func (s *site) expectForgedBy(t *testing.T, n *ownNetwork, pid int) {
	t.Helper()
	f, err := traffic.Place{Path: fmt.Sprintf("/proc/%d/ns/net", pid), IfName: "eth0", V4: netip.MustParseAddr(n.address)}.Forger()
	must(t, err)
	must(t, f.Send([6]byte{2, 0, 0x5e, 0, 0x53, 0x60}))
	must(t, f.Close())
	must(t, lab.Eventually(30*time.Second, func() error {
		if e := s.observedOn(t, n.address); e.Violations[specs.MACSpoof] != 1 || len(e.Violations) != 1 {
			return fmt.Errorf("network %s: violations %v, want one forged MAC", n.name, e.Violations)
		}
		return nil
	}))
}

// expectOwnAdopted adopts a network, and starts a container of berth's on it beside that of the engine.
func (s *site) expectOwnAdopted(t *testing.T, o *owner, n *ownNetwork) {
	t.Helper()
	printed := o.adopt(t, n.name)
	if !strings.Contains(printed, s.id(n.name)) {
		t.Errorf("berth adopt printed no way to move container %s:\n%s", s.id(n.name), printed)
	}
	c := s.sleeper("moved")
	c.Annotations = annotations{"berth/networks": "adopted"}
	id, err := o.move(c)
	must(t, err)
	shown := findEndpoint(t, s.ps(t), id)
	if len(shown.Addresses) != 1 || !netip.MustParsePrefix(n.subnet).Contains(shown.Addresses[0].Addr()) ||
		shown.Addresses[0].Addr().String() == n.address || shown.Parent != n.parent || shown.Mode != n.mode {
		t.Fatalf("the container on the adopted network is %+v, want an address of %s on %s in mode %s", shown, n.subnet, n.parent, n.mode)
	}
	s.expectReached(t, shown.Addresses[0].Addr().String())
	expectPing(t, "from the moved container", func() (string, error) {
		return o.Exec(c.ID, "ping", "-c", "2", "-W", "5", neighborOn(n))
	})
	must(t, o.Stop(s.id(n.name)))
	_, err = o.client("network", "rm", n.name)
	must(t, err)
	links, err := s.Run("ip", "-brief", "link", "show")
	must(t, err)
	if isGone := !strings.Contains(links, n.parent+" ") && !strings.Contains(links, n.parent+"@"); isGone != (o.program == specs.EngineDocker && n.parent == "eth1.10") {
		t.Errorf("after the network %s of %s is removed, the host has\n%s", n.name, o.program, links)
	} else if isGone {
		s.expectVanished(t, id, 1)
		must(t, o.Restart(c.ID))
	}
	s.expectReached(t, shown.Addresses[0].Addr().String())
	must(t, o.Stop(c.ID))
	_, err = s.Berth("network", "rm", "adopted")
	must(t, err)
}

// TestObservedIPvlanOfDocker has networks of docker's own, of ipvlan and on a VLAN that docker makes.
func TestObservedIPvlanOfDocker(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.wideHost(t)
	s.agent(t)
	d := dockerWith(t, s, nil)
	plain := func(is bool) { d.Plain = is }
	o := &owner{Engine: d, client: d.Client, program: specs.EngineDocker,
		start: func(name string, n *ownNetwork) (string, error) {
			plain(true)
			return d.Start(s.onDocker(name, "name="+n.name+",ip="+n.address))
		},
		adopt: func(t *testing.T, network string) string {
			return s.adopt(t, "DOCKER_HOST="+d.Socket(), "docker:"+network, "--name", "adopted")
		},
		move: func(c lab.Container) (string, error) {
			plain(false)
			return d.Start(c)
		}}
	s.expectOwnNetworks(t, o, ownNetworks([]string{"--opt", "ipvlan_mode=l2"}, []string{"--opt", "ipvlan_mode=l3"}))
}

// TestObservedIPvlanOfPodman has networks of podman's own, of ipvlan and on a VLAN of the host's.
func TestObservedIPvlanOfPodman(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.wideHost(t)
	s.addVLAN(t)
	s.agent(t)
	p := &lab.Podman{Host: s.Host, Rootfs: rootfs}
	must(t, p.Setup())
	o := &owner{Engine: p, client: p.Client, program: specs.EnginePodman, move: p.Start,
		start: func(name string, n *ownNetwork) (string, error) {
			return p.Start(s.onPodmanNetwork(name, n.name+":ip="+n.address))
		},
		adopt: func(t *testing.T, network string) string {
			file, err := p.NetworkFile(network)
			must(t, err)
			return s.adopt(t, "", "--file", file, "--name", "adopted")
		}}
	s.expectOwnNetworks(t, o, ownNetworks([]string{"--opt", "mode=l2"}, []string{"--opt", "mode=l3"}))
}

func (s *site) addVLAN(t *testing.T) {
	t.Helper()
	for _, args := range [][]string{
		{"link", "add", "link", "eth1", "name", "eth1.10", "type", "vlan", "id", "10"}, {"link", "set", "eth1.10", "up"},
	} {
		_, err := s.Run("ip", args...)
		must(t, err)
	}
}

// TestObservedIPvlanOfNerdctl has networks that nerdctl makes by CNI.
func TestObservedIPvlanOfNerdctl(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.wideHost(t)
	s.addVLAN(t)
	s.agent(t)
	n := nerdctl(t, s)
	o := &owner{Engine: n, client: n.Client, program: specs.EngineCNI,
		start: func(name string, own *ownNetwork) (string, error) {
			n.Plain = true
			c := s.sleeper(name)
			c.Annotations, c.Network = nil, own.name
			return n.StartWith(c, "--ip", own.address)
		},
		adopt: func(t *testing.T, network string) string {
			file, err := n.NetworkFile(network)
			must(t, err)
			return s.adopt(t, "", "--file", file, "--name", "adopted")
		},
		move: func(c lab.Container) (string, error) {
			n.Plain = false
			return n.Start(c)
		}}
	s.expectOwnNetworks(t, o, ownNetworks([]string{"--opt", "mode=l2"}, []string{"--opt", "mode=l3"}))
}
