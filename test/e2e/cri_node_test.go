//go:build engines

package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"berth/specs"
	"berth/test/lab"
)

// podLAN is the network lan for pods, whose default route is the cluster's.
const podLAN = "default_route = false\n" + lanNetwork

// A node is a site with containerd or CRI-O as Kubernetes uses it, driven by
// crictl.
type node struct {
	*site
	cri    *lab.CRI
	before snapshot
}

// newNode returns a node that has run a pod, so the bridge of pods exists.
func newNode(t *testing.T) *node {
	t.Helper()
	n := &node{site: newSite(t)}
	must(t, n.Network("lan", podLAN))
	n.agent(t)
	n.serveRuntime(t, "")
	n.takeBaseline(t)
	return n
}

// serveRuntime starts the runtime for the rest of the test: CRI-O if it is on PATH,
// else containerd. settings are further tables of its configuration.
func (n *node) serveRuntime(t *testing.T, settings string) {
	t.Helper()
	n.cri = &lab.CRI{Server: &lab.ContainerdCRI{Containerd: lab.Containerd{Host: n.Host, Rootfs: rootfs}, Settings: settings}}
	if hasCRIO() {
		n.cri.Server = &lab.CRIO{Host: n.Host, Rootfs: rootfs, Settings: settings}
	}
	serveDaemon(t, n.cri)
}

// restartRuntime stops the runtime and starts it again.
func (n *node) restartRuntime(t *testing.T) {
	t.Helper()
	must(t, n.cri.StopDaemon())
	must(t, n.cri.StartDaemon())
}

// takeBaseline runs a pod without annotations, waits until the bridge of pods is
// down again, and takes the snapshot.
func (n *node) takeBaseline(t *testing.T) {
	t.Helper()
	n.runUnattached(t)
	must(t, lab.Eventually(time.Minute, func() error {
		out, err := n.Run("ip", "-o", "link", "show", "pods0")
		if err == nil && !strings.Contains(out, "state DOWN") {
			err = fmt.Errorf("the bridge of pods is still %s", out)
		}
		return err
	}))
	n.before = n.snapshot(t)
}

// runUnattached runs a pod without annotations and checks that berth ignores it.
func (n *node) runUnattached(t *testing.T) {
	t.Helper()
	c := n.sleeper("plain")
	c.Annotations = nil
	_, err := n.cri.Start(c)
	must(t, err)
	links, err := n.cri.Exec(c.ID, "ip", "-o", "link")
	if err != nil || strings.Count(links, "\n") != 1 || !strings.Contains(links, "eth0") { // of lo and eth0
		t.Errorf("a pod without annotations has %s, %v, want lo and eth0", links, err)
	}
	must(t, n.cri.Stop(c.ID))
}

// startPlugin starts berth-nri, and waits until the runtime has connected it.
func (n *node) startPlugin(t *testing.T) *lab.Daemon {
	t.Helper()
	was := n.cri.Plugged()
	d, err := n.cri.StartNRI()
	must(t, err)
	n.waitPlugged(t, was, d)
	return d
}

// waitPlugged waits until containerd has connected a plugin once more than before.
func (n *node) waitPlugged(t *testing.T, was int, d *lab.Daemon) {
	t.Helper()
	must(t, lab.Eventually(30*time.Second, func() error {
		if n.cri.Plugged() > was {
			return nil
		}
		log, _ := os.ReadFile(d.Log) // if it cannot be read, the error suffices
		return fmt.Errorf("berth-nri is not connected: %s", log)
	}))
}

// stopDaemon stops a daemon and checks that it ends without an error.
func stopDaemon(t *testing.T, d *lab.Daemon) {
	t.Helper()
	if err := d.Stop(); err != nil {
		t.Error(err)
	}
}

// startAttached starts a pod and checks its interface, its counts and berth ps.
func (n *node) startAttached(t *testing.T, name, address string) (lab.Container, specs.Endpoint) {
	t.Helper()
	c := n.sleeper(name)
	id, err := n.cri.Start(c)
	must(t, err)
	return c, n.expectWhole(t, n.cri, c.ID, id, address)
}

// startUnattached starts a pod and checks that it runs without berth's interface.
func (n *node) startUnattached(t *testing.T, name string) {
	t.Helper()
	links, err := n.cri.Exec(name, "ip", "-o", "link")
	if err != nil || strings.Contains(links, "net1") {
		t.Errorf("pod %s has %s, %v, want no net1", name, links, err)
	}
}

// stopPods stops pods and checks that nothing of them is left.
func (n *node) stopPods(t *testing.T, all ...lab.Container) {
	t.Helper()
	for _, c := range all {
		must(t, n.cri.Stop(c.ID))
	}
	n.expectNothingLeft(t, n.before)
}
