package specs

import (
	"net/netip"
	"time"
)

// ClusterStatus is the cluster as one node's agent sees it: GET /v1/cluster. The commands
// `berth cluster nodes|ps|pools --json` print its lists. Its schema is
// specs/schema/cluster.json.
type ClusterStatus struct {
	Node        string              `json:"node"`              // this node's name
	ID          string              `json:"id"`                // its identity; "" before its file was read
	Contact     *time.Time          `json:"contact"`           // the last answer of etcd; null if there was none
	Error       string              `json:"error,omitempty"`   // why etcd does not answer
	Nodes       []ClusterNode       `json:"nodes"`             // by name
	Pools       []ClusterPool       `json:"pools"`             // by domain
	Attachments []ClusterAttachment `json:"attachments"`       // by node and container
	Invalid     []string            `json:"invalid,omitempty"` // keys that berth did not write
}

// ClusterNode is a node of the cluster.
type ClusterNode struct {
	Name    string    `json:"name"`
	ID      string    `json:"id"`
	This    bool      `json:"this,omitempty"` // the node that answers
	Present bool      `json:"present"`        // its presence has not ended
	Since   time.Time `json:"since"`          // when it registered, at its start of this boot
	Blocks  int       `json:"blocks"`         // that it owns, in all domains
	Size    int       `json:"size"`           // addresses in them that can be leased
	Used    int       `json:"used"`           // of Size: those that its attachments have
}

// ClusterPool is the pool of a domain.
type ClusterPool struct {
	Domain   string `json:"domain"`
	Subnet   string `json:"subnet"`
	Range    string `json:"ip_range"`
	Block    int    `json:"block"`           // addresses of a block
	Size     uint64 `json:"size"`            // addresses of the range, reserved ones included
	Blocks   uint64 `json:"blocks"`          // blocks of the range
	Claimed  int    `json:"claimed"`         // blocks with an owner
	Idle     int    `json:"idle"`            // of Claimed: those that any node may take
	Used     int    `json:"used"`            // addresses of attachments in the subnet
	Here     int    `json:"here"`            // blocks of this node
	FreeHere int    `json:"free_here"`       // addresses that this node can lease without etcd
	Error    string `json:"error,omitempty"` // why this node claims none, such as a differing network file
}

// ClusterAttachment is an attachment of a node.
type ClusterAttachment struct {
	Node      string       `json:"node"`
	Container string       `json:"container"` // ID, or "" of a host shim
	Name      string       `json:"name,omitempty"`
	Network   string       `json:"network"`
	Domain    string       `json:"domain,omitempty"` // of a network with a shared pool
	Interface string       `json:"interface"`
	MAC       MAC          `json:"mac,omitzero"`
	Addresses []netip.Addr `json:"addresses"`
	Observed  bool         `json:"observed,omitempty"`
	Conflicts []string     `json:"conflicts,omitempty"` // addresses and MACs that another node has too
}
