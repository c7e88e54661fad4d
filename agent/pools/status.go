package pools

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"berth/internal/cluster"
	"berth/internal/lease"
	"berth/internal/state"
	"berth/ipam"
	"berth/specs"
)

// Status reads the whole cluster from etcd. If etcd does not answer, it returns this
// node's own part, and the reason.
func (m *Member) Status(ctx context.Context) (specs.ClusterStatus, error) {
	ctx, stop := context.WithTimeout(ctx, askWithin)
	defer stop()
	snapshot, err := m.list(ctx, "")
	m.mu.Lock()
	defer m.mu.Unlock()
	s := specs.ClusterStatus{Node: m.Config.Node, Nodes: []specs.ClusterNode{}, Pools: []specs.ClusterPool{},
		Attachments: []specs.ClusterAttachment{}}
	if m.self != nil {
		s.ID = string(m.self.ID())
	}
	f := cluster.NewFleet(snapshot)
	if err != nil {
		s.Error = m.explain(err).Error()
		if f, err = m.ownFleet(); err != nil {
			return s, err
		}
	}
	m.contact.Lock()
	if !m.last.IsZero() {
		s.Contact = new(m.last)
	}
	m.contact.Unlock()
	for _, bad := range f.Bad {
		s.Invalid = append(s.Invalid, bad.Error())
	}
	s.Attachments = append(s.Attachments, attachmentsOf(&f)...)
	s.Nodes = append(s.Nodes, nodesOf(&f, s.ID)...)
	s.Pools, err = m.poolsOf(&f, s.ID)
	return s, err
}

// ownFleet returns this node's own rows and the pools of its network files.
func (m *Member) ownFleet() (cluster.Fleet, error) {
	f := cluster.NewFleet(cluster.Snapshot{})
	rows, err := m.readRows()
	if m.self == nil || err != nil {
		return f, err
	}
	id := m.self.ID()
	f.Rows[id] = rows
	f.Nodes[id] = cluster.Node{Registration: cluster.Registration{Name: m.Config.Node}}
	for _, d := range m.domains {
		f.Pools[d.name] = cluster.FleetPool{Text: d.pool, Blocks: d.keeper.Blocks(), View: d.keeper.View()}
	}
	return f, nil
}

func nodesOf(f *cluster.Fleet, self string) (all []specs.ClusterNode) {
	for id, n := range f.Nodes {
		row := specs.ClusterNode{Name: n.Name, ID: string(id), This: string(id) == self, Present: n.Alive != "",
			Since: n.Since}
		for domain, p := range f.Pools {
			blocks, size := p.Owned(domain, id)
			row.Blocks += blocks
			row.Size += size
			row.Used += usedIn(f.Rows[id], domain, func(r cluster.Row, i int) bool {
				return p.Owns(domain, id, r.Addresses[i])
			})
		}
		all = append(all, row)
	}
	slices.SortFunc(all, func(a, b specs.ClusterNode) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	return all
}

// usedIn counts the addresses of a domain's rows for which a condition holds.
func usedIn(rows []cluster.Row, domain cluster.Domain, holds func(r cluster.Row, i int) bool) (n int) {
	for _, r := range rows {
		for i := range r.Addresses {
			if r.Domain == domain && holds(r, i) {
				n++
			}
		}
	}
	return n
}

func attachmentsOf(f *cluster.Fleet) (all []specs.ClusterAttachment) {
	twice := cluster.Duplicates(f.Rows)
	for id, rows := range f.Rows {
		for i := range rows {
			r := &rows[i]
			all = append(all, specs.ClusterAttachment{Node: cmp.Or(f.Nodes[id].Name, string(id)), Container: r.Container,
				Name: r.Name, Network: r.Network, Domain: string(r.Domain), Interface: r.Interface, MAC: r.MAC,
				Addresses: r.Addresses, Observed: r.Observed, Conflicts: twice[r]})
		}
	}
	slices.SortFunc(all, func(a, b specs.ClusterAttachment) int {
		return cmp.Or(strings.Compare(a.Node, b.Node), strings.Compare(a.Name, b.Name),
			strings.Compare(a.Container, b.Container), strings.Compare(a.Interface, b.Interface))
	})
	return all
}

func (m *Member) poolsOf(f *cluster.Fleet, self string) ([]specs.ClusterPool, error) {
	all := []specs.ClusterPool{}
	for _, domain := range slices.Sorted(maps.Keys(f.Pools)) {
		p := f.Pools[domain]
		row := specs.ClusterPool{Domain: string(domain), Subnet: p.Text.Subnet, Range: p.Text.Range, Block: p.Text.Block,
			Size: p.Blocks.Pool().Size(), Blocks: p.Blocks.Count()}
		row.Claimed, row.Idle = p.Claimed(domain)
		row.Here, _ = p.Owned(domain, cluster.NodeID(self))
		for _, rows := range f.Rows {
			row.Used += usedIn(rows, domain, func(cluster.Row, int) bool { return true })
		}
		var err error
		if row.FreeHere, err = m.freeHere(domain, p.Blocks.Pool()); err != nil {
			return nil, err
		}
		if d := m.domains[domain]; d != nil && d.err != nil {
			row.Error = m.explain(d.err).Error()
		}
		all = append(all, row)
	}
	return all, nil
}

// freeHere returns the number of addresses that the next starts can lease without etcd.
func (m *Member) freeHere(domain cluster.Domain, pool *ipam.Pool) (n int, err error) {
	return n, m.Store.View(context.Background(), func(tx *state.Tx) error {
		n, err = lease.SharedFree(tx, string(domain), pool)
		return err
	})
}

// Forget removes a node that will not come back, and returns the keys that it had.
func (m *Member) Forget(ctx context.Context, name string) (released []string, err error) {
	ctx, stop := context.WithTimeout(ctx, askWithin)
	defer stop()
	snapshot, err := m.list(ctx, "node/", "alive/")
	if err != nil {
		return nil, m.explain(err)
	}
	f := cluster.NewFleet(snapshot)
	id, err := f.FindNode(name)
	if err != nil {
		return nil, err
	}
	m.Log.Info("forgetting a node on request", "node", name, "id", id)
	defer m.Wake()
	return cluster.Forget(ctx, m.requests(), id)
}

func (m *Member) list(ctx context.Context, prefixes ...string) (s cluster.Snapshot, err error) {
	if m.etcd.Load() == nil {
		return s, errors.New("the connection to etcd is not open; see berth agent status")
	}
	return m.requests().List(ctx, prefixes...)
}
