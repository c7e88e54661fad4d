//go:build engines

package e2e

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"berth/internal/state"
	"berth/specs"
	"berth/test/lab"
)

// The subnet of an engine's own macvlan, and the router's address in it.
const (
	foreignNet = "198.51.100.0/24"
	foreignIP  = "198.51.100.1"
)

// sideLAN is the network lan for containers whose default route is the engine's.
const sideLAN = "default_route = false\n" + lanNetwork

// expectBesideForeign starts containers on the network foreign, a macvlan of the engine
// on the same parent: one with both interfaces, and one with each of them. It checks
// that the LAN reaches both interfaces, and that berth counts only its own, without a
// violation. setPlain selects whether the engine starts containers without berth.
func (s *site) expectBesideForeign(t *testing.T, e lab.Engine, setPlain func(bool)) {
	t.Helper()
	must(t, s.Network("side", sideLAN))
	_, err := s.neighbor.Run("ip", "address", "add", foreignIP+"/24", "dev", "eth0")
	must(t, err)
	before := s.snapshot(t)
	both := s.sleeper("both")
	both.Annotations, both.Network = annotations{"berth/networks": "side"}, "foreign"
	id, err := e.Start(both)
	must(t, err)
	for range 2 {
		s.expectForeign(t, e, both.ID, id)
		s.expectWhole(t, e, both.ID, id, firstOfPool)
	}
	must(t, e.Restart(both.ID))
	s.expectForeign(t, e, both.ID, id)
	s.expectWhole(t, e, both.ID, id, firstOfPool)

	other := s.sleeper("other")
	other.Annotations, other.Network = nil, "foreign"
	setPlain(true)
	otherID, err := e.Start(other)
	setPlain(false)
	must(t, err)
	s.expectNotGivenOut(t, e)
	s.expectAdopted(t, e, other.ID)
	alone := s.sleeper("alone")
	aloneID, err := e.Start(alone)
	must(t, err)
	s.expectForeign(t, e, other.ID, otherID)
	s.expectWhole(t, e, alone.ID, aloneID, secondOfPool)
	s.expectForeign(t, e, both.ID, id)
	s.expectWhole(t, e, both.ID, id, firstOfPool)
	own := slices.DeleteFunc(s.ps(t), func(e specs.Endpoint) bool { return e.Origin != specs.OriginBerth })
	if len(own) != 2 {
		t.Errorf("berth ps shows %+v, want two attachments", own)
	}
	for _, c := range []lab.Container{both, other, alone} {
		must(t, e.Stop(c.ID))
	}
	s.expectNothingLeft(t, before)
}

// nearNetwork is a network of berth in the engine's subnet, whose range has the addresses that the
// engine gives out first. Its hook does not probe.
const nearNetwork = `parent = "eth1"
default_route = false
conflict_timeout = "0s"
[[subnet]]
subnet = "` + foreignNet + `"
gateway = "` + foreignIP + `"
ip_range = "198.51.100.0/29"
`

// expectNotGivenOut attaches a container on a network with the subnet of the engine's, and checks
// that it does not get one of the two addresses that the engine has given out.
func (s *site) expectNotGivenOut(t *testing.T, e lab.Engine) {
	t.Helper()
	must(t, s.Network("near", nearNetwork))
	taken := make(map[string]bool)
	must(t, lab.Eventually(30*time.Second, func() error {
		return state.Open(s.State).View(t.Context(), func(tx *state.Tx) error {
			for f, err := range tx.ForeignAddresses(netip.MustParseAddr(foreignIP)) {
				must(t, err)
				if netip.MustParsePrefix(foreignNet).Contains(f.Addr) {
					taken[f.Addr.String()] = true
				}
			}
			if len(taken) < 2 {
				return fmt.Errorf("addresses of other programs are %v, want two", taken)
			}
			return nil
		})
	}))
	near := s.sleeper("near")
	near.Annotations = annotations{"berth/networks": "near"}
	id, err := e.Start(near)
	must(t, err)
	if shown := findEndpoint(t, s.ps(t), id); len(shown.Addresses) != 1 || taken[shown.Addresses[0].Addr().String()] {
		t.Errorf("the container has %v, and the engine's have %v", shown.Addresses, taken)
	}
	must(t, e.Stop(near.ID))
}

