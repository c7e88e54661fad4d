package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	oci "github.com/opencontainers/runtime-spec/specs-go"

	"berth/agent/client"
	"berth/internal/state"
	"berth/internal/testnet"
	"berth/specs"
)

// runHook is the environment variable that makes the test binary run as berth-hook.
const runHook = "BERTHD_HOOK"

// clusterNode is a machine with a state directory of its own.
type clusterNode struct {
	*lab
	name  string
	on    *clusterLAN
	agent *agent
	made  int
}

const clusterNetwork = `parent = "PARENT"
ipam = "cluster"
domain = "lan-hq"
conflict_timeout = "0s"
[[subnet]]
subnet = "192.0.2.0/24"
ip_range = "192.0.2.64/26"
`

// newNode starts a node on both bridges. Each network's file is given by its name; PARENT in it is
// the parent on the first bridge, and PARENTx that on the second.
func (c *clusterLAN) newNode(name, parent string, host int, networks map[string]string) *clusterNode {
	c.t.Helper()
	dir, err := os.MkdirTemp("/run", "node")
	mustSucceed(c.t, err)
	l := &lab{t: c.t, host: testnet.Namespace(c.t), lan: c.lan}
	l.config, l.state = filepath.Join(dir, "config"), filepath.Join(dir, "state")
	l.bpffs = filepath.Join("/sys/fs/bpf", filepath.Base(dir))
	l.store, l.client = state.Open(l.state), client.New(l.state)
	c.t.Cleanup(func() {
		if err := errors.Join(os.RemoveAll(l.bpffs), os.RemoveAll(dir)); err != nil {
			c.t.Error(err)
		}
	})
	for i, port := range []string{name, name + "1"} {
		testnet.Veth(c.t, parent+strings.Repeat("x", i), l.host, port, c.lan)
		testnet.Run(c.t, c.lan, "ip", "link", "set", "dev", port, "master", fmt.Sprint("br", i), "up")
	}
	testnet.Address(c.t, l.host, parent, fmt.Sprintf("192.0.2.%d/24", host))
	for network, text := range networks {
		l.writeNetwork(network, strings.ReplaceAll(text, "PARENT", parent))
	}
	text := fmt.Sprintf("[cluster]\netcd = [\"%s\"]\nnode = %q\ndirectory = %q\n", strings.Join(c.urls, `", "`), name,
		filepath.Join(dir, "lib"))
	mustSucceed(c.t, os.WriteFile(filepath.Join(l.config, "berth.toml"), []byte(text), 0o644))
	n := &clusterNode{lab: l, name: name, on: c}
	n.agent = n.startAgent()
	return n
}

// clusterContainer is a container on a node, at the time of its hook.
type clusterContainer struct {
	ns      *testnet.NS
	state   oci.State
	process *os.Process
	address netip.Addr // once it has started
	mac     specs.MAC
}

// runHook starts or stops a container by the hook.
func (n *clusterNode) runHook(c *clusterContainer, status oci.ContainerState) error {
	cmd, said := n.hookCommand(c, status)
	var err error
	testnet.In(n.t, n.host, func() { err = cmd.Start() })
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return fmt.Errorf("%w: %s", err, said.String())
	}
	return nil
}

// hookCommand returns the hook of a container, and its standard error.
func (n *clusterNode) hookCommand(c *clusterContainer, status oci.ContainerState) (*exec.Cmd, *bytes.Buffer) {
	c.state.Status = status
	text, err := json.Marshal(c.state)
	mustSucceed(n.t, err)
	cmd := exec.Command("/proc/self/exe", n.config, n.state, n.bpffs)
	cmd.Env = append(os.Environ(), runHook+"=1")
	said := new(bytes.Buffer)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(text), said
	return cmd, said
}

// newContainer makes a container that has not been started, with a name of its own.
func (n *clusterNode) newContainer(network string) *clusterContainer {
	n.t.Helper()
	n.on.mu.Lock()
	n.made++
	id := fmt.Sprintf("%s-%d", n.name, n.made)
	n.on.mu.Unlock()
	return n.newNamed(id, network)
}

// newNamed makes a container with a name.
func (n *clusterNode) newNamed(id, network string) *clusterContainer {
	n.t.Helper()
	ns := testnet.Namespace(n.t)
	c := &clusterContainer{ns: ns, process: testnet.Process(n.t, ns)}
	c.state = oci.State{Version: "1.0.2", ID: id, Pid: c.process.Pid, Bundle: "/",
		Annotations: map[string]string{"berth/networks": network}}
	return c
}

