package pools

import (
	"context"
	"os"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"berth/internal/state"
	"berth/internal/testnet"
	"berth/specs"
)

// TestLostEtcd replaces etcd by an empty one. A node notices the new connection, and writes its block and
// its attachments again at once.
func TestLostEtcd(t *testing.T) {
	t.Parallel()
	server := testnet.StartEtcd(t, 1)[0]
	m := newTestMember(t, "a", specs.ClusterConfig{Etcd: []string{server.URL}})
	m.owns("192.0.2.64/29")
	m.update(func(tx *state.Tx) error {
		return tx.Put(&state.Attachment{Cookie: 1, Interface: "net1", Network: "lan", Containers: []string{"web"},
			Slot: 1, Phase: specs.PhaseAttached})
	})
	waitForKey(t, server, "/berth/v1/row/")
	server.Kill()
	if err := os.RemoveAll(server.Dir); err != nil {
		t.Fatal(err)
	}
	server.Start(t, server.URL)
	waitForKey(t, server, "/berth/v1/domain/lan-hq/block/192.0.2.64")
	waitForKey(t, server, "/berth/v1/row/")
	m.owns("192.0.2.64/29")
}

// waitForKey waits until etcd has a key that begins with a text.
func waitForKey(t *testing.T, server *testnet.Etcd, prefix string) {
	t.Helper()
	client := openClient(t, server.URL)
	testnet.Eventually(t, "etcd has "+prefix, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), askWithin)
		defer cancel()
		r, err := client.Get(ctx, prefix, clientv3.WithPrefix())
		return err == nil && len(r.Kvs) > 0
	})
}
