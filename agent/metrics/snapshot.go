package metrics

import "berth/specs"

// Snapshot is all that one scrape shows.
type Snapshot struct {
	Endpoints  []Endpoint
	Violations []Violation
	Parents    []specs.ParentStatus
	Maps       []MapUse
	EventsLost uint64
}

// Endpoint is an endpoint with the key of its attachment, which tells a
// container's restart from the container before it.
type Endpoint struct {
	Key string
	specs.Endpoint
}

// Violation is a count of violations from one source that counts by itself:
// an attachment, or the unknown senders of a parent. Source and kind together
// are unique in a snapshot.
type Violation struct {
	Source  string
	Kind    specs.Kind
	Parent  string
	Network string // "" when the sender is unknown or its network was defined in place
	Count   uint64
}

// MapUse is how full a map of the datapath is.
type MapUse struct {
	Name              string
	Entries, Capacity int
}
