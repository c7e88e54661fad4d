package hostshim

import (
	"fmt"

	"berth/internal/state"
	"berth/network"
)

// CheckSharing refuses an interface on the parent of a layer-2 domain if it
// cannot share the parent with an interface that berth made there (see
// [network.Use.CheckSharing]): a network's host shim, or a container's. One
// attachment is enough, because those of a parent can share it.
//
// The error wraps a *network.SharingError. Interfaces may be in any namespace, so
// CheckSharing reads the records, not the kernel.
func CheckSharing(tx *state.Tx, domain string, use network.Use) error {
	shims, err := All(tx)
	if err != nil {
		return err
	}
	for _, r := range shims {
		if r.domain() != domain {
			continue
		}
		if err := use.CheckSharing(r.use(), fmt.Sprintf("the host shim of network %q", r.Network)); err != nil {
			return fmt.Errorf("%w; disable it first: berth host disable %s", err, r.Network)
		}
	}
	a, err := tx.OneInDomain(domain)
	if err != nil || a == nil {
		return err
	}
	there := network.Use{Driver: a.Driver, Mode: a.Mode, Flag: a.IPvlanFlag}
	return use.CheckSharing(there, fmt.Sprintf("interface %q of container %q", a.Interface, a.Containers[0]))
}

// use returns the shim's use of its parent.
func (r *Record) use() network.Use {
	return network.Use{Driver: r.Driver, Mode: r.Mode, Flag: r.IPvlanFlag}
}
