package hook

import (
	"fmt"
	"net/netip"

	"berth/internal/plain"
	"berth/specs"
)

// Request is a selection with its network, allowed by the policy.
type Request struct {
	specs.Selection
	Net *specs.Network
}

// Text returns the request as one canonical line: it is equal in two runs of a
// hook for the same container.
func (r *Request) Text(ordinal int) string {
	text, err := plain.Marshal(r.Canonical())
	if err != nil { // a Selection has only fields that JSON can encode
		panic(err)
	}
	return fmt.Sprintf("%s#%d", text, ordinal)
}

// Resolve finds the network of every selection and checks each against the
// policy. The policy also applies to networks of the hook's arguments, because
// the user that starts a container chooses its devices. A nil policy allows
// everything. namespace is the container's Kubernetes namespace, or "" outside of
// Kubernetes. lookup finds a network by name. parents returns the names of an
// interface; if it is nil, the names are as written.
func Resolve(all []specs.Selection, policy *specs.Policy, namespace string,
	lookup func(name string) (*specs.Network, error),
	parents func(name string) (specs.ParentNames, error)) ([]Request, error) {
	if parents == nil {
		parents = func(name string) (specs.ParentNames, error) { return specs.WrittenNames(name), nil }
	}
	var requests []Request
	for _, s := range all {
		r, err := resolveSelection(s, policy, namespace, lookup, parents)
		if err != nil {
			return nil, s.At(err)
		}
		requests = append(requests, r)
	}
	return requests, nil
}

func resolveSelection(s specs.Selection, policy *specs.Policy, namespace string,
	lookup func(name string) (*specs.Network, error),
	parents func(name string) (specs.ParentNames, error)) (r Request, err error) {
	r.Selection = s
	if policy == nil {
		if r.Net = s.InPlace; r.Net == nil {
			if r.Net, err = lookup(s.Network); err != nil {
				return r, specs.At("network", err)
			}
		}
		return r, checkAddresses(&r)
	}
	if r.Net, err = allowedNetwork(&s, policy, namespace, lookup, parents); err != nil {
		return r, err
	}
	if err := policy.AllowRequest(&s); err != nil {
		return r, err
	}
	return r, checkAddresses(&r)
}

// allowedNetwork returns the network of a selection, or an error if the policy refuses it.
func allowedNetwork(s *specs.Selection, policy *specs.Policy, namespace string,
	lookup func(name string) (*specs.Network, error),
	parents func(name string) (specs.ParentNames, error)) (*specs.Network, error) {
	if s.InPlace != nil {
		names, err := parents(s.InPlace.Parent)
		if err != nil {
			return nil, err
		}
		return s.InPlace, policy.AllowInPlaceOn(s.InPlace, names)
	}
	if err := policy.AllowNetwork(s.Network); err != nil {
		return nil, err
	}
	n, err := lookup(s.Network)
	if err != nil {
		return nil, err
	}
	return n, n.AllowNamespace(namespace)
}

// checkAddresses checks the requested addresses against the network's subnets.
func checkAddresses(r *Request) error {
	if r.Net.IPAM == specs.IPAMStatic && len(r.IPs) == 0 {
		return fmt.Errorf("network %q has ipam = \"static\", so berth chooses no address; request one by ips, or by the "+
			"engine's --ip", r.Net.Name)
	}
	for _, ip := range r.IPs {
		s := r.Net.SubnetOf(ip.Addr)
		if s == nil {
			return specs.Unusable("ips", ip.String(), "%s", explainOutside(r.Net, ip.Addr))
		}
		if ip.Bits >= 0 && ip.Bits != s.Subnet.Bits() {
			return specs.Unusable("ips", ip.String(), "the prefix differs from that of the subnet %s; leave it out", s.Subnet)
		}
	}
	if !r.MAC.IsZero() && (r.Net.Driver == specs.IPvlan || r.Net.Mode == specs.ModePassthru) {
		return specs.Unusable("mac", r.MAC.String(), "an interface of %s %s has its parent's MAC; request none",
			r.Net.Driver, r.Net.Mode)
	}
	return nil
}

// explainOutside returns the reason for which an address is in no subnet of a network.
func explainOutside(n *specs.Network, addr netip.Addr) string {
	if !dhcpFamilies(n)[family(addr)] {
		return "it is outside of the network's " + subnetsText(n)
	}
	name := "IPv4"
	if addr.Is6() {
		name = "IPv6"
	}
	return fmt.Sprintf("a DHCP server leases the network's %s addresses; reserve the address there, for the "+
		"container's MAC or client identifier", name)
}

func subnetsText(n *specs.Network) string {
	if len(n.Subnets) == 0 {
		return "subnets: it has none"
	}
	text := "subnet"
	for i, s := range n.Subnets {
		if i > 0 {
			text += " or"
		}
		text += " " + s.Subnet.String()
	}
	return text
}
