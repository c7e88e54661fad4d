package network

import (
	"slices"

	"berth/specs"

	"github.com/vishvananda/netlink/nl"
)

// macvlanModes returns the kernel's numbers of the modes (enum macvlan_mode in
// include/uapi/linux/if_link.h).
func macvlanModes() map[specs.Mode]uint32 {
	return map[specs.Mode]uint32{
		specs.ModePrivate:  nl.MACVLAN_MODE_PRIVATE,
		specs.ModeVEPA:     nl.MACVLAN_MODE_VEPA,
		specs.ModeBridge:   nl.MACVLAN_MODE_BRIDGE,
		specs.ModePassthru: nl.MACVLAN_MODE_PASSTHRU,
		specs.ModeSource:   nl.MACVLAN_MODE_SOURCE,
	}
}

// macvlanData returns the IFLA_INFO_DATA of a macvlan.
func macvlanData(l Link) *nl.RtAttr {
	data := nested(nl.IFLA_INFO_DATA, attr32(nl.IFLA_MACVLAN_MODE, macvlanModes()[l.Mode]))
	if l.NoPromisc {
		data.AddChild(attr16(nl.IFLA_MACVLAN_FLAGS, macvlanFlagNoPromisc))
	}
	if l.BCQueueLen != 0 {
		data.AddChild(attr32(nl.IFLA_MACVLAN_BC_QUEUE_LEN, l.BCQueueLen))
	}
	if len(l.SourceMACs) > 0 {
		data.AddChild(attr32(nl.IFLA_MACVLAN_MACADDR_MODE, nl.MACVLAN_MACADDR_SET))
		data.AddChild(macList(l.SourceMACs))
	}
	return data
}

func macList(macs []specs.MAC) *nl.RtAttr {
	list := nested(nl.IFLA_MACVLAN_MACADDR_DATA)
	for _, mac := range macs {
		list.AddRtAttr(nl.IFLA_MACVLAN_MACADDR, mac[:])
	}
	return list
}

func (l *LinkInfo) parseMacvlan(b []byte) {
	l.Driver = specs.Macvlan
	for kind, v := range attributes(b) {
		switch kind {
		case nl.IFLA_MACVLAN_MODE:
			for mode, n := range macvlanModes() {
				if uint64(n) == parseNumber(v) {
					l.Mode = mode
				}
			}
		case nl.IFLA_MACVLAN_FLAGS:
			l.NoPromisc = parseNumber(v)&macvlanFlagNoPromisc != 0
		case nl.IFLA_MACVLAN_BC_QUEUE_LEN:
			l.BCQueueLen = uint32(parseNumber(v))
		case nl.IFLA_MACVLAN_MACADDR_DATA:
			for _, mac := range attributes(v) {
				l.SourceMACs = append(l.SourceMACs, macOf(mac))
			}
			slices.SortFunc(l.SourceMACs, func(a, b specs.MAC) int { return slices.Compare(a[:], b[:]) })
		}
	}
}
