package bpf

import (
	"net/netip"
	"testing"

	"berth/internal/testnet"
	"berth/specs"
)

// expectCookies checks that the namespaces of interfaces are found by their MACs.
func (l *lab) expectCookies(want map[specs.MAC]uint64) {
	l.Helper()
	testnet.In(l, l.ns, func() {
		for mac, cookie := range want {
			if got, err := l.maps.CookieOf(l.parent, mac); err != nil || got != cookie {
				l.Errorf("%s: namespace %d, %v, want %d", mac, got, err, cookie)
			}
		}
	})
}

// TestObservedInterfaceInTheNamespace registers a container's second macvlan interface as observed.
// With its namespace known, neither may send with an address of the other as a violation, the
// second may change its MAC, and after the first one was deleted its frames are not forged. It
// takes neither the namespace nor an address of the first.
func TestObservedInterfaceInTheNamespace(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root, testnet.Macvlan, testnet.Types)
	l := newLab(t, Options{})
	must(t, l.noSibling)
	a := l.container(specs.ModeBridge)
	second := a.addSecondLink(specs.MAC{2, 0, 0x5e, 0, 0x53, 0x23})
	b := l.stranger(specs.ModePrivate)
	l.expectCookies(map[specs.MAC]uint64{a.MAC: a.Cookie, second: a.Cookie, b.MAC: b.Cookie, macB: 0})
	seen := Endpoint{Slot: l.next, ParentIndex: l.parent, MAC: second, Driver: specs.Macvlan, Mode: specs.ModeBridge,
		Cookie: a.Cookie, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.51")}, Observed: true}
	must(t, l.maps.Register(seen))
	must(t, l.maps.Register(seen))
	arp := func(from specs.MAC) []byte { return ethernet(macAll, from, 0x806, arpFor(seen.Addresses[0], ipLAN)) }
	quiet := func(what, device string, frame []byte) {
		t.Helper()
		sendRaw(t, a.NS, device, frame)
		for slot, found := range l.allViolations() {
			if len(found) != 0 {
				t.Errorf("%s: slot %d has %v", what, slot, found)
			}
		}
	}
	quiet("the second's address by the first", "net1", arp(a.MAC))
	quiet("a group frame of the second", "eth1", plainFrame(macAll, second))
	quiet("a frame of the second", "eth1", plainFrame(l.lanMAC, second))
	changed := specs.MAC{2, 0, 0x5e, 0, 0x53, 0x24}
	testnet.Run(t, a.NS, "ip", "link", "set", "eth1", "address", changed.String())
	quiet("a changed MAC", "eth1", plainFrame(l.lanMAC, changed))
	quiet("an announcement with a changed MAC", "eth1", arp(changed))
	testnet.Run(t, a.NS, "ip", "link", "set", "eth1", "address", second.String())
	testnet.Run(t, a.NS, "ip", "link", "delete", "net1")
	l.expectCookies(map[specs.MAC]uint64{a.MAC: 0, second: a.Cookie})
	quiet("the second, after the first was deleted", "eth1", plainFrame(l.lanMAC, second))
	quiet("a group frame, after that", "eth1", plainFrame(macAll, second))
	sendRaw(t, b.NS, "net1", arp(b.MAC))
	quiet("its address, of an interface that is not known yet", "eth1", plainFrame(l.lanMAC, second))
	must(t, l.maps.Unregister(a.Endpoint))
	must(t, l.maps.Register(seen)) // it has the namespace now
	quiet("a changed MAC, alone", "eth1", plainFrame(l.lanMAC, second))
	if !namesSenders() {
		return
	}
	sendRaw(t, a.NS, "eth1", plainFrame(l.lanMAC, macB))
	if found := l.allViolations()[seen.Slot][specs.MACSpoof]; found.Packets != 1 {
		t.Errorf("a forged MAC: %+v, want one of the observed interface", l.allViolations())
	}
}
