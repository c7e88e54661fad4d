package pools

import (
	"context"
	"fmt"

	"berth/internal/cluster"
	"berth/internal/lease"
	"berth/internal/state"
)

// leaveDomains gives back this node's blocks, addresses and prefixes in domains that no network
// file names. It keeps a domain while a container has an address of it.
func (m *Member) leaveDomains(ctx context.Context) {
	if !m.brokenNetworks {
		m.findLeft(ctx)
	}
	for name := range m.leaving {
		part := fmt.Sprintf("domain %q, which no network has", name)
		if m.named[name] {
			delete(m.leaving, name)
			m.Problem(part, nil)
			continue
		}
		ctx, stop := context.WithTimeout(ctx, askWithin)
		left, err := m.self.Leave(ctx, name, func() (bool, error) { return m.closeDomain(name) })
		stop()
		m.Problem(part, m.explain(err))
		if left {
			m.Log.Info("the blocks of a domain without a network were given back", "domain", name)
			delete(m.leaving, name)
		}
	}
}

// findLeft adds the domains without a network in which this node has keys: by its file and, after a
// new connection and if a network was removed, by etcd.
func (m *Member) findLeft(ctx context.Context) {
	all := m.self.HeldDomains()
	if m.unswept {
		m.request(ctx, "the domains of this node in etcd", func(ctx context.Context) error {
			owned, err := m.self.OwnedDomains(ctx)
			m.unswept = err != nil
			all = append(all, owned...)
			return err
		})
	}
	for _, name := range all {
		if !m.named[name] {
			m.leaving[name] = true
		}
	}
}

// closeDomain closes all parts of a domain, unless an address of it is leased.
func (m *Member) closeDomain(name cluster.Domain) (closed bool, err error) {
	err = m.Store.Update(context.Background(), func(tx *state.Tx) error {
		leased, err := lease.SharedAddresses(tx, string(name))
		if err != nil || len(leased) > 0 {
			return err
		}
		closed = true
		return lease.ResetParts(tx, string(name), nil)
	})
	return closed, err
}
