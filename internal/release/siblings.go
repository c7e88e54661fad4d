package release

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"berth/bpf"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// NeedsSibling reports whether an attachment needs the sibling program on its own
// interface, because the driver delivers frames to siblings before the parent's programs
// see them. On ipvlan these are unicast frames, which would not be counted, and in mode l2,
// whatever the flag, group frames. On macvlan in mode bridge they are group frames. Those count
// at the parent but could not be dropped.
func NeedsSibling(a *state.Attachment) bool {
	if a.Driver == specs.IPvlan {
		return !IsApart(a) || a.Mode == specs.ModeL2
	}
	return a.Mode == specs.ModeBridge &&
		slices.ContainsFunc(a.Enforce, func(k specs.Kind) bool { return slices.Contains(bpf.GroupKinds(), k) })
}

// IsApart reports whether the flag of an ipvlan interface forbids unicast frames between siblings.
func IsApart(a *state.Attachment) bool {
	return a.Driver == specs.IPvlan && a.IPvlanFlag != "" && a.IPvlanFlag != specs.FlagBridge
}

// NeedsReceiver reports whether an attachment needs the receiver program on its own
// interface: siblings in mode bridge may belong to a network that enforces, now or later.
func NeedsReceiver(a *state.Attachment) bool {
	return a.Driver == specs.Macvlan && a.Mode == specs.ModeBridge && !a.Observed
}

// NeedsGuard reports whether an attachment needs the guard program on its own interface: siblings
// may send frames past their sibling programs.
func NeedsGuard(a *state.Attachment) bool {
	return a.Driver == specs.IPvlan && NeedsSibling(a) && !a.Observed
}

// IngressProgram returns the program that an attachment needs on the ingress of its own interface;
// ok is false if it needs none.
func IngressProgram(a *state.Attachment) (o bpf.OwnProgram, ok bool) {
	switch {
	case NeedsReceiver(a):
		return bpf.ReceiverProgram, true
	case NeedsGuard(a):
		return bpf.GuardProgram, true
	}
	return o, false
}

// OwnPrograms returns the programs that an attachment needs on its own interface.
func OwnPrograms(a *state.Attachment) (all []bpf.OwnProgram) {
	if NeedsSibling(a) {
		all = append(all, bpf.SiblingProgram)
	}
	if o, ok := IngressProgram(a); ok {
		all = append(all, o)
	}
	return all
}

// ProgramsNow returns those of OwnPrograms that an attachment needs at present: the receiver program
// only if an interface in mode bridge in its layer-2 domain enforces a kind. To attach a program, and
// to delete an interface that has one, takes the kernel a grace period of RCU, 8 to 20 ms (tcx_entry_sync
// in include/net/tcx.h).
func ProgramsNow(tx *state.Tx, a *state.Attachment) []bpf.OwnProgram {
	return ProgramsIf(a, tx.IsEnforced(a.Domain()))
}

// ProgramsIf is ProgramsNow, if it is known whether an interface in the layer-2 domain enforces a kind.
func ProgramsIf(a *state.Attachment, enforced bool) []bpf.OwnProgram {
	return slices.DeleteFunc(OwnPrograms(a), func(o bpf.OwnProgram) bool { return o == bpf.ReceiverProgram && !enforced })
}

// LackedPrograms returns the programs that an attachment needs and lacks. If its link was deleted with
// its parent it lacks none: the healer attaches them to the link that it makes, before that link is up.
func LackedPrograms(maps *bpf.Maps, a *state.Attachment) (lacked []bpf.OwnProgram, err error) {
	if a.Phase != specs.PhaseAttached || a.Leaving || a.Lost || a.Slot == 0 || a.Slot >= maps.Slots() {
		return nil, nil
	}
	for _, o := range OwnPrograms(a) {
		is, err := maps.MissesInside(o, Endpoint(a))
		if err != nil {
			return nil, fmt.Errorf("attachment %q: %w", a.Key(), err)
		}
		if is {
			lacked = append(lacked, o)
		}
	}
	return lacked, nil
}

// OwnProgramsDone is the result of AttachOwnPrograms, in attachments that lacked a program.
type OwnProgramsDone struct {
	Attached int `json:"attached"` // have their programs now, or were released meanwhile
	Left     int `json:"left"`     // the others: out of reach, deleted, or failed
}

