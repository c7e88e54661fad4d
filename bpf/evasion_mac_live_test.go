package bpf

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"berth/internal/testnet"
	"berth/specs"
)

// ofMAC gives a frame another source MAC.
func ofMAC(mac specs.MAC) carrier {
	return func(frame []byte) [][]byte { return [][]byte{slices.Concat(frame[:6], mac[:], frame[12:])} }
}

// TestForgedMACHidesNoForgery sends each other forgery with a MAC that is not the container's, on a
// network that enforces the forgery's kind and not mac-spoof: through the container's interface and
// past its programs, to the LAN and to a sibling.
func TestForgedMACHidesNoForgery(t *testing.T) {
	t.Parallel()
	ways := map[string]func(*arena){"its interface": func(*arena) {}, "past its programs": bypasses["packet socket"]}
	for way, prepare := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			x := newArena(t)
			prepare(x)
			for name, f := range forgeries(x.from.ip, x.own6, x.other.MAC) {
				if f.kind == specs.MACSpoof || name == "ARP of other MACs" { // which no receiver takes
					continue
				}
				for group, mac := range groups(f.v) {
					if group != "" || namesSenders() { // else the kernel cannot name the sender
						x.tryOfMACs(f.addressed(mac), name+group)
					}
				}
			}
		})
	}
}

// tryOfMACs tries a forgery with MACs that are free, another container's and the host's.
func (x *arena) tryOfMACs(f forgery, name string) {
	x.Helper()
	for whose, mac := range map[string]specs.MAC{"no one's MAC": macB, "a sibling's MAC": x.other.MAC, "the host's MAC": x.hostMAC} {
		for how, c := range map[string]carrier{"": ofMAC(mac), ", VLAN 0": carrierBoth(ofMAC(mac), vlanTags(0x8100, 0))} {
			for who, to := range x.to {
				what := fmt.Sprintf("%s of %s%s, to %s", name, whose, how, who)
				if !x.evadesEnforcement(f, c, to, what) {
					x.Errorf("%s: not taken, so that it tests nothing", what)
				}
			}
		}
	}
}

// TestForgedMACOfANestedNamespace forges both MAC and address in a namespace within the container,
// whose frames a bridge of the container passes on: their sockets are in no endpoint's namespace.
func TestForgedMACOfANestedNamespace(t *testing.T) {
	t.Parallel()
	x := newArena(t)
	nested := newQuietNamespace(t)
	testnet.Veth(t, "inner", nested, "outer", x.from.NS)
	testnet.Run(t, x.from.NS, "ip", "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
	for _, port := range []string{"outer", "net1"} {
		testnet.Run(t, x.from.NS, "ip", "link", "set", port, "master", "br0")
	}
	testnet.Up(t, x.from.NS, "br0")
	own := x.send
	x.last = func(to *receiver) { must(t, own(datagram4(x.from.ip, 9, 546, ownText)(x.from.MAC, to))) }
	x.send = func(frame []byte) error { sendRaw(t, nested, "inner", frame); return nil }
	for name, f := range map[string]forgery{
		"a datagram":      {specs.MACSpoof, 4, datagramOf(macB, ipForged), arrivesAt(1009)},
		"with an address": {specs.MACSpoof, 4, datagramOf(macB, x.from.ip), arrivesAt(1009)},
	} {
		for group, mac := range groups(f.v) {
			for who, to := range x.to {
				f, what := f.addressed(mac), fmt.Sprintf("%s, to %s%s", name, who, group)
				x.enforceKinds()
				if !x.tryForgery(f, unchangedFrame, to) {
					t.Errorf("%s: not taken, so that it tests nothing", what)
				}
				x.enforceKinds(f.kind)
				if x.tryForgery(f, unchangedFrame, to) {
					t.Errorf("%s: arrives though it is enforced: %v", what, x.allViolations())
				}
				if found := x.allViolations()[x.from.Slot][f.kind]; found.Dropped != 1 || found.Packets != 1 {
					t.Errorf("%s: dropped, and not counted so: %v", what, x.allViolations())
				}
			}
		}
	}
}

// TestForgedMACHidesNoContact contacts a sibling and the host with forged MACs, and sends DHCP
// answers with a MAC that is free, by a sender that only its address identifies.
func TestForgedMACHidesNoContact(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	ways := namings()
	ways["nameless"] = nameless
	host := netip.MustParseAddr("192.0.2.1")
	for how, naming := range ways {
		x := spoofBench(t, naming)
		must(t, x.maps.SetHostAddresses(1, []netip.Addr{host}))
		x.mustRegister(Endpoint{Slot: slotA, MAC: macA, Mode: specs.ModePrivate, Cookie: x.cookie + 0xa, Addresses: []netip.Addr{ipA}})
		dhcp := ip4(17, ipB, ipA, datagram(67, 68, []byte(bootReply)))
		for name, c := range map[string]struct {
			kind  specs.Kind
			frame []byte
		}{
			"to a sibling":          {specs.PrivateAttempt, ethernet(macA, macLAN, 0x800, ip4(17, ipB, ipA, make([]byte, 50)))},
			"to the host":           {specs.HostIsolation, ethernet(macHost, macLAN, 0x800, ip4(17, ipB, ipA, make([]byte, 50)))},
			"asks for a sibling":    {specs.PrivateAttempt, ethernet(macAll, macLAN, 0x806, withByte(arpFor(ipB, ipA), 7, 1))},
			"asks for the host":     {specs.HostIsolation, ethernet(macAll, macLAN, 0x806, withByte(arpFor(ipB, host), 7, 1))},
			"a DHCP server's":       {specs.RogueDHCP, ethernet(macLAN, macGroup, 0x800, dhcp)},
			"a DHCP server's, to A": {specs.RogueDHCP, ethernet(macA, macLAN, 0x800, dhcp)},
		} {
			for _, enforce := range [][]specs.Kind{nil, {c.kind}} {
				x.mustRegister(Endpoint{Slot: slotB, MAC: macB, Mode: specs.ModePrivate, Cookie: x.cookie,
					Addresses: []netip.Addr{ipB}, Enforce: enforce})
				j := x.judgeFrame(egress, slices.Clone(c.frame))
				want := map[specs.Kind]specs.Broken{specs.MACSpoof: {Packets: 1}}
				if enforce != nil {
					want[c.kind] = specs.Broken{Packets: 1, Dropped: 1}
				}
				if got := j.found[slotB]; j.drop != (enforce != nil) || len(got) != len(want) || got[specs.MACSpoof] != want[specs.MACSpoof] ||
					got[c.kind] != want[c.kind] {
					t.Errorf("%s, enforced %v, %s: %+v, want %v", name, enforce, how, j, want)
				}
				for e, ok := x.nextEvent(); ok; e, ok = x.nextEvent() {
					named, evidence := how != "nameless", specs.ByNetnsCookie
					if !named {
						evidence = specs.BySourceIP
					}
					if e.Evidence != evidence || e.Sender != slotB || (e.Certainty == specs.Certain) != named {
						t.Errorf("%s: %+v, want evidence %s", name, e, evidence)
					}
				}
			}
		}
	}
}
