package bpf

import (
	"net/netip"
	"path/filepath"
	"testing"

	"berth/internal/testnet"
	"berth/specs"
)

// TestAddViolation adds to the datapath's counts, over a migration, and zeroes both.
func TestAddViolation(t *testing.T) {
	t.Parallel()
	x := spoofBench(t, needNaming(t))
	x.runFrame(egress, plainFrame(macLAN, macGroup), nil)
	must(t, x.maps.AddViolation(slotB, specs.ModeDrift, 2))
	must(t, x.maps.AddViolation(slotB, specs.ModeDrift, 3))
	must(t, x.maps.AddViolation(slotA, specs.Unanswered, 1))
	for _, bad := range []struct {
		slot uint32
		kind specs.Kind
	}{{slotB, specs.MACSpoof}, {slotB, "mode_drift"}, {x.maps.Slots(), specs.ModeDrift}} {
		if err := x.maps.AddViolation(bad.slot, bad.kind, 1); err == nil {
			t.Errorf("added %q to slot %d", bad.kind, bad.slot)
		}
	}
	for _, endpoints := range []uint32{DefaultEndpoints, 2000, 3000} {
		dir := filepath.Dir(x.pins.dir)
		d := mustLoad(t, x.ns, dir, Options{MaxEndpoints: endpoints})
		found := (&bench{TB: t, Datapath: d}).allViolations()
		if b := found[slotB]; len(found) != 2 || len(b) != 2 || b[specs.MACSpoof].Packets != 1 || b[specs.ModeDrift].Packets != 5 || found[slotA][specs.Unanswered].Packets != 1 {
			t.Errorf("%d endpoints: %+v", endpoints, found)
		}
		x.Datapath.maps = d.maps
	}
	must(t, x.maps.Zero(slotB))
	if found := x.allViolations(); len(found) != 1 || len(found[slotA]) != 1 {
		t.Errorf("zeroed: %+v", found)
	}
}

// TestNoRoomForViolations fills the map of violations, and checks that those of an endpoint
// without room are under slot 0: no count is lost.
func TestNoRoomForViolations(t *testing.T) {
	t.Parallel()
	x := spoofBench(t, needNaming(t))
	m, err := x.maps.openMap(mapViolations)
	must(t, err)
	for slot := uint32(1000); m.Put(slot, violations{}) == nil; slot++ {
	}
	x.runFrame(egress, plainFrame(macLAN, macGroup), nil)
	if found := x.allViolations(); len(found) != 1 || found[0][specs.MACSpoof].Packets != 1 {
		t.Errorf("%+v", found)
	}
}

// TestHostAddresses sets the host's addresses twice, beside those of an endpoint.
func TestHostAddresses(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	x := emptyBench(t)
	must(t, x.maps.Register(newEndpoint(1)))
	has := func() map[netip.Addr]uint32 {
		m, err := x.maps.openMap(mapAddresses)
		must(t, err)
		all := make(map[netip.Addr]uint32)
		var key addressKey
		var p partyValue
		for entries := m.Iterate(); entries.Next(&key, &p); {
			all[netip.AddrFrom16(key.Addr).Unmap()] = p.Slot
		}
		return all
	}
	must(t, x.maps.SetHostAddresses(1, []netip.Addr{ipLAN, ipA, ip6B}))
	if all := has(); len(all) != 4 || all[ipA] != 1 || all[ip6A] != 1 || all[ipLAN] != addressHost || all[ip6B] != addressHost {
		t.Errorf("%v", all)
	}
	must(t, x.maps.SetHostAddresses(2, nil))
	must(t, x.maps.SetHostAddresses(1, []netip.Addr{ipB}))
	if all := has(); len(all) != 3 || all[ipA] != 1 || all[ip6A] != 1 || all[ipB] != addressHost {
		t.Errorf("%v", all)
	}
}
