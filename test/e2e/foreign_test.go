//go:build engines

package e2e

import (
	"fmt"
	"strings"
	"testing"

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
		s.expectForeign(t, e, both.ID)
		s.expectWhole(t, e, both.ID, id, firstOfPool)
	}
	must(t, e.Restart(both.ID))
	s.expectForeign(t, e, both.ID)
	s.expectWhole(t, e, both.ID, id, firstOfPool)

	other := s.sleeper("other")
	other.Annotations, other.Network = nil, "foreign"
	setPlain(true)
	_, err = e.Start(other)
	setPlain(false)
	must(t, err)
	alone := s.sleeper("alone")
	aloneID, err := e.Start(alone)
	must(t, err)
	s.expectForeign(t, e, other.ID)
	s.expectWhole(t, e, alone.ID, aloneID, secondOfPool)
	s.expectForeign(t, e, both.ID)
	s.expectWhole(t, e, both.ID, id, firstOfPool)
	if all := s.ps(t); len(all) != 2 {
		t.Errorf("berth ps shows %+v, want two attachments", all)
	}
	for _, c := range []lab.Container{both, other, alone} {
		must(t, e.Stop(c.ID))
	}
	s.expectNothingLeft(t, before)
}

// expectForeign checks that a container reaches the router by the engine's macvlan, and
// the router the container.
func (s *site) expectForeign(t *testing.T, e lab.Engine, name string) {
	t.Helper()
	out, err := e.Exec(name, "ip", "-o", "-4", "address", "show", "eth0")
	must(t, err)
	fields := strings.Fields(out) // 2: eth0 inet ADDRESS …
	if len(fields) < 4 {
		t.Fatalf("the engine's own interface has %q, want an address", out)
	}
	address, _, _ := strings.Cut(fields[3], "/")
	expectPing(t, "from the container by the engine's macvlan", func() (string, error) {
		return e.Exec(name, "ping", "-c", "2", "-i", "0.1", "-W", "5", "-I", "eth0", foreignIP)
	})
	expectPing(t, fmt.Sprintf("from the LAN to %s on the engine's macvlan", address), func() (string, error) {
		return s.neighbor.Run("busybox", "ping", "-c", "1", "-W", "5", address)
	})
}
