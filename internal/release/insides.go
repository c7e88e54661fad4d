package release

import (
	"context"
	"fmt"
	"slices"

	"berth/bpf"
	"berth/internal/state"
)

// perSweep bounds the keys that are compared with the records in one transaction.
const perSweep = 64

// insideMaps is the part of the agent's pinned maps that the sweep uses; *bpf.Maps
// implements it.
type insideMaps interface {
	Insides() ([]bpf.Inside, error)
	DropInside(bpf.Inside) error
}

// sweepInsides deletes the sibling program's keys of interfaces without a live
// attachment: a berth-hook that is killed between making the interface and its
// commit leaves a key that no record contains. The map is read before any
// transaction begins.
func (r *Releaser) sweepInsides(ctx context.Context) error {
	counted, err := r.agentMaps()
	if err != nil || counted == nil {
		return err
	}
	defer counted.Close()
	m, ok := counted.(insideMaps)
	if !ok {
		return nil
	}
	all, err := m.Insides()
	if err != nil {
		return fmt.Errorf("sweep the sibling program's interfaces: %w", err)
	}
	for some := range slices.Chunk(all, perSweep) {
		err := r.Store.View(ctx, func(tx *state.Tx) error { return dropStale(tx, m, some) })
		if err != nil {
			return fmt.Errorf("sweep the sibling program's interfaces: %w", err)
		}
	}
	return nil
}

func dropStale(tx *state.Tx, m insideMaps, some []bpf.Inside) error {
	for _, i := range some {
		of, err := tx.InNamespace(i.Cookie)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(of, func(a *state.Attachment) bool { return a.Slot == i.Slot }) {
			continue
		}
		if err := m.DropInside(i); err != nil {
			return err
		}
	}
	return nil
}
