package docker

import (
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"berth/ipam"
	"berth/specs"
)

// pools returns the subnets of both families.
func (c *CreateNetwork) pools() []Pool { return slices.Concat(c.IPv4Data, c.IPv6Data) }

// noSpace is the address space of docker's IPAM driver null, which gives out no addresses. Its
// networks can have addresses that docker does not know.
const noSpace = "null"

// localSpace is the address space of docker's own IPAM driver, which chooses the addresses of a
// network without --ipam-driver.
const localSpace = "LocalDefault"

// Space returns the address space of the network: the one by which the driver finds the network
// of an address, or noSpace, or one of the network's own if docker chooses its addresses (see
// [CreateNetwork.ByDocker]).
func (c *CreateNetwork) Space() (string, error) {
	pools := c.pools()
	if len(pools) == 0 {
		return "", specs.Invalid("--subnet", "", "the subnet of the network, with --ipam-driver berth")
	}
	space := pools[0].AddressSpace
	if slices.ContainsFunc(pools, func(p Pool) bool { return p.AddressSpace != space }) {
		space = ""
	}
	switch {
	case space == noSpace || addressSpace.MatchString(space):
		return space, nil
	case space == localSpace && networkID.MatchString(c.NetworkID):
		return "docker-" + c.NetworkID[:16], nil
	}
	return "", specs.Invalid("--ipam-driver", space, "berth beside -d berth, because the address space is another "+
		"driver's: docker network create -d berth --ipam-driver berth --subnet …")
}

// ByDocker reports whether docker's own IPAM driver chooses the addresses. Then the driver
// reserves each of them when docker creates an endpoint with it.
func (c *CreateNetwork) ByDocker() bool {
	return slices.ContainsFunc(c.pools(), func(p Pool) bool { return p.AddressSpace == localSpace })
}

// addressPools returns the subnets from which docker gives out addresses.
func (c *CreateNetwork) addressPools() []Pool {
	return slices.DeleteFunc(c.pools(), func(p Pool) bool { return p.AddressSpace == noSpace })
}

// generic returns the options of the command line.
func (c *CreateNetwork) generic() (map[string]string, error) {
	given, ok := c.Options[optionGeneric].(map[string]any)
	if !ok && c.Options[optionGeneric] != nil {
		return nil, specs.Invalid(optionGeneric, "", "an object of options")
	}
	options := make(map[string]string, len(given))
	for key, value := range given {
		text, ok := value.(string)
		if !ok {
			return nil, specs.Invalid("-o "+key, "", "a string")
		}
		options[key] = text
	}
	if mode, given := options[optionMode]; given {
		if _, twice := options["mode"]; twice {
			return nil, specs.Invalid("-o "+optionMode, mode, "no value beside -o mode")
		}
		delete(options, optionMode)
		options["mode"] = mode
	}
	return options, nil
}

func (c *CreateNetwork) internal() bool {
	is, _ := c.Options[optionInternal].(bool)
	return is
}

// Selection returns the interface that every container on the network requests.
func (c *CreateNetwork) Selection() (specs.Selection, error) {
	options, err := c.generic()
	if err != nil {
		return specs.Selection{}, err
	}
	if _, named := options[optionNetwork]; named {
		n := specs.NetavarkNetwork{Options: options, Internal: c.internal()}
		return n.Selection()
	}
	n, err := c.inPlace(options)
	if err != nil {
		return specs.Selection{}, err
	}
	s, err := n.Selection()
	if err != nil {
		return s, err
	}
	return s, c.addExclusions(s.InPlace)
}

// inPlace returns a network that only docker has in the form of podman's, which has the same
// options.
func (c *CreateNetwork) inPlace(options map[string]string) (*specs.NetavarkNetwork, error) {
	type subnet struct {
		Subnet  netip.Prefix `json:"subnet"`
		Gateway string       `json:"gateway,omitempty"`
	}
	var subnets []subnet
	for _, p := range c.addressPools() {
		gateway, _, _ := strings.Cut(p.Gateway, "/")
		subnets = append(subnets, subnet{p.Pool.Masked(), gateway})
	}
	text, err := json.Marshal(map[string]any{"options": options, "internal": c.internal(), "subnets": subnets})
	if err != nil {
		return nil, err
	}
	return specs.ParseNetavarkNetwork(text)
}

