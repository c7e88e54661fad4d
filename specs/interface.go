package specs

import "strings"

// MaxInterfaceName is the longest name of an interface in bytes: IFNAMSIZ less
// the final NUL (include/uapi/linux/if.h).
const MaxInterfaceName = 15

// CheckInterfaceName holds a name to what the kernel takes (dev_valid_name in
// net/core/dev.c), refuses "lo", which every namespace has, and "%", which the
// kernel would replace by a number.
func CheckInterfaceName(name string) error {
	if name == "lo" || name == "all" || name == "default" {
		return Invalid("", name, "a name that the kernel does not use itself")
	}
	return checkName(name)
}

// checkName is CheckInterfaceName for an interface that there may be already.
func checkName(name string) error {
	switch {
	case name == "" || name == "." || name == "..":
		return Invalid("", name, "a name of 1 to %d bytes", MaxInterfaceName)
	case len(name) > MaxInterfaceName:
		return Invalid("", name, "at most %d bytes, it has %d", MaxInterfaceName, len(name))
	case strings.ContainsFunc(name, badInName):
		return Invalid("", name, "letters, digits and punctuation without '/', ':', '%%' or blanks")
	}
	return nil
}

func badInName(r rune) bool {
	return r <= ' ' || r > '~' || strings.ContainsRune("/:%", r)
}
