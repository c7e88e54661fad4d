package lease_test

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"berth/internal/lease"
	"berth/internal/state"
	"berth/ipam"
	"berth/specs"
)

// leaseAsAttach does the transaction of one container start, and end that of its stop.
func leaseAsAttach(tx *state.Tx, p *ipam.Pool, i int) error {
	o := testOwner(i)
	o.Container = fmt.Sprintf("%064x", i)
	a := &state.Attachment{
		Cookie: uint64(i), Interface: "net1", Containers: []string{o.Container}, Network: "lan", ParentIndex: 4,
		Driver: specs.Macvlan, Mode: specs.ModeBridge, Phase: specs.PhaseAttached, Created: time.Now(),
	}
	l := lease.In(tx, a.Domain())
	addr, err := l.Take(p, o)
	if err != nil {
		return err
	}
	if a.MAC, err = l.TakeMAC(o); err != nil {
		return err
	}
	if a.Slot, err = tx.ClaimSlot(1 << 16); err != nil {
		return err
	}
	a.Addresses = []netip.Prefix{netip.PrefixFrom(addr, p.Prefix().Bits())}
	return tx.Put(a)
}

func freeAsDetach(tx *state.Tx, i int) error {
	a, err := tx.Attachment(testOwner(i).Key)
	if err != nil {
		return err
	}
	if err := lease.In(tx, a.Domain()).Release(a.Key()); err != nil {
		return err
	}
	if err := tx.FreeSlot(a.Slot); err != nil {
		return err
	}
	return tx.Delete(a.Key())
}

// BenchmarkAttach measures a transaction for an attachment and one for its end,
// with opening and closing of the database, while a number of other leases exist.
func BenchmarkAttach(b *testing.B) {
	for _, held := range []int{0, 100, 10_000} {
		b.Run(fmt.Sprintf("held=%d", held), func(b *testing.B) {
			s := state.Open(filepath.Join(b.TempDir(), "berth"))
			p := ipam.NewPool("lan", specs.Subnet{Subnet: netip.MustParsePrefix("10.0.0.0/16")}, nil)
			must(b, s.Update(b.Context(), func(tx *state.Tx) error {
				for i := range held {
					if err := leaseAsAttach(tx, p, i); err != nil {
						return err
					}
				}
				return nil
			}))
			for i := 0; b.Loop(); i++ {
				n := 1_000_000 + i
				must(b, s.Update(b.Context(), func(tx *state.Tx) error { return leaseAsAttach(tx, p, n) }))
				must(b, s.Update(b.Context(), func(tx *state.Tx) error { return freeAsDetach(tx, n) }))
			}
		})
	}
}
