package hook

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"time"

	"berth/internal/lease"
	"berth/internal/state"
)

// defaultGrowWithin bounds the time for which a start waits for the agent to get more of a pool
// that nodes share. The answer is read each growPoll.
const (
	defaultGrowWithin = 2 * time.Second
	growPoll          = 20 * time.Millisecond
)

// growPool records a wish for the missing part of a shared pool, and waits until the agent has
// answered it. It reports whether the agent has, so that another attempt may succeed. The hook
// itself sends nothing to other nodes.
func (h *Hook) growPool(ctx context.Context, err error) bool {
	domain, addr := missingPart(err)
	if domain == "" {
		return false
	}
	ctx, stop := context.WithTimeout(ctx, cmp.Or(h.growWithin, defaultGrowWithin))
	defer stop()
	if err := h.Store.Update(ctx, func(tx *state.Tx) error { return lease.Wish(tx, domain, addr) }); err != nil {
		return false
	}
	for {
		waits := true
		err := h.Store.View(ctx, func(tx *state.Tx) error {
			waits = lease.Wished(tx, domain, addr)
			return nil
		})
		if err != nil || !waits {
			return err == nil
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(growPoll):
		}
	}
}

// missingPart returns the domain of the shared pool of which this node has too little, and the
// requested address, if one was requested. The domain is "" if another error occurred.
func missingPart(err error) (domain string, addr netip.Addr) {
	var exhausted *lease.ExhaustedError
	var foreign *lease.NotOwnedError
	switch {
	case errors.As(err, &exhausted):
		return exhausted.Shared, addr
	case errors.As(err, &foreign) && foreign.MAC.IsZero():
		return foreign.Domain, foreign.Addr
	}
	return "", addr
}
