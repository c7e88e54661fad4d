package bpf

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// cells is a table in memory. After every change of it, check is called; when steps reaches
// 0, changes fail, as if the process had been killed there.
type cells struct {
	places   []placeValue
	overflow map[endpointKey]endpointValue
	check    func()
	steps    int
	clock    time.Duration
	left     map[int]time.Duration // when a place lost its key
}

var errKilled = errors.New("killed")

func newCells(count uint32) (*cells, *placeTable) {
	c := &cells{places: make([]placeValue, count), overflow: make(map[endpointKey]endpointValue), check: func() {}, steps: -1, left: make(map[int]time.Duration)}
	return c, &placeTable{places: c, overflow: cellsOverflow{c}, count: count, now: c.now}
}

func (c *cells) change(do func()) error {
	if c.steps == 0 {
		return errKilled
	}
	c.steps--
	before := slices.Clone(c.places)
	do()
	c.rested(before)
	c.check()
	return nil
}

func (c *cells) now() (time.Duration, error) { return c.clock, nil }

func (c *cells) readPlace(index uint32) (placeValue, error) { return c.places[index], nil }

func (c *cells) writePlace(index uint32, v placeValue) error {
	return c.change(func() { c.places[index] = v })
}

type cellsOverflow struct{ *cells }

func (c cellsOverflow) lookupOverflow(k endpointKey) (endpointValue, bool, error) {
	v, found := c.overflow[k]
	return v, found, nil
}

func (c cellsOverflow) putOverflow(k endpointKey, v endpointValue) error {
	return c.change(func() { c.overflow[k] = v })
}

func (c cellsOverflow) deleteOverflow(k endpointKey) error {
	return c.change(func() { delete(c.overflow, k) })
}

func (c cellsOverflow) anyOverflow(is func(endpointKey) bool) (bool, error) {
	for k := range c.overflow {
		if is(k) {
			return true, nil
		}
	}
	return false, nil
}

// rested checks that no value changes while a program may have found it in its place.
func (c *cells) rested(before []placeValue) {
	live := func(p placeValue) bool { return p.Word != 0 && p.Word != wordDeleted }
	for i, p := range c.places {
		if live(before[i]) && !live(p) {
			c.left[i] = c.clock
		}
		left, has := c.left[i]
		if p.Of != before[i].Of && (live(before[i]) || has && c.clock-left < placeRest-2*time.Millisecond) {
			panic(fmt.Sprintf("place %d changes its value %v after its key was deleted", i, c.clock-left))
		}
	}
}

// program searches a key as the programs do.
func (c *cells) program(k endpointKey) (endpointValue, bool) {
	count := uint32(len(c.places))
	for i := range uint32(placeProbes) {
		switch p := c.places[(k.home(count)+i)%count]; {
		case p.Word == 0:
			return endpointValue{}, false
		case p.Word == k.word() && p.IfIndex == k.IfIndex:
			return p.Of, true
		}
	}
	v, found := c.overflow[k]
	return v, found
}

// model is the table as a map, with the key that is being changed.
type model struct {
	*testing.T
	*cells
	table    *placeTable
	want     map[endpointKey]endpointValue
	changing endpointKey
	to       endpointValue // zero if it is being deleted
	slot     uint32
	killed   bool // whether a change was killed: deleted places may be left until the next change of their chain
}

func newModel(t *testing.T, count uint32) *model {
	m := &model{T: t, want: make(map[endpointKey]endpointValue)}
	m.cells, m.table = newCells(count)
	m.check = m.compare
	return m
}

// compare checks that programs find each key with its value, and the key that is being
// changed with its old value or its new one.
func (m *model) compare() {
	m.Helper()
	for k, want := range m.want {
		got, found := m.program(k)
		if (!found || got != want) && (k != m.changing || got != m.to) {
			m.Fatalf("key %v: %v, %v; want slot %d", k, got.Is.Slot, found, want.Is.Slot)
		}
	}
	if _, held := m.want[m.changing]; !held {
		if got, found := m.program(m.changing); found && got != m.to {
			m.Fatalf("new key %v has slot %d", m.changing, got.Is.Slot)
		}
	}
}

// put sets a key to a new value, and repeats it after each kill on the way if kill is set.
func (m *model) put(k endpointKey, kill bool) {
	m.Helper()
	m.slot++
	m.clock += time.Duration(rand.IntN(30)) * time.Millisecond
	v := endpointValue{Is: partyValue{Slot: m.slot}, Cookie: uint64(m.slot)}
	m.changing, m.to = k, v
	m.killOrCall(kill, func() error { return m.table.putKey(k, v) })
	m.want[k] = v
	m.settled(k, v)
}

func (m *model) delete(k endpointKey, kill bool) {
	m.Helper()
	m.changing, m.to = k, endpointValue{}
	m.killOrCall(kill, func() error { return m.table.deleteKey(k, func(endpointValue) bool { return true }) })
	delete(m.want, k)
	m.settled(k, endpointValue{})
}

