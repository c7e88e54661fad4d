package bpf

import (
	"testing"

	"github.com/cilium/ebpf"

	"berth/internal/testnet"
	"berth/specs"
)

// The slots of the frame tests.
const (
	slotA = 1 + iota
	slotB
)

// bench is a datapath whose programs get frames by BPF_PROG_TEST_RUN, as if they were on
// lo, which is interface 1.
type bench struct {
	testing.TB
	*Datapath
	ns     *testnet.NS
	cookie uint64
}

func newBench(t testing.TB, a, b specs.Mode) *bench {
	ns := testnet.Namespace(t)
	d := mustLoad(t, ns, bpffs(t), Options{})
	x := &bench{TB: t, Datapath: d, ns: ns, cookie: d.cookie}
	must(t, d.ownMAC(1, macHost))
	x.mustRegister(Endpoint{Slot: slotA, MAC: macA, Mode: a, Cookie: d.cookie})
	if b != "" {
		x.mustRegister(Endpoint{Slot: slotB, MAC: macB, Mode: b, Cookie: d.cookie})
	}
	return x
}

func (x *bench) mustRegister(e Endpoint) {
	x.Helper()
	e.ParentIndex, e.Driver = max(e.ParentIndex, 1), specs.Macvlan
	must(x, x.maps.Register(e))
}

// countFrame runs a frame and returns its counts in the slots of A and B.
func (x *bench) countFrame(w direction, frame []byte, context *skb) (a, b specs.Counters) {
	x.Helper()
	must(x, x.maps.Zero(slotA))
	must(x, x.maps.Zero(slotB))
	x.runFrame(w, frame, context)
	return x.counters(slotA), x.counters(slotB)
}

func (x *bench) runFrame(w direction, frame []byte, context *skb) {
	x.Helper()
	if context == nil {
		context = new(skb)
	}
	testnet.In(x, x.ns, func() { runProgram(x, loadedProgram(x.programFor(w)), frame, context) })
}

func (x *bench) counters(slot uint32) specs.Counters {
	x.Helper()
	c, err := x.maps.Counters(slot)
	must(x, err)
	return c
}

// The verdicts: TC_ACT_UNSPEC and TC_ACT_SHOT (include/uapi/linux/pkt_cls.h).
const (
	verdictNext int32 = -1
	verdictDrop int32 = 2
)

// loadedProgram returns a program of a Datapath that has loaded it.
func loadedProgram(p program) *ebpf.Program { return p.(*ebpf.Program) }

// runProgram runs a program with one frame, and checks that it passes it on.
func runProgram(t testing.TB, p *ebpf.Program, frame []byte, context *skb) {
	t.Helper()
	if got := programVerdict(t, p, frame, context); got != verdictNext {
		t.Errorf("%s returned %d, want -1, next", p, got)
	}
}

// programVerdict runs a program with one frame and returns its verdict.
func programVerdict(t testing.TB, p *ebpf.Program, frame []byte, context *skb) int32 {
	t.Helper()
	options := &ebpf.RunOptions{Data: frame, Context: context, DataOut: make([]byte, len(frame)+256)}
	verdict, err := p.Run(options)
	if err != nil {
		t.Fatalf("run %s with %x, %+v: %v", p, frame, context, err)
	}
	return int32(verdict)
}

// countOf returns a count of n packets with a sum of bytes.
func countOf(packets, bytes uint64) specs.Count { return specs.Count{Packets: packets, Bytes: bytes} }

func transmitExternal(c specs.Casts) (k specs.Counters) { k.Transmit.External = c; return k }

func transmitLocal(n specs.Count) (k specs.Counters) { k.Transmit.Local.Unicast = n; return k }

func receiveExternal(n specs.Count) (k specs.Counters) { k.Receive.External.Unicast = n; return k }

func receiveLocal(n specs.Count) (k specs.Counters) { k.Receive.Local.Unicast = n; return k }

