package daemon

import (
	"fmt"
	"net/netip"
	"slices"

	"berth/network"
	"berth/specs"
)

// hostFacts holds the host's own links and addresses.
type hostFacts struct {
	links     []network.LinkInfo
	addresses []network.AddressInfo
}

// parentSharers returns findings about other users of a parent that one endpoint should have
// alone. It skips link-local addresses and those from a router's prefix, which the kernel
// assigns to every interface.
func (f *hostFacts) parentSharers(parentIndex int) (all []finding) {
	found := func(format string, args ...any) {
		all = append(all, finding{specs.PassthruShared, fmt.Sprintf(format, args...)})
	}
	for i := range f.links {
		switch l := &f.links[i]; {
		case l.Index == parentIndex && l.Upper != 0:
			found("the parent belongs to %s", f.linkName(l.Upper))
		case l.ParentIndex == parentIndex && l.ParentNSID < 0 && l.Index != parentIndex && l.Kind != "veth":
			found("%s %s is on the parent", l.Kind, l.Name)
		}
	}
	for _, a := range f.addresses {
		kernels := a.Prefix.Addr().Is6() && (!a.Permanent || a.Prefix.Addr().IsLinkLocalUnicast())
		if a.Index == parentIndex && !kernels {
			found("the host has %s on the parent", a.Prefix)
		}
	}
	return all
}

func (f *hostFacts) linkName(index int) string {
	for i := range f.links {
		if f.links[i].Index == index {
			return f.links[i].Name
		}
	}
	return fmt.Sprintf("interface %d", index)
}

// isolatedAddresses returns the addresses of a parent that its containers cannot reach. If
// the host has a macvlan or ipvlan interface on the parent, the host answers ARP there for
// all of its IPv4 addresses (arp_ignore in Documentation/networking/ip-sysctl.rst), so they
// are reachable.
func (f *hostFacts) isolatedAddresses(parentIndex int) (all []netip.Addr) {
	beside := slices.ContainsFunc(f.links, func(l network.LinkInfo) bool {
		return l.ParentIndex == parentIndex && l.ParentNSID < 0 && l.Driver != "" && l.Up
	})
	for _, a := range f.addresses {
		addr := a.Prefix.Addr()
		if a.Index != parentIndex || beside && addr.Is4() || slices.Contains(all, addr) {
			continue
		}
		all = append(all, addr)
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return all
}
