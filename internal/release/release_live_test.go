package release

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"berth/internal/testnet"
	"berth/network"
)

func TestLinkDeletedInALivingNamespace(t *testing.T) {
	t.Parallel()
	x := newScene(t)
	r := x.releaser()
	must(t, r.Container(t.Context(), "c"))
	if _, err := x.host.LinkIn(x.a.NSID, "net1"); !errors.Is(err, network.ErrNoLink) {
		t.Errorf("the link: %v, want ErrNoLink", err)
	}
	must(t, r.drainToEnd(t.Context()))
	x.checkGone(t)
}

func TestDeadNamespaceIsCollected(t *testing.T) {
	t.Parallel()
	x := newScene(t)
	r := x.releaser()
	done, err := r.Collect(t.Context(), 0)
	must(t, err)
	if len(done.Released) != 0 || liveRecord(t, x.store, x.a.Key()) == nil {
		t.Fatalf("%+v: a living attachment was collected", done)
	}
	must(t, x.container.Close())
	testnet.Eventually(t, "the dead namespace is collected", func() bool {
		done, err := r.Collect(t.Context(), 0)
		must(t, err)
		return slices.Contains(done.Released, x.a.Key())
	})
	must(t, r.drainToEnd(t.Context()))
	x.checkGone(t)
}

// A container with CAP_NET_ADMIN may delete its link.
func TestLinkDeletedByTheContainer(t *testing.T) {
	t.Parallel()
	x := newScene(t)
	testnet.Run(t, x.container, "ip", "link", "del", "net1")
	done, err := x.releaser().Collect(t.Context(), 0)
	must(t, err)
	if !slices.Contains(done.Released, x.a.Key()) {
		t.Errorf("%+v, want it released", done)
	}
	x.checkGone(t)
}

// A renamed link is not collected, and the end of its container deletes it.
func TestLinkRenamedByTheContainer(t *testing.T) {
	t.Parallel()
	x := newScene(t)
	testnet.Process(t, x.container)
	testnet.Run(t, x.container, "ip", "link", "set", "net1", "down", "name", "wan0")
	r := x.releaser()
	done, err := r.Collect(t.Context(), 0)
	must(t, err)
	if len(done.Released) != 0 || liveRecord(t, x.store, x.a.Key()) == nil {
		t.Errorf("%+v: an attachment whose link has another name was collected", done)
	}
	must(t, r.Container(t.Context(), "c"))
	if _, err := x.host.LinkIn(x.a.NSID, "wan0"); !errors.Is(err, network.ErrNoLink) {
		t.Errorf("the link: %v, want ErrNoLink", err)
	}
	must(t, r.drainToEnd(t.Context()))
	x.checkGone(t)
}

// A foreign link under the attachment's name is left.
func TestForeignLinkUnderOurName(t *testing.T) {
	t.Parallel()
	x := newScene(t)
	testnet.Run(t, x.container, "ip", "link", "del", "net1")
	testnet.Run(t, x.container, "ip", "link", "add", "net1", "type", "veth", "peer", "name", "peer")
	must(t, x.releaser().Container(t.Context(), "c"))
	if _, err := x.host.LinkIn(x.a.NSID, "net1"); err != nil {
		t.Errorf("the foreign link: %v, want it left", err)
	}
	if liveRecord(t, x.store, x.a.Key()) != nil {
		t.Error("the attachment was not released")
	}
}

// TestConcurrentReleases releases one container several times at once, as poststop, an
// agent and an administrator may.
func TestConcurrentReleases(t *testing.T) {
	t.Parallel()
	x := newScene(t)
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			host, err := network.NewHandle()
			if err != nil {
				t.Error(err)
				return
			}
			defer host.Close()
			r := x.releaser()
			r.Host = host
			if i%2 == 0 {
				err = r.Container(t.Context(), "c")
			} else {
				_, err = r.Collect(t.Context(), 0)
			}
			if err := errors.Join(err, r.drainToEnd(t.Context())); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	x.checkGone(t)
}
