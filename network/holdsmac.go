package network

import (
	"fmt"

	"berth/specs"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// HoldsMAC reports whether a parent receives the frames of a MAC for an interface on it: a
// macvlan that is up, in whichever namespace, adds its MAC to the parent's list
// (macvlan_open in drivers/net/macvlan.c). It is false for an interface in mode passthru
// and for an ipvlan, which have the parent's own MAC.
func (h *Handle) HoldsMAC(parentIndex int, mac specs.MAC) (bool, error) {
	answers, err := h.requestDump(unix.RTM_GETNEIGH, unix.RTM_NEWNEIGH, &neighbourHeader{ifindex: parentIndex})
	if isErrno(err, unix.ENODEV) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("list the MACs of interface %d: %w", parentIndex, err)
	}
	for _, b := range answers {
		if len(b) < unix.SizeofNdMsg || int(int32(parseNumber(b[4:8]))) != parentIndex || b[10]&unix.NTF_SELF == 0 {
			continue // of another interface, or learnt by a bridge
		}
		for kind, v := range attributes(b[unix.SizeofNdMsg:]) {
			if kind == unix.NDA_LLADDR && len(v) == len(mac) && specs.MAC(v) == mac {
				return true, nil
			}
		}
	}
	return false, nil
}

// neighbourHeader is struct ndmsg of a dump of one interface's forwarding table.
type neighbourHeader struct{ ifindex int }

func (*neighbourHeader) Len() int { return unix.SizeofNdMsg }

// Serialize returns the wire format.
func (n *neighbourHeader) Serialize() []byte {
	b := make([]byte, unix.SizeofNdMsg)
	b[0] = unix.AF_BRIDGE
	nl.NativeEndian().PutUint32(b[4:], uint32(n.ifindex))
	return b
}
