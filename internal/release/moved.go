package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// ErrOutOfReach is returned for an attachment whose interface still exists in a
// network namespace that berth cannot find or enter. The attachment keeps its leases.
var ErrOutOfReach = errors.New("the interface is in a network namespace that berth cannot reach")

// findMoved is findLink for a link that is not in the attachment's namespace under
// a known name: a privileged container may rename it, delete it, or move it into
// another namespace. The namespace may also have ended, and another have its ID.
func (r *Releaser) findMoved(ctx context.Context, a *state.Attachment) (remove func() error, err error) {
	up, err := r.parentHasMAC(a)
	if err != nil {
		return nil, err
	}
	remove, err = r.searchLink(a, up || !hasOwnMAC(a))
	if errors.Is(err, unix.EPERM) && hasOwnMAC(a) && !up {
		// The agent may not enter namespaces, so it can neither find nor delete the link. The link
		// is down, or gone: it sends nothing, so it counts as gone.
		return nil, nil
	}
	if err != nil || remove != nil || !up {
		return remove, err
	}
	if lingers, err := r.lingers(ctx, a); err != nil || !lingers {
		return nil, err
	}
	return nil, fmt.Errorf("%w: its MAC %s is still on the parent %q, so its addresses stay leased; end the processes "+
		"and remove the mounts that hold the namespace, then run `berth gc`", ErrOutOfReach, a.MAC, a.Parent)
}

// findAfterDeath is findLink for an attachment whose namespace has ended, usually
// with the link in it. The kernel deletes the link a moment later, and until then
// the parent still has its MAC.
func (r *Releaser) findAfterDeath(a *state.Attachment) (remove func() error, err error) {
	if hasOwnMAC(a) {
		if up, err := r.parentHasMAC(a); err != nil || !up {
			return nil, err
		}
	}
	remove, _ = r.searchLink(a, true) // a namespace that cannot be entered is not the dying one
	return remove, nil
}

// hasOwnMAC reports whether the parent has the MAC of the attachment's interface for
// that interface alone.
func hasOwnMAC(a *state.Attachment) bool {
	return a.Driver == specs.Macvlan && a.Mode != specs.ModePassthru
}

// parentHasMAC reports whether the parent's driver has the MAC of the attachment, as it has
// while a link with that MAC is up. It is false for an interface without a MAC of its own.
func (r *Releaser) parentHasMAC(a *state.Attachment) (bool, error) {
	if !hasOwnMAC(a) || a.ParentIndex == 0 {
		return false, nil
	}
	return r.Host.HoldsMAC(a.ParentIndex, a.MAC)
}

// dyingTimeout bounds the wait for the kernel to delete the links of a namespace
// that has ended.
const (
	dyingTimeout = 2 * time.Second
	dyingPause   = 20 * time.Millisecond
)

// lingers reports whether the parent still has the MAC of a link that was not found,
// after a wait for a dying namespace: then the link is in a namespace out of reach.
func (r *Releaser) lingers(ctx context.Context, a *state.Attachment) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, dyingTimeout)
	defer cancel()
	for {
		up, err := r.parentHasMAC(a)
		if err != nil || !up {
			return false, err
		}
		select {
		case <-ctx.Done():
			return true, nil
		case <-time.After(dyingPause):
		}
	}
}

// searchLink returns the result of searchNamespaces in the form of findLink.
func (r *Releaser) searchLink(a *state.Attachment, alsoFiles bool) (remove func() error, err error) {
	search := r.search
	if search == nil {
		search = searchNamespaces
	}
	if there, err := search(a, alsoFiles, false); err != nil || !there {
		return nil, err
	}
	return func() error {
		_, err := search(a, alsoFiles, true)
		return err
	}, nil
}

// isMoved is isOurs for a link in another namespace, where its name proves nothing: only the
// alias, or a MAC of its own, distinguishes it from another program's link on the parent.
func isMoved(a *state.Attachment, l *network.LinkInfo) bool {
	return isOurs(a, l) && (l.Alias == a.Alias() || hasOwnMAC(a))
}

// searchNamespaces reports whether the link of an attachment is in a namespace that
// has a process or, if alsoFiles is set, that a file or mount holds, under any
// name. It deletes the link if remove is set. It enters the namespaces. That is
// slow, so it comes last.
func searchNamespaces(a *state.Attachment, alsoFiles, remove bool) (there bool, err error) {
	searchOne := func(ns *network.Namespace) (_ bool, err error) {
		defer func() { err = errors.Join(err, ns.Close()) }()
		h, err := ns.Open()
		if err != nil {
			return false, err
		}
		links, err := h.Links()
		if err != nil {
			return false, err
		}
		i := slices.IndexFunc(links, func(l network.LinkInfo) bool { return isMoved(a, &l) })
		if i < 0 {
			return false, nil
		}
		if there = true; remove {
			err = h.DeleteLink(links[i].Index)
		}
		return true, err
	}
	if alsoFiles {
		err = network.EachHeldNamespace(searchOne)
	} else {
		err = network.EachNamespace(func(_ int, ns *network.Namespace) (bool, error) { return searchOne(ns) })
	}
	return there, err
}
