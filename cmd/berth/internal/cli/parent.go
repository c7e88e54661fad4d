package cli

import (
	"errors"
	"fmt"

	"berth/network"
	"berth/specs"
)

// lookUpParent returns an interface of the host, or why it cannot be a parent now.
func lookUpParent(name string) (*network.Parent, error) {
	h, err := network.NewHandle()
	if err != nil {
		return nil, err
	}
	defer h.Close()
	return h.Parent(name)
}

// parentProblem returns why containers with an MTU cannot start on a parent in the host's
// present state, or "" if they can. A VLAN needs only its trunk, because it is created on
// demand.
func parentProblem(name string, mtu int, lookUp func(string) (*network.Parent, error)) string {
	p, err := lookUp(name)
	if trunk, _, isVLAN := specs.SplitVLAN(name); isVLAN && errors.Is(err, network.ErrNoLink) {
		p, err = lookUp(trunk)
	}
	if err == nil {
		err = p.CheckMTU(mtu)
	}
	if err == nil {
		return ""
	}
	return fmt.Sprintf("warning: no container can start on it yet: %v", err)
}

// ipv6Problem returns why containers cannot start on a network with IPv6 if the kernel has
// none for the reason given, or "" if they can.
func ipv6Problem(n *specs.Network, none error) string {
	if none == nil || network.IPv6SettingsOf(n, n.HasIPv6()).Off() {
		return ""
	}
	return fmt.Sprintf("warning: no container can start on it, because it has IPv6: %v", none)
}
