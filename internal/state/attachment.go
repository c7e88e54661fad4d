package state

import (
	"fmt"
	"net/netip"
	"time"

	"berth/specs"
)

// Attachment is one interface of one namespace, from the reservation of its
// addresses until its final counts are no longer kept.
//
// A live one (attaching, attached) is found by its [Attachment.Key]. An ended one
// does not prevent a new one with the same key.
type Attachment struct {
	Cookie      uint64            // SO_NETNS_COOKIE of the namespace; never reused during a boot
	NSID        int               // the namespace's ID in the host's; -1 if not assigned (no link was made yet)
	Containers  []string          // IDs that share the namespace; the first attached
	Annotations map[string]string `json:",omitempty"` // the engine's annotations that name the container, never berth's

	Network     string           // "" for one defined in place
	Driver      specs.Driver     `json:",omitempty"`
	Mode        specs.Mode       `json:",omitempty"`
	IPvlanFlag  specs.IPvlanFlag `json:",omitempty"`
	Parent      string
	ParentIndex int
	TrunkIndex  int `json:",omitempty"` // of the trunk, if VLAN is not 0
	VLAN        int `json:",omitempty"` // if not 0, Parent is this VLAN's sub-interface

	Outer []VLAN `json:",omitempty"` // VLANs of the trunk itself (QinQ), the inner first

	SourceMACs []specs.MAC `json:",omitempty"` // in source mode, the MACs from which it receives

	IPv6      specs.IPv6        `json:",omitempty"` // the network's IPv6 setting without a subnet
	IPv6Token netip.Addr        `json:",omitzero"`  // interface identifier under advertised prefixes
	Enforce   []specs.Kind      `json:",omitempty"`
	Allow     []specs.Allowance `json:",omitempty"`

	Interface string // its name in the container
	LinkIndex int    // its index in the container, or 0 if not made yet
	MAC       specs.MAC
	MTU       int
	Addresses []netip.Prefix
	LinkLocal netip.Addr    `json:",omitzero"` // of IPv6; :: if it has none; zero if unknown
	Gateways  []netip.Addr  `json:",omitempty"`
	Routes    []specs.Route `json:",omitempty"`
	Replaced  []Default     `json:",omitempty"` // default routes that its own replaced, recorded before

	DHCP []DHCPClient `json:",omitempty"` // of each family whose address a DHCP server leases

	Observed bool   `json:",omitempty"` // berth did not create the interface; it holds no lease
	Holder   string `json:",omitempty"` // of an observed one: the name of a process or a file of its namespace

	NoHeal bool      `json:",omitempty"` // the network has heal = false
	Lost   bool      `json:",omitempty"` // its link vanished with its parent and is being made again
	Healed time.Time `json:",omitzero"`  // when its link was made again last

	Vanished time.Time `json:",omitzero"` // when its link vanished with its parent; zero if it was made again

	// of an observed one: its network by its program's name, if known
	EngineNetwork *specs.EngineNetwork `json:",omitempty"`

	Slot    uint32 `json:",omitempty"` // counter slot, or 0 if it has none or was drained
	Phase   specs.Phase
	Leaving bool      `json:",omitempty"` // its last container has ended: release it, do not join it
	Created time.Time // distinguishes two attachments with one key
	Ended   time.Time `json:",omitzero"`
	Unkeyed time.Time `json:",omitzero"` // when the datapath's keys were deleted; no later frame finds Slot

	UnkeyedBoot time.Duration `json:",omitempty"` // the same by CLOCK_BOOTTIME, which cannot be set; 0 if not yet

	Final           *specs.Counters       `json:",omitempty"` // the counts after Unkeyed and a grace period
	FinalViolations map[specs.Kind]uint64 `json:",omitempty"`
	FinalDropped    map[specs.Kind]uint64 `json:",omitempty"` // of FinalViolations
	Earlier         *specs.Counters       `json:",omitempty"` // of the container's earlier, pruned runs

	Engine *Names `json:",omitempty"` // the engine's names beyond Annotations; the agent sets it

	Selection string `json:",omitempty"` // canonical text of the request
	Door      *Door  `json:",omitempty"` // the engine's own way of requesting it; nil for a hook or an administrator
}

// Door is an engine's own way of requesting an interface, with the engine's names. An
// engine takes back only attachments of its own door and network. A record of a version
// without doors has none.
type Door struct {
	Name    string // DoorCNI or another
	Network string // the engine's name of the network, not berth's
}

// The names of the doors.
const (
	DoorCNI      = "cni"      // berth-cni
	DoorNetavark = "netavark" // berth-netavark
	DoorDocker   = "docker"   // the driver of docker
)

// Default is a default route of a container through another interface.
type Default struct {
	To     netip.Prefix // 0.0.0.0/0 or ::/0
	Via    netip.Addr   `json:",omitzero"` // zero if reached directly
	Metric int
	Index  int // of the link in the container
}

// Key identifies a live attachment: at any time a namespace has one interface of
// a name. The key of an observed interface has another form.
func (a *Attachment) Key() string {
	if a.Observed {
		return observedKey(a.NSID, a.LinkIndex)
	}
	return Key(a.Cookie, a.Interface)
}

// Key returns the key of an interface of a namespace.
func Key(cookie uint64, ifname string) string { return fmt.Sprintf("%016x/%s", cookie, ifname) }

// Alias returns the IFLA_IFALIAS of the link, by which it is identified before it
// is deleted.
func (a *Attachment) Alias() string { return "berth:" + a.Key() }

// AltName returns the alternative name of the link. It contains the cookie of the namespace, so
// during a boot no link of another namespace has it. A later link of the same name in the same
// namespace has the same. iproute2 accepts no slash in one (check_altifname in
// lib/utils.c).
func (a *Attachment) AltName() string { return fmt.Sprintf("berth-%016x-%s", a.Cookie, a.Interface) }

// Domain returns the layer-2 domain in which addresses and MACs are unique. Two
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

// settled reports whether a live attachment needs no work while its link exists.
func (a *Attachment) settled() bool { return a.Phase == specs.PhaseAttached && !a.Leaving }

// Draining reports whether an ended attachment still has a counter slot.
func (a *Attachment) Draining() bool { return a.Phase == specs.PhaseEnded && a.Slot != 0 }
