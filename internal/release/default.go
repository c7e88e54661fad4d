package release

import (
	"errors"
	"fmt"

	"berth/internal/state"
	"berth/network"
)

// restoreDefaults restores the default routes that an attachment's own replaced,
// once its link is deleted, if a process is still in its namespace. A route that
// exists there already stays, and a failure is logged: neither prevents the
// release.
func (r *Releaser) restoreDefaults(a *state.Attachment) {
	if len(a.Replaced) == 0 {
		return
	}
	if _, err := r.Host.LinkIn(a.NSID, a.Interface); errors.Is(err, network.ErrNoNamespace) {
		return // avoids a scan of all processes
	}
	ns, err := network.FindNamespace(a.Cookie)
	if errors.Is(err, network.ErrNoNamespace) {
		return
	}
	if err == nil {
		err = errors.Join(addDefaults(ns, a.Replaced), ns.Close())
	}
	if err != nil {
		r.logger().Warn("default route not restored", "container", a.Containers[0], "interface", a.Interface, "error", err)
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
			errs = append(errs, fmt.Errorf("default route through interface %d: %w", d.Index, err))
		}
	}
	return errors.Join(errs...)
}
