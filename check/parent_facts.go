package check

import (
	"errors"
	"net/netip"
	"slices"
	"strings"

	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// hostLinks holds the links of the host's namespace.
type hostLinks struct {
	links []network.LinkInfo
	addrs []network.AddressInfo
	err   error
}

func (c *Checker) gatherLinks() (h hostLinks) {
	var links, addrs error
	h.links, links = c.Host.Links()
	h.addrs, addrs = c.Host.AddressInfos()
	h.err = errors.Join(links, addrs)
	return h
}

func (h *hostLinks) hostAddresses() (all []netip.Addr) {
	for _, a := range h.addrs {
		all = append(all, a.Prefix.Addr())
	}
	return all
}

func (h *hostLinks) byIndex(index int) *network.LinkInfo {
	i := slices.IndexFunc(h.links, func(l network.LinkInfo) bool { return l.Index == index })
	if index == 0 || i < 0 {
		return nil
	}
	return &h.links[i]
}

func (h *hostLinks) hasLink(name string) bool {
	return slices.ContainsFunc(h.links, func(l network.LinkInfo) bool { return l.HasName(name) })
}

// parentNames returns the names of the interfaces that can be parents.
func (h *hostLinks) parentNames() string {
	var names []string
	for _, l := range h.links {
		if l.Ethernet && !l.Loopback && l.Driver == "" {
			names = append(names, l.Name)
		}
	}
	slices.Sort(names)
	if len(names) == 0 {
		return "none that can be a parent"
	}
	return strings.Join(names, ", ")
}

// parentFacts gathers the facts about a parent, once.
func (s *survey) parentFacts(name string) Parent {
	if p, known := s.parents[name]; known {
		return p
	}
	p := Parent{Asked: name}
	p.Found, p.OnDemand, p.Err = s.Host.ParentOrTrunk(name)
	if p.OnDemand != 0 {
		p.Trunk = p.Found
	}
	if p.Found != nil {
		s.fillParent(&p)
	}
	s.parents[name] = p
	return p
}

// fillParent adds the surroundings of an existing parent.
func (s *survey) fillParent(p *Parent) {
	if below := s.kernel.byIndex(p.Found.TrunkIndex); below != nil {
		p.Trunk, _ = s.Host.Parent(below.Name) // a trunk can be a parent
	}
	p.Device, _ = s.Host.Device(p.Found.Index) // none if it was deleted meanwhile
	p.Cards = s.cardsBelow(p.Found.Index, maxStacked)
	for _, a := range s.kernel.addrs {
		if a.Index == p.Found.Index && p.OnDemand == 0 {
			p.Addresses = append(p.Addresses, a.Prefix.Addr())
		}
	}
	if p.OnDemand == 0 {
		p.Upper = s.kernel.byIndex(p.Found.Upper)
		p.Users = s.parentUsers(p.Found.Index)
	}
	if s.Agent == nil {
		return
	}
	for i, status := range s.Agent.Parents {
		if status.Name == p.Asked || p.OnDemand == 0 && status.Index == p.Found.Index {
			p.Agent = &s.Agent.Parents[i]
		}
	}
}

// maxStacked bounds the depth of stacked links (MAX_NEST_DEV in include/linux/netdevice.h).
const maxStacked = 8

// cardsBelow returns the devices by which frames of a link leave: of a VLAN its trunk, of a
// bridge or bond the ports.
func (s *survey) cardsBelow(index, depth int) (all []network.Device) {
	l := s.kernel.byIndex(index)
	if l == nil || depth == 0 {
		return nil
	}
	if d, err := s.Host.Device(index); err == nil {
		all = append(all, d)
	}
	if l.Kind == vlanKind && l.ParentNSID < 0 {
		all = append(all, s.cardsBelow(l.ParentIndex, depth-1)...)
	}
	for _, port := range s.kernel.links {
		if port.Upper == index && l.Kind != "vrf" {
			all = append(all, s.cardsBelow(port.Index, depth-1)...)
		}
	}
	return all
}

// parentUsers returns the interfaces on a parent: those of the host that the kernel shows, and
// those of containers in berth's records. Interfaces of other engines' containers are not
// visible.
func (s *survey) parentUsers(index int) (all []User) {
	for _, l := range s.kernel.links {
		if l.Driver != "" && l.ParentIndex == index && l.ParentNSID < 0 {
			o := network.Occupant{Name: l.Name, Index: l.Index, Driver: l.Driver, Mode: l.Mode, Flag: l.Flag, MAC: l.MAC}
			all = append(all, User{Occupant: o})
		}
	}
	for _, a := range s.records {
		if a.ParentIndex == index {
			all = append(all, s.userOf(a))
		}
	}
	return all
}

func (s *survey) userOf(a *state.Attachment) User {
	flag := a.IPvlanFlag
	if a.Driver == specs.IPvlan && flag == "" {
		flag = specs.FlagBridge
	}
	o := network.Occupant{Name: a.Interface, Index: a.LinkIndex, Driver: a.Driver, Mode: a.Mode, Flag: flag, MAC: a.MAC}
	return User{Occupant: o, Network: a.Network, Container: s.nameOf(a)}
}

// isNamed reports whether a name is one of the parent.
func (p Parent) isNamed(name string) bool {
	return p.Asked == name || p.Found != nil && p.OnDemand == 0 && p.Found.Name == name
}

// isSame reports whether two parents are equal.
func (p Parent) isSame(o Parent) bool {
	if p.Found == nil || o.Found == nil {
		return p.Asked == o.Asked
	}
	return p.Found.Index == o.Found.Index && p.OnDemand == o.OnDemand
}
