package specs

import (
	"net/netip"
	"time"
)

// HostState is how a host shim is.
type HostState string

// States of a host shim.
const (
	HostMaking  HostState = "making"  // being made or taken away; after a crash, what gc takes away
	HostEnabled HostState = "enabled" // the host and the containers reach each other
	HostBroken  HostState = "broken"  // its interface is gone or down: enable it again
)

// HostShim is the interface by which the host reaches the containers of one
// network, as `berth host ls --json` and the others show it. Its schema is
// specs/schema/host.json.
type HostShim struct {
	Network   string         `json:"network"`
	Interface string         `json:"interface"` // of the host
	State     HostState      `json:"state"`
	Driver    Driver         `json:"driver"`
	Mode      Mode           `json:"mode"`
	Parent    string         `json:"parent"`
	VLAN      int            `json:"vlan,omitempty"`
	MAC       MAC            `json:"mac"`
	MTU       int            `json:"mtu"`
	Addresses []netip.Prefix `json:"addresses"` // of the shim, with the prefix of its subnet
	Routes    []netip.Addr   `json:"routes"`    // of containers that the host reaches by it
	Created   time.Time      `json:"created"`
}
