package bpf

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"

	"berth/internal/testnet"
	"berth/specs"
)

// BenchmarkDatapath measures the cost of a frame above an empty program, judging included,
// and its ratio to bare look-ups of as many keys in a hash map as endpoints are in the
// frame. test/bench reads its figures.
func BenchmarkDatapath(b *testing.B) {
	for _, endpoints := range []uint32{1, 1000, 10_000} {
		x, wire := newCrowd(b, endpoints, true), newCrowd(b, endpoints, false)
		hash := x.bareHash(endpoints)
		empty := verdictProgram(b, -1)
		bare := []*ebpf.Program{bareProgram(b, hash, 1), bareProgram(b, hash, 1), bareProgram(b, hash, 2)}
		for looks := 1; looks <= 2; looks++ {
			b.Run(fmt.Sprintf("bare-look-ups-%d/%d", looks, endpoints), func(b *testing.B) {
				raceCost(b, bare[1], plainFrame(macA, macB), empty, bare[looks])
			})
		}
		for _, c := range benchFrames() {
			b.Run(fmt.Sprintf("%s/%d", c.name, endpoints), func(b *testing.B) {
				x := x
				if c.wire {
					x = wire
				}
				testnet.In(b, x.ns, func() { raceCost(b, bare[c.endpoints()], c.frame, empty, loadedProgram(x.programFor(c.way))) })
			})
		}
		for name, frame := range map[string][]byte{
			"receiver-unicast": ethernet(macA, macB, 0x800, ip4(6, ipB, ipA, tcp(12, 1000))),
			"receiver-group":   ethernet(macAll, macB, 0x806, arpFor(ipB, ipA)),
		} {
			b.Run(fmt.Sprintf("%s/%d", name, endpoints), func(b *testing.B) {
				testnet.In(b, x.ns, func() { raceCost(b, bare[1], frame, empty, loadedProgram(x.receiver)) })
			})
		}
		x.benchIPvlan(b, endpoints, bare[1], empty)
		if endpoints > coldMACs {
			b.Run(fmt.Sprintf("2-sibling-cold/%d", endpoints), func(b *testing.B) {
				testnet.In(b, x.ns, func() { x.raceCold(b, hash) })
			})
		}
	}
}

// benchIPvlan measures the programs on ipvlan interfaces, and that on the parent with a frame to one.
// The shim program only marks frames.
func (x *bench) benchIPvlan(b *testing.B, endpoints uint32, bare, empty *ebpf.Program) {
	local := ethernet(macHost, macHost, 0x800, ip4(6, ipB, ipA, tcp(12, 1000)))
	b.Run(fmt.Sprintf("shim/%d", endpoints), func(b *testing.B) {
		testnet.In(b, x.ns, func() { raceCost(b, bare, local, empty, loadedProgram(x.shim)) })
	})
	wire := emptyCrowd(b, endpoints, false)
	for slot := uint32(1); slot <= endpoints; slot++ {
		ip := netip.AddrFrom4([4]byte{198, 18, byte(slot >> 8), byte(slot)})
		if slot == slotA {
			ip = ipA
		}
		must(b, wire.maps.Register(Endpoint{Slot: slot, ParentIndex: 1, MAC: macHost, Driver: specs.IPvlan, Mode: specs.ModeL2, Addresses: []netip.Addr{ip}}))
	}
	b.Run(fmt.Sprintf("ipvlan-ingress/%d", endpoints), func(b *testing.B) {
		frame := ethernet(macHost, macLAN, 0x800, ip4(6, ipLAN, ipA, tcp(12, 1000)))
		testnet.In(b, wire.ns, func() { raceCost(b, bare, frame, empty, loadedProgram(wire.ingress)) })
	})
	must(b, x.maps.open[mapDrops].Put(uint32(0), dropsValue{})) // so that frames are marked
	b.Run(fmt.Sprintf("guard/%d", endpoints), func(b *testing.B) {
		testnet.In(b, x.ns, func() { raceCost(b, bare, local, empty, loadedProgram(x.guard)) })
	})
}

type benchFrame struct {
	name  string // begins with the number of endpoints in it, if it is valid
	way   direction
	frame []byte
	wire  bool // whether it comes off a wire, so has no socket
}

// endpoints returns the number of endpoints in the frame that bare look-ups would search.
func (f benchFrame) endpoints() int {
	if f.name[0] == '2' {
		return 2
	}
	return 1
}

