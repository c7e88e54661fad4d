package hook

import (
	"berth/internal/lease"
	"berth/internal/state"
)

// recallLeases returns the addresses and the MAC that an interface of a sticky network had
// when its container last ran, or the zero Memory if the network is not sticky.
func (a *attaching) recallLeases(tx *state.Tx, in *Interface) (lease.Memory, error) {
	if !in.Net.Sticky {
		return lease.Memory{}, nil
	}
	return lease.Recall(tx, a.stickyKey(in))
}

// storeLeases stores the addresses and the MAC of an interface of a sticky network,
// except requested addresses, which will be requested again.
func (a *attaching) storeLeases(tx *state.Tx, in *Interface, r *state.Attachment) error {
	if !in.Net.Sticky {
		return nil
	}
	m := lease.Memory{}
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
