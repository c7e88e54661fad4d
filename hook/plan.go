package hook

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"berth/internal/digest"
	"berth/internal/lease"
	"berth/internal/state"
	"berth/ipam"
	"berth/network"
	"berth/specs"
)

// Facts are the inputs of a plan: the state of the host and of the container's namespace
// before any change.
type Facts struct {
	Container    string                        // the ID from the runtime
	Name         string                        // the container's or pod's own name, or its ID
	Links        map[string]bool               // names of the interfaces in the container's namespace
	Default      [families]bool                // default routes that the engine has set there
	Leave        bool                          // such a route stays and is no reason to refuse
	NoDefault    bool                          // the engine itself sets the default route
	AlwaysNew    bool                          // make each interface anew: the caller is a door
	Pending      string                        // the engine's own network if the engine sets it up later, else ""
	Host         []netip.Addr                  // the host's own addresses, never given to a container
	Parents      map[string]*network.Parent    // by the name in the network; the trunk if the VLAN does not exist yet
	MakeVLAN     map[string]int                // VLAN ID to make, or 0 if the parent exists; if nil, makeVLAN derives it
	VLANs        map[string][]state.VLAN       // the VLANs of the parent, existing or to make, the inner first
	Existing     []*state.Attachment           // attachments that the namespace already has
	MayHaveMoved bool                          // a parent may be back with another index
	Occupants    map[string][]network.Occupant // of an ipvlan's parent, in the host's namespace
}

// Families of addresses, as indexes.
const (
	ipv4 = iota
	ipv6
	families
)

func family(a netip.Addr) int {
	if a.Is4() {
		return ipv4
	}
	return ipv6
}

// dhcpFamilies returns the families whose addresses come from a DHCP server.
func dhcpFamilies(n *specs.Network) [families]bool {
	return [families]bool{ipv4: n.IPAM == specs.IPAMDHCP, ipv6: n.IPv6 == specs.IPv6DHCP}
}

// Interface is the planned interface of one request.
type Interface struct {
	*Request
	Text     string                 // the request in canonical form
	Name     string                 // in the container
	On       *network.Parent        // the parent, or the trunk if the VLAN is to be made
	MakeVLAN int                    // ID of the VLAN to make, or 0 if On is the parent
	VLANs    []state.VLAN           // the VLANs of the parent, existing or to make, the inner first
	MTU      int                    // bytes
	WantMAC  specs.MAC              // requested or derived, or zero for a random one
	Static   []netip.Prefix         // requested addresses
	Pools    [families][]*ipam.Pool // pools of the other addresses; the first with a free one is used
	DHCP     [families]bool         // a DHCP server leases the address of the family
	Had      lease.Memory           // addresses and MAC of the container's last run; set by the claim
	Default  [families]bool         // this interface has the default route, if its gateway is known
	Gateway  [families]netip.Addr   // requested by the selection
}

// Plan is the change that one start of a container makes.
type Plan struct {
	New  []*Interface
	Kept []*state.Attachment // requested and already attached

	texts []string // of the requests, in their order
}

// MakePlan decides which interfaces to make. It is pure: its only inputs are the requests and
// the facts.
func MakePlan(requests []Request, f *Facts) (*Plan, error) {
	p := new(Plan)
	seen := make(map[string]int)
	for i := range requests {
		r := &requests[i]
		text := r.Text(0)
		seen[text]++
		text = r.Text(seen[text])
		p.texts = append(p.texts, text)
		if a := existingAttachment(f, text); a != nil && !f.AlwaysNew {
			p.Kept = append(p.Kept, a)
			continue
		}
		in, err := planInterface(r, f)
		if err != nil {
			return nil, r.At(err)
		}
		in.Text = text
		p.New = append(p.New, in)
	}
	if err := nameInterfaces(p.New, f); err != nil {
		return nil, err
	}
	for fam := range families {
		if err := decideDefault(p.New, f, fam); err != nil {
			return nil, err
		}
	}
	deriveMACs(p.New, f)
	return p, nil
}

// requestedAttachments returns the attachment of each request, in their order. made are the attachments of
// New.
func (p *Plan) requestedAttachments(made []*state.Attachment) (all []*state.Attachment) {
	of := make(map[string]*state.Attachment)
	for _, a := range slices.Concat(p.Kept, made) {
		of[a.Selection] = a
	}
	for _, text := range p.texts {
		all = append(all, of[text])
	}
	return all
}

// existingAttachment returns the attachment of the namespace that satisfies the same request, or nil.
func existingAttachment(f *Facts, text string) *state.Attachment {
	for _, a := range f.Existing {
		if a.Selection == text && a.Phase == specs.PhaseAttached && !a.Leaving && f.Links[a.Interface] {
			return a
		}
	}
	return nil
}

