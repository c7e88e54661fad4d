package web

import (
	"time"

	"berth/specs"
)

// Row is an endpoint without its traffic.
type Row struct {
	ID  uint64 `json:"id"`  // names the endpoint in the messages of one stream; never used again
	Key string `json:"key"` // names it in the page's addresses, also in a later stream
	specs.Endpoint
	Counters     *struct{} `json:"counters,omitempty"` // hides the counters, which are among the numbers
	GroupPackets *struct{} `json:"group_packets,omitempty"`
	Violations   *struct{} `json:"violations,omitempty"`
	Dropped      *struct{} `json:"dropped,omitempty"`
}

// Marks are the counts of an endpoint that change seldom.
type Marks struct {
	ID           uint64                `json:"id"`
	GroupPackets *uint64               `json:"group_packets,omitempty"`
	Violations   map[specs.Kind]uint64 `json:"violations,omitempty"`
	Dropped      map[specs.Kind]uint64 `json:"dropped,omitempty"`
}

// Agent is the agent's state in a message.
type Agent struct {
	Up      bool               `json:"up"`
	Problem string             `json:"problem,omitempty"` // why it does not answer
	Status  *specs.AgentStatus `json:"status,omitempty"`
}

// Message is a line of the stream to the page: the changes by one sample of the agent. Its schema
// is specs/schema/page-feed.json.
//
// Traffic is in three lists, which name endpoints by their ids. Bases and Moves are packed as
// specs.AppendPacked does. An endpoint in Bases has these counts and a rate, unless Unrated has its
// id too. Moves are added to the counts afterwards; divided by Over they are the rates. An
// endpoint with a rate that is not in Moves has the rate 0.
type Message struct {
	Time    time.Time `json:"time"`
	Version string    `json:"version,omitempty"` // of the page's files, in the first message
	Full    bool      `json:"full,omitempty"`    // replaces all that was sent before
	Agent   *Agent    `json:"agent,omitempty"`
	Rows    []Row     `json:"rows,omitempty"`
	Marks   []Marks   `json:"marks,omitempty"`
	Over    float64   `json:"over,omitempty"` // seconds since the sample before
	Bases   []uint64  `json:"bases,omitempty"`
	Unrated []uint64  `json:"unrated,omitempty"`
	Moves   []uint64  `json:"moves,omitempty"`
	Removed []uint64  `json:"removed,omitempty"`
	// Networks replaces those that were sent before, if present.
	Networks []specs.NetworkStatus `json:"networks,omitzero"` // an empty list if there are none any more
	// Checks and Cluster replace those that were sent before, if present.
	Checks  *Checks              `json:"checks,omitempty"`
	Cluster *specs.ClusterStatus `json:"cluster,omitempty"` // without a node if the machine is in no cluster
	Reset   bool                 `json:"reset,omitempty"`   // the events replace those sent before
	Events  []specs.Event        `json:"events,omitempty"`
}

// addEndpoint adds an endpoint of a view. before is nil if the page does not have it.
func (m *Message) addEndpoint(e, before *entry) {
	if before == nil || !sameRow(&before.row, &e.row) {
		m.Rows = append(m.Rows, e.row)
	}
	if before == nil && !e.marks.isEmpty() || before != nil && !sameMarks(&before.marks, &e.marks) {
		m.Marks = append(m.Marks, e.marks)
	}
	if before == nil || before.rated != e.rated || before.now != e.from {
		m.Bases = specs.AppendPacked(m.Bases, e.row.ID, &e.from)
		if !e.rated {
			m.Unrated = append(m.Unrated, e.row.ID)
		}
	}
	if e.now != e.from {
		moves := e.now.Minus(e.from)
		m.Moves = specs.AppendPacked(m.Moves, e.row.ID, &moves)
	}
}
