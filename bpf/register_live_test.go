package bpf

import (
	"errors"
	"io/fs"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"berth/bpf/sys"
	"berth/internal/testnet"
	"berth/specs"
)

// countKeys returns the number of keys in the maps of endpoints, without the parent's own.
func (x *bench) countKeys() (n int) {
	x.Helper()
	n = len(x.macs())
	for _, name := range []string{mapNamespaces, mapAddresses} {
		m, err := x.maps.openMap(name)
		must(x, err)
		var key, value []byte
		for entries := m.Iterate(); entries.Next(&key, &value); {
			n++
		}
	}
	return n - 1
}

func emptyBench(t *testing.T) *bench {
	x := newBench(t, specs.ModeBridge, "")
	must(t, x.maps.Unregister(Endpoint{Slot: slotA, ParentIndex: 1, MAC: macA, Cookie: x.cookie}))
	return x
}

func newEndpoint(slot uint32) Endpoint {
	return Endpoint{
		Slot: slot, ParentIndex: 1, MAC: macA, Driver: specs.Macvlan, Mode: specs.ModeBridge, Cookie: 77,
		Addresses: []netip.Addr{ipA, ip6A},
	}
}

func TestUnregisterTakesItsOwnOnly(t *testing.T) {
	t.Parallel()
	x := emptyBench(t)
	first, second := newEndpoint(1), newEndpoint(2)
	must(t, x.maps.Register(first))
	must(t, x.maps.Register(first))
	if n := x.countKeys(); n != 4 {
		t.Errorf("%d keys, want MAC, namespace and two addresses", n)
	}
	second.Cookie, second.Addresses = 78, []netip.Addr{ipA}
	must(t, x.maps.Register(second)) // the same MAC and one address, in a new namespace
	must(t, x.maps.Unregister(first))
	if n := x.countKeys(); n != 3 {
		t.Errorf("%d keys, want the three of the new owner", n)
	}
	if _, b := x.countFrame(ingress, plainFrame(macA, macLAN), nil); b != receiveExternal(countOf(1, 100)) {
		t.Errorf("the new owner has %+v", b)
	}
	must(t, x.maps.Unregister(second))
	must(t, x.maps.Unregister(second))
	if n := x.countKeys(); n != 0 {
		t.Errorf("%d keys are left", n)
	}
}

func TestRegisterRefuses(t *testing.T) {
	t.Parallel()
	x := emptyBench(t)
	slots := x.maps.Slots()
	for name, change := range map[string]func(*Endpoint){
		"slot 0":    func(e *Endpoint) { e.Slot = 0 },
		"slot 1025": func(e *Endpoint) { e.Slot = slots },
		"parent":    func(e *Endpoint) { e.ParentIndex = 0 },
		"VLAN":      func(e *Endpoint) { e.VLAN = 4095 },
		"MAC":       func(e *Endpoint) { e.MAC = specs.MAC{} },
		"unicast":   func(e *Endpoint) { e.MAC = macGroup },
		"ipvlan":    func(e *Endpoint) { e.Driver = specs.IPvlan },
		`"l2"`:      func(e *Endpoint) { e.Mode = specs.ModeL2 },
	} {
		e := newEndpoint(1)
		change(&e)
		if err := x.maps.Register(e); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := x.countKeys(); n != 0 {
		t.Errorf("%d keys are left", n)
	}
}

// TestRegisterIsWhole checks that an endpoint that meets a full map leaves nothing behind.
func TestRegisterIsWhole(t *testing.T) {
	t.Parallel()
	ns := testnet.Namespace(t)
	d := mustLoad(t, ns, bpffs(t), Options{MaxEndpoints: 1})
	x := &bench{TB: t, Datapath: d, ns: ns}
	must(t, d.ownMAC(1, macHost))
	e := newEndpoint(1)
	for i := range addressesPer + parentsMax + 1 {
		e.Addresses = append(e.Addresses, netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 1, 14: byte(i >> 8), 15: byte(i)}))
	}
	if err := x.maps.Register(e); !errors.Is(err, unix.E2BIG) {
		t.Errorf("register with %d addresses: %v, want E2BIG", len(e.Addresses), err)
	}
	if n := x.countKeys(); n != 0 {
		t.Errorf("%d keys are left", n)
	}
	must(t, x.maps.Register(newEndpoint(1)))
}

func TestOpenPinnedMaps(t *testing.T) {
	t.Parallel()
	dir := bpffs(t)
	if _, err := Open(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing is pinned: %v", err)
	}
	d := mustLoad(t, testnet.Here(t), dir, Options{MaxEndpoints: 7})
	m, err := Open(dir)
	must(t, err)
	must(t, m.Register(newEndpoint(7)))
	v, _, err := d.maps.lookupEndpoint(newEndpoint(7).makeKey())
	if err != nil || v.Is.Slot != 7 || v.Cookie != 77 {
		t.Errorf("what was registered by another: %+v, %v", v, err)
	}
	if m.Slots() != 8 || d.Maps().Slots() != 8 {
		t.Errorf("%d and %d slots, want 8", m.Slots(), d.Maps().Slots())
	}
	must(t, m.Close())
	if filepath.Base(pinsUnder(dir).dir) != "v1" {
		t.Error("the version is not in the path")
	}
}

