//go:build engines

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"berth/specs"
	"berth/test/lab"
)

// onNetwork is podman's option for a network of podman, with the interface that
// expectWhole expects.
const onNetwork = "lan:interface_name=net1"

// newPodmanSite returns a site with the network lan, an agent and podman, which has a
// network of the same name with berth as its driver. Requests of addresses are allowed, as
// berth install does for podman.
func newPodmanSite(t *testing.T) (*site, *lab.Podman) {
	t.Helper()
	s := newSite(t)
	must(t, s.Policy(openPolicy))
	must(t, s.Network("lan", lanNetwork))
	s.agent(t)
	p := newPodmanWithImage(t, s)
	_, err := p.Client("network", "create", "--driver", "berth", "--opt", "network=lan", "lan")
	must(t, err)
	return s, p
}

// onPodmanNetwork returns a container on a network of podman, without annotations.
func (s *site) onPodmanNetwork(name, network string) lab.Container {
	c := s.sleeper(name)
	c.Annotations, c.Network = nil, network
	return c
}

// expectInspected checks that podman inspect shows an endpoint's address, MAC and gateway.
func expectInspected(t *testing.T, p *lab.Podman, container, network string, shown specs.Endpoint) {
	t.Helper()
	out, err := p.Client("inspect", "--format", "{{json .NetworkSettings.Networks}}", container)
	must(t, err)
	var all map[string]struct {
		IPAddress, Gateway, MacAddress string
		IPPrefixLen                    int
	}
	must(t, json.Unmarshal([]byte(out), &all))
	got := all[network]
	if len(shown.Gateways) == 0 {
		got.Gateway = "192.0.2.1" // podman shows "<nil>"
	}
	if got.IPAddress != shown.Addresses[0].Addr().String() || got.IPPrefixLen != 24 || got.Gateway != "192.0.2.1" || got.MacAddress != shown.MAC.String() {
		t.Errorf("podman inspect shows %+v of network %q, berth ps %+v", got, network, shown)
	}
}

// TestPodmanNetwork starts containers on a network of podman whose driver is berth, from
// their start to their end, with and without requests.
func TestPodmanNetwork(t *testing.T) {
	t.Parallel()
	s, p := newPodmanSite(t)
	before := s.snapshot(t)
	web := s.onPodmanNetwork("web", onNetwork)
	id, err := p.Start(web)
	must(t, err)
	expectInspected(t, p, web.ID, "lan", s.expectWhole(t, p, web.ID, id, firstOfPool))
	expectHosts(t, p, web.ID, firstOfPool)
	asked := s.onPodmanNetwork("asked", onNetwork+",ip="+heldIP+",mac="+heldMAC)
	askedID, err := p.Start(asked)
	must(t, err)
	shown := s.expectWhole(t, p, asked.ID, askedID, heldIP)
	if shown.MAC.String() != heldMAC {
		t.Errorf("MAC %s, want %s", shown.MAC, heldMAC)
	}
	expectInspected(t, p, asked.ID, "lan", shown)
	must(t, p.Stop(asked.ID))
	mapped := s.onPodmanNetwork("mapped", onNetwork)
	mapped.UserNS = true
	mappedID, err := p.Start(mapped)
	must(t, err)
	s.expectWhole(t, p, mapped.ID, mappedID, secondOfPool)
	must(t, p.Stop(mapped.ID))
	must(t, p.Restart(web.ID))
	expectInspected(t, p, web.ID, "lan", s.expectWhole(t, p, web.ID, id, firstOfPool))
	_, err = p.Client("stop", web.ID)
	must(t, err)
	s.expectReleased(t)
	_, err = p.Client("start", web.ID)
	must(t, err)
	s.expectWhole(t, p, web.ID, id, firstOfPool)
	must(t, p.Stop(web.ID))
	s.expectNothingLeft(t, before)
	_, err = p.Client("network", "rm", "lan")
	must(t, err)
	_, err = p.Client("network", "create", "--driver", "berth", "--opt", "network=lan", "--subnet", "192.0.2.0/24", "--gateway", "192.0.2.1", "lan")
	must(t, err)
	_, err = p.Client("network", "create", "--driver", "berth", "--opt", "network=lan", "--subnet", "198.51.100.0/24", "other")
	if err == nil || !strings.Contains(err.Error(), "--subnet 192.0.2.0/24") {
		t.Errorf("a subnet that differs: %v", err)
	}
	id, err = p.Start(web)
	must(t, err)
	s.expectWhole(t, p, web.ID, id, firstOfPool)
	must(t, p.Stop(web.ID))
}

