package network

import "errors"

// Errors about what is there already, or is not.
var (
	// ErrNoLink is returned when a link does not exist, or no longer.
	ErrNoLink = errors.New("no such interface")

	// ErrNoNamespace is returned when a namespace id belongs to no namespace
	// (it died), or when the process whose namespace was asked for has ended.
	ErrNoNamespace = errors.New("no such network namespace")

	// ErrNameTaken is returned when the namespace has an interface of that
	// name already, or one with that name as an alternative.
	ErrNameTaken = errors.New("interface name is taken")

	// ErrExists is returned when an address or a route is there already.
	ErrExists = errors.New("already there")

	// ErrMACInUse is returned when a macvlan is set up while its parent, or
	// another macvlan of the parent in whatever namespace, has the same MAC.
	ErrMACInUse = errors.New("MAC is in use on this parent")

	// ErrAddressInUse is returned when another ipvlan interface of the same
	// parent has the address.
	ErrAddressInUse = errors.New("address is in use on this parent")
)

// IsGone reports whether an error says that a link is not there, be it alone or
// with its namespace.
func IsGone(err error) bool { return errors.Is(err, ErrNoLink) || errors.Is(err, ErrNoNamespace) }

// Errors about what a parent can carry.
var (
	// ErrNotEthernet is returned for a parent that is a loopback or has no
	// Ethernet header, as tun and WireGuard interfaces.
	ErrNotEthernet = errors.New("not an Ethernet interface")

	// ErrStacked is returned for a parent that is a macvlan or ipvlan itself.
	ErrStacked = errors.New("is itself an interface on another parent")

	// ErrParentBusy is returned when a parent cannot carry the interface
	// beside what it carries already.
	ErrParentBusy = errors.New("parent is in other use")

	// ErrParentDown is returned when a VLAN cannot be set up because its
	// trunk is down.
	ErrParentDown = errors.New("parent is down")

	// ErrMTU is returned for an MTU above the parent's.
	ErrMTU = errors.New("MTU is above the parent's")

	// ErrVLAN is returned when an interface has the name of a VLAN of its
	// trunk, but is another VLAN.
	ErrVLAN = errors.New("is another VLAN than its name says")
)

// ErrUnreachable is returned for a route whose gateway is on no subnet of the
// interface.
var ErrUnreachable = errors.New("gateway is not reachable on the interface")

// LeastKernel is the first version of Linux that has what berth cannot do
// without: SO_NETNS_COOKIE, by which a network namespace is known. Atomic
// operations of BPF with a result are older (5.12).
const LeastKernel = "5.14"

// ErrOldKernel is wrapped when the kernel is older than [LeastKernel].
var ErrOldKernel = errors.New("this kernel is too old: berth needs Linux " + LeastKernel + " or newer (SO_NETNS_COOKIE)")

// ErrUnsupported is wrapped, together with [errors.ErrUnsupported], when the
// kernel lacks a driver or protocol; the text names its configuration option.
var ErrUnsupported = unsupported{}

type unsupported struct{}

func (unsupported) Error() string        { return "not in this kernel" }
func (unsupported) Is(target error) bool { return target == errors.ErrUnsupported }
