package cli

import (
	"errors"
	"fmt"

	"berth/network"
	"berth/specs"
)

// lookUpParent returns an interface of the host, or why it can be no parent now.
func lookUpParent(name string) (*network.Parent, error) {
	h, err := network.NewHandle()
	if err != nil {
		return nil, err
	}
	defer h.Close()
	return h.Parent(name)
}

// parentProblem returns what keeps containers with an MTU from starting on a
// parent as the host is now; "": nothing. A VLAN needs only its trunk, because
// it is made on demand.
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

// ipv6Problem returns what keeps containers from starting on a network with
// IPv6 if the kernel has none for the reason given; "" if nothing does.
func ipv6Problem(n *specs.Network, none error) string {
	if none == nil || network.IPv6SettingsOf(n, n.HasIPv6()).Off() {
		return ""
	}
	return fmt.Sprintf("warning: no container can start on it: it has IPv6, and %v", none)
}
