package docker

import (
	"context"
	"time"

	"berth/dhcp/exchange"
	"berth/internal/lease"
	"berth/internal/state"
)

// orphanAge is the time after which an endpoint without an interface, or a reservation without
// an endpoint, is one that docker has forgotten. docker repeats a call for 30 seconds at most if
// the driver is away.
const orphanAge = 2 * time.Minute

// sweepInterval is the time between two sweeps.
const sweepInterval = time.Minute

// Sweep forgets endpoints and reservations whose end docker did not report, for example because
// the driver was away, and returns their number.
func (s *Server) Sweep(ctx context.Context) (swept int, err error) {
	var old []*Endpoint
	var free []*lease.Reservation
	now := s.now()
	if err := s.Store.View(ctx, func(tx *state.Tx) (err error) {
		old, free, err = orphans(tx, now)
		return err
	}); err != nil || len(old)+len(free) == 0 {
		return 0, err
	}
	err = s.Store.Update(ctx, func(tx *state.Tx) error {
		old, free, err := orphans(tx, now) // one may have got an interface meanwhile
		if err != nil {
			return err
		}
		for _, e := range old {
			s.Log.Info("forget an endpoint that docker does not have any more", "endpoint", e.ID, "addresses", e.Addresses)
			if err := deleteEndpoint(tx, e.ID); err != nil {
				return err
			}
		}
		for _, r := range free {
			s.Log.Info("free an address that docker does not use", "address", r.Addr, "network", r.Network)
			if err := lease.EndReservation(tx, r.Key); err != nil {
				return err
			}
		}
		swept = len(old) + len(free)
		return nil
	})
	return swept, err
}

func (s *Server) now() time.Duration {
	if s.Now != nil {
		return s.Now()
	}
	return exchange.Now()
}

// orphans returns the endpoints without an interface and the reservations without an endpoint
// that are older than orphanAge.
func orphans(tx *state.Tx, now time.Duration) (old []*Endpoint, free []*lease.Reservation, err error) {
	endpoints, err := allEndpoints(tx)
	if err != nil {
		return nil, nil, err
	}
	gone := make(map[string]bool)
	for _, e := range endpoints {
		live, err := e.attachments(tx)
		if err != nil {
			return nil, nil, err
		}
		if len(live) == 0 && now-e.Since > orphanAge {
			old, gone[e.ID] = append(old, e), true
		}
	}
	all, err := lease.Reservations(tx)
	if err != nil {
		return nil, nil, err
	}
	for _, r := range all {
		if now-r.Since <= orphanAge {
			continue
		}
		e, err := findEndpoint(tx, r.Endpoint)
		if err != nil {
			return nil, nil, err
		}
		if e == nil || gone[e.ID] {
			free = append(free, r)
		}
	}
	return old, free, nil
}
