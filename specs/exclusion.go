package specs

import (
	"net/netip"
	"strings"
)

// Exclusion is a part of a subnet that is never given out: one address, or a
// prefix. In text form, one address has no prefix length.
type Exclusion struct {
	Prefix netip.Prefix
}

// ExcludeAddr returns the exclusion of one address.
func ExcludeAddr(a netip.Addr) Exclusion { return Exclusion{netip.PrefixFrom(a, a.BitLen())} }

// ParseExclusion reads an address or a prefix.
func ParseExclusion(s string) (Exclusion, error) {
	if !strings.Contains(s, "/") {
		if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
			return ExcludeAddr(a), nil
		}
	} else if p, err := netip.ParsePrefix(s); err == nil && p != p.Masked() {
		return Exclusion{}, Invalid("", s, "the prefix's own first address: %s", p.Masked())
	} else if err == nil {
		return Exclusion{p}, nil
	}
	return Exclusion{}, Invalid("", s, "an address or a prefix, as 192.0.2.70 or 192.0.2.96/28")
}

// Contains reports whether an address is excluded.
func (e Exclusion) Contains(a netip.Addr) bool { return e.Prefix.Contains(a) }

// String returns the address, or the prefix if it has several addresses.
func (e Exclusion) String() string {
	if e.Prefix.IsSingleIP() {
		return e.Prefix.Addr().String()
	}
	return e.Prefix.String()
}

// MarshalText implements encoding.TextMarshaler.
func (e Exclusion) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (e *Exclusion) UnmarshalText(text []byte) (err error) {
	*e, err = ParseExclusion(string(text))
	return err
}
