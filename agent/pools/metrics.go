package pools

import (
	"context"
	"time"

	"berth/internal/cluster"
	"berth/internal/lease"
	"berth/internal/state"
)

// Metrics are the numbers of a Member for a scrape.
type Metrics struct {
	cluster.Counts
	Contact  time.Time     // of etcd's last answer
	Latency  time.Duration // of the last round
	Failures uint64        // requests that etcd did not answer
	Pools    []PoolMetrics // by domain
}

// PoolMetrics are the numbers of a pool on this node.
type PoolMetrics struct {
	Domain string
	Blocks int
	Free   int // addresses that starts can lease without etcd
}

// Metrics returns the numbers after the last step. It waits for nothing.
func (m *Member) Metrics() Metrics {
	now := Metrics{}
	if last := m.measured.Load(); last != nil {
		now = *last
	}
	m.contact.Lock()
	defer m.contact.Unlock()
	now.Contact, now.Failures = m.last, m.failures
	return now
}

// measure stores the numbers that need the database or belong to the loop.
func (m *Member) measure(all []*domain) error {
	now := Metrics{Counts: m.self.Counts(), Latency: m.latency}
	err := m.Store.View(context.Background(), func(tx *state.Tx) error {
		for _, d := range all {
			parts, err := lease.Parts(tx, string(d.name))
			if err != nil {
				return err
			}
			pool := PoolMetrics{Domain: string(d.name)}
			for _, p := range parts {
				if p.Prefix.IsValid() && d.keeper.Blocks().Pool().Range().Contains(p.Prefix.Addr()) {
					pool.Blocks++
				}
			}
			if pool.Free, err = lease.SharedFree(tx, string(d.name), d.keeper.Blocks().Pool()); err != nil {
				return err
			}
			now.Pools = append(now.Pools, pool)
		}
		return nil
	})
	if err == nil {
		m.measured.Store(&now)
	}
	return err
}
