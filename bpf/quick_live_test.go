package bpf

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"berth/internal/testnet"
	"berth/specs"
)

// quickModes are the modes of the endpoints of TestQuickIsTheWhole, by slot from 1 on.
var quickModes = []specs.Mode{
	specs.ModeBridge, specs.ModeBridge, specs.ModeBridge, specs.ModePrivate, specs.ModeVEPA, specs.ModeSource,
}

// newQuick creates a bench with endpoints of all modes, on which the good path is on or off.
func newQuick(t *testing.T, c constants) *bench {
	x := &bench{TB: t, ns: testnet.Namespace(t)}
	dir := bpffs(t)
	testnet.In(t, x.ns, func() {
		var err error
		x.Datapath, err = loadWith(dir, Options{}, c)
		must(t, err)
	})
	t.Cleanup(func() { must(t, x.Close()) })
	must(t, x.ownMAC(1, macHost))
	for i, mode := range quickModes {
		e := Endpoint{Slot: uint32(1 + i), MAC: quickMAC(i), Mode: mode, Cookie: x.Datapath.cookie}
		if e.Addresses = []netip.Addr{quickIP(i), quickIP6(i)}; i == 1 {
			e.Enforce = specs.Kinds()
		}
		if i == 2 {
			e.Cookie = 99 // another namespace's
		}
		x.mustRegister(e)
	}
	return x
}

func quickMAC(i int) specs.MAC { return specs.MAC{2, 0, 0x5e, 0, 0x53, byte(0x10 + i)} }

func quickIP(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(16 + i)}) }

func quickIP6(i int) netip.Addr {
	return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: byte(16 + i)})
}

// any returns one of some values.
func anyOf[T any](r *rand.Rand, all ...T) T { return all[r.IntN(len(all))] }

// quickFrame returns a frame of many sorts, mostly valid ones and such as differ in one
// thing that the good path must notice.
func quickFrame(r *rand.Rand) ([]byte, *skb) {
	macs := []specs.MAC{macHost, macLAN, macLAN, {}, macGroup, macAll, {2, 0xee, 5: byte(r.IntN(200))}}
	for i := range quickModes {
		macs = append(macs, quickMAC(i), quickMAC(i), quickMAC(i))
	}
	i := r.IntN(len(quickModes))
	from := anyOf(r, quickMAC(i), quickMAC(i), macs[6], anyOf(r, macs...))
	payload := make([]byte, anyOf(r, 0, 3, 4, 8, 10, 18, 26, 100, 1000))
	if len(payload) >= 4 {
		binary.BigEndian.PutUint16(payload, anyOf[uint16](r, 1000, 1000, 67, 547, 135<<8, 136<<8))
		binary.BigEndian.PutUint16(payload[2:], anyOf[uint16](r, 1000, 1000, 68, 546))
	}
	proto := anyOf[byte](r, 6, 6, 17, 17, 1, 58, 44, 0)
	var frame []byte
	switch anyOf(r, 4, 4, 4, 6, 6, 6, 0, 1, 2) {
	case 4:
		p := ip4(proto, anyOf(r, quickIP(i), quickIP(i), quickIP(0), ipLAN), anyOf(r, quickIP(1), ipLAN), payload)
		p[0] = anyOf[byte](r, 0x45, 0x45, 0x45, 0x46)
		p[6] = anyOf[byte](r, 0, 0, 0, 0x20, 1)
		binary.BigEndian.PutUint16(p[2:], anyOf(r, uint16(len(p)), uint16(len(p)), uint16(len(p)+9), uint16(len(p)/2)))
		frame = ethernet(anyOf(r, macs...), from, 0x800, p)
	case 6:
		p := ip6(proto, anyOf(r, quickIP6(i), quickIP6(i), quickIP6(0), ip6LAN), anyOf(r, quickIP6(1), ip6LAN), payload)
		binary.BigEndian.PutUint16(p[4:], anyOf(r, uint16(len(payload)), uint16(len(payload)), uint16(len(payload)/2)))
		frame = ethernet(anyOf(r, macs...), from, 0x86dd, p)
	case 0:
		frame = ethernet(anyOf(r, macs...), from, 0x806, arpFor(anyOf(r, quickIP(i), ipLAN), quickIP(1)))
	case 1:
		frame = ethernet(anyOf(r, macs...), from, anyOf[uint16](r, 0x88b5, uint16(len(payload))), payload)
	default:
		frame = tagFrame(anyOf[uint16](r, 0, 7), ethernet(anyOf(r, macs...), from, 0x800, ip4(17, quickIP(i), ipLAN, payload)))
	}
	if len(frame) < 60 && r.IntN(2) == 0 {
		frame = padFrame(frame)
	}
	context := new(skb)
	if r.IntN(10) == 0 && len(frame) > 200 {
		context.GSOSize = 100
		context.GSOSegs = anyOf[uint32](r, 0, 11)
	}
	least := 15 // for BPF_PROG_TEST_RUN, which wants the header of IP whole
	switch binary.BigEndian.Uint16(frame[12:]) {
	case 0x800:
		least = 34
	case 0x86dd:
		least = 54
	}
	return frame[:max(least, len(frame)-anyOf(r, 0, 0, 0, 0, r.IntN(60)))], context
}

