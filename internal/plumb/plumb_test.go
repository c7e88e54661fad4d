package plumb_test

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"berth/internal/lease"
	"berth/internal/plumb"
	"berth/internal/state"
	"berth/ipam"
	"berth/network"
	"berth/specs"
)

// errRolledBack rolls a test's transaction back.
var errRolledBack = errors.New("rolled back")

func inTransaction(t *testing.T, fn func(*state.Tx) error) {
	t.Helper()
	store := state.Open(filepath.Join(t.TempDir(), "berth"))
	err := store.Update(t.Context(), func(tx *state.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return errRolledBack
	})
	if !errors.Is(err, errRolledBack) {
		t.Fatal(err)
	}
}

func newPool(subnet string) *ipam.Pool {
	return ipam.NewPool("lan", specs.Subnet{Subnet: netip.MustParsePrefix(subnet)}, nil)
}

func leasedAddresses(t *testing.T, tx *state.Tx) (all []string) {
	t.Helper()
	for l, err := range lease.All(tx) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l.Addr.String())
	}
	return all
}

func TestTakeGoesOnToTheNextPool(t *testing.T) {
	t.Parallel()
	s := &plumb.Stake{Domain: "4.0", Owner: lease.Owner{Key: "a", Network: "lan"}}
	pools := []*ipam.Pool{newPool("192.0.2.0/32"), newPool("198.51.100.0/31")}
	inTransaction(t, func(tx *state.Tx) error {
		for _, want := range []string{"192.0.2.0/32", "198.51.100.0/31", "198.51.100.1/31"} {
			if got, err := s.Take(tx, pools); err != nil || got.String() != want {
				t.Errorf("took %v, %v; want %s", got, err, want)
			}
		}
		if _, err := s.Take(tx, pools); !errors.As(err, new(*lease.ExhaustedError)) {
			t.Errorf("error %v of exhausted pools", err)
		}
		return nil
	})
}

func TestAReplacedAddressIsHeldUntilTheEnd(t *testing.T) {
	t.Parallel()
	s := &plumb.Stake{Domain: "4.0", VLAN: plumb.VLAN{Trunk: 4, ID: 7}, Owner: lease.Owner{Key: "a", Network: "lan"}}
	pools := []*ipam.Pool{newPool("192.0.2.0/30")}
	inTransaction(t, func(tx *state.Tx) error {
		var rejected plumb.Rejected
		first, err := s.Take(tx, pools)
		if err != nil {
			return err
		}
		if err := s.UseVLAN(tx, true); err != nil {
			return err
		}
		static := netip.MustParsePrefix("2001:db8::1/64")
		conflict := network.Conflict{Interface: "net1", Addr: first.Addr()}
		next, all, err := s.Replace(tx, pools, []netip.Prefix{static, first}, conflict)
		if err != nil {
			return err
		}
		rejected.Add(s, first.Addr())
		want := []netip.Prefix{static, netip.MustParsePrefix("192.0.2.2/30")}
		if !slices.Equal(all, want) || next != want[1].Addr() {
			t.Errorf("replaced by %v in %v, want %v", next, all, want)
		}
		if got := leasedAddresses(t, tx); !slices.Equal(got, []string{"192.0.2.1", "192.0.2.2"}) {
			t.Errorf("leased %v, want both until the end", got)
		}
		conflict.Addr = next
		if _, _, err := s.Replace(tx, pools, all, conflict); !errors.Is(err, plumb.ErrConflict) {
			t.Errorf("error %v, want a conflict: the pool is exhausted", err)
		}
		if err := rejected.Release(tx); err != nil {
			return err
		}
		if got := leasedAddresses(t, tx); !slices.Equal(got, []string{"192.0.2.2"}) {
			t.Errorf("leased %v, want the address in use", got)
		}
		for range 2 {
			if err := s.Forget(tx); err != nil {
				return err
			}
		}
		if users, made := tx.VLANUsers(4, 7); len(leasedAddresses(t, tx))+len(users) > 0 || made {
			t.Errorf("left: leases %v, users %v of the VLAN", leasedAddresses(t, tx), users)
		}
		return nil
	})
}

// Two callers that lock the same VLANs, named in opposite orders, do not
// deadlock.
func TestVLANsAreLockedInOneOrder(t *testing.T) {
	t.Parallel()
	store := state.Open(filepath.Join(t.TempDir(), "berth"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	some := []plumb.VLAN{{Trunk: 4, ID: 7}, {Trunk: 3, ID: 9}, {Trunk: 4, ID: 5}, {}, {Trunk: 4, ID: 7}}
	other := slices.Clone(some)
	slices.Reverse(other)
	var all sync.WaitGroup
	for _, vlans := range [][]plumb.VLAN{some, other} {
		all.Go(func() {
			for range 300 {
				unlock, err := plumb.LockVLANs(ctx, store, vlans)
				if err != nil {
					t.Error(err)
					return
				}
				unlock()
				unlock() // a repeated unlock does nothing
			}
		})
	}
	all.Wait()
}
