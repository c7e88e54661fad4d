package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	oci "github.com/opencontainers/runtime-spec/specs-go"

	"berth/internal/state"
	"berth/internal/testnet"
	"berth/specs"
)

var (
	faultSeed  = flag.Uint64("fault-seed", 0, "seed of TestClusterFaults and TestPartitions; 0 for a random one")
	faultSteps = flag.Int("fault-steps", 16, "steps of TestClusterFaults, and half of those of TestPartitions")
)

// faultNetwork has few blocks, which go back soon.
const faultNetwork = `parent = "PARENT"
ipam = "cluster"
domain = "lan-hq"
block = 4
keep_free = 2
reclaim_after = "1m"
conflict_timeout = "0s"
[[subnet]]
subnet = "192.0.2.0/24"
ip_range = "192.0.2.64/27"
`

// faults is a cluster in which everything fails at random.
type faults struct {
	*clusterLAN
	r       *rand.Rand
	nodes   []*clusterNode
	running map[*clusterNode][]*clusterContainer
	down    map[*clusterNode]bool // its berthd was killed
	cut     map[*clusterNode]string
	backup  string // a copy of etcd's data
	done    map[string]int
}

// TestClusterFaults starts and stops containers by the hook on three nodes, in parallel, while
// requests or answers of etcd are lost, berthd, the hook and etcd are killed at any time, nodes
// reboot, clocks jump by hours, and etcd is restored from a backup. After each step no address or
// MAC is on two nodes. At the end, without faults, each node starts a container.
func TestClusterFaults(t *testing.T) {
	t.Parallel()
	f := newFaults(newClusterLAN(t), 3)
	for step := range *faultSteps {
		if step == *faultSteps/2 {
			f.restore()
		}
		f.act(slices.Concat(f.ofNodes(), f.ofEtcd()))
		f.mustBeUnique()
	}
	f.endFaults()
	f.mustAllStart()
}

// newFaults starts a number of nodes. Their pool has room for two blocks of each.
func newFaults(c *clusterLAN, nodes int) *faults {
	c.t.Helper()
	seed := *faultSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	c.t.Logf("repeat this order of steps: -fault-seed %d -fault-steps %d", seed, *faultSteps)
	f := &faults{clusterLAN: c, r: rand.New(rand.NewPCG(seed, 15)), backup: c.t.TempDir(),
		running: map[*clusterNode][]*clusterContainer{}, down: map[*clusterNode]bool{}, cut: map[*clusterNode]string{},
		done: map[string]int{}}
	network := faultNetwork
	if nodes > 4 {
		network = strings.Replace(network, "192.0.2.64/27", "192.0.2.64/26", 1)
	}
	for i := range nodes {
		f.nodes = append(f.nodes, f.newNode(string(rune('a'+i)), parent, 2+i, map[string]string{"lan": network}))
	}
	return f
}

// mustAllStart starts a container on each node, without faults.
func (f *faults) mustAllStart() {
	f.t.Helper()
	for _, n := range f.nodes {
		f.stopOne(n)
		c, _ := n.mustStartOne("lan")
		f.running[n] = append(f.running[n], c)
	}
	f.mustBeUnique()
	f.t.Logf("steps: %v", f.done)
}

// fault is a random part of a step.
type fault struct {
	name  string
	share int // of 100 steps
	do    func(*clusterNode)
}

// act does one random step.
func (f *faults) act(all []fault) {
	n := f.nodes[f.r.IntN(len(f.nodes))]
	for _, a := range all {
		if f.r.IntN(100) < a.share {
			a.do(n)
			f.done[a.name]++
		}
	}
}

// ofNodes are faults of the nodes, among starts of containers.
func (f *faults) ofNodes() []fault {
	return []fault{
		{"start containers", 40, func(*clusterNode) { f.startAll() }},
		{"stop a container", 20, f.stopOne},
		{"kill a hook", 10, f.killHook},
		{"kill or start berthd", 12, f.toggleAgent},
		{"move a clock", 10, f.jump},
		{"reboot", 4, f.rebootNode},
	}
}

// ofEtcd are faults of a single member of etcd, and of its clients' routes.
func (f *faults) ofEtcd() []fault {
	return []fault{
		{"lose requests or answers", 12, f.toggleCut},
		{"pause etcd", 4, f.pauseOnce},
		{"kill etcd", 4, func(*clusterNode) { f.killEtcd(); f.startEtcd() }},
	}
}

// startAll starts a container on each node at the same time. A start may fail for want of a block.
func (f *faults) startAll() {
	type result struct {
		n   *clusterNode
		c   *clusterContainer
		err error
	}
	results := make(chan result)
	for _, n := range f.nodes {
		c := n.newContainer("lan")
		go func() { results <- result{n, c, n.runHook(c, oci.StateCreating)} }()
	}
	for range f.nodes {
		r := <-results
		switch {
		case r.err == nil:
			f.running[r.n] = append(f.running[r.n], r.c)
			f.done["a container started"]++
		case !strings.Contains(r.err.Error(), "domain"):
			f.t.Errorf("node %s: %v", r.n.name, r.err)
		default:
			r.n.end(r.c)
		}
	}
}

