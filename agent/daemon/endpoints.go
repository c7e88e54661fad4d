package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"berth/agent"
	"berth/bpf"
	"berth/internal/state"
	"berth/specs"
)

// Endpoints implements api.Backend. The records are read in chunks, so that
// neither all of them are in memory nor a container's start has to wait.
func (b backend) Endpoints(ctx context.Context, all bool, each func(*specs.Endpoint) error) error {
	b.namer.settle(ctx)
	now, err := b.records.current(ctx)
	if err != nil {
		return err
	}
	wanted := slices.DeleteFunc(slices.Clone(now.all), func(r *record) bool { return !all && !r.live() })
	slices.SortFunc(wanted, listed)
	for some := range slices.Chunk(wanted, chunk) {
		endpoints, err := b.describe(ctx, all, some)
		if err != nil {
			return err
		}
		for i := range endpoints {
			if err := each(&endpoints[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// listed orders records as [agent.Collect] does: the live ones in the order of
// their keys, then the last ended first.
func listed(a, b *record) int {
	return cmp.Or(cmp.Compare(min(a.ended, 1), min(b.ended, 1)), cmp.Compare(b.ended, a.ended), cmp.Compare(a.key, b.key))
}

// describe reads attachments with their counts while no transaction can take
// a slot away from them. Those that are gone are left out.
func (a *Agent) describe(ctx context.Context, all bool, some []*record) ([]specs.Endpoint, error) {
	endpoints, found := make([]specs.Endpoint, 0, len(some)), make([]*state.Attachment, 0, len(some))
	err := a.maps.use(func(maps *bpf.Maps) error {
		var counts agent.Counts // stays nil without maps
		if maps != nil {
			counts = maps
		}
		return a.store.View(ctx, func(tx *state.Tx) error {
			for _, r := range some {
				at, err := tx.Now(r.ident())
				if errors.Is(err, state.ErrNotFound) || err == nil && !all && at.Phase == specs.PhaseEnded {
					continue
				}
				if err != nil {
					return err
				}
				e, err := agent.Endpoint(at, counts)
				if err != nil {
					return fmt.Errorf("endpoints: %w", err)
				}
				endpoints, found = append(endpoints, e), append(found, at)
			}
			return nil
		})
	})
	for i, at := range found {
		endpoints[i].GroupPackets = a.groupPackets(at)
	}
	return endpoints, err
}

// groupPackets asks the interface itself how many frames to groups and to all
// it received: the parent does not see the copies that it is given. nil: it is
// gone, or does not tell (source mode).
func (a *Agent) groupPackets(at *state.Attachment) *uint64 {
	if at.Phase != specs.PhaseAttached || at.Mode == specs.ModeSource {
		return nil
	}
	l, err := a.inside(at.NSID, at.Interface)
	if err != nil || l.MAC != at.MAC || l.Index != at.LinkIndex {
		return nil
	}
	return &l.Stats.ReceiveGroup
}
