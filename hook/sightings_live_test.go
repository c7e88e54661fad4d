package hook

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"berth/dhcp/exchange"
	"berth/internal/lease"
	"berth/internal/testnet"
)

func TestAnAddressTakenBeforeTheProbe(t *testing.T) {
	t.Parallel()
	h := newAheadHost(t)
	testnet.Address(t, h.lan, "wire", "192.0.2.2/24")
	testnet.Run(t, h.lan, "ip", "-6", "addr", "add", "2001:db8::2/64", "dev", "wire", "nodad")
	h.settle()
	if !h.begin(h.box("b", "lan")) {
		t.Error("the start did not probe for addresses that another host has")
	}
	if got := strings.Join(h.addresses("b"), ","); got != "192.0.2.3,2001:db8::3" {
		t.Errorf("addresses %s", got)
	}
}

func TestAnAddressTakenInsideTheWindow(t *testing.T) {
	t.Parallel()
	h := newAheadHost(t)
	h.settle()
	testnet.Address(t, h.lan, "wire", "192.0.2.2/24")
	b := h.box("b", "lan")
	h.beginSeen(b)
	h.probers.Wait()
	mac := testnet.Link(t, h.lan, "wire").Attrs().HardwareAddr.String()
	log := h.logged()
	if !strings.Contains(log, "a container has the address of another machine") || !strings.Contains(log, "192.0.2.2") || !strings.Contains(log, mac) {
		t.Errorf("the prober logged: %s", log)
	}
	if s := lease.FindSighting(h.sightings(keep), netip.MustParseAddr("192.0.2.2")); s.Addr.IsValid() {
		t.Errorf("192.0.2.2 still counts as seen free: %+v", s)
	}
	h.mustStop(b)
	c := h.box("c", "lan")
	h.begin(c)
	if got := h.addresses("c")[0]; got != "192.0.2.3" {
		t.Errorf("address %s, want the next that is free on the LAN", got)
	}
}

func TestSightingsThatDoNotCount(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		what   string
		change func(*aheadHost)
	}{
		{"expired", func(h *aheadHost) {
			h.sightings(func(s *lease.Sighting) { s.At = exchange.Now() - lease.SeenFor + time.Millisecond })
		}},
		{"from the future", func(h *aheadHost) { h.sightings(func(s *lease.Sighting) { s.At = exchange.Now() + time.Hour }) }},
		{"of a shorter probe", func(h *aheadHost) { h.sightings(func(s *lease.Sighting) { s.Listened = time.Millisecond }) }},
		{"of another wire", func(h *aheadHost) {
			testnet.Run(h.T, h.lan, "ip", "link", "set", "wire", "down")
			testnet.Run(h.T, h.lan, "ip", "link", "set", "wire", "up")
			testnet.Eventually(h.T, "the carrier is back", func() bool {
				return strings.Contains(testnet.Run(h.T, testnet.Here(h.T), "ip", "-o", "link", "show", h.parent), "LOWER_UP")
			})
		}},
	} {
		t.Run(test.what, func(t *testing.T) {
			t.Parallel()
			h := newAheadHost(t)
			h.settle()
			test.change(h)
			if !h.begin(h.box("b", "lan")) {
				t.Error("the start did not wait")
			}
		})
	}
}

// TestAKilledProber kills a prober after it has marked the addresses that it probes for.
func TestAKilledProber(t *testing.T) {
	t.Parallel()
	h := newAheadHost(t)
	h.settle()
	h.sightings(func(s *lease.Sighting) { s.At -= lease.SeenFor })
	h.killProber()
	if s := lease.FindSighting(h.sightings(keep), netip.MustParseAddr("192.0.2.2")); !s.Running(exchange.Now(), probeFor) {
		t.Fatalf("the killed prober left %+v", s)
	}
	if !h.begin(h.box("b", "lan")) {
		t.Error("the start trusted a killed prober")
	}
}

// TestSightingsAreRenewed: while a prober renews a sighting, the older one counts.
func TestSightingsAreRenewed(t *testing.T) {
	t.Parallel()
	h := newAheadHost(t)
	h.settle()
	h.sightings(func(s *lease.Sighting) { s.At -= lease.SeenFor / 2 })
	h.killProber()
	h.beginSeen(h.box("b", "lan"))
}

// killProber kills a prober when it has marked the addresses that it probes for.
func (h *aheadHost) killProber() {
	h.Helper()
	testnet.RequireKilled(h, h.program("mark the addresses", "probe", "lan"))
}