// benchFrames are valid frames, by the number of endpoints in them, and some of a flood of
// invalid ones, most of which are only counted.
func benchFrames() []benchFrame {
	segment := ip4(6, ipA, ipLAN, tcp(12, 1000))
	from6 := ip6(6, ip6A, ip6LAN, tcp(12, 1000))
	small := ip4(17, ipA, ipLAN, make([]byte, 26))
	return []benchFrame{
		{"0-egress-host", egress, ethernet(macLAN, macHost, 0x800, segment), false},
		{"0-ingress-host", ingress, ethernet(macHost, macLAN, 0x800, segment), true},
		{"0-ingress-stranger", ingress, ethernet(macLAN, macLAN, 0x800, segment), true},
		{"1-egress", egress, ethernet(macLAN, macA, 0x800, segment), false},
		{"1-egress-small", egress, ethernet(macLAN, macA, 0x800, ip4(17, ipA, ipLAN, make([]byte, 10))), false},
		{"1-egress-ipv6", egress, ethernet(macLAN, macA, 0x86dd, from6), false},
		{"1-ingress", ingress, ethernet(macA, macLAN, 0x800, segment), true},
		{"1-ingress-ipv6", ingress, ethernet(macA, macLAN, 0x86dd, from6), true},
		{"2-sibling", ingress, ethernet(macB, macA, 0x800, segment), false},
		{"2-sibling-small", ingress, ethernet(macB, macA, 0x800, small), false},
		{"group-egress", egress, ethernet(macGroup, macA, 0x800, segment), false},
		{"bad-mac-spoof", egress, ethernet(macLAN, macLAN, 0x800, segment), false},
		{"bad-ip-spoof", egress, ethernet(macLAN, macA, 0x800, ip4(6, ipLAN, ipA, tcp(12, 1000))), false},
		{"bad-duplicate-ip", ingress, ethernet(macAll, macLAN, 0x806, arpFor(ipA, ipA)), true},
	}
}

// newCrowd creates a bench with a number of endpoints, at least two.
func newCrowd(b *testing.B, endpoints uint32, sockets bool) *bench {
	b.Helper()
	x := emptyCrowd(b, endpoints, sockets)
	for _, e := range crowdEndpoints(endpoints) {
		e.Cookie = x.Datapath.cookie
		x.mustRegister(e)
	}
	return x
}

// emptyCrowd creates a bench with room for a number of endpoints.
func emptyCrowd(b *testing.B, endpoints uint32, sockets bool) *bench {
	b.Helper()
	x := &bench{TB: b, ns: testnet.Namespace(b)}
	helper := features.HaveProgramHelper(ebpf.SchedCLS, asm.FnGetNetnsCookie) == nil
	dir := bpffs(b)
	testnet.In(b, x.ns, func() {
		var err error
		x.Datapath, err = loadWith(dir, Options{MaxEndpoints: max(endpoints, DefaultEndpoints)}, constants{netnsHelper: helper, sockets: sockets})
		must(b, err)
	})
	b.Cleanup(func() { must(b, x.Close()) })
	must(b, x.ownMAC(1, macHost))
	return x
}

// crowdEndpoints returns a number of endpoints, at least A and B. Those beyond have A's addresses, so
// that a frame of any of them may have A's source.
func crowdEndpoints(n uint32) []Endpoint {
	all := []Endpoint{
		{Slot: slotB, MAC: macB, Mode: specs.ModeBridge, Addresses: []netip.Addr{ipB, ip6B}},
		{Slot: slotA, MAC: macA, Mode: specs.ModeBridge, Addresses: []netip.Addr{ipA, ip6A}},
	}
	for i := uint32(3); i <= n; i++ {
		mac := specs.MAC{2, 0, 0x5e, 1}
		binary.BigEndian.PutUint16(mac[4:], uint16(i))
		all = append(all, Endpoint{Slot: i, MAC: mac, Mode: specs.ModeBridge, Addresses: []netip.Addr{ipA}})
	}
	return all
}

// bareHash returns a hash map of the MACs of a crowd, for bare look-ups.
func (x *bench) bareHash(endpoints uint32) *ebpf.Map {
	x.Helper()
	m, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: "bare", Type: ebpf.Hash, KeySize: 12, ValueSize: uint32(binary.Size(endpointValue{})),
		MaxEntries: max(endpoints, DefaultEndpoints) + parentsMax,
	})
	must(x, err)
	x.Cleanup(func() { must(x, m.Close()) })
	for _, e := range crowdEndpoints(endpoints) {
		e.ParentIndex = 1
		must(x, m.Put(e.makeKey(), e.makeValue()))
	}
	return m
}

// bareProgram returns a program that only looks a key up a number of times.
func bareProgram(t testing.TB, m *ebpf.Map, looks int) *ebpf.Program {
	t.Helper()
	key := parentKey(1, macA)
	var look asm.Instructions
	for range looks {
		look = append(look,
			asm.LoadImm(asm.R1, int64(key.word()), asm.DWord),
			asm.StoreMem(asm.RFP, -16, asm.R1, asm.DWord), // one store, as the look-up reads words
			asm.StoreImm(asm.RFP, -8, 1, asm.Word),
			asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -16),
			asm.LoadMapPtr(asm.R1, m.FD()), asm.FnMapLookupElem.Call())
	}
	return verdictProgram(t, -1, look...)
}

// verdictProgram returns a program that returns a verdict after some instructions.
func verdictProgram(t testing.TB, verdict int32, before ...asm.Instruction) *ebpf.Program {
	t.Helper()
	return assembled(t, append(before, asm.Mov.Imm(asm.R0, verdict), asm.Return()))
}

func assembled(t testing.TB, instructions asm.Instructions) *ebpf.Program {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "assembled", Type: ebpf.SchedCLS, License: "GPL", Instructions: instructions,
	})
	must(t, err)
	t.Cleanup(func() { must(t, p.Close()) })
	return p
}
