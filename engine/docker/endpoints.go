package docker

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"berth/internal/state"
	"berth/specs"
)

// bucketEndpoints holds docker's endpoints by their IDs.
const bucketEndpoints = "docker endpoints"

// Endpoint is a container's place on a network of docker, from CreateEndpoint to DeleteEndpoint.
type Endpoint struct {
	ID        string         `json:"-"`
	Network   string         `json:"network"` // docker's ID
	Space     string         `json:"space"`   // of the network
	Addresses []netip.Prefix `json:"addresses"`
	MAC       specs.MAC      `json:"mac,omitzero"` // zero if the interface has its parent's
	Interface string         `json:"interface,omitempty"`
	Container string         `json:"container,omitempty"` // known at Join: docker's ID, or the endpoint's
	Since     time.Duration  `json:"since"`               // by CLOCK_BOOTTIME
}

// findEndpoint returns an endpoint, or nil if there is none.
func findEndpoint(tx *state.Tx, id string) (*Endpoint, error) {
	b := tx.Bucket(bucketEndpoints)
	if b == nil || id == "" {
		return nil, nil
	}
	data := b.Get([]byte(id))
	if data == nil {
		return nil, nil
	}
	return decodeEndpoint(id, data)
}

func decodeEndpoint(id string, data []byte) (*Endpoint, error) {
	e := &Endpoint{ID: id}
	if err := json.Unmarshal(data, e); err != nil {
		return nil, fmt.Errorf("endpoint %q: %w: %w", id, state.ErrDamaged, err)
	}
	return e, nil
}

func putEndpoint(tx *state.Tx, e *Endpoint) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if err := tx.Bucket(bucketEndpoints).Put([]byte(e.ID), data); err != nil {
		return fmt.Errorf("keep docker's endpoint %s: %w", e.ID, err)
	}
	return nil
}

func deleteEndpoint(tx *state.Tx, id string) error {
	return tx.Bucket(bucketEndpoints).Delete([]byte(id))
}

func allEndpoints(tx *state.Tx) (all []*Endpoint, err error) {
	b := tx.Bucket(bucketEndpoints)
	if b == nil {
		return nil, nil
	}
	c := b.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		e, err := decodeEndpoint(string(k), v)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// door returns the door of the endpoint's attachment.
func (e *Endpoint) door() *state.Door { return doorOf(e.Network) }

func doorOf(network string) *state.Door {
	return &state.Door{Name: state.DoorDocker, Network: network}
}

// attachments returns the live attachments of the endpoint.
func (e *Endpoint) attachments(tx *state.Tx) (all []*state.Attachment, err error) {
	if e.Container == "" {
		return nil, nil
	}
	of, err := tx.OfContainer(e.Container)
	for _, a := range of {
		if a.Door != nil && *a.Door == *e.door() {
			all = append(all, a)
		}
	}
	return all, err
}

// request adds the endpoint's part to the selection of its network.
func (e *Endpoint) request(s *specs.Selection) {
	s.Interface, s.MAC = e.Interface, e.MAC
	for _, p := range e.Addresses {
		s.IPs = append(s.IPs, specs.IP{Addr: p.Addr(), Bits: p.Bits()})
	}
}
