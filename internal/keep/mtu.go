package keep

import (
	"context"

	"berth/internal/plumb"
	"berth/internal/state"
)

// setMTU sets the MTU of the recorded lease, first in the kernel. An MTU that the kernel refuses,
// as one above a parent's that was lowered, is left out.
func (w *work) setMTU(ctx context.Context) error {
	var had, mtu int
	err := w.c.Store.View(ctx, func(tx *state.Tx) error {
		a, d, err := w.c.record(tx)
		if err == nil {
			had, mtu = a.MTU, plumb.LeaseMTU(a, d)
		}
		return err
	})
	if err != nil || mtu == had {
		return err
	}
	if err := w.inside.SetMTU(w.a.LinkIndex, mtu); err != nil {
		w.c.Log.Warn("MTU of the DHCP server left out", "attachment", w.c.key.attachment, "error", err)
		return nil
	}
	w.c.step("set the MTU")
	w.c.Log.Info("MTU changed", "attachment", w.c.key.attachment, "mtu", mtu, "before", had)
	return w.change(ctx, func(_ *state.Tx, at *state.Attachment, _ *state.DHCPClient) error {
		at.MTU = mtu
		return nil
	})
}
