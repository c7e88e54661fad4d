package specs

import "time"

// AgentStatus is what the agent says of itself: GET /v1/status and
// `berth agent status --json`. Its schema is specs/schema/status.json.
type AgentStatus struct {
	Version        string         `json:"version"`
	PID            int            `json:"pid"`
	Started        time.Time      `json:"started"`
	Attached       bool           `json:"attached"` // false: detached on request, until attach or a restart
	Metrics        string         `json:"metrics"`  // the address that serves /metrics, "" when off
	Endpoints      int            `json:"endpoints"`
	MaxEndpoints   int            `json:"max_endpoints"` // how many can be counted at once
	EventsLost     uint64         `json:"events_lost"`   // that found the ring buffer full; their counts are not lost
	Parents        []ParentStatus `json:"parents"`
	Problems       []string       `json:"problems"` // what the agent waits for or could not do, each with what helps
	LastReconciled time.Time      `json:"last_reconciled"`
}

// ParentState is what the agent does at a parent.
type ParentState string

// The states of a parent.
const (
	ParentCounting ParentState = "counting"  // its programs see every frame
	ParentOnDemand ParentState = "on-demand" // a VLAN of a trunk that exists, made with its first container
	ParentWaiting  ParentState = "waiting"   // it does not exist yet
	ParentDetached ParentState = "detached"  // programs are off on request
	ParentFailed   ParentState = "failed"    // frames may pass uncounted; Problem says why
)

// ParentStatus is one parent as the agent sees it: an element of
// GET /v1/parents. Its schema is specs/schema/parent.json.
type ParentStatus struct {
	Name      string      `json:"name"`
	Index     int         `json:"index,omitempty"` // 0 while it does not exist
	MAC       MAC         `json:"mac,omitzero"`
	State     ParentState `json:"state"`
	Attach    string      `json:"attach,omitempty"` // "tcx" or "clsact"
	Networks  []string    `json:"networks"`         // that are configured on it or in use there
	Endpoints int         `json:"endpoints"`        // live ones
	Problem   string      `json:"problem,omitempty"`
}