// plainFrame returns a frame of 100 bytes with an experimental ethertype (IEEE 802).
func plainFrame(to, from specs.MAC) []byte { return ethernet(to, from, 0x88b5, make([]byte, 86)) }

var (
	hundred = countOf(1, 100)
	none    = specs.Counters{}
	alone   = [2]specs.Mode{specs.ModeBridge}
)

// rules has, for every rule of counting, a frame that is counted, and a similar one that is
// not.
var rules = []struct {
	name  string
	modes [2]specs.Mode
	way   direction
	frame []byte
	a, b  specs.Counters
}{
	{"egress unicast", alone, egress, plainFrame(macLAN, macA),
		transmitExternal(specs.Casts{Unicast: hundred}), none},
	{"egress multicast", alone, egress, plainFrame(macGroup, macA),
		transmitExternal(specs.Casts{Multicast: hundred}), none},
	{"egress broadcast", alone, egress, plainFrame(macAll, macA),
		transmitExternal(specs.Casts{Broadcast: hundred}), none},
	{"egress of the host", alone, egress, plainFrame(macLAN, macHost), none, none},
	{"egress of the host to an endpoint", alone, egress, plainFrame(macA, macHost), none, none},
	{"egress of a stranger", alone, egress, plainFrame(macA, macLAN), none, none},
	{"egress to a sibling, vepa", [2]specs.Mode{specs.ModeVEPA, specs.ModeVEPA}, egress, plainFrame(macB, macA),
		transmitExternal(specs.Casts{Unicast: hundred}), none},
	{"ingress off the wire", alone, ingress, plainFrame(macA, macLAN), receiveExternal(hundred), none},
	{"ingress to the host", alone, ingress, plainFrame(macHost, macLAN), none, none},
	{"ingress to the host, source an endpoint's", alone, ingress, plainFrame(macHost, macA), none, none},
	{"ingress multicast", alone, ingress, plainFrame(macGroup, macLAN), none, none},
	{"ingress broadcast of an endpoint", alone, ingress, plainFrame(macAll, macA), none, none},
	{"ingress between siblings, bridge", [2]specs.Mode{specs.ModeBridge, specs.ModeBridge}, ingress, plainFrame(macB, macA),
		transmitLocal(hundred), receiveLocal(hundred)},
	{"ingress reflected, vepa", [2]specs.Mode{specs.ModeVEPA, specs.ModeVEPA}, ingress, plainFrame(macB, macA),
		none, receiveLocal(hundred)},
	{"ingress reflected, private", [2]specs.Mode{specs.ModePrivate, specs.ModePrivate}, ingress, plainFrame(macB, macA),
		none, receiveLocal(hundred)},
	{"ingress reflected, bridge to vepa", [2]specs.Mode{specs.ModeBridge, specs.ModeVEPA}, ingress, plainFrame(macB, macA),
		none, receiveLocal(hundred)},
	{"ingress to a stranger's macvlan, bridge", alone, ingress, plainFrame(macLAN, macA),
		transmitLocal(hundred), none},
	{"ingress to a stranger, vepa", [2]specs.Mode{specs.ModeVEPA}, ingress, plainFrame(macLAN, macA), none, none},
	{"ingress from the host's MAC", alone, ingress, plainFrame(macA, macHost), receiveExternal(hundred), none},
	{"ingress to oneself, bridge", alone, ingress, plainFrame(macA, macA),
		specs.Counters{Receive: receiveLocal(hundred).Receive, Transmit: transmitLocal(hundred).Transmit}, none},
}

func TestCountingRules(t *testing.T) {
	t.Parallel()
	for _, tt := range rules {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := newBench(t, tt.modes[0], tt.modes[1])
			a, b := x.countFrame(tt.way, tt.frame, nil)
			if a != tt.a {
				t.Errorf("A has\n%+v, want\n%+v", a, tt.a)
			}
			if b != tt.b {
				t.Errorf("B has\n%+v, want\n%+v", b, tt.b)
			}
		})
	}
}

