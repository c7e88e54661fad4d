package hostshim

import (
	"fmt"
	"net/netip"

	"berth/internal/state"
	"berth/ipam"
	"berth/network"
	"berth/specs"
)

// hostState are the inputs of a plan: the state of the host.
type hostState struct {
	on        *network.Parent // the parent, or the trunk of a VLAN that does not exist yet
	makeVLAN  int             // ID of the VLAN to make, or 0 if on is the parent
	vlans     []state.VLAN    // the VLANs of the parent, existing or to make, the inner first
	addresses []netip.Addr    // the host's addresses
	links     map[string]bool // names of the host's interfaces
	occupants []network.Occupant
}

// plan describes the host's interface on a network.
type plan struct {
	net      *specs.Network
	on       *network.Parent
	makeVLAN int
	mtu      int // bytes
	static   []netip.Prefix
	pools    []*ipam.Pool // one address is taken from each
	reflect  bool         // set if the mode works only with a switch that reflects
}

// makePlan decides whether and how the host can join a network. It is pure. ips
// are the requested addresses.
func makePlan(n *specs.Network, ips []netip.Addr, f *hostState) (*plan, error) {
	if err := checkMode(n); err != nil {
		return nil, err
	}
	p := &plan{net: n, on: f.on, makeVLAN: f.makeVLAN, mtu: n.MTU, reflect: n.Mode == specs.ModeVEPA}
	if p.mtu == 0 {
		p.mtu = f.on.MTU
	}
	switch {
	case !f.on.Up:
		return nil, fmt.Errorf("parent %q is down; set it up: ip link set %s up", n.Parent, f.on.Name)
	case p.mtu > f.on.MTU:
		return nil, specs.Unusable("mtu", fmt.Sprint(p.mtu), "the parent %q has an MTU of only %d bytes", f.on.Name, f.on.MTU)
	}
	use := network.Use{Driver: n.Driver, Mode: n.Mode, Flag: n.IPvlanFlag}
	if err := network.CheckOccupants(use, f.occupants); err != nil {
		return nil, fmt.Errorf("parent %q: %w", n.Parent, err)
	}
	return p, p.setAddresses(ips, f.addresses)
}

// setAddresses chooses one address per subnet, because a container answers
// directly only to addresses of its own subnet.
func (p *plan) setAddresses(ips, host []netip.Addr) error {
	if len(p.net.Subnets) == 0 {
		return fmt.Errorf("network %q has no subnet, so berth knows neither the addresses of its containers nor the "+
			"routes to them", p.net.Name)
	}
	asked := make(map[netip.Prefix]bool)
	for _, ip := range ips {
		s := p.net.SubnetOf(ip)
		switch {
		case s == nil:
			return specs.Unusable("--ip", ip.String(), "no subnet of network %q contains it", p.net.Name)
		case asked[s.Subnet]:
			return specs.Unusable("--ip", ip.String(), "there is another --ip in the subnet %s", s.Subnet)
		}
		if err := ipam.PoolOf(p.net, *s, host).Allows(ip); err != nil {
			return specs.At("--ip", err)
		}
		asked[s.Subnet] = true
		p.static = append(p.static, netip.PrefixFrom(ip, s.Subnet.Bits()))
	}
	for _, s := range p.net.Subnets {
		if (p.net.IPAM == specs.IPAMLocal || p.net.Clustered()) && !asked[s.Subnet] {
			p.pools = append(p.pools, ipam.PoolOf(p.net, s, host))
		}
	}
	if len(p.static)+len(p.pools) == 0 {
		return fmt.Errorf("network %q has ipam = %q, so berth chooses no address for the host; give one by --ip",
			p.net.Name, p.net.IPAM)
	}
	return nil
}

// checkMode refuses the modes in which an interface of the host and those of
// containers do not reach each other (macvlan_queue_xmit and macvlan_handle_frame
// in drivers/net/macvlan.c, ipvlan_xmit_mode_l2 in
// drivers/net/ipvlan/ipvlan_core.c).
func checkMode(n *specs.Network) error {
	const instead = "use a network in mode bridge for the containers that the host must reach, or a router"
	refuse := func(key, value, reason string) error {
		return fmt.Errorf("%s %q keeps the host from its containers: %s; %s", key, value, reason, instead)
	}
	switch {
	case n.Mode == specs.ModePrivate:
		return refuse("mode", "private", "a private interface reaches no other interface of its parent")
	case n.Mode == specs.ModePassthru:
		return refuse("mode", "passthru", "the one container needs the parent alone")
	case n.Mode == specs.ModeSource:
		return refuse("mode", "source", "a container's frames go to the wire, and its ARP never comes back from there, "+
			"even if the switch reflects and source_macs has the host's MAC")
	case n.IPvlanFlag == specs.FlagPrivate, n.IPvlanFlag == specs.FlagVEPA:
		return refuse("ipvlan_flag", string(n.IPvlanFlag), "with this flag, interfaces of one parent do not reach each other")
	}
	return nil
}
