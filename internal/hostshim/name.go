package hostshim

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"

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
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d", network, n))
	hash := strings.ToLower(base32.HexEncoding.EncodeToString(sum[:]))
	return prefix + hash[:specs.MaxInterfaceName-len(prefix)]
}
