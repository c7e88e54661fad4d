package state

import (
	"fmt"
	"net/netip"
	"time"

	"berth/specs"
)

// Attachment is one interface of one namespace, from the moment that its
// addresses are reserved until its counts are final and no longer kept.
//
// A live one (attaching, attached) is found by its [Attachment.Key]. An ended
// one no longer stands in the way of a new one with the same key.
type Attachment struct {
	Cookie      uint64            // SO_NETNS_COOKIE of the namespace; never reused during a boot
	NSID        int               // the namespace's id as the host's namespace knows it; -1: none yet, so no link was made yet
	Containers  []string          // ids that share the namespace; the first attached
	Annotations map[string]string `json:",omitempty"` // the engine's own that name the container, never berth's

	Network     string           // "" for one defined in place
	Driver      specs.Driver     `json:",omitempty"`
	Mode        specs.Mode       `json:",omitempty"`
	IPvlanFlag  specs.IPvlanFlag `json:",omitempty"`
	Parent      string
	ParentIndex int
	TrunkIndex  int `json:",omitempty"` // of the trunk, when VLAN is not 0
	VLAN        int `json:",omitempty"` // not 0: Parent is this VLAN's sub-interface

	Outer []VLAN `json:",omitempty"` // VLANs that the trunk itself is (QinQ), the inner first

	SourceMACs []specs.MAC `json:",omitempty"` // in source mode: from whom it receives

	IPv6    specs.IPv6        `json:",omitempty"` // what the network says of IPv6 without a subnet
	Enforce []specs.Kind      `json:",omitempty"`
	Allow   []specs.Allowance `json:",omitempty"`

	Interface string // its name in the container
	LinkIndex int    // its index in the container; 0: not made yet
	MAC       specs.MAC
	MTU       int
	Addresses []netip.Prefix
	Gateways  []netip.Addr  `json:",omitempty"`
	Routes    []specs.Route `json:",omitempty"`
	Replaced  []Default     `json:",omitempty"` // default routes whose place its own took, recorded before

	Slot    uint32 `json:",omitempty"` // counter slot; 0: none, or drained
	Phase   specs.Phase
	Leaving bool      `json:",omitempty"` // its last container is gone: release it, do not join it
	Created time.Time // tells two attachments with one key apart
	Ended   time.Time `json:",omitzero"`
	Unkeyed time.Time `json:",omitzero"` // when the datapath forgot it: from then on no new frame finds Slot

	UnkeyedBoot time.Duration `json:",omitempty"` // the same by CLOCK_BOOTTIME, which is never set; 0 if not yet

	Final           *specs.Counters       `json:",omitempty"` // the counts after Unkeyed and a grace period
	FinalViolations map[specs.Kind]uint64 `json:",omitempty"`
	FinalDropped    map[specs.Kind]uint64 `json:",omitempty"` // of FinalViolations
	Earlier         *specs.Counters       `json:",omitempty"` // of earlier runs of the container whose records are pruned

	Engine *Names `json:",omitempty"` // what the engine says beyond Annotations; the agent finds it out

	Selection string `json:",omitempty"` // canonical text of what was asked for
}

// Default is a default route of a container by way of another interface.
type Default struct {
	To     netip.Prefix // 0.0.0.0/0 or ::/0
	Via    netip.Addr   `json:",omitzero"` // none: reached directly
	Metric int
	Index  int // of the link in the container
}

// Key names a live attachment: at any time there is one interface of a name in
// a namespace.
func (a *Attachment) Key() string { return Key(a.Cookie, a.Interface) }

// Key returns the key of an interface of a namespace.
func Key(cookie uint64, ifname string) string { return fmt.Sprintf("%016x/%s", cookie, ifname) }

// Alias is the IFLA_IFALIAS of the link, by which it is known again before it
// is deleted.
func (a *Attachment) Alias() string { return "berth:" + a.Key() }

// AltName is the alternative name of the link, which no other link has during a
// boot. iproute2 takes no slash in one (check_altifname in lib/utils.c).
func (a *Attachment) AltName() string { return fmt.Sprintf("berth-%016x-%s", a.Cookie, a.Interface) }

// Domain names the layer-2 domain in which addresses and MACs are unique. Two
// networks on one parent, or on one VLAN of one trunk, share it.
func (a *Attachment) Domain() string {
	if a.VLAN != 0 {
		return fmt.Sprintf("%d.%d", a.TrunkIndex, a.VLAN)
	}
	return fmt.Sprintf("%d.0", a.ParentIndex)
}

// VLANs returns the VLANs that the attachment uses, the inner first.
func (a *Attachment) VLANs() []VLAN {
	if a.VLAN == 0 {
		return a.Outer
	}
	return append([]VLAN{{a.TrunkIndex, a.VLAN, a.Parent}}, a.Outer...)
}

// Settled reports whether nothing is to be done about a live attachment as
// long as its link is there.
func (a *Attachment) settled() bool { return a.Phase == specs.PhaseAttached && !a.Leaving }

// Draining reports whether an ended attachment still has a counter slot.
func (a *Attachment) Draining() bool { return a.Phase == specs.PhaseEnded && a.Slot != 0 }
