package sys

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"berth/internal/testnet"
)

// bpffs returns a directory for pins.
func bpffs(t *testing.T) string {
	t.Helper()
	testnet.Need(t, testnet.Root)
	dir, err := os.MkdirTemp("/sys/fs/bpf", "sys-")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	return dir
}

type key struct {
	A uint32
	B [4]byte
}

type value struct {
	N uint64
	B [8]byte
}

// pinned returns a map that cilium/ebpf has created, by both libraries.
func pinned(t *testing.T, kind ebpf.MapType, entries uint32) (theirs *ebpf.Map, ours *Map) {
	t.Helper()
	size := uint32(8)
	if kind == ebpf.Array || kind == ebpf.PerCPUArray {
		size = 4
	}
	path := filepath.Join(bpffs(t), "map")
	theirs, err := ebpf.NewMap(&ebpf.MapSpec{Name: "test", Type: kind, KeySize: size, ValueSize: 16, MaxEntries: entries})
	must(t, err)
	t.Cleanup(func() { theirs.Close() })
	must(t, theirs.Pin(path))
	ours, err = LoadPinnedMap(path)
	must(t, err)
	t.Cleanup(func() { ours.Close() })
	return theirs, ours
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestMapAsLibrary writes and reads a hash map by turns with cilium/ebpf.
func TestMapAsLibrary(t *testing.T) {
	t.Parallel()
	theirs, ours := pinned(t, ebpf.Hash, 100)
	if ours.MaxEntries() != 100 || ours.ValueSize() != 16 {
		t.Errorf("%d entries of %d bytes, want 100 of 16", ours.MaxEntries(), ours.ValueSize())
	}
	info, err := theirs.Info()
	must(t, err)
	if id, _ := info.ID(); uint32(id) != ours.ID() {
		t.Errorf("id %d, want %d", ours.ID(), id)
	}
	k, v := key{1, [4]byte{2}}, value{3, [8]byte{4}}
	must(t, ours.Put(k, v))
	var got value
	must(t, theirs.Lookup(k, &got))
	if got != v {
		t.Errorf("the library reads %v, want %v", got, v)
	}
	must(t, theirs.Put(k, value{N: 9}))
	must(t, ours.Lookup(&k, &got))
	if got != (value{N: 9}) {
		t.Errorf("read %v", got)
	}
	for _, err := range []error{ours.Update(k, v, unix.BPF_NOEXIST), theirs.Update(k, v, ebpf.UpdateNoExist)} {
		if !errors.Is(err, ErrKeyExist) && !errors.Is(err, ebpf.ErrKeyExist) || !errors.Is(err, unix.EEXIST) {
			t.Errorf("update of an existing key: %v", err)
		}
	}
	must(t, ours.Delete(k))
	for _, err := range []error{ours.Delete(k), ours.Lookup(k, &got), theirs.Lookup(k, &got)} {
		if !errors.Is(err, ErrKeyNotExist) && !errors.Is(err, ebpf.ErrKeyNotExist) || !errors.Is(err, unix.ENOENT) {
			t.Errorf("a deleted key: %v", err)
		}
	}
}

// TestWrongSizes passes keys and values that have not the sizes of the map: the kernel would
// read or write beyond them.
func TestWrongSizes(t *testing.T) {
	t.Parallel()
	_, m := pinned(t, ebpf.Hash, 4)
	var small uint32
	for what, err := range map[string]error{
		"key":           m.Put(uint32(1), value{}),
		"value":         m.Put(key{}, uint32(1)),
		"result":        m.Lookup(key{}, &small),
		"no pointer":    m.Lookup(key{}, value{}),
		"next key":      m.NextKey(nil, &small),
		"key to delete": m.Delete(small),
	} {
		if err == nil || errors.Is(err, unix.ENOENT) {
			t.Errorf("%s of another size: %v", what, err)
		}
	}
}

// TestIterate compares an iteration, and batches, with those of cilium/ebpf.
func TestIterate(t *testing.T) {
	t.Parallel()
	theirs, ours := pinned(t, ebpf.Hash, 1000)
	for i := range uint32(500) {
		must(t, theirs.Put(key{A: i}, value{N: uint64(i)}))
	}
	want, got, raw, batched := map[key]value{}, map[key]value{}, 0, map[key]value{}
	var k key
	var v value
	for it := theirs.Iterate(); it.Next(&k, &v); {
		want[k] = v
	}
	it := ours.Iterate()
	for it.Next(&k, &v) {
		got[k] = v
	}
	must(t, it.Err())
	var rawKey, rawValue []byte
	for it := ours.Iterate(); it.Next(&rawKey, &rawValue); raw++ {
		if len(rawKey) != 8 || len(rawValue) != 16 {
			t.Fatalf("%d and %d bytes", len(rawKey), len(rawValue))
		}
	}
	var cursor Cursor
	for done := false; !done; {
		keys, values := make([]key, 128), make([]value, 128)
		n, err := ours.BatchLookup(&cursor, keys, values)
		if done = errors.Is(err, ErrKeyNotExist); err != nil && !done {
			t.Fatal(err)
		}
		for i := range n {
			batched[keys[i]] = values[i]
		}
	}
	if !maps.Equal(got, want) || raw != len(want) || !maps.Equal(batched, want) {
		t.Errorf("iterated over %d, %d as bytes, %d by batches, want %d", len(got), raw, len(batched), len(want))
	}
}

// TestPerCPU reads and writes the values of all processors.
func TestPerCPU(t *testing.T) {
	t.Parallel()
	theirs, ours := pinned(t, ebpf.PerCPUArray, 8)
	cpus, err := PossibleCPU()
	must(t, err)
	if want, err := ebpf.PossibleCPU(); err != nil || cpus != want {
		t.Fatalf("%d processors, want %d (%v)", cpus, want, err)
	}
	all := make([]value, cpus)
	for i := range all {
		all[i] = value{N: uint64(i) + 1}
	}
	must(t, ours.Put(uint32(3), all))
	var theirsRead, read []value
	must(t, theirs.Lookup(uint32(3), &theirsRead))
	must(t, ours.Lookup(uint32(3), &read))
	if !slices.Equal(read, all) || !slices.Equal(theirsRead, all) {
		t.Errorf("read %v and by the library %v, want %v", read, theirsRead, all)
	}
	keys, values := make([]uint32, 8), make([]value, 8*cpus)
	var cursor Cursor
	n, err := ours.BatchLookup(&cursor, keys, values)
	if err != nil && !errors.Is(err, ErrKeyNotExist) {
		t.Fatal(err)
	}
	if n != 8 || !slices.Equal(values[3*cpus:4*cpus], all) {
		t.Errorf("a batch of %d, with %v", n, values)
	}
}

func TestCreateMap(t *testing.T) {
	t.Parallel()
	path := filepath.Join(bpffs(t), "map")
	m, err := CreateMap(MapSpec{Name: "created", Type: unix.BPF_MAP_TYPE_HASH, KeySize: 8, ValueSize: 16, Entries: 5, Flags: unix.BPF_F_NO_PREALLOC})
	must(t, err)
	defer m.Close()
	must(t, m.Pin(path))
	theirs, err := ebpf.LoadPinnedMap(path, nil)
	must(t, err)
	defer theirs.Close()
	info, err := theirs.Info()
	must(t, err)
	got := fmt.Sprint(info.Name, info.Type, theirs.KeySize(), theirs.ValueSize(), theirs.MaxEntries(), theirs.Flags())
	if want := fmt.Sprint("created", ebpf.Hash, 8, 16, 5, unix.BPF_F_NO_PREALLOC); got != want {
		t.Errorf("created %s, want %s", got, want)
	}
	clone, err := CloneMap(m.FD())
	must(t, err)
	defer clone.Close()
	if clone.ID() != m.ID() || clone.FD() == m.FD() {
		t.Errorf("clone has id %d and descriptor %d, of %d and %d", clone.ID(), clone.FD(), m.ID(), m.FD())
	}
	if _, err := LoadPinnedMap(path + "-none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a map that is not pinned: %v", err)
	}
}

func TestCountCPUs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"0": 1, "0-1": 2, "0-63": 64} {
		if n, err := countCPUs(text); err != nil || n != want {
			t.Errorf("%q: %d, %v, want %d", text, n, err, want)
		}
	}
	for _, text := range []string{"", "1-3", "0-1,4", "x", "0-", "0--2"} {
		if n, err := countCPUs(text); err == nil {
			t.Errorf("%q: %d", text, n)
		}
	}
}
