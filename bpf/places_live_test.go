package bpf

import (
	"encoding/binary"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"berth/internal/testnet"
	"berth/specs"
)

// macs returns the table of MACs.
func (x *bench) macs() map[endpointKey]endpointValue {
	x.Helper()
	all := make(map[endpointKey]endpointValue)
	places, err := x.maps.openMap(mapPlaces)
	must(x, err)
	var index uint32
	var p placeValue
	entries := places.Iterate()
	for entries.Next(&index, &p) {
		if p.Word != 0 && p.Word != wordDeleted {
			all[p.makeKey()] = p.Of
		}
	}
	must(x, entries.Err())
	for k, v := range x.overflow() {
		all[k] = v
	}
	return all
}

func (x *bench) overflow() map[endpointKey]endpointValue {
	x.Helper()
	all := make(map[endpointKey]endpointValue)
	one, err := x.maps.openMap(mapEndpoints)
	must(x, err)
	var k endpointKey
	var v endpointValue
	entries := one.Iterate()
	for entries.Next(&k, &v) {
		all[k] = v
	}
	must(x, entries.Err())
	return all
}

// together returns n MACs whose keys on interface 1 have the same home in the table, or one
// of the homes behind it up to spread.
func (x *bench) together(n int, spread uint32) (all []specs.MAC) {
	x.Helper()
	places, err := x.maps.openMap(mapPlaces)
	must(x, err)
	count := places.MaxEntries()
	for i := uint32(0); len(all) < n; i++ {
		mac := specs.MAC{2, 0}
		binary.BigEndian.PutUint32(mac[2:], i)
		if (parentKey(1, mac).home(count)+1)%count <= spread { // from the last place on
			all = append(all, mac)
		}
	}
	return all
}

// TestFullChainIsCounted registers more MACs of one chain than it has places, and deletes
// them in another order: each is counted as long as it is registered, and strangers with
// the same home are not.
func TestFullChainIsCounted(t *testing.T) {
	t.Parallel()
	x := emptyBench(t)
	const n = placeProbes + 4
	macs := x.together(n+2, 0)
	registered := make([]bool, len(macs))
	check := func() {
		t.Helper()
		for i, mac := range macs {
			slot := uint32(1 + i)
			must(t, x.maps.Zero(slot))
			x.runFrame(ingress, plainFrame(mac, macLAN), nil)
			x.runFrame(egress, plainFrame(macLAN, mac), nil)
			want := none
			if registered[i] {
				want = receiveExternal(hundred).Plus(transmitExternal(specs.Casts{Unicast: hundred}))
			}
			if got := x.counters(slot); got != want {
				t.Fatalf("MAC %d of %v: counted %+v, want %+v", i, registered, got, want)
			}
		}
	}
	e := func(i int) Endpoint {
		return Endpoint{Slot: uint32(1 + i), ParentIndex: 1, MAC: macs[i], Driver: specs.Macvlan, Mode: specs.ModeBridge, Cookie: x.cookie}
	}
	for i := range n {
		must(t, x.maps.Register(e(i)))
		registered[i] = true
		check()
	}
	if got := len(x.overflow()); got != 4 {
		t.Errorf("%d keys in the overflow map, want 4", got)
	}
	for i := range n {
		i = i * 5 % n
		must(t, x.maps.Unregister(e(i)))
		registered[i] = false
		check()
	}
	if left := x.macs(); len(left) != 1 { // the host's
		t.Errorf("left: %v", left)
	}
}

// firstTable pins the maps as the first version did: all MACs in the map "endpoints",
// behind the filter.
func firstTable(t *testing.T, dir string, all map[endpointKey]endpointValue) {
	t.Helper()
	p := pinsUnder(dir)
	must(t, p.makeDirectories())
	m, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: mapEndpoints, Type: ebpf.Hash, KeySize: 12, ValueSize: uint32(binary.Size(endpointValue{})), MaxEntries: 2048,
	})
	must(t, err)
	defer m.Close()
	for k, v := range all {
		must(t, m.Put(k, v))
	}
	must(t, m.Pin(p.objectPath(mapEndpoints)))
}

