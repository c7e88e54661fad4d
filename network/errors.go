package network

import "errors"

// Errors about links, namespaces and addresses that exist already or do not exist.
var (
	// ErrNoLink is returned if a link does not exist or was deleted.
	ErrNoLink = errors.New("no such interface")

	// ErrNoNamespace is returned if no namespace has the given ID (it has ended), or
	// if the process with the namespace has ended.
	ErrNoNamespace = errors.New("no such network namespace")

	// ErrNameTaken is returned if an interface of the namespace already has the name,
	// as its own or as an alternative one.
	ErrNameTaken = errors.New("the interface name is in use")

	// ErrTooLong is returned for a link whose description by the kernel has more than 64 KiB: a
	// macvlan in mode source with more than about 5,400 MACs, or a link with some 480 long
	// alternative names. A container with CAP_NET_ADMIN can add them.
	ErrTooLong = errors.New("the kernel's description of it is longer than 64 KiB")

	// ErrExists is returned if an address or a route exists already.
	ErrExists = errors.New("it exists already")

	// ErrMACInUse is returned if a macvlan is set up while its parent, or another
	// macvlan of the parent in any namespace, has the same MAC.
	ErrMACInUse = errors.New("the MAC is in use on this parent")

	// ErrAddressInUse is returned if another ipvlan interface of the same parent has
	// the address.
	ErrAddressInUse = errors.New("the address is in use on this parent")
)

// IsGone reports whether an error means that a link does not exist, or that its
// namespace does not.
func IsGone(err error) bool { return errors.Is(err, ErrNoLink) || errors.Is(err, ErrNoNamespace) }

// Errors about the interfaces that a parent can carry.
var (
	// ErrNotEthernet is returned for a parent that is a loopback or has no Ethernet
	// header, as tun and WireGuard interfaces.
	ErrNotEthernet = errors.New("not an Ethernet interface")

	// ErrStacked is returned for a parent that is itself a macvlan or ipvlan.
	ErrStacked = errors.New("a macvlan or ipvlan cannot be a parent")

	// ErrParentBusy is returned if a parent cannot carry the interface because of one
	// that it already carries.
	ErrParentBusy = errors.New("the parent is in use")

	// ErrParentDown is returned if a VLAN cannot be set up because its trunk is down.
	ErrParentDown = errors.New("the parent is down")

	// ErrMTU is returned for an MTU above the parent's.
	ErrMTU = errors.New("the MTU is above the parent's")

	// ErrVLAN is returned if an interface has the name of a VLAN of its trunk, but is
	// another VLAN.
	ErrVLAN = errors.New("the VLAN id is not that of the name")
)

// ErrUnreachable is returned for a route if no subnet of the interface contains its
// gateway.
var ErrUnreachable = errors.New("the gateway is not reachable on the interface")

// LeastKernel is the first version of Linux with SO_NETNS_COOKIE, by which berth
// identifies a network namespace. Atomic operations of BPF that return a result are
// older (5.12).
const LeastKernel = "5.14"

// ErrOldKernel is wrapped if the kernel is older than [LeastKernel].
var ErrOldKernel = errors.New("this kernel is too old: berth needs Linux " + LeastKernel +
	" or newer (SO_NETNS_COOKIE)")

// ErrUnsupported is wrapped, together with [errors.ErrUnsupported], if the kernel
// lacks a driver or protocol; the text names its configuration option.
var ErrUnsupported = unsupported{}

type unsupported struct{}

func (unsupported) Error() string        { return "not in this kernel" }
func (unsupported) Is(target error) bool { return target == errors.ErrUnsupported }
