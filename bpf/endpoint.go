package bpf

import (
	"net/netip"
	"slices"

	"berth/specs"
)

// Endpoint is one macvlan or ipvlan interface in the form of the datapath.
type Endpoint struct {
	Slot        uint32    // 1 to Slots()-1
	ParentIndex int       // of the interface's parent device
	VLAN        int       // the VLAN on a trunk without a sub-interface for it, else 0
	OfVLAN      VLAN      // the VLAN of which the device is the sub-interface; zero if it is not
	MAC         specs.MAC // if ipvlan, the parent's
	Index       int       // of the interface, in its namespace; AttachInside needs it
	Driver      specs.Driver
	Mode        specs.Mode
	Cookie      uint64 // of the container's namespace; 0 if unknown
	Addresses   []netip.Addr
	LinkLocal   netip.Addr  // of IPv6; :: if it has none; the zero Addr if unknown: then it may use any
	Sources     []specs.MAC // in source mode, the MACs whose frames it receives

	Enforce []specs.Kind      // kinds of violation whose frames are dropped
	Allow   []specs.Allowance // exceptions that are no violation
	IPv6    specs.IPv6        // of the network; "" if off
	Apart   bool              // ipvlan whose flag, private or vepa, forbids unicast frames between siblings

	Observed bool // not created by berth: it takes no address and no namespace that another endpoint has
}

// makeParty returns the value to which the endpoint's keys lead.
func (e Endpoint) makeParty() partyValue {
	mode, _ := modeNumber(e.Mode)
	p := partyValue{Slot: e.Slot, Mode: mode, NS: uint16(e.Cookie)}
	for _, kind := range e.Enforce {
		p.Enforce |= kindBit(kind)
	}
	if len(e.Addresses) == 0 {
		p.Exempt |= kindBit(specs.IPSpoof)
	}
	if e.Mode == specs.ModePassthru {
		p.Exempt |= kindBit(specs.MACSpoof) | kindBit(specs.HostIsolation)
	}
	if e.Observed {
		p.Exempt |= exemptObserved
		p.Flags |= flagOwnIPv6 | flagObserved
	}
	if slices.Contains(e.Allow, specs.AllowDHCPServer) {
		p.Exempt |= kindBit(specs.RogueDHCP)
	}
	if slices.Contains(e.Allow, specs.AllowRouter) {
		p.Exempt |= kindBit(specs.RogueRA)
		p.Flags |= flagRouter
	}
	if e.IPv6 == specs.IPv6SLAAC || e.IPv6 == specs.IPv6LinkLocal || e.IPv6 == specs.IPv6DHCP {
		p.Flags |= flagOwnIPv6
	}
	if e.LinkLocal.IsValid() {
		p.Flags |= flagLinkLocal
	}
	return p
}

// assigned returns Addresses and LinkLocal.
func (e Endpoint) assigned() []netip.Addr {
	if !e.LinkLocal.IsValid() || e.LinkLocal.IsUnspecified() {
		return e.Addresses
	}
	return append(slices.Clone(e.Addresses), e.LinkLocal)
}

// exemptObserved are the kinds that are not judged for observed interfaces. No network's file
// can forbid them to be DHCP servers or routers. The agent hears of an address only after its
// first frames, so it cannot tell a new address from a forged one.
var exemptObserved = kindBit(specs.RogueDHCP) | kindBit(specs.RogueRA) | kindBit(specs.IPSpoof)

// kindBit returns the bit of a kind, or 0 if the datapath does not know it.
func kindBit(kind specs.Kind) uint32 {
	number := slices.Index(specs.Kinds(), kind)
	if number < 0 {
		return 0
	}
	return 1 << number
}

// makeValue returns the value of its MAC, with the first address of either family, which most
// of its frames have.
func (e Endpoint) makeValue() endpointValue {
	v := endpointValue{Is: e.makeParty(), Cookie: e.Cookie}
	for _, a := range slices.Backward(e.assigned()) {
		if a.Is4() {
			v.Addr4 = a.As4()
		} else {
			v.Addr6 = a.As16()
		}
	}
	return v
}

// listedSources returns Sources if the mode uses them.
func (e Endpoint) listedSources() []specs.MAC {
	if e.Mode != specs.ModeSource {
		return nil
	}
	return e.Sources
}

func (e Endpoint) makeKey() endpointKey {
	return endpointKey{MAC: e.MAC, VLAN: uint16(e.VLAN), IfIndex: uint32(e.ParentIndex)}
}

func (e Endpoint) namespaceKey() namespaceKey {
	return namespaceKey{Cookie: e.Cookie, IfIndex: uint32(e.ParentIndex), VLAN: uint32(e.VLAN)}
}

func (e Endpoint) addressKey(a netip.Addr) addressKey {
	return addressKey{Addr: addressBytes(a), IfIndex: uint32(e.ParentIndex), VLAN: uint32(e.VLAN)}
}

// hasAddressKey reports whether one of the endpoint's addresses has a key.
func (e Endpoint) hasAddressKey(key addressKey) bool {
	return slices.ContainsFunc(e.assigned(), func(a netip.Addr) bool { return e.addressKey(a) == key })
}

func parentKey(ifindex int, mac specs.MAC) endpointKey {
	return endpointKey{MAC: mac, IfIndex: uint32(ifindex)}
}