// TestOtherParent checks that an endpoint belongs to its parent alone.
func TestOtherParent(t *testing.T) {
	t.Parallel()
	ns := testnet.Namespace(t)
	testnet.Veth(t, "one", ns, "two", ns)
	d := mustLoad(t, ns, bpffs(t), Options{})
	x := &bench{TB: t, Datapath: d, ns: ns}
	index := uint32(testnet.Link(t, ns, "one").Attrs().Index)
	x.mustRegister(Endpoint{Slot: slotA, ParentIndex: int(index), MAC: macA, Mode: specs.ModeBridge})
	if a, _ := x.countFrame(ingress, plainFrame(macA, macLAN), &skb{IfIndex: index}); a != receiveExternal(countOf(1, 100)) {
		t.Errorf("on its parent: %+v", a)
	}
	if a, _ := x.countFrame(ingress, plainFrame(macA, macLAN), nil); a != (specs.Counters{}) {
		t.Errorf("on another interface: %+v", a)
	}
}

// TestFrameSentBack checks that a frame to a stranger, which another sender than the owner of
// its source MAC put on ingress, does not count as one that the owner has just sent.
func TestFrameSentBack(t *testing.T) {
	t.Parallel()
	needNaming(t)
	x := newBench(t, specs.ModeBridge, "")
	x.mustRegister(Endpoint{Slot: slotA, MAC: macA, Mode: specs.ModeBridge, Cookie: x.cookie + 1})
	if a, _ := x.countFrame(ingress, plainFrame(macLAN, macA), nil); a != (specs.Counters{}) {
		t.Errorf("A has %+v", a)
	}
}

// TestPassthru checks that all frames of a parent belong to its passthru endpoint, also
// after that has changed its MAC.
func TestPassthru(t *testing.T) {
	t.Parallel()
	x := newBench(t, specs.ModeBridge, "")
	p := Endpoint{Slot: slotB, ParentIndex: 1, MAC: macHost, Driver: specs.Macvlan, Mode: specs.ModePassthru, Cookie: x.cookie}
	x.mustRegister(p)
	check := func(name string, w direction, frame []byte, want specs.Counters) {
		t.Helper()
		if _, b := x.countFrame(w, frame, nil); b != want {
			t.Errorf("%s: %+v, want %+v", name, b, want)
		}
	}
	sent, received := transmitExternal(specs.Casts{Unicast: countOf(1, 100)}), receiveExternal(countOf(1, 100))
	for _, mac := range []specs.MAC{macHost, macB} {
		check("egress", egress, plainFrame(macLAN, mac), sent)
		check("ingress", ingress, plainFrame(mac, macLAN), received)
	}
	if v := x.violations(slotB); v != 0 {
		t.Errorf("changing its MAC is a violation: %d", v)
	}
	must(t, x.ownMAC(1, macHost))
	check("after the agent attached again", egress, plainFrame(macLAN, macHost), sent)
	must(t, x.ownMAC(1, macB))
	for _, mac := range []specs.MAC{macHost, macB} {
		check("after the agent saw another MAC, egress", egress, plainFrame(macLAN, mac), sent)
		check("after the agent saw another MAC, ingress", ingress, plainFrame(mac, macLAN), received)
	}
	must(t, x.ownMAC(1, macHost))
	must(t, x.maps.Unregister(p))
	check("egress after its end", egress, plainFrame(macLAN, macHost), specs.Counters{})
	check("ingress after its end", ingress, plainFrame(macB, macLAN), specs.Counters{})
}

func (x *bench) violations(slot uint32) uint64 {
	x.Helper()
	return x.brokenKinds(slot)[specs.MACSpoof].Packets
}

func (x *bench) brokenKinds(slot uint32) map[specs.Kind]specs.Broken {
	x.Helper()
	v, err := x.maps.Violations(slot)
	must(x, err)
	return v
}