func (f *faults) stopOne(n *clusterNode) {
	all := f.running[n]
	if len(all) == 0 {
		return
	}
	i := f.r.IntN(len(all))
	n.end(all[i])
	f.running[n] = slices.Delete(all, i, i+1)
}

// killHook kills the hook of a start at a random time.
func (f *faults) killHook(n *clusterNode) {
	c := n.newContainer("lan")
	cmd, _ := n.hookCommand(c, oci.StateCreating)
	testnet.In(f.t, n.host, func() { mustSucceed(f.t, cmd.Start()) })
	kill := time.AfterFunc(time.Duration(f.r.IntN(60))*time.Millisecond, func() { _ = cmd.Process.Kill() })
	_ = cmd.Wait()
	kill.Stop()
	n.end(c)
}

func (f *faults) toggleAgent(n *clusterNode) {
	if f.down[n] = !f.down[n]; f.down[n] {
		n.agent.stopAgent(syscall.SIGKILL)
		return
	}
	n.agent = n.startAgent()
}

// toggleCut begins or ends the loss of a node's requests to etcd, or of etcd's answers.
func (f *faults) toggleCut(n *clusterNode) {
	if at := f.cut[n]; at != "" {
		f.route("del", n, at)
		delete(f.cut, n)
		return
	}
	f.cut[n] = []string{"requests", "answers"}[f.r.IntN(2)]
	f.route("add", n, f.cut[n])
}

func (f *faults) route(verb string, n *clusterNode, lost string) {
	if lost == "requests" {
		testnet.Run(f.t, n.host, "ip", "route", verb, "blackhole", "192.0.2.250/32")
		return
	}
	testnet.Run(f.t, f.lan, "ip", "route", verb, "blackhole", fmt.Sprintf("192.0.2.%d/32", 2+slices.Index(f.nodes, n)))
}

// jump moves the clock of a node's berthd by hours: idle blocks go back, and may be reclaimed.
func (f *faults) jump(n *clusterNode) {
	if !f.down[n] {
		mustSucceed(f.t, moveClock(n.agent.cmd))
		n.agent.wake()
	}
}

// wake makes berthd look at its files.
func (a *agent) wake() {
	_ = a.store.Update(context.Background(), func(*state.Tx) error { return nil })
}

// pauseOnce stops etcd for the time of some starts.
func (f *faults) pauseOnce(*clusterNode) {
	f.pauseEtcd(syscall.SIGSTOP)
	f.startAll()
	f.pauseEtcd(syscall.SIGCONT)
}

func (f *faults) killEtcd() {
	_ = f.etcd.Process.Kill()
	_ = f.etcd.Wait()
}

func (f *faults) rebootNode(n *clusterNode) {
	for _, c := range f.running[n] {
		c.lose()
	}
	delete(f.running, n)
	if f.down[n] {
		n.agent = n.startAgent()
		f.down[n] = false
	}
	n.reboot()
}

// endFaults lets all nodes reach etcd again.
func (f *faults) endFaults() {
	for _, n := range f.nodes {
		if f.down[n] {
			f.toggleAgent(n)
		}
		if f.cut[n] != "" {
			f.toggleCut(n)
		}
	}
	f.allSee("a cluster without faults", "")
}

// allSee waits until each node reaches etcd, and its pool has an error with a text, or none.
func (f *faults) allSee(what, text string) {
	f.t.Helper()
	for _, n := range f.nodes {
		n.clusterIs(what, func(s specs.ClusterStatus) bool {
			if s.Error != "" || len(s.Pools) != 1 {
				return false
			}
			full := strings.Contains(s.Pools[0].Error, "every block")
			return full || strings.Contains(s.Pools[0].Error, text) && (text == "") == (s.Pools[0].Error == "")
		})
	}
}

// mustBeUnique fails the test if two nodes have an address or a MAC in their databases.
func (f *faults) mustBeUnique() {
	f.t.Helper()
	addresses, macs := map[netip.Addr]string{}, map[specs.MAC]string{}
	for _, n := range f.nodes {
		err := n.store.View(f.t.Context(), func(tx *state.Tx) error {
			for a, err := range tx.Live("") {
				if err != nil {
					return err
				}
				for _, p := range a.Addresses {
					if other := addresses[p.Addr()]; other != "" {
						f.t.Errorf("nodes %s and %s both have %s", other, n.name, p.Addr())
					}
					addresses[p.Addr()] = n.name
				}
				if other := macs[a.MAC]; other != "" {
					f.t.Errorf("nodes %s and %s both have %s", other, n.name, a.MAC)
				}
				macs[a.MAC] = n.name
			}
			return nil
		})
		mustSucceed(f.t, err)
	}
	if f.t.Failed() {
		f.t.FailNow()
	}
}
