package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf"

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
	Sources     []specs.MAC // in source mode, the MACs whose frames it receives

	Enforce []specs.Kind      // kinds of violation whose frames are dropped
	Allow   []specs.Allowance // exceptions that are no violation
	IPv6    specs.IPv6        // of the network; "" if off

	Observed bool // not created by berth: it does not take an address that another endpoint has
}

// Register makes the datapath count an endpoint, from the next frame on. If it is
// registered already, nothing changes; a MAC of another slot is assigned to this one.
func (m *Maps) Register(e Endpoint) error {
	if err := m.reopenReplaced(); err != nil {
		return err
	}
	if err := m.checkEndpoint(e); err != nil {
		return fmt.Errorf("register endpoint %s: %w", e.MAC, err)
	}
	if err := m.registerKeys(e); err != nil {
		_ = m.Unregister(e) // the error has the cause already
		return fmt.Errorf("register endpoint %s: %w", e.MAC, err)
	}
	return nil
}

func (m *Maps) checkEndpoint(e Endpoint) error {
	if _, err := modeNumber(e.Mode); err != nil {
		return err
	}
	switch slots := m.Slots(); {
	case !slices.Contains(specs.Modes(e.Driver), e.Mode):
		return fmt.Errorf("driver %q in mode %q is not counted", e.Driver, e.Mode)
	case e.Slot == 0 || e.Slot >= slots:
		return fmt.Errorf("slot %d: want 1 to %d", e.Slot, int64(slots)-1)
	case e.ParentIndex <= 0:
		return fmt.Errorf("parent index %d: want a positive one", e.ParentIndex)
	case e.VLAN < 0 || e.VLAN > 4094:
		return fmt.Errorf("VLAN %d: want 0 to 4094", e.VLAN)
	case e.MAC.IsZero() || e.MAC.IsMulticast():
		return errors.New("want a unicast MAC")
	}
	return nil
}

// registerKeys sets the MAC before the rest: without it, frames of the endpoint's own would
// look forged.
func (m *Maps) registerKeys(e Endpoint) error {
	if e.OfVLAN != (VLAN{}) {
		if err := setUnlessEqual(m, mapVLANs, e.OfVLAN.makeKey(), uint32(e.ParentIndex)); err != nil {
			return err
		}
	}
	own := m.registerMAC
	if e.Driver == specs.IPvlan {
		own = m.shareMAC
	}
	if err := own(e); err != nil {
		return err
	}
	if e.Cookie != 0 {
		if err := setUnlessEqual(m, mapNamespaces, e.namespaceKey(), e.makeParty()); err != nil {
			return err
		}
	}
	for _, a := range e.Addresses {
		if err := m.registerAddress(e, a); err != nil {
			return err
		}
	}
	return nil
}

// registerAddress assigns an address to an endpoint. An observed one does not take an address
// that is another's.
func (m *Maps) registerAddress(e Endpoint, a netip.Addr) error {
	if e.Observed {
		one, err := m.openMap(mapAddresses)
		if err != nil {
			return err
		}
		var now partyValue
		if err := one.Lookup(e.addressKey(a), &now); err == nil && now.Slot != e.Slot {
			return nil
		}
	}
	return setUnlessEqual(m, mapAddresses, e.addressKey(a), e.makeParty())
}

// registerMAC sets the list of source mode first: without it, frames would look denied.
func (m *Maps) registerMAC(e Endpoint) error {
	for _, mac := range e.listedSources() {
		if err := setUnlessEqual(m, mapSources, sourceKey{Slot: e.Slot, MAC: mac}, uint8(1)); err != nil {
			return err
		}
	}
	if err := m.setEndpoint(e.makeKey(), e.makeValue()); err != nil {
		return err
	}
	if e.Mode == specs.ModePassthru {
		return m.givePassthru(e)
	}
	return nil
}

// shareMAC marks the parent's MAC as shared, so that the programs distinguish its frames by
// their addresses, now and after the agent attaches to the parent again.
func (m *Maps) shareMAC(e Endpoint) error {
	return m.withLock(func() error { return m.shareParent(e) })
}

func (m *Maps) shareParent(e Endpoint) error {
	p, err := m.parentOf(e.ParentIndex)
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return err
	}
	p.Flags |= parentIPvlan
	if err := setUnlessEqual(m, mapParents, uint32(e.ParentIndex), p); err != nil {
		return err
	}
	cookie, err := netnsCookie()
	if err != nil {
		return err
	}
	value := endpointValue{Is: partyValue{Flags: flagParent | flagIPvlan}, Cookie: cookie}
	return m.putEndpoint(parentKey(e.ParentIndex, e.MAC), value)
}

