package pools

import (
	"context"
	"net/netip"
	"slices"

	"berth/internal/cluster"
	"berth/internal/lease"
	"berth/internal/state"
)

// parts implements cluster.Leases on the database of this machine.
type parts struct {
	store  *state.Store
	domain cluster.Domain
	blocks *cluster.Blocks
}

func (p *parts) part(key string) (lease.Part, error) {
	prefix, mac, err := p.blocks.Part(p.domain, key)
	return lease.Part{Prefix: prefix, MAC: mac}, err
}

// Reset implements cluster.Leases. It writes only if something differs.
func (p *parts) Reset(keys []string) error {
	var want []lease.Part
	for _, key := range keys {
		part, err := p.part(key)
		if err != nil {
			continue // of a pool with other blocks, in which this node's file is out of date
		}
		want = append(want, part)
	}
	same := false
	err := p.store.View(context.Background(), func(tx *state.Tx) error {
		open, err := lease.Parts(tx, string(p.domain))
		same = err == nil && equalParts(open, want)
		return nil
	})
	if err != nil || same {
		return err
	}
	return p.store.Update(context.Background(), func(tx *state.Tx) error {
		return lease.ResetParts(tx, string(p.domain), want)
	})
}

func equalParts(a, b []lease.Part) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(p lease.Part) bool { return !slices.Contains(b, p) })
}

// Open implements cluster.Leases.
func (p *parts) Open(key string) error {
	part, err := p.part(key)
	if err != nil {
		return err
	}
	return p.store.Update(context.Background(), func(tx *state.Tx) error {
		return lease.OpenPart(tx, string(p.domain), part)
	})
}

// Close implements cluster.Leases.
func (p *parts) Close(key string, force bool) (closed bool, err error) {
	part, err := p.part(key)
	if err != nil {
		return true, nil // it was never opened
	}
	err = p.store.Update(context.Background(), func(tx *state.Tx) error {
		closed, err = lease.ClosePart(tx, string(p.domain), part, force)
		return err
	})
	return closed, err
}

// Leased implements cluster.Leases.
func (p *parts) Leased() (map[netip.Addr]bool, error) {
	all := map[netip.Addr]bool{}
	err := p.store.View(context.Background(), func(tx *state.Tx) error {
		leased, err := lease.SharedAddresses(tx, string(p.domain))
		for _, a := range leased {
			all[a] = true
		}
		return err
	})
	return all, err
}
