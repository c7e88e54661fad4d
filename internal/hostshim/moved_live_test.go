package hostshim_test

import (
	"fmt"
	"testing"

	"berth/internal/hostshim"
	"berth/internal/lease"
	"berth/internal/state"
	"berth/internal/testnet"
)

// TestShimFollowsItsParent brings the parent back from another namespace with
// another index: the shim's lease is again in the domain of its containers.
func TestShimFollowsItsParent(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	lan := l.network("lan", lanFile)
	shim := l.mustEnable(lan, "192.0.2.100")
	before, away := testnet.Link(t, l.host, "eth1").Attrs().Index, testnet.Namespace(t)
	testnet.Run(t, away, "ip", "link", "add", "taken", "index", fmt.Sprint(before), "type", "veth", "peer", "name", "other", "index", fmt.Sprint(before+100))
	testnet.Run(t, l.host, "ip", "link", "set", "eth1", "netns", away.Path())
	testnet.In(t, l.host, func() {
		if _, err := l.shims().Reconcile(t.Context()); err != nil {
			t.Error(err)
		}
	})
	testnet.Run(t, away, "ip", "link", "set", "eth1", "netns", l.host.Path())
	testnet.Up(t, l.host, "eth1")
	after := testnet.Link(t, l.host, "eth1").Attrs().Index
	testnet.In(t, l.host, func() {
		if _, err := l.shims().Reconcile(t.Context()); err != nil {
			t.Error(err)
		}
	})
	err := l.store.View(t.Context(), func(tx *state.Tx) error {
		r, err := hostshim.Get(tx, "lan")
		if err != nil || r == nil || r.ParentIndex != after {
			t.Errorf("shim %+v, %v; want it on index %d, not %d", r, err, after, before)
		}
		for index, want := range map[int]bool{before: false, after: true} {
			held, err := lease.In(tx, fmt.Sprintf("%d.0", index)).Holder(shim.Addresses[0].Addr())
			if err != nil || (held != nil) != want {
				t.Errorf("index %d: %+v, %v", index, held, err)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	l.mustDisable("lan")
}
