package bpf

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"berth/internal/testnet"
	"berth/specs"
)

func currentLayout(t testing.TB) layoutDescription {
	t.Helper()
	spec, err := loadDatapath()
	must(t, err)
	now, err := describeLayout(spec)
	must(t, err)
	return now
}

// TestFirstLayout checks that maps of the first version can be taken over.
func TestFirstLayout(t *testing.T) {
	t.Parallel()
	var first layoutDescription
	must(t, json.Unmarshal(firstLayout, &first))
	now := currentLayout(t)
	for name, was := range first {
		is, ok := now[name]
		if !ok {
			t.Errorf("map %q is gone, with what it held", name)
		}
		if !slices.Equal(was.Key, is.Key) {
			t.Errorf("map %q has another key: its entries cannot be taken over", name)
		}
		if _, ok := convertMembers(was.Value, is.Value, sizeOf(is.Value)); !ok {
			t.Errorf("map %q: values cannot be taken over", name)
		}
	}
}

// TestConvertMembers moves members by name, and refuses those that cannot be moved.
func TestConvertMembers(t *testing.T) {
	t.Parallel()
	old := []member{{Path: "a", Offset: 0, Size: 4}, {Path: "b", Offset: 4, Size: 4}, {Path: "c", Offset: 8, Size: 2, Array: true}}
	for name, tt := range map[string]struct {
		now  []member
		size int
		want []byte
		ok   bool
	}{
		"the same":                  {old, 10, []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, true},
		"one more in the middle":    {[]member{{Path: "a", Size: 4}, {Path: "x", Offset: 4, Size: 4}, {Path: "b", Offset: 8, Size: 4}}, 12, []byte{1, 2, 3, 4, 0, 0, 0, 0, 5, 6, 7, 8}, true},
		"two have changed places":   {[]member{{Path: "b", Size: 4}, {Path: "a", Offset: 4, Size: 4}}, 8, []byte{5, 6, 7, 8, 1, 2, 3, 4}, true},
		"an array has grown":        {[]member{{Path: "c", Size: 4, Array: true}}, 4, []byte{9, 10, 0, 0}, true},
		"a number has become small": {[]member{{Path: "a", Size: 2}}, 2, nil, false},
		"a number became an array":  {[]member{{Path: "a", Size: 4, Array: true}}, 4, nil, false},
	} {
		c, ok := convertMembers(old, tt.now, tt.size)
		if ok != tt.ok {
			t.Errorf("%s: possible %v, want %v", name, ok, tt.ok)
		} else if got := c.convertValue([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}); ok && !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

// TestConvertToWiderNumber converts a number to a wider one in the machine's byte order.
func TestConvertToWiderNumber(t *testing.T) {
	t.Parallel()
	c, ok := convertMembers([]member{{Path: "n", Size: 4}}, []member{{Path: "n", Size: 8}}, 8)
	if got := binary.NativeEndian.Uint64(c.convertValue(binary.NativeEndian.AppendUint32(nil, 77))); !ok || got != 77 {
		t.Errorf("%d, %v; want 77", got, ok)
	}
}

// pinOlder pins a map of an older layout with one entry.
func pinOlder(t *testing.T, p pins, name string, spec ebpf.MapSpec, key, value any) {
	t.Helper()
	spec.Name = name
	m, err := ebpf.NewMap(&spec)
	must(t, err)
	defer m.Close()
	must(t, m.Put(key, value))
	must(t, m.Pin(p.objectPath(name)))
}

// withoutMember removes a member's bytes from a value, and the member from its description.
func withoutMember(t *testing.T, all []member, path string, value []byte) ([]member, []byte) {
	t.Helper()
	var left []member
	for _, m := range all {
		if m.Path != path {
			left = append(left, m)
			continue
		}
		value = slices.Delete(slices.Clone(value), int(m.Offset), int(m.Offset+m.Size))
		for i := range all {
			if all[i].Offset > m.Offset {
				all[i].Offset -= m.Size
			}
		}
	}
	return left, value
}

// TestMembersByName takes over maps in which a structure that begins others lacks a member,
// and maps of equal size in which two members had changed places: every value keeps its
// meaning, and the counts go on.
func TestMembersByName(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	ns, dir := testnet.Namespace(t), bpffs(t)
	p := pinsUnder(dir)
	must(t, p.makeDirectories())
	was := currentLayout(t)
	e := Endpoint{Slot: slotA, ParentIndex: 1, MAC: macA, Driver: specs.Macvlan, Mode: specs.ModeBridge, Cookie: 5,
		Enforce: []specs.Kind{specs.IPSpoof}, Addresses: nil}
	e.Addresses = append(e.Addresses, ipA, ip6A)
	value, err := binary.Append(nil, binary.NativeEndian, e.makeValue())
	must(t, err)
	endpoints := was[mapEndpoints]
	endpoints.Value, value = withoutMember(t, slices.Clone(endpoints.Value), "is.exempt", value)
	was[mapEndpoints] = endpoints
	names := was[mapNamespaces]
	names.Value = slices.Clone(names.Value)
	for i := range names.Value {
		switch names.Value[i].Path {
		case "enforce":
			names.Value[i].Path = "exempt"
		case "exempt":
			names.Value[i].Path = "enforce"
		}
	}
	was[mapNamespaces] = names
	must(t, p.describeIn(was))
	pinOlder(t, p, mapEndpoints, ebpf.MapSpec{Type: ebpf.Hash, KeySize: 12, ValueSize: uint32(len(value)), MaxEntries: 5}, e.makeKey(), value)
	swapped := e.makeParty()
	swapped.Enforce, swapped.Exempt = 7, 9
	pinOlder(t, p, mapNamespaces, ebpf.MapSpec{Type: ebpf.Hash, KeySize: 16, ValueSize: uint32(binary.Size(swapped)), MaxEntries: 5,
		Flags: unix.BPF_F_NO_PREALLOC}, e.namespaceKey(), swapped)
	x := &bench{TB: t, ns: ns, Datapath: mustLoad(t, ns, dir, Options{})}
	if got, want := x.macs()[e.makeKey()], e.makeValue(); got != want {
		t.Errorf("endpoint %+v, want %+v", got, want)
	}
	var party partyValue
	one, err := x.maps.openMap(mapNamespaces)
	must(t, err)
	must(t, one.Lookup(e.namespaceKey(), &party))
	if party.Enforce != 9 || party.Exempt != 7 || party.Slot != slotA {
		t.Errorf("namespace %+v, want what was named enforce, 9, and exempt, 7", party)
	}
	if now, err := x.pins.pinnedDescription(); err != nil || !now[mapEndpoints].equal(currentLayout(t)[mapEndpoints]) {
		t.Errorf("described as %+v, %v", now[mapEndpoints], err)
	}
	(&lab{bench: x}).settledLayout()
}

// TestOtherKeyIsRefused checks that a map is refused if its key has another meaning in the
// same size.
func TestOtherKeyIsRefused(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	dir := bpffs(t)
	p := pinsUnder(dir)
	must(t, p.makeDirectories())
	was := currentLayout(t)
	vlans := was[mapVLANs]
	vlans.Key = []member{{Path: "vlan", Size: 4}, {Path: "ifindex", Offset: 4, Size: 4}}
	was[mapVLANs] = vlans
	must(t, p.describeIn(was))
	pinOlder(t, p, mapVLANs, ebpf.MapSpec{Type: ebpf.Hash, KeySize: 8, ValueSize: 4, MaxEntries: vlansMax, Flags: unix.BPF_F_NO_PREALLOC}, uint64(1), uint32(1))
	testnet.In(t, testnet.Namespace(t), func() {
		if _, err := Load(filepath.Clean(dir), Options{}); !errors.Is(err, ebpf.ErrMapIncompatible) {
			t.Errorf("a key of another layout: %v", err)
		}
	})
}
