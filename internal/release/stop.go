package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"berth/internal/hostshim"
	"berth/internal/state"
	"berth/network"
)

// Container releases everything that the end of a container frees: the container
// is removed from its attachments, and those that it was the last to share are
// released. It succeeds if the container has none.
func (r *Releaser) Container(ctx context.Context, id string) error {
	of, unlock, err := r.holdContainer(ctx, id, func(*state.Tx) {})
	if err == nil && len(of) > 0 {
		defer unlock()
		err = r.leaveAndRelease(ctx, id)
	}
	return wrapf(err, "container %q", id)
}

// Stop does Container and then, within a bound, CollectSample, and reads the
// records once for both. An error of CollectSample is returned as collectErr.
//
// If all interfaces ended with their namespace, as they usually have, one transaction ends the
// records. Container marks them in another one first.
func (r *Releaser) Stop(ctx context.Context, id string, bound time.Duration) (done Report, err, collectErr error) {
	var sample Sample
	of, unlock, err := r.holdContainer(ctx, id, func(tx *state.Tx) { sample = ReadSample(tx) })
	if err == nil && len(of) > 0 {
		err = r.stopHeld(ctx, id, of)
		unlock()
	}
	if err != nil {
		return done, wrapf(err, "container %q", id), nil
	}
	done, collectErr = r.CollectSample(ctx, sample.withoutContainer(id), bound)
	return done, nil, collectErr
}

// holdContainer returns the attachments of a container and holds their keys until unlock, which is
// nil if there is none. It calls read in its transaction.
func (r *Releaser) holdContainer(ctx context.Context, id string, read func(*state.Tx)) (of []*state.Attachment,
	unlock func(), err error) {
	err = r.Store.View(ctx, func(tx *state.Tx) (err error) {
		read(tx)
		of, err = tx.OfContainer(id)
		return err
	})
	if err != nil || len(of) == 0 {
		return nil, nil, err
	}
	var unlocks []func()
	unlock = func() {
		for _, u := range slices.Backward(unlocks) {
			u()
		}
	}
	for _, a := range of { // in the order of their keys
		u, err := r.Store.Hold(ctx, a.Key())
		if err != nil {
			unlock()
			return nil, nil, fmt.Errorf("release %s: %w", a.Interface, err)
		}
		unlocks = append(unlocks, u)
	}
	return of, unlock, nil
}

// leaveAndRelease does Container. The caller holds the keys.
func (r *Releaser) leaveAndRelease(ctx context.Context, id string) error {
	var last []*state.Attachment
	err := r.Store.Update(ctx, func(tx *state.Tx) (err error) {
		last, err = leaveAttachments(tx, id)
		return err
	})
	if err != nil {
		return err
	}
	return r.releaseAll(ctx, last)
}

// stopHeld does Container. The caller holds the keys of the attachments, which it has read before.
func (r *Releaser) stopHeld(ctx context.Context, id string, of []*state.Attachment) error {
	for _, a := range of {
		if !r.isDead(a) {
			return r.leaveAndRelease(ctx, id)
		}
	}
	var ended bool
	var routes hostshim.Changes // of the host, if a network has a shim
	err := r.Store.Update(ctx, func(tx *state.Tx) error {
		now, err := tx.OfContainer(id)
		if ended = err == nil && slices.EqualFunc(of, now, hasSameLink); !ended {
			return err
		}
		return errors.Join(endAll(tx, now, time.Now().UTC()), routes.Note(tx, now...))
	})
	if err == nil && !ended {
		return r.leaveAndRelease(ctx, id)
	}
	routes.Apply(ctx, r.Store, r.logger())
	return err
}

// isDead reports whether nothing is left of an attachment but its record: no other container shares
// it, its link ended with its namespace, and there is neither a lease to give back nor a VLAN to
// remove. It searches no other namespaces: if it cannot decide without, it returns false.
func (r *Releaser) isDead(a *state.Attachment) bool {
	if a.NSID < 0 || len(a.Containers) > 1 || len(a.VLANs()) > 0 || len(clientsToRelease(a)) > 0 || !hasOwnMAC(a) {
		return false
	}
	if _, err := r.Host.LinkIn(a.NSID, a.AltName()); !errors.Is(err, network.ErrNoNamespace) {
		return false
	}
	up, err := r.parentHasMAC(a)
	return err == nil && !up
}

// hasSameLink reports whether a record still describes the link that it did when it was read before.
func hasSameLink(before, now *state.Attachment) bool {
	return before.Key() == now.Key() && before.Created.Equal(now.Created) && before.NSID == now.NSID &&
		before.MAC == now.MAC && before.ParentIndex == now.ParentIndex &&
		slices.Equal(before.Containers, now.Containers) && len(now.DHCP) == len(before.DHCP)
}

// leaveAttachments removes a container from its attachments and returns those that it was
// the last to share. These keep its ID and are marked, so that another process
// continues if this one is killed.
func leaveAttachments(tx *state.Tx, id string) (last []*state.Attachment, err error) {
	of, err := tx.OfContainer(id)
	if err != nil {
		return nil, err
	}
	for _, a := range of {
		if len(a.Containers) > 1 {
			a.Leave(id)
		} else {
			a.Leaving = true
			last = append(last, a)
		}
		if err := tx.Put(a); err != nil {
			return nil, err
		}
	}
	if len(last) == len(of) { // these records end immediately afterwards
		tx.Quiet()
	}
	return last, nil
}
