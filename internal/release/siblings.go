package release

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"berth/bpf"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// NeedsSibling reports whether an attachment needs the sibling program on its own
// interface, because the driver delivers frames to siblings before the parent's programs
// see them. On ipvlan these are unicast frames, which would not be counted. On macvlan in
// mode bridge they are group frames, which count at the parent but could not be dropped.
func NeedsSibling(a *state.Attachment) bool {
	if a.Driver == specs.IPvlan {
		return a.IPvlanFlag == "" || a.IPvlanFlag == specs.FlagBridge
	}
	return a.Mode == specs.ModeBridge &&
		slices.ContainsFunc(a.Enforce, func(k specs.Kind) bool { return slices.Contains(bpf.GroupKinds(), k) })
}

// Siblings counts the results of CountSiblings.
type Siblings struct {
	Attached int `json:"attached"` // interfaces that have the sibling program from now on
	Left     int `json:"left"`     // interfaces that could not be reached or entered
}

// CountSiblings attaches the sibling program to the interfaces that lack it: no
// agent had pinned it when they were attached, or its pins were removed since. If
// the program is not pinned, CountSiblings does nothing.
//
// It enters the containers' namespaces, which requires CAP_SYS_ADMIN. The error
// joins the failures to attach.
func (r *Releaser) CountSiblings(ctx context.Context) (done Siblings, err error) {
	var all []*state.Attachment
	err = r.Store.View(ctx, func(tx *state.Tx) error {
		for a, err := range tx.Live("") {
			if err != nil {
				return err
			}
			if NeedsSibling(a) {
				all = append(all, a)
			}
		}
		return nil
	})
	if err != nil || len(all) == 0 {
		return done, err
	}
	m, err := r.agentMaps()
	maps, ok := m.(*bpf.Maps)
	if err != nil || !ok {
		return done, err
	}
	defer maps.Close()
	missing, err := Uncounted(maps, all)
	if err != nil || len(missing) == 0 {
		return done, err
	}
	return r.enterNamespaces(ctx, maps, missing)
}

// Uncounted returns the attachments that need the sibling program and lack it.
func Uncounted(maps *bpf.Maps, all []*state.Attachment) (missing []*state.Attachment, err error) {
	for _, a := range all {
		if !NeedsSibling(a) || a.Phase != specs.PhaseAttached || a.Leaving || a.Slot == 0 || a.Slot >= maps.Slots() {
			continue
		}
		is, err := maps.MissesInside(Endpoint(a))
		if err != nil {
			return nil, fmt.Errorf("attachment %q: %w", a.Key(), err)
		}
		if is {
			missing = append(missing, a)
		}
	}
	return missing, nil
}

// enterNamespaces attaches the program in every namespace that has a process.
func (r *Releaser) enterNamespaces(ctx context.Context, maps *bpf.Maps,
	missing []*state.Attachment) (done Siblings, err error) {
	in := make(map[uint64][]*state.Attachment)
	for _, a := range missing {
		in[a.Cookie] = append(in[a.Cookie], a)
	}
	var errs []error
	_ = network.EachNamespace(func(_ int, ns *network.Namespace) (bool, error) { // unopened ones are left
		defer ns.Close()
		cookie, err := ns.Cookie()
		if err != nil || in[cookie] == nil {
			return false, nil
		}
		for _, a := range in[cookie] {
			if err := r.attachInside(ctx, maps, ns, a); err != nil {
				errs = append(errs, fmt.Errorf("attachment %q: %w", a.Key(), err))
			} else {
				done.Attached++
			}
		}
		delete(in, cookie)
		return len(in) == 0, nil
	})
	done.Left = len(missing) - done.Attached
	return done, errors.Join(errs...)
}

// attachInside attaches the program while no transaction can end the attachment,
// as [Endpoint] requires.
func (r *Releaser) attachInside(ctx context.Context, maps *bpf.Maps, ns *network.Namespace,
	seen *state.Attachment) error {
	return r.Store.View(ctx, func(tx *state.Tx) error {
		a, err := tx.Attachment(seen.Key())
		if errors.Is(err, state.ErrNotFound) {
			return nil
		}
		if err != nil || a.Slot == 0 || a.Leaving || !a.Created.Equal(seen.Created) {
			return err
		}
		return ns.Do(func() error { return maps.AttachInside(Endpoint(a)) })
	})
}
