package hook

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// explainCreate says what the kernel's refusal of a new interface means.
func (a *attaching) explainCreate(in *Interface, err error) error {
	what := fmt.Errorf("create %s %q on %q: %w", in.Net.Driver, in.Name, in.On.Name, err)
	switch {
	case errors.Is(err, network.ErrNameTaken):
		return specs.Invalid(in.Key+".interface", in.Name, "a name that is free in the container's namespace")
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("%w: %q is a port of a bridge or bond, or carries the other of macvlan and ipvlan: use an interface that is free", what, in.On.Name)
	case errors.Is(err, unix.EINVAL) && in.Net.Driver == specs.Macvlan:
		return fmt.Errorf("%w: a passthru interface excludes every other macvlan on its parent, and one that is not berth's is there (ip -d link)", what)
	case errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%w: this kernel has no %s: modprobe %s", what, in.Net.Driver, in.Net.Driver)
	}
	return what
}

// explainUp says what the kernel's refusal to bring an interface up means.
func (a *attaching) explainUp(r *state.Attachment, err error) error {
	if errors.Is(err, network.ErrMACInUse) {
		return specs.Invalid("mac", r.MAC.String(), "a MAC that no other interface on %q has", r.Parent)
	}
	return fmt.Errorf("set %q up: %w", r.Interface, err)
}

// ipv6Settings is what an interface does about IPv6: static where it gets an
// address, else as the network says.
func ipv6Settings(in *Interface) network.IPv6Settings {
	return network.IPv6Settings{
		Mode:   in.Net.IPv6,
		Static: len(in.Pools[ipv6]) > 0 || hasFamily(in.Static, ipv6),
	}
}
