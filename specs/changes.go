package specs

// Changes is a line of the answer to GET /v1/changes: a part of the changes to the endpoints since
// an earlier answer. The parts are applied in their order, and the last one has the version. Its
// schema is specs/schema/changes.json.
type Changes struct {
	Whole     bool              `json:"whole,omitempty"`     // the endpoints of earlier answers are void
	Removed   []uint64          `json:"removed,omitempty"`   // ids of endpoints that are gone
	Endpoints []ChangedEndpoint `json:"endpoints,omitempty"` // new or changed, complete with their counts
	// Counts of other endpoints, packed as AppendPacked does: complete, for each endpoint whose
	// counts have changed.
	Counts []uint64       `json:"counts,omitempty"`
	Marks  []ChangedMarks `json:"marks,omitempty"`
	// Version of the endpoints after this answer; it is the argument `after` of the next request.
	Version string `json:"version,omitempty"`
}

// ChangedEndpoint is an endpoint in [Changes].
type ChangedEndpoint struct {
	ID       uint64   `json:"id"` // names it in the answers of one agent process; never used again
	Endpoint Endpoint `json:"endpoint"`
}

// ChangedMarks are the counts of an endpoint in [Changes] that change seldom.
type ChangedMarks struct {
	ID           uint64          `json:"id"`
	GroupPackets *uint64         `json:"group_packets,omitempty"` // as before if absent
	Violations   map[Kind]uint64 `json:"violations,omitempty"`    // complete: an absent kind has 0
	Dropped      map[Kind]uint64 `json:"dropped,omitempty"`       // complete too
}
