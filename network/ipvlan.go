package network

import (
	"slices"

	"berth/specs"

	"github.com/vishvananda/netlink/nl"
)

// The kernel's number of a mode (enum ipvlan_mode in include/uapi/linux/if_link.h) is
// its index in this list; the bits of a flag are its index too, 0 for bridge
// (IPVLAN_F_PRIVATE and IPVLAN_F_VEPA there).
var (
	ipvlanModes = []specs.Mode{specs.ModeL2, specs.ModeL3, specs.ModeL3S}
	ipvlanFlags = []specs.IPvlanFlag{specs.FlagBridge, ipvlanFlagPrivate: specs.FlagPrivate,
		ipvlanFlagVEPA: specs.FlagVEPA}
)

// ipvlanData returns the IFLA_INFO_DATA of an ipvlan. It always contains the flags:
// they belong to the parent, and without them the previous ones would remain.
func ipvlanData(l Link) *nl.RtAttr {
	return nested(nl.IFLA_INFO_DATA,
		attr16(nl.IFLA_IPVLAN_MODE, uint16(slices.Index(ipvlanModes, l.Mode))),
		attr16(nl.IFLA_IPVLAN_FLAG, uint16(max(0, slices.Index(ipvlanFlags, l.Flag)))))
}

func (l *LinkInfo) parseIPvlan(b []byte) {
	l.Driver = specs.IPvlan
	for kind, v := range attributes(b) {
		n := parseNumber(v)
		switch {
		case kind == nl.IFLA_IPVLAN_MODE && n < uint64(len(ipvlanModes)):
			l.Mode = ipvlanModes[n]
		case kind == nl.IFLA_IPVLAN_FLAG && n < uint64(len(ipvlanFlags)):
			l.Flag = ipvlanFlags[n]
		}
	}
}