// TestMove moves an endpoint to another index of its parent, and to another trunk below the
// same parent: it is counted there, in its slot, and nowhere else.
func TestMove(t *testing.T) {
	t.Parallel()
	x := newBench(t, specs.ModeBridge, "")
	e := Endpoint{Slot: slotA, ParentIndex: 7, MAC: macB, Driver: specs.Macvlan, Mode: specs.ModeBridge, Cookie: 9, Addresses: []netip.Addr{ipB}}
	must(t, x.maps.Register(e))
	to := e
	to.ParentIndex = 1
	must(t, x.maps.Move(e, to))
	trunk := to
	trunk.OfVLAN = VLAN{TrunkIndex: 8, ID: 40}
	must(t, x.maps.Move(to, trunk))
	x.runFrame(ingress, plainFrame(macB, macLAN), nil)
	if got := x.counters(slotA); got != receiveExternal(hundred) {
		t.Errorf("counted %+v", got)
	}
	if _, found, err := x.maps.lookupEndpoint(e.makeKey()); err != nil || found {
		t.Errorf("the old key: %v, %v", found, err)
	}
}

// TestMoveToOtherAddresses gives an endpoint another address on the same parent, as another lease
// does: the keys of the address that it keeps stay, and its programs too.
func TestMoveToOtherAddresses(t *testing.T) {
	t.Parallel()
	l := newLab(t, Options{})
	a := l.container(specs.ModeBridge)
	a.Index = testnet.Link(t, a.NS, "net1").Attrs().Index
	testnet.In(t, a.NS, func() {
		for _, o := range ownPrograms {
			must(t, l.maps.AttachInside(o, a.Endpoint))
		}
	})
	from, to := a.Endpoint, a.Endpoint
	from.Addresses, to.Addresses = []netip.Addr{ipA, ip6A}, []netip.Addr{ip6A, ipB}
	must(t, l.maps.Register(from))
	must(t, l.maps.Move(from, to))
	for _, o := range ownPrograms {
		if missing, err := l.maps.MissesInside(o, to); err != nil || missing {
			t.Errorf("the %s is missing: %v, %v", o, missing, err)
		}
	}
	one, err := l.maps.openMap(mapAddresses)
	must(t, err)
	for addr, want := range map[netip.Addr]error{ipA: sys.ErrKeyNotExist, ip6A: nil, ipB: nil} {
		var is partyValue
		if err := one.Lookup(to.addressKey(addr), &is); !errors.Is(err, want) || err == nil && is.Slot != a.Slot {
			t.Errorf("%s is slot %d's, %v; want %v", addr, is.Slot, err, want)
		}
	}
	if _, found, err := l.maps.lookupEndpoint(to.makeKey()); err != nil || !found {
		t.Errorf("the MAC's key: %v, %v", found, err)
	}
}

// TestMoveThatDoesNotFit: an endpoint whose further address finds the map full stays registered as
// it was.
func TestMoveThatDoesNotFit(t *testing.T) {
	t.Parallel()
	x := emptyBench(t)
	from := newEndpoint(1)
	from.Addresses = []netip.Addr{ipA}
	must(t, x.maps.Register(from))
	one, err := x.maps.openMap(mapAddresses)
	must(t, err)
	for i := uint32(0); ; i++ {
		key := addressKey{IfIndex: 1000 + i}
		if err := one.Put(key, partyValue{Slot: 2}); err != nil {
			if i == 0 {
				t.Fatal(err)
			}
			break
		}
	}
	to := from
	to.Addresses = []netip.Addr{ipA, ipB}
	if err := x.maps.Move(from, to); err == nil {
		t.Fatal("a key was set in a full map")
	}
	var is partyValue
	if err := one.Lookup(from.addressKey(ipA), &is); err != nil || is.Slot != from.Slot {
		t.Errorf("its address is slot %d's, %v", is.Slot, err)
	}
	if _, found, err := x.maps.lookupEndpoint(from.makeKey()); err != nil || !found {
		t.Errorf("its MAC's key: %v, %v", found, err)
	}
}

// TestMoveInModeSource: the list of source mode has no parent in its keys, and stays.
func TestMoveInModeSource(t *testing.T) {
	t.Parallel()
	x := emptyBench(t)
	from := newEndpoint(1)
	from.Mode, from.Sources = specs.ModeSource, []specs.MAC{macLAN}
	must(t, x.maps.Register(from))
	to := from
	to.ParentIndex = 2
	must(t, x.maps.Move(from, to))
	one, err := x.maps.openMap(mapSources)
	must(t, err)
	var listed uint8
	if err := one.Lookup(sourceKey{Slot: 1, MAC: macLAN}, &listed); err != nil || listed != 1 {
		t.Errorf("the listed source: %d, %v", listed, err)
	}
}
