package bpf

import (
	"net/netip"
	"testing"

	"berth/internal/testnet"
	"berth/specs"
)

// TestVEPA sends between endpoints in mode vepa until the switch is found not to reflect,
// and until it reflects.
func TestVEPA(t *testing.T) {
	t.Parallel()
	l := newSwitch(t, false)
	a, b := l.container(specs.ModeVEPA), l.container(specs.ModeVEPA)
	befriend(a, b)
	sendUDP(t, a.NS, b.ip, 20, 100) // at once
	sendUDP(t, a.NS, ipGroup, 3, 100)
	l.requireNoViolations("what has just left")
	testnet.Eventually(t, "vepa-unreflected", func() bool {
		sendUDP(t, a.NS, b.ip, 1, 100)
		return l.allViolations()[a.Slot][specs.VEPAUnreflected].Packets > 0
	})
	if e := l.readEvent(); e.Kind != specs.VEPAUnreflected || e.Sender != a.Slot || e.Receiver != b.Slot || e.Certainty != specs.Suspected || e.Evidence != specs.ByNoReflection {
		t.Errorf("%+v", e)
	}
	testnet.Hairpin(t, l.lan, "wire")
	sendUDP(t, a.NS, netip.MustParseAddr("192.0.2.255"), 1, 100)
	testnet.Eventually(t, "what has come back", func() bool { return l.slotState(a.Slot).Waiting == 0 })
	must(t, l.maps.Zero(a.Slot))
	must(t, l.maps.putElement(mapStates, a.Slot, stateValue{Since: 1, Waiting: 1})) // long ago
	sendUDP(t, a.NS, b.ip, 1, 100)
	testnet.Eventually(t, "what has come back", func() bool { return l.slotState(a.Slot).Waiting == 0 })
	sendTCP(t, a.NS, b.NS, b.ip, 1<<20)
	l.requireNoViolations("with a switch that reflects")
}

func (x *bench) slotState(slot uint32) (s stateValue) {
	x.Helper()
	m, err := x.maps.openMap(mapStates)
	must(x, err)
	must(x, m.Lookup(slot, &s))
	return s
}

// TestVEPAUnresolvedSibling checks that an endpoint that cannot even resolve a sibling is reported: it
// asks for its address three times in two seconds.
func TestVEPAUnresolvedSibling(t *testing.T) {
	t.Parallel()
	l := newSwitch(t, false)
	a, b := l.container(specs.ModeVEPA), l.container(specs.ModeVEPA)
	sendUDP(t, a.NS, netip.MustParseAddr("192.0.2.3"), 1, 100) // asks for an unused address in the same way
	sendUDP(t, a.NS, b.ip, 1, 100)
	n := l.waitForKind(a.Slot, specs.VEPAUnreflected)
	if s := l.slotState(a.Slot); n.Packets != 1 || s.Waiting != waitingMin {
		t.Errorf("%+v of %+v", n, s)
	}
}

// waitingMin is WAITING_MIN in c/sibling.h.
const waitingMin = 3

// TestVEPABypass lets the containers change the mode of their interfaces, so that the
// driver delivers frames directly that the switch should see.
func TestVEPABypass(t *testing.T) {
	t.Parallel()
	l := newSwitch(t, true)
	a, b := l.container(specs.ModeVEPA), l.container(specs.ModeVEPA)
	befriend(a, b)
	in := newInbox(t, b.NS)
	sendFrom(t, a.NS, a.ip, b.ip)
	in.readUntil(a.ip)
	l.requireNoViolations("by the switch")
	for _, c := range []*container{a, b} {
		testnet.Run(t, c.NS, "ip", "link", "set", "net1", "type", "macvlan", "mode", "bridge")
	}
	must(t, l.maps.Zero(a.Slot)) // as if a second had passed
	sendFrom(t, a.NS, a.ip, b.ip)
	in.readUntil(a.ip)
	e := l.readEvent()
	if e.Kind != specs.VEPABypass || e.Sender != a.Slot || e.Receiver != b.Slot || e.Dropped || e.Direction != "ingress" {
		t.Errorf("%+v", e)
	}
	if certain := e.Evidence == specs.ByNetnsCookie; certain != (e.Certainty == specs.Certain) || !certain && e.Evidence != specs.BySocket {
		t.Errorf("%+v", e)
	}
	a.Enforce = []specs.Kind{specs.VEPABypass}
	must(t, l.maps.Register(a.Endpoint))
	must(t, l.maps.Zero(a.Slot))
	sendFrom(t, a.NS, a.ip, b.ip)
	if n := l.waitForKind(a.Slot, specs.VEPABypass); n != (specs.Broken{Packets: 1, Dropped: 1}) {
		t.Errorf("enforced: %+v", n)
	}
	testnet.Run(t, a.NS, "ip", "link", "set", "net1", "type", "macvlan", "mode", "vepa")
	sendFrom(t, a.NS, a.ip, b.ip)
	if in.readUntil(a.ip); l.allViolations()[a.Slot][specs.VEPABypass].Packets != 1 {
		t.Errorf("by the switch again: %+v", l.allViolations())
	}
}
