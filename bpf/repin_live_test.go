package bpf

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cilium/ebpf"

	"berth/internal/testnet"
	"berth/specs"
)

// TestPinsRemoved removes pins, all and some, again and again: no frame is missing from the
// counts meanwhile, and all is pinned again after it.
func TestPinsRemoved(t *testing.T) {
	t.Parallel()
	eachAttachKind(t, func(t *testing.T, kind string) {
		l := newLab(t, Options{Attach: kind})
		c := l.container(specs.ModeBridge)
		must(t, l.maps.AddViolation(c.Slot, specs.AddressDrift, 3)) // creates the map "found"
		l.requireCounting(c, "at first")
		whole := l.pinned()
		for i, remove := range []string{"", "", "v1", "v1", "v1/links", "v1/sources", "v1/endpoints", "v1/ingress", "v1/found", "", "v1/sibling"} {
			must(t, os.RemoveAll(filepath.Join(filepath.Dir(l.pins.dir), remove)))
			l.requireCounting(c, "with no pins")
			must(t, l.maps.Register(c.Endpoint))
			missing, err := l.Repin()
			must(t, err)
			if !missing && remove != "v1/links" {
				t.Errorf("%d: nothing is missing without %q", i, remove)
			}
			l.attachDatapath()
			l.requireCounting(c, "pinned again")
			if got := l.pinned(); !slices.Equal(got, whole) {
				t.Fatalf("%d: pinned %q without %q, want %q", i, got, remove, whole)
			}
		}
		if missing, err := Missing(filepath.Dir(l.pins.dir)); err != nil || len(missing) != 0 {
			t.Errorf("missing %q, %v", missing, err)
		}
		if got := l.violationsOf(c.Slot, specs.AddressDrift); got != 3 {
			t.Errorf("%d violations, want 3", got)
		}
	})
}

// TestReplacedPin checks that another object pinned under a name of berth's is not used.
func TestReplacedPin(t *testing.T) {
	t.Parallel()
	l := newLab(t, Options{})
	path := l.pins.objectPath(mapSources)
	must(t, os.Remove(path))
	other, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Hash, KeySize: 12, ValueSize: 1, MaxEntries: 1})
	must(t, err)
	defer other.Close()
	must(t, other.Pin(path))
	if missing, err := l.Repin(); err != nil || !missing {
		t.Errorf("missing %v, %v", missing, err)
	}
	ours, err := l.maps.openMap(mapSources)
	must(t, err)
	if !l.pins.isMap(mapSources, ours) {
		t.Error("the pinned map is still another's")
	}
}

// TestMissingObjects checks the names of missing objects.
func TestMissingObjects(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	l := newLab(t, Options{})
	dir := filepath.Dir(l.pins.dir)
	want := []string{pinSibling, mapSources}
	for _, name := range want {
		must(t, os.Remove(l.pins.objectPath(name)))
	}
	if l.parentAttachment().Kind == TCX {
		path := l.pins.linkPath(l.parent, egress)
		must(t, os.Remove(path))
		want = slices.Insert(want, 0, "links/"+filepath.Base(path))
	}
	if got, err := Missing(dir); err != nil || !slices.Equal(got, want) {
		t.Errorf("missing %q, %v; want %q", got, err, want)
	}
	if got, err := Missing(dir + "-other"); err != nil || len(got) != 0 {
		t.Errorf("nothing is pinned, missing %q, %v", got, err)
	}
}

// pinned returns the names of the pins.
func (l *lab) pinned() (names []string) {
	l.Helper()
	must(l, filepath.WalkDir(l.pins.dir, func(path string, _ os.DirEntry, err error) error {
		names = append(names, path)
		return err
	}))
	return names
}

