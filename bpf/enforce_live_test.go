package bpf

import (
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"berth/internal/testnet"
	"berth/specs"
)

// judged is the result of a frame: the verdict, and its violations by slot and kind.
type judged struct {
	drop  bool
	found map[uint32]map[specs.Kind]specs.Broken
}

// judgeFrame runs a frame and returns the violations found.
func (x *bench) judgeFrame(w direction, frame []byte) (j judged) {
	x.Helper()
	must(x, x.maps.Zero(slotA))
	must(x, x.maps.Zero(slotB))
	return x.judgeMore(w, frame)
}

// judgeMore is judge without deleting earlier violations.
func (x *bench) judgeMore(w direction, frame []byte) (j judged) {
	x.Helper()
	testnet.In(x, x.ns, func() { j.drop = programVerdict(x, loadedProgram(x.programFor(w)), frame, new(skb)) == verdictDrop })
	j.found = x.allViolations()
	return j
}

// allViolations returns all violations.
func (x *bench) allViolations() map[uint32]map[specs.Kind]specs.Broken {
	x.Helper()
	all := make(map[uint32]map[specs.Kind]specs.Broken)
	must(x, x.maps.EachViolation(func(slot uint32, kind specs.Kind, n specs.Broken) {
		if all[slot] == nil {
			all[slot] = make(map[specs.Kind]specs.Broken)
		}
		all[slot][kind] = n
	}))
	return all
}

// onlyViolation reports whether the only violation is one packet of a kind in a slot, or there is
// none if kind is "".
func (j judged) onlyViolation(slot uint32, kind specs.Kind) bool {
	want := specs.Broken{Packets: 1}
	if j.drop {
		want.Dropped = 1
	}
	if kind == "" {
		return len(j.found) == 0 && !j.drop
	}
	return len(j.found) == 1 && len(j.found[slot]) == 1 && j.found[slot][kind] == want
}

// TestEnforceMACSpoof drops forged frames in both directions, and lets the endpoint's own
// frames pass; a dropped frame is in no endpoint's traffic.
func TestEnforceMACSpoof(t *testing.T) {
	t.Parallel()
	eachNaming(t, testEnforceMACSpoof)
}

func testEnforceMACSpoof(t *testing.T, c constants) {
	x := spoofBench(t, c)
	for _, enforce := range [][]specs.Kind{nil, {specs.MACSpoof}} {
		x.mustRegister(Endpoint{Slot: slotB, MAC: macB, Mode: specs.ModeBridge, Cookie: x.cookie, Enforce: enforce})
		for name, c := range map[string]struct {
			way   direction
			frame []byte
			kind  specs.Kind
		}{
			"nobody's MAC":               {egress, plainFrame(macLAN, macGroup), specs.MACSpoof},
			"a sibling's MAC":            {egress, plainFrame(macLAN, macA), specs.MACSpoof},
			"the host's MAC":             {egress, plainFrame(macLAN, macHost), specs.MACSpoof},
			"nobody's, in nine tags":     {egress, carriers["VLAN 0 nine times"](plainFrame(macLAN, macGroup))[0], specs.MACSpoof},
			"a sibling's, in nine tags":  {egress, carriers["VLAN 0 nine times"](plainFrame(macLAN, macA))[0], specs.MACSpoof},
			"its own":                    {egress, plainFrame(macLAN, macB), ""},
			"to a sibling, nobody's":     {ingress, plainFrame(macA, macLAN), specs.MACSpoof},
			"to a sibling, the host's":   {ingress, plainFrame(macA, macHost), specs.MACSpoof},
			"to a sibling, its own":      {ingress, plainFrame(macA, macB), ""},
			"to a stranger, a sibling's": {ingress, plainFrame(macLAN, macA), specs.MACSpoof},
		} {
			j := x.judgeFrame(c.way, c.frame)
			if !j.onlyViolation(slotB, c.kind) || j.drop != (enforce != nil && c.kind != "") {
				t.Errorf("enforce %v, %s: %+v, want %q", enforce, name, j, c.kind)
			}
			if got := x.counters(slotA).Plus(x.counters(slotB)); j.drop && got != none {
				t.Errorf("%s: dropped, and counted %+v", name, got)
			}
		}
	}
}

// TestEnforceSuspected checks the frames that are dropped if the kernel cannot name their sender:
// they are judged by address.
func TestEnforceSuspected(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	x := spoofBench(t, nameless)
	x.mustRegister(Endpoint{Slot: slotB, MAC: macB, Mode: specs.ModeBridge, Cookie: x.cookie,
		Addresses: []netip.Addr{ipB}, Enforce: []specs.Kind{specs.MACSpoof}})
	of := func(mac specs.MAC, ip netip.Addr) []byte {
		return ethernet(macLAN, mac, 0x800, ip4(17, ip, ipLAN, make([]byte, 50)))
	}
	for name, c := range map[string]struct {
		frame []byte
		kind  specs.Kind
	}{
		"its address, nobody's MAC": {of(macGroup, ipB), specs.MACSpoof},
		"a stranger's":              {of(macGroup, ipLAN), ""},
		"its own":                   {of(macB, ipB), ""},
	} {
		if j := x.judgeFrame(egress, c.frame); !j.onlyViolation(slotB, c.kind) || j.drop != (c.kind != "") {
			t.Errorf("%s: %+v, want %q", name, j, c.kind)
		}
	}
}

