package specs

import "net/netip"

// NetworkStatus is a network with the use of its pools, in the agent's answer to
// /v1/networks. Its schema is specs/schema/network-status.json.
type NetworkStatus struct {
	*Network
	Host    *HostShim    `json:"host,omitempty"`    // its host shim
	Pools   []PoolStatus `json:"pools"`             // one for each subnet
	Problem string       `json:"problem,omitempty"` // why the leases are not known
}

// PoolStatus is the use of a subnet's addresses.
type PoolStatus struct {
	Subnet   netip.Prefix  `json:"subnet"`
	Range    netip.Prefix  `json:"range"` // of the addresses that are given out without a request
	Size     uint64        `json:"size"`  // addresses that the pool gives out if none is in use, at most 2^64-1
	Free     uint64        `json:"free"`  // of Size: those that neither a lease nor another program has
	Held     []PoolAddress `json:"held"`
	Foreign  []PoolAddress `json:"foreign"`  // other programs have given them to containers
	Reserved []PoolAddress `json:"reserved"` // the holder is the reason
	Exclude  []Exclusion   `json:"exclude"`
}

// PoolAddress is an address that a pool does not give out.
type PoolAddress struct {
	Address netip.Addr `json:"address"`
	Holder  string     `json:"holder"` // a container's ID, another program, or a reason
}