// AttachOwnPrograms attaches the sibling program and the one on ingress to the interfaces that
// need it now and lack it: no agent had pinned it when they were attached, its pins were removed
// since, or a network that enforces came to their parent. If no program is pinned, AttachOwnPrograms
// does nothing. It ends early if ctx does, with the number of interfaces that are left.
//
// It enters the containers' namespaces, which requires CAP_SYS_ADMIN. The error
// joins the failures to attach.
func (r *Releaser) AttachOwnPrograms(ctx context.Context) (done OwnProgramsDone, err error) {
	var all []*state.Attachment
	err = r.Store.View(ctx, func(tx *state.Tx) error {
		for a, err := range tx.Live("") {
			if err != nil {
				return err
			}
			if len(ProgramsNow(tx, a)) > 0 {
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
	left, err := withLacked(maps, all)
	if err != nil || len(left) == 0 && !bpf.HasFiltersInside() {
		return done, err
	}
	return r.enterNamespaces(ctx, maps, all, left)
}

// withLacked returns the keys of the attachments that lack a program that they need.
func withLacked(maps *bpf.Maps, all []*state.Attachment) (map[string]bool, error) {
	left := make(map[string]bool)
	for _, a := range all {
		lacked, err := LackedPrograms(maps, a)
		if err != nil {
			return nil, err
		}
		if len(lacked) > 0 {
			left[a.Key()] = true
		}
	}
	return left, nil
}

// enterNamespaces attaches the lacked programs in every namespace that has a process. left has the
// attachments that are known to lack one; a filter that was removed is missing only in its namespace.
func (r *Releaser) enterNamespaces(ctx context.Context, maps *bpf.Maps, all []*state.Attachment,
	left map[string]bool) (done OwnProgramsDone, err error) {
	in := make(map[uint64][]*state.Attachment)
	for _, a := range all {
		if left[a.Key()] || bpf.HasFiltersInside() {
			in[a.Cookie] = append(in[a.Cookie], a)
		}
	}
	var errs []error
	_ = network.EachNamespace(func(_ int, ns *network.Namespace) (bool, error) { // unopened ones are left
		defer ns.Close()
		cookie, err := ns.Cookie()
		if err != nil || in[cookie] == nil {
			return false, nil
		}
		for _, a := range in[cookie] {
			lacked, err := r.attachInside(ctx, maps, ns, a)
			switch {
			case errors.Is(err, unix.ENODEV): // the interface was deleted, with its parent or by the container
			case err != nil:
				left[a.Key()] = true
				errs = append(errs, fmt.Errorf("attachment %q: %w", a.Key(), err))
			case lacked || left[a.Key()]:
				delete(left, a.Key())
				done.Attached++
			}
		}
		delete(in, cookie)
		return len(in) == 0 || ctx.Err() != nil, nil
	})
	done.Left = len(left)
	return done, errors.Join(errs...)
}

// attachInside attaches the lacked programs while no transaction can end the attachment,
// as [Endpoint] requires, and reports whether there were any.
func (r *Releaser) attachInside(ctx context.Context, maps *bpf.Maps, ns *network.Namespace,
	seen *state.Attachment) (had bool, err error) {
	err = r.Store.View(ctx, func(tx *state.Tx) error {
		a, err := tx.Attachment(seen.Key())
		if errors.Is(err, state.ErrNotFound) {
			return nil
		}
		if err != nil || a.Slot == 0 || a.Leaving || !a.Created.Equal(seen.Created) {
			return err
		}
		lacked, err := LackedPrograms(maps, a)
		if err != nil {
			return err
		}
		return ns.Do(func() error {
			if bpf.HasFiltersInside() {
				if lacked, err = withoutFilter(maps, a, lacked); err != nil {
					return err
				}
			}
			had = len(lacked) > 0
			var errs []error
			for _, o := range lacked {
				errs = append(errs, maps.AttachInside(o, Endpoint(a)))
			}
			return errors.Join(errs...)
		})
	})
	return had, err
}

// withoutFilter adds the programs to lacked whose filter is not on the interface, which is in the
// current namespace.
func withoutFilter(maps *bpf.Maps, a *state.Attachment, lacked []bpf.OwnProgram) ([]bpf.OwnProgram, error) {
	if a.Phase != specs.PhaseAttached || a.Lost {
		return lacked, nil // as LackedPrograms
	}
	for _, o := range OwnPrograms(a) {
		if slices.Contains(lacked, o) {
			continue
		}
		is, err := maps.LacksFilter(o, a.LinkIndex)
		if err != nil {
			return nil, err
		}
		if is {
			lacked = append(lacked, o)
		}
	}
	return lacked, nil
}