// Unregister makes the datapath forget an endpoint. It deletes only the keys that still lead
// to its slot, so a MAC or an address with a new owner stays. If the namespace has a second
// interface on the same parent, frames are attributed to that one by the namespace's cookie
// only after it is registered again.
func (m *Maps) Unregister(e Endpoint) error {
	errs := []error{m.reopenReplaced(), m.forgetKeys(e)}
	if e.onItself() {
		if err := m.forgetInside(e); !errors.Is(err, fs.ErrNotExist) { // else an agent is pinning the first maps
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("unregister endpoint %s: %w", e.MAC, err)
	}
	return nil
}

// Move registers an endpoint whose parent has another index now, or that is on another
// VLAN, and unregisters it at the old place. Its slot, its counts and the sibling program
// stay.
func (m *Maps) Move(from, to Endpoint) error {
	if err := m.Register(to); err != nil {
		return err
	}
	if from.ParentIndex == to.ParentIndex && from.VLAN == to.VLAN {
		return nil // only the trunk below has another index: its keys are the same
	}
	errs := []error{m.forgetKeys(from)}
	if to.onItself() && to.Index != 0 {
		errs = append(errs, m.moveInside(to))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("move endpoint %s to interface %d: %w", to.MAC, to.ParentIndex, err)
	}
	return nil
}

// moveInside corrects the parent in the sibling program's map, if it has the interface.
func (m *Maps) moveInside(to Endpoint) error {
	v, err := m.inside(to)
	if err != nil || v.Slot != to.Slot {
		return err
	}
	return m.PutInside(to)
}

// forgetKeys deletes the keys that lead to an endpoint on its parent.
func (m *Maps) forgetKeys(e Endpoint) error {
	var errs []error
	ours := func(p partyValue) bool { return p.Slot == e.Slot }
	for _, a := range e.Addresses {
		errs = append(errs, deleteIf(m, mapAddresses, e.addressKey(a), ours))
	}
	for _, mac := range e.listedSources() {
		errs = append(errs, deleteIf(m, mapSources, sourceKey{Slot: e.Slot, MAC: mac}, func(uint8) bool { return true }))
	}
	errs = append(errs,
		deleteIf(m, mapNamespaces, e.namespaceKey(), ours),
		m.withLock(func() error {
			return m.deleteEndpoint(e.makeKey(), func(v endpointValue) bool { return ours(v.Is) })
		}))
	if e.Mode == specs.ModePassthru {
		errs = append(errs, m.takePassthru(e))
	}
	return errors.Join(errs...)
}

// givePassthru assigns the whole parent to an endpoint.
func (m *Maps) givePassthru(e Endpoint) error {
	return m.withLock(func() error {
		p, err := m.parentOf(e.ParentIndex)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
		p.Slot = e.Slot
		return setUnlessEqual(m, mapParents, uint32(e.ParentIndex), p)
	})
}

// takePassthru returns the parent to the host: its own MAC replaces the passthru endpoint's
// among the endpoints.
func (m *Maps) takePassthru(e Endpoint) error {
	return m.withLock(func() error { return m.takeParent(e) })
}

func (m *Maps) takeParent(e Endpoint) error {
	p, err := m.parentOf(e.ParentIndex)
	if errors.Is(err, ebpf.ErrKeyNotExist) || err == nil && p.Slot != e.Slot {
		return nil
	} else if err != nil {
		return err
	}
	if p.MAC.IsZero() { // no agent has attached to it
		return deleteIf(m, mapParents, uint32(e.ParentIndex), func(v parentValue) bool { return v.Slot == e.Slot })
	}
	p.Slot = 0
	if err := setUnlessEqual(m, mapParents, uint32(e.ParentIndex), p); err != nil {
		return err
	}
	cookie, err := netnsCookie()
	if err != nil {
		return err
	}
	value := endpointValue{Is: partyValue{Flags: flagParent}, Cookie: cookie}
	return m.putEndpoint(parentKey(e.ParentIndex, p.MAC), value)
}

func (m *Maps) parentOf(ifindex int) (parentValue, error) {
	var p parentValue
	one, err := m.openMap(mapParents)
	if err != nil {
		return p, err
	}
	if err := one.Lookup(uint32(ifindex), &p); err != nil {
		return p, fmt.Errorf("look up parent %d: %w", ifindex, err)
	}
	return p, nil
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
		p.Flags |= flagOwnIPv6
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
	return p
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
	for _, a := range slices.Backward(e.Addresses) {
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

func parentKey(ifindex int, mac specs.MAC) endpointKey {
	return endpointKey{MAC: mac, IfIndex: uint32(ifindex)}
}
