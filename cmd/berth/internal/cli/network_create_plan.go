package cli

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"berth/ipam"
	"berth/specs"
)

// parseNetwork returns the network that the flags define. The notes list settings that may
// surprise the user. Errors name the flag.
func (o *createFlags) parseNetwork(name string) (n *specs.Network, notes []string, err error) {
	if err := specs.CheckNetworkName(name); err != nil {
		return nil, nil, specs.At("NAME", err)
	}
	n = &specs.Network{Name: name}
	if err := n.Driver.UnmarshalText([]byte(o.driver)); err != nil {
		return nil, nil, specs.At("--driver", err)
	}
	if n.IPAM, err = o.parseIPAM(); err != nil {
		return nil, nil, err
	}
	rounded, err := o.addAddresses(n)
	if err != nil {
		return nil, nil, err
	}
	for _, option := range o.options {
		key, value, _ := strings.Cut(option, "=")
		if err := n.SetOption(key, value); err != nil {
			return nil, nil, err
		}
	}
	chosen := n.IPAM != ""
	n.SetDefaults()
	err = n.Check()
	if err == nil {
		err = ipam.CheckPools(n)
	}
	if err != nil {
		return nil, nil, asFlag(err)
	}
	if err := o.checkFamilies(n); err != nil {
		return nil, nil, err
	}
	return n, append(rounded, surprisingSettings(n, chosen)...), nil
}

func (o *createFlags) parseIPAM() (specs.IPAM, error) {
	switch o.ipamDriver {
	case "default":
		return "", nil
	case "null":
		return specs.IPAMNone, nil
	}
	var who specs.IPAM
	if who.UnmarshalText([]byte(o.ipamDriver)) != nil {
		return "", specs.Invalid("--ipam-driver", o.ipamDriver, "default, local, cluster, static, dhcp or none")
	}
	return who, nil
}

// addAddresses parses subnets, ranges, gateways and auxiliary addresses. A range given by
// another address than its first is rounded down, as docker does, with a note.
func (o *createFlags) addAddresses(n *specs.Network) (notes []string, err error) {
	for _, s := range o.subnets.splitItems() {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, specs.Invalid("--subnet", s, "an address and prefix length, as 192.0.2.0/24")
		}
		n.Subnets = append(n.Subnets, specs.Subnet{Subnet: p})
	}
	for _, s := range o.ranges.splitItems() {
		note, err := addRange(n, s)
		if err != nil {
			return nil, err
		}
		notes = append(notes, note...)
	}
	for _, s := range o.gateways.splitItems() {
		if err := addGateway(n, s); err != nil {
			return nil, err
		}
	}
	for _, s := range o.auxiliary {
		if err := addAuxiliary(n, s); err != nil {
			return nil, err
		}
	}
	return notes, nil
}

func addRange(n *specs.Network, s string) (note []string, err error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return nil, specs.Invalid("--ip-range", s, "an address and prefix length inside a subnet, as 192.0.2.64/26")
	}
	if p != p.Masked() {
		note = []string{fmt.Sprintf("--ip-range %s is the range %s", p, p.Masked())}
	}
	in, err := subnetOf(n, "--ip-range", s, p.Addr())
	if err != nil {
		return nil, err
	}
	if in.IPRange.IsValid() {
		return nil, specs.Unusable("--ip-range", s, "subnet %s already has the range %s", in.Subnet, in.IPRange)
	}
	in.IPRange = p.Masked()
	return note, nil
}

func addGateway(n *specs.Network, s string) error {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return specs.Invalid("--gateway", s, "the address of a router in a subnet, as 192.0.2.1")
	}
	served, err := subnetsOfGateway(n, s, a)
	if err != nil {
		return err
	}
	for _, in := range served {
		if in.Gateway.IsValid() {
			return specs.Unusable("--gateway", s, "subnet %s already has the gateway %s", in.Subnet, in.Gateway)
		}
		in.Gateway = a
	}
	return nil
}

// subnetsOfGateway returns the subnet that contains a router. A router outside of all
// subnets is reached on link: a link-local one serves each IPv6 subnet, any other the only
// subnet of its family.
func subnetsOfGateway(n *specs.Network, value string, a netip.Addr) ([]*specs.Subnet, error) {
	in, err := subnetOf(n, "--gateway", value, a)
	if err == nil {
		return []*specs.Subnet{in}, nil
	}
	var family []*specs.Subnet
	for i := range n.Subnets {
		if n.Subnets[i].Subnet.Addr().Is4() == a.Is4() {
			family = append(family, &n.Subnets[i])
		}
	}
	if len(family) == 1 || len(family) > 1 && a.Is6() && a.IsLinkLocalUnicast() {
		return family, nil
	}
	return nil, err
}

