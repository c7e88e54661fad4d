package keep

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"berth/dhcp/exchange"
	"berth/internal/lease"
	"berth/internal/state"
	"berth/internal/testnet"
)

// discovers returns the number of DISCOVERs that a server has logged.
func discovers(server *testnet.DHCPServer) int { return strings.Count(server.Log(), "DHCPDISCOVER") }

// TestLeasesAreRenewed keeps leases of seconds, with each server that grants such leases,
// for three times their lifetime.
func TestLeasesAreRenewed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		server testnet.DHCPConfig
		first  string // the message with which a lease begins, in the server's log
	}{
		"dhcpd":         {testnet.DHCPConfig{Kind: "dhcpd", Seconds: 8}, "DHCPDISCOVER"},
		"kea":           {testnet.DHCPConfig{Kind: "kea", Seconds: 8}, "DHCP4_LEASE_OFFER"},
		"dhcpd, DHCPv6": {testnet.DHCPConfig{Kind: "dhcpd", Seconds: 10, IPv6: true}, "Solicit message"},
		"kea, DHCPv6":   {testnet.DHCPConfig{Kind: "kea", Seconds: 10, IPv6: true}, "DHCP6_LEASE_ADVERT"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			if c.server.IPv6 {
				testnet.Address(t, s.lan, "wire", "2001:db8::1/64")
				s.writeNetwork("ipv6 = 'dhcp'")
			}
			c.server.Link = "wire"
			server := testnet.ServeDHCP(t, s.lan, c.server)
			b := s.start("web")
			address := s.record("web").Addresses[0]
			begun := strings.Count(server.Log(), c.first)
			s.keeper()
			until := s.record("web").DHCP[0].Began + 3*time.Duration(c.server.Seconds)*time.Second
			testnet.Eventually(t, "the lease is renewed again and again", func() bool {
				if text := testnet.Run(t, b.ns, "ip", "-o", "addr", "show", "dev", "net1"); !strings.Contains(text, " "+address.String()+" ") {
					t.Fatalf("%s is gone: %s", address, text)
				}
				return s.record("web").DHCP[0].Began > until
			})
			if n := strings.Count(server.Log(), c.first); n != begun {
				t.Errorf("%d new leases", n-begun)
			}
			if d := s.record("web").DHCP[0]; !d.Lease.Obtained.Before(d.Lease.Renewed) || d.Lease.Expires.Before(time.Now().Add(-time.Second)) {
				t.Errorf("lease %+v", d.Lease)
			}
			s.stop(b)
			if s.record("web") != nil {
				t.Error("the record is live after the end")
			}
		})
	}
}

// TestTheKernelEndsALease: without a keeper an address lasts no longer than its lease.
func TestTheKernelEndsALease(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	testnet.ServeDHCP(t, s.lan, testnet.DHCPConfig{Kind: "dhcpd", Link: "wire", Seconds: 3})
	b := s.start("a")
	d := s.record("a").DHCP[0]
	if ends, _ := d.Ends(); s.hadUntil(b, d.Lease.Address.String()) > ends+2*time.Second {
		t.Error("the address was there 2 s after the end of its lease")
	}
}

// hadUntil waits until an address is gone, and returns the last time before which it was seen.
func (s *site) hadUntil(b *box, address string) (seen time.Duration) {
	s.Helper()
	testnet.Eventually(s.T, "the address is gone", func() bool {
		now := exchange.Now()
		if !s.has(b, address) {
			return true
		}
		seen = now
		return false
	})
	return seen
}

// leastKept is the time until the end of a lease in which TestKills kills no keeper: a loaded machine
// may need it for one renewal.
const leastKept = 3 * time.Second

// mayKill waits until no lease is about to end.
func (s *site) mayKill(boxes []*box) {
	s.Helper()
	testnet.Eventually(s.T, "leases are renewed before they end", func() bool {
		return s.Failed() || !slices.ContainsFunc(boxes, func(b *box) bool {
			ends, _ := s.record(b.id).DHCP[0].Ends()
			return exchange.Now() > ends-leastKept
		})
	})
}

