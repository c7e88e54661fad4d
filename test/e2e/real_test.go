//go:build engines

package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth/specs"
	"berth/test/lab"
)

// Tests with this build tag run in trees of Debian that have the engines; see
// test/engines.

// firstOfPool is the address of the first container on the network lan.
const firstOfPool = "192.0.2.64"

var onLan = annotations{"berth/networks": "lan"}

// newServedSite returns a site with the network lan and an agent.
func newServedSite(t *testing.T) *site {
	t.Helper()
	s := newSite(t)
	must(t, s.Network("lan", lanNetwork))
	s.agent(t)
	return s
}

// sleeper returns a container on the network lan.
func (s *site) sleeper(name string) lab.Container {
	return lab.Container{ID: s.id(name), Args: []string{"sleep", "600"}, Annotations: onLan}
}

// expectWhole checks that a running container has one interface of berth, net1, with
// the address and MAC of berth ps, that the LAN reaches it, and that its traffic is
// counted from the first frame on, without a violation.
func (s *site) expectWhole(t *testing.T, e lab.Engine, name, id, address string) specs.Endpoint {
	t.Helper()
	s.expectReached(t, address)
	shown := findEndpoint(t, s.ps(t), id)
	links, err := e.Exec(name, "ip", "-o", "link", "show", "net1")
	must(t, err)
	if !strings.Contains(links, shown.MAC.String()) {
		t.Errorf("net1 is %s, want the MAC %s that berth ps shows", links, shown.MAC)
	}
	addresses, err := e.Exec(name, "ip", "-o", "-4", "address", "show", "net1")
	must(t, err)
	if !strings.Contains(addresses, address+"/24") || len(shown.Addresses) != 1 || shown.Addresses[0].Addr().String() != address {
		t.Errorf("net1 has %s, berth ps shows %s, want %s/24", addresses, shown.Addresses, address)
	}
	expectPing(t, "from the container", func() (string, error) {
		return e.Exec(name, "ping", "-c", "3", "-i", "0.1", "-W", "5", "-I", "net1", neighborIP)
	})
	must(t, lab.Eventually(10*time.Second, func() error {
		shown = findEndpoint(t, s.ps(t), id)
		out, in := shown.Counters.Transmit.External.Unicast, shown.Counters.Receive.External.Unicast
		// Four echoes and as many replies, and some ARP.
		if !shown.Counted || out.Packets < 4 || in.Packets < 4 || out.Bytes < 4*98 || in.Bytes < 4*98 {
			return fmt.Errorf("after four pings: counted %t, %+v", shown.Counted, shown.Counters)
		}
		return nil
	}))
	if len(shown.Violations) != 0 {
		t.Errorf("violations of %s: %v", name, shown.Violations)
	}
	return shown
}

// waitAttachedAt waits until an address answers the LAN and is attached.
func (s *site) waitAttachedAt(t *testing.T, address string) specs.Endpoint {
	t.Helper()
	var shown specs.Endpoint
	must(t, lab.Eventually(30*time.Second, func() error {
		if out, err := s.neighbor.Run("busybox", "ping", "-c", "1", "-W", "1", address); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		all := s.ps(t)
		if len(all) != 1 || all[0].Phase != specs.PhaseAttached {
			return fmt.Errorf("berth ps shows %+v, want one attachment", all)
		}
		shown = all[0]
		return nil
	}))
	return shown
}

// waitEmpty waits until no attachment and no lease is left.
func (s *site) waitEmpty(t *testing.T) {
	t.Helper()
	must(t, lab.Eventually(30*time.Second, func() error {
		if all, leases := s.ps(t), s.leases(t); len(all)+len(leases) != 0 {
			return fmt.Errorf("berth ps shows %+v, leases %s, want none", all, leases)
		}
		return nil
	}))
}

// waitNamed waits until berth ps shows a container with the given name.
func (s *site) waitNamed(t *testing.T, id, name string) {
	t.Helper()
	must(t, lab.Eventually(10*time.Second, func() error {
		if e := findEndpoint(t, s.ps(t), id); e.Name != name {
			return fmt.Errorf("the name of %s is %q, want %q", id, e.Name, name)
		}
		return nil
	}))
}

// expectDoctorPasses runs berth doctor, which starts a container of the engine, and
// checks that it finds no failure.
func (s *site) expectDoctorPasses(t *testing.T, engine string, env ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := s.Command(ctx, filepath.Join(bin, "berth"), "--config", s.Config, "--state", s.State, "--bpffs", s.BPFFS, "doctor", "--try", engine)
	cmd.Env = append(cmd.Environ(), env...)
	text, err := lab.Output(cmd)
	if err != nil || !strings.Contains(text, engine) {
		t.Errorf("doctor: %v\n%s", err, text)
	}
}