// addExclusions keeps docker's auxiliary addresses from containers.
func (c *CreateNetwork) addExclusions(n *specs.Network) error {
	for _, p := range c.addressPools() {
		for _, name := range slices.Sorted(maps.Keys(p.AuxAddresses)) {
			text, _, _ := strings.Cut(p.AuxAddresses[name], "/")
			a, err := netip.ParseAddr(text)
			s := n.SubnetOf(a)
			if err != nil || s == nil {
				return specs.Invalid("--aux-address", name+"="+text, "an address in the subnet %s", p.Pool)
			}
			s.Exclude = append(s.Exclude, specs.ExcludeAddr(a))
		}
	}
	return nil
}

// checkSource refuses a network whose addresses docker's IPAM driver does not fit: docker requests
// each address before the container has an interface, and can do so only from berth's pools.
func (c *CreateNetwork) checkSource(n *specs.Network) error {
	space, err := c.Space()
	if err != nil {
		return err
	}
	foreign := n.IPAM == specs.IPAMDHCP || n.IPAM == specs.IPAMNone
	pooled := !foreign && n.IPv6 != specs.IPv6DHCP && n.IPv6 != specs.IPv6SLAAC
	switch {
	case space == noSpace && pooled:
		return specs.Invalid("--ipam-driver", "null", "berth, for addresses that docker inspect shows: "+
			"docker network create -d berth --ipam-driver berth --subnet …")
	case space != noSpace && !pooled:
		return specs.Invalid("--ipam-driver", "berth",
			"null, without --subnet: docker requests an address before the container has an interface, "+
				"so it can only do so if berth gives out all of them (ipam = \"local\", without ipv6 = \"slaac\" or \"dhcp\")")
	}
	return nil
}

// checkDefinition checks the network of a selection: one in place, or one of berth's that it names.
func (c *CreateNetwork) checkDefinition(of *specs.Selection, n *specs.Network) error {
	if of.InPlace != nil {
		return ipam.CheckPools(n)
	}
	return c.checkNamed(n)
}

// checkNamed compares docker's part with the network of berth's that it names: docker gives each
// container an address of each family, and shows it.
func (c *CreateNetwork) checkNamed(n *specs.Network) error {
	if len(c.addressPools()) == 0 {
		return nil
	}
	var covered [2]bool
	for _, p := range c.pools() {
		gateway, err := p.gateway()
		if err != nil {
			return err
		}
		if err := n.CheckRepeated(specs.Subnet{Subnet: p.Pool, Gateway: gateway}); err != nil {
			return err
		}
		s := n.SubnetOf(p.Pool.Addr())
		if !gateway.IsValid() && s.Gateway.IsValid() && c.ByDocker() {
			return specs.Invalid("--gateway", "", "%s, the gateway of the network %q, because docker chooses the addresses; "+
				"or --ipam-driver berth", s.Gateway, n.Name)
		}
		covered[familyOf(s)] = true
		for name, text := range p.AuxAddresses {
			return specs.Invalid("--aux-address", name+"="+text,
				"nothing beside -o network; set exclude in the file of the network %q", n.Name)
		}
	}
	for i := range n.Subnets {
		if s := &n.Subnets[i]; !covered[familyOf(s)] {
			return specs.Invalid("--subnet", "", "one of each family of the network %q, with --ipv6 for IPv6: %s",
				n.Name, n.SubnetOptions())
		}
	}
	return nil
}

// gateway returns the address of docker's gateway, or the zero Addr if there is none.
func (p *Pool) gateway() (a netip.Addr, err error) {
	text, _, _ := strings.Cut(p.Gateway, "/")
	if text == "" {
		return a, nil
	}
	if a, err = netip.ParseAddr(text); err != nil {
		return a, specs.Invalid("--gateway", p.Gateway, "an IP address")
	}
	return a, nil
}

func familyOf(s *specs.Subnet) int {
	if s.Subnet.Addr().Is4() {
		return 0
	}
	return 1
}

// gateways returns the gateways by which docker sets the default routes.
func (c *CreateNetwork) gateways(n *specs.Network, s *specs.Selection) (j Joined) {
	j.DisableGatewayService = true
	if !*n.DefaultRoute {
		return j
	}
	for _, ip := range s.IPs {
		subnet := n.SubnetOf(ip.Addr)
		switch {
		case subnet == nil || !subnet.Gateway.IsValid():
		case ip.Addr.Is4():
			j.Gateway = subnet.Gateway.String()
		default:
			j.GatewayIPv6 = subnet.Gateway.String()
		}
	}
	return j
}
