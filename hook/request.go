package hook

import (
	"encoding/json"
	"fmt"

	"berth/specs"
)

// Request is a selection with the network that it leads to, allowed by policy.
type Request struct {
	specs.Selection
	Net *specs.Network
}

// Text is what was asked for, in one canonical line: two runs of a hook for
// the same container have the same.
func (r *Request) Text(ordinal int) string {
	text, err := json.Marshal(&r.Selection)
	if err != nil { // a Selection has nothing that JSON cannot hold
		panic(err)
	}
	return fmt.Sprintf("%s#%d", text, ordinal)
}

// Resolve finds the network of every selection and holds each to the policy,
// which also holds for networks of the hook's arguments: whoever may start a
// container chooses its devices. A nil policy allows everything. namespace is the
// container's Kubernetes namespace, or "" outside of Kubernetes. lookup finds a
// network by name. parents finds the names of an interface; if it is nil, they
// are as written.
func Resolve(all []specs.Selection, policy *specs.Policy, namespace string,
	lookup func(name string) (*specs.Network, error), parents func(name string) (specs.ParentNames, error)) ([]Request, error) {
	if parents == nil {
		parents = func(name string) (specs.ParentNames, error) { return specs.WrittenNames(name), nil }
	}
	var requests []Request
	for _, s := range all {
		r, err := resolve(s, policy, namespace, lookup, parents)
		if err != nil {
			return nil, s.At(err)
		}
		requests = append(requests, r)
	}
	return requests, nil
}

func resolve(s specs.Selection, policy *specs.Policy, namespace string,
	lookup func(name string) (*specs.Network, error), parents func(name string) (specs.ParentNames, error)) (Request, error) {
	r := Request{Selection: s, Net: s.InPlace}
	if policy == nil {
		if s.InPlace == nil {
			var err error
			if r.Net, err = lookup(s.Network); err != nil {
				return r, specs.At("network", err)
			}
		}
		return r, checkAddresses(&r)
	}
	if s.InPlace == nil {
		if err := policy.AllowNetwork(s.Network); err != nil {
			return r, err
		}
		n, err := lookup(s.Network)
		if err != nil {
			return r, err
		}
		r.Net = n
		if err := n.AllowNamespace(namespace); err != nil {
			return r, err
		}
	} else {
		names, err := parents(s.InPlace.Parent)
		if err == nil {
			err = policy.AllowInPlaceOn(s.InPlace, names)
		}
		if err != nil {
			return r, err
		}
	}
	if err := policy.AllowRequest(&s); err != nil {
		return r, err
	}
	return r, checkAddresses(&r)
}

// checkAddresses holds the addresses asked for to the network's subnets.
func checkAddresses(r *Request) error {
	if r.Net.IPAM == specs.IPAMStatic && len(r.IPs) == 0 {
		return specs.Invalid("ips", "", "addresses of the container's own: network %q has ipam = \"static\"", r.Net.Name)
	}
	for _, ip := range r.IPs {
		s := r.Net.SubnetOf(ip.Addr)
		if s == nil {
			return specs.Invalid("ips", ip.String(), "an address inside %s", subnetsText(r.Net))
		}
		if ip.Bits >= 0 && ip.Bits != s.Subnet.Bits() {
			return specs.Invalid("ips", ip.String(), "the prefix of the subnet %s, or none", s.Subnet)
		}
	}
	if !r.MAC.IsZero() && (r.Net.Driver == specs.IPvlan || r.Net.Mode == specs.ModePassthru) {
		return specs.Invalid("mac", r.MAC.String(), "no MAC: an interface of %s %s has its parent's", r.Net.Driver, r.Net.Mode)
	}
	return nil
}

func subnetsText(n *specs.Network) string {
	if len(n.Subnets) == 0 {
		return "a subnet, and the network has none"
	}
	text := "the subnet"
	for i, s := range n.Subnets {
		if i > 0 {
			text += " or"
		}
		text += " " + s.Subnet.String()
	}
	return text
}
