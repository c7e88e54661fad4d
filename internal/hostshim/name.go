package hostshim

import (
	"fmt"

	"berth/internal/digest"
	"berth/specs"
)

const (
	prefix   = "berth-"
	maxNames = 8 // number of names to try
)

// interfaceName returns the name of a network's shim: "berth-lan", or a hash if the
// network's name is too long or that name is taken. The result is the same each time
// while no other link takes the name.
func interfaceName(network string, taken func(string) bool) (string, error) {
	for n := range maxNames {
		if name := candidateName(network, n); name != "" && !taken(name) {
			return name, nil
		}
	}
	return "", fmt.Errorf("name an interface of the host for network %q: %s and all further candidates are in use; "+
		"rename an interface of the host",
		network, candidateName(network, 1))
}

// candidateName returns the n-th name to try, or "" if it is not a valid interface name.
func candidateName(network string, n int) string {
	if n == 0 {
		if name := prefix + network; specs.CheckInterfaceName(name) == nil {
			return name
		}
		return ""
	}
	sum := digest.Sum(fmt.Appendf(nil, "%s\x00%d", network, n))
	return prefix + beginBase32(sum[:], specs.MaxInterfaceName-len(prefix))
}

// beginBase32 returns the first n digits of bytes in lower-case Base 32 with extended hex alphabet
// (RFC 4648, section 7). Package encoding/base32 costs three pages at every start of berth-hook.
func beginBase32(b []byte, n int) string {
	const digits = "0123456789abcdefghijklmnopqrstuv"
	text := make([]byte, n)
	for i := range text {
		at := 5 * i
		two := uint(b[at/8])<<8 | uint(b[at/8+1])
		text[i] = digits[two>>(11-at%8)&31]
	}
	return string(text)
}
