package bpf

import (
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"

	"berth/bpf/sys"
	"berth/internal/testnet"
	"berth/specs"
)

// guardBench has two ipvlan endpoints on lo, whose MAC is macHost. A is in the bench's namespace,
// from which the frames of BPF_PROG_TEST_RUN come; the guard program is on the interface of B.
func guardBench(t *testing.T, sockets bool, enforce ...specs.Kind) *bench {
	t.Helper()
	testnet.Need(t, testnet.Root, testnet.Types)
	ns := testnet.Namespace(t)
	testnet.Run(t, ns, "ip", "link", "set", "lo", "address", macHost.String())
	x := &bench{TB: t, ns: ns}
	dir := bpffs(t)
	testnet.In(t, ns, func() {
		var err error
		x.Datapath, err = loadWith(dir, Options{}, constants{netnsHelper: netnsHelper(), sockets: sockets})
		must(t, err)
	})
	t.Cleanup(func() { must(t, x.Close()) })
	x.cookie = x.Datapath.cookie
	must(t, x.ownMAC(1, macHost))
	a := Endpoint{Slot: slotA, ParentIndex: 1, MAC: macHost, Driver: specs.IPvlan, Mode: specs.ModeL2, Addresses: []netip.Addr{ipA, ip6A},
		Cookie: x.cookie, Enforce: enforce}
	b := Endpoint{Slot: slotB, ParentIndex: 1, Index: 1, MAC: macHost, Driver: specs.IPvlan, Mode: specs.ModeL2, Addresses: []netip.Addr{ipB}}
	must(t, x.maps.Register(a))
	must(t, x.maps.Register(b))
	b.Cookie = x.cookie // its interface is in the same namespace here
	must(t, x.maps.PutInside(b))
	return x
}

// mark returns the context of a frame that a program has marked.
func (x *bench) mark() *skb {
	x.Helper()
	one, err := x.maps.openMap(mapDrops)
	must(x, err)
	var v dropsValue
	must(x, one.Lookup(uint32(0), &v))
	number := v.Keys[0] ^ v.Keys[1] ^ v.Keys[2]
	return &skb{CB: [5]uint32{3: uint32(number), 4: uint32(number >> 32)}}
}

// guards runs the guard program and returns whether it drops the frame, and the violations.
func (x *bench) guards(frame []byte, context *skb) (j judged) {
	x.Helper()
	must(x, x.maps.Zero(slotA))
	must(x, x.maps.Zero(slotB))
	testnet.In(x, x.ns, func() { j.drop = programVerdict(x, loadedProgram(x.guard), frame, context) == verdictDrop })
	j.found = x.allViolations()
	return j
}

// marks reports whether a program, which passes the frame, marks it.
func (x *bench) marks(p program, frame []byte) (is bool) {
	x.Helper()
	var out skb
	testnet.In(x, x.ns, func() {
		options := &ebpf.RunOptions{Data: frame, Context: new(skb), ContextOut: &out, DataOut: make([]byte, len(frame)+256)}
		verdict, err := loadedProgram(p).Run(options)
		must(x, err)
		if int32(verdict) != verdictNext {
			x.Errorf("%s drops %x", p.(*ebpf.Program), frame)
		}
	})
	return out.CB == x.mark().CB
}

// ipvlanFrame returns a datagram to B as the driver hands it over: from the MAC that all share.
func ipvlanFrame(source netip.Addr) []byte {
	return ethernet(macHost, macHost, 0x800, ip4(17, source, ipB, make([]byte, 66)))
}

// TestGuardProgram judges frames that a sibling has sent past its own program.
func TestGuardProgram(t *testing.T) {
	t.Parallel()
	x := guardBench(t, true, specs.RogueRA)
	enforcing := guardBench(t, true, specs.MACSpoof, specs.IPSpoof)
	own, forged := ipvlanFrame(ipA), ipvlanFrame(ipForged)
	mac := ethernet(macAll, macB, 0x800, ip4(17, ipA, ipB, make([]byte, 66)))
	spoof := func(j judged, kind specs.Kind) specs.Broken { return j.found[slotA][kind] }

	if j := x.guards(own, new(skb)); j.drop || len(j.found[slotA]) != 0 {
		t.Errorf("its own address: %+v", j)
	}
	if a, b := x.counters(slotA), x.counters(slotB); a != transmitLocal(hundred) || b != receiveLocal(hundred) {
		t.Errorf("its own address: A has %+v, B %+v", a, b)
	}
	if j := x.guards(forged, x.mark()); j.drop || len(j.found[slotA]) != 0 || x.counters(slotB) != none {
		t.Errorf("marked: %+v, B has %+v", j, x.counters(slotB))
	}
	if j := x.guards(forged, new(skb)); j.drop || spoof(j, specs.IPSpoof).Packets != 1 {
		t.Errorf("forged: %+v", j)
	}
	if j := x.guards(mac, new(skb)); j.drop || spoof(j, specs.MACSpoof).Packets != 1 {
		t.Errorf("another MAC: %+v", j)
	}
	for kind, frame := range map[specs.Kind][]byte{specs.IPSpoof: forged, specs.MACSpoof: mac} {
		if j := enforcing.guards(frame, new(skb)); !j.drop || spoof(j, kind) != (specs.Broken{Packets: 1, Dropped: 1}) {
			t.Errorf("%s is enforced: %+v", kind, j)
		}
	}
	if j := enforcing.guards(own, new(skb)); j.drop {
		t.Errorf("its own address, in a network that enforces: %+v", j)
	}
	wire := ethernet(macHost, macLAN, 0x800, ip4(17, ipForged, ipB, make([]byte, 66)))
	if j := enforcing.guards(wire, new(skb)); j.drop || len(j.found[slotA]) != 0 {
		t.Errorf("from the wire: %+v", j)
	}
	for e, ok := enforcing.nextEvent(); ok; e, ok = enforcing.nextEvent() {
		if e.Sender != slotA || e.Certainty != specs.Certain || e.Evidence != specs.ByNetnsCookie || e.Direction != "ingress" {
			t.Errorf("event %+v", e)
		}
	}
}

