package pools

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"berth/internal/testnet"
	"berth/specs"
)

// TestThreeMembers runs two nodes on a cluster of three members. With two members the nodes go on as
// before, also if those are not the ones to which they were connected. With one, each keeps its
// block and reports the reason. When the others are back, and the first survivor is cut off with its
// connections open, a block moves from one node to the other.
func TestThreeMembers(t *testing.T) {
	t.Parallel()
	members := testnet.StartEtcd(t, 3)
	c := specs.ClusterConfig{Etcd: testnet.EtcdURLs(members)}
	a := newTestMember(t, "a", c)
	a.owns("192.0.2.64/29")
	members[0].Kill()
	b := newTestMember(t, "b", c)
	b.problem("every block of domain")
	members[1].Kill()
	a.failing()
	b.failing()
	a.owns("192.0.2.64/29")
	for _, m := range members[:2] {
		m.Start(t, m.URL)
	}
	testnet.Eventually(t, "the nodes reach the majority again", func() bool { return !a.failed() && !b.failed() })
	members[2].Signal(t, syscall.SIGSTOP)
	if err := os.Remove(filepath.Join(a.dir, "networks.d", "lan.toml")); err != nil {
		t.Fatal(err)
	}
	a.Wake()
	b.owns("192.0.2.64/29")
}
