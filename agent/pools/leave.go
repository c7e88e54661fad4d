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
	for _, name := range m.self.HeldDomains() {
		if !m.named[name] && !m.brokenNetworks {
			m.leaving[name] = true
		}
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
		m.noteAnswer(err)
		m.Problem(part, m.explain(err))
		if left {
			m.Log.Info("the blocks of a domain without a network were given back", "domain", name)
			delete(m.leaving, name)
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
