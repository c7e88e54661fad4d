package hook

import (
	"berth/internal/lease"
	"berth/internal/state"
)

// remembers reports whether the addresses of a network's interfaces are remembered. With DHCP
// the next start requests them again; with a pool it does so only if the network is sticky.
func remembers(in *Interface) bool { return in.Net.Sticky || in.Net.UsesDHCP() }

// recallAddresses returns the addresses and the MAC that an interface of a sticky network, or
// of one with DHCP, had when its container last ran, or the zero Memory if they are not
// remembered.
func (a *attaching) recallAddresses(tx *state.Tx, in *Interface) (lease.Memory, error) {
	if !remembers(in) {
		return lease.Memory{}, nil
	}
	return lease.Recall(tx, a.stickyKey(in))
}

// rememberAddresses stores the Memory of an interface whose network is sticky or uses DHCP: its
// MAC and its addresses, except requested ones, which will be requested again.
func (a *attaching) rememberAddresses(tx *state.Tx, in *Interface, r *state.Attachment) error {
	if !remembers(in) {
		return nil
	}
	m := lease.Memory{InLease: len(r.DHCP) > 0}
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
