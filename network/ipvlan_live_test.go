package network

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"berth/internal/testnet"
	"berth/specs"

	"golang.org/x/sys/unix"
)

func (s *site) ipvlan(name string, mode specs.Mode) Link {
	return Link{Name: name, ParentIndex: s.parent.Index, Driver: specs.IPvlan, Mode: mode}
}

func TestCreateIPvlanInEveryMode(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.IPvlan)
	for _, mode := range specs.Modes(specs.IPvlan) {
		for _, flag := range []specs.IPvlanFlag{"", specs.FlagBridge, specs.FlagPrivate, specs.FlagVEPA} {
			t.Run(string(mode)+"-"+string(flag), func(t *testing.T) {
				t.Parallel()
				s := newSite(t)
				l := s.ipvlan("net1", mode)
				l.Flag, l.MTU, l.Alias = flag, 1400, "berth:ipvlan"
				made := s.createUp(t, s.n, l)
				got := byNameIn(t, s.n, "net1")
				if got.Kind != "ipvlan" || got.Driver != specs.IPvlan || got.Mode != mode || got.Flag != orBridge(flag) ||
					got.MAC != s.parent.MAC || got.MTU != 1400 || got.Alias != l.Alias || got.ParentIndex != s.parent.Index {
					t.Errorf("made %+v", got)
				}
				if made.MAC != s.parent.MAC || made.Index != got.Index {
					t.Errorf("returned %+v", made)
				}
			})
		}
	}
}

func TestIPvlanRefusals(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.IPvlan)
	s := newSite(t)
	l := s.ipvlan("net1", specs.ModeL2)
	l.MTU = s.parent.MTU + 1
	_, err := s.h.CreateLink(s.n, l)
	wantIs(t, err, ErrMTU)
	lo, err := s.h.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	l.MTU, l.ParentIndex = 0, lo.Index
	_, err = s.h.CreateLink(s.n, l)
	wantIs(t, err, ErrNotEthernet)
	s.createUp(t, s.n, s.ipvlan("net1", specs.ModeL2))
	_, err = s.h.CreateLink(s.n, s.ipvlan("net1", specs.ModeL2))
	wantIs(t, err, ErrNameTaken)
	_, err = s.h.CreateLink(s.n, s.macvlan("net2", mac(1)))
	wantIs(t, err, ErrParentBusy)
	wantErrno(t, err, unix.EBUSY)
}

// The kernel gives the latest mode to all ipvlan interfaces of a parent, so
// CheckSharing refuses another mode.
func TestIPvlanModeBelongsToTheParent(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.IPvlan)
	s := newSite(t)
	s.createUp(t, s.n, s.ipvlan("net1", specs.ModeL2))
	s.createUp(t, s.n, s.ipvlan("net2", specs.ModeL3))
	if got := byNameIn(t, s.n, "net1"); got.Mode != specs.ModeL3 {
		t.Errorf("the first is in mode %s; then CheckSharing is too strict", got.Mode)
	}
}

// A second interface of the parent cannot have the same address.
func TestIPvlanAddressTwice(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.IPvlan)
	s := newSite(t)
	_, n2 := newContainer(t)
	p := netip.MustParsePrefix("192.0.2.10/24")
	first, second := s.createUp(t, s.n, s.ipvlan("net1", specs.ModeL2)), s.createUp(t, n2, s.ipvlan("net1", specs.ModeL2))
	if err := newInsideHandle(t, s.n).AddAddress(first.Index, p, true); err != nil {
		t.Fatal(err)
	}
	err := newInsideHandle(t, n2).AddAddress(second.Index, p, true)
	wantIs(t, err, ErrAddressInUse)
	wantErrno(t, err, unix.EADDRINUSE)

	pid := testnet.Process(t, s.container).Pid
	err = newInsideHandle(t, n2).WaitAddress(t.Context(), s.h, second.Index, p, true)
	wantIs(t, err, ErrAddressInUse)
	wantEnd(t, err, fmt.Sprintf(`: it is held by interface "net1" in the network namespace of process %d`, pid))
}

// An ipvlan interface accepts no MAC, so the kernel does not announce for it.
func TestAnnounceOfIPvlan(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.IPvlan)
	s := newSite(t)
	info := s.createUp(t, s.n, s.ipvlan("net1", specs.ModeL2))
	wire := testnet.Capture(t, s.lan, "port")
	c := claimant(t, s.n, info, "192.0.2.10/24", "2001:db8::10/64")
	if err := Announce(s.n, []Claimant{c}); err != nil {
		t.Fatal(err)
	}
	wantFrame(t, wire, arpAnnouncement(info.MAC, c.Addresses[0]))
	wantFrame(t, wire, ndAnnouncement(info.MAC, c.Addresses[1]))
}

func TestIPvlanIsMissing(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	if testnet.Has(testnet.IPvlan) {
		return // other tests cover it
	}
	s := newSite(t)
	_, err := s.h.CreateLink(s.n, s.ipvlan("net1", specs.ModeL2))
	wantIs(t, err, ErrUnsupported)
	if !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("error %v is not errors.ErrUnsupported", err)
	}
}
