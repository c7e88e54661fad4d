package cli

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"berth/specs"
)

func clusterFixture() specs.ClusterStatus {
	id := strings.Repeat("0a", 16)
	web := specs.ClusterAttachment{Node: "rack1", Container: "web", Name: "web", Network: "lan", Domain: "lan-hq", Interface: "net1",
		MAC: mustMAC("02:13:c1:4c:5e:a9"), Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.72")}}
	other := web
	other.Node, other.Network, other.Observed, other.Conflicts = "rack2", "", true, []string{"192.0.2.72"}
	return specs.ClusterStatus{Node: "rack1", ID: id, Invalid: []string{"key \x1b[31m is invalid"},
		Nodes: []specs.ClusterNode{{Name: "rack1", ID: id, This: true, Present: true, Since: clock.Add(-73 * time.Hour), Blocks: 2, Size: 16, Used: 11},
			{Name: "rack2", ID: strings.Repeat("0b", 16), Since: clock.Add(-2 * time.Hour), Blocks: 1, Size: 8, Used: 1}},
		Pools: []specs.ClusterPool{{Domain: "lan-hq", Subnet: "192.0.2.0/24", Range: "192.0.2.64/26", Block: 8, Blocks: 8, Claimed: 3,
			Used: 12, Here: 2, FreeHere: 5, Error: "etcd has not answered since 12:00:00"}},
		Attachments: []specs.ClusterAttachment{web, other}}
}

// TestClusterTables compares the tables of nodes, attachments and pools, which escape foreign
// text, and their JSON.
func TestClusterTables(t *testing.T) {
	w := newWorld(t)
	w.startAgent(&backend{cluster: clusterFixture()})
	for args, want := range map[string]string{
		"nodes --wide": `
NODE   STATE              UP  BLOCKS  ADDRESSES  FREE  ID
rack1  present, this one  3d  2       16         5     0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a
rack2  absent             2h  1       8          7     0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b
`,
		"ps": `
NODE   CONTAINER  NAME  NETWORK   INTERFACE  ADDRESS     MAC
rack1  web        web   lan       net1       192.0.2.72  02:13:c1:4c:5e:a9
rack2  web        web   observed  net1       192.0.2.72  02:13:c1:4c:5e:a9
  another node has 192.0.2.72 too
`,
		"pools": `
DOMAIN  RANGE          BLOCKS  OWNED  IDLE  USED  HERE  FREE HERE
lan-hq  192.0.2.64/26  8 of 8  3      0     12    2     5
  etcd has not answered since 12:00:00
`,
		"nodes -q": "\nrack1\nrack2\n", "ps -q": "\nweb\nweb\n", "pools -q": "\nlan-hq\n",
	} {
		if got := w.mustRun(append([]string{"cluster"}, strings.Fields(args)...)...); got != want[1:] {
			t.Errorf("%s:\n%s\nwant:\n%s", args, got, want[1:])
		}
	}
	for _, list := range []string{"nodes", "ps", "pools"} {
		if got := w.mustRun("cluster", list, "--json"); !strings.HasPrefix(got, "[\n") {
			t.Errorf("%s --json: %s", list, got)
		}
	}
}

// TestClusterForget passes the node to the agent and shows a refusal.
func TestClusterForget(t *testing.T) {
	w := newWorld(t)
	b := &backend{}
	w.startAgent(b)
	if got := w.mustRun("cluster", "forget", "rack2"); !strings.HasPrefix(got, "forgotten; 1 blocks") || b.asked[0] != "forget rack2" {
		t.Errorf("%q, asked %q", got, b.asked)
	}
	if got := w.mustRun("cluster", "forget", "rack2", "--json"); !strings.Contains(got, "domain/lan-hq/block/192.0.2.64") {
		t.Errorf("--json: %s", got)
	}
}
