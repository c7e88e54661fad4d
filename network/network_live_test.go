package network

import (
	"errors"
	"testing"
	"time"

	"berth/internal/testnet"
	"berth/specs"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { testnet.Main(m) }

// site is a host with the parent eth1, whose peer is "port" in a namespace that
// acts as the LAN, and a container's namespace.
type site struct {
	host, lan, container *testnet.NS
	h                    *Handle
	n                    *Namespace
	parent               *Parent
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{host: testnet.Namespace(t), lan: testnet.Namespace(t)}
	testnet.Veth(t, "eth1", s.host, "port", s.lan)
	s.h = handleIn(t, s.host)
	s.container, s.n = newContainer(t)
	var err error
	if s.parent, err = s.h.Parent("eth1"); err != nil {
		t.Fatal(err)
	}
	return s
}

func newContainer(t testing.TB) (*testnet.NS, *Namespace) {
	t.Helper()
	ns := testnet.Namespace(t)
	n, err := OpenPath(ns.Path())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() }) // a test may have closed it already
	return ns, n
}

func handleIn(t testing.TB, ns *testnet.NS) *Handle {
	t.Helper()
	var h *Handle
	var err error
	testnet.In(t, ns, func() { h, err = NewHandle() })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

// macvlan returns a bridge-mode link on the site's parent.
func (s *site) macvlan(name string, mac specs.MAC) Link {
	return Link{Name: name, ParentIndex: s.parent.Index, Driver: specs.Macvlan, Mode: specs.ModeBridge, MAC: mac}
}

// createUp makes a link in a namespace and sets it up.
func (s *site) createUp(t testing.TB, n *Namespace, l Link) LinkInfo {
	t.Helper()
	info, err := s.h.CreateLink(n, l)
	if err != nil {
		t.Fatal(err)
	}
	if err := newInsideHandle(t, n).WaitUp(t.Context(), s.h, info.Index); err != nil {
		t.Fatal(err)
	}
	return info
}

func newInsideHandle(t testing.TB, n *Namespace) *Handle {
	t.Helper()
	h, err := n.Open()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// mac returns a locally administered MAC.
func mac(last byte) specs.MAC { return specs.MAC{2, 0, 0x5e, 0, 0x53, last} }

func wantErrno(t testing.TB, err error, want unix.Errno) {
	t.Helper()
	var got unix.Errno
	if !errors.As(err, &got) || got != want {
		t.Errorf("error %v, want errno %v", err, want)
	}
}

func wantIs(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}

const patience = 30 * time.Second
