package bpf

import (
	"math/bits"
	"slices"
	"time"
)

// placeProbes is the number of places in which a key can be: PLACE_PROBES in c/table.h.
const placeProbes = 8

// wordDeleted is the word of a place whose endpoint was deleted. No key has it: VLAN 65535
// does not exist.
const wordDeleted = 1<<64 - 1

// placeTable is the table of MACs. A key's hash is the index of its home, the first place of
// its chain. The key is in the first places of the chain, up to the first empty place, or in
// the overflow map if no place of its chain is empty.
//
// Programs search a chain while it is changed, so every step leaves a state in which they
// find each key with its old or its new value; also if the process is killed there. The word
// of a place is 0, wordDeleted or that of its key. Only the place's word identifies the
// endpoint of its value, so it changes last when a place is filled, and first when it is
// freed. A freed place keeps its value for a while, for programs that have found it. An
// emptied place ends every chain through it, so a place is emptied only if no key is behind
// it, and is deleted otherwise.
//
// The caller of the methods that write holds the lock of the pinned objects.
type placeTable struct {
	places   placeCells
	overflow placeOverflow
	count    uint32                        // of the places, a power of two
	now      func() (time.Duration, error) // since some moment of this boot
}

// placeRest is the time for which a freed place keeps its value: by then, every program
// that had found it has finished.
const placeRest = 100 * time.Millisecond

// placeCells are the places. An implementation writes all members of a place, in any
// order, but none of them in parts.
type placeCells interface {
	readPlace(index uint32) (placeValue, error)
	writePlace(index uint32, v placeValue) error
}

// placeOverflow holds the keys whose chains are full.
type placeOverflow interface {
	lookupOverflow(k endpointKey) (v endpointValue, found bool, err error)
	putOverflow(k endpointKey, v endpointValue) error
	deleteOverflow(k endpointKey) error
	anyOverflow(is func(endpointKey) bool) (bool, error)
}

// placesFor returns the number of places for a number of keys: at most half of them are
// taken.
func placesFor(keys uint32) uint32 { return 1 << bits.Len32(2*keys-1) }

// chain holds the content of the places of a key.
type chain struct {
	home   uint32
	places []placeValue // up to the first empty one
	same   []uint32     // the indices of the places that have the key
	free   uint32       // the index of the first place that can be filled, if room is set
	room   bool
	full   bool // whether no place is empty: the overflow map may have the key
}

func (t *placeTable) readChain(k endpointKey) (chain, error) {
	word := k.word()
	c := chain{home: k.home(t.count), full: true}
	now, err := t.millis()
	if err != nil {
		return c, err
	}
	for i := range uint32(placeProbes) {
		index := (c.home + i) % t.count
		p, err := t.places.readPlace(index)
		if err != nil {
			return c, err
		}
		c.places = append(c.places, p)
		free := p.Word == 0 || p.Word == wordDeleted
		if free && !c.room && (p.Freed == 0 || now-p.Freed > uint32(placeRest.Milliseconds())) {
			c.free, c.room = index, true
		}
		if p.Word == 0 { // before the comparison: MAC 0 is no key, but may be in a frame
			c.full = false
			return c, nil
		}
		if p.Word == word && p.IfIndex == k.IfIndex {
			c.same = append(c.same, index)
		}
	}
	return c, nil
}

// millis returns the time in the unit of [placeValue.Freed], never 0.
func (t *placeTable) millis() (uint32, error) {
	now, err := t.now()
	return uint32(now.Milliseconds()) | 1, err
}

// at returns the value in a place of the chain.
func (c *chain) at(index, count uint32) endpointValue { return c.places[(index-c.home)%count].Of }

// first returns the value that programs find in the chain.
func (c *chain) first(count uint32) (v endpointValue, found bool) {
	if len(c.same) == 0 {
		return v, false
	}
	return c.at(c.same[0], count), true
}

// end returns the index of the last place of the chain that was not empty, or of the one
// before its home.
func (c *chain) end() uint32 {
	if c.full {
		return c.home + placeProbes - 1
	}
	return c.home + uint32(len(c.places)) - 2
}

