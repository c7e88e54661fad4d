package foreign

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"

	"berth/specs"
)

// Network is a macvlan or ipvlan network of another program, as the program defines it.
type Network struct {
	Name    specs.EngineNetwork
	Version string   // of the program, or "" if not known
	Nerdctl bool     // CNI's file is nerdctl's
	Further []string // the plugins of CNI after the first
	Driver  specs.Driver
	Mode    specs.Mode // "" for the driver's default
	Flag    specs.IPvlanFlag
	Parent  string // "" if the program chooses it
	MTU     int    // 0 for the parent's
	Subnets []Subnet
	NoRoute bool          // its containers get no default route
	Metric  int           // of the default route; 0 if none is written
	Routes  []specs.Route // further routes
	IPAM    specs.IPAM    // IPAMLocal if the program gives out the addresses; IPAMStatic if one that it does not name does
}

// Subnet is a subnet of a network.
type Subnet struct {
	Subnet   netip.Prefix
	Gateway  netip.Addr   // zero if none is written
	From, To netip.Addr   // the range of addresses that the program gives out
	Reserved []netip.Addr // addresses that it does not give out
}

// Definitions are the places of the definitions of networks.
type Definitions struct {
	Podman string // the directory of podman's networks (netavark)
	CNI    string // the directory of CNI's configurations
}

// UsualDefinitions are the usual places below a root directory, which is "" for /.
func UsualDefinitions(root string) Definitions {
	return Definitions{Podman: filepath.Join("/", root, "etc/containers/networks"),
		CNI: filepath.Join("/", root, "etc/cni/net.d")}
}

// ReadNetworks returns the macvlan and ipvlan networks that files define. With an error it returns
// those that it could read.
func ReadNetworks(d Definitions) ([]Network, error) {
	var all []Network
	var errs []error
	for _, one := range []struct {
		dir   string
		globs []string
		parse func([]byte) (*Network, error)
	}{
		{d.Podman, []string{"*.json"}, parsePodmanNetwork},
		{d.CNI, []string{"*.conflist", "*.conf", "*.json", "*/nerdctl-*.conflist"}, parseCNINetwork},
	} {
		for _, glob := range one.globs {
			some, err := readDefinitions(filepath.Join(one.dir, glob), one.parse)
			all, errs = append(all, some...), append(errs, err)
		}
	}
	return all, errors.Join(errs...)
}

func readDefinitions(glob string, parse func([]byte) (*Network, error)) (all []Network, err error) {
	paths, err := filepath.Glob(glob)
	errs := []error{err}
	for _, path := range paths {
		data, err := readBounded(path)
		var n *Network
		if err == nil {
			n, err = parse(data)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("read the networks of other programs: file %q: %w", path, err))
		} else if n != nil {
			all = append(all, *n)
		}
	}
	return all, errors.Join(errs...)
}

// ReadNetworkFile returns the network that a file of podman or CNI defines.
func ReadNetworkFile(path string) (*Network, error) {
	data, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	for _, parse := range []func([]byte) (*Network, error){parsePodmanNetwork, parseCNINetwork} {
		if n, err := parse(data); n != nil || err != nil {
			return n, err
		}
	}
	return nil, errors.New("it defines no macvlan or ipvlan network of podman or CNI")
}

// setDriver sets driver and mode from a program's words, and reports whether berth has them.
// podman and CNI write a mode of ipvlan as docker does.
func (n *Network) setDriver(driver, mode string) bool {
	n.Mode = specs.Mode(mode)
	return n.Driver.UnmarshalText([]byte(driver)) == nil
}

// addRoute adds a route, after the subnets. A default route is that of the network, and its gateway
// that of the subnet which has the address. Another route without a gateway has the subnet's.
func (n *Network) addRoute(to, via string, metric int) error {
	p, err := netip.ParsePrefix(to)
	var gateway netip.Addr
	if err == nil && via != "" {
		gateway, err = netip.ParseAddr(via)
	}
	if err != nil {
		return fmt.Errorf("route to %q: %w", to, err)
	}
	isDefault := p.Bits() == 0
	if isDefault {
		n.NoRoute, n.Metric = false, metric
	}
	for i := range n.Subnets {
		s := &n.Subnets[i]
		if isDefault && s.Subnet.Contains(gateway) {
			s.Gateway = gateway
		}
		if !gateway.IsValid() && s.Gateway.IsValid() && s.Gateway.Is4() == p.Addr().Is4() {
			gateway = s.Gateway
		}
	}
	if !isDefault {
		n.Routes = append(n.Routes, specs.Route{To: p.Masked(), Via: gateway, Metric: metric})
	}
	return nil
}

// addSubnet adds a subnet with the range that a program gives out: from from to to, which are
// the first and the last address of the subnet if they are "".
func (n *Network) addSubnet(subnet, gateway, from, to string) error {
	p, err := netip.ParsePrefix(subnet)
	if err != nil {
		return fmt.Errorf("subnet %q: %w", subnet, err)
	}
	s := Subnet{Subnet: p.Masked(), From: p.Masked().Addr(), To: specs.LastAddr(p)}
	for _, one := range []struct {
		to   *netip.Addr
		text string
	}{{&s.Gateway, gateway}, {&s.From, from}, {&s.To, to}} {
		if one.text == "" {
			continue
		}
		if *one.to, err = netip.ParseAddr(strings.TrimSpace(one.text)); err != nil {
			return fmt.Errorf("subnet %q: %w", subnet, err)
		}
	}
	n.Subnets = append(n.Subnets, s)
	return nil
}
