package release

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"berth/bpf"
	"berth/internal/state"
	"berth/internal/testnet"
	"berth/specs"
)

// pinnedMaps returns a directory with maps that an earlier agent pinned.
func pinnedMaps(t *testing.T, endpoints uint32) (dir string, maps *bpf.Maps) {
	t.Helper()
	testnet.Need(t, testnet.Root)
	outer, err := os.MkdirTemp("/sys/fs/bpf", "berth-")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(outer)) })
	dir = filepath.Join(outer, "berth")
	testnet.In(t, testnet.Namespace(t), func() {
		d, err := bpf.Load(dir, bpf.Options{MaxEndpoints: endpoints})
		must(t, err)
		must(t, d.Close())
	})
	maps, err = bpf.Open(dir)
	must(t, err)
	t.Cleanup(func() { must(t, maps.Close()) })
	return dir, maps
}

// TestSweepOfInsides leaves a key of the sibling program, as a killed berth-hook
// does, beside the key of a live attachment.
func TestSweepOfInsides(t *testing.T) {
	t.Parallel()
	dir, maps := pinnedMaps(t, 16)
	s, f := newStore(t), newFake()
	kept := recordAttached(t, s, &state.Attachment{Cookie: 5, NSID: 3, LinkIndex: 2, ParentIndex: 4, Containers: []string{"c"}})
	f.put(kept)
	live := bpf.Inside{Slot: kept.Slot, Cookie: 5, Index: 2}
	for _, i := range []bpf.Inside{live, {Slot: kept.Slot, Cookie: 6, Index: 2}, {Slot: 9, Cookie: 7, Index: 2}} {
		must(t, maps.PutInside(bpf.Endpoint{Slot: i.Slot, Cookie: i.Cookie, Index: i.Index, ParentIndex: 4, Mode: specs.ModeL2}))
	}
	r := f.releaser(s)
	r.openMaps, r.BPFFS = nil, dir
	_, err := r.Collect(t.Context(), 0)
	must(t, err)
	left, err := maps.Insides()
	must(t, err)
	if len(left) != 1 || left[0] != live {
		t.Errorf("the sibling program knows %+v, want %+v alone", left, live)
	}
}

// TestDrainAmongManyInsides drains one transaction of ipvlan attachments while
// thousands of others live: the time must not grow with their number.
func TestDrainAmongManyInsides(t *testing.T) {
	t.Parallel()
	const others = 8000
	_, maps := pinnedMaps(t, others+perTransaction+1)
	at := func(slot uint32) bpf.Endpoint {
		return bpf.Endpoint{Slot: slot, Cookie: 1000 + uint64(slot), Index: 2, ParentIndex: 4, MAC: specs.MAC{2, 0, 0, 0, 0, 1},
			Driver: specs.IPvlan, Mode: specs.ModeL2}
	}
	for slot := range uint32(others + perTransaction) {
		must(t, maps.PutInside(at(slot+1)))
	}
	start := time.Now()
	_, err := maps.Insides()
	must(t, err)
	whole := time.Since(start) // one scan of the whole map
	least := whole
	for slot := range uint32(perTransaction) {
		start = time.Now()
		must(t, maps.Unregister(at(slot+1)))
		least = min(least, time.Since(start))
	}
	if least > whole/4 {
		t.Errorf("unregistering one of %d endpoints took at least %s; one look at all takes %s", others, least, whole)
	}
	left, err := maps.Insides()
	must(t, err)
	if len(left) != others {
		t.Errorf("%d interfaces are left, want %d", len(left), others)
	}
}
