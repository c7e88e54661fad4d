package hook

import (
	"errors"
	"fmt"

	"berth/network"
)

// explainCreate adds a remedy to the kernel's refusal of a new interface.
func (a *attaching) explainCreate(in *Interface, err error) error {
	what := fmt.Errorf("create %s %q on %q: %w", in.Net.Driver, in.Name, in.On.Name, err)
	switch {
	case errors.Is(err, network.ErrNameTaken):
		return in.At(errNameInUse(in))
	case errors.Is(err, network.ErrParentBusy):
		return fmt.Errorf("%w; see: berth check %s", what, in.Net.Parent)
	case errors.Is(err, network.ErrUnsupported):
		return fmt.Errorf("%w; load it (modprobe %s), or use a kernel that has it", what, in.Net.Driver)
	}
	return what
}

func errNameInUse(in *Interface) error {
	return fmt.Errorf("the container has an interface %q already; request another name", in.Name)
}
