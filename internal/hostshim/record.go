package hostshim

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"berth/internal/lease"
	"berth/internal/plumb"
	"berth/internal/state"
	"berth/specs"
)

// bucketShims has the record of each network that has a shim.
const bucketShims = "host shims"

// Record is the shim of one network, from before it is made until nothing is
// left of it.
type Record struct {
	Network string
	ID      string // random; part of the link's alias, by which it is known again

	Driver      specs.Driver
	Mode        specs.Mode
	IPvlanFlag  specs.IPvlanFlag `json:",omitempty"`
	Wanted      string           // the parent as the network has it
	Parent      string           // its name in the kernel
	ParentIndex int              // 0: a VLAN that is not made yet
	TrunkIndex  int              `json:",omitempty"`
	VLAN        int              `json:",omitempty"`
	Outer       []state.VLAN     `json:",omitempty"` // VLANs that the trunk itself is, the inner first

	Interface string
	LinkIndex int // 0: not known to be made yet
	MAC       specs.MAC
	MTU       int
	Addresses []netip.Prefix // with the prefixes of their subnets

	Enabled bool // made, and not being taken away
	Created time.Time
}

// key names the shim among the owners of leases and the users of VLANs.
func (r *Record) key() string { return Key(r.Network) }

// Key names the shim of a network, and is the key by which [state.Store.Hold]
// keeps others from it. No attachment has it, because those begin with a
// number of 16 digits.
func Key(network string) string { return "host/" + network }

// vlans returns the VLANs that the shim uses, the inner first.
func (r *Record) vlans() []state.VLAN {
	a := state.Attachment{Parent: r.Parent, TrunkIndex: r.TrunkIndex, VLAN: r.VLAN, Outer: r.Outer}
	return a.VLANs()
}

// alias is the IFLA_IFALIAS of the link.
func (r *Record) alias() string { return "berth:host/" + r.Network + "/" + r.ID }

// domain is the layer-2 domain that the shim is in, as attachments name it.
func (r *Record) domain() string {
	a := state.Attachment{ParentIndex: r.ParentIndex, TrunkIndex: r.TrunkIndex, VLAN: r.VLAN}
	return a.Domain()
}

// stake returns the shim's place in its layer-2 domain. The owner has no
// container: it is the host itself.
func (r *Record) stake() *plumb.Stake {
	return &plumb.Stake{
		Domain: r.domain(), VLAN: plumb.VLAN{Trunk: r.TrunkIndex, ID: r.VLAN}, Outer: plumb.VLANsOf(r.Outer),
		Owner: lease.Owner{Key: r.key(), Network: r.Network},
	}
}

// source returns the address by which the host speaks with another: the one of
// the same subnet.
func (r *Record) source(to netip.Addr) netip.Addr {
	for _, p := range r.Addresses {
		if p.Contains(to) {
			return p.Addr()
		}
	}
	return netip.Addr{}
}

// Get returns the record of a network's shim, nil where it has none.
func Get(tx *state.Tx, network string) (*Record, error) {
	b := tx.Bucket(bucketShims)
	if b == nil {
		return nil, nil
	}
	data := b.Get([]byte(network))
	if data == nil {
		return nil, nil
	}
	return decode(network, data)
}

// All returns the records of all shims, ordered by network.
func All(tx *state.Tx) (all []*Record, err error) {
	b := tx.Bucket(bucketShims)
	if b == nil {
		return nil, nil
	}
	err = b.ForEach(func(k, v []byte) error {
		r, err := decode(string(k), v)
		all = append(all, r)
		return err
	})
	return all, err
}

func decode(network string, data []byte) (*Record, error) {
	r := new(Record)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("host shim of network %q: %w: %w", network, state.ErrDamaged, err)
	}
	return r, nil
}

func put(tx *state.Tx, r *Record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("host shim of network %q: %w", r.Network, err)
	}
	return tx.Bucket(bucketShims).Put([]byte(r.Network), data)
}
