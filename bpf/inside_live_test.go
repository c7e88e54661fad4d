package bpf

import (
	"testing"

	"github.com/cilium/ebpf/link"

	"berth/bpf/sys"
	"berth/internal/testnet"
	"berth/specs"
)

// TestDetachedInside detaches the sibling program as a container with CAP_NET_ADMIN can
// (bpftool link detach): the pin of its link is left, and the interface counts as without
// the program.
func TestDetachedInside(t *testing.T) {
	t.Parallel()
	l := newLab(t, Options{})
	if !sys.HasTCX() {
		t.Skip("without tcx the program is a filter in the container's namespace")
	}
	a := l.container(specs.ModeBridge)
	a.Index = testnet.Link(t, a.NS, "net1").Attrs().Index
	attach := func() { testnet.In(t, a.NS, func() { must(t, l.maps.AttachInside(SiblingProgram, a.Endpoint)) }) }
	is := func(what string, linked bool) {
		t.Helper()
		missing, err := l.maps.MissesInside(SiblingProgram, a.Endpoint)
		if must(t, err); missing == linked || l.LinkedInsides()(SiblingProgram, a.Slot) != linked {
			t.Errorf("%s: missing %t, linked %t; want linked %t", what, missing, !linked, linked)
		}
	}
	is("before", false)
	attach()
	is("attached", true)
	pinned, err := link.LoadPinnedLink(l.pins.insidePath(SiblingProgram, a.Slot), nil)
	must(t, err)
	must(t, pinned.Detach())
	must(t, pinned.Close())
	is("detached, and still pinned", false)
	attach()
	is("attached again", true)
	must(t, testnet.Netlink(t, a.NS).LinkDel(testnet.Link(t, a.NS, "net1")))
	is("on an interface that was deleted", false)
	must(t, l.maps.Unregister(a.Endpoint))
	is("after its end", false)
}
