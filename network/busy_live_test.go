package network

import (
	"errors"
	"testing"
	"time"

	"berth/internal/testnet"
	"berth/specs"

	"golang.org/x/sys/unix"
)

func TestPassthruIsExclusive(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first := s.create(t, s.n, s.macvlan("net1", mac(1)))
	passthru := s.macvlan("net2", specs.MAC{})
	passthru.Mode = specs.ModePassthru
	_, err := s.h.CreateLink(s.n, passthru)
	wantIs(t, err, ErrParentBusy)
	if err := inside(t, s.n).DeleteLink(first.Index); err != nil {
		t.Fatal(err)
	}
	s.create(t, s.n, passthru)
	for _, mode := range specs.Modes(specs.Macvlan) {
		l := s.macvlan("net3", specs.MAC{})
		l.Mode = mode
		_, err = s.h.CreateLink(s.n, l)
		wantIs(t, err, ErrParentBusy)
	}
	wantLinks(t, inside(t, s.n), "lo", "net2")
}

func TestPortOfABridgeIsBusy(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	testnet.Bridge(t, s.host, "br0", "eth1")
	_, err := s.h.CreateLink(s.n, s.macvlan("net1", mac(1)))
	wantIs(t, err, ErrParentBusy)
	wantErrno(t, err, unix.EBUSY)
	p, err := s.h.Parent("eth1")
	if br := testnet.Link(t, s.host, "br0").Attrs().Index; err != nil || p.Upper != br {
		t.Errorf("parent %+v, %v; want it under %d", p, err, br)
	}
	if _, err := s.h.Parent("br0"); err != nil {
		t.Errorf("a bridge can be a parent: %v", err)
	}
}

// The kernel looks for the same MAC when a link goes up, not when it is made.
func TestSameMACTwice(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.create(t, s.n, s.macvlan("net1", mac(1)))
	_, n2 := newContainer(t)
	for _, taken := range []specs.MAC{mac(1), s.parent.MAC} {
		second, err := s.h.CreateLink(n2, s.macvlan("net1", taken))
		if err != nil {
			t.Fatal(err)
		}
		wantErrno(t, inside(t, n2).setFlags(second.Index, unix.IFF_UP), unix.EADDRINUSE)
		start := time.Now()
		wantIs(t, inside(t, n2).SetUp(second.Index), ErrMACInUse)
		if took := time.Since(start); took < busyTimeout || took > 10*busyTimeout {
			t.Errorf("gave up after %v, want about %v", took, busyTimeout)
		}
		if err := inside(t, n2).DeleteLink(second.Index); err != nil {
			t.Fatal(err)
		}
	}
}

// The MAC of a container that has just ended is soon free.
func TestMACOfADyingNamespace(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	old, n := newContainer(t)
	s.create(t, n, s.macvlan("net1", mac(1)))
	second, err := s.h.CreateLink(s.n, s.macvlan("net1", mac(1)))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(n.Close(), old.Close()); err != nil {
		t.Fatal(err)
	}
	if err := inside(t, s.n).SetUp(second.Index); err != nil {
		t.Error(err)
	}
}
