package release

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"berth/bpf"
	"berth/internal/lease"
	"berth/internal/state"
	"berth/network"
)

// hostLinks is the part of the host's namespace that Rehome reads; *network.Handle implements
// it.
type hostLinks interface {
	ParentByIndex(index int) (*network.Parent, error)
	IsOwn(nsid int) (bool, error)
}

// position is the parent of an attachment, and its VLANs, as the kernel reports them.
type position struct {
	parent *network.Parent
	outer  []state.VLAN // VLANs of its trunk, the inner first
}

// Rehome corrects the records of attachments whose parent has another index than
// recorded: it was moved to another network namespace and came back. Their leases move to
// the layer-2 domain of the new index, so that no address is assigned twice, and the
// datapath counts them there. It returns the number of attachments that it moved.
//
// The kernel reports the parent of the container's own link, so an interface that merely
// has the same name or the old index is not mistaken for it. While a parent is in another
// namespace nothing moves. An attachment that a process is making or releasing is left to
// that process; one whose process was killed moves like the others, because its interface
// still has its address.
func (r *Releaser) Rehome(ctx context.Context) (moved int, err error) {
	host, ok := r.Host.(hostLinks)
	if !ok {
		return 0, nil
	}
	var strays []*state.Attachment
	err = r.Store.View(ctx, func(tx *state.Tx) error {
		all, err := tx.Domains()
		for _, one := range all {
			if err != nil || isHome(host, one) {
				continue
			}
			var of []*state.Attachment
			of, err = tx.InDomain(one.Domain())
			strays = append(strays, of...)
		}
		return err
	})
	var errs []error
	for some := range slices.Chunk(strays, perTransaction) {
		n, err := r.rehomeThese(ctx, host, some)
		moved += n
		errs = append(errs, err)
	}
	return moved, wrapf(errors.Join(append(errs, err)...), "find the parents of attachments")
}

func (r *Releaser) rehomeAll(ctx context.Context) error {
	_, err := r.Rehome(ctx)
	return err
}

// isHome reports whether the parent of an attachment is where it was recorded. A renamed
// parent is searched for like a missing one.
func isHome(host hostLinks, a *state.Attachment) bool {
	p, err := host.ParentByIndex(a.ParentIndex)
	return a.ParentIndex == 0 || err == nil && p.Name == a.Parent && p.TrunkIndex == a.TrunkIndex && p.VLAN == a.VLAN
}

// rehomeThese finds the current positions of some attachments and moves those that differ in
// one transaction.
func (r *Releaser) rehomeThese(ctx context.Context, host hostLinks, some []*state.Attachment) (moved int, err error) {
	to := make(map[*state.Attachment]*position)
	for _, a := range some {
		if is, _ := isUnsettled(a); is {
			unlock, err := r.Store.TryHold(a.Key())
			if errors.Is(err, state.ErrBusy) {
				continue
			}
			if err != nil {
				return 0, err
			}
			defer unlock()
		}
		at, err := r.findPosition(host, a)
		if err != nil {
			return 0, err
		}
		if at != nil {
			to[a] = at
		}
	}
	if len(to) == 0 {
		return 0, nil
	}
	return r.moveRecords(ctx, to)
}

// moveRecords moves attachments to their current positions in one transaction, and returns their
// number. The caller holds the keys of those that are being made or released.
func (r *Releaser) moveRecords(ctx context.Context, to map[*state.Attachment]*position) (moved int, err error) {
	m, err := r.agentMaps()
	if err != nil {
		r.logger().Warn("attachments on a parent that has moved are not counted until the agent registers them", "error", err)
	}
	maps, _ := m.(*bpf.Maps)
	if maps != nil {
		defer maps.Close()
	}
	err = r.Store.Update(ctx, func(tx *state.Tx) error {
		moved = 0
		for seen, at := range to {
			done, err := r.rehomeRecord(tx, maps, seen, at)
			if err != nil {
				return fmt.Errorf("attachment %q: %w", seen.Key(), err)
			}
			if done {
				moved++
			}
		}
		return nil
	})
	return moved, err
}

