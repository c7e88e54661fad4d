package hook

import (
	"errors"
	"fmt"

	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// explainCreate says what to do about the kernel's refusal of a new interface.
func (a *attaching) explainCreate(in *Interface, err error) error {
	what := fmt.Errorf("create %s %q on %q: %w", in.Net.Driver, in.Name, in.On.Name, err)
	switch {
	case errors.Is(err, network.ErrNameTaken):
		return in.At(specs.Invalid("interface", in.Name, "a name that is free in the container's namespace"))
	case errors.Is(err, network.ErrParentBusy):
		return fmt.Errorf("%w; berth check %s says what is on it", what, in.Net.Parent)
	case errors.Is(err, network.ErrUnsupported):
		return fmt.Errorf("%w: modprobe %s, or another kernel", what, in.Net.Driver)
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
