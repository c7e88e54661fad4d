package bpf

import (
	"net/netip"
	"slices"
	"testing"

	"berth/internal/testnet"
	"berth/specs"
)

// TestARequestToItsTargetCountsOnce sends what Linux sends to verify a neighbour that it knows: a
// request for the address of a sibling, or of the host, to the MAC of the same. It is one violation.
func TestARequestToItsTargetCountsOnce(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	host, ip6A, ip6B := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::a"), netip.MustParseAddr("2001:db8::b")
	x := spoofBench(t, nameless)
	must(t, x.maps.SetHostAddresses(1, []netip.Addr{host}))
	for _, enforce := range []bool{false, true} {
		for _, c := range []struct {
			mode         specs.Mode
			kind         specs.Kind
			to           specs.MAC
			target, from netip.Addr
		}{
			{specs.ModePrivate, specs.PrivateAttempt, macA, ipA, ipB},
			{specs.ModePrivate, specs.PrivateAttempt, macA, ip6A, ip6B},
			{specs.ModePrivate, specs.PrivateAttempt, macLAN, ipA, ipB},
			{specs.ModePrivate, specs.PrivateAttempt, macAll, ip6A, ip6B},
			{specs.ModePrivate, specs.PrivateAttempt, macA, ipLAN, ipB},
			{specs.ModeBridge, specs.HostIsolation, macHost, host, ipB},
			{specs.ModeBridge, specs.HostIsolation, macHost, ipLAN, ipB},
			{specs.ModeBridge, specs.HostIsolation, macLAN, host, ipB},
		} {
			a := Endpoint{Slot: slotA, MAC: macA, Mode: c.mode, Cookie: x.cookie + 0xa, Addresses: []netip.Addr{ipA, ip6A}}
			b := Endpoint{Slot: slotB, MAC: macB, Mode: c.mode, Cookie: x.cookie, Addresses: []netip.Addr{ipB, ip6B}}
			if enforce {
				b.Enforce = []specs.Kind{c.kind}
			}
			x.mustRegister(a)
			x.mustRegister(b)
			frame := ethernet(c.to, macB, 0x806, withByte(arpFor(c.from, c.target), 7, 1)) // a request
			if c.from.Is6() {
				frame = ethernet(c.to, macB, 0x86dd, solicitation(c.from, c.target))
			}
			if j := x.judgeFrame(egress, slices.Clone(frame)); !j.onlyViolation(slotB, c.kind) || j.drop != enforce {
				t.Errorf("%s, enforced %t, for %s to %s: %+v, want one %s", c.mode, enforce, c.target, c.to, j, c.kind)
			}
		}
	}
}
