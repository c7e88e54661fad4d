package pools

import (
	"context"
	"net/netip"

	"berth/internal/cluster"
	"berth/internal/state"
	"berth/specs"
)

// publish writes this node's attachments, and the observed interfaces, to etcd.
func (m *Member) publish(ctx context.Context) error {
	rows, err := m.readRows()
	if err != nil {
		return err
	}
	return m.self.Publish(ctx, rows)
}

func (m *Member) readRows() (rows []cluster.Row, err error) {
	domains := map[string]string{}
	for _, n := range m.readNetworks() {
		domains[n.Name] = n.Domain
	}
	err = m.Store.View(context.Background(), func(tx *state.Tx) error {
		for a, err := range tx.Live("") {
			if err != nil {
				return err
			}
			rows = append(rows, rowOf(a, domains[a.Network]))
		}
		for a, err := range tx.Observed() {
			if err != nil {
				return err
			}
			if a.Phase != specs.PhaseEnded {
				rows = append(rows, rowOf(a, ""))
			}
		}
		return nil
	})
	return rows, err
}

func rowOf(a *state.Attachment, domain string) cluster.Row {
	r := cluster.Row{Key: a.Key(), Network: a.Network, Domain: cluster.Domain(domain), Interface: a.Interface,
		Observed: a.Observed, Name: a.Holder}
	if a.Mode != specs.ModePassthru && a.Driver != specs.IPvlan {
		r.MAC = a.MAC // the others have their parent's
	}
	if len(a.Containers) > 0 {
		r.Container = a.Containers[0]
	}
	if a.Engine != nil {
		r.Name = a.Engine.Name
	}
	for _, p := range a.Addresses {
		r.Addresses = append(r.Addresses, p.Addr())
	}
	if r.Addresses == nil {
		r.Addresses = []netip.Addr{}
	}
	return cluster.NewRow(r)
}
