package release

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"berth/internal/lease"
	"berth/internal/state"
	"berth/internal/testnet"
	"berth/ipam"
	"berth/specs"
)

func TestMain(m *testing.M) {
	if os.Getenv(killAt) != "" {
		fmt.Println(dieHalfway())
		os.Exit(0)
	}
	testnet.Main(m)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newStore(t testing.TB) *state.Store {
	t.Helper()
	return state.Open(filepath.Join(t.TempDir(), "berth"))
}

// maxSlots is the number of counter slots in the tests.
const maxSlots = 64

// recordAttached claims the resources of an attachment and records it as attached.
func recordAttached(t testing.TB, s *state.Store, a *state.Attachment) *state.Attachment {
	t.Helper()
	a.Network, a.Driver, a.Mode = "lan", specs.Macvlan, specs.ModeBridge
	a.Created = time.Now()
	if a.Phase == "" {
		a.Phase = specs.PhaseAttached
	}
	if a.Interface == "" {
		a.Interface = "net1"
	}
	must(t, s.Update(t.Context(), func(tx *state.Tx) (err error) {
		owner := lease.Owner{Key: a.Key(), Container: a.Containers[0], Network: a.Network}
		leases := lease.In(tx, a.Domain())
		pool := ipam.NewPool("lan", specs.Subnet{Subnet: netip.MustParsePrefix("192.0.2.0/24")}, nil)
		addr, err := leases.Take(pool, owner)
		if err != nil {
			return err
		}
		a.Addresses = []netip.Prefix{netip.PrefixFrom(addr, 24)}
		if a.MAC, err = leases.TakeMAC(owner); err != nil {
			return err
		}
		if a.Slot, err = tx.ClaimSlot(maxSlots); err != nil {
			return err
		}
		if a.VLAN != 0 {
			err = tx.AddVLANUser(a.TrunkIndex, a.VLAN, a.Key(), true)
		}
		return errors.Join(err, tx.Put(a))
	}))
	return a
}

// checkNothingHeld checks that a store holds none of the resources that recordAttached claims.
func checkNothingHeld(t testing.TB, s *state.Store) {
	t.Helper()
	must(t, s.Update(t.Context(), func(tx *state.Tx) error {
		for a, err := range tx.Live("") {
			t.Errorf("live: %+v, %v", a, err)
		}
		for lease, err := range lease.All(tx) {
			t.Errorf("leased: %+v, %v", lease, err)
		}
		draining, err := tx.Draining()
		if len(draining) > 0 {
			t.Errorf("%d attachments are not drained", len(draining))
		}
		if slot, err := tx.ClaimSlot(maxSlots); slot != 1 || err != nil {
			t.Errorf("lowest free slot: %d, %v; want 1", slot, err)
		}
		if users, made := tx.VLANUsers(7, 100); len(users) > 0 || made {
			t.Errorf("VLAN users %v, made %v", users, made)
		}
		return errors.Join(err, tx.FreeSlot(1))
	}))
}

// endedRecords returns the ended attachments, the last first.
func endedRecords(t testing.TB, s *state.Store) (all []*state.Attachment) {
	t.Helper()
	must(t, s.View(t.Context(), func(tx *state.Tx) error {
		for a, err := range tx.Ended() {
			if err != nil {
				return err
			}
			all = append(all, a)
		}
		return nil
	}))
	return all
}

// liveRecord returns the live attachment with a key, or nil if there is none.
func liveRecord(t testing.TB, s *state.Store, key string) (a *state.Attachment) {
	t.Helper()
	must(t, s.View(t.Context(), func(tx *state.Tx) (err error) {
		if a, err = tx.Attachment(key); errors.Is(err, state.ErrNotFound) {
			err = nil
		}
		return err
	}))
	return a
}

// drainToEnd drains until nothing is left to drain.
func (r *Releaser) drainToEnd(ctx context.Context) error { return r.drainAll(ctx, false, new(Report)) }
