package bpf

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"berth/internal/testnet"
	"berth/specs"
)

// bypasses prepare a container to send past the TC programs of its own interface.
var bypasses = map[string]func(*arena){
	// packet_direct_xmit in net/packet/af_packet.c
	"packet socket": func(x *arena) {
		must(x, unix.SetsockoptInt(x.raw, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1))
	},
	// xsk_generic_xmit in net/xdp/xsk.c
	"AF_XDP": func(x *arena) {
		testnet.In(x, x.from.NS, func() { x.send = newXDPSocket(x, x.index).sendFrame })
	},
}

// TestEvasionsPastTheInterface sends each forgery past the TC programs of the container's own
// interface, to the LAN and to a sibling, to each alone and as a group frame. The parent's
// programs drop it, and the receiver program drops the copies that the driver has made for
// siblings before.
func TestEvasionsPastTheInterface(t *testing.T) {
	t.Parallel()
	for way, prepare := range bypasses {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			x := newArena(t)
			prepare(x)
			for name, f := range forgeries(x.from.ip, x.own6, x.other.MAC) {
				for group, mac := range groups(f.v) {
					if group == "" && f.kind == specs.MACSpoof && !namesSenders() {
						continue // the kernel cannot name the sender
					}
					x.tryPast(f.addressed(mac), name, group)
				}
			}
		})
	}
}

// tryPast tries a forgery in the carriers that differ for the driver and the receiver.
func (x *arena) tryPast(f forgery, name, group string) {
	x.Helper()
	for how, c := range f.evasions() {
		if !pastCarriers[how] {
			continue
		}
		for who, to := range x.to {
			what := fmt.Sprintf("%s, %s, to %s%s", name, how, who, group)
			if !x.evadesEnforcement(f, c, to, what) && how == "as it is" && name != "ARP of other MACs" {
				x.Errorf("%s: not taken, so that it tests nothing", what)
			}
		}
	}
}

// pastCarriers are the carriers that are tried past the interface.
var pastCarriers = map[string]bool{
	"as it is": true, "VLAN 0": true, "VLAN 0 twice": true, "VLAN 0 nine times": true, "LLC and SNAP": true,
	"bytes behind its end": true, "fragments": true, "all options": true, "all of them": true,
}

// TestForgeriesSuppressNoFrames lets a container send what another one is about to broadcast,
// in the other's name. The forgery is dropped, and the same frame of the other one arrives.
func TestForgeriesSuppressNoFrames(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Types)
	x := newArena(t)
	bypasses["packet socket"](x)
	x.enforceKinds(specs.MACSpoof, specs.IPSpoof)
	to := x.to["a sibling"]
	f := forgery{specs.MACSpoof, 4, datagram4(x.other.ip, 9, 1009, forgedText), arrivesAt(1009)}.addressed(macAll)
	for how, c := range f.evasions() {
		if !pastCarriers[how] || how == "LLC and SNAP" { // which Linux does not accept
			continue
		}
		frames := c(f.frame(x.other.MAC, to))
		for range 3 {
			must(t, x.maps.Zero(x.from.Slot))
			to.payloadsAt(1009)
			for _, frame := range frames {
				x.sendFrame(frame)
			}
			if found := x.allViolations()[x.from.Slot][specs.MACSpoof]; found.Dropped != uint64(len(frames)) {
				t.Errorf("%s: %d forged frames are dropped, want %d: %v", how, found.Dropped, len(frames), x.allViolations())
			}
			x.sendFrame(datagram4(x.from.ip, 9, 1009, ownText)(x.from.MAC, to))
			testnet.Eventually(t, "its own datagram", func() bool { return x.onlyOwn(to) })
			for _, frame := range frames {
				sendRaw(t, x.other.NS, "net1", frame)
			}
			testnet.Eventually(t, how+": the other's own frame", func() bool { return f.accepted(x.other.MAC, to) })
		}
	}
}

// onlyOwn reports whether the container's own datagram has arrived. A forged one is an error.
func (x *arena) onlyOwn(to *receiver) (arrived bool) {
	x.Helper()
	for _, text := range to.payloadsAt(1009) {
		if text != ownText {
			x.Errorf("a forged frame arrives: %q", text)
		}
		arrived = true
	}
	return arrived
}