// lookupKey returns the value of a key, as programs find it.
func (t *placeTable) lookupKey(k endpointKey) (v endpointValue, found bool, err error) {
	c, err := t.readChain(k)
	if err != nil {
		return v, false, err
	}
	if v, found := c.first(t.count); found || !c.full {
		return v, found, nil
	}
	return t.overflow.lookupOverflow(k)
}

// putKey sets the value of a key. A changed value gets another place, so that no program
// finds a part of it.
func (t *placeTable) putKey(k endpointKey, v endpointValue) error {
	c, err := t.readChain(k)
	if err != nil {
		return err
	}
	old := c.same
	switch now, found := c.first(t.count); {
	case found && now == v:
		old = c.same[1:] // of a process that was killed before it freed them
	case !c.room && !c.full:
		// The empty place must rest: the chain goes on behind it.
		if err := t.markDeleted(c.end() + 1); err != nil {
			return err
		}
		return t.putKey(k, v)
	case !c.room:
		if err := t.overflow.putOverflow(k, v); err != nil {
			return err
		}
		return t.freePlaces(c.same)
	default:
		if err := t.fillPlace(c.free, k, v); err != nil {
			return err
		}
	}
	if err := t.freePlaces(old); err != nil {
		return err
	}
	if err := t.overflow.deleteOverflow(k); err != nil {
		return err
	}
	return t.trimDeleted(c.end())
}

// fillPlace puts a key into a place that programs skip, or at which their search ends: its word
// changes last.
func (t *placeTable) fillPlace(index uint32, k endpointKey, v endpointValue) error {
	p, err := t.places.readPlace(index)
	if err != nil {
		return err
	}
	p.Of, p.IfIndex, p.Freed = v, k.IfIndex, 0
	if err := t.places.writePlace(index, p); err != nil {
		return err
	}
	p.Word = k.word()
	return t.places.writePlace(index, p)
}

// deleteKey deletes a key if want returns true for its value.
func (t *placeTable) deleteKey(k endpointKey, want func(endpointValue) bool) error {
	c, err := t.readChain(k)
	if err != nil {
		return err
	}
	var unwanted []uint32
	for _, index := range c.same {
		if want(c.at(index, t.count)) {
			unwanted = append(unwanted, index)
		}
	}
	if err := t.freePlaces(unwanted); err != nil {
		return err
	}
	v, found, err := t.overflow.lookupOverflow(k)
	if err == nil && found && want(v) {
		err = t.overflow.deleteOverflow(k)
	}
	if err != nil {
		return err
	}
	return t.trimDeleted(c.end()) // also after a process that was killed before it did
}

// freePlaces takes the key out of places, out of the last one first: until it is gone,
// programs find the value that they found before.
func (t *placeTable) freePlaces(indices []uint32) error {
	for _, index := range slices.Backward(indices) {
		if err := t.markDeleted(index); err != nil {
			return err
		}
		if err := t.trimDeleted(index); err != nil {
			return err
		}
	}
	return nil
}

// markDeleted takes the key out of a place, if it has one. The value stays.
func (t *placeTable) markDeleted(index uint32) error {
	p, err := t.places.readPlace(index % t.count)
	if err != nil {
		return err
	}
	if p.Word != 0 {
		if p.Freed, err = t.millis(); err != nil {
			return err
		}
	}
	p.Word = wordDeleted
	return t.places.writePlace(index%t.count, p)
}

// trimDeleted empties a deleted place, and the deleted ones before it, if no key is behind them.
func (t *placeTable) trimDeleted(index uint32) error {
	for ; ; index-- {
		p, err := t.places.readPlace(index % t.count)
		if err != nil || p.Word != wordDeleted {
			return err
		}
		ends, err := t.endsChains(index % t.count)
		if err != nil || !ends {
			return err
		}
		p.Word = 0
		if err := t.places.writePlace(index%t.count, p); err != nil {
			return err
		}
	}
}

// endsChains reports whether no key is behind a place: the next place is empty, and the
// chain of no key in the overflow map has the place.
func (t *placeTable) endsChains(index uint32) (bool, error) {
	next, err := t.places.readPlace((index + 1) % t.count)
	if err != nil || next.Word != 0 {
		return false, err
	}
	behind, err := t.overflow.anyOverflow(func(k endpointKey) bool {
		return (index-k.home(t.count))%t.count < placeProbes
	})
	return !behind, err
}
