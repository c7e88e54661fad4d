package agent

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"berth/internal/state"
	"berth/specs"
)

// Counts reads the counters of the datapath, as bpf.Maps does. A slot that was never used
// counts 0.
type Counts interface {
	Counters(slot uint32) (specs.Counters, error)
	Violations(slot uint32) (map[specs.Kind]specs.Broken, error)
}

// Collect returns all attachments with their counts: the live ones ordered by namespace and
// interface, then the observed interfaces, then the ended ones, the last ended first. If counts
// is nil, because no agent has pinned its maps yet, the endpoints are marked as not counted.
//
// Counts are read within the records' transaction, so that no slot is reassigned meanwhile.
func Collect(ctx context.Context, store *state.Store, counts Counts) ([]specs.Endpoint, error) {
	endpoints := []specs.Endpoint{}
	err := store.View(ctx, func(tx *state.Tx) error {
		for a, err := range tx.Attachments() {
			if err != nil {
				return err
			}
			e, err := Endpoint(a, counts)
			if err != nil {
				return err
			}
			endpoints = append(endpoints, e)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("collect endpoints: %w", err)
	}
	return endpoints, nil
}

// Endpoint describes one attachment with its counts; counts may be nil.
func Endpoint(a *state.Attachment, counts Counts) (specs.Endpoint, error) {
	e := endpointOf(a)
	switch {
	case a.Final != nil:
		e.Counted, e.Counters, e.Violations, e.Dropped = true, *a.Final, a.FinalViolations, a.FinalDropped
	case a.Slot != 0 && counts != nil:
		var err error
		if e.Counters, err = counts.Counters(a.Slot); err != nil {
			return e, fmt.Errorf("read the counters of %q: %w", a.Key(), err)
		}
		broken, err := counts.Violations(a.Slot)
		if err != nil {
			return e, fmt.Errorf("read the violations of %q: %w", a.Key(), err)
		}
		e.Violations, e.Dropped = specs.SplitBroken(broken)
		e.Counted = true
	}
	return e, nil
}

// containerNames returns the names of the containers that share an attachment, ordered by
// ID; "" for a container whose name is not known.
func containerNames(a *state.Attachment, first string) []string {
	all := make([]string, len(a.Containers))
	all[0] = first
	for i, id := range a.Containers[1:] {
		if a.Engine != nil {
			all[i+1] = a.Engine.Sharers[id]
		}
	}
	return all
}

// endpointOf converts a record, without counts.
func endpointOf(a *state.Attachment) specs.Endpoint {
	names := NamesFor(a)
	e := specs.Endpoint{
		Engine: names.Engine, Name: names.Name, Image: names.Image, Pod: names.Pod, Namespace: names.Namespace,
		Labels:  names.Labels,
		Network: a.Network, EngineNetwork: a.EngineNetwork, Interface: a.Interface, Driver: a.Driver, Mode: a.Mode,
		Parent: a.Parent, VLAN: a.VLAN, MAC: a.MAC, MTU: a.MTU,
		Addresses: a.Addresses, IPv6Token: a.IPv6Token, Gateways: a.Gateways, Routes: a.Routes,
		Origin: specs.OriginBerth, Phase: a.Phase, Created: a.Created, Ended: a.Ended, Vanished: a.Vanished,
	}
	if !a.LinkLocal.IsUnspecified() {
		e.LinkLocal = a.LinkLocal
	}
	e.DHCP = leasesOf(a)
	if a.Observed {
		e.Origin = specs.OriginObserved
	}
	if e.Addresses == nil {
		e.Addresses = []netip.Prefix{}
	}
	if a.Door != nil {
		e.Door = a.Door.Name
	}
	if len(a.Containers) > 0 {
		e.ContainerID = a.Containers[0]
	}
	if len(a.Containers) > 1 {
		e.Containers, e.ContainerNames = a.Containers, containerNames(a, names.Name)
	}
	return e
}

// leasesOf returns the DHCP leases of an attachment, with their ends by the clock as it
// is now.
func leasesOf(a *state.Attachment) (all []specs.DHCPStatus) {
	now, sinceBoot := time.Now().UTC(), state.SinceBoot()
	for i := range a.DHCP {
		c := &a.DHCP[i]
		s := specs.DHCPStatus{Family: c.Family(), Lease: c.Lease, Lost: c.Lost, Options: c.Options}
		if at := c.ExpiresAt(now, sinceBoot); !at.IsZero() {
			shown := *c.Lease
			shown.Expires = &at
			s.Lease = &shown
		}
		all = append(all, s)
	}
	return all
}
