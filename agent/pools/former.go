package pools

import (
	"context"
	"fmt"

	"berth/internal/cluster"
	"berth/internal/lease"
	"berth/internal/state"
	"berth/specs"
)

// publishAtOnce is the number of memories that are published before this is recorded.
const publishAtOnce = 240

// formerSlack is the number of former addresses above [cluster.MaxFormer] at which a node that has
// published one deletes the oldest. Much more than these a node does not store.
const formerSlack = 256

// shareFormer stores the addresses of containers of sticky networks that last ran on other nodes, for
// the hook, and publishes those of the containers that have started here.
func (m *Member) shareFormer(ctx context.Context, all []*domain) {
	for _, d := range all {
		if !d.sticky() {
			m.Problem(formerPart(d.name), nil)
		}
		if !d.sticky() || !m.self.Registered() {
			continue
		}
		err := m.followFormer(ctx, d)
		if err == nil {
			err = m.publishFormer(ctx, d)
		}
		if err == nil {
			err = m.trimFormer(ctx, d)
		}
		m.Problem(formerPart(d.name), m.explain(err))
	}
}

func (d *domain) sticky() bool { return len(d.stickyNetworks) > 0 }

// formerPart is the part of the problems with a domain's former addresses.
func formerPart(name cluster.Domain) string {
	return fmt.Sprintf("the former addresses of domain %q", name)
}

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

// dropFormer deletes the former addresses of a domain without a network. They are read again if it has
// one again.
func (m *Member) dropFormer(name cluster.Domain) error {
	return m.Store.Update(context.Background(), func(tx *state.Tx) error { return lease.ResetFormer(tx, string(name)) })
}

// publishFormer publishes the memories of a domain's networks that the hook has stored since the last
// call. A network whose file cannot be read is none of them: its memories wait.
func (m *Member) publishFormer(ctx context.Context, d *domain) error {
	for {
		var untold lease.Untold
		err := m.Store.View(ctx, func(tx *state.Tx) error {
			untold = lease.ReadUntold(tx, d.stickyNetworks, publishAtOnce)
			return nil
		})
		if err != nil || untold.Last == 0 {
			return err
		}
		for _, err := range untold.Damaged {
			m.Log.Warn("the address of a container is not published for other nodes", "domain", d.name, "error", err)
		}
		if err := m.publishMemories(ctx, d, untold.Memories); err != nil {
			return err
		}
		err = m.Store.Update(ctx, func(tx *state.Tx) error { return lease.SetTold(tx, d.stickyNetworks, untold.Last) })
		if err != nil || len(untold.Memories) < publishAtOnce {
			return err
		}
	}
}

func (m *Member) publishMemories(ctx context.Context, d *domain, memories []lease.Remembered) error {
	var all []cluster.Former
	for _, r := range memories {
		if len(r.Addresses) > 0 {
			all = append(all, cluster.Former{ID: lease.FormerID(r.Name, r.Interface), Name: r.Name,
				Addresses: r.Addresses, Started: r.Started})
		}
	}
	if len(all) == 0 {
		return nil
	}
	ctx, stop := context.WithTimeout(ctx, askWithin)
	defer stop()
	d.formerTrim = true
	return m.self.PublishFormer(ctx, d.name, lastOfEach(all))
}

// trimFormer deletes the oldest former addresses of a domain if this node has published one and there
// are too many: not every node is to do the same work.
func (m *Member) trimFormer(ctx context.Context, d *domain) error {
	if !d.formerTrim || len(d.formerIDs) <= cluster.MaxFormer+formerSlack {
		return nil
	}
	ctx, stop := context.WithTimeout(ctx, askWithin)
	defer stop()
	err := m.self.TrimFormer(ctx, d.name)
	d.formerTrim = err != nil
	return err
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
	err := m.Store.Update(ctx, func(tx *state.Tx) error { return m.storeFormer(tx, d, changed) })
	if err != nil {
		d.former.lost.Store(true)
	}
	return err
}

// storeFormer stores changes of the former addresses of a domain.
func (m *Member) storeFormer(tx *state.Tx, d *domain, changed []cluster.Entry) error {
	for _, e := range changed {
		f, err := d.name.DecodeFormer(e)
		switch {
		case f.ID == "":
			continue // the key is not berth's
		case e.Value == nil:
			delete(d.formerIDs, f.ID)
		case !d.formerIDs[f.ID] && len(d.formerIDs) >= cluster.MaxFormer+2*formerSlack:
			continue
		default:
			d.formerIDs[f.ID] = true
		}
		if err != nil {
			f.Addresses = nil // deleted or invalid
		}
		if err := m.storeOneFormer(tx, d, f); err != nil {
			return err
		}
	}
	return nil
}

// storeOneFormer stores the former addresses of a container, or deletes them if it last ran here.
func (m *Member) storeOneFormer(tx *state.Tx, d *domain, f cluster.Former) error {
	if f.Node == m.self.ID() {
		f.Addresses = nil
	}
	return lease.SetFormer(tx, string(d.name), f.ID, f.Addresses)
}

func (m *Member) readFormer(ctx context.Context, d *domain) error {
	d.formerSeen = 0
	ctx, stop := context.WithTimeout(ctx, askWithin)
	defer stop()
	all, revision, err := m.self.ReadFormer(ctx, d.name)
	if err != nil {
		return err
	}
	d.formerIDs = map[string]bool{}
	err = m.Store.Update(ctx, func(tx *state.Tx) error {
		if err := lease.ResetFormer(tx, string(d.name)); err != nil {
			return err
		}
		for _, f := range all {
			d.formerIDs[f.ID] = true
			if err := m.storeOneFormer(tx, d, f); err != nil {
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
