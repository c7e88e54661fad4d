package bpf

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"berth/specs"
)

// TestEvasionsPastTheInterface sends each forgery by a packet socket that bypasses the TC
// programs of the container's own interface (packet_direct_xmit in net/packet/af_packet.c).
// The parent's programs drop it. Only siblings in mode bridge get their copies of group
// frames: the driver makes them before the parent.
func TestEvasionsPastTheInterface(t *testing.T) {
	t.Parallel()
	x := newArena(t)
	must(t, unix.SetsockoptInt(x.raw, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1))
	for name, f := range forgeries(x.from.ip, x.own6) {
		for group, mac := range groups(f.v) {
			if group == "" && f.kind == specs.MACSpoof && !netnsHelper() {
				continue // the kernel cannot identify the sender
			}
			for who, to := range x.to {
				if group != "" && who != "the LAN" {
					continue
				}
				what := fmt.Sprintf("%s, to %s%s", name, who, group)
				if !x.evadesEnforcement(f.addressed(mac), unchangedFrame, to, what) && name != "ARP of other MACs" {
					t.Errorf("%s: not taken, so that it tests nothing", what)
				}
			}
		}
	}
}
