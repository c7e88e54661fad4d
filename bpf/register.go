package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"berth/bpf/sys"
	"berth/specs"
)

// Register makes the datapath count an endpoint, from the next frame on. If it is
// registered already, nothing changes; a MAC of another slot is assigned to this one.
func (m *Maps) Register(e Endpoint) error {
	if err := m.beginRegister(e); err != nil {
		return err
	}
	if err := m.registerKeys(e); err != nil {
		_ = m.Unregister(e) // the error has the cause already
		return fmt.Errorf("register endpoint %s: %w", e.MAC, err)
	}
	return nil
}

// beginRegister opens the maps again if an agent has replaced them, and checks an endpoint.
func (m *Maps) beginRegister(e Endpoint) error {
	if err := m.reopenReplaced(); err != nil {
		return err
	}
	if err := m.checkEndpoint(e); err != nil {
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

// registerKeys sets the VLAN first, then the MAC, then the namespace and the addresses. Without the
// VLAN, the programs on the trunk would examine the endpoint's frames too. The MAC comes before the
// last two, because without it the endpoint's own frames would look forged.
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
		if err := registerParty(m, e, mapNamespaces, e.namespaceKey()); err != nil {
			return err
		}
	}
	for _, a := range e.assigned() {
		if err := registerParty(m, e, mapAddresses, e.addressKey(a)); err != nil {
			return err
		}
	}
	return nil
}

// registerParty makes a key lead to an endpoint. An observed one does not take a key that leads to
// another endpoint.
func registerParty(m *Maps, e Endpoint, name string, key any) error {
	if e.Observed {
		one, err := m.openMap(name)
		if err != nil {
			return err
		}
		var now partyValue
		if err := one.Lookup(key, &now); err == nil && now.Slot != e.Slot {
			return nil
		}
	}
	return setUnlessEqual(m, name, key, e.makeParty())
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
	if err != nil && !errors.Is(err, sys.ErrKeyNotExist) {
		return err
	}
	p.Flags |= parentIPvlan
	if len(e.Enforce) > 0 {
		p.Flags |= parentEnforces
	}
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
	errs := []error{m.reopenReplaced(), m.forgetKeys(e, Endpoint{})}
	if e.mayHaveOwnPrograms() {
		for _, o := range ownPrograms {
			if err := m.forgetInside(o, e); !errors.Is(err, fs.ErrNotExist) { // else an agent is pinning the first maps
				errs = append(errs, err)
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("unregister endpoint %s: %w", e.MAC, err)
	}
	return nil
}

// UnregisterNamespace makes the datapath forget the namespace of an endpoint: a frame of the namespace
// with another MAC than the endpoint's is not forged from then on. The endpoint stays counted.
//
// Before an endpoint's interface is deleted, it must be called. Another macvlan interface of the
// namespace, as one of an engine's own network, is recognised only beside the endpoint's interface.
func (m *Maps) UnregisterNamespace(e Endpoint) error {
	err := m.reopenReplaced()
	if err == nil {
		err = deleteIf(m, mapNamespaces, e.namespaceKey(), func(p partyValue) bool { return p.Slot == e.Slot })
	}
	if err != nil {
		return fmt.Errorf("unregister the namespace of endpoint %s: %w", e.MAC, err)
	}
	return nil
}

// Move registers an endpoint under other keys: its parent has another index now, it is on another
// VLAN, or it has another MAC or other addresses. It deletes the keys that the endpoint had and has
// no longer. Its slot, its counts and the programs on its own interface stay, and it is registered
// all the while: none of its frames looks forged in between. If a key cannot be set, it stays
// registered as it was.
func (m *Maps) Move(from, to Endpoint) error {
	if err := m.beginRegister(to); err != nil {
		return err
	}
	if err := m.registerKeys(to); err != nil {
		return errors.Join(fmt.Errorf("register endpoint %s: %w", to.MAC, err), m.forgetKeys(to, from), m.registerKeys(from))
	}
	errs := []error{m.forgetKeys(from, to)}
	if to.mayHaveOwnPrograms() && to.Index != 0 {
		errs = append(errs, m.moveInside(to))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("move endpoint %s to interface %d: %w", to.MAC, to.ParentIndex, err)
	}
	return nil
}

// moveInside corrects the parent in the sibling program's map, if it has the interface.
func (m *Maps) moveInside(to Endpoint) error {
	v, err := m.inside(insideOf(SiblingProgram, to))
	if err != nil || v.Slot != to.Slot {
		return err
	}
	return m.putInside(to, v.Reserved[0])
}

// forgetKeys deletes the keys that lead to an endpoint on its parent, except those that it has in
// its other state too.
func (m *Maps) forgetKeys(e, except Endpoint) error {
	var errs []error
	ours := func(p partyValue) bool { return p.Slot == e.Slot }
	for _, a := range e.assigned() {
		if !except.hasAddressKey(e.addressKey(a)) {
			errs = append(errs, deleteIf(m, mapAddresses, e.addressKey(a), ours))
		}
	}
	for _, mac := range e.listedSources() {
		if !slices.Contains(except.listedSources(), mac) {
			errs = append(errs, deleteIf(m, mapSources, sourceKey{Slot: e.Slot, MAC: mac}, func(uint8) bool { return true }))
		}
	}
	if e.namespaceKey() != except.namespaceKey() {
		errs = append(errs, deleteIf(m, mapNamespaces, e.namespaceKey(), ours))
	}
	if e.makeKey() != except.makeKey() {
		errs = append(errs, m.withLock(func() error {
			return m.deleteEndpoint(e.makeKey(), func(v endpointValue) bool { return ours(v.Is) })
		}))
	}
	if e.Mode == specs.ModePassthru && (except.Mode != e.Mode || except.ParentIndex != e.ParentIndex) {
		errs = append(errs, m.takePassthru(e))
	}
	return errors.Join(errs...)
}