// start starts a container on a network and returns its address. It fails the test if another
// node has the address or the MAC.
func (n *clusterNode) start(network string) (*clusterContainer, netip.Addr, error) {
	n.t.Helper()
	return n.startContainer(n.newContainer(network))
}

// startContainer is start for a container that was made.
func (n *clusterNode) startContainer(c *clusterContainer) (*clusterContainer, netip.Addr, error) {
	n.t.Helper()
	if err := n.runHook(c, oci.StateCreating); err != nil {
		return nil, netip.Addr{}, err
	}
	var a netip.Addr
	err := n.store.View(n.t.Context(), func(tx *state.Tx) error {
		all, err := tx.OfContainer(c.state.ID)
		if err != nil || len(all) != 1 || len(all[0].Addresses) != 1 {
			return fmt.Errorf("records %+v: %w", all, err)
		}
		a = all[0].Addresses[0].Addr()
		c.address, c.mac = a, all[0].MAC
		n.on.lease(n.name, a, c.mac)
		return nil
	})
	return c, a, err
}

func (c *clusterLAN) lease(node string, a netip.Addr, mac specs.MAC) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if other := cmp.Or(c.seen[a], c.macs[mac]); other != "" {
		c.t.Errorf("%s leases %s with MAC %s, one of which %s has", node, a, mac, other)
	}
	c.seen[a], c.macs[mac] = node, node
}

// release notes that a container has ended, so its address and MAC are free.
func (c *clusterLAN) release(of *clusterContainer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.seen, of.address)
	delete(c.macs, of.mac)
}

// startOne starts a container that needs no other condition than time.
func (n *clusterNode) startOne(network string) (c *clusterContainer, a netip.Addr, err error) {
	n.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; {
		c, a, err = n.start(network)
		if err == nil || !strings.Contains(err.Error(), "this node") || time.Now().After(deadline) {
			return c, a, err
		}
	}
}

// mustStartOne is startOne for a test that needs the container.
func (n *clusterNode) mustStartOne(network string) (*clusterContainer, netip.Addr) {
	n.t.Helper()
	c, a, err := n.startOne(network)
	mustSucceed(n.t, err)
	return c, a
}

// end ends a container, as its engine does.
func (n *clusterNode) end(c *clusterContainer) {
	n.t.Helper()
	c.lose()
	defer n.on.release(c)
	if err := n.runHook(c, oci.StateStopped); err != nil {
		n.t.Errorf("node %s: the end of a container: %v", n.name, err)
	}
}

// clusterIs waits until a node sees the cluster in a state.
func (n *clusterNode) clusterIs(what string, holds func(specs.ClusterStatus) bool) {
	n.t.Helper()
	var last specs.ClusterStatus
	defer func() {
		if n.t.Failed() {
			n.t.Logf("%s: the cluster is %+v", what, last)
		}
	}()
	testnet.Eventually(n.t, what, func() bool {
		s, err := n.client.Cluster(n.t.Context())
		last = s
		return err == nil && holds(s)
	})
}

// freeHere returns the number of addresses that the node has without etcd. A signal stops etcd
// some time after it is sent.
func (n *clusterNode) freeHere() (free int) {
	n.t.Helper()
	n.clusterIs("a node without etcd", func(s specs.ClusterStatus) bool {
		if s.Error == "" || len(s.Pools) != 1 {
			return false
		}
		free = s.Pools[0].FreeHere
		return true
	})
	return free
}

// reboot ends the agent and all containers, and removes what does not outlive a reboot.
func (n *clusterNode) reboot() {
	n.t.Helper()
	n.agent.stopAgent(syscall.SIGKILL)
	n.on.mu.Lock()
	maps.DeleteFunc(n.on.seen, func(_ netip.Addr, node string) bool { return node == n.name })
	maps.DeleteFunc(n.on.macs, func(_ specs.MAC, node string) bool { return node == n.name })
	n.on.mu.Unlock()
	mustSucceed(n.t, os.RemoveAll(n.state))
	mustSucceed(n.t, os.RemoveAll(n.bpffs))
	n.agent = n.startAgent()
}
