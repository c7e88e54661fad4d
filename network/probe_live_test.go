package network

import (
	"bytes"
	"context"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"berth/internal/testnet"
	"berth/specs"

	"golang.org/x/sys/unix"
)

// wantFrame waits for exactly these bytes on a wire.
func wantFrame(t testing.TB, wire *testnet.Sniffer, want []byte) {
	t.Helper()
	if wire.Next(patience, func(f []byte) bool { return bytes.Equal(f, want) }) == nil {
		t.Errorf("not on the wire:\n%s", hex.Dump(want))
	}
}

// claimAddresses makes an interface that is up and claims addresses that it does not have.
func (s *site) claimAddresses(t testing.TB, name string, m specs.MAC, claimed ...string) Claimant {
	t.Helper()
	info, err := s.h.CreateLink(s.n, s.macvlan(name, m))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.n.SetIPv6(name, IPv6Settings{Static: true}); err != nil {
		t.Fatal(err)
	}
	if err := newInsideHandle(t, s.n).SetUp(info.Index); err != nil {
		t.Fatal(err)
	}
	return Claimant{Index: info.Index, Name: name, MAC: info.MAC, Addresses: addrs(claimed...)}
}

func probeFor(t testing.TB, s *site, timeout time.Duration, all ...Claimant) []Conflict {
	t.Helper()
	found, err := Probe(t.Context(), s.n, all, timeout)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func lanMAC(t testing.TB, s *site) specs.MAC {
	t.Helper()
	return specs.MAC(testnet.Link(t, s.lan, "port").Attrs().HardwareAddr)
}

func TestProbeFindsAHostOnTheLAN(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	testnet.Address(t, s.lan, "port", "192.0.2.10/24")
	testnet.Address(t, s.lan, "port", "2001:db8::10/64")
	c1 := s.claimAddresses(t, "net1", mac(1), "192.0.2.10", "192.0.2.11", "2001:db8::10", "2001:db8::11")
	c2 := s.claimAddresses(t, "net2", mac(2), "192.0.2.12")
	got := probeFor(t, s, 3*time.Second, c1, c2)
	other := lanMAC(t, s)
	want := []Conflict{{"net1", c1.Addresses[0], other}, {"net1", c1.Addresses[2], other}}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("conflicts %v, want %v", got, want)
	}
}

func TestProbeEndsEarlyWhenAllAreTaken(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	testnet.Address(t, s.lan, "port", "192.0.2.10/24")
	c := s.claimAddresses(t, "net1", mac(1), "192.0.2.10")
	const long = 5 * time.Minute
	start := time.Now()
	if got := probeFor(t, s, long, c); len(got) != 1 {
		t.Errorf("conflicts %v, want one", got)
	}
	if time.Since(start) >= long {
		t.Error("it listened for the whole time")
	}
}

// Three probes of each address are sent, with these exact bytes, and no conflict is found.
func TestProbesOnTheWire(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	c := s.claimAddresses(t, "net1", mac(1), "192.0.2.10", "2001:db8::10")
	wire := testnet.Capture(t, s.lan, "port")
	const timeout = time.Second // so that a slow machine also sends all three
	start := time.Now()
	if got := probeFor(t, s, timeout, c); len(got) != 0 {
		t.Errorf("conflicts %v, want none", got)
	}
	if took := time.Since(start); took < timeout {
		t.Errorf("took %v, want at least %v", took, timeout)
	}
	frames := [][]byte{arpProbe(c.MAC, c.Addresses[0]), ndProbe(c.MAC, c.Addresses[1])}
	for range probeTimes {
		for _, f := range frames {
			wantFrame(t, wire, f)
		}
	}
	again := func(f []byte) bool { return bytes.Equal(f, frames[0]) || bytes.Equal(f, frames[1]) }
	if f := wire.Next(time.Millisecond, again); f != nil {
		t.Errorf("a probe too many: %x", f)
	}
}

