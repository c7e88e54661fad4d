package hook

import (
	"berth/internal/state"
	"berth/ipam"
)

// recall returns what an interface of a sticky network had when its container
// last ran; nothing for other networks.
func (a *attaching) recall(tx *state.Tx, in *Interface) (ipam.Memory, error) {
	if !in.Net.Sticky {
		return ipam.Memory{}, nil
	}
	return ipam.Recall(tx, a.stickyKey(in))
}

// remember keeps what an interface of a sticky network has now. Addresses that
// were asked for are asked for again.
func (a *attaching) remember(tx *state.Tx, in *Interface, r *state.Attachment) error {
	if !in.Net.Sticky {
		return nil
	}
	m := ipam.Memory{}
	if !hasParentMAC(r.Driver, r.Mode) {
		m.MAC = r.MAC
	}
	for _, p := range r.Addresses {
		if !covers(in.Static, p.Addr()) {
			m.Addresses = append(m.Addresses, p.Addr())
		}
	}
	return ipam.Remember(tx, a.stickyKey(in), m)
}

func (a *attaching) stickyKey(in *Interface) string {
	return ipam.StickyKey(in.Net.Name, containerName(a.container), in.Name)
}
