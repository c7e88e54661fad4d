package hook

import (
	"errors"
	"fmt"

	"berth/network"
	"berth/specs"
)

// explainCreate adds a remedy to the kernel's refusal of a new interface.
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
