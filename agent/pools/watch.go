package pools

import (
	"context"
	"sync/atomic"
	"time"

	"berth/internal/cluster"
)

// watch is a running watch of a part of etcd.
type watch struct {
	domain *domain
	cancel context.CancelFunc
	ended  atomic.Bool
}

// keepWatches starts the watches that this node's domains need, and cancels the others. A watch
// that has ended is started anew after the next answer of etcd, from that answer's revision.
func (m *Member) keepWatches(ctx context.Context, all []*domain) {
	want := map[string]cluster.Watching{}
	of := map[string]*domain{}
	for _, d := range all {
		for _, w := range d.keeper.Watching() {
			want[w.Prefix], of[w.Prefix] = w, d
		}
		if d.sticky() && d.formerSeen != 0 {
			w := cluster.Watching{Prefix: d.name.FormerPrefix(), After: d.formerSeen}
			want[w.Prefix], of[w.Prefix] = w, d
		}
	}
	for prefix, running := range m.watches {
		if _, wanted := want[prefix]; !wanted || running.domain != of[prefix] || running.ended.Load() {
			running.cancel()
			delete(m.watches, prefix)
		}
	}
	for prefix, w := range want {
		if m.watches[prefix] == nil && !of[prefix].failed && !of[prefix].news.Load() {
			m.startWatch(ctx, of[prefix], w)
		}
	}
}

// startWatch wakes the loop at each change that concerns the node, and when the watch ends: the
// loop then reads the keys again.
func (m *Member) startWatch(ctx context.Context, d *domain, w cluster.Watching) {
	ctx, cancel := context.WithCancel(ctx)
	running := &watch{domain: d, cancel: cancel}
	m.watches[w.Prefix] = running
	store := m.etcd.Load()
	go func() {
		defer cancel()
		err := store.Watch(ctx, w.Prefix, w.After, func(u cluster.Update) {
			switch {
			case w.Prefix == d.name.FormerPrefix():
				d.former.add(u.Entries)
				m.Wake()
			case w.Concerns(u):
				d.news.Store(true)
				m.Wake()
			}
		})
		if ctx.Err() != nil {
			return // it is not needed any more
		}
		m.Log.Debug("a watch of etcd has ended", "prefix", w.Prefix, "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(retry):
			running.ended.Store(true)
			d.news.Store(true)
			d.former.lost.Store(true)
			m.Wake()
		}
	}()
}