// TestQuickIsTheWhole runs frames at random through programs with the good path and without
// it: verdicts, counts and violations are equal, frame by frame.
func TestQuickIsTheWhole(t *testing.T) {
	t.Parallel()
	ways := namings()
	ways["nameless"] = nameless
	ways["no sockets"] = constants{netnsHelper: netnsHelper()}
	for how, c := range ways {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			x := newQuick(t, c)
			c.noQuick = true
			y := newQuick(t, c)
			seed := rand.Uint64()
			r := rand.New(rand.NewPCG(seed, 0))
			frames := 2000
			if *long {
				frames = 100_000
			}
			var forgot time.Time
			for i := range frames {
				// Within a second of a frame, both judge the next one alike. A loaded machine may take longer
				// between the two.
				if i%100 == 0 || time.Since(forgot) > 200*time.Millisecond {
					x.forgetStates()
					y.forgetStates()
					forgot = time.Now()
				}
				w := anyOf(r, ingress, egress)
				frame, context := quickFrame(r)
				got, want := x.outcome(w, frame, context), y.outcome(w, frame, context)
				if time.Since(forgot) < 900*time.Millisecond && !reflect.DeepEqual(got, want) {
					t.Fatalf("seed %d: %s of %x, %+v:\n%+v, without the good path\n%+v", seed, w, frame, context, got, want)
				}
			}
			if got, want := x.unknownSet(), y.unknownSet(); !reflect.DeepEqual(got, want) {
				t.Errorf("seed %d: unknown MACs %v, without the good path %v", seed, got, want)
			}
		})
	}
}

func (x *bench) forgetStates() {
	x.Helper()
	for slot := range uint32(len(quickModes) + 1) {
		must(x, x.maps.Zero(slot))
	}
}

// unknownSet returns the unknown MACs without their times.
func (x *bench) unknownSet() map[UnknownMAC]bool {
	x.Helper()
	all, err := x.maps.Unknown()
	must(x, err)
	found := make(map[UnknownMAC]bool)
	for _, u := range all {
		u.First, u.Last = 0, 0
		found[u] = true
	}
	return found
}

// outcome is the sum of the changes that a frame makes.
type outcome struct {
	verdict  int32
	counters []specs.Counters
	broken   []map[specs.Kind]specs.Broken
}

func (x *bench) outcome(w direction, frame []byte, context *skb) (o outcome) {
	x.Helper()
	testnet.In(x, x.ns, func() { o.verdict = programVerdict(x, loadedProgram(x.programFor(w)), frame, context) })
	for i := range quickModes {
		o.counters = append(o.counters, x.counters(uint32(1+i)))
		o.broken = append(o.broken, x.brokenKinds(uint32(1+i)))
	}
	return o
}