// findPosition returns the position of an attachment, or nil if it is as recorded, not in the
// host's namespace, or has no link.
func (r *Releaser) findPosition(host hostLinks, a *state.Attachment) (*position, error) {
	if a.NSID < 0 {
		return nil, nil
	}
	link, err := r.Host.LinkIn(a.NSID, a.AltName())
	if err != nil {
		link, err = r.Host.LinkIn(a.NSID, a.Interface)
	}
	if err != nil || link.Alias != a.Alias() && (link.Alias != "" || !isOursByName(a, &link)) {
		return nil, nil // the collection handles it
	}
	if own, err := host.IsOwn(link.ParentNSID); err != nil || !own {
		return nil, err
	}
	at := new(position)
	if at.parent, err = host.ParentByIndex(link.ParentIndex); err != nil {
		return nil, nil // it was just deleted
	}
	for p := at.parent; p.VLAN != 0; {
		if p, err = host.ParentByIndex(p.TrunkIndex); err != nil {
			return nil, nil
		}
		if p.VLAN != 0 {
			at.outer = append(at.outer, state.VLAN{TrunkIndex: p.TrunkIndex, ID: p.VLAN, Name: p.Name})
		}
	}
	if now := at.movedRecord(a); now.ParentIndex == a.ParentIndex && now.TrunkIndex == a.TrunkIndex {
		return nil, nil
	}
	return at, nil
}

// movedRecord returns a copy of an attachment in that position.
func (at *position) movedRecord(a *state.Attachment) *state.Attachment {
	now := *a
	now.Parent, now.ParentIndex = at.parent.Name, at.parent.Index
	now.TrunkIndex, now.VLAN, now.Outer = at.parent.TrunkIndex, at.parent.VLAN, at.outer
	return &now
}

// rehomeRecord moves leases, uses of VLANs, the record and the datapath's keys. It moves nothing
// if the record has changed meanwhile, or another owner has one of the leases there.
func (r *Releaser) rehomeRecord(tx *state.Tx, maps *bpf.Maps, seen *state.Attachment,
	at *position) (moved bool, err error) {
	key := seen.Key()
	old, err := tx.Attachment(key)
	if errors.Is(err, state.ErrNotFound) || err == nil &&
		(!old.Created.Equal(seen.Created) || old.Domain() != seen.Domain()) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	now := at.movedRecord(old)
	held, err := lease.Move(tx, key, old.Domain(), now.Domain())
	for _, l := range held {
		r.logger().Warn("an attachment keeps the old index of its parent, because another owner has leased its address or "+
			"MAC under the new index; end one of the two containers", "interface", key,
			"parent", now.Parent, "other", l.Owner, "address", l.Addr, "mac", l.MAC)
	}
	if err != nil || len(held) > 0 {
		return false, err // if leases are held, it moves when the other owner has ended
	}
	if err := moveVLANs(tx, key, old.VLANs(), now.VLANs()); err != nil {
		return false, err
	}
	if err := tx.Put(now); err != nil {
		return false, err
	}
	r.logger().Info("parent has another index", "interface", key, "parent", now.Parent, "index", now.ParentIndex,
		"before", old.ParentIndex)
	if maps == nil || now.Slot == 0 || now.Slot >= maps.Slots() {
		return true, nil
	}
	if err := maps.Move(Endpoint(old), Endpoint(now)); err != nil {
		r.logger().Warn("traffic is not counted until the agent registers the interface", "interface", key, "error", err)
	}
	return true, nil
}

// moveVLANs moves the uses of VLANs to those of the new position, in the same order.
func moveVLANs(tx *state.Tx, key string, from, to []state.VLAN) error {
	for i, v := range from {
		_, made := tx.VLANUsers(v.TrunkIndex, v.ID)
		if _, _, err := tx.RemoveVLANUser(v.TrunkIndex, v.ID, key); err != nil {
			return err
		}
		if i >= len(to) {
			continue
		}
		if err := tx.AddVLANUser(to[i].TrunkIndex, to[i].ID, key, made); err != nil {
			return err
		}
	}
	return nil
}
