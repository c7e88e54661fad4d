package bpf

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"

	"berth/internal/testnet"
	"berth/specs"
)

// BenchmarkDatapath measures the cost of a frame above an empty program, by
// BPF_PROG_TEST_RUN: the minimum of several runs each, as other work on the machine can
// only add. The goals are 50 ns with one endpoint in the frame, 75 ns with two, judging
// included.
func BenchmarkDatapath(b *testing.B) {
	for _, endpoints := range []uint32{1, 1000, 10_000} {
		x, wire := newCrowd(b, endpoints, true), newCrowd(b, endpoints, false)
		m, err := x.maps.openMap(mapEndpoints)
		must(b, err)
		empty := verdictProgram(b, -1)
		for looks := 1; looks <= 2; looks++ {
			b.Run(fmt.Sprintf("bare-look-ups-%d/%d", looks, endpoints), func(b *testing.B) {
				compareCost(b, empty, bareProgram(b, m, looks), plainFrame(macA, macB))
			})
		}
		for _, c := range benchFrames() {
			b.Run(fmt.Sprintf("%s/%d", c.name, endpoints), func(b *testing.B) {
				x := x
				if c.wire {
					x = wire
				}
				testnet.In(b, x.ns, func() { compareCost(b, empty, x.programFor(c.way), c.frame) })
			})
		}
	}
}

type benchFrame struct {
	name  string
	way   direction
	frame []byte
	wire  bool // whether it comes off a wire, so has no socket
}

// benchFrames are valid frames, by the number of endpoints in them, and some of a flood of
// invalid ones, most of which are only counted.
func benchFrames() []benchFrame {
	segment := ip4(6, ipA, ipLAN, tcp(12, 1000))
	from6 := ip6(6, ip6A, ip6LAN, tcp(12, 1000))
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
		{"group-egress", egress, ethernet(macGroup, macA, 0x800, segment), false},
		{"bad-mac-spoof", egress, ethernet(macLAN, macLAN, 0x800, segment), false},
		{"bad-ip-spoof", egress, ethernet(macLAN, macA, 0x800, ip4(6, ipLAN, ipA, tcp(12, 1000))), false},
		{"bad-duplicate-ip", ingress, ethernet(macAll, macLAN, 0x806, arpFor(ipA, ipA)), true},
	}
}

// newCrowd creates a bench with a number of endpoints, at least two.
func newCrowd(b *testing.B, endpoints uint32, sockets bool) *bench {
	b.Helper()
	x := &bench{TB: b, ns: testnet.Namespace(b)}
	helper := features.HaveProgramHelper(ebpf.SchedCLS, asm.FnGetNetnsCookie) == nil
	dir := bpffs(b)
	testnet.In(b, x.ns, func() {
		var err error
		x.Datapath, err = loadWith(dir, Options{MaxEndpoints: max(endpoints, DefaultEndpoints)}, constants{helper, sockets})
		must(b, err)
	})
	b.Cleanup(func() { must(b, x.Close()) })
	must(b, x.ownMAC(1, macHost))
	x.mustRegister(Endpoint{Slot: slotB, MAC: macB, Mode: specs.ModeBridge, Cookie: x.Datapath.cookie, Addresses: []netip.Addr{ipB, ip6B}})
	x.mustRegister(Endpoint{Slot: slotA, MAC: macA, Mode: specs.ModeBridge, Cookie: x.Datapath.cookie, Addresses: []netip.Addr{ipA, ip6A}})
	x.fillEndpoints(endpoints)
	return x
}

// fillEndpoints registers further endpoints, up to n in all.
func (x *bench) fillEndpoints(n uint32) {
	x.Helper()
	for i := uint32(3); i <= n; i++ {
		mac := specs.MAC{2, 0, 0x5e, 1}
		binary.BigEndian.PutUint16(mac[4:], uint16(i))
		x.mustRegister(Endpoint{Slot: i, MAC: mac, Mode: specs.ModeBridge, Cookie: uint64(i)})
	}
}

// bareProgram returns a program that only looks a key up a number of times.
func bareProgram(t testing.TB, m *ebpf.Map, looks int) *ebpf.Program {
	t.Helper()
	key := parentKey(1, macA)
	var look asm.Instructions
	for range looks {
		look = append(look,
			asm.StoreImm(asm.RFP, -16, int64(binary.NativeEndian.Uint32(key.MAC[:4])), asm.Word),
			asm.StoreImm(asm.RFP, -12, int64(binary.NativeEndian.Uint16(key.MAC[4:])), asm.Word),
			asm.StoreImm(asm.RFP, -8, 1, asm.Word),
			asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -16),
			asm.LoadMapPtr(asm.R1, m.FD()), asm.FnMapLookupElem.Call())
	}
	return verdictProgram(t, -1, look...)
}

// verdictProgram returns a program that returns a verdict after some instructions.
func verdictProgram(t testing.TB, verdict int32, before ...asm.Instruction) *ebpf.Program {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "verdict", Type: ebpf.SchedCLS, License: "GPL",
		Instructions: append(before, asm.Mov.Imm(asm.R0, verdict), asm.Return()),
	})
	must(t, err)
	t.Cleanup(func() { must(t, p.Close()) })
	return p
}

// compareCost reports the cost of a frame in a program, and its difference from the other's,
// measured in turns.
func compareCost(b *testing.B, empty, p *ebpf.Program, frame []byte) {
	b.Helper()
	const rounds = 15
	least := [2]time.Duration{time.Hour, time.Hour}
	for range rounds {
		for i, program := range []*ebpf.Program{empty, p} {
			_, each, err := program.Benchmark(frame, 200_000, nil)
			must(b, err)
			least[i] = min(least[i], each)
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(least[1].Nanoseconds()), "ns/frame")
	b.ReportMetric(float64((least[1] - least[0]).Nanoseconds()), "ns/frame-above-empty")
}
