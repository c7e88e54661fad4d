package cli

import (
	"errors"
	"fmt"

	"berth/network"
	"berth/specs"
)

// lookUpParent returns why an interface of the host can be no parent now.
func lookUpParent(name string) error {
	h, err := network.NewHandle()
	if err != nil {
		return err
	}
	defer h.Close()
	_, err = h.Parent(name)
	return err
}

// parentProblem returns what keeps containers from starting on a parent as the
// host is now; "": nothing. A VLAN needs only its trunk, because it is made on
// demand.
func parentProblem(name string, lookUp func(string) error) string {
	err := lookUp(name)
	if trunk, _, isVLAN := specs.SplitVLAN(name); isVLAN && errors.Is(err, network.ErrNoLink) {
		err = lookUp(trunk)
	}
	if err == nil {
		return ""
	}
	return fmt.Sprintf("warning: no container can start on it yet: %v", err)
}
