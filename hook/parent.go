package hook

import (
	"context"
	"errors"
	"fmt"
	"time"

	"berth/network"
	"berth/specs"
)

// waitParents waits for the parents that do not exist yet or are down, of those networks that have
// a parent_timeout. The times run at once: the longest one is the longest wait.
func (h *Hook) waitParents(ctx context.Context, requests []Request) error {
	began := time.Now()
	for i := range requests {
		r := &requests[i]
		if r.Net.ParentTimeout == 0 {
			continue
		}
		within, cancel := context.WithDeadline(ctx, began.Add(time.Duration(r.Net.ParentTimeout)))
		err := h.waitParent(within, r.Net)
		cancel()
		if err == nil {
			continue
		}
		if cause := context.Cause(ctx); cause != nil {
			return r.At(fmt.Errorf("%w; stopped while waiting for the parent: %w", err, cause))
		}
		return r.At(fmt.Errorf("%w; berth waited %s for it (parent_timeout)", err, r.Net.ParentTimeout))
	}
	return nil
}

// waitParent waits until the parent of a network exists and is up, or has another fault, which the
// plan reports. If ctx ends first, it returns why the parent is not usable.
func (h *Hook) waitParent(ctx context.Context, n *specs.Network) error {
	if _, late := h.lateParent(n); !late {
		return nil
	}
	changes, err := network.ListenChanges()
	if err != nil {
		return err
	}
	defer changes.Close()
	defer context.AfterFunc(ctx, func() { changes.Close() })()
	h.Log.Info("wait for the parent", "parent", n.Parent, "network", n.Name, "parent_timeout", n.ParentTimeout.String())
	for {
		why, late := h.lateParent(n)
		switch {
		case !late:
			return nil
		case ctx.Err() != nil:
			return why()
		}
		if _, err := changes.Next(); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// lateParent reports whether the parent of a network does not exist or is down. why returns the
// error that describes it.
func (h *Hook) lateParent(n *specs.Network) (why func() error, late bool) {
	p, _, err := h.host.ParentOrTrunk(n.Parent)
	switch {
	case errors.Is(err, network.ErrNoLink):
		return func() error { return h.explainParent(n, err) }, true
	case err == nil && !p.Up:
		return func() error { return errParentDown(n, p) }, true
	}
	return nil, false
}

func errParentDown(n *specs.Network, p *network.Parent) error {
	return fmt.Errorf("parent %q is down; set it up: ip link set %s up", n.Parent, p.Name)
}
