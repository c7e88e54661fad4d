package network

import (
	"fmt"

	"berth/specs"
)

// Use describes the use that an interface makes of its parent.
type Use struct {
	Driver specs.Driver
	Mode   specs.Mode
	Flag   specs.IPvlanFlag // of ipvlan; "" is bridge
}

// SharingError is returned if two interfaces cannot be on one parent. It wraps
// [ErrParentBusy].
type SharingError struct {
	Holder string // the interface that is on the parent, with its owner
	There  Use    // that interface's use
	Rule   string // the rule that the new interface breaks
}

func (e *SharingError) Error() string {
	return fmt.Sprintf("%s (%s, mode %s) is on it, and %s", e.Holder, e.There.Driver, e.There.Mode, e.Rule)
}

func (e *SharingError) Unwrap() error { return ErrParentBusy }

// CheckSharing returns a *SharingError if an interface cannot be put on a parent beside
// another, which holder names. The rule is written here only:
//
//   - A parent carries interfaces of one driver: each registers a receive
//     handler with it, and a device has one (netdev_rx_handler_register).
//   - passthru takes a parent whole (macvlan_common_newlink in
//     drivers/net/macvlan.c).
//   - ipvlan keeps mode and flag with the parent. The kernel would give the mode
//     of a new interface to all (ipvlan_set_port_mode in
//     drivers/net/ipvlan/ipvlan_main.c), so berth refuses another.
func (u Use) CheckSharing(there Use, holder string) error {
	rule := ""
	switch {
	case u.Driver != there.Driver:
		rule = "a parent carries macvlan or ipvlan, not both"
	case u.Mode == specs.ModePassthru || there.Mode == specs.ModePassthru:
		rule = "passthru takes a parent whole"
	case u.Driver == specs.IPvlan && (u.Mode != there.Mode || orBridge(u.Flag) != orBridge(there.Flag)):
		rule = "all ipvlan interfaces of a parent have one mode and flag"
	default:
		return nil
	}
	return &SharingError{Holder: holder, There: there, Rule: rule}
}

func orBridge(f specs.IPvlanFlag) specs.IPvlanFlag {
	if f == "" {
		return specs.FlagBridge
	}
	return f
}
