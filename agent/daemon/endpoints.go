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

// Endpoints implements api.Backend. It reads the records in chunks, which bounds memory and
// lets no container's start wait.
func (b backend) Endpoints(ctx context.Context, all bool, each func(*specs.Endpoint) error) error {
	b.namer.waitForNames(ctx)
	now, err := b.records.currentReading(ctx)
	if err != nil {
		return err
	}
	wanted := slices.DeleteFunc(slices.Clone(now.all), func(r *record) bool { return !all && !r.isLive() })
	slices.SortFunc(wanted, compareListed)
	for some := range slices.Chunk(wanted, chunk) {
		endpoints, _, err := b.readEndpoints(ctx, all, some)
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

// compareListed orders records as [agent.Collect] does: live ones by key, then ended ones, the
// last ended first.
func compareListed(a, b *record) int {
	return cmp.Or(cmp.Compare(min(a.ended, 1), min(b.ended, 1)), cmp.Compare(b.ended, a.ended), cmp.Compare(a.key, b.key))
}

// readEndpoints returns attachments with their counts, and the record of each, read in a transaction
// so that no slot is freed meanwhile. It leaves out deleted attachments.
func (a *Agent) readEndpoints(ctx context.Context, all bool, some []*record) (endpoints []specs.Endpoint, of []*record,
	err error) {
	endpoints, found := make([]specs.Endpoint, 0, len(some)), make([]*state.Attachment, 0, len(some))
	err = a.maps.useMaps(func(maps *bpf.Maps) error {
		var counts agent.Counts // stays nil if nothing is pinned
		if maps != nil {
			counts = maps
		}
		return a.store.View(ctx, func(tx *state.Tx) error {
			for _, r := range some {
				at, err := tx.Current(r.keyFields())
				if errors.Is(err, state.ErrNotFound) || err == nil && !all && at.Phase == specs.PhaseEnded {
					continue
				}
				if err != nil {
					return err
				}
				e, err := agent.Endpoint(at, counts)
				if err != nil {
					return fmt.Errorf("read endpoint %q: %w", r.key, err)
				}
				endpoints, found, of = append(endpoints, e), append(found, at), append(of, r)
			}
			return nil
		})
	})
	for i, at := range found {
		endpoints[i].GroupPackets = a.groupPackets(at)
	}
	return endpoints, of, err
}

// groupPackets returns the interface's own count of received multicast and broadcast
// frames, as the datapath on the parent does not see the copies delivered to it. It returns
// nil if the interface is gone or has no such count (source mode).
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
