package pools

import (
	"context"
	"fmt"
	"os"
	"testing"

	"berth/internal/testnet"
	"berth/specs"
)

// TestLostEtcd replaces etcd by an empty one. A node notices the new connection and writes its block
// again at once.
func TestLostEtcd(t *testing.T) {
	t.Parallel()
	server := testnet.StartEtcd(t, 1)[0]
	m := newTestMember(t, "a", specs.ClusterConfig{Etcd: []string{server.URL}})
	m.owns("192.0.2.64/29")
	server.Kill()
	if err := os.RemoveAll(server.Dir); err != nil {
		t.Fatal(err)
	}
	server.Start(t, server.URL)
	client := openClient(t, server.URL)
	request := func(do func(ctx context.Context) error) bool {
		ctx, cancel := context.WithTimeout(t.Context(), askWithin)
		defer cancel()
		return do(ctx) == nil
	}
	testnet.Eventually(t, "the block is in etcd again", func() bool {
		return request(func(ctx context.Context) error {
			r, err := client.Get(ctx, "/berth/v1/domain/lan-hq/block/192.0.2.64")
			if err == nil && len(r.Kvs) == 0 {
				err = fmt.Errorf("it is not there")
			}
			return err
		})
	})
	m.owns("192.0.2.64/29")
}
