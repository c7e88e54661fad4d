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

// Links are the operations on interfaces. A *network.Handle of the host's
// namespace implements it.
type Links interface {
	LinkIn(nsid int, name string) (network.LinkInfo, error)
	DeleteIn(nsid int, name string) error
	DeleteAtIn(nsid, index int) error
	HoldsMAC(parentIndex int, mac specs.MAC) (bool, error)
	plumb.Links
}

// Releaser releases attachments. Several goroutines may use it if they may use
// its Host.
type Releaser struct {
	Store     *state.Store
	BPFFS     string        // directory of the agent's pinned maps; it need not exist
	Host      Links         // of the host's namespace
	Log       *slog.Logger  // slog.Default if nil
	KeepEnded time.Duration // time for which ended attachments are kept; if 0, specs.DefaultKeepEnded

	// Tests set these; if nil, bpf.Open and searchNamespaces are used.
	openMaps func() (countMaps, error)
	search   func(a *state.Attachment, alsoFiles, remove bool) (there bool, err error)
}

func (r *Releaser) logger() *slog.Logger {
	if r.Log == nil {
		return slog.Default()
	}
	return r.Log
}

// Endpoint returns the endpoint of an attachment that has a counter slot.
//
// A caller that registers it does so inside a View of the store in which the
// attachment is live: then it cannot be unregistered at the same time, and no key
// remains that leads to a freed slot.
func Endpoint(a *state.Attachment) bpf.Endpoint {
	e := bpf.Endpoint{
		Slot: a.Slot, ParentIndex: a.ParentIndex, MAC: a.MAC, Index: a.LinkIndex,
		Driver: a.Driver, Mode: a.Mode, Cookie: a.Cookie, Sources: a.SourceMACs,
		Addresses: make([]netip.Addr, len(a.Addresses)), LinkLocal: a.LinkLocal,
		Enforce: a.Enforce, Allow: a.Allow, IPv6: a.IPv6,
		Observed: a.Observed, Apart: IsApart(a),
	}
	for i, p := range a.Addresses {
		e.Addresses[i] = p.Addr()
	}
	if a.VLAN != 0 {
		e.OfVLAN = bpf.VLAN{TrunkIndex: a.TrunkIndex, ID: a.VLAN}
	}
	return e
}

// Attachment releases a live attachment for all containers that share it; it
// succeeds if there is none. The caller holds its key (see [state.Store.Hold]),
// so that no container joins it meanwhile. The record is marked first: if this process is
// killed after it has deleted the link, the link is not taken for one that vanished with its
// parent, which is made again.
//
// A release is not taken back if the link cannot be deleted: the server may have its DHCP leases
// again, and the caller asked for the interface to go. The record stays marked, with its addresses
// and its counts, the error is returned, and the collection by the next hook, the agent or
// `berth gc` deletes the link, also of a container that still runs.
func (r *Releaser) Attachment(ctx context.Context, key string) error {
	var a *state.Attachment
	err := r.Store.Update(ctx, func(tx *state.Tx) (err error) {
		if a, err = tx.Attachment(key); err != nil {
			return err
		}
		a.Leaving = true
		tx.Quiet() // the record ends immediately afterwards
		return tx.Put(a)
	})
	if errors.Is(err, state.ErrNotFound) {
		return nil
	}
	if err != nil {
		return wrapf(err, "release %q", key)
	}
	return r.releaseAll(ctx, []*state.Attachment{a})
}

// releaseAll releases attachments: it gives their DHCP leases back, deletes the
// links, then the VLANs without other users, then ends the records in one transaction. If a
// link or VLAN cannot be deleted, its attachment keeps its record and its addresses; the others
// are released.
func (r *Releaser) releaseAll(ctx context.Context, all []*state.Attachment) error {
	var errs []error
	sent := r.giveLeasesBack(ctx, all)
	all = slices.DeleteFunc(all, func(a *state.Attachment) bool {
		err := r.removeLink(ctx, a)
		if err == nil {
			r.restoreDefaults(a)
		}
		errs = append(errs, wrapf(err, "release %q", a.Key()))
		return err != nil
	})
	unlock, err := r.lockVLANs(ctx, all)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	defer unlock()
	leaving := slices.Clone(all)
	// the inner VLANs first
	slices.SortStableFunc(all, func(a, b *state.Attachment) int { return len(b.Outer) - len(a.Outer) })
	all = slices.DeleteFunc(all, func(a *state.Attachment) bool {
		err := r.removeVLANs(ctx, a, leaving)
		errs = append(errs, wrapf(err, "release %q", a.Key()))
		return err != nil
	})
	if len(all) > 0 {
		var routes hostshim.Changes // of the host, if a network has a shim
		errs = append(errs, r.Store.Update(ctx, func(tx *state.Tx) error {
			for _, a := range all {
				if err := noteGivenBack(tx, a, sent[a.Key()]); err != nil {
					return err
				}
			}
			return errors.Join(endAll(tx, all, time.Now().UTC()), routes.Note(tx, all...))
		}))
		routes.Apply(ctx, r.Store, r.logger())
	}
	return errors.Join(errs...)
}

func endAll(tx *state.Tx, all []*state.Attachment, now time.Time) error {
	for _, a := range all {
		if err := endRecord(tx, a, now); err != nil {
			return fmt.Errorf("release %q: %w", a.Key(), err)
		}
	}
	return nil
}

// endRecord frees everything that an attachment holds, except its counter slot. It
// skips a record that another process has ended or replaced by a new one.
func endRecord(tx *state.Tx, seen *state.Attachment, now time.Time) error {
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

// neverAttached reports whether the start failed or was killed before it recorded a link. No record
// of such an attachment is kept. One whose link is being made again was attached before.
func neverAttached(a *state.Attachment) bool { return a.LinkIndex == 0 && !a.Lost }

// wrapf adds text before an error; it returns nil for nil.
func wrapf(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}
