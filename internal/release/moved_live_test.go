package release

import (
	"errors"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"berth/internal/state"
	"berth/internal/testnet"
	"berth/network"
)

// move moves the container's link into another namespace and brings it up, as a container
// with CAP_NET_ADMIN can.
func (x *scene) move(t *testing.T, away *testnet.NS) {
	t.Helper()
	testnet.In(t, x.container, func() { // with a handle that is closed: it would hold the namespace
		h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		must(t, err)
		defer h.Close()
		link, err := h.LinkByName("net1")
		must(t, err)
		must(t, h.LinkSetNsFd(link, away.FD()))
	})
	testnet.Run(t, away, "ip", "link", "set", "net1", "up")
}

// kept checks that a collection leaves the attachment and its leases. It returns its error.
func (x *scene) kept(t *testing.T) error {
	t.Helper()
	done, err := x.releaser().Collect(t.Context(), 0)
	if len(done.Released) != 0 || liveRecord(t, x.store, x.a.Key()) == nil {
		t.Fatalf("%+v, %v: an attachment was released though its link lives elsewhere", done, err)
	}
	return err
}

// TestLinkMovedByTheContainer moves the link into a namespace that a process is in, or that
// only a file holds, with and without its names and its old namespace. It is not collected,
// and the end of its container deletes it there.
func TestLinkMovedByTheContainer(t *testing.T) {
	t.Parallel()
	for name, arrange := range map[string]func(t *testing.T, x *scene, away *testnet.NS){
		"to a process": func(t *testing.T, _ *scene, away *testnet.NS) { testnet.Process(t, away) },
		"to a file":    func(*testing.T, *scene, *testnet.NS) {},
		"without its names": func(t *testing.T, x *scene, away *testnet.NS) {
			testnet.Run(t, away, "ip", "link", "property", "del", "dev", "net1", "altname", x.a.AltName())
			testnet.Run(t, away, "ip", "link", "set", "net1", "alias", "")
			testnet.Run(t, away, "ip", "link", "set", "net1", "down") // before 6.2 only such a link can be renamed
			testnet.Run(t, away, "ip", "link", "set", "net1", "name", "wan0")
			testnet.Run(t, away, "ip", "link", "set", "wan0", "up")
		},
		"and its namespace ended": func(t *testing.T, x *scene, _ *testnet.NS) { must(t, x.container.Close()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x, away := newScene(t), testnet.Namespace(t)
			x.move(t, away)
			arrange(t, x, away)
			must(t, x.kept(t))
			r := x.releaser()
			must(t, r.Container(t.Context(), "c"))
			all, err := testnet.Netlink(t, away).LinkList()
			must(t, err)
			if slices.ContainsFunc(all, func(l netlink.Link) bool { return l.Type() == "macvlan" }) {
				t.Errorf("the link is left in the other namespace: %v", all)
			}
			must(t, r.drainToEnd(t.Context()))
			x.checkGone(t)
		})
	}
}

// TestLinkMovedOutOfReach moves the link into a namespace that only a socket holds. Its
// leases stay until that ends, and the error names the reason.
func TestLinkMovedOutOfReach(t *testing.T) {
	t.Parallel()
	for _, dead := range []bool{false, true} {
		x, away := newScene(t), testnet.Namespace(t)
		x.move(t, away)
		var fd int
		testnet.In(t, away, func() {
			var err error
			fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			must(t, err)
		})
		must(t, away.Close())
		if dead {
			must(t, x.container.Close())
		}
		err := x.kept(t)
		if err != nil && !errors.Is(err, ErrOutOfReach) || err == nil && !dead { // if the namespace is dead, its id may be another's
			t.Errorf("collect: %v, want %v", err, ErrOutOfReach)
		}
		if !dead {
			if err := x.releaser().Container(t.Context(), "c"); !errors.Is(err, ErrOutOfReach) || liveRecord(t, x.store, x.a.Key()) == nil {
				t.Errorf("at the container's end: %v, want its record kept", err)
			}
		}
		must(t, unix.Close(fd))
		testnet.Eventually(t, "the release once the namespace has ended", func() bool {
			done, err := x.releaser().Collect(t.Context(), 0)
			if err != nil && !errors.Is(err, ErrOutOfReach) {
				t.Fatal(err)
			}
			return slices.Contains(done.Released, x.a.Key())
		})
		must(t, x.releaser().drainToEnd(t.Context()))
		x.checkGone(t)
	}
}

// TestHoldsMAC checks the parent's list of MACs for an interface of another namespace that is
// up, is down, and is gone.
func TestHoldsMAC(t *testing.T) {
	t.Parallel()
	x := newScene(t)
	holds := func(what string, want bool) {
		t.Helper()
		if got, err := x.host.HoldsMAC(x.a.ParentIndex, x.a.MAC); err != nil || got != want {
			t.Errorf("%s: %t, %v; want %t", what, got, err, want)
		}
	}
	testnet.Run(t, x.container, "ip", "link", "set", "net1", "up")
	holds("up", true)
	other := x.a.MAC
	other[5] ^= 1
	if got, err := x.host.HoldsMAC(x.a.ParentIndex, other); err != nil || got {
		t.Errorf("another MAC: %t, %v", got, err)
	}
	testnet.Run(t, x.container, "ip", "link", "set", "net1", "down")
	holds("down", false)
	if got, err := x.host.HoldsMAC(1<<30, x.a.MAC); err != nil || got {
		t.Errorf("a parent that does not exist: %t, %v", got, err)
	}
	var _ Links = (*network.Handle)(nil)
}

// TestAgentReleasesWithoutEnteringNamespaces releases an attachment whose namespace's ID
// another one has, as the agent does: it may not enter namespaces to search for the link.
func TestAgentReleasesWithoutEnteringNamespaces(t *testing.T) {
	t.Parallel()
	x := newLinkScene(t, testnet.Namespace(t), 0) // no other test uses the IDs of this namespace
	nsid := x.a.NSID
	must(t, x.container.Close())
	testnet.Eventually(t, "the namespace is dead", func() bool {
		_, err := x.host.LinkIn(nsid, "net1")
		return errors.Is(err, network.ErrNoNamespace)
	})
	namespaceWithID(t, x.host, nsid)
	r := x.releaser()
	r.search = func(*state.Attachment, bool, bool) (bool, error) { return false, unix.EPERM }
	done, err := r.Collect(t.Context(), 0)
	if err != nil || !slices.Contains(done.Released, x.a.Key()) {
		t.Errorf("%+v, %v; want %s released", done, err, x.a.Key())
	}
}
