package specs

import (
	"net"
	"net/netip"
)

// MAC is a 48-bit IEEE 802 address. It is comparable, so it may be a map key;
// the zero value means "none".
type MAC [6]byte

// ParseMAC reads six octets in any notation of net.ParseMAC. It refuses
// multicast and all-zero addresses, which no interface can have
// (is_valid_ether_addr in include/linux/etherdevice.h).
func ParseMAC(s string) (MAC, error) {
	hw, err := net.ParseMAC(s)
	if err != nil || len(hw) != 6 {
		return MAC{}, Invalid("", s, "a MAC address of six octets, as 02:00:5e:00:53:01")
	}
	m := MAC(hw)
	switch {
	case m.IsZero():
		return MAC{}, Invalid("", s, "a MAC address that is not all zero")
	case m.IsMulticast():
		return MAC{}, Invalid("", s, "a unicast MAC address; the lowest bit of the first octet must be 0")
	}
	return m, nil
}

// IsZero reports whether m is unset.
func (m MAC) IsZero() bool { return m == MAC{} }

// IsMulticast reports whether the group bit is set (IEEE 802-2014, 8.2.2);
// the broadcast address has it too.
func (m MAC) IsMulticast() bool { return m[0]&1 == 1 }

// LinkLocal returns the IPv6 link-local address of an interface with the MAC: the modified EUI-64
// (RFC 4291, appendix A), which the kernel forms with addr_gen_mode 0, its default. It forms
// others for ipvlan interfaces, as they share a MAC (addrconf_ifid_eui48 in
// include/net/addrconf.h).
func (m MAC) LinkLocal() netip.Addr {
	return netip.AddrFrom16([16]byte{
		0: 0xfe, 1: 0x80, 8: m[0] ^ 2, 9: m[1], 10: m[2], 11: 0xff, 12: 0xfe, 13: m[3], 14: m[4], 15: m[5],
	})
}

// String returns the address as lower-case octets with colons, or "" if unset.
func (m MAC) String() string {
	if m.IsZero() {
		return ""
	}
	return net.HardwareAddr(m[:]).String()
}

// MarshalText implements encoding.TextMarshaler.
func (m MAC) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; "" is the zero MAC.
func (m *MAC) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*m = MAC{}
		return nil
	}
	*m, err = ParseMAC(string(text))
	return err
}
