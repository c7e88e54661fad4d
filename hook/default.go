package hook

import (
	"fmt"
)

// decideDefault gives the default route of a family to the selection with default-route, else to
// the first network that sets one. Only a selection replaces a default route of the engine: if a
// network sets one too, the plan fails, or, if f.Leave is set, the engine's stays. If the engine
// sets its route later, the plan fails, because the engine must not find another. If
// the engine sets the routes of the networks, the plan sets none.
func decideDefault(all []*Interface, f *Facts, fam int) error {
	if f.NoDefault {
		return nil
	}
	owner, err := requestedDefault(all, fam)
	if err != nil {
		return err
	}
	if owner != nil {
		if f.Pending != "" {
			return owner.At(errPending(f, owner.Gateway[fam].String()))
		}
		owner.Default[fam] = true
		return nil
	}
	for _, a := range f.Existing {
		for _, gw := range a.Gateways {
			if family(gw) == fam {
				return nil
			}
		}
	}
	for _, in := range all {
		if gw := in.wantsDefault(fam); gw != "" {
			if f.Default[fam] && f.Leave {
				return nil
			}
			if f.Default[fam] {
				return in.At(errSecondDefault(gw))
			}
			if f.Pending != "" {
				return in.At(errPending(f, gw))
			}
			in.Default[fam] = true
			return nil
		}
	}
	return nil
}

// errSecondDefault returns the error about a default route beside the engine's.
func errSecondDefault(gateway string) error {
	return fmt.Errorf("the default route via %s is refused, because the engine has set a default route already: "+
		"set default_route = false in the network's file, start the container without a network of the engine "+
		"(--network none), or give the annotation berth/networks default-route, which replaces the engine's", gateway)
}

// requestedDefault returns the interface whose selection requests the default route of a
// family, or nil if none does. Two of them are an error.
func requestedDefault(all []*Interface, fam int) (owner *Interface, err error) {
	for _, in := range all {
		if !in.Gateway[fam].IsValid() {
			continue
		}
		if owner != nil {
			return nil, in.At(fmt.Errorf("the default route via %s is refused, because %s requests one already; remove one "+
				"of them", in.Gateway[fam], owner.Key))
		}
		owner = in
	}
	return owner, nil
}

// errPending refuses a default route that would exist before the engine's: the
// engine fails, or both routes exist.
func errPending(f *Facts, gw string) error {
	return fmt.Errorf("the default route via %s is refused, because it would conflict with %s, which is set up later: "+
		"start the container with --network none, "+
		"set default_route = false on the network, or attach by berth-runtime-late", gw, f.Pending)
}

// leasedRouter stands for the gateway that a DHCP server will name.
const leasedRouter = "the DHCP server's router"

// wantsDefault returns the gateway of the network's default route of a family, or ""
// if the network sets none. With DHCPv6, routers set it by their advertisements.
func (in *Interface) wantsDefault(fam int) string {
	if !*in.Net.DefaultRoute || !in.hasAddress(fam) {
		return ""
	}
	if in.DHCP[fam] && fam == ipv4 {
		return leasedRouter
	}
	for _, s := range in.Net.Subnets {
		if family(s.Subnet.Addr()) == fam && s.Gateway.IsValid() {
			return s.Gateway.String()
		}
	}
	return ""
}
