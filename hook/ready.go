package hook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"berth/internal/config"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// ErrParent is wrapped by [Hook.Ready] if the parent of the network does not exist, is down
// or cannot be used: then the existing containers of the network are affected too.
var ErrParent = errors.New("the network's parent is not usable")

// errReady rolls a reservation back.
var errReady = errors.New("the reservation is only tried")

// Ready returns an error if no further container could get an interface on a network. It
// plans and reserves as [Hook.Attach] does, and changes nothing: the reservation is rolled
// back. If the pool is exhausted, it first reclaims the addresses of ended containers.
func (h *Hook) Ready(ctx context.Context, name string) error {
	cfg, err := config.Load(h.Dirs.Config)
	if err != nil {
		return err
	}
	if err := cfg.Policy.AllowNetwork(name); err != nil {
		return err
	}
	n, err := config.Network(h.Dirs.Config, name)
	if err != nil {
		return specs.At("network", err)
	}
	if err := h.openHost(); err != nil {
		return err
	}
	defer h.host.Close()
	in, err := h.planReady(&Request{Selection: specs.Selection{Network: name}, Net: n})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrParent, err)
	}
	err = h.tryReserve(ctx, in, cfg.Agent.MaxEndpoints)
	if !heldByOther(err) {
		return err
	}
	report, collectErr := h.newReleaser().Collect(ctx, collectAll)
	if collectErr != nil || len(report.Released) == 0 {
		return errors.Join(err, collectErr)
	}
	return h.tryReserve(ctx, in, cfg.Agent.MaxEndpoints)
}

// planReady plans an interface in an empty namespace.
func (h *Hook) planReady(r *Request) (*Interface, error) {
	f := emptyFacts()
	var err error
	if f.Host, err = h.host.Addresses(); err != nil {
		return nil, err
	}
	if err := h.gatherParent(f, r.Net); err != nil {
		return nil, err
	}
	if err := h.gatherOccupants(f, r.Net); err != nil {
		return nil, err
	}
	in, err := planInterface(r, f)
	if err == nil {
		in.Name = "net1"
	}
	return in, err
}

// tryReserve reserves the resources of an interface in a transaction that is rolled back.
func (h *Hook) tryReserve(ctx context.Context, in *Interface, slots uint32) error {
	quiet := *h
	quiet.Log = slog.New(slog.DiscardHandler) // a missing counter slot is no reason
	a := &attaching{Hook: &quiet, container: &container{ids: []string{"none"}}, slots: slots,
		plan: &Plan{New: []*Interface{in}}}
	err := h.Store.Update(ctx, func(tx *state.Tx) error {
		if err := a.claimInterface(tx, in, a.newRecord(in)); err != nil {
			return err
		}
		return errReady
	})
	var taken *network.SharingError
	switch {
	case errors.Is(err, errReady):
		return nil
	case errors.As(err, &taken):
		return fmt.Errorf("%w: %w", ErrParent, err)
	}
	return err
}
