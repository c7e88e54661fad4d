package specs

import (
	"net/netip"
	"time"
)

// Phase is the state of an attachment.
type Phase string

// The phases of an attachment.
const (
	PhaseAttaching Phase = "attaching" // in progress; gc reclaims it after a crash
	PhaseAttached  Phase = "attached"
	PhaseEnded     Phase = "ended" // the interface is gone; the counts are final once the slot is drained
)

// Origin is the kind of program that created an interface.
type Origin string

// The origins of an interface.
const (
	OriginBerth    Origin = "berth"    // an attachment
	OriginObserved Origin = "observed" // another program or an administrator
)

// NetworkText returns the name of the endpoint's network for a person, or "" if it has none.
func (e *Endpoint) NetworkText() string {
	if e.Network == "" && e.EngineNetwork != nil {
		return e.EngineNetwork.String()
	}
	return e.Network
}

// Endpoint is one interface of one container in berth's output: an element of
// `berth ps --json`, `berth inspect` and GET /v1/endpoints. Its schema is
// specs/schema/endpoint.json.
type Endpoint struct {
	ContainerID string   `json:"container_id"`         // the id that the runtime was given
	Containers  []string `json:"containers,omitempty"` // all that share the namespace, if more than one
	// the names of Containers, in their order; "" if not known
	ContainerNames []string `json:"container_names,omitempty"`
	// that runs the container, if known: docker, podman, containerd or cri-o
	Engine string `json:"engine,omitempty"`
	// the engine's own way of requesting the interface: cni, netavark or docker
	Door      string `json:"door,omitempty"`
	Name      string `json:"name,omitempty"` // the container's name, from its engine
	Image     string `json:"image,omitempty"`
	Pod       string `json:"pod,omitempty"`
	Namespace string `json:"namespace,omitempty"` // the Kubernetes namespace
	// the container's labels from its engine, those set by users
	Labels        map[string]string `json:"labels,omitempty"`
	Network       string            `json:"network"`                  // "" if defined in place
	EngineNetwork *EngineNetwork    `json:"engine_network,omitempty"` // of an observed interface, if known
	Interface     string            `json:"interface"`
	Driver        Driver            `json:"driver"`
	Mode          Mode              `json:"mode"`
	Parent        string            `json:"parent"`
	VLAN          int               `json:"vlan,omitempty"`
	MAC           MAC               `json:"mac"`
	MTU           int               `json:"mtu"`
	Addresses     []netip.Prefix    `json:"addresses"`
	LinkLocal     netip.Addr        `json:"link_local,omitzero"` // of IPv6; left out if it has none, or none is known
	IPv6Token     netip.Addr        `json:"ipv6_token,omitzero"` // interface identifier under advertised prefixes
	Gateways      []netip.Addr      `json:"gateways,omitempty"`
	Routes        []Route           `json:"routes,omitempty"`
	DHCP          []DHCPStatus      `json:"dhcp,omitempty"` // of each family whose address a DHCP server leases
	Origin        Origin            `json:"origin"`
	Phase         Phase             `json:"phase"`
	Created       time.Time         `json:"created"`
	Ended         time.Time         `json:"ended,omitzero"`
	Vanished      time.Time         `json:"vanished,omitzero"` // when the interface vanished with its parent
	Counted       bool              `json:"counted"`           // false if no agent has pinned its maps yet
	Counters      Counters          `json:"counters"`
	// received group frames, from the interface's own statistics; absent if unknown
	GroupPackets *uint64         `json:"group_packets,omitempty"`
	Violations   map[Kind]uint64 `json:"violations,omitempty"` // by kind, if not 0
	Dropped      map[Kind]uint64 `json:"dropped,omitempty"`    // of these, the frames that enforce has dropped
}
