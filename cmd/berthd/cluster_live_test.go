package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"berth/hook"
	"berth/internal/config"
	"berth/internal/state"
	"berth/internal/testnet"
	"berth/specs"
)

// hookOnce runs the hook with the state on standard input.
func hookOnce(args []string) int {
	h := hook.Hook{Dirs: config.Dirs{Config: args[0], State: args[1], BPFFS: args[2]}, Store: state.Open(args[1]),
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := h.Run(ctx, "", os.Stdin); err != nil {
		fmt.Fprint(os.Stderr, err)
		return 1
	}
	return 0
}

const etcdURL = "http://192.0.2.250:2379"

// clusterLAN is two bridges with nodes, and a server of etcd on the first.
type clusterLAN struct {
	t    *testing.T
	lan  *testnet.NS
	urls []string // of the members of etcd
	etcd *exec.Cmd
	data string                // of etcd
	seen map[netip.Addr]string // by which node an address was leased
	macs map[specs.MAC]string
	mu   sync.Mutex
}

func newClusterLAN(t *testing.T) *clusterLAN {
	t.Helper()
	c := newBareLAN(t, etcdURL)
	c.data = filepath.Join(t.TempDir(), "etcd")
	testnet.Address(t, c.lan, "br0", "192.0.2.250/24")
	c.startEtcd()
	return c
}

// newBareLAN is newClusterLAN without etcd.
func newBareLAN(t *testing.T, urls ...string) *clusterLAN {
	t.Helper()
	c := &clusterLAN{t: t, lan: testnet.Namespace(t), urls: urls, seen: map[netip.Addr]string{}, macs: map[specs.MAC]string{}}
	testnet.Bridge(t, c.lan, "br0")
	testnet.Bridge(t, c.lan, "br1")
	return c
}

func (c *clusterLAN) startEtcd() {
	c.t.Helper()
	c.etcd = exec.Command(testnet.Program(c.t, "etcd"), "--data-dir", c.data, "--log-level", "error", "--unsafe-no-fsync",
		"--listen-peer-urls", "http://127.0.0.1:0", "--listen-client-urls", etcdURL, "--advertise-client-urls", etcdURL)
	var log testnet.Output
	c.etcd.Stdout, c.etcd.Stderr = &log, &log
	c.etcd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	testnet.In(c.t, c.lan, func() {
		if err := c.etcd.Start(); err != nil {
			c.t.Fatal(err)
		}
	})
	process := c.etcd
	c.t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait()
		if c.t.Failed() {
			c.t.Logf("etcd said:\n%.3000s", log.String())
		}
	})
}

func (c *clusterLAN) pauseEtcd(sig syscall.Signal) {
	c.t.Helper()
	mustSucceed(c.t, c.etcd.Process.Signal(sig))
}

// TestTwoNodes starts containers on two nodes at the same time, through the hook and berthd: no
// address or MAC is on both. A node without etcd goes on with its blocks, also after a reboot.
// A node that was stopped is forgotten, and the other gets its blocks.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	lan, networks := newClusterLAN(t), map[string]string{"lan": clusterNetwork}
	a, b := lan.newNode("a", parent, 2, networks), lan.newNode("b", parent, 3, networks)
	var all sync.WaitGroup
	for _, n := range []*clusterNode{a, b} {
		all.Go(func() {
			for range 12 {
				if _, _, err := n.startOne("lan"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	a.clusterIs("24 attachments of two nodes", func(s specs.ClusterStatus) bool {
		return len(s.Attachments) == 24 && len(s.Nodes) == 2 && len(s.Pools) == 1 && s.Nodes[0].Present && s.Nodes[1].Present &&
			s.Nodes[0].Used == 12 && s.Nodes[1].Used == 12 && s.Pools[0].Used == 24 && s.Nodes[0].This &&
			s.Error == ""
	})

	lan.pauseEtcd(syscall.SIGSTOP)
	for range a.freeHere() {
		a.mustStartOne("lan")
	}
	if _, _, err := a.start("lan"); err == nil || !strings.Contains(err.Error(), `this node has of domain "lan-hq" are held`) {
		t.Errorf("a start without etcd and a free address: %v", err)
	}
	b.reboot()
	b.mustStartOne("lan")
	lan.pauseEtcd(syscall.SIGCONT)
	a.mustStartOne("lan")
	b.mustStartOne("lan")

	a.clusterIs("two present nodes", func(s specs.ClusterStatus) bool {
		return len(s.Nodes) == 2 && s.Nodes[0].Present && s.Nodes[1].Present
	})
	if _, err := a.client.Forget(t.Context(), "b"); err == nil || !strings.Contains(err.Error(), "present") {
		t.Errorf("forgetting a present node: %v", err)
	}
	b.agent.stopAgent(syscall.SIGTERM)
	a.clusterIs("an absent node", func(s specs.ClusterStatus) bool { return len(s.Nodes) == 2 && !s.Nodes[1].Present })
	released, err := a.client.Forget(t.Context(), "b")
	if err != nil || len(released) == 0 {
		t.Errorf("forgetting an absent node: %v, %v", released, err)
	}
	a.clusterIs("one node", func(s specs.ClusterStatus) bool { return len(s.Nodes) == 1 })
}

const officeNetwork = `ipam = "cluster"
domain = %q
parent = %q
[[subnet]]
subnet = "198.51.100.0/24"
`

// TestTwoLANs is the walk-through of docs/cluster.md, with two LANs in place of VLANs: two nodes
// whose parents have different names, and two networks with one subnet, of which no file divides
// the range. Containers of the two nodes have different addresses, and reach each other.
func TestTwoLANs(t *testing.T) {
	t.Parallel()
	lan, networks := newClusterLAN(t), map[string]string{
		"office": fmt.Sprintf(officeNetwork, "office", "PARENT"), "voice": fmt.Sprintf(officeNetwork, "voice", "PARENTx"),
	}
	a, b := lan.newNode("a", "eth1", 2, networks), lan.newNode("b", "enp3s0", 3, networks)
	for _, network := range []string{"office", "voice"} {
		clear(lan.seen) // the LANs may have the same addresses
		for range 3 {
			at, _ := a.mustStartOne(network)
			_, other := b.mustStartOne(network)
			testnet.Run(t, at.ns, "ping", "-c", "1", "-W", "60", other.String())
		}
	}
	a.clusterIs("two pools of two nodes", func(s specs.ClusterStatus) bool {
		return len(s.Pools) == 2 && len(s.Attachments) == 12 && len(s.Nodes) == 2 && s.Nodes[0].Used == 6 && s.Nodes[1].Used == 6
	})
	office := fmt.Sprintf(officeNetwork, "office", "enp3s0")
	b.writeNetwork("office", office+"ip_range = \"198.51.100.128/25\"\n")
	b.clusterIs("the difference of the pools", func(s specs.ClusterStatus) bool {
		return len(s.Pools) == 2 && strings.Contains(s.Pools[0].Error, `ip_range is "198.51.100.0/24" there and "198.51.100.128/25" here`)
	})
}