// TestGuardWithoutSocket has unmarked frames of which the kernel does not name the sender: they are
// dropped if a network on the parent enforces rules and all siblings mark their frames.
func TestGuardWithoutSocket(t *testing.T) {
	t.Parallel()
	x := guardBench(t, false, specs.IPSpoof)
	observed := Endpoint{Slot: 3, ParentIndex: 1, MAC: macHost, Driver: specs.IPvlan, Mode: specs.ModeL2, Addresses: []netip.Addr{ipForged}, Observed: true}
	arp := func(from netip.Addr) []byte { return ethernet(macAll, macHost, 0x806, arpFor(from, ipB)) }
	check := func(what string, frame []byte, context *skb, want bool) {
		t.Helper()
		if j := x.guards(frame, context); j.drop != want || len(j.found) > 1 {
			t.Errorf("%s: %+v", what, j)
		}
	}
	check("unicast", ipvlanFrame(ipForged), new(skb), true)
	check("a copy", arp(ipA), new(skb), true)
	check("a marked copy", arp(ipA), x.mark(), false)
	check("from the wire", ethernet(macHost, macLAN, 0x806, arpFor(ipLAN, ipB)), new(skb), false)
	must(t, x.maps.Register(observed))
	check("of an observed interface", arp(ipForged), new(skb), false)
	must(t, x.maps.Unregister(observed))
	check("its end", arp(ipForged), new(skb), true)
	must(t, x.maps.SetGuarded(1, true, true))
	check("a sibling has no program", arp(ipA), new(skb), false)
	must(t, x.maps.SetGuarded(1, false, false))
	check("nothing is enforced", arp(ipA), new(skb), false)
	must(t, x.maps.SetGuarded(1, true, false))
	check("something is again", arp(ipA), new(skb), true)
	must(t, x.Detach(1))
	check("the parent has no program", arp(ipA), new(skb), false)
	must(t, x.maps.SetGuarded(2, true, false)) // a parent that the maps lack
}

// TestMarks has the frames that the programs mark: a container can have its frame handed to the
// host, whose driver then takes it for one from the wire, but only with equal MACs.
func TestMarks(t *testing.T) {
	t.Parallel()
	x := guardBench(t, true)
	for name, tt := range map[string]struct {
		by    program
		frame []byte
		want  bool
	}{
		"the host's interface":      {x.shim, ipvlanFrame(ipLAN), true},
		"to a sibling":              {x.sibling, ipvlanFrame(ipA), true},
		"to all":                    {x.sibling, ethernet(macAll, macHost, 0x806, arpFor(ipA, ipB)), true},
		"from the wire":             {x.ingress, ethernet(macHost, macLAN, 0x800, ip4(17, ipLAN, ipB, make([]byte, 66))), true},
		"from the wire, to all":     {x.ingress, ethernet(macAll, macLAN, 0x806, arpFor(ipLAN, ipB)), true},
		"handed over":               {x.ingress, ipvlanFrame(ipForged), false},
		"handed over, from a group": {x.ingress, ethernet(macAll, macAll, 0x800, ip4(17, ipForged, ipB, make([]byte, 66))), false},
	} {
		if got := x.marks(tt.by, tt.frame); got != tt.want {
			t.Errorf("%s: marked %t", name, got)
		}
	}
	must(t, x.maps.DropInside(Inside{Slot: slotB, Cookie: x.cookie, Index: 1}))
	if x.marks(x.sibling, ipvlanFrame(ipA)) {
		t.Error("an interface that left its namespace: marked")
	}
}

// TestSiblingProgramThatDoesNotMark has an interface whose sibling program is of an earlier version.
// Without tcx no agent has replaced it.
func TestSiblingProgramThatDoesNotMark(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.IPvlan)
	l := newLab(t, Options{})
	c := l.ipvlan(specs.ModeL2)
	for _, old := range []bool{true, false} {
		if old {
			must(t, l.maps.putInside(c.Endpoint, 0))
			must(t, l.maps.Move(c.Endpoint, c.Endpoint))
		} else {
			testnet.In(t, c.NS, func() { must(t, l.maps.AttachInside(SiblingProgram, c.Endpoint)) })
		}
		for _, o := range []OwnProgram{SiblingProgram, GuardProgram} {
			missing, err := l.maps.MissesInside(o, c.Endpoint)
			if want := old && o == SiblingProgram && !sys.HasTCX(); err != nil || missing != want {
				t.Errorf("old %t: the %s is missing: %t, %v; want %t", old, o, missing, err, want)
			}
		}
	}
}
