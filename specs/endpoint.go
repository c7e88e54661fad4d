package specs

import (
	"net/netip"
	"time"
)

// Phase is how far an attachment has come.
type Phase string

// The life of an attachment.
const (
	PhaseAttaching Phase = "attaching" // being made; after a crash, what gc reclaims
	PhaseAttached  Phase = "attached"
	PhaseEnded     Phase = "ended" // the interface is gone, the counts are final or nearly so
)

// Endpoint is one interface of one container as berth shows it: an element of
// `berth ps --json`, `berth inspect` and GET /v1/endpoints. Its schema is
// specs/schema/endpoint.json.
type Endpoint struct {
	ContainerID    string            `json:"container_id"`              // the id that the runtime was given
	Containers     []string          `json:"containers,omitempty"`      // all that share the namespace, when more than one
	ContainerNames []string          `json:"container_names,omitempty"` // the names of Containers, in their order; "" if not known
	Name           string            `json:"name,omitempty"`            // the container's name, as its engine says it
	Image          string            `json:"image,omitempty"`
	Pod            string            `json:"pod,omitempty"`
	Namespace      string            `json:"namespace,omitempty"` // Kubernetes'
	Labels         map[string]string `json:"labels,omitempty"`    // the container's, by its engine; those that users give
	Network        string            `json:"network"`             // "" for one defined in place
	Interface      string            `json:"interface"`
	Driver         Driver            `json:"driver"`
	Mode           Mode              `json:"mode"`
	Parent         string            `json:"parent"`
	VLAN           int               `json:"vlan,omitempty"`
	MAC            MAC               `json:"mac"`
	MTU            int               `json:"mtu"`
	Addresses      []netip.Prefix    `json:"addresses"`
	Gateways       []netip.Addr      `json:"gateways,omitempty"`
	Routes         []Route           `json:"routes,omitempty"`
	Phase          Phase             `json:"phase"`
	Created        time.Time         `json:"created"`
	Ended          time.Time         `json:"ended,omitzero"`
	Counted        bool              `json:"counted"` // false: no agent has pinned its maps yet
	Counters       Counters          `json:"counters"`
	GroupPackets   *uint64           `json:"group_packets,omitempty"` // frames to groups and to all that it received, by the interface's own statistics; absent where nobody knows
	Violations     map[Kind]uint64   `json:"violations,omitempty"`    // by kind, those that are not 0
	Dropped        map[Kind]uint64   `json:"dropped,omitempty"`       // of these, what the network's enforce has dropped
}