// Another host probes for the same address at the same moment.
func TestProbeMeetsAnotherProbe(t *testing.T) {
	t.Parallel()
	for _, a := range addrs("192.0.2.10", "2001:db8::10") {
		t.Run(a.String(), func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			tap := testnet.Tap(t, s.host, "tap0")
			var err error
			if s.parent, err = s.h.Parent("tap0"); err != nil {
				t.Fatal(err)
			}
			c := s.claimAddresses(t, "net1", mac(1), a.String())
			probe := framesByFamily(arpProbe, ndProbe)
			done := make(chan []Conflict)
			go func() {
				found, err := Probe(t.Context(), s.n, []Claimant{c}, patience)
				if err != nil {
					t.Error(err)
				}
				done <- found
			}()
			ours := probe(c, a)
			if tap.Read(patience, func(f []byte) bool { return bytes.Equal(f, ours) }) == nil {
				t.Fatal("no probe of ours")
			}
			tap.Write(ours) // a reflecting switch is no conflict
			other := Claimant{MAC: mac(9)}
			tap.Write(probe(other, a.Next())) // a probe for another address is no conflict
			tap.Write(probe(other, a))
			if got := <-done; len(got) != 1 || got[0].MAC != mac(9) || got[0].Addr != a {
				t.Errorf("conflicts %v, want one with %s", got, mac(9))
			}
		})
	}
}

func TestProbeStopsWithItsContext(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	c := s.claimAddresses(t, "net1", mac(1), "192.0.2.10")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := Probe(ctx, s.n, []Claimant{c}, 5*time.Minute) // without an error if it listens to the end
	wantIs(t, err, context.DeadlineExceeded)
}

func TestProbeOfNothing(t *testing.T) {
	t.Parallel()
	_, n := newContainer(t)
	for _, all := range [][]Claimant{nil, {{Name: "net1"}}} {
		if got, err := Probe(t.Context(), n, all, time.Minute); err != nil || got != nil {
			t.Errorf("conflicts %v, %v", got, err)
		}
	}
	c := Claimant{Name: "net1", Index: 9999, Addresses: addrs("192.0.2.10")}
	if got, err := Probe(t.Context(), n, []Claimant{c}, 0); err != nil || got != nil {
		t.Errorf("with no time: conflicts %v, %v", got, err)
	}
	_, err := Probe(t.Context(), n, []Claimant{c}, time.Minute)
	wantErrno(t, err, unix.ENXIO)
}

func TestProbeOnALinkThatIsDown(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	info, err := s.h.CreateLink(s.n, s.macvlan("net1", mac(1)))
	if err != nil {
		t.Fatal(err)
	}
	c := Claimant{Index: info.Index, Name: "net1", MAC: info.MAC, Addresses: addrs("192.0.2.10")}
	_, err = Probe(t.Context(), s.n, []Claimant{c}, time.Minute)
	wantErrno(t, err, unix.ENETDOWN)
}

// Both ways of announcing send the same bytes.
func TestAnnouncements(t *testing.T) {
	t.Parallel()
	for name, announce := range map[string]func(*Namespace, []Claimant) error{
		"by the kernel": Announce, "by packet": announceByPacket,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.claimAddresses(t, "net1", mac(1))
			s.claimAddresses(t, "net2", mac(2))
			c1 := claimant(t, s.n, byNameIn(t, s.n, "net1"), "192.0.2.10/24", "2001:db8::10/64", "192.0.2.11/24")
			c2 := claimant(t, s.n, byNameIn(t, s.n, "net2"), "192.0.2.12/24")
			arp, nd := testnet.Capture(t, s.lan, "port"), testnet.Capture(t, s.lan, "port")
			if err := announce(s.n, []Claimant{c1, c2, {}}); err != nil {
				t.Fatal(err)
			}
			wantFrame(t, arp, arpAnnouncement(c1.MAC, c1.Addresses[0]))
			wantFrame(t, arp, arpAnnouncement(c1.MAC, c1.Addresses[2]))
			wantFrame(t, arp, arpAnnouncement(c2.MAC, c2.Addresses[0]))
			wantFrame(t, nd, ndAnnouncement(c1.MAC, c1.Addresses[1]))
		})
	}
}

// A neighbour that had another MAC for the address uses the new one at once.
func TestAnnouncementIsHeard(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	testnet.Address(t, s.lan, "port", "192.0.2.1/24")
	testnet.Run(t, s.lan, "ip", "neigh", "add", "192.0.2.10", "lladdr", mac(9).String(), "dev", "port", "nud", "stale")
	c := claimant(t, s.n, s.createUp(t, s.n, s.macvlan("net1", mac(1))), "192.0.2.10/24")
	if err := Announce(s.n, []Claimant{c}); err != nil {
		t.Fatal(err)
	}
	testnet.Eventually(t, "the neighbour knows the new MAC", func() bool {
		return strings.Contains(testnet.Run(t, s.lan, "ip", "neigh", "show", "192.0.2.10"), mac(1).String())
	})
}