// expectAdopted adopts the engine's network foreign. berth adopt must name a container on it, and
// a container on the new network must get an address of the subnet that no other has, with the
// gateway.
func (s *site) expectAdopted(t *testing.T, engine lab.Engine, on string) {
	t.Helper()
	args, env := []string{"docker:foreign"}, ""
	switch e := engine.(type) {
	case *lab.Docker:
		env = "DOCKER_HOST=" + e.Socket()
	case *lab.Podman:
		file, err := e.NetworkFile("foreign")
		must(t, err)
		args = []string{"--file", file}
	}
	text := s.adopt(t, env, append(args, "--name", "adopted")...)
	if !strings.Contains(text, "adopted\n") || !strings.Contains(text, "To move "+on+",") && !strings.Contains(text, "berth-cni") {
		t.Errorf("berth adopt printed no way to move container %s:\n%s", on, text)
	}
	moved := s.sleeper("moved")
	moved.Annotations = annotations{"berth/networks": "adopted"}
	id, err := engine.Start(moved)
	must(t, err)
	all := s.ps(t)
	shown := findEndpoint(t, all, id)
	if len(shown.Addresses) != 1 || !netip.MustParsePrefix(foreignNet).Contains(shown.Addresses[0].Addr()) {
		t.Fatalf("the container on the adopted network is %+v", shown)
	}
	for _, o := range all {
		if o.ContainerID != id && slices.Contains(o.Addresses, shown.Addresses[0]) {
			t.Errorf("%s has the same address as %+v", shown.Addresses[0], o)
		}
	}
	if len(shown.Gateways) != 1 || shown.Gateways[0].String() != foreignIP || shown.Mode != specs.ModeBridge || shown.Parent != "eth1" {
		t.Errorf("the container on the adopted network is %+v", shown)
	}
	must(t, engine.Stop(moved.ID))
}

// expectForeign checks that a container reaches the router by the engine's macvlan, and
// the router the container, and that berth ps shows that interface as observed.
func (s *site) expectForeign(t *testing.T, e lab.Engine, name, id string) {
	t.Helper()
	out, err := e.Exec(name, "ip", "-o", "-4", "address", "show", "eth0")
	must(t, err)
	fields := strings.Fields(out) // 2: eth0 inet ADDRESS …
	if len(fields) < 4 {
		t.Fatalf("the engine's own interface has %q, want an address", out)
	}
	address, _, _ := strings.Cut(fields[3], "/")
	expectPing(t, "from the container by the engine's macvlan", func() (string, error) {
		return e.Exec(name, "ping", "-c", "2", "-i", "0.1", "-W", "20", "-I", "eth0", foreignIP)
	})
	expectPing(t, fmt.Sprintf("from the LAN to %s on the engine's macvlan", address), func() (string, error) {
		return s.neighbor.Run("busybox", "ping", "-c", "1", "-W", "20", address)
	})
	must(t, lab.Eventually(30*time.Second, func() error { return s.checkObserved(t, e, id, address) }))
}

// podmansNetworks returns the program that makes podman's networks: CNI up to podman 4 of Debian.
func podmansNetworks() string {
	if lab.HasNetavark() {
		return specs.EnginePodman
	}
	return specs.EngineCNI
}

// checkObserved checks that berth ps shows an interface of the engine's with its
// container, its network, its parent and its traffic. The test's podman makes no cgroups, so that
// the container is known by the file of its namespace.
func (s *site) checkObserved(t *testing.T, engine lab.Engine, id, address string) error {
	t.Helper()
	all := s.ps(t)
	_, podman := engine.(*lab.Podman)
	want := specs.EngineNetwork{Engine: specs.EngineDocker, Name: "foreign"}
	if podman {
		want.Engine = podmansNetworks()
	}
	for _, e := range all {
		known := e.ContainerID == id || podman && strings.HasPrefix(e.ContainerID, "netns:netns-")
		if e.Origin == specs.OriginObserved && known && e.Interface == "eth0" && e.Parent == "eth1" &&
			e.Mode == specs.ModeBridge && e.EngineNetwork != nil && *e.EngineNetwork == want && slices.ContainsFunc(e.Addresses, func(p netip.Prefix) bool { return p.Addr().String() == address }) &&
			e.Counted && e.Counters.Transmit.Total().Packets > 0 && len(e.Violations) == 0 {
			return nil
		}
	}
	return fmt.Errorf("berth ps shows %+v, want eth0 of container %s with %s, observed and counted", all, id, address)
}
