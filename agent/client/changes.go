package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"berth/specs"
)

// A Follower keeps a copy of the agent's endpoints, ended ones too, and requests only their
// changes. It is for a program that reads the endpoints again and again; it may not be used
// concurrently.
type Follower struct {
	client  *Client
	version string // of byID; "" if there is no copy
	byID    map[uint64]*specs.Endpoint
}

// Follower returns a follower without a copy yet.
func (c *Client) Follower() *Follower { return &Follower{client: c} }

// Endpoints returns the endpoints as they are now, in the order in which the agent learned of them.
// The group count of an endpoint may be older than its other counts: the agent reads some of them
// for each answer.
func (f *Follower) Endpoints(ctx context.Context) ([]specs.Endpoint, error) {
	query := url.Values{"after": {f.version}}
	body, err := f.client.sendRequest(ctx, http.MethodGet, "/v1/changes", query)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if err := f.applyAnswer(body); err != nil {
		return nil, badAnswer("/v1/changes", err)
	}
	endpoints := make([]specs.Endpoint, 0, len(f.byID))
	for _, id := range slices.Sorted(maps.Keys(f.byID)) {
		endpoints = append(endpoints, *f.byID[id])
	}
	return endpoints, nil
}

// Forget drops the copy. The next call of Endpoints requests all.
func (f *Follower) Forget() { f.version, f.byID = "", nil }

// applyAnswer applies the parts of an answer. If the answer is cut off, the next request has the old
// version, and its answer has the parts applied here again.
func (f *Follower) applyAnswer(answer io.Reader) error {
	for lines := json.NewDecoder(answer); ; {
		var part specs.Changes
		if err := lines.Decode(&part); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		if err := f.applyPart(&part); err != nil {
			f.version = ""
			return err
		}
		if part.Version != "" {
			f.version = part.Version
			return nil
		}
	}
}

func (f *Follower) applyPart(part *specs.Changes) error {
	if part.Whole {
		f.version, f.byID = "", make(map[uint64]*specs.Endpoint)
	}
	for _, id := range part.Removed {
		delete(f.byID, id)
	}
	for i := range part.Endpoints {
		f.byID[part.Endpoints[i].ID] = &part.Endpoints[i].Endpoint
	}
	for _, m := range part.Marks {
		if e := f.byID[m.ID]; e != nil { // else it was gone when the agent read it
			e.Violations, e.Dropped = m.Violations, m.Dropped
			if m.GroupPackets != nil {
				e.GroupPackets = m.GroupPackets
			}
		}
	}
	return specs.EachPacked(part.Counts, func(id uint64, n *specs.Numbers) {
		if e := f.byID[id]; e != nil {
			e.Counters = n.Counters()
		}
	})
}
