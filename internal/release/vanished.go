package release

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// Vanished reports whether the link of an attachment vanished with its parent while its container
// lives, and is to be made again: the parent's driver was reloaded, or another program has removed
// the parent. A link that only the container, or its administrator, has deleted did not vanish.
func (r *Releaser) Vanished(ctx context.Context, a *state.Attachment) (bool, error) {
	if a.Phase != specs.PhaseAttached || a.Leaving {
		return false, nil
	}
	if waits, err := r.waitsForParent(a); err != nil || !waits {
		return false, err
	}
	if a.Lost {
		return true, nil
	}
	remove, err := r.findLink(ctx, a)
	return err == nil && remove == nil, wrapf(err, "check attachment %q", a.Key())
}

// waitsForParent reports whether an attachment without a link waits for its parent: the kernel
// deleted the link together with the parent, and the namespace lives. Another link can have the
// parent's index: the kernel gives an index again if it is requested.
func (r *Releaser) waitsForParent(a *state.Attachment) (bool, error) {
	host, ok := r.Host.(hostLinks)
	if !ok || a.NoHeal || a.Observed || a.NSID < 0 || a.ParentIndex == 0 && !a.Lost {
		return false, nil
	}
	if !a.Lost && isHome(host, a) {
		return false, nil
	}
	return r.namespaceLives(a)
}

// namespaceLives reports whether the namespace of an attachment exists. The kernel gives the ID
// of a namespace that ended to another one at once, so the cookie decides. A caller that
// may not enter namespaces cannot compare it, and takes the namespace for alive.
func (r *Releaser) namespaceLives(a *state.Attachment) (bool, error) {
	_, err := r.Host.LinkIn(a.NSID, "lo")
	if errors.Is(err, network.ErrNoNamespace) {
		return false, nil
	}
	if err != nil && !errors.Is(err, network.ErrNoLink) {
		return false, err
	}
	ns, err := network.FindHeldNamespace(a.Cookie)
	switch {
	case err == nil:
		return true, ns.Close()
	case errors.Is(err, network.ErrNoNamespace):
		return false, nil
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return true, nil
	}
	return false, err
}
