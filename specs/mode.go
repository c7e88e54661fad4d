package specs

import (
	"slices"
	"strings"
)

// Driver is the kind of interface on a network.
type Driver string

// The kernel's two drivers of this kind (drivers/net/macvlan.c,
// drivers/net/ipvlan).
const (
	Macvlan Driver = "macvlan"
	IPvlan  Driver = "ipvlan"
)

// Mode determines how interfaces of one parent reach each other. Its values are
// the kernel's names in iproute2's spelling.
type Mode string

// Modes of macvlan (MACVLAN_MODE_* in include/uapi/linux/if_link.h).
const (
	ModeBridge   Mode = "bridge"
	ModePrivate  Mode = "private"
	ModeVEPA     Mode = "vepa"
	ModePassthru Mode = "passthru"
	ModeSource   Mode = "source"
)

// Modes of ipvlan (IPVLAN_MODE_* in include/uapi/linux/if_link.h).
const (
	ModeL2  Mode = "l2"
	ModeL3  Mode = "l3"
	ModeL3S Mode = "l3s"
)

// IPvlanFlag is the isolation of an ipvlan interface (IPVLAN_F_* in
// include/uapi/linux/if_link.h); "" means bridge.
type IPvlanFlag string

// The flags of ipvlan.
const (
	FlagBridge  IPvlanFlag = "bridge"
	FlagPrivate IPvlanFlag = "private"
	FlagVEPA    IPvlanFlag = "vepa"
)

// Modes returns the modes of a driver, its default first, or none if the driver
// does not exist.
func Modes(d Driver) []Mode {
	switch d {
	case Macvlan:
		return []Mode{ModeBridge, ModePrivate, ModeVEPA, ModePassthru, ModeSource}
	case IPvlan:
		return []Mode{ModeL2, ModeL3, ModeL3S}
	}
	return nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Driver) UnmarshalText(text []byte) error {
	return oneOf(d, text, Macvlan, IPvlan)
}

// UnmarshalText implements encoding.TextUnmarshaler. [Network.Check] checks
// whether the driver has the mode.
func (m *Mode) UnmarshalText(text []byte) error {
	return oneOf(m, text, slices.Concat(Modes(Macvlan), Modes(IPvlan))...)
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (f *IPvlanFlag) UnmarshalText(text []byte) error {
	return oneOf(f, text, FlagBridge, FlagPrivate, FlagVEPA)
}

// oneOf sets to to the value in all that text spells, or returns an error that
// lists them.
func oneOf[T ~string](to *T, text []byte, all ...T) error {
	if !slices.Contains(all, T(text)) {
		return Invalid("", string(text), "one of %s", joinTexts(all))
	}
	*to = T(text)
	return nil
}

func joinTexts[T ~string](all []T) string {
	var words []string
	for _, v := range all {
		words = append(words, string(v))
	}
	return strings.Join(words, ", ")
}
