package specs

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The bounds of a network's values. The kernel checks its own bounds again,
// against the actual parent, when an interface is created.
const (
	MinMTU       = 68    // ETH_MIN_MTU, include/uapi/linux/if_ether.h
	MaxMTU       = 65535 // ETH_MAX_MTU
	MinMTUv6     = 1280  // RFC 8200 section 5
	MaxVLAN      = 4094  // IEEE 802.1Q; 0 and 4095 are reserved
	maxConflict  = Duration(10 * time.Second)
	maxParent    = Duration(15 * time.Second)
	maxWaits     = Duration(18 * time.Second) // of one start; the hook stops after 20 s
	maxMetric    = 1<<31 - 1
	maxQueue     = 1 << 16 // frames; the whole parent shares the queue
	maxListItems = 256     // of source_macs, routes, subnets, exclusions
)

// Check returns the first fault of a network, as a *[ValueError] with the key of
// the file. It uses nothing but the network; call [Network.SetDefaults] first.
func (n *Network) Check() error {
	checks := []func() error{
		n.checkMode, n.checkConflictTimeout, n.checkParent, n.checkParentTimeout, n.checkMTU, n.checkDriverKeys,
		n.checkSubnets, n.checkRoutes, n.checkIPAM, n.checkIPv6Token, n.checkSysctls, n.checkClustered, n.checkDHCP,
		n.checkNamespaces, n.checkEnforce, n.checkAllow,
	}
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (n *Network) checkMode() error {
	if !slices.Contains(Modes(n.Driver), n.Mode) {
		return Invalid("mode", string(n.Mode), "one of %s, the modes of %s", joinTexts(Modes(n.Driver)), n.Driver)
	}
	return nil
}

func (n *Network) checkConflictTimeout() error {
	if t := *n.ConflictTimeout; t > maxConflict {
		return Invalid("conflict_timeout", t.String(), "at most %s", maxConflict)
	}
	return nil
}

func (n *Network) checkParent() error {
	if n.Parent == "" {
		return Invalid("parent", "", "the host's interface to put containers on, as eth1 or eth1.100")
	}
	trunk, id, isVLAN := SplitVLAN(n.Parent)
	if !isVLAN {
		return At("parent", checkNameOf(n.Parent, maxAltName))
	}
	if id < 1 || id > MaxVLAN {
		return Invalid("parent", n.Parent, "a VLAN id of 1 to %d behind the dot", MaxVLAN)
	}
	return At("parent", checkNameOf(trunk, maxAltName))
}

// checkParentTimeout checks the wait for the parent, also in sum with the waits that follow it.
func (n *Network) checkParentTimeout() error {
	then, key := *n.ConflictTimeout, "conflict_timeout"
	if n.DHCPTimeout != nil {
		then, key = *n.DHCPTimeout, "dhcp_timeout"
	}
	switch t := n.ParentTimeout; {
	case t > maxParent:
		return Invalid("parent_timeout", t.String(), "at most %s", maxParent)
	case t != 0 && t+then > maxWaits:
		return Unusable("parent_timeout", t.String(),
			"with %s, %s, it exceeds the %s that a start can wait; set a shorter one", key, then, maxWaits)
	}
	return nil
}

// SplitVLAN splits "eth1.100" into the trunk and the VLAN id. A name without a
// decimal number after its last dot is no VLAN. The id is not checked.
func SplitVLAN(parent string) (trunk string, id int, isVLAN bool) {
	dot := strings.LastIndexByte(parent, '.')
	if dot < 1 {
		return parent, 0, false
	}
	id, err := strconv.Atoi(parent[dot+1:])
	if err != nil || strings.Trim(parent[dot+1:], "0123456789") != "" {
		return parent, 0, false
	}
	return parent[:dot], id, true
}

func (n *Network) checkMTU() error {
	if n.MTU != 0 && (n.MTU < MinMTU || n.MTU > MaxMTU) {
		return Invalid("mtu", strconv.Itoa(n.MTU), "0 (the parent's) or %d to %d bytes", MinMTU, MaxMTU)
	}
	if n.MTU != 0 && n.MTU < MinMTUv6 && (n.IPv6 != IPv6Off || n.hasFamily(netip.Addr.Is6)) {
		return Unusable("mtu", strconv.Itoa(n.MTU), "IPv6 needs at least %d bytes (RFC 8200 section 5)", MinMTUv6)
	}
	return nil
}

func (n *Network) hasFamily(family func(netip.Addr) bool) bool {
	return slices.ContainsFunc(n.Subnets, func(s Subnet) bool { return family(s.Subnet.Addr()) })
}

// HasIPv4 reports whether the network has an IPv4 subnet.
func (n *Network) HasIPv4() bool { return n.hasFamily(netip.Addr.Is4) }

// HasIPv6 reports whether the network has an IPv6 subnet.
func (n *Network) HasIPv6() bool { return n.hasFamily(netip.Addr.Is6) }

func (n *Network) checkDriverKeys() error {
	switch {
	case n.IPvlanFlag != "" && n.Driver != IPvlan:
		return Unusable("ipvlan_flag", string(n.IPvlanFlag), "driver %s has no such flag; set driver ipvlan", n.Driver)
	case n.BCQueueLen != 0 && n.Driver != Macvlan:
		return Unusable("bc_queue_len", fmt.Sprint(n.BCQueueLen), "driver %s has no such queue; set driver macvlan", n.Driver)
	case n.NoPromisc && n.Mode != ModePassthru:
		return Unusable("nopromisc", "true", "mode %s has no such flag; set mode passthru", n.Mode)
	case len(n.SourceMACs) > 0 && n.Mode != ModeSource:
		return Unusable("source_macs", fmt.Sprint(n.SourceMACs), "mode %s has no such list; set mode source", n.Mode)
	case len(n.SourceMACs) == 0 && n.Mode == ModeSource:
		return Invalid("source_macs", "", "the MACs that mode source lets in, at least one")
	case slices.ContainsFunc(n.SourceMACs, MAC.IsZero):
		return Invalid("source_macs", "", "MACs, none of them empty")
	case n.BCQueueLen > maxQueue:
		return Invalid("bc_queue_len", fmt.Sprint(n.BCQueueLen), "at most %d frames", maxQueue)
	case len(n.SourceMACs) > maxListItems:
		return Invalid("source_macs", fmt.Sprint(len(n.SourceMACs)), "at most %d", maxListItems)
	case n.MAC == MACDerived && n.Driver == IPvlan:
		return Unusable("mac", string(n.MAC), "an interface of driver ipvlan has its parent's MAC; set driver macvlan")
	}
	return nil
}

func (n *Network) checkSubnets() error {
	if len(n.Subnets) > maxListItems {
		return Invalid("subnet", fmt.Sprint(len(n.Subnets)), "at most %d subnets", maxListItems)
	}
	for i := range n.Subnets {
		if err := n.Subnets[i].checkSubnet(); err != nil {
			return At(fmt.Sprintf("subnet[%d]", i), err)
		}
		for j := range i {
			if n.Subnets[i].Subnet.Overlaps(n.Subnets[j].Subnet) {
				return Unusable(fmt.Sprintf("subnet[%d].subnet", i), n.Subnets[i].Subnet.String(),
					"it overlaps the subnet %s", n.Subnets[j].Subnet)
			}
		}
	}
	return nil
}

func (s *Subnet) checkSubnet() error {
	switch {
	case !s.Subnet.IsValid():
		return Invalid("subnet", "", "an address and prefix, as 192.0.2.0/24")
	case s.Subnet != s.Subnet.Masked():
		return Invalid("subnet", s.Subnet.String(), "the network's own address: %s", s.Subnet.Masked())
	case s.Subnet.Bits() == 0:
		return Invalid("subnet", s.Subnet.String(), "a prefix of at least one bit")
	case noHosts(s.Subnet) != "":
		return Invalid("subnet", s.Subnet.String(), "unicast addresses, none of %s", noHosts(s.Subnet))
	case s.Gateway.IsValid() && (s.Gateway.Is4() != s.Subnet.Addr().Is4() || !IsUnicast(s.Gateway)):
		return Invalid("gateway", s.Gateway.String(), "a unicast address of the subnet's family")
	case s.Gateway.IsValid() && s.Reserved(s.Gateway):
		return Unusable("gateway", s.Gateway.String(), "it is the network's own or the broadcast address of %s", s.Subnet)
	case s.IPRange.IsValid() && s.IPRange != s.IPRange.Masked():
		return Invalid("ip_range", s.IPRange.String(), "the range's own first address: %s", s.IPRange.Masked())
	case s.IPRange.IsValid() && !s.containsPrefix(s.IPRange):
		return Invalid("ip_range", s.IPRange.String(), "a range inside the subnet %s", s.Subnet)
	case len(s.Exclude) > maxListItems:
		return Invalid("exclude", fmt.Sprint(len(s.Exclude)), "at most %d addresses and prefixes", maxListItems)
	}
	for _, e := range s.Exclude {
		if !s.containsPrefix(e.Prefix) {
			return Invalid("exclude", e.String(), "addresses inside the subnet %s", s.Subnet)
		}
	}
	return nil
}

func (s *Subnet) containsPrefix(p netip.Prefix) bool {
	return p.Bits() >= s.Subnet.Bits() && s.Subnet.Contains(p.Addr())
}

// Reserved reports whether a is the network's own or the broadcast address,
// which no host has. A /31 and a /127 have neither (RFC 3021, RFC 6164). IPv6 has
// no broadcast, but its first address belongs to every router (RFC 4291 section
// 2.6.1).
func (s *Subnet) Reserved(a netip.Addr) bool {
	if s.Subnet.Addr().BitLen()-s.Subnet.Bits() < 2 {
		return false
	}
	return a == s.Subnet.Addr() || a.Is4() && a == LastAddr(s.Subnet)
}

func (n *Network) checkRoutes() error {
	if len(n.Routes) > maxListItems {
		return Invalid("route", fmt.Sprint(len(n.Routes)), "at most %d routes", maxListItems)
	}
	if n.Metric < 0 || n.Metric > maxMetric {
		return Invalid("metric", strconv.Itoa(n.Metric), "0 (the kernel's) to %d", maxMetric)
	}
	type route struct {
		to     netip.Prefix
		metric int
	}
	seen := make(map[route]bool)
	for i, r := range n.Routes {
		if err := r.checkRoute(); err != nil {
			return At(fmt.Sprintf("route[%d]", i), err)
		}
		if seen[route{r.To, r.Metric}] {
			return Unusable(fmt.Sprintf("route[%d].to", i), r.To.String(), "another route has the same destination and metric")
		}
		seen[route{r.To, r.Metric}] = true
	}
	return nil
}

func (r *Route) checkRoute() error {
	switch {
	case !r.To.IsValid():
		return Invalid("to", "", "a network's own address and prefix, as 198.51.100.0/24")
	case r.To != r.To.Masked():
		return Invalid("to", r.To.String(), "a network's own address and prefix, as 198.51.100.0/24")
	case r.To.Bits() == 0:
		return Unusable("to", r.To.String(), "a default route is set by the key gateway of a subnet")
	case UnroutableReason(r.To) != "":
		return Unusable("to", r.To.String(), "frames to addresses in %s never leave the host", UnroutableReason(r.To))
	case r.Via.IsValid() && (r.Via.Is4() != r.To.Addr().Is4() || !IsUnicast(r.Via)):
		return Invalid("via", r.Via.String(), "a unicast address of the family of %s", r.To)
	case r.Metric < 0 || r.Metric > maxMetric:
		return Invalid("metric", strconv.Itoa(r.Metric), "0 (the kernel's) to %d", maxMetric)
	}
	return nil
}

func (n *Network) checkIPAM() error {
	if n.IPAM == IPAMLocal && len(n.Subnets) == 0 {
		return Unusable("ipam", string(n.IPAM),
			"it takes addresses from a subnet, and the network has none; add one, or set ipam = \"none\"")
	}
	if n.IPAM == IPAMNone && len(n.Subnets) > 0 {
		return Unusable("ipam", string(n.IPAM), "the network has a subnet; remove it, or set ipam = \"local\" or \"static\"")
	}
	if n.Reuse != "" && !n.HasPool() {
		return Unusable("reuse", string(n.Reuse), "it orders the addresses of this host's pools, and the network has no "+
			"pool; add a subnet, and ipam = \"local\"")
	}
	if n.IPv6 != IPv6Off && n.HasIPv6() {
		return Unusable("ipv6", string(n.IPv6), "the network has an IPv6 subnet; remove it, or set ipv6 = \"off\"")
	}
	return nil
}

// checkIPv6Token checks the interface identifier. The kernel accepts one only on an interface that
// accepts router advertisements and does neighbour discovery (net/ipv6/addrconf.c,
// inet6_set_iftoken), and takes its low 64 bits.
func (n *Network) checkIPv6Token() error {
	t := n.IPv6Token
	high := netip.PrefixFrom(netip.IPv6Unspecified(), 64)
	switch {
	case !t.IsValid():
		return nil
	case !high.Contains(t) || t.Is4In6() || t.Zone() != "" || t.IsUnspecified():
		return Invalid("ipv6_token", t.String(), "the last 64 bits of an IPv6 address, not all zero, as ::53")
	case n.IPv6 != IPv6SLAAC && n.IPv6 != IPv6DHCP:
		return Unusable("ipv6_token", t.String(),
			"the network takes no prefix from router advertisements; set ipv6 = \"slaac\"")
	case n.Mode == ModeL3 || n.Mode == ModeL3S:
		return Unusable("ipv6_token", t.String(), "interfaces of mode %s do no neighbour discovery; set another mode", n.Mode)
	}
	return nil
}

// HasPool reports whether this host gives out addresses of a subnet. With DHCP only IPv6 subnets
// remain.
func (n *Network) HasPool() bool {
	return len(n.Subnets) > 0 && (n.IPAM == IPAMLocal || n.IPAM == IPAMCluster || n.IPAM == IPAMDHCP)
}

func (n *Network) checkNamespaces() error {
	for _, glob := range n.Namespaces {
		if err := checkGlob(glob); err != nil {
			return At("namespaces", err)
		}
	}
	return nil
}