// TestKills kills keepers a hundred times, at random times and at their steps, over
// leases of seconds. No address is lost, none is kept beyond its lease, and no client
// asks again.
func TestKills(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	server := testnet.ServeDHCP(t, s.lan, testnet.DHCPConfig{Kind: "dhcpd", Link: "wire", Seconds: 8})
	var boxes []*box
	had := map[string]string{}
	for _, id := range []string{"a", "b", "c", "d"} {
		boxes = append(boxes, s.start(id))
		had[id] = s.record(id).Addresses[0].String()
	}
	begun := discovers(server)
	done := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		for {
			for _, b := range boxes {
				if text := s.addresses(b); !strings.Contains(text, " "+had[b.id]+" ") {
					t.Errorf("%s lost %s: %s", b.id, had[b.id], text)
					return
				}
			}
			select {
			case <-done:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	for n := range 100 {
		step := testnet.NoStep
		if n%3 == 0 {
			step = "extended in the kernel"
		}
		cmd := s.keeperProcess(step)
		time.Sleep(time.Duration(20+rand.IntN(500)) * time.Millisecond) // the moment of the kill is the test's input
		if step == testnet.NoStep {
			s.mayKill(boxes)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			break
		}
	}
	close(done)
	watch.Wait()
	if n := discovers(server); n != begun {
		t.Errorf("%d further DISCOVERs", n-begun)
	}
	for _, b := range boxes {
		d := s.record(b.id).DHCP[0]
		if ends, _ := d.Ends(); s.hadUntil(b, had[b.id]) > ends+8*time.Second+2*time.Second { // a kill after the kernel's, before the record's
			t.Errorf("%s was there 10 s after the end of the recorded lease", had[b.id])
		}
	}
}

// TestServerAwayAndBack: the lease is lost when it ends, and asked for again.
func TestServerAwayAndBack(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	server := testnet.ServeDHCP(t, s.lan, testnet.DHCPConfig{Kind: "dhcpd", Link: "wire", Seconds: 4})
	b := s.start("a")
	address := s.record("a").Addresses[0]
	s.keeper()
	server.Stop()
	testnet.Eventually(t, "the lease is lost", func() bool {
		r := s.record("a")
		return len(r.Addresses) == 0 && r.DHCP[0].Lease == nil && r.DHCP[0].Lost != "" && !s.has(b, address.String())
	})
	if r := s.record("a"); len(r.Gateways) > 0 {
		t.Errorf("gateways %v", r.Gateways)
	}
	server.Start()
	testnet.Eventually(t, "the address is back, with its route", func() bool {
		r := s.record("a")
		return r.DHCP[0].Lease != nil && len(r.Addresses) == 1 && r.Addresses[0] == address && s.has(b, address.String()) &&
			strings.Contains(testnet.Run(t, b.ns, "ip", "route"), "default via 192.0.2.1") && len(r.Gateways) == 1
	})
}

// TestServerAwayBriefly: a server that is back before the lease ends extends it.
func TestServerAwayBriefly(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	server := testnet.ServeDHCP(t, s.lan, testnet.DHCPConfig{Kind: "dhcpd", Link: "wire", Seconds: 32})
	b := s.start("a")
	d, begun := s.record("a").DHCP[0], discovers(server)
	s.keeper()
	server.Stop()
	testnet.Eventually(t, "T1 has passed", func() bool { return exchange.Now() > d.Began+17*time.Second })
	server.Start()
	testnet.Eventually(t, "the lease is extended", func() bool { return s.record("a").DHCP[0].Began > d.Began })
	if n := discovers(server); !s.has(b, d.Lease.Address.String()) || n != begun {
		t.Errorf("%s; %d further DISCOVERs", s.addresses(b), n-begun)
	}
}

// TestChangedAddress: a server that leases another address after it has forgotten the
// old one. The old address is gone everywhere, the new one is everywhere.
func TestChangedAddress(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"", "recorded the loss", "deleted the old address", "recorded the new address", "set the new address"} {
		t.Run("killed at "+step, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			server := testnet.ServeDHCP(t, s.lan, testnet.DHCPConfig{Kind: "dhcpd", Link: "wire", Seconds: 4})
			b := s.start("a")
			old := s.record("a").Addresses[0]
			leaseOthers(server, 600)
			if step != "" {
				s.waitKilled(s.keeperProcess(step))
			}
			s.keeper()
			var next netip.Prefix
			testnet.Eventually(t, "there is another address", func() bool {
				r := s.record("a")
				if len(r.Addresses) != 1 || r.Addresses[0] == old || r.DHCP[0].Old.IsValid() {
					return false
				}
				next = r.Addresses[0]
				return s.has(b, next.String()) && !s.has(b, old.String())
			})
			if next.Addr().As4()[3] < 200 {
				t.Errorf("address %s", next)
			}
			err := s.store.View(t.Context(), func(tx *state.Tx) error {
				in := lease.In(tx, s.record("a").Domain())
				if held, err := in.Holder(old.Addr()); held != nil || err != nil {
					t.Errorf("%s is held by %+v, %v", old, held, err)
				}
				if held, err := in.Holder(next.Addr()); held == nil || err != nil {
					t.Errorf("%s is held by nothing, %v", next, err)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			s.stop(b)
		})
	}
}

// TestLeaseEndsWhileItIsSet: a new lease that ends before its address is set, on a machine that stood
// still meanwhile, is an error after which the keeper begins again.
func TestLeaseEndsWhileItIsSet(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	server := testnet.ServeDHCP(t, s.lan, testnet.DHCPConfig{Kind: "dhcpd", Link: "wire", Seconds: 4})
	b := s.start("a")
	old := s.record("a").Addresses[0]
	leaseOthers(server, 4)
	late := false
	s.keeperWith(func(step string) {
		if step != "recorded the new address" || late {
			return
		}
		late = true
		for d := s.record("a").DHCP[0]; exchange.Now() <= d.Began+d.Lease.Lifetime.Duration(); {
			time.Sleep(10 * time.Millisecond)
		}
	})
	testnet.Eventually(t, "there is another address", func() bool {
		r := s.record("a")
		return len(r.Addresses) == 1 && r.Addresses[0] != old && s.has(b, r.Addresses[0].String())
	})
	s.stop(b)
}

// waitKilled waits until a keeper has killed itself at its step. It ends one that does not.
func (s *site) waitKilled(cmd *exec.Cmd) {
	s.Helper()
	tooLate := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	if err := cmd.Wait(); err == nil || !tooLate.Stop() {
		s.Fatalf("the keeper did not die at its step within two minutes: %v", err)
	}
}

// TestLinkDownUp: a lease is confirmed after the parent was down.
func TestLinkDownUp(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	server := testnet.ServeDHCP(t, s.lan, testnet.DHCPConfig{Kind: "dhcpd", Link: "wire", Seconds: 600})
	b := s.start("a")
	address, begun := s.record("a").Addresses[0].String(), discovers(server)
	s.keeper()
	requests := func() int { return strings.Count(server.Log(), "DHCPREQUEST") }
	before := requests()
	testnet.Eventually(t, "the lease is confirmed", func() bool {
		testnet.Run(t, testnet.Here(t), "ip", "link", "set", s.parent, "down")
		testnet.Eventually(t, "the container's link has no carrier", func() bool {
			return strings.Contains(testnet.Run(t, b.ns, "ip", "link", "show", "net1"), "NO-CARRIER")
		})
		testnet.Run(t, testnet.Here(t), "ip", "link", "set", s.parent, "up")
		deadline := time.Now().Add(5 * time.Second)
		for requests() == before && time.Now().Before(deadline) {
			time.Sleep(10 * time.Millisecond)
		}
		return requests() > before
	})
	if n := discovers(server); !s.has(b, address) || n != begun {
		t.Errorf("%s; %d further DISCOVERs", s.addresses(b), n-begun)
	}
}

// TestNothingPinsANamespace: the namespace of a container that was killed ends while
// its keeper waits for a server that does not answer.
func TestNothingPinsANamespace(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	server := testnet.ServeDHCP(t, s.lan, testnet.DHCPConfig{Kind: "dhcpd", Link: "wire", Seconds: 4})
	b := s.start("a")
	s.keeper()
	server.Stop()
	testnet.Eventually(t, "the lease is lost", func() bool { return s.record("a").DHCP[0].Lease == nil })
	if err := b.process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = b.process.Wait()
	nsid := s.record("a").NSID
	_ = b.ns.Close()
	testnet.Eventually(t, "the namespace is dead", func() bool {
		return !strings.Contains(testnet.Run(t, testnet.Here(t), "ip", "netns", "list-id"), fmt.Sprintf("nsid %d ", nsid))
	})
}

// TestTheLastLeaseEndsTheKeeper: the mark by which systemd starts the keeper is made
// with the first lease and goes with the last.
func TestTheLastLeaseEndsTheKeeper(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	testnet.ServeDHCP(t, s.lan, testnet.DHCPConfig{Kind: "dhcpd", Link: "wire", Seconds: 60})
	mark := s.store.Dir() + "/leases"
	b := s.start("a")
	if _, err := os.Stat(mark); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		k := &Keeper{Store: s.store, BPFFS: s.dirs.BPFFS, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
		ended <- k.Run(t.Context(), true)
	}()
	s.stop(b)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(mark); !os.IsNotExist(err) {
		t.Errorf("the mark: %v", err)
	}
}
