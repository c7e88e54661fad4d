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

// bucketShims holds the record of each network that has a shim.
const bucketShims = "host shims"

// Record is the shim of one network, from before it is made until all of it is
// removed.
type Record struct {
	Network string
	ID      string // random; part of the link's alias, which identifies the link

	Driver      specs.Driver
	Mode        specs.Mode
	IPvlanFlag  specs.IPvlanFlag `json:",omitempty"`
	Wanted      string           // the parent's name in the network
	Parent      string           // the parent's name in the kernel
	ParentIndex int              // 0 for a VLAN that is not made yet
	TrunkIndex  int              `json:",omitempty"`
	VLAN        int              `json:",omitempty"`
	Outer       []state.VLAN     `json:",omitempty"` // VLANs of the trunk itself, the inner first

	Interface string
	LinkIndex int // 0 if not known to be made
	MAC       specs.MAC
	MTU       int
	Addresses []netip.Prefix // with the prefixes of their subnets

	Enabled bool // complete, and not being removed
	Created time.Time
}

// key identifies the shim among the owners of leases and the users of VLANs.
func (r *Record) key() string { return Key(r.Network) }

// Key returns the key of a network's shim, which [state.Store.Hold] locks. No
// attachment has such a key, because theirs begin with 16 hexadecimal digits.
func Key(network string) string { return "host/" + network }

// vlans returns the VLANs that the shim uses, the inner first.
func (r *Record) vlans() []state.VLAN {
	a := state.Attachment{Parent: r.Parent, TrunkIndex: r.TrunkIndex, VLAN: r.VLAN, Outer: r.Outer}
	return a.VLANs()
}

// alias returns the IFLA_IFALIAS of the link.
func (r *Record) alias() string { return "berth:host/" + r.Network + "/" + r.ID }

// domain returns the layer-2 domain of the shim, in the form of attachments.
func (r *Record) domain() string {
	a := state.Attachment{ParentIndex: r.ParentIndex, TrunkIndex: r.TrunkIndex, VLAN: r.VLAN}
	return a.Domain()
}

// stake returns the shim's stake in its layer-2 domain. The owner has no
// container, because it is the host itself.
func (r *Record) stake() *plumb.Stake {
	return &plumb.Stake{
		Domain: r.domain(), VLAN: plumb.VLAN{Trunk: r.TrunkIndex, ID: r.VLAN}, Outer: plumb.VLANsOf(r.Outer),
		Owner: lease.Owner{Key: r.key(), Network: r.Network},
	}
}

// sourceTo returns the host's source address towards another: its address in the
// same subnet.
func (r *Record) sourceTo(to netip.Addr) netip.Addr {
	for _, p := range r.Addresses {
		if p.Contains(to) {
			return p.Addr()
		}
	}
	return netip.Addr{}
}

// Get returns the record of a network's shim, or nil if it has none.
func Get(tx *state.Tx, network string) (*Record, error) {
	b := tx.Bucket(bucketShims)
	if b == nil {
		return nil, nil
	}
	data := b.Get([]byte(network))
	if data == nil {
		return nil, nil
	}
	return decodeRecord(network, data)
}

// All returns the records of all shims, ordered by network.
func All(tx *state.Tx) (all []*Record, err error) {
	b := tx.Bucket(bucketShims)
	if b == nil {
		return nil, nil
	}
	err = b.ForEach(func(k, v []byte) error {
		r, err := decodeRecord(string(k), v)
		all = append(all, r)
		return err
	})
	return all, err
}

func decodeRecord(network string, data []byte) (*Record, error) {
	r := new(Record)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("host shim of network %q: %w: %w", network, state.ErrDamaged, err)
	}
	return r, nil
}

func putRecord(tx *state.Tx, r *Record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("host shim of network %q: %w", r.Network, err)
	}
	return tx.Bucket(bucketShims).Put([]byte(r.Network), data)
}
