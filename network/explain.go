package network

import (
	"errors"
	"fmt"

	"berth/specs"

	"golang.org/x/sys/unix"
)

// explainCreate finds the reason for which the kernel refused to make a link. It looks
// things up only after a failure, so that a success pays nothing.
func (h *Handle) explainCreate(l Link, err error) error {
	switch {
	case isErrno(err, unix.ENODEV) && !errors.Is(err, ErrNoLink):
		return fmt.Errorf("parent %d: %w", l.ParentIndex, ErrNoLink)
	case isErrno(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%w: driver %s (%s)", ErrUnsupported, l.Driver, configOf(l.Driver))
	case isErrno(err, unix.EBUSY):
		return fmt.Errorf("%w by a bridge or bond, or by interfaces of another driver (%w)", ErrParentBusy, err)
	case isErrno(err, unix.EINVAL):
		return h.explainInvalid(l, err)
	case isErrno(err, unix.EPERM):
		return fmt.Errorf("%w: CAP_NET_ADMIN is required in the namespaces of the host and the container", err)
	}
	return err
}

// configOf returns the kernel's option of a driver.
func configOf(d specs.Driver) string {
	if d == specs.IPvlan {
		return "CONFIG_IPVLAN"
	}
	return "CONFIG_MACVLAN"
}

// explainInvalid distinguishes the reasons for EINVAL (macvlan_common_newlink in
// drivers/net/macvlan.c, ipvlan_link_new in drivers/net/ipvlan/ipvlan_main.c).
func (h *Handle) explainInvalid(l Link, err error) error {
	parent, lookup := h.LinkByIndex(l.ParentIndex)
	switch {
	case lookup != nil:
		return errors.Join(err, lookup)
	case !parent.Ethernet || parent.Loopback:
		return fmt.Errorf("parent %q is %w", parent.Name, ErrNotEthernet)
	case l.MTU > parent.MTU:
		return fmt.Errorf("%w: %d is requested, and parent %q has %d", ErrMTU, l.MTU, parent.Name, parent.MTU)
	case l.Mode == specs.ModePassthru:
		return fmt.Errorf("%w: passthru needs %q alone, and another macvlan is on it", ErrParentBusy, parent.Name)
	case l.Driver == specs.Macvlan:
		return fmt.Errorf("%w: a passthru interface may be on %q (%w)", ErrParentBusy, parent.Name, err)
	}
	return err
}
