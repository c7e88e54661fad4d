package bpf

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// How often programs are run: laps of raceFrames frames each, in turns. A lap is so short
// that most are not interrupted. The laps are cut into raceParts parts, whose results are
// the spread.
const (
	raceFrames = 4000
	raceLaps   = 60
	raceParts  = 11
)

// raced are the costs of one part, in ns a frame above the empty program.
type raced struct{ whole, above, bare float64 }

// raceCost reports the cost of a frame in a program: whole, above an empty program, and the
// ratio to a program of bare look-ups. The programs take turns. A cost is the fastest tenth
// of a part, because other work on the machine can only add; of the parts, raceCost reports the
// median, and the middle half of the ratios.
func raceCost(b *testing.B, bare *ebpf.Program, frame []byte, empty, p *ebpf.Program) {
	b.Helper()
	var parts []raced
	for range raceParts {
		var laps [3][]float64
		for range raceLaps {
			for i, program := range []*ebpf.Program{empty, p, bare} {
				laps[i] = append(laps[i], lapTime(b, program, frame))
			}
		}
		none, whole := fastestTenth(laps[0]), fastestTenth(laps[1])
		parts = append(parts, raced{whole, whole - none, fastestTenth(laps[2]) - none})
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(quantile(parts, 0.5, func(r raced) float64 { return r.whole }), "ns/frame")
	b.ReportMetric(quantile(parts, 0.5, func(r raced) float64 { return r.above }), "ns/frame-above-empty")
	for name, share := range map[string]float64{"to-bare-low": 0.25, "to-bare": 0.5, "to-bare-high": 0.75} {
		b.ReportMetric(quantile(parts, share, func(r raced) float64 { return r.above / r.bare }), name)
	}
}

// lapTime returns the time of a frame in a program, in ns. The kernel reports it too, but in
// whole ns.
func lapTime(b *testing.B, p *ebpf.Program, frame []byte) float64 {
	b.Helper()
	o := &ebpf.RunOptions{Data: frame, Repeat: raceFrames}
	begin := time.Now()
	_, err := p.Run(o)
	took := time.Since(begin)
	must(b, err)
	return float64(took.Nanoseconds()) / raceFrames
}

func fastestTenth(laps []float64) float64 {
	return quantile(laps, 0.1, func(f float64) float64 { return f })
}

func quantile[T any](all []T, share float64, of func(T) float64) float64 {
	var values []float64
	for _, one := range all {
		values = append(values, of(one))
	}
	slices.Sort(values)
	return values[int(share*float64(len(values)-1)+0.5)]
}

// coldMACs is the number of MACs, a power of two, of which each frame of a cold race has
// two at random: their endpoints are in no near cache.
const (
	coldBits = 13
	coldMACs = 1 << coldBits
)

// raceCold is raceCost with frames between siblings that all have other MACs.
func (x *bench) raceCold(b *testing.B, hash *ebpf.Map) {
	b.Helper()
	frame := ethernet(macB, macA, 0x800, ip4(6, ipA, ipLAN, tcp(12, 1000)))
	raceCost(b, coldProgram(b, coldBareProgram(b, hash)), frame,
		coldProgram(b, verdictProgram(b, -1)), coldProgram(b, loadedProgram(x.programFor(ingress))))
}

// coldProgram returns a program that gives the frame two MACs of a crowd at random, and
// goes on with another program.
func coldProgram(t testing.TB, next *ebpf.Program) *ebpf.Program {
	t.Helper()
	random, err := ebpf.NewMap(&ebpf.MapSpec{Name: "random", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	must(t, err)
	t.Cleanup(func() { must(t, random.Close()) })
	jump, err := ebpf.NewMap(&ebpf.MapSpec{Name: "jump", Type: ebpf.ProgramArray, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	must(t, err)
	t.Cleanup(func() { must(t, jump.Close()) })
	must(t, jump.Put(uint32(0), next))
	const data, dataEnd = 76, 80 // of struct __sk_buff
	mac := func(at int16, shift int32) asm.Instructions {
		return asm.Instructions{
			asm.StoreImm(asm.R8, at, int64(binary.NativeEndian.Uint32([]byte{2, 0, 0x5e, 1})), asm.Word),
			asm.Mov.Reg(asm.R2, asm.R1),
			asm.RSh.Imm(asm.R2, shift),
			asm.And.Imm(asm.R2, coldMACs-1),
			asm.Add.Imm(asm.R2, 3),
			asm.HostTo(asm.BE, asm.R2, asm.Half),
			asm.StoreMem(asm.R8, at+4, asm.R2, asm.Half),
		}
	}
	return assembled(t, slices.Concat(asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.LoadMem(asm.R8, asm.R6, data, asm.Word),
		asm.LoadMem(asm.R9, asm.R6, dataEnd, asm.Word),
		asm.Mov.Reg(asm.R2, asm.R8),
		asm.Add.Imm(asm.R2, 14),
		asm.JGT.Reg(asm.R2, asm.R9, "end"),
		asm.LoadMapValue(asm.R7, random.FD(), 0),
		asm.LoadMem(asm.R1, asm.R7, 0, asm.DWord),
		asm.LoadImm(asm.R2, 6364136223846793005, asm.DWord), // Knuth's MMIX
		asm.Mul.Reg(asm.R1, asm.R2),
		asm.Add.Imm(asm.R1, 1442695041),
		asm.StoreMem(asm.R7, 0, asm.R1, asm.DWord),
	}, mac(0, 64-coldBits), mac(6, 64-2*coldBits), asm.Instructions{
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.LoadMapPtr(asm.R2, jump.FD()),
		asm.Mov.Imm(asm.R3, 0),
		asm.FnTailCall.Call(),
		asm.Mov.Imm(asm.R0, verdictDrop).WithSymbol("end"),
		asm.Return(),
	}))
}

// coldBareProgram returns a program that only looks up the two MACs of a frame.
func coldBareProgram(t testing.TB, m *ebpf.Map) *ebpf.Program {
	t.Helper()
	const data, dataEnd = 76, 80
	look := func(at int16) asm.Instructions {
		return asm.Instructions{
			asm.LoadMem(asm.R1, asm.R8, at, asm.Word),
			asm.LoadMem(asm.R2, asm.R8, at+4, asm.Half),
			asm.LSh.Imm(asm.R2, 32), // on a little-endian machine
			asm.Or.Reg(asm.R1, asm.R2),
			asm.StoreMem(asm.RFP, -16, asm.R1, asm.DWord), // one store, as the look-up reads words
			asm.StoreImm(asm.RFP, -8, 1, asm.Word),
			asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -16),
			asm.LoadMapPtr(asm.R1, m.FD()), asm.FnMapLookupElem.Call(),
			asm.JEq.Imm(asm.R0, 0, "end"),
			asm.LoadMem(asm.R7, asm.R0, 0, asm.Word), // the slot: a look-up is for its value
		}
	}
	return assembled(t, slices.Concat(asm.Instructions{
		asm.LoadMem(asm.R8, asm.R1, data, asm.Word),
		asm.LoadMem(asm.R9, asm.R1, dataEnd, asm.Word),
		asm.Mov.Reg(asm.R2, asm.R8),
		asm.Add.Imm(asm.R2, 14),
		asm.JGT.Reg(asm.R2, asm.R9, "end"),
	}, look(0), look(6), asm.Instructions{
		asm.Mov.Imm(asm.R0, verdictNext).WithSymbol("end"),
		asm.Return(),
	}))
}