// TestPodmanNetworkInPlace starts a container on a network that only podman has. podman gives
// out a range from its second address on.
func TestPodmanNetworkInPlace(t *testing.T) {
	t.Parallel()
	s, p := newPodmanSite(t)
	before := s.snapshot(t)
	_, err := p.Client("network", "create", "--driver", "berth", "--opt", "parent=eth1", "--opt", "macvlan_mode=bridge", "--opt", "conflict_timeout=0",
		"--subnet", "192.0.2.0/24", "--gateway", "192.0.2.1", "--ip-range", "192.0.2.64/26", "own")
	must(t, err)
	for _, address := range []string{secondOfPool, heldIP} {
		c := s.onPodmanNetwork("own", "own:interface_name=net1")
		if address == heldIP {
			c.Network += ",ip=" + heldIP
		}
		id, err := p.Start(c)
		must(t, err)
		expectInspected(t, p, c.ID, "own", s.expectWhole(t, p, c.ID, id, address))
		must(t, p.Stop(c.ID))
		s.expectNothingLeft(t, before)
	}
}

// TestPodmanNetworkLeased starts and stops a container on a network of podman whose addresses a
// DHCP server of the LAN leases.
func TestPodmanNetworkLeased(t *testing.T) {
	t.Parallel()
	s, p := newPodmanSite(t)
	must(t, s.Network("leased", dhcpNetwork))
	_, err := p.Client("network", "create", "--driver", "berth", "--opt", "network=leased", "leased")
	must(t, err)
	testLeases(t, s, p, s.onPodmanNetwork("leased", "leased:interface_name=net1"), s.snapshot(t))
}

// TestPodmanNetworkConnect connects a running container of a bridge of podman's, whose
// default route stays, and disconnects it.
func TestPodmanNetworkConnect(t *testing.T) {
	t.Parallel()
	s, p := newPodmanSite(t)
	web := s.onPodmanNetwork("web", lab.EngineNetwork)
	id, err := p.Start(web)
	must(t, err)
	routes := func() string { return defaultRoutes(t, p, web.ID) }
	was := routes()
	for range 2 {
		_, err = p.Client("network", "connect", "--ip", heldIP, "lan", web.ID)
		must(t, err)
		s.expectReached(t, heldIP)
		expectInspected(t, p, web.ID, "lan", findEndpoint(t, s.ps(t), id))
		if now := routes(); now != was {
			t.Errorf("the default route was %q, is %q", was, now)
		}
		_, err = p.Client("network", "disconnect", "lan", web.ID)
		must(t, err)
		s.expectReleased(t)
		if links, err := p.Exec(web.ID, "ip", "-o", "link", "show"); err != nil || strings.Contains(links, "eth1") {
			t.Errorf("after disconnecting the container has %s, %v", links, err)
		}
	}
	must(t, p.Stop(web.ID))
	both := s.onPodmanNetwork("both", lab.EngineNetwork)
	_, err = p.StartWith(both, "--network", onNetwork)
	must(t, err)
	s.expectReached(t, firstOfPool)
	must(t, p.Stop(both.ID))
	s.expectReleased(t)
}

