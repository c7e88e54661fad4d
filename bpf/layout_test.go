package bpf

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"

	"berth/specs"
)

// TestLayout compares the Go types with the C ones: size, and offset and size of each
// member, in order.
func TestLayout(t *testing.T) {
	t.Parallel()
	spec, err := loadDatapath()
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]any{
		"endpoint_key": endpointKey{}, "party": partyValue{}, "state": stateValue{}, "print": printValue{}, "drops": dropsValue{}, "endpoint": endpointValue{}, "place": placeValue{}, "namespace_key": namespaceKey{},
		"address_key": addressKey{}, "filter": filterValue{}, "unknown": unknownValue{}, "inside_key": insideKey{}, "inside": insideValue{}, "source_key": sourceKey{}, "vlan_key": vlanKey{}, "parent": parentValue{}, "count": count{}, "counters": counters{},
		"violation": violation{}, "violations": violations{}, "event": event{},
	} {
		var c *btf.Struct
		if err := spec.Types.TypeByName(name, &c); err != nil {
			t.Fatalf("struct %s: %v", name, err)
		}
		sameLayout(t, name, c, reflect.TypeOf(value))
		if got := binary.Size(value); got != int(c.Size) {
			t.Errorf("%s has %d bytes in Go, %d in C", name, got, c.Size)
		}
	}
}

func sameLayout(t *testing.T, name string, c *btf.Struct, g reflect.Type) {
	t.Helper()
	if g.NumField() != len(c.Members) {
		t.Fatalf("%s has %d members in Go, %d in C", name, g.NumField(), len(c.Members))
	}
	for i, member := range c.Members {
		size, err := btf.Sizeof(member.Type)
		if err != nil {
			t.Fatal(err)
		}
		field := g.Field(i)
		if int(field.Offset) != int(member.Offset.Bytes()) || int(field.Type.Size()) != size {
			t.Errorf("%s.%s is at %d with %d bytes, in C %s at %d with %d", name, field.Name,
				field.Offset, field.Type.Size(), member.Name, member.Offset.Bytes(), size)
		}
	}
}

// TestMapSizes compares the maps' key and value sizes with the Go types.
func TestMapSizes(t *testing.T) {
	t.Parallel()
	spec, err := loadDatapath()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][2]any{
		mapPlaces:     {uint32(0), placeValue{}},
		mapEndpoints:  {endpointKey{}, endpointValue{}},
		mapFilter:     {uint32(0), filterValue{}},
		mapNamespaces: {namespaceKey{}, partyValue{}},
		mapAddresses:  {addressKey{}, partyValue{}},
		mapSources:    {sourceKey{}, uint8(0)},
		mapVLANs:      {vlanKey{}, uint32(0)},
		mapParents:    {uint32(0), parentValue{}},
		mapCounters:   {uint32(0), counters{}},
		mapViolations: {uint32(0), violations{}},
		mapInsides:    {insideKey{}, insideValue{}},
		mapLost:       {uint32(0), uint64(0)},
		mapUnknown:    {endpointKey{}, unknownValue{}},
		mapEpoch:      {uint32(0), uint32(0)},
		mapStates:     {uint32(0), stateValue{}},
		mapPrints:     {uint32(0), printValue{}},
		mapDrops:      {uint32(0), dropsValue{}},
		mapDropped:    {uint64(0), uint32(0)},
	} {
		m := spec.Maps[name]
		if m == nil {
			t.Errorf("no map %q", name)
			continue
		}
		if got := [2]int{int(m.KeySize), int(m.ValueSize)}; got != [2]int{binary.Size(want[0]), binary.Size(want[1])} {
			t.Errorf("map %q has keys and values of %v bytes, want %d and %d", name, got, binary.Size(want[0]), binary.Size(want[1]))
		}
	}
	if n := spec.Maps[mapLost].MaxEntries; n != lostKinds {
		t.Errorf("%d things are lost, want %d", n, lostKinds)
	}
	if n := spec.Maps[mapFilter].MaxEntries; n != 1<<filterBits {
		t.Errorf("the filter has %d elements, want %d", n, 1<<filterBits)
	}
}

// TestEnums compares the numbers that both sides use for the same thing.
func TestEnums(t *testing.T) {
	t.Parallel()
	spec, err := loadDatapath()
	if err != nil {
		t.Fatal(err)
	}
	var modes *btf.Enum
	if err := spec.Types.TypeByName("mode", &modes); err != nil {
		t.Fatal(err)
	}
	names := map[string]specs.Mode{
		"MODE_BRIDGE": specs.ModeBridge, "MODE_PRIVATE": specs.ModePrivate, "MODE_VEPA": specs.ModeVEPA,
		"MODE_PASSTHRU": specs.ModePassthru, "MODE_SOURCE": specs.ModeSource,
		"MODE_L2": specs.ModeL2, "MODE_L3": specs.ModeL3, "MODE_L3S": specs.ModeL3S,
	}
	if len(modes.Values) != len(names) {
		t.Errorf("C has %d modes, want %d", len(modes.Values), len(names))
	}
	for _, v := range modes.Values {
		if n, err := modeNumber(names[v.Name]); err != nil || uint64(n) != v.Value {
			t.Errorf("%s is %d in C, %d in Go (%v)", v.Name, v.Value, n, err)
		}
	}
}

// TestKinds compares the order of kinds and evidences with that in C.
func TestKinds(t *testing.T) {
	t.Parallel()
	spec, err := loadDatapath()
	if err != nil {
		t.Fatal(err)
	}
	named := func(name string) (all []string) {
		var e *btf.Enum
		if err := spec.Types.TypeByName(name, &e); err != nil {
			t.Fatal(err)
		}
		for i, v := range e.Values {
			if v.Value != uint64(i) {
				t.Errorf("%s is %d, want %d", v.Name, v.Value, i)
			}
			all = append(all, strings.ReplaceAll(strings.ToLower(v.Name), "_", "-"))
		}
		return all[:len(all)-1] // the last is their number
	}
	if got, want := fmt.Sprint(named("kind")), fmt.Sprint(specs.Kinds()); got != want || len(specs.Kinds()) != numKinds {
		t.Errorf("C has the kinds %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(named("evidence")), fmt.Sprint(specs.Evidences()[:evidences]); got != want {
		t.Errorf("C has the evidences %s, want %s", got, want)
	}
	if room := len(foundValue{}.Packets); room < numKinds {
		t.Errorf("room for %d kinds, there are %d", room, numKinds)
	}
}

func TestModeNumberRefusesOthers(t *testing.T) {
	t.Parallel()
	for _, mode := range []specs.Mode{"", "l4"} {
		if n, err := modeNumber(mode); err == nil {
			t.Errorf("mode %q has number %d", mode, n)
		}
	}
}
