package release

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"berth/bpf"
	"berth/internal/hostshim"
	"berth/internal/plumb"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// Links is what has to be done to interfaces. A *network.Handle of the host's
// namespace does it.
type Links interface {
	LinkIn(nsid int, name string) (network.LinkInfo, error)
	DeleteIn(nsid int, name string) error
	DeleteAtIn(nsid, index int) error
	plumb.Links
}

// Releaser releases attachments. It may be used by several goroutines, as far
// as its Host may.
type Releaser struct {
	Store     *state.Store
	BPFFS     string        // where the agent's maps are pinned, if there ever was one
	Host      Links         // of the host's namespace
	Log       *slog.Logger  // nil: slog.Default
	KeepEnded time.Duration // how long ended attachments are kept; 0: specs.DefaultKeepEnded

	// For tests; nil: bpf.Open, renamed.
	openMaps func() (counting, error)
	renamed  func(a *state.Attachment, remove bool) (there bool, err error)
}

func (r *Releaser) log() *slog.Logger {
	if r.Log == nil {
		return slog.Default()
	}
	return r.Log
}

// Endpoint returns what the datapath is to know of an attachment that has a
// counter slot.
//
// Whoever registers one does so inside a View of the store in which the
// attachment is live: then it cannot be unregistered at the same time, and no
// key stays that leads to a slot that was given back.
func Endpoint(a *state.Attachment) bpf.Endpoint {
	e := bpf.Endpoint{
		Slot: a.Slot, ParentIndex: a.ParentIndex, MAC: a.MAC, Index: a.LinkIndex,
		Driver: a.Driver, Mode: a.Mode, Cookie: a.Cookie, Sources: a.SourceMACs,
		Addresses: make([]netip.Addr, len(a.Addresses)),
		Enforce:   a.Enforce, Allow: a.Allow, IPv6: a.IPv6,
	}
	for i, p := range a.Addresses {
		e.Addresses[i] = p.Addr()
	}
	if a.VLAN != 0 {
		e.OfVLAN = bpf.VLAN{TrunkIndex: a.TrunkIndex, ID: a.VLAN}
	}
	return e
}

// Container releases what the end of a container frees: it leaves the
// namespaces that it shares with others, and where it is the last one, their
// attachments are released. A container that has none is no error.
func (r *Releaser) Container(ctx context.Context, id string) error {
	return r.container(ctx, id, func(*state.Tx) {})
}

// Stop is Container and, within a bound, Collect, by one look at the records.
// That the second fails is told by collectErr.
func (r *Releaser) Stop(ctx context.Context, id string, bound time.Duration) (done Report, err, collectErr error) {
	var left Rest
	err = r.container(ctx, id, func(tx *state.Tx) { left = Look(tx) })
	if err != nil {
		return done, err, nil
	}
	done, collectErr = r.CollectRest(ctx, left.without(id), bound)
	return done, nil, collectErr
}

// container is Container; also is done in the transaction that looks first.
func (r *Releaser) container(ctx context.Context, id string, also func(*state.Tx)) error {
	var of []*state.Attachment
	err := r.Store.View(ctx, func(tx *state.Tx) (err error) {
		also(tx)
		of, err = tx.OfContainer(id)
		return err
	})
	if err != nil || len(of) == 0 {
		return wrap(err, "container %q", id)
	}
	for _, a := range of { // in the order of keys
		release, err := r.Store.Hold(ctx, a.Key())
		if err != nil {
			return wrap(err, "container %q: release %s", id, a.Interface)
		}
		defer release()
	}
	err = r.Store.Update(ctx, func(tx *state.Tx) (err error) {
		of, err = leave(tx, id)
		return err
	})
	if err == nil {
		err = r.release(ctx, of)
	}
	return wrap(err, "container %q", id)
}

// leave takes a container out of its attachments and returns those of which it
// was the last. These keep its id, and are marked so that another process
// goes on if this one dies.
func leave(tx *state.Tx, id string) ([]*state.Attachment, error) {
	of, err := tx.OfContainer(id)
	if err != nil {
		return nil, err
	}
	var last []*state.Attachment
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
	if len(last) == len(of) { // their end follows at once
		tx.Quiet()
	}
	return last, nil
}

// Attachment releases a live attachment whoever uses it; one that is not there
// is no error. The caller holds its key (see [state.Store.Hold]), so that
// nobody joins it meanwhile.
func (r *Releaser) Attachment(ctx context.Context, key string) error {
	var a *state.Attachment
	err := r.Store.View(ctx, func(tx *state.Tx) (err error) {
		a, err = tx.Attachment(key)
		return err
	})
	if errors.Is(err, state.ErrNotFound) {
		return nil
	}
	if err != nil {
		return wrap(err, "release %q", key)
	}
	return r.release(ctx, []*state.Attachment{a})
}

// release deletes the links, then the VLANs that nobody else uses, then, in
// one transaction, ends the records. An attachment whose link or VLAN resists
// keeps its record, and with it its addresses; the others go.
func (r *Releaser) release(ctx context.Context, all []*state.Attachment) error {
	var errs []error
	all = slices.DeleteFunc(all, func(a *state.Attachment) bool {
		err := r.removeLink(a)
		if err == nil {
			r.restoreDefaults(a)
		}
		errs = append(errs, wrap(err, "release %q", a.Key()))
		return err != nil
	})
	unlock, err := r.lockVLANs(ctx, all)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	defer unlock()
	leaving := slices.Clone(all)
	slices.SortStableFunc(all, func(a, b *state.Attachment) int { return len(b.Outer) - len(a.Outer) }) // the inner VLANs first
	all = slices.DeleteFunc(all, func(a *state.Attachment) bool {
		err := r.removeVLANs(ctx, a, leaving)
		errs = append(errs, wrap(err, "release %q", a.Key()))
		return err != nil
	})
	if len(all) > 0 {
		var routes hostshim.Changes // of the host, where a network has a shim
		errs = append(errs, r.Store.Update(ctx, func(tx *state.Tx) error {
			return errors.Join(endAll(tx, all, time.Now().UTC()), routes.Note(tx, all...))
		}))
		routes.Apply(ctx, r.Store, r.log())
	}
	return errors.Join(errs...)
}

func endAll(tx *state.Tx, all []*state.Attachment, now time.Time) error {
	for _, a := range all {
		if err := end(tx, a, now); err != nil {
			return fmt.Errorf("release %q: %w", a.Key(), err)
		}
	}
	return nil
}

// end frees what an attachment holds, but for its counter slot. What another
// process has ended already, or replaced by a new one, stays as it is.
func end(tx *state.Tx, seen *state.Attachment, now time.Time) error {
	key := seen.Key()
	a, err := tx.Attachment(key)
	if errors.Is(err, state.ErrNotFound) || err == nil && !a.Created.Equal(seen.Created) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := plumb.Of(a).Forget(tx); err != nil {
		return err
	}
	if a.Slot == 0 && neverAttached(a) {
		return tx.Delete(key)
	}
	a.Phase, a.Ended, a.Leaving = specs.PhaseEnded, now, false
	return tx.Put(a)
}

// neverAttached reports whether the attachment failed or was killed half-way:
// nobody has seen it, so no record of it is kept.
func neverAttached(a *state.Attachment) bool { return a.LinkIndex == 0 }

// wrap puts text before an error that is one.
func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}