func (m *model) killOrCall(kill bool, fn func() error) {
	m.Helper()
	for m.steps = 0; kill; m.steps = rand.IntN(6) {
		m.killed = true
		if err := fn(); err == nil {
			break
		} else if !errors.Is(err, errKilled) {
			m.Fatal(err)
		}
	}
	m.steps = -1
	if err := fn(); err != nil {
		m.Fatal(err)
	}
}

// settled checks the result of a change, and the invariants of the table.
func (m *model) settled(k endpointKey, want endpointValue) {
	m.Helper()
	m.changing = endpointKey{}
	m.compare()
	got, found, err := m.table.lookupKey(k)
	if err != nil || got != want || found != (want != endpointValue{}) {
		m.Fatalf("key %v: got slot %d, %v, %v; want %d", k, got.Is.Slot, found, err, want.Is.Slot)
	}
	live := len(m.overflow)
	for i, p := range m.places {
		if p.Word != 0 && p.Word != wordDeleted {
			live++
		}
		if ends, _ := m.table.endsChains(uint32(i)); p.Word == wordDeleted && ends && !m.killed {
			m.Fatalf("place %d of %d is deleted and nothing is behind it", i, len(m.places))
		}
	}
	if live != len(m.want) {
		m.Fatalf("%d keys in the table, want %d: %v", live, len(m.want), m.want)
	}
}

func modelKey(i int) endpointKey {
	return endpointKey{MAC: [6]byte{2, 0, 0x5e, 0, byte(i >> 8), byte(i)}, VLAN: uint16(i % 3), IfIndex: uint32(1 + i%2)}
}

// TestPlacesAgainstModel changes keys at random, more than fit into the places and fewer.
// After every step of a change, also of one that is killed there and repeated, programs
// find every key.
func TestPlacesAgainstModel(t *testing.T) {
	t.Parallel()
	for _, count := range []uint32{16, 64, 256} {
		for i, keys := range []int{int(count) / 4, int(count) / 2, int(count), int(count) * 3 / 2} {
			kills := []int{0, 2}[i%2]
			t.Run(fmt.Sprint(keys, " keys in ", count), func(t *testing.T) {
				t.Parallel()
				m := newModel(t, count)
				for range 2000 {
					k, kill := modelKey(rand.IntN(2*keys)), rand.IntN(4) < kills
					if _, held := m.want[k]; held && rand.IntN(2) == 0 || len(m.want) >= keys {
						m.delete(pick(m.want, k), kill)
					} else {
						m.put(k, kill)
					}
				}
				for k := range maps.Clone(m.want) {
					m.delete(k, false)
				}
				i := slices.IndexFunc(m.places, func(p placeValue) bool { return p.Word != 0 })
				if i >= 0 && keys <= int(count)/4 && count > 2*placeProbes { // a ring of deleted places has no end
					t.Errorf("place %d has word %x when all keys are deleted", i, m.places[i].Word)
				}
			})
		}
	}
}

// pick returns k if the map has it, else any key of the map.
func pick(all map[endpointKey]endpointValue, k endpointKey) endpointKey {
	if _, ok := all[k]; ok {
		return k
	}
	for k := range all {
		return k
	}
	return k
}

// TestFullChain puts keys with one home: those beyond the chain are in the overflow map,
// and move into the chain when they are put again after a place was freed.
func TestFullChain(t *testing.T) {
	t.Parallel()
	m := newModel(t, 64)
	var keys []endpointKey
	for i := 0; len(keys) < placeProbes+3; i++ {
		if k := modelKey(i); k.home(64) == 60 { // the chain goes around the end
			keys = append(keys, k)
			m.put(k, false)
		}
	}
	if len(m.overflow) != 3 {
		t.Errorf("%d keys in the overflow map, want 3", len(m.overflow))
	}
	m.delete(keys[0], false)
	m.clock += 2 * placeRest
	m.put(keys[placeProbes], false)
	if len(m.overflow) != 2 {
		t.Errorf("%d keys in the overflow map after one found a place, want 2", len(m.overflow))
	}
}

// TestDeleteTakesItsOwnOnly keeps a key whose value is another's.
func TestDeleteTakesItsOwnOnly(t *testing.T) {
	t.Parallel()
	m := newModel(t, 16)
	m.put(modelKey(1), false)
	m.changing = endpointKey{}
	if err := m.table.deleteKey(modelKey(1), func(v endpointValue) bool { return v.Is.Slot != 1 }); err != nil {
		t.Fatal(err)
	}
	m.compare()
}

// TestPlacesFor checks that at most half of the places are taken, and that their number
// is a power of two.
func TestPlacesFor(t *testing.T) {
	t.Parallel()
	for keys, want := range map[uint32]uint32{1: 2, 2: 4, 3: 8, 2048: 4096, 2049: 8192, 11024: 32768, 65536 + parentsMax: 262144} {
		if got := placesFor(keys); got != want {
			t.Errorf("%d places for %d keys, want %d", got, keys, want)
		}
	}
}