// addAuxiliary parses "[NAME=]ADDRESS", or a prefix; the name is only for people.
func addAuxiliary(n *specs.Network, s string) error {
	text := s
	if _, after, named := strings.Cut(s, "="); named {
		text = after
	}
	e, err := specs.ParseExclusion(text)
	if err != nil {
		return specs.Invalid("--aux-address", s,
			"[NAME=]ADDRESS inside a subnet, as router2=192.0.2.3, or a prefix, as 192.0.2.96/28")
	}
	in, err := subnetOf(n, "--aux-address", s, e.Prefix.Addr())
	if err != nil {
		return err
	}
	if !slices.Contains(in.Exclude, e) {
		in.Exclude = append(in.Exclude, e)
	}
	return nil
}

// subnetOf returns the subnet that contains an address.
func subnetOf(n *specs.Network, flag, value string, a netip.Addr) (*specs.Subnet, error) {
	var all []string
	for i := range n.Subnets {
		if n.Subnets[i].Subnet.Contains(a) {
			return &n.Subnets[i], nil
		}
		all = append(all, n.Subnets[i].Subnet.String())
	}
	if len(all) == 0 {
		return nil, specs.Unusable(flag, value, "there is no --subnet that contains it")
	}
	return nil, specs.Unusable(flag, value, "no --subnet contains it (%s)", strings.Join(all, ", "))
}

// checkFamilies checks --ipv4 and --ipv6 against the subnets.
func (o *createFlags) checkFamilies(n *specs.Network) error {
	switch {
	case o.ipv6 && !n.HasIPv6() && n.IPv6 == specs.IPv6Off:
		return specs.Unusable("--ipv6", "true", "the network has no IPv6 addresses; add an IPv6 --subnet, or -o "+
			"ipv6=slaac, dhcp or link-local")
	case !o.ipv6 && o.given("ipv6") && (n.HasIPv6() || n.IPv6 != specs.IPv6Off):
		return specs.Unusable("--ipv6", "false", "the network has IPv6 addresses; remove the IPv6 --subnet or -o ipv6")
	case !o.ipv4 && n.IPAM == specs.IPAMDHCP:
		return specs.Unusable("--ipv4", "false",
			"--ipam-driver dhcp leases IPv4; leave it out, and for IPv6 by DHCP use -o ipv6=dhcp")
	case !o.ipv4 && n.HasIPv4():
		return specs.Unusable("--ipv4", "false", "there is an IPv4 --subnet; remove it")
	}
	return nil
}

// surprisingSettings returns the differences from docker, or from an older docker. chosen reports
// whether the source of addresses was given.
func surprisingSettings(n *specs.Network, chosen bool) (notes []string) {
	if n.IPAM == specs.IPAMNone && !chosen {
		notes = append(notes, "containers get no addresses, because no --subnet was given and berth does not choose one")
	}
	if !*n.DefaultRoute || n.Mode == specs.ModeL3 || n.Mode == specs.ModeL3S {
		return notes
	}
	v4, v6 := hasGateway(n, netip.Addr.Is4), hasGateway(n, netip.Addr.Is6)
	const before = "Docker took the first address before late 2025"
	switch {
	case n.HasIPv4() && !v4 && !v6:
		notes = append(notes, "no default route: no --gateway was given ("+before+")")
	case n.HasIPv4() && !v4:
		notes = append(notes, "no IPv4 default route: no IPv4 --gateway was given ("+before+")")
	case n.HasIPv6() && !v6 && !v4:
		notes = append(notes, "no default route: no --gateway was given")
	case n.HasIPv6() && !v6:
		notes = append(notes, "no IPv6 default route: no IPv6 --gateway was given")
	}
	return notes
}

func hasGateway(n *specs.Network, family func(netip.Addr) bool) bool {
	return slices.ContainsFunc(n.Subnets, func(s specs.Subnet) bool { return s.Gateway.IsValid() && family(s.Gateway) })
}

// asFlag replaces a key of a network's file in an error by its flag.
func asFlag(err error) error {
	var bad *specs.ValueError
	if !errors.As(err, &bad) {
		return err
	}
	named := *bad
	key := indexed.ReplaceAllString(bad.Key, "")
	named.Key = cmp.Or(flagOf[key], "-o "+key)
	return &named
}

var indexed = regexp.MustCompile(`\[\d+\]`)

var flagOf = map[string]string{
	"driver":          "--driver",
	"subnet":          "--subnet",
	"subnet.subnet":   "--subnet",
	"subnet.gateway":  "--gateway",
	"subnet.ip_range": "--ip-range",
	"subnet.exclude":  "--aux-address",
	"route.to":        "-o route",
	"route.via":       "-o route",
	"route.metric":    "-o route",
}
