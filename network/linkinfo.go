package network

import (
	"encoding/binary"
	"fmt"
	"slices"

	"berth/specs"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// LinkInfo is a link as the kernel describes it.
type LinkInfo struct {
	Index    int
	Name     string
	AltNames []string // alternative names, as `ip link property add` gives
	Alias    string   // the alias that an administrator or berth set
	Kind     string   // the driver's name, as "macvlan", "veth"; "" for hardware
	MAC      specs.MAC
	MTU      int // bytes
	Up       bool
	Carrier  bool
	Changes  uint32 // number of times that the carrier has changed
	Loopback bool
	Ethernet bool // has an Ethernet header
	Upper    int  // index of the bridge, bond or VRF that it belongs to, or 0

	ParentIndex int // index of the link below it, or 0
	ParentNSID  int // NSID of the parent's namespace, or -1 if it is the link's own

	VLAN       int // VLAN ID of a "vlan" link
	VLANProto  int // its EtherType, 0x8100 or 0x88a8
	Driver     specs.Driver
	Mode       specs.Mode
	Flag       specs.IPvlanFlag // of "ipvlan"
	BCQueueLen uint32           // of "macvlan", in frames
	NoPromisc  bool             // of "macvlan"
	SourceMACs []specs.MAC      // of "macvlan" in source mode

	Stats LinkStats
}

// IsTap reports whether a link is a macvtap or ipvtap interface: a process, as QEMU, sends its
// frames through a file.
func (l *LinkInfo) IsTap() bool { return l.Kind == "macvtap" || l.Kind == "ipvtap" }

// LinkStats are the kernel's own counts of a link, seen from the link's
// namespace. Packets may be super-packets.
type LinkStats struct {
	ReceivePackets, TransmitPackets, ReceiveBytes, TransmitBytes uint64

	// ReceiveGroup counts the multicast and broadcast frames among ReceivePackets
	// (rx_multicast in drivers/net/macvlan.c, rx_mcast in drivers/net/ipvlan); 0
	// for macvlan in source mode.
	ReceiveGroup uint64
}

// Flags that the nl package leaves out (include/uapi/linux/if_link.h).
const (
	macvlanFlagNoPromisc = 1
	ipvlanFlagPrivate    = 1
	ipvlanFlagVEPA       = 2
)

// parseLink parses the payload of an RTM_NEWLINK message. It ignores unknown
// attributes and those that are too short.
func parseLink(b []byte) (LinkInfo, error) {
	if len(b) < unix.SizeofIfInfomsg {
		return LinkInfo{}, fmt.Errorf("parse link: %d bytes, want at least %d", len(b), unix.SizeofIfInfomsg)
	}
	l := parseLinkHeader(b)
	for kind, v := range attributes(b[unix.SizeofIfInfomsg:]) {
		switch kind {
		case unix.IFLA_IFNAME:
			l.Name = unix.ByteSliceToString(v)
		case unix.IFLA_IFALIAS:
			l.Alias = unix.ByteSliceToString(v)
		case unix.IFLA_PROP_LIST:
			l.AltNames = append(l.AltNames, parseAltNames(v)...)
		case unix.IFLA_ADDRESS:
			l.MAC = macOf(v)
		case unix.IFLA_MTU:
			l.MTU = int(parseNumber(v))
		case unix.IFLA_CARRIER_CHANGES:
			l.Changes = uint32(parseNumber(v))
		case unix.IFLA_MASTER:
			l.Upper = int(parseNumber(v))
		case unix.IFLA_LINK:
			l.ParentIndex = int(parseNumber(v))
		case unix.IFLA_LINK_NETNSID:
			l.ParentNSID = int(int32(parseNumber(v)))
		case unix.IFLA_STATS64:
			l.Stats = parseStats(v)
		case unix.IFLA_LINKINFO:
			l.parseKind(v)
		}
	}
	return l, nil
}

// parseLinkHeader parses struct ifinfomsg, the fixed part of the payload.
func parseLinkHeader(b []byte) LinkInfo {
	flags := binary.NativeEndian.Uint32(b[8:])
	return LinkInfo{
		Index:      int(int32(binary.NativeEndian.Uint32(b[4:]))),
		Up:         flags&unix.IFF_UP != 0,
		Carrier:    flags&unix.IFF_LOWER_UP != 0,
		Loopback:   flags&unix.IFF_LOOPBACK != 0,
		Ethernet:   binary.NativeEndian.Uint16(b[2:]) == unix.ARPHRD_ETHER,
		ParentNSID: -1,
	}
}

func parseAltNames(b []byte) (names []string) {
	for kind, v := range attributes(b) {
		if kind == unix.IFLA_ALT_IFNAME {
			names = append(names, unix.ByteSliceToString(v))
		}
	}
	return names
}

// HasName reports whether a link has a name, its own or an alternative one.
func (l *LinkInfo) HasName(name string) bool {
	return l.Name == name || slices.Contains(l.AltNames, name)
}

// parseStats parses the first four counts of struct rtnl_link_stats64, and
// multicast.
func parseStats(b []byte) (s LinkStats) {
	if len(b) < 72 {
		return s
	}
	read := binary.NativeEndian.Uint64
	return LinkStats{read(b), read(b[8:]), read(b[16:]), read(b[24:]), read(b[64:])}
}

func (l *LinkInfo) parseKind(b []byte) {
	var data []byte
	for kind, v := range attributes(b) {
		switch kind {
		case nl.IFLA_INFO_KIND:
			l.Kind = unix.ByteSliceToString(v)
		case nl.IFLA_INFO_DATA:
			data = v
		}
	}
	switch l.Kind {
	case "macvlan", "macvtap":
		l.parseMacvlan(data)
	case "ipvlan", "ipvtap":
		l.parseIPvlan(data)
	case "vlan":
		l.parseVLAN(data)
	}
}

func (l *LinkInfo) parseVLAN(b []byte) {
	for kind, v := range attributes(b) {
		switch {
		case kind == nl.IFLA_VLAN_ID:
			l.VLAN = int(parseNumber(v))
		case kind == nl.IFLA_VLAN_PROTOCOL && len(v) == 2:
			l.VLANProto = int(binary.BigEndian.Uint16(v))
		}
	}
}

// macOf returns an Ethernet address, or the zero MAC if b has another length.
func macOf(b []byte) (m specs.MAC) {
	if len(b) == len(m) {
		copy(m[:], b)
	}
	return m
}

// LinkByName returns a link of the handle's namespace by its name or an
// alternative one, which may be longer. Errors: [ErrNoLink].
func (h *Handle) LinkByName(name string) (LinkInfo, error) {
	attribute := unix.IFLA_IFNAME
	if len(name) > specs.MaxInterfaceName {
		attribute = unix.IFLA_ALT_IFNAME
	}
	l, err := h.requestLink(linkHeader(0), attrString(attribute, name))
	if err != nil {
		return l, fmt.Errorf("find interface %q: %w", name, err)
	}
	return l, nil
}

// LinkByIndex returns a link of the handle's namespace. Errors: [ErrNoLink].
func (h *Handle) LinkByIndex(index int) (LinkInfo, error) {
	l, err := h.requestLink(linkHeader(index))
	if err != nil {
		return l, fmt.Errorf("find interface %d: %w", index, err)
	}
	return l, nil
}

// requestLink sends one RTM_GETLINK and returns the link.
func (h *Handle) requestLink(parts ...nl.NetlinkRequestData) (LinkInfo, error) {
	answers, err := h.request(unix.RTM_GETLINK, 0, unix.RTM_NEWLINK, parts...)
	switch {
	case isErrno(err, unix.ENODEV), isErrno(err, unix.ERANGE): // ERANGE: a name over 127 bytes
		return LinkInfo{}, ErrNoLink
	case err != nil:
		return LinkInfo{}, err
	case len(answers) == 0:
		return LinkInfo{}, ErrNoLink
	}
	return parseLink(answers[0])
}

// Links returns all links of the handle's namespace. Errors: [ErrInterrupted], as [Handle.LinksIn].
func (h *Handle) Links() ([]LinkInfo, error) { return h.dumpLinks("") }

// dumpLinks returns the links of one kind, or all if kind is "". The kernel filters
// by kind, unless it does not know the kind.
func (h *Handle) dumpLinks(kind string) ([]LinkInfo, error) {
	parts := []nl.NetlinkRequestData{linkHeader(0)}
	if kind != "" {
		parts = append(parts, nested(unix.IFLA_LINKINFO, attrString(nl.IFLA_INFO_KIND, kind)))
	}
	answers, err := h.requestDump(unix.RTM_GETLINK, unix.RTM_NEWLINK, parts...)
	if err != nil {
		err = fmt.Errorf("list interfaces: %w", err)
	}
	var all []LinkInfo
	for _, b := range answers {
		l, failed := parseLink(b)
		if failed != nil {
			return nil, failed
		}
		if kind == "" || l.Kind == kind {
			all = append(all, l)
		}
	}
	return all, err
}
