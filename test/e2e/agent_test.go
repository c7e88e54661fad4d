package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"berth/specs"
	"berth/test/lab"
)

// TestAgentKilled checks that counting goes on while the agent is dead, and that
// the next agent serves all counts.
func TestAgentKilled(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	must(t, s.Network("lan", lanNetwork))
	r := &lab.Runc{Host: s.Host, Rootfs: rootfs}
	first, err := s.StartAgent("--metrics", "127.0.0.1:9477")
	must(t, err)
	for i := range 2 {
		startOnLAN(t, s, r, s.id(i))
	}
	s.pingSibling(t, r, 3)
	must(t, first.Kill())
	s.pingSibling(t, r, 4)
	if e := findEndpoint(t, s.ps(t), s.id(0)); e.Counters.Transmit.Local.Unicast.Packets < 7 {
		t.Errorf("without the agent berth ps counts %+v, want 7 pings and more", e.Counters)
	}
	s.agent(t)
	s.pingSibling(t, r, 5)
	if e := findEndpoint(t, s.ps(t), s.id(0)); e.Counters.Transmit.Local.Unicast.Packets < 12 {
		t.Errorf("with a new agent berth ps counts %+v, want 12 pings and more", e.Counters)
	}
	s.expectScraped(t, s.id(0), 12)
	for i := range 2 {
		must(t, r.Stop(s.id(i)))
	}
}

func (s *site) pingSibling(t *testing.T, e lab.Engine, n int) {
	t.Helper()
	expectPing(t, "from a container to its sibling", func() (string, error) {
		return e.Exec(s.id(0), "ping", "-c", fmt.Sprint(n), "-i", "0.1", "-W", "20", "192.0.2.65")
	})
}

// expectScraped checks that the metrics of a container have at least n transmitted
// frames.
func (s *site) expectScraped(t *testing.T, id string, n float64) {
	t.Helper()
	text, err := s.Run("busybox", "wget", "-q", "-O", "-", "http://127.0.0.1:9477/metrics")
	must(t, err)
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "berth_network_transmit_packets_total{") && strings.Contains(line, id) {
			var got float64
			if _, err := fmt.Sscan(line[strings.LastIndex(line, " "):], &got); err != nil || got < n {
				t.Errorf("metrics have %s want at least %g", line, n)
			}
			return
		}
	}
	t.Errorf("metrics have no berth_network_transmit_packets_total of %s:\n%s", id, text)
}

// TestForgedMAC changes the MAC of a container, which then sends. The counter, the
// event and `berth events` must name the container.
func TestForgedMAC(t *testing.T) {
	t.Parallel()
	const forged = "00:00:5e:00:53:66"
	s := newSite(t)
	must(t, s.Network("lan", lanNetwork))
	s.agent(t)
	r := &lab.Runc{Host: s.Host, Rootfs: rootfs}
	startOnLAN(t, s, r, s.id("villain"))
	mac := findEndpoint(t, s.ps(t), s.id("villain")).MAC
	expectPing(t, "the LAN under its own MAC", func() (string, error) {
		return r.Exec(s.id("villain"), "ping", "-c", "2", "-i", "0.2", neighborIP)
	})
	if e := s.events(t); len(e) != 0 {
		t.Fatalf("events before anything was forged: %+v", e)
	}
	_, err := r.Exec(s.id("villain"), "ip", "link", "set", "net1", "address", forged)
	must(t, err)
	expectPing(t, "the LAN under a forged MAC", func() (string, error) {
		return r.Exec(s.id("villain"), "ping", "-c", "3", neighborIP)
	})
	err = lab.Eventually(time.Minute, func() error {
		for _, e := range s.events(t) {
			if e.Kind == specs.MACSpoof && e.MAC.String() == forged && e.Parent == "eth1" &&
				e.Sender != nil && e.Sender.ContainerID == s.id("villain") && e.Sender.MAC == mac {
				return nil
			}
		}
		return fmt.Errorf("no mac-spoof by %s from %s on eth1: %+v", s.id("villain"), forged, s.events(t))
	})
	if err != nil {
		t.Error(err)
	}
	if n := findEndpoint(t, s.ps(t), s.id("villain")).Violations[specs.MACSpoof]; n < 3 {
		t.Errorf("berth ps counts %d violations, want 3 pings and more", n)
	}
	must(t, r.Stop(s.id("villain")))
}

// events returns the output of `berth events --json`, one object per line.
func (s *site) events(t *testing.T) (all []specs.Event) {
	t.Helper()
	out, err := s.Berth("events", "--json")
	must(t, err)
	return decodeLines[specs.Event](t, out)
}
