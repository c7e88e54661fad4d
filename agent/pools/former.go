package pools

import (
	"context"
	"fmt"

	"berth/internal/cluster"
	"berth/internal/lease"
	"berth/internal/state"
	"berth/specs"
)

// shareFormer publishes the addresses of the containers of sticky networks that have started here,
// and stores those of containers that last ran on other nodes, for the hook.
func (m *Member) shareFormer(ctx context.Context, all []*domain) {
	for _, d := range all {
		if d.sticky() && m.self.Registered() {
			m.Problem(d.formerPart(), m.explain(m.followFormer(ctx, d)))
		}
	}
	m.Problem("the addresses of sticky containers in etcd", m.explain(m.publishFormer(ctx)))
}

func (d *domain) sticky() bool       { return len(d.stickyNetworks) > 0 }
func (d *domain) formerPart() string { return fmt.Sprintf("the former addresses of domain %q", d.name) }

// stickyNetworksOf returns the names of the sticky ones of networks.
func stickyNetworksOf(all []*specs.Network) map[string]bool {
	names := map[string]bool{}
	for _, n := range all {
		if n.Sticky {
			names[n.Name] = true
		}
	}
	return names
}

// publishFormer publishes the memories that the hook has stored since the last call.
func (m *Member) publishFormer(ctx context.Context) error {
	var untold []lease.Remembered
	err := m.Store.View(ctx, func(tx *state.Tx) (err error) {
		untold, err = lease.Untold(tx)
		return err
	})
	if err != nil || len(untold) == 0 || !m.self.Registered() {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, askWithin)
	defer stop()
	for _, d := range m.domains {
		var all []cluster.Former
		for _, r := range untold {
			if d.stickyNetworks[r.Network] && len(r.Addresses) > 0 {
				all = append(all, cluster.Former{ID: lease.FormerID(r.Name, r.Interface), Name: r.Name,
					Addresses: r.Addresses})
			}
		}
		if len(all) == 0 {
			continue
		}
		err := m.self.PublishFormer(ctx, d.name, lastOfEach(all))
		if m.noteAnswer(err); err != nil {
			return err
		}
	}
	return m.Store.Update(ctx, func(tx *state.Tx) error { return lease.SetTold(tx, untold[len(untold)-1].Order) })
}

// lastOfEach returns the last one of those with one ID: two networks may have one domain.
func lastOfEach(all []cluster.Former) (last []cluster.Former) {
	at := map[string]int{}
	for _, f := range all {
		if i, known := at[f.ID]; known {
			last[i] = f
			continue
		}
		at[f.ID] = len(last)
		last = append(last, f)
	}
	return last
}

// followFormer brings the database to the former addresses in etcd: it reads all of them once, and
// then the changes that the watch has seen.
func (m *Member) followFormer(ctx context.Context, d *domain) error {
	d.former.Lock()
	changed := d.former.changed
	d.former.changed = nil
	d.former.Unlock()
	if d.formerSeen == 0 || d.former.lost.Swap(false) {
		return m.readFormer(ctx, d)
	}
	if len(changed) == 0 {
		return nil
	}
	err := m.Store.Update(ctx, func(tx *state.Tx) error { return m.storeFormer(tx, d.name, changed) })
	if err != nil {
		d.former.lost.Store(true)
	}
	return err
}

// storeFormer stores changes of the former addresses of a domain.
func (m *Member) storeFormer(tx *state.Tx, d cluster.Domain, changed []cluster.Entry) error {
	for _, e := range changed {
		f, err := d.DecodeFormer(e)
		if f.ID == "" {
			continue // the key is not berth's
		}
		if err != nil || f.Node == m.self.ID() {
			f.Addresses = nil // deleted, invalid, or of a container of this node
		}
		if err := lease.SetFormer(tx, string(d), f.ID, f.Addresses); err != nil {
			return err
		}
	}
	return nil
}

func (m *Member) readFormer(ctx context.Context, d *domain) error {
	d.formerSeen = 0
	ctx, stop := context.WithTimeout(ctx, askWithin)
	defer stop()
	all, revision, err := m.self.ReadFormer(ctx, d.name)
	if m.noteAnswer(err); err != nil {
		return err
	}
	err = m.Store.Update(ctx, func(tx *state.Tx) error {
		if err := lease.ResetFormer(tx, string(d.name)); err != nil {
			return err
		}
		for _, f := range all {
			if err := lease.SetFormer(tx, string(d.name), f.ID, f.Addresses); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		d.formerSeen = revision
	}
	return err
}
