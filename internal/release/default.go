package release

import (
	"errors"
	"fmt"

	"berth/internal/state"
	"berth/network"
)

// restoreDefaults puts the default routes back whose place an attachment's own
// took, now that its link is gone, if its namespace lives on in a process. What
// stands in their place by now stays, and what cannot be put back is told:
// neither keeps the attachment from being released.
func (r *Releaser) restoreDefaults(a *state.Attachment) {
	if len(a.Replaced) == 0 {
		return
	}
	if _, err := r.Host.LinkIn(a.NSID, a.Interface); errors.Is(err, network.ErrNoNamespace) {
		return // sooner known than by a look at all processes
	}
	ns, err := network.FindNamespace(a.Cookie)
	if errors.Is(err, network.ErrNoNamespace) {
		return
	}
	if err == nil {
		err = errors.Join(addDefaults(ns, a.Replaced), ns.Close())
	}
	if err != nil {
		r.log().Warn("default route not put back", "container", a.Containers[0], "interface", a.Interface, "error", err)
	}
}

func addDefaults(ns *network.Namespace, all []state.Default) error {
	h, err := ns.Open()
	if err != nil {
		return err
	}
	var errs []error
	for _, d := range all {
		err := h.AddRoute(d.Index, network.RouteInfo(d).Route())
		if err != nil && !errors.Is(err, network.ErrExists) {
			errs = append(errs, fmt.Errorf("by way of interface %d: %w", d.Index, err))
		}
	}
	return errors.Join(errs...)
}
