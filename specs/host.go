package specs

import (
	"net/netip"
	"time"
)

// HostState is the state of a host shim.
type HostState string

// States of a host shim.
const (
	HostMaking  HostState = "making"  // being created or removed; gc removes it after a crash
	HostEnabled HostState = "enabled" // the host and the containers reach each other
	HostBroken  HostState = "broken"  // its interface is gone or down; the remedy is to enable it again
)

// HostShim is the interface by which the host reaches the containers of one
// network, in the output of `berth host ls --json` and the like. Its schema is
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
	Routes    []netip.Addr   `json:"routes"`    // of containers that the host reaches through it
	Created   time.Time      `json:"created"`
}
