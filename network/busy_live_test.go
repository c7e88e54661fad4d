package network

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"berth/internal/testnet"
	"berth/specs"

	"golang.org/x/sys/unix"
)

func TestPassthruIsExclusive(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first := s.createUp(t, s.n, s.macvlan("net1", mac(1)))
	passthru := s.macvlan("net2", specs.MAC{})
	passthru.Mode = specs.ModePassthru
	_, err := s.h.CreateLink(s.n, passthru)
	wantIs(t, err, ErrParentBusy)
	if err := newInsideHandle(t, s.n).DeleteLink(first.Index); err != nil {
		t.Fatal(err)
	}
	s.createUp(t, s.n, passthru)
	for _, mode := range specs.Modes(specs.Macvlan) {
		l := s.macvlan("net3", specs.MAC{})
		l.Mode = mode
		_, err = s.h.CreateLink(s.n, l)
		wantIs(t, err, ErrParentBusy)
	}
	wantLinks(t, newInsideHandle(t, s.n), "lo", "net2")
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

// The kernel checks for the same MAC when a link goes up, not when it is made.
func TestSameMACTwice(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.createUp(t, s.n, s.macvlan("net1", mac(1)))
	_, n2 := newContainer(t)
	for _, taken := range []specs.MAC{mac(1), s.parent.MAC} {
		second, err := s.h.CreateLink(n2, s.macvlan("net1", taken))
		if err != nil {
			t.Fatal(err)
		}
		wantErrno(t, newInsideHandle(t, n2).setFlags(second.Index, unix.IFF_UP), unix.EADDRINUSE)
		start := time.Now()
		wantIs(t, newInsideHandle(t, n2).SetUp(second.Index), ErrMACInUse)
		if took := time.Since(start); took < busyTimeout {
			t.Errorf("gave up after %v, want at least %v", took, busyTimeout)
		}
		if err := newInsideHandle(t, n2).DeleteLink(second.Index); err != nil {
			t.Fatal(err)
		}
	}
}

// A MAC of a living interface is refused without a wait.
func TestMACHolderIsNamed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ns, n := newContainer(t)
	s.createUp(t, n, s.macvlan("net7", mac(1)))
	beside, err := OpenPath(s.host.Path())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = beside.Close() })
	s.createUp(t, beside, s.macvlan("shim0", mac(2)))
	pid, hostPID := testnet.Process(t, ns).Pid, testnet.Process(t, s.host).Pid
	for taken, want := range map[specs.MAC]string{
		mac(1):       fmt.Sprintf(`interface "net7" in the network namespace of process %d`, pid),
		mac(2):       fmt.Sprintf(`interface "shim0" in the network namespace of process %d`, hostPID),
		s.parent.MAC: `the parent "eth1" itself`,
	} {
		l, err := s.h.CreateLink(s.n, s.macvlan("net1", taken))
		if err != nil {
			t.Fatal(err)
		}
		err = newInsideHandle(t, s.n).WaitUp(t.Context(), s.h, l.Index)
		wantIs(t, err, ErrMACInUse)
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
		if err := newInsideHandle(t, s.n).DeleteLink(l.Index); err != nil {
			t.Fatal(err)
		}
	}
}

// An interface on another host's parent with the same index and MAC is not the
// holder; a namespace without a process may be ending.
func TestWaitForMACOfEndingNamespace(t *testing.T) {
	t.Parallel()
	other := newSite(t)
	other.createUp(t, other.n, other.macvlan("net1", mac(1)))
	testnet.Process(t, other.container)
	s := newSite(t)
	if s.parent.Index != other.parent.Index {
		t.Fatalf("parents %d and %d, want one index", s.parent.Index, other.parent.Index)
	}
	old, n := newContainer(t)
	s.createUp(t, n, s.macvlan("net1", mac(1)))
	l, err := s.h.CreateLink(s.n, s.macvlan("net1", mac(1)))
	if err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	err = newInsideHandle(t, s.n).WaitUp(ended, s.h, l.Index)
	wantIs(t, err, ErrMACInUse)
	if err == nil || !strings.HasSuffix(err.Error(), "which may be ending") {
		t.Errorf("error %v", err)
	}
	done := make(chan error)
	go func() { done <- newInsideHandle(t, s.n).WaitUp(t.Context(), s.h, l.Index) }()
	select {
	case err := <-done:
		t.Fatalf("did not wait: %v", err)
	case <-time.After(2 * busyTimeout): // longer than SetUp alone waits
	}
	if err := errors.Join(n.Close(), old.Close()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A parent or an address that a living interface holds is refused without a wait.
func TestParentHolderIsNamed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ns, n := newContainer(t)
	s.createUp(t, n, s.macvlan("net7", mac(1)))
	pid := testnet.Process(t, ns).Pid
	passthru := s.macvlan("net1", specs.MAC{})
	passthru.Mode = specs.ModePassthru
	_, err := s.h.WaitLink(t.Context(), s.n, passthru)
	wantIs(t, err, ErrParentBusy)
	wantEnd(t, err, fmt.Sprintf(`: it is held by interface "net7" in the network namespace of process %d`, pid))

	port := newSite(t)
	testnet.Bridge(t, port.host, "br0", "eth1")
	_, err = port.h.WaitLink(t.Context(), port.n, port.macvlan("net1", mac(1)))
	wantIs(t, err, ErrParentBusy)
	wantEnd(t, err, `: it is held by bridge "br0"`)
	wantLinks(t, newInsideHandle(t, s.n), "lo")
}

func wantEnd(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("error %v, want one that ends in %q", err, want)
	}
}

// A namespace without a process may be ending, so WaitLink waits for the parent,
// at most until the context ends.
func TestWaitForParentOfEndingNamespace(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	old, n := newContainer(t)
	passthru := s.macvlan("net1", specs.MAC{})
	passthru.Mode = specs.ModePassthru
	s.createUp(t, n, passthru)
	ended, end := context.WithCancel(t.Context())
	end()
	_, err := s.h.WaitLink(ended, s.n, passthru)
	wantIs(t, err, ErrParentBusy)
	wantEnd(t, err, "which may be ending")
	done := make(chan error)
	go func() {
		_, err := s.h.WaitLink(t.Context(), s.n, passthru)
		done <- err
	}()
	select {
	case err := <-done:
		t.Fatalf("did not wait: %v", err)
	case <-time.After(2 * holderPause):
	}
	if err := errors.Join(n.Close(), old.Close()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	wantLinks(t, newInsideHandle(t, s.n), "lo", "net1")
}

// The MACs of many containers that ended at once are soon free.
func TestMACsOfDyingNamespaces(t *testing.T) {
	t.Parallel()
	const many = 30
	s := newSite(t)
	var all []func() error
	for i := range byte(many) {
		old, n := newContainer(t)
		s.createUp(t, n, s.macvlan("net1", mac(i)))
		all = append(all, n.Close, old.Close)
	}
	for _, end := range all {
		if err := end(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range byte(many) {
		l, err := s.h.CreateLink(s.n, s.macvlan(fmt.Sprintf("net%d", i), mac(i)))
		if err != nil {
			t.Fatal(err)
		}
		if err := newInsideHandle(t, s.n).WaitUp(t.Context(), s.h, l.Index); err != nil {
			t.Error(err)
		}
	}
}
