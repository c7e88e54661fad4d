package network

import (
	"errors"
	"net/netip"
	"os"
	"testing"
	"time"

	"berth/internal/testnet"
	"berth/specs"
)

// attachInterface does the steps of the hook for one interface, without a probe.
func attachInterface(t testing.TB, s *site, n *Namespace, m specs.MAC) {
	l := s.macvlan("net1", m)
	l.Alias = "berth:0123456789abcdef/net1"
	info, err := s.h.CreateLink(n, l)
	if err != nil {
		t.Fatal(err)
	}
	a := netip.MustParsePrefix("192.0.2.10/24")
	h := newInsideHandle(t, n)
	for _, step := range []func() error{
		func() error { return n.SetIPv6("net1", IPv6Settings{Mode: specs.IPv6Off}) },
		func() error { return h.WaitUp(t.Context(), s.h, info.Index) },
		func() error { return h.AddAddress(info.Index, a, true) },
		func() error { return h.AddRoute(info.Index, Route{Via: netip.MustParseAddr("192.0.2.1")}) },
		func() error {
			return Announce(n, []Claimant{{Index: info.Index, Name: "net1", MAC: m, Addresses: []netip.Addr{a.Addr()}}})
		},
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
}

// Not parallel: it counts the descriptors of the whole process.
func TestNothingIsLeft(t *testing.T) {
	s := newSite(t)
	before := countEntries(t, "/proc/self/fd")
	for i := range 10 {
		ns := testnet.Namespace(t)
		n, err := OpenPath(ns.Path())
		if err != nil {
			t.Fatal(err)
		}
		attachInterface(t, s, n, mac(1))
		l := byNameIn(t, n, "net1")
		c := Claimant{Index: l.Index, Name: "net1", MAC: l.MAC, Addresses: addrs("192.0.2.11")}
		if _, err := Probe(t.Context(), n, []Claimant{c}, time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 { // the other links are deleted with their namespace
			if err := newInsideHandle(t, n).DeleteLink(l.Index); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(n.Close(), ns.Close()); err != nil {
			t.Fatal(err)
		}
	}
	testnet.Eventually(t, "all descriptors are closed", func() bool { return countEntries(t, "/proc/self/fd") <= before })
	wantLinks(t, s.h, "eth1", "lo")
	s.createUp(t, s.n, s.macvlan("net1", mac(1))) // its MAC is free again
}

func countEntries(t *testing.T, dir string) int {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// BenchmarkAttach measures one whole attachment without a probe, from opening the
// namespace on, each into a new namespace.
func BenchmarkAttach(b *testing.B) {
	s := newSite(b)
	for b.Loop() {
		b.StopTimer()
		ns, unused := newContainer(b)
		_ = unused.Close() // opening is part of the measurement
		b.StartTimer()
		n, err := OpenPath(ns.Path())
		if err != nil {
			b.Fatal(err)
		}
		if _, err := n.Cookie(); err != nil {
			b.Fatal(err)
		}
		if _, err := s.h.AssignNSID(n); err != nil {
			b.Fatal(err)
		}
		attachInterface(b, s, n, mac(1))
		b.StopTimer()
		if err := newInsideHandle(b, n).DeleteLink(byNameIn(b, n, "net1").Index); err != nil {
			b.Fatal(err)
		}
		_ = n.Close()
		_ = ns.Close()
		b.StartTimer()
	}
}