// TestForgedMACOfASibling sends with forged MACs to a sibling, which never passes egress,
// and has them dropped.
func TestForgedMACOfASibling(t *testing.T) {
	t.Parallel()
	needNaming(t)
	l := newLab(t, Options{})
	a, b := l.container(specs.ModeBridge), l.container(specs.ModeBridge)
	sendRaw(t, b.NS, "net1", plainFrame(a.MAC, b.MAC))
	a.expectCounts("its own MAC", receiveLocal(hundred))
	l.requireNoEvent("its own MAC")
	sendRaw(t, b.NS, "net1", plainFrame(a.MAC, macB))
	if e := l.readEvent(); e.Sender != b.Slot || e.Direction != "ingress" || e.Certainty != specs.Certain || e.Dropped {
		t.Errorf("nobody's MAC: %+v", e)
	}
	arrived := receiveLocal(hundred).Plus(receiveExternal(hundred)) // the owner of the MAC is not known
	a.expectCounts("nobody's MAC", arrived)
	b.Enforce = []specs.Kind{specs.MACSpoof}
	must(t, l.maps.Register(b.Endpoint))
	must(t, l.maps.Zero(b.Slot)) // resets the rate limit too
	sendRaw(t, b.NS, "net1", plainFrame(a.MAC, macB))
	if e := l.readEvent(); e.Sender != b.Slot || !e.Dropped {
		t.Errorf("enforced: %+v", e)
	}
	sendRaw(t, b.NS, "net1", plainFrame(a.MAC, b.MAC))
	a.expectCounts("enforced, its own MAC", arrived.Plus(receiveLocal(hundred)))
}

// TestEnforceWithoutAgent checks that frames are dropped and counted after every process
// has closed the programs and maps.
func TestEnforceWithoutAgent(t *testing.T) {
	t.Parallel()
	eachAttachKind(t, func(t *testing.T, kind string) {
		l := newLab(t, Options{Attach: kind})
		a := l.container(specs.ModeVEPA)
		a.Enforce = []specs.Kind{specs.IPSpoof}
		must(t, l.maps.Register(a.Endpoint))
		testnet.Address(t, a.NS, "net1", "192.0.2.99/24")
		added := netip.MustParseAddr("192.0.2.99")
		must(t, l.Close())
		in := newInbox(t, l.lan)
		sendFrom(t, a.NS, added, ipLAN)
		sendFrom(t, a.NS, a.ip, ipLAN)
		if in.readUntil(a.ip)[added] {
			t.Error("what is not its own arrives")
		}
		maps, err := Open(filepath.Dir(l.pins.dir))
		must(t, err)
		defer maps.Close()
		found, err := maps.Violations(a.Slot)
		must(t, err)
		if len(found) != 1 || found[specs.IPSpoof] != (specs.Broken{Packets: 1, Dropped: 1}) {
			t.Errorf("found %+v", found)
		}
		expectCounters(t, maps, a.Slot, "what passed", transmitExternal(specs.Casts{Unicast: countOf(1, udpBytes(20))}))
	})
}

// TestFloodIsCounted floods a parent with violating frames from two threads, and checks
// that each is counted, and each event sent or left out.
func TestFloodIsCounted(t *testing.T) {
	t.Parallel()
	x, a := sourceBench(t)
	a.Enforce = []specs.Kind{specs.RogueDHCP}
	x.mustRegister(a)
	const each = 100_000
	var threads sync.WaitGroup
	for _, frame := range [][]byte{udp4(ipB, 9), udp4(ipA, 67), udp4(ipB, 9), udp4(ipA, 67)} {
		threads.Go(func() {
			testnet.In(t, x.ns, func() {
				if _, _, err := loadedProgram(x.egress).Benchmark(frame, each, nil); err != nil {
					t.Error(err)
				}
			})
		})
	}
	threads.Wait()
	found := x.allViolations()[slotA]
	spoof, rogue := found[specs.IPSpoof], found[specs.RogueDHCP]
	if spoof.Packets < 2*each || spoof.Dropped != 0 || rogue.Packets < 2*each || rogue.Dropped != rogue.Packets {
		t.Errorf("found %+v of %d each", found, 2*each)
	}
	m, err := x.maps.openMap(mapViolations)
	must(t, err)
	var v violations
	must(t, m.Lookup(uint32(slotA), &v))
	told := uint64(0)
	for e, ok := x.nextEvent(); ok; e, ok = x.nextEvent() {
		told += 1 + e.LeftOut
	}
	for _, kind := range []specs.Kind{specs.IPSpoof, specs.RogueDHCP} {
		told += uint64(v.Of[slices.Index(specs.Kinds(), kind)].LeftOut)
	}
	if told != spoof.Packets+rogue.Packets {
		t.Errorf("%d told or left out, of %d", told, spoof.Packets+rogue.Packets)
	}
}