// TestPodmanNetworkPod starts a pod on the network. Its containers share the interface until
// the pod ends.
func TestPodmanNetworkPod(t *testing.T) {
	t.Parallel()
	s, p := newPodmanSite(t)
	before := s.snapshot(t)
	pod := s.id("pod")
	_, err := p.Client("pod", "create", "--name", pod, "--network", onNetwork)
	must(t, err)
	front, back := s.onPodmanNetwork("front", lab.Pod(pod)), s.onPodmanNetwork("back", lab.Pod(pod))
	for _, c := range []lab.Container{front, back} {
		_, err := p.Start(c)
		must(t, err)
	}
	shown := s.waitAttachedAt(t, firstOfPool)
	for _, c := range []lab.Container{front, back} {
		s.expectConfigured(t, p, c.ID, shown, firstOfPool)
	}
	must(t, p.Stop(front.ID))
	s.expectReached(t, firstOfPool)
	_, err = p.Client("pod", "rm", "--force", "--time", "0", pod)
	must(t, err)
	s.expectNothingLeft(t, before)
}

// TestPodmanNetworkRefusals checks that podman prints berth's reason, and that nothing is left.
func TestPodmanNetworkRefusals(t *testing.T) {
	t.Parallel()
	s, p := newPodmanSite(t)
	before := s.snapshot(t)
	for name, c := range map[string]struct{ flags, want []string }{
		"unknown network": {[]string{"--opt", "network=lam"}, []string{"lam", "lan"}},
		"unknown option":  {[]string{"--opt", "parent=eth1", "--opt", "vlan=7"}, []string{"vlan", "parent"}},
		"two definitions": {[]string{"--opt", "network=lan", "--subnet", "198.51.100.0/24"}, []string{"198.51.100.0/24", "192.0.2.0/24"}},
		"no definition":   {nil, []string{"-o network", "-o parent"}},
		"other parent":    {[]string{"--opt", "parent=eth0"}, []string{"parent", "eth0", "[policy]"}},
	} {
		_, err := p.Client(slices.Concat([]string{"network", "create", "--driver", "berth"}, c.flags, []string{"bad"})...)
		if err == nil {
			t.Errorf("%s: the network was created", name)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q in it", name, err, want)
			}
		}
	}
	for option, want := range map[string]string{"ip=198.51.100.7": "192.0.2.0/24", "ip=192.0.2.1": "the gateway", "mac=03:00:5e:00:53:01": "unicast"} {
		_, err := p.Start(s.onPodmanNetwork("bad", onNetwork+","+option))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", option, err, want)
		}
		s.expectNothingLeft(t, before)
	}
}

// TestPodmanNetworkWithoutTeardown kills podman's containers and their records of it: berth
// gc takes the address back.
func TestPodmanNetworkWithoutTeardown(t *testing.T) {
	t.Parallel()
	s, p := newPodmanSite(t)
	before := s.snapshot(t)
	web := s.onPodmanNetwork("web", onNetwork)
	_, err := p.Start(web)
	must(t, err)
	s.expectReached(t, firstOfPool)
	must(t, os.WriteFile(filepath.Join(s.Dir, "podman/plugins/berth"), []byte("#!/bin/sh\ncat >/dev/null\n"), 0o755))
	must(t, p.Stop(web.ID))
	_, err = s.Berth("gc")
	must(t, err)
	s.expectNothingLeft(t, before)
}

// TestPodmanNetworkSticky restarts a container of a sticky network, by the network of podman and by
// an annotation, while a lower address is free: it keeps its address.
func TestPodmanNetworkSticky(t *testing.T) {
	t.Parallel()
	s, p := newPodmanSite(t)
	must(t, s.Network("lan", "sticky = true\n"+lanNetwork))
	for name, web := range map[string]lab.Container{"network": s.onPodmanNetwork("web", onNetwork), "annotation": s.sleeper("noted")} {
		first := web
		first.ID = s.id("first")
		_, err := p.Start(first)
		must(t, err)
		id, err := p.Start(web)
		must(t, err)
		must(t, p.Stop(first.ID))
		must(t, p.Restart(web.ID))
		if got := findEndpoint(t, s.ps(t), id).Addresses; len(got) != 1 || got[0].Addr().String() != secondOfPool {
			t.Errorf("%s: after the restart the addresses are %v, want %s", name, got, secondOfPool)
		}
		must(t, p.Stop(web.ID))
	}
}
