package specs

import "time"

// AgentStatus is the state of the agent: GET /v1/status and
// `berth agent status --json`. Its schema is specs/schema/status.json.
type AgentStatus struct {
	Version      string    `json:"version"`
	PID          int       `json:"pid"`
	Started      time.Time `json:"started"`
	Attached     bool      `json:"attached"` // false if detached on request, until attach or a restart
	Metrics      string    `json:"metrics"`  // the address that serves /metrics; "" if off
	Endpoints    int       `json:"endpoints"`
	MaxEndpoints int       `json:"max_endpoints"` // the maximum number that can be counted at once
	// events that found the ring buffer full; their counts are not lost
	EventsLost uint64         `json:"events_lost"`
	Parents    []ParentStatus `json:"parents"`
	Cluster    bool           `json:"cluster,omitempty"` // this machine is a node of a cluster: GET /v1/cluster
	// conditions that the agent waits for and failures, each with its remedy
	Problems       []string  `json:"problems"`
	LastReconciled time.Time `json:"last_reconciled"`
}

// ParentState is the state of a parent in the agent.
type ParentState string

// The states of a parent.
const (
	ParentCounting ParentState = "counting"  // its programs see every frame
	ParentOnDemand ParentState = "on-demand" // a VLAN of an existing trunk, created with its first container
	ParentWaiting  ParentState = "waiting"   // it does not exist yet
	ParentDetached ParentState = "detached"  // programs are off on request
	ParentFailed   ParentState = "failed"    // frames may pass uncounted; Problem has the reason
)

// ParentStatus is one parent in the agent: an element of
// GET /v1/parents. Its schema is specs/schema/parent.json.
type ParentStatus struct {
	Name      string      `json:"name"`
	Index     int         `json:"index,omitempty"` // 0 if it does not exist
	MAC       MAC         `json:"mac,omitzero"`
	State     ParentState `json:"state"`
	Attach    string      `json:"attach,omitempty"` // "tcx" or "clsact"
	Networks  []string    `json:"networks"`         // configured on it or in use there
	Endpoints int         `json:"endpoints"`        // live ones
	Problem   string      `json:"problem,omitempty"`
}
