package doortest

import (
	"net/netip"
	"testing"

	"berth/internal/lease"
	"berth/internal/state"
	"berth/internal/testnet"
)

// Node makes a machine a node of a cluster, in berth.toml. Nothing listens at the URL.
const Node = "[cluster]\netcd = [\"http://192.0.2.250:2379\"]\n"

// Clustered are the keys of a network of the domain "lan-hq".
const Clustered = "ipam = \"cluster\"\ndomain = \"lan-hq\"\nconflict_timeout = \"0\"\n"

// AnswerWish acts as the agent of a node: it opens a block, and a prefix of MACs, as soon as a start
// waits, or has waited, for an address of the domain "lan-hq". The address is the requested one, or
// not valid.
func AnswerWish(t *testing.T, store *state.Store, a netip.Addr, block netip.Prefix) {
	t.Helper()
	testnet.Eventually(t, "a wish", func() (wished bool) {
		err := store.View(t.Context(), func(tx *state.Tx) error { wished = lease.Wished(tx, "lan-hq", a); return nil })
		return err == nil && wished
	})
	err := store.Update(t.Context(), func(tx *state.Tx) error {
		if err := lease.OpenPart(tx, "lan-hq", lease.Part{Prefix: block}); err != nil {
			return err
		}
		if err := lease.OpenPart(tx, "lan-hq", lease.Part{MAC: [2]byte{0x13, 0xc1}}); err != nil {
			return err
		}
		return lease.AnswerWish(tx, "lan-hq", a)
	})
	if err != nil {
		t.Fatal(err)
	}
}
