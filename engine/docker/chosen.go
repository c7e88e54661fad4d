package docker

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"berth/hook"
	"berth/internal/lease"
	"berth/internal/plumb"
	"berth/internal/state"
	"berth/specs"
)

// reserveChosen reserves the addresses that docker's own IPAM driver chose for an endpoint.
// docker has a book of its own, so an address may be held by a container that docker does not
// know, and docker chooses it again until it is free.
func (s *Server) reserveChosen(ctx context.Context, c *CreateNetwork, e *Endpoint) error {
	selection, err := c.Selection()
	if err != nil {
		return err
	}
	n, err := s.networkOf(&selection)
	if err != nil {
		return err
	}
	for _, p := range e.Addresses {
		if err := checkChosen(n, p); err != nil {
			return err
		}
		if kept, err := s.isReservedFor(ctx, e, p.Addr()); kept || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		w := &hook.Wanted{Pool: e.Space, Selection: selection, Subnet: p.Masked(), Addr: p.Addr()}
		if _, err := s.reserve(ctx, w); err != nil {
			return adviseChosen(err)
		}
	}
	return nil
}

// checkChosen refuses an address beside the range of a network of berth's: docker chooses from the
// whole subnet unless it was given the same range.
func checkChosen(n *specs.Network, p netip.Prefix) error {
	subnet := n.SubnetOf(p.Addr())
	if subnet == nil || !subnet.IPRange.IsValid() || subnet.IPRange.Contains(p.Addr()) {
		return nil
	}
	return specs.Unusable("--ip", p.Addr().String(), "docker chooses the addresses of this network, and network %q "+
		"gives out only those of %s; create docker's network again with --ipam-driver berth, or with --ip-range %[2]s",
		n.Name, subnet.IPRange)
}

// isReservedFor reports whether an address is reserved for the endpoint already: docker lost the
// answer to its first request.
func (s *Server) isReservedFor(ctx context.Context, e *Endpoint, a netip.Addr) (is bool, err error) {
	err = s.Store.View(ctx, func(tx *state.Tx) error {
		r, err := lease.FindReservation(tx, lease.ReservationKey(e.Space, a))
		is = r != nil && r.Endpoint == e.ID
		return err
	})
	return is, err
}

// adviseChosen adds the remedy for an address that docker would choose again.
func adviseChosen(err error) error {
	var inUse *lease.InUseError
	if !errors.As(err, &inUse) && !errors.Is(err, plumb.ErrConflict) {
		return err
	}
	return fmt.Errorf("docker chose the address: %w; request another one by --ip, or create docker's network again with "+
		"--ipam-driver berth, which finds a free one", err)
}

// endChosen ends the reservations of addresses that docker's own IPAM driver chose: it does not
// report their end.
func (e *Endpoint) endChosen(tx *state.Tx) error {
	if !strings.HasPrefix(e.Space, "docker-") {
		return nil
	}
	for _, p := range e.Addresses {
		if err := lease.EndReservation(tx, lease.ReservationKey(e.Space, p.Addr())); err != nil {
			return err
		}
	}
	return nil
}