// TestTableOfFirstLayout takes over MACs from maps without a table: of an endpoint, of one
// on a VLAN, and the parent's.
func TestTableOfFirstLayout(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	ns, dir := testnet.Namespace(t), bpffs(t)
	a := Endpoint{Slot: slotA, ParentIndex: 1, MAC: macA, Driver: specs.Macvlan, Mode: specs.ModeBridge}
	b := Endpoint{Slot: slotB, ParentIndex: 1, VLAN: 7, MAC: macB, Driver: specs.Macvlan, Mode: specs.ModeBridge}
	want := map[endpointKey]endpointValue{
		a.makeKey(): a.makeValue(), b.makeKey(): b.makeValue(), parentKey(1, macHost): {Is: partyValue{Flags: flagParent}},
	}
	firstTable(t, dir, want)
	x := &bench{TB: t, ns: ns, Datapath: mustLoad(t, ns, dir, Options{})}
	x.holds("taken over", want)
	x.runFrame(ingress, plainFrame(macA, macLAN), nil)
	x.runFrame(ingress, tagFrame(7, plainFrame(macB, macLAN)), nil)
	for _, slot := range []uint32{slotA, slotB} {
		if got := x.counters(slot); got != receiveExternal(hundred) {
			t.Errorf("slot %d has %+v", slot, got)
		}
	}
	must(t, x.Close())
	x.Datapath = mustLoad(t, ns, dir, Options{MaxEndpoints: 3000})
	x.holds("in a larger table", want)
	x.Datapath = mustLoad(t, ns, dir, Options{MaxEndpoints: 1})
	x.holds("in a table that stays", want)
	(&lab{bench: x}).settledLayout()
}

func (x *bench) holds(what string, want map[endpointKey]endpointValue) {
	x.Helper()
	got := x.macs()
	for k, v := range want {
		if got[k] != v {
			x.Errorf("%s: %v has %+v, want %+v", what, k, got[k], v)
		}
		if _, found, err := x.maps.lookupEndpoint(k); !found || err != nil {
			x.Errorf("%s: %v found: %v, %v", what, k, found, err)
		}
	}
	if len(got) != len(want) {
		x.Errorf("%s: %v, want %v", what, got, want)
	}
}

// TestGrownOverflow takes over MACs of a full chain, which have room in a larger table.
func TestGrownOverflow(t *testing.T) {
	t.Parallel()
	x := emptyBench(t)
	for i, mac := range x.together(placeProbes+4, 0) {
		x.mustRegister(Endpoint{Slot: uint32(1 + i), MAC: mac, Mode: specs.ModeBridge, Cookie: x.cookie})
	}
	want := x.macs()
	delete(want, parentKey(1, macHost)) // a parent without programs is forgotten
	dir := filepath.Dir(x.pins.dir)
	must(t, x.Close())
	x.Datapath = mustLoad(t, x.ns, dir, Options{MaxEndpoints: 3000})
	x.holds("in a larger table", want)
}

// TestHookBeforeAgent registers with maps of an agent of the first version, which has no
// table: its programs search the map "endpoints" behind the filter.
func TestHookBeforeAgent(t *testing.T) {
	t.Parallel()
	x := emptyBench(t)
	must(t, unix.Unlink(x.pins.objectPath(mapPlaces)))
	m, err := Open(filepath.Dir(x.pins.dir))
	must(t, err)
	defer m.Close()
	e := newEndpoint(1)
	must(t, m.Register(e))
	must(t, m.Register(e))
	if got, found := x.overflow()[e.makeKey()]; !found || got != e.makeValue() {
		t.Errorf("registered %+v, %v", got, found)
	}
	var f filterValue
	one, err := m.openMap(mapFilter)
	must(t, err)
	if err := one.Lookup(e.makeKey().filterIndex(), &f); err != nil || f.Endpoint != 1 {
		t.Errorf("filter %+v, %v", f, err)
	}
	must(t, m.Unregister(e))
	if got := x.overflow(); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
}
