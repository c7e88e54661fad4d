package daemon

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"time"

	"berth/internal/state"
)

// settle is how long after a change of the records another may leave the same
// time on the file: twice the longest tick of the kernel's coarse clock.
const settle = 20 * time.Millisecond

// records keeps the attachment records as they were read last, and reads them
// again when the store says that they have changed. Its methods may be called
// concurrently; what they return is shared and must not be changed.
type records struct {
	store *state.Store
	log   *slog.Logger

	mu   sync.Mutex
	last reading
}

// reading is the records at one time.
type reading struct {
	all    []*state.Attachment
	bySlot map[uint32]*state.Attachment
	stamp  time.Time // of the file that says that they changed
	final  bool      // a later change would show in the stamp
}

// current returns the records as they are now.
func (r *records) current(ctx context.Context) (reading, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fresh(r.last) {
		return r.last, nil
	}
	return r.read(ctx, func(*reading) error { return nil })
}

// fresh reports whether a reading is still what the store holds.
func (r *records) fresh(old reading) bool {
	return old.final && old.stamp.Equal(r.stamp())
}

// exclusive reads the records and calls fn while no transaction can change
// them. fn must not wait for anything.
func (r *records) exclusive(ctx context.Context, fn func(*reading) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, err := r.read(ctx, fn)
	return err
}

func (r *records) read(ctx context.Context, fn func(*reading) error) (reading, error) {
	now := reading{bySlot: make(map[uint32]*state.Attachment), stamp: r.stamp()}
	now.final = time.Since(now.stamp) > settle
	err := r.store.View(ctx, func(tx *state.Tx) error {
		for a, err := range tx.Attachments() {
			if err != nil {
				r.log.Warn("record left out", "error", err)
				continue
			}
			now.all = append(now.all, a)
			if a.Slot != 0 {
				now.bySlot[a.Slot] = a
			}
		}
		return fn(&now)
	})
	if err != nil {
		return reading{}, err
	}
	r.last = now
	return now, nil
}

func (r *records) stamp() time.Time {
	info, err := os.Stat(r.store.Changed())
	if err != nil {
		return time.Time{} // nothing was ever recorded
	}
	return info.ModTime()
}
