package hook

import (
	"berth/internal/lease"
	"berth/internal/state"
)

// remembers reports whether the addresses of a network's interfaces are remembered.
// With DHCP they are asked for again; with a pool they are only if it is sticky.
func remembers(in *Interface) bool { return in.Net.Sticky || in.Net.UsesDHCP() }

// recallLeases returns the addresses and the MAC that an interface of a sticky network, or
// of one with DHCP, had when its container last ran, or the zero Memory if they are not
// remembered.
func (a *attaching) recallLeases(tx *state.Tx, in *Interface) (lease.Memory, error) {
	if !remembers(in) {
		return lease.Memory{}, nil
	}
	return lease.Recall(tx, a.stickyKey(in))
}

// storeLeases stores the addresses and the MAC of an interface whose network is sticky or uses DHCP,
// except requested addresses, which will be requested again.
func (a *attaching) storeLeases(tx *state.Tx, in *Interface, r *state.Attachment) error {
	if !remembers(in) {
		return nil
	}
	m := lease.Memory{Held: len(r.DHCP) > 0}
	if !hasParentMAC(r.Driver, r.Mode) {
		m.MAC = r.MAC
	}
	for _, p := range r.Addresses {
		if !prefixesContain(in.Static, p.Addr()) {
			m.Addresses = append(m.Addresses, p.Addr())
		}
	}
	return lease.Remember(tx, a.stickyKey(in), m)
}

func (a *attaching) stickyKey(in *Interface) string {
	return lease.StickyKey(in.Net.Name, containerName(a.container), in.Name)
}