// TestEarlyAttach attaches the pinned programs to a parent as a hook does: every frame is
// counted, also while the agent takes the parent over.
func TestEarlyAttach(t *testing.T) {
	t.Parallel()
	eachAttachKind(t, func(t *testing.T, kind string) {
		l := newLab(t, Options{Attach: kind})
		c := l.container(specs.ModeBridge)
		l.inHost(func() error { return l.Detach(l.parent) })
		maps, err := Open(filepath.Dir(l.pins.dir))
		must(t, err)
		defer maps.Close()
		l.requireNotCounting(c, "before")
		l.inHost(func() error { return maps.AttachParent(l.parent, l.hostMAC, kind) })
		l.requireCounting(c, "attached by a hook")
		l.inHost(func() error { return maps.AttachParent(l.parent, l.hostMAC, kind) })
		l.requireCounting(c, "by two hooks")
		l.attachDatapath()
		l.requireCounting(c, "taken over")
		if at := l.parentAttachment(); at.Kind != kind || at.Old {
			t.Errorf("%+v", at)
		}
		l.inHost(l.DetachAll)
		l.inHost(func() error { return maps.AttachParent(l.parent, l.hostMAC, kind) })
		l.requireNotCounting(c, "detached on request")
		must(t, l.Resume())
		l.inHost(func() error { return maps.AttachParent(l.parent, l.hostMAC, kind) })
		l.requireCounting(c, "resumed")
		must(t, l.Close())
		l.Datapath = mustLoad(t, l.ns, filepath.Dir(l.pins.dir), Options{Attach: kind})
		if at := l.parentAttachment(); at.Kind != kind || !at.Old {
			t.Errorf("after a restart %+v", at)
		}
	})
}

// TestRegisterAgainWritesNothing checks that a repeated Register writes no element, for any
// kind of endpoint.
func TestRegisterAgainWritesNothing(t *testing.T) {
	t.Parallel()
	x := newBench(t, specs.ModeBridge, "")
	for i, e := range []Endpoint{
		{Driver: specs.Macvlan, Mode: specs.ModeBridge, MAC: macA, Cookie: 7},
		{Driver: specs.Macvlan, Mode: specs.ModeSource, MAC: macB, Sources: []specs.MAC{macLAN}},
		{Driver: specs.IPvlan, Mode: specs.ModeL2, MAC: macHost},
		{Driver: specs.Macvlan, Mode: specs.ModePassthru, MAC: macHost},
	} {
		e.Slot, e.ParentIndex, e.Addresses = uint32(i+1), 10+i, nil
		e.Addresses = append(e.Addresses, ipA, ip6A)
		testnet.In(t, x.ns, func() { must(t, x.maps.Register(e)) })
		before := x.maps.writes.Load()
		testnet.In(t, x.ns, func() { must(t, x.maps.Register(e)) })
		if n := x.maps.writes.Load() - before; n != 0 {
			t.Errorf("%s: %d elements were written again", e.Mode, n)
		}
	}
}

// TestParentsAtOnce lets hooks register the first endpoints of parents while the agent
// attaches to them: neither loses the other's writes.
func TestParentsAtOnce(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	ns, dir := testnet.Namespace(t), bpffs(t)
	d := mustLoad(t, ns, dir, Options{MaxEndpoints: 400})
	hook, err := Open(dir)
	must(t, err)
	defer hook.Close()
	const parents = 300
	done := make(chan error)
	go func() {
		for i := range parents {
			if err := hook.Register(Endpoint{Slot: uint32(i + 1), ParentIndex: i + 10, MAC: macHost, Driver: specs.IPvlan, Mode: specs.ModeL2}); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for i := range parents {
		must(t, d.maps.withLock(func() error { return d.ownMAC(i+10, macHost) }))
	}
	must(t, <-done)
	for i := range parents {
		p, err := d.maps.parentOf(i + 10)
		must(t, err)
		if p.MAC != macHost || p.Flags&parentIPvlan == 0 {
			t.Fatalf("parent %d: %+v, want the MAC and the mark of ipvlan", i, p)
		}
	}
}
