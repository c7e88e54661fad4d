package hook

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"berth/internal/release"
	"berth/internal/state"
	"berth/internal/testnet"
)

// TestIPvlanSiblingsAttachedBeforeTheAgent attaches two containers before an agent has
// pinned its programs, and then removes the pinned links.
func TestIPvlanSiblingsAttachedBeforeTheAgent(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.IPvlan)
	h := newHost(t)
	h.network("lan", ipvlan)
	a, b := h.box("a", "lan"), h.box("b", "lan")
	h.mustStart(a)
	h.mustStart(b)
	count := func(want release.OwnProgramsDone) {
		t.Helper()
		if got, err := h.releaserHere().AttachOwnPrograms(t.Context()); err != nil || got != want {
			t.Errorf("found %+v, %v; want %+v", got, err, want)
		}
	}
	count(release.OwnProgramsDone{}) // there is no agent
	d := h.datapath()
	of, to := h.firstOf("a"), h.firstOf("b")
	for _, at := range []*state.Attachment{of, to} {
		if err := d.Maps().Register(release.Endpoint(at)); err != nil {
			t.Fatal(err)
		}
	}
	count(release.OwnProgramsDone{Attached: 2})
	count(release.OwnProgramsDone{})
	pinged := func() uint64 {
		t.Helper()
		if err := ping(t, a.ns, to.Addresses[0].Addr().String()); err != nil {
			t.Fatal(err)
		}
		c, err := d.Maps().Counters(of.Slot)
		if err != nil {
			t.Fatal(err)
		}
		return c.Transmit.Local.Unicast.Packets
	}
	before := pinged()
	if before == 0 {
		t.Error("what a sent to b is not counted")
	}
	if unpinInsides(t, h.dirs.BPFFS) == 0 { // without tcx, filters stay when pins are removed
		return
	}
	count(release.OwnProgramsDone{Attached: 2})
	if now := pinged(); now <= before {
		t.Errorf("%d frames counted, after %d", now, before)
	}
}

// unpinInsides removes the pinned links of programs on containers' interfaces and returns
// their number.
func unpinInsides(t *testing.T, bpffs string) (n int) {
	t.Helper()
	dir := filepath.Join(bpffs, "v1", "links")
	links, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		program, _, _ := strings.Cut(l.Name(), "-")
		if slices.Contains([]string{"inside", "receiver", "guard"}, program) {
			n++
			if err := os.Remove(filepath.Join(dir, l.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
	return n
}
