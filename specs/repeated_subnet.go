package specs

import (
	"net/netip"
	"strings"
)

// CheckRepeated compares a subnet that an engine's network repeats of a network of berth's with
// the network's own, and its gateway and range if it has them.
func (n *Network) CheckRepeated(s Subnet) error {
	own := n.SubnetOf(s.Subnet.Addr())
	switch {
	case own == nil || own.Subnet != s.Subnet.Masked():
		return Unusable("--subnet", s.Subnet.String(), "network %q has %s; give one of its subnets (docker chooses "+
			"another if none is given, podman needs none)", n.Name, n.SubnetOptions())
	case s.Gateway.IsValid() && s.Gateway != own.Gateway:
		return Unusable("--gateway", s.Gateway.String(), "network %q has %s; leave --gateway out", n.Name,
			addrText(own.Gateway, "no gateway"))
	case s.IPRange.IsValid() && s.IPRange != own.IPRange:
		return Unusable("--ip-range", s.IPRange.String(), "network %q gives out addresses of %s; leave --ip-range out",
			n.Name, own.given())
	}
	return nil
}

// given returns the part of the subnet from which addresses are given out.
func (s *Subnet) given() netip.Prefix {
	if s.IPRange.IsValid() {
		return s.IPRange
	}
	return s.Subnet
}

func addrText(a netip.Addr, none string) string {
	if !a.IsValid() {
		return none
	}
	return a.String()
}

// SubnetOptions returns the subnets as options of a command line.
func (n *Network) SubnetOptions() string {
	var all []string
	for _, s := range n.Subnets {
		all = append(all, "--subnet "+s.Subnet.String())
	}
	return strings.Join(all, " ")
}
