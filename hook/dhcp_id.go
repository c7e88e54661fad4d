package hook

import (
	"encoding/binary"
	"net/netip"
	"strings"

	"berth/internal/digest"
	"berth/internal/text"
	"berth/specs"
)

// clientID derives the identifiers by which a DHCP server recognises an interface.
// They are the same at every start of a container with this name.
type clientID struct {
	network, container, ifname string
	mac                        specs.MAC
	kind                       specs.DHCPClientID
}

// Types of identifiers and DUIDs: RFC 2132 section 9.14, RFC 4361 section 6.1, RFC
// 8415 section 11, RFC 6355.
const (
	idOpaque, idEthernet, idIAID = 0, 1, 255
	duidLL, duidUUID             = 3, 4
)

// maxID61 is the longest value of an option of DHCPv4 in bytes.
const maxID61 = 255

// option61 returns the client identifier of DHCPv4.
func (id clientID) option61() []byte {
	switch id.kind {
	case specs.ClientIDName:
		name := append([]byte{idOpaque}, id.container+"/"+id.ifname...)
		if len(name) > maxID61 {
			sum := id.sum()
			name = append([]byte{idOpaque}, sum[:]...)
		}
		return name
	case specs.ClientIDDUID:
		iaid := id.iaid()
		return append(append([]byte{idIAID}, iaid[:]...), id.duid()...)
	}
	return append([]byte{idEthernet}, id.mac[:]...)
}

// duid returns the DUID of DHCPv6.
func (id clientID) duid() []byte {
	if id.kind == specs.ClientIDMAC {
		return append([]byte{0, duidLL, 0, idEthernet}, id.mac[:]...)
	}
	sum := id.sum()
	return append([]byte{0, duidUUID}, sum[:16]...)
}

// iaid returns the identifier of the interface among those of its container.
func (id clientID) iaid() [4]byte {
	sum := digest.Sum([]byte(id.ifname))
	return [4]byte(sum[:])
}

func (id clientID) sum() [digest.Size]byte {
	return digest.Sum(binary.BigEndian.AppendUint16([]byte(strings.Join([]string{id.network, id.container, id.ifname},
		"\x00")), duidUUID))
}

// dhcpHostname returns the name that is sent to a DHCP server: the container's, without
// its Kubernetes or nerdctl namespace; its hostname if the name is only an ID; or "" if
// neither can be a host's.
func dhcpHostname(name, hostname string) string {
	name = name[strings.LastIndexByte(name, '/')+1:]
	short := text.ShortID(name)
	if short != name && isHostname(hostname) {
		return hostname
	}
	if !isHostname(short) {
		return ""
	}
	return short
}

// maxHostname is the longest name of a host in bytes (RFC 1035 section 3.1, as text).
const maxHostname = 253

// isHostname reports whether a name can be a host's (RFC 1123 section 2.1): labels with
// dots between, and no address.
func isHostname(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil || len(s) > maxHostname {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if !isLabel(label) {
			return false
		}
	}
	return true
}

func isLabel(s string) bool {
	bad := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
	}
	return s != "" && len(s) <= 63 && !strings.ContainsFunc(s, bad) && s[0] != '-' && s[len(s)-1] != '-'
}
