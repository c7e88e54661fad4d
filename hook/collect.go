package hook

import (
	"context"
	"errors"
	"fmt"

	"berth/internal/state"
	"berth/network"
)

// Collect releases the attachments that one door made on one network of berth's, except
// those that keep returns true for, and returns the released ones. It leaves an attachment
// that another process works on, and every attachment of other doors. If an attachment
// cannot be released, Collect continues with the others.
func (h *Hook) Collect(ctx context.Context, door state.Door, network string,
	keep func(*state.Attachment) bool) (done []*state.Attachment, err error) {
	stale, err := h.doorAttachments(ctx, Which{Network: network, Door: &door}, keep)
	if err != nil || len(stale) == 0 {
		return nil, err
	}
	if err := h.openHost(); err != nil {
		return nil, err
	}
	defer h.host.Close()
	var errs []error
	for _, a := range stale {
		switch released, err := h.releaseUnlessHeld(ctx, a); {
		case err != nil:
			errs = append(errs, fmt.Errorf("release interface %q of container %q: %w", a.Interface, a.Containers[0], err))
		case released:
			done = append(done, a)
		}
	}
	return done, errors.Join(errs...)
}

// openHost opens the netlink handle of the host's namespace.
func (h *Hook) openHost() (err error) {
	h.host, err = network.NewHandle()
	return err
}

// doorAttachments returns the live attachments that w chooses and keep does not keep.
func (h *Hook) doorAttachments(ctx context.Context, w Which,
	keep func(*state.Attachment) bool) (all []*state.Attachment, err error) {
	err = h.Store.View(ctx, func(tx *state.Tx) error {
		for a, err := range tx.Live("") {
			if err != nil {
				return err
			}
			if w.matches(a) && !keep(a) {
				all = append(all, a)
			}
		}
		return nil
	})
	return all, err
}

// releaseUnlessHeld releases an attachment unless another process holds it, or another one
// has taken its key meanwhile.
func (h *Hook) releaseUnlessHeld(ctx context.Context, seen *state.Attachment) (released bool, err error) {
	unlock, err := h.Store.TryHold(seen.Key())
	if errors.Is(err, state.ErrBusy) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer unlock()
	now, err := h.recordedAttachment(ctx, seen.Key())
	if err != nil || now == nil || !now.Created.Equal(seen.Created) {
		return false, err
	}
	return true, h.newReleaser().Attachment(ctx, seen.Key())
}

// recordedAttachment returns a live attachment, or nil if there is none.
func (h *Hook) recordedAttachment(ctx context.Context, key string) (a *state.Attachment, err error) {
	err = h.Store.View(ctx, func(tx *state.Tx) error {
		a, err = tx.Attachment(key)
		return err
	})
	if errors.Is(err, state.ErrNotFound) {
		return nil, nil
	}
	return a, err
}
