package hook

import (
	"context"
	"fmt"

	"berth/internal/state"
	"berth/network"
)

// Which chooses attachments of a container: by network, by the name of an
// interface, by the door that made them, or by several of these. The zero value
// chooses all.
type Which struct {
	Network   string
	Interface string
	Door      *state.Door // nil for any door and none
}

func (w Which) matches(a *state.Attachment) bool {
	return (w.Network == "" || w.Network == a.Network) && (w.Interface == "" || w.Interface == a.Interface) &&
		(w.Door == nil || a.Door != nil && *w.Door == *a.Door)
}

// Detach releases attachments of a running container, for all containers that
// share them, and returns the released ones. If there is nothing to release it
// succeeds, so it can be repeated. [Hook.End] handles the end of a container.
func (h *Hook) Detach(ctx context.Context, id string, w Which) (done []*state.Attachment, err error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	known, err := h.recordedAttachments(ctx, id)
	if err != nil || len(known) == 0 {
		return nil, err
	}
	host, err := network.NewHandle()
	if err != nil {
		return nil, err
	}
	defer host.Close()
	h.host = host
	for _, a := range known {
		if !w.matches(a) {
			continue
		}
		if err := h.reclaimOne(ctx, a.Key()); err != nil {
			return done, fmt.Errorf("release interface %q of container %q: %w", a.Interface, id, err)
		}
		done = append(done, a)
	}
	return done, nil
}

// End releases everything that a container holds, at its end. A shared attachment
// is released with the last container that shares it. End succeeds for a
// container that holds nothing.
func (h *Hook) End(ctx context.Context, id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	host, err := network.NewHandle()
	if err != nil {
		return err
	}
	defer host.Close()
	h.host = host
	r := h.newReleaser()
	if h.Unlink != nil {
		r.Host = unlinker{host, h.Unlink}
	}
	report, err, collectErr := r.Stop(ctx, id, collectBound)
	if err != nil {
		return fmt.Errorf("release container %q: %w", id, err)
	}
	h.logCollected(report, collectErr)
	return nil
}

// reclaimStale releases stale attachments. It waits for the lock of each, because its
// maker may still be at work.
func (h *Hook) reclaimStale(ctx context.Context, stale []*state.Attachment) error {
	for _, a := range stale {
		if err := h.reclaimOne(ctx, a.Key()); err != nil {
			return fmt.Errorf("release interface %q of an earlier start: %w", a.Interface, err)
		}
	}
	return nil
}

func (h *Hook) reclaimOne(ctx context.Context, key string) error {
	wait, cancel := context.WithTimeout(ctx, holdWait)
	defer cancel()
	unlock, err := h.Store.Hold(wait, key)
	if err != nil {
		return err
	}
	defer unlock()
	return h.newReleaser().Attachment(ctx, key)
}
