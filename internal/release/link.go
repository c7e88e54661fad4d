package release

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"berth/internal/plumb"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// RemoveHalfMade deletes the link of an attachment that a killed run had begun to make again. The
// caller holds the attachment's key.
func (r *Releaser) RemoveHalfMade(ctx context.Context, a *state.Attachment) error {
	remove, err := r.findLink(ctx, a)
	if err != nil || remove == nil {
		return err
	}
	return remove()
}

// removeLink deletes the link of an attachment if it still exists.
func (r *Releaser) removeLink(ctx context.Context, a *state.Attachment) error {
	remove, err := r.findLink(ctx, a)
	if err != nil || remove == nil {
		return err
	}
	if err := r.forgetNamespace(a); err != nil {
		r.logger().Warn("another interface of the container may be reported as mac-spoof", "container",
			a.Containers[0], "error", err)
	}
	if err := remove(); err != nil && !network.IsGone(err) {
		return err
	}
	return nil
}

// forgetNamespace makes the datapath forget the namespace of an attachment whose link is about to be
// deleted. The other keys stay until the drain, so that the last frames are counted. If the link
// cannot be deleted, its forged frames are recognised only by their source address.
func (r *Releaser) forgetNamespace(a *state.Attachment) error {
	if a.Slot == 0 || a.Cookie == 0 {
		return nil
	}
	m, err := r.agentMaps()
	if err != nil || m == nil {
		return err
	}
	defer m.Close()
	return m.UnregisterNamespace(Endpoint(a))
}

// findLink returns the function that deletes the link of an attachment, or nil if
// the link is gone: deleted, or ended with its namespace. The kernel reuses the
// IDs of namespaces at once, so a link counts as the attachment's only if its
// properties match the record (isOurs).
func (r *Releaser) findLink(ctx context.Context, a *state.Attachment) (remove func() error, err error) {
	if a.NSID < 0 {
		return nil, nil // the ID is recorded before a link is made
	}
	for _, name := range []string{a.AltName(), a.Interface} {
		link, err := r.Host.LinkIn(a.NSID, name)
		switch {
		case err == nil && isOursByName(a, &link):
			return func() error { return r.deleteLink(a, name, link.Index) }, nil
		case errors.Is(err, network.ErrNoNamespace):
			return r.findAfterDeath(a)
		case err != nil && !errors.Is(err, network.ErrNoLink):
			return nil, fmt.Errorf("find interface %q: %w", a.Interface, err)
		}
	}
	return r.findMoved(ctx, a)
}

// deleteLink deletes the link that findLink found. Between the two calls the
// namespace may end and another may get its ID, so the link is deleted by its
// alternative name, which contains the namespace's cookie: no link of another namespace
// has it. A link lacks that name if its hook was killed before it set it, if an
// older version made the link, or if the container removed the name: such a link
// is compared once more and deleted by index.
func (r *Releaser) deleteLink(a *state.Attachment, name string, index int) error {
	if name == a.AltName() {
		return r.Host.DeleteIn(a.NSID, name)
	}
	link, err := r.Host.LinkIn(a.NSID, name)
	if err != nil || link.Index != index || !isOursByName(a, &link) {
		return err
	}
	return r.Host.DeleteAtIn(a.NSID, index)
}

// isOurs reports whether a link is the attachment's and not another with its
// name. The alias contains the namespace's cookie, which no other namespace ever
// had. A privileged process in the container may change the MAC or remove the
// alias; the other properties must then match. A hook that was killed before it
// set the alias left a link without one; if the parent was a VLAN to be made
// first, its index is not recorded yet.
func isOurs(a *state.Attachment, l *network.LinkInfo) bool {
	mac, parent := l.MAC == a.MAC, l.ParentIndex == a.ParentIndex || a.ParentIndex == 0
	switch l.Alias {
	case a.Alias():
		return mac || parent
	case "":
		ownMAC := a.Driver == specs.Macvlan // an ipvlan has its parent's
		return mac && parent && (ownMAC || isHalfMade(a))
	}
	return false
}

// isHalfMade reports whether the link of an attachment may lack its alias.
func isHalfMade(a *state.Attachment) bool { return a.Phase == specs.PhaseAttaching || a.Lost }

// isOursByName is isOurs for a link in the attachment's namespace under its name. If its hook, or a
// healer, was killed before it set the alias and the parent has another index since then, the
// MAC and the name identify it.
func isOursByName(a *state.Attachment, l *network.LinkInfo) bool {
	noAlias := l.Alias == "" && isHalfMade(a) && l.MAC == a.MAC && l.Driver == a.Driver
	return noAlias || isOurs(a, l)
}

// lockVLANs locks all VLANs of the attachments.
func (r *Releaser) lockVLANs(ctx context.Context, all []*state.Attachment) (unlock func(), err error) {
	var vlans []plumb.VLAN
	for _, a := range all {
		vlans = append(vlans, plumb.VLANsOf(a.VLANs())...)
	}
	return plumb.LockVLANs(ctx, r.Store, vlans)
}

// removeVLANs removes the sub-interfaces that an attachment uses, if all of their
// users are being released. The caller holds the VLANs' locks.
func (r *Releaser) removeVLANs(ctx context.Context, a *state.Attachment, leaving []*state.Attachment) error {
	return plumb.RemoveVLANs(ctx, r.Store, r.Host, r.logger(), a.VLANs(), func(key string) bool {
		return slices.ContainsFunc(leaving, func(a *state.Attachment) bool { return a.Key() == key })
	})
}