func planInterface(r *Request, f *Facts) (*Interface, error) {
	on := f.Parents[r.Net.Parent]
	in := &Interface{Request: r, On: on, Name: r.Interface, WantMAC: r.MAC}
	in.VLANs, in.MakeVLAN = f.VLANs[r.Net.Parent], f.makeVLAN(r.Net.Parent)
	if in.MTU = in.Net.MTU; in.MTU == 0 {
		in.MTU = in.On.MTU
	}
	if err := checkParent(in, f.Occupants[r.Net.Parent]); err != nil {
		return nil, err
	}
	given := [families]bool{}
	for _, ip := range r.IPs {
		s := r.Net.SubnetOf(ip.Addr)
		pool := ipam.PoolOf(r.Net, *s, f.Host)
		if err := pool.Allows(ip.Addr); err != nil {
			return nil, specs.At("ips", err)
		}
		in.Static = append(in.Static, netip.PrefixFrom(ip.Addr, s.Subnet.Bits()))
		given[family(ip.Addr)] = true
	}
	in.DHCP = dhcpFamilies(r.Net)
	for fam, pools := range poolsOf(r.Net, f.Host) {
		if !given[fam] {
			in.Pools[fam] = pools
		}
	}
	return in, in.setGateways()
}

// makeVLAN returns the ID of the VLAN to make for a network's parent, or 0 if the parent
// exists.
func (f *Facts) makeVLAN(parent string) int {
	if f.MakeVLAN != nil {
		return f.MakeVLAN[parent]
	}
	trunk, id, isVLAN := specs.SplitVLAN(parent)
	if isVLAN && f.Parents[parent].Name == trunk {
		return id
	}
	return 0
}

func checkParent(in *Interface, occupants []network.Occupant) error {
	switch {
	case in.MTU > in.On.MTU:
		return specs.Unusable("mtu", fmt.Sprint(in.MTU), "the parent %q has an MTU of only %d bytes", in.On.Name, in.On.MTU)
	case !in.On.Up:
		return errParentDown(in.Net, in.On)
	case in.MakeVLAN != 0:
		return nil
	}
	use := network.Use{Driver: in.Net.Driver, Mode: in.Net.Mode, Flag: in.Net.IPvlanFlag}
	if err := network.CheckOccupants(use, occupants); err != nil {
		return fmt.Errorf("parent %q: %w", in.Net.Parent, err)
	}
	return nil
}

func (in *Interface) setGateways() error {
	for _, gw := range in.DefaultRoute {
		fam := family(gw)
		if !in.hasAddress(fam) {
			return specs.Unusable("default-route", gw.String(), "the interface has no address of this family")
		}
		if err := in.checkGateway(gw); err != nil {
			return specs.At("default-route", err)
		}
		if in.Gateway[fam].IsValid() {
			return specs.Unusable("default-route", gw.String(), "there is another gateway of this family: %s", in.Gateway[fam])
		}
		in.Gateway[fam] = gw
	}
	return nil
}

// hasAddress reports whether the interface gets an address of a family.
func (in *Interface) hasAddress(fam int) bool {
	return len(in.Pools[fam]) > 0 || in.DHCP[fam] || hasFamily(in.Static, fam)
}

// checkGateway refuses an address that no other machine can have.
func (in *Interface) checkGateway(gw netip.Addr) error {
	if prefixesContain(in.Static, gw) {
		return specs.Unusable("", gw.String(), "it is the interface's own address")
	}
	s := in.Net.SubnetOf(gw)
	if s == nil || gw == s.Gateway {
		return nil
	}
	if s.Reserved(gw) {
		return specs.Unusable("", gw.String(), "it is the network's own or the broadcast address of %s", s.Subnet)
	}
	return nil
}

func hasFamily(prefixes []netip.Prefix, fam int) bool {
	for _, p := range prefixes {
		if family(p.Addr()) == fam {
			return true
		}
	}
	return false
}

// nameInterfaces checks that requested names are free in the namespace and gives the other
// interfaces the lowest free netN.
func nameInterfaces(all []*Interface, f *Facts) error {
	taken := make(map[string]bool)
	for name := range f.Links {
		taken[name] = true
	}
	for _, in := range all {
		if in.Name == "" {
			continue
		}
		if taken[in.Name] {
			return in.At(errNameInUse(in))
		}
		taken[in.Name] = true
	}
	n := 0
	for _, in := range all {
		for in.Name == "" {
			if n++; !taken[fmt.Sprintf("net%d", n)] {
				in.Name = fmt.Sprintf("net%d", n)
			}
		}
	}
	return nil
}

// deriveMACs gives each interface of a network with mac = "derived" a MAC that is the same at
// every start of a container with this name.
func deriveMACs(all []*Interface, f *Facts) {
	for _, in := range all {
		if in.Net.MAC == specs.MACDerived && in.WantMAC.IsZero() {
			in.WantMAC = derivedMAC(in.Net.Name, f.Name, in.Name)
		}
	}
}

// derivedMAC returns 40 bits of a hash after the byte 02, the lowest one that is locally
// administered and unicast (IEEE 802-2014, 8.4).
func derivedMAC(parts ...string) specs.MAC {
	sum := digest.Sum([]byte(strings.Join(parts, "\x00")))
	return specs.MAC{0x02, sum[0], sum[1], sum[2], sum[3], sum[4]}
}
