package e2e

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"berth/specs"
	"berth/test/lab"
)

// killedServices are the engines of TestServiceKilled.
var killedServices = []string{"runc", "crun", "containerd"}

// TestServiceKilled kills the service again and again, each time during a request, while 20 containers
// start and while they end. No start fails, and nothing is left. There is no agent that would clean up.
func TestServiceKilled(t *testing.T) {
	for _, name := range killedServices {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			must(t, s.Network("lan", strings.Replace(lanNetwork, `conflict_timeout = "0"`, `conflict_timeout = "200ms"`, 1)))
			s.useClient(t)
			e := clientEngines[name](t, s)
			before := s.snapshot(t)
			all := s.sleepers(20)
			kills := s.killServices(t, func() {
				inLanes(t, 4, all, func(c lab.Container) error { _, err := e.Start(c); return err })
			})
			t.Logf("%d services were killed, %d runs were served, and %d were not", kills, s.served(t), len(s.hookRuns(t)))
			if kills == 0 || len(s.hookRuns(t)) == 0 { // crun can start all 20 during two services
				t.Error("want a service that was killed during a request, and berth-hook instead")
			}
			s.expectAttached(t, len(all))
			for _, c := range all {
				if out, err := e.Exec(c.ID, "ip", "-o", "link"); err != nil || strings.Count(out, "\n") != 2 {
					t.Errorf("container %s has the interfaces %s, %v, want lo and net1", c.ID, out, err)
				}
			}
			s.killServices(t, func() {
				inLanes(t, 4, all, func(c lab.Container) error { return e.Stop(c.ID) })
			})
			s.expectNothingLeft(t, before)
		})
	}
}

// killServices starts services, and kills each during its first request, until do has returned. It
// returns their number.
func (s *site) killServices(t *testing.T, do func()) (kills int) {
	t.Helper()
	var over atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer over.Store(true) // also if do ends this goroutine
		do()
	}()
	for !over.Load() {
		d, err := s.StartHookService("--log-level", "debug")
		must(t, err)
		must(t, lab.Eventually(5*time.Minute, func() error {
			if n, err := s.connected(); err != nil || n == 0 && !over.Load() {
				return fmt.Errorf("no client is connected to the service: %w", err)
			}
			return nil
		}))
		must(t, d.Kill())
		if !over.Load() {
			kills++
		}
	}
	<-done
	return kills
}

// connected returns the number of connections of the service. The kernel lists each with the path of
// the socket (proc_net(5)): number, references, protocol, flags, type, state, inode, path.
func (s *site) connected() (n int, err error) {
	text, err := s.Run("cat", "/proc/net/unix")
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		const connected = "03"
		if len(fields) == 8 && fields[7] == filepath.Join(s.State, "hook.sock") && fields[5] == connected {
			n++
		}
	}
	return n, err
}

// TestServiceCrowd starts 50 containers at once, and ends them at once.
func TestServiceCrowd(t *testing.T) {
	for _, name := range []string{"runc", "containerd"} {
		t.Run(name, func(t *testing.T) {
			s := newServedSite(t)
			e := served(clientEngines[name])(t, s)
			before := s.snapshot(t)
			all := s.sleepers(50)
			atOnce(t, all, func(c lab.Container) error { _, err := e.Start(c); return err })
			s.expectAttached(t, len(all))
			atOnce(t, all, func(c lab.Container) error { return e.Stop(c.ID) })
			s.expectNothingLeft(t, before)
			t.Logf("%d runs were served, and %d were not", s.served(t), len(s.hookRuns(t)))
		})
	}
}

// sleepers returns containers on the network lan.
func (s *site) sleepers(n int) (all []lab.Container) {
	for i := range n {
		all = append(all, s.sleeper(fmt.Sprint(i)))
	}
	return all
}

// inLanes calls do for all containers, for some of them at the same time.
func inLanes(t *testing.T, lanes int, all []lab.Container, do func(lab.Container) error) {
	t.Helper()
	next := make(chan lab.Container)
	go func() {
		for _, c := range all {
			next <- c
		}
		close(next)
	}()
	atOnce(t, all[:lanes], func(lab.Container) error {
		for c := range next {
			if err := do(c); err != nil {
				t.Error(err)
			}
		}
		return nil
	})
}

// expectAttached checks that a number of containers is attached, each with an address that no other has,
// and that there are no further leases of addresses.
func (s *site) expectAttached(t *testing.T, containers int) {
	t.Helper()
	of := make(map[netip.Addr]string)
	ids := make(map[string]bool)
	all := s.ps(t)
	for _, e := range all {
		if e.Phase != specs.PhaseAttached || len(e.Addresses) != 1 {
			t.Fatalf("berth ps shows %+v, want it attached with an address", e)
		}
		of[e.Addresses[0].Addr()] = e.ContainerID
		ids[e.ContainerID] = true
	}
	if len(all) != containers || len(of) != containers || len(ids) != containers {
		t.Errorf("%d containers have %d attachments, of %d containers, with %d addresses", containers, len(all), len(ids), len(of))
	}
	for _, l := range s.held(t) {
		if l.Addr.IsValid() && of[l.Addr] != l.Container {
			t.Errorf("there is a lease %+v, which is not that of an attachment", l)
		}
	}
}
