package cluster

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestFile checks that the node's file is read as it was written, with its permissions.
func TestFile(t *testing.T) {
	t.Parallel()
	d := Directory(t.TempDir())
	if _, err := d.Load(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load without a file: %v", err)
	}
	want := NewFile()
	want.Boots, want.Registered, want.Held = []string{"a", "b"}, 4, map[string]int64{blockAt("192.0.2.64"): 9}
	for range 2 {
		if err := d.Save(want); err != nil {
			t.Fatal(err)
		}
	}
	got, err := d.Load()
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Load: %v %s", err, diff)
	}
	info, err := os.Stat(filepath.Join(string(d), fileName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: want mode 0600", info.Mode(), err)
	}
}

// TestDamagedFile checks that a damaged file is refused: a new identity would leave the
// node's blocks claimed, and its containers with addresses of no owner.
func TestDamagedFile(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "{", `{"version":2,"node":"` + string(nodeA) + `"}`, `{"version":1,"node":"x"}`,
		`{"version":1,"node":"` + string(nodeA) + `","held":{"a":0}}`, `{"version":1,"node":"` + string(nodeA) + `"}{}`} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, fileName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Directory(dir).Load(); err == nil || !strings.Contains(err.Error(), "berth cluster forget") {
			t.Errorf("Load of %q: %v", text, err)
		}
		if _, err := OpenSelf(SelfConfig{Disk: Directory(dir)}); err == nil {
			t.Errorf("a keeper starts with the file %q", text)
		}
	}
}

// calmWorld is a world without faults, in which every node has started.
func calmWorld(t *testing.T) *world {
	w := &world{t: t, r: rand.New(rand.NewPCG(1, 1)), store: newMemory(), blocks: testBlocks(t, "192.0.2.64/26", 4), weather: 1, depth: 60}
	w.options = Options{KeepFree: 2}
	for i := range 2 {
		m := &machine{world: w, index: i, calm: true}
		m.reboot()
		w.machines = append(w.machines, m)
		m.start()
	}
	return w
}

// TestForgottenNode checks that a node that was forgotten while it was only cut off closes
// its keys when it sees the store again, and becomes a new node.
func TestForgottenNode(t *testing.T) {
	t.Parallel()
	w := calmWorld(t)
	m := w.machines[0]
	old := m.keeper.ID()
	if released, err := Forget(context.Background(), w.store, old); err != nil || len(released) != 2 {
		t.Fatal(released, err)
	}
	if err := m.keeper.Round(context.Background()); !errors.Is(err, ErrForgotten) || len(m.open) != 0 {
		t.Errorf("a forgotten node: %v, open %v", err, m.open)
	}
	if err := m.keeper.Round(context.Background()); err != nil || m.keeper.ID() == old || len(m.open) != 2 {
		t.Errorf("as a new node: %v, %s, open %v", err, m.keeper.ID(), m.open)
	}
}

// TestPresentNodeIsNotForgotten checks the condition of Forget.
func TestPresentNodeIsNotForgotten(t *testing.T) {
	t.Parallel()
	w := calmWorld(t)
	m := w.machines[0]
	m.round()
	if _, err := Forget(context.Background(), w.store, m.keeper.ID()); !errors.Is(err, ErrPresent) {
		t.Errorf("Forget: %v, want ErrPresent", err)
	}
}

// TestClonedNode checks that the machine that is no longer registered closes its keys.
func TestClonedNode(t *testing.T) {
	t.Parallel()
	w := calmWorld(t)
	first, clone := w.machines[0], w.machines[1]
	clone.reboot()
	copied := first.saved.clone()
	clone.saved = &copied
	clone.start() // the first machine has no presence, as if it were cut off
	if err := first.keeper.Round(context.Background()); !errors.Is(err, ErrCloned) || len(first.open) != 0 {
		t.Errorf("the machine that is not registered: %v, open %v", err, first.open)
	}
}

// TestFalsePresence checks the effect of a presence that an attacker writes for a node: it goes on
// until its next boot, and then waits with closed keys until the presence is gone.
func TestFalsePresence(t *testing.T) {
	t.Parallel()
	w := calmWorld(t)
	m := w.machines[0]
	key := alivePrefix + string(m.keeper.ID())
	if err := w.store.Present(context.Background(), key, encode(Registration{Boot: "false"})); err != nil {
		t.Fatal(err)
	}
	if err := m.keeper.Round(context.Background()); err != nil || len(m.open) != 2 {
		t.Errorf("in the boot that is registered: %v, open %v", err, m.open)
	}
	m.reboot()
	m.start()
	if err := m.keeper.Round(context.Background()); !errors.Is(err, ErrAlive) || len(m.open) != 0 {
		t.Errorf("in the next boot: %v, open %v", err, m.open)
	}
	w.store.drop(key)
	if err := m.keeper.Round(context.Background()); err != nil || len(m.open) != 2 {
		t.Errorf("without the presence: %v, open %v", err, m.open)
	}
}

// TestDifferentFile checks that a node whose network file differs is refused with the
// difference, and keeps the blocks that it has.
func TestDifferentFile(t *testing.T) {
	t.Parallel()
	w := calmWorld(t)
	m := w.machines[0]
	m.keeper.pool.Gateway, m.keeper.pool.Block = "192.0.2.1", 8
	err := m.keeper.Round(context.Background())
	var difference *DifferenceError
	if !errors.As(err, &difference) || !strings.Contains(err.Error(), `gateway is "" there and "192.0.2.1" here; block is 4 there and 8 here`) {
		t.Errorf("Round: %v", err)
	}
	if len(m.open) != 2 {
		t.Errorf("open keys: %v, want a block and a MAC prefix", m.open)
	}
}

// failingDisk fails after the file is on the disk.
type failingDisk struct{ *machine }

func (d failingDisk) Save(f File) error {
	saved := f.clone()
	d.saved = &saved
	return errors.New("input/output error")
}

// TestRecordOfAFailedWrite checks that a key which only the disk lists is struck there
// before it is given back: the node would use it after a reboot without the store.
func TestRecordOfAFailedWrite(t *testing.T) {
	t.Parallel()
	w := calmWorld(t)
	m := w.machines[0]
	m.keeper.options.KeepFree = 5
	m.keeper.disk = failingDisk{m}
	if err := m.keeper.Round(context.Background()); err == nil || len(m.saved.Held) != 3 || len(m.open) != 2 {
		t.Fatalf("Round: %v, file %v, open %v", err, m.saved, m.open)
	}
	m.keeper.disk, m.keeper.options.KeepFree = m, 2
	if err := m.keeper.Round(context.Background()); err != nil || len(m.saved.Held) != 2 {
		t.Errorf("Round: %v, file %v: want no key that was given back", err, m.saved)
	}
	w.checkStore()
}
