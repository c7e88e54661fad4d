package specs

import "strings"

// MaxInterfaceName is the longest name of an interface in bytes: IFNAMSIZ less
// the final NUL (include/uapi/linux/if.h).
const MaxInterfaceName = 15

// CheckInterfaceName checks a name against the rules of the kernel
// (dev_valid_name in net/core/dev.c). It also refuses "lo", which exists in
// every namespace, and "%", which the kernel would replace by a number.
func CheckInterfaceName(name string) error {
	if name == "lo" || name == "all" || name == "default" {
		return Unusable("", name, "the kernel uses this name itself")
	}
	return checkName(name)
}

// checkName does the same as CheckInterfaceName for an existing interface.
func checkName(name string) error { return checkNameOf(name, MaxInterfaceName) }

// maxAltName is the longest alternative name of an interface in bytes: ALTIFNAMSIZ
// less the final NUL (include/uapi/linux/if.h).
const maxAltName = 127

func checkNameOf(name string, most int) error {
	switch {
	case name == "" || name == "." || name == "..":
		return Invalid("", name, "a name of 1 to %d bytes", most)
	case len(name) > most:
		return Invalid("", name, "at most %d bytes instead of %d", most, len(name))
	case strings.ContainsFunc(name, badInName):
		return Invalid("", name, "letters, digits and punctuation without '/', ':', '%%' or blanks")
	}
	return nil
}

func badInName(r rune) bool {
	return r <= ' ' || r > '~' || strings.ContainsRune("/:%", r)
}
