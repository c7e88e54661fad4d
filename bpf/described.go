//go:build !hook

package bpf

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// layoutDescription holds the members of the keys and values of the pinned maps, by name.
type layoutDescription map[string]described1

type described1 struct{ Key, Value []member }

// firstLayout describes the maps of the first version, which pinned no description.
//
//go:embed layouts/1.json
var firstLayout []byte

// describeLayout returns the layout of the maps of an object.
func describeLayout(spec *ebpf.CollectionSpec) (layoutDescription, error) {
	all := make(layoutDescription)
	for name, m := range spec.Maps {
		if m.Pinning != ebpf.PinByName || m.Key == nil || m.Value == nil {
			continue
		}
		var one described1
		var err error
		if one.Key, err = membersOf(m.Key); err != nil {
			return nil, fmt.Errorf("key of map %q: %w", name, err)
		}
		if _, none := m.Value.(*btf.Void); none {
			continue
		}
		if one.Value, err = membersOf(m.Value); err != nil {
			return nil, fmt.Errorf("value of map %q: %w", name, err)
		}
		all[name] = one
	}
	return all, nil
}

// pinnedDescription returns the pinned description of the layout, or that of the first version if
// there is none.
func (p pins) pinnedDescription() (layoutDescription, error) {
	text := firstLayout
	m, err := ebpf.LoadPinnedMap(p.objectPath(pinLayout), nil)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("open pinned map %q: %w", pinLayout, err)
	default:
		defer m.Close()
		if err := m.Lookup(uint32(0), &text); err != nil {
			return nil, fmt.Errorf("read pinned map %q: %w", pinLayout, err)
		}
	}
	var all layoutDescription
	if err := json.Unmarshal(bytes.TrimRight(text, "\x00"), &all); err != nil {
		return nil, fmt.Errorf("read pinned map %q: %w", pinLayout, err)
	}
	return all, nil
}

// describeIn pins the description of the maps that are pinned in the same directory.
func (p pins) describeIn(all layoutDescription) error {
	text, err := json.Marshal(all)
	if err != nil {
		return fmt.Errorf("describe the layout: %w", err)
	}
	m, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: pinLayout, Type: ebpf.Array, KeySize: 4, ValueSize: uint32(len(text)+7) &^ 7, MaxEntries: 1,
	})
	if err != nil {
		return fmt.Errorf("make map %q: %w", pinLayout, err)
	}
	defer m.Close()
	padded := append(text, make([]byte, int(m.ValueSize())-len(text))...)
	if err := m.Put(uint32(0), padded); err != nil {
		return fmt.Errorf("put into map %q: %w", pinLayout, err)
	}
	return p.replacePin(pinLayout, m.Pin)
}

// describeOnce pins the description of maps that stay, or will be created, unless it is
// pinned already.
func (p pins) describeOnce(was, now layoutDescription) error {
	if !isAbsent(p.objectPath(pinLayout)) && maps.EqualFunc(was, now, described1.equal) {
		return nil
	}
	return p.describeIn(now)
}

func (d described1) equal(o described1) bool {
	return slices.Equal(d.Key, o.Key) && slices.Equal(d.Value, o.Value)
}

// conversionFrom returns the conversion of the values of a map in a directory to this layout.
func (p pins) conversionFrom(name string, old *ebpf.Map) (conversion, error) {
	was, err := p.pinnedDescription()
	if err != nil {
		return conversion{}, err
	}
	spec, err := loadDatapath()
	if err != nil {
		return conversion{}, fmt.Errorf("read datapath object: %w", err)
	}
	now, err := describeLayout(spec)
	if err != nil {
		return conversion{}, err
	}
	want := spec.Maps[name]
	want.MaxEntries = max(want.MaxEntries, old.MaxEntries())
	c, _, err := conversionOf(name, old, want, was, now)
	return c, err
}

// conversionOf plans the conversion of a pinned map's values to the wanted layout; same is
// true if the map can stay. It fails with ebpf.ErrMapIncompatible if entries cannot be
// converted.
func conversionOf(name string, old *ebpf.Map, want *ebpf.MapSpec,
	was, now layoutDescription) (c conversion, same bool, err error) {
	before, known := was[name]
	after := now[name]
	known = known && sizeOf(before.Value) == int(old.ValueSize()) && sizeOf(before.Key) == int(old.KeySize())
	c = appendedConversion(int(old.ValueSize()), int(want.ValueSize))
	same, fits := true, int(old.ValueSize()) <= int(want.ValueSize)
	if known {
		same = before.equal(after)
		c, fits = convertMembers(before.Value, after.Value, int(want.ValueSize))
		fits = fits && slices.Equal(before.Key, after.Key)
	}
	if same && want.Compatible(old) == nil {
		return c, true, nil
	}
	if !fits || old.Type() != want.Type || old.KeySize() != want.KeySize || old.MaxEntries() > want.MaxEntries {
		return c, false, fmt.Errorf("pinned map %q is of a layout that cannot be taken over: %w", name,
			ebpf.ErrMapIncompatible)
	}
	return c, false, nil
}

// sizeOf returns the size of a structure with these members. The layout has no unnamed
// padding.
func sizeOf(all []member) (size int) {
	for _, m := range all {
		size = max(size, int(m.Offset+m.Size))
	}
	return size
}
