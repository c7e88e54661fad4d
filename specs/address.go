package specs

import "net/netip"

// special returns the blocks in which no host of a LAN has an address: this
// network, loopback, multicast, reserved (RFC 6890, RFC 5771), and in IPv6
// loopback, IPv4-mapped and multicast (RFC 4291 section 2.4).
func special() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8"),
		netip.MustParsePrefix("224.0.0.0/4"), netip.MustParsePrefix("240.0.0.0/4"),
		netip.MustParsePrefix("::/128"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("ff00::/8"),
	}
}

// noHosts returns a special block that a prefix overlaps, or "" if none.
func noHosts(p netip.Prefix) string {
	if p.Addr().Is4In6() {
		return "::ffff:0:0/96"
	}
	for _, block := range special() {
		if block.Overlaps(p) {
			return block.String()
		}
	}
	return ""
}

// UnroutableReason returns the block that contains the whole prefix, if its frames
// never leave a host: this network, loopback and the limited broadcast address
// (RFC 6890), and of IPv6 the unspecified, loopback and IPv4-mapped addresses
// (RFC 4291 section 2.5). Routes to others are possible: 0.0.0.0/1, 224.0.0.0/4.
func UnroutableReason(p netip.Prefix) string {
	if p.Addr().Is4In6() {
		return "::ffff:0:0/96"
	}
	for _, block := range nowhere() {
		if block.Contains(p.Addr()) && block.Bits() <= p.Bits() {
			return block.String()
		}
	}
	return ""
}

func nowhere() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("255.255.255.255/32"),
		netip.MustParsePrefix("::/128"), netip.MustParsePrefix("::1/128"),
	}
}

// LastAddr returns the highest address of a prefix, IPv4's broadcast address.
func LastAddr(p netip.Prefix) netip.Addr {
	bytes := p.Masked().Addr().AsSlice()
	for bit := p.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ := netip.AddrFromSlice(bytes)
	return last
}

// IsUnicast reports whether a host of a LAN can have an address: none of the special
// blocks contains it, and it has no zone.
func IsUnicast(a netip.Addr) bool {
	return a.IsValid() && a.Zone() == "" && noHosts(netip.PrefixFrom(a, a.BitLen())) == ""
}
