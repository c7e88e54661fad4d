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
	maxNames = 8 // names that are tried before a network has none
)

// interfaceName returns the name of a network's shim, the same each time as
// long as nobody else has it: "berth-lan"; for a longer name of a network, or
// where that is taken, a hash of it.
func interfaceName(network string, taken func(string) bool) (string, error) {
	for n := range maxNames {
		if name := candidate(network, n); name != "" && !taken(name) {
			return name, nil
		}
	}
	return "", fmt.Errorf("interface for the host on network %q: the names %s and so on are taken: rename an interface of the host",
		network, candidate(network, 1))
}

// candidate returns the n-th name to try, "" where that is none.
func candidate(network string, n int) string {
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
