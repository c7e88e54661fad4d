//go:build engines

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
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
	must(t, lab.Eventually(10*time.Second, func() error {
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

// TestCRIPods starts and stops two pods, with berth-nri as a service.
func TestCRIPods(t *testing.T) {
	for _, form := range []string{"list", "json"} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			must(t, n.Policy(openPolicy))
			defer stopDaemon(t, n.startPlugin(t))
			startToEnd(t, n.site, n.cri, form)
			n.expectNothingLeft(t, n.before)
		})
	}
}

// TestCRIContainers checks the status annotation of a pod's containers, and that a
// replaced container keeps the pod's interface.
func TestCRIContainers(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	defer stopDaemon(t, n.startPlugin(t))
	c, shown := n.startAttached(t, "web", firstOfPool)
	text, err := n.cri.Inspect(c.ID)
	if err != nil || !strings.Contains(text, "k8s.v1.cni.cncf.io/network-status") || !strings.Contains(text, shown.MAC.String()) {
		t.Errorf("crictl inspect shows %s, %v, want a network status with MAC %s", text, err, shown.MAC)
	}
	if shown.Name != "" && !strings.Contains(shown.Name, c.ID) {
		t.Errorf("berth ps shows the name %q, want that of pod %s", shown.Name, c.ID)
	}
	must(t, n.cri.Restart(c.ID))
	after := n.expectWhole(t, n.cri, c.ID, shown.ContainerID, firstOfPool)
	if !after.Created.Equal(shown.Created) {
		t.Errorf("with a new container the attachment is of %s, and was of %s", after.Created, shown.Created)
	}
	n.stopPods(t, c)
	n.runUnattached(t)
}

// TestCRIRefusals checks that a refused pod fails with the reason and leaves
// nothing.
func TestCRIRefusals(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	must(t, n.Network("both", strings.ReplaceAll(lanNetwork, "192.0.2.", "203.0.113.")))
	must(t, n.Network("shop", strings.ReplaceAll("namespaces = [\"shop-*\"]\n"+podLAN, "192.0.2.", "198.18.0.")))
	defer stopDaemon(t, n.startPlugin(t))
	before := n.snapshot(t)
	for name, c := range map[string]struct {
		network, engine string
		want            []string
	}{
		"unknown":   {"lam", "", []string{"berth/networks[0]", `"lam"`, "lan"}},
		"default":   {"both", "", []string{"default"}},
		"namespace": {"shop", "", []string{"shop", "namespace", "default"}},
		"host":      {"lan", lab.HostNetwork, []string{"host", "network namespace"}},
	} {
		_, err := n.cri.StartPod(lab.Container{ID: n.id(name), Network: c.engine, Annotations: annotations{"berth/networks": c.network}})
		if err == nil {
			t.Errorf("%s: the pod started", name)
			must(t, n.cri.Stop(n.id(name)))
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(unquote(err.Error()), w) {
				t.Errorf("%s: the error lacks %q: %v", name, w, err)
			}
		}
	}
	must(t, n.cri.RemovePods())
	n.expectNothingLeft(t, before)
	n.runUnattached(t)
}

// TestCRINamespaces restricts a network to pods of some Kubernetes namespaces.
func TestCRINamespaces(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	must(t, n.Network("lan", "namespaces = [\"shop-*\"]\n"+podLAN))
	defer stopDaemon(t, n.startPlugin(t))
	n.cri.Namespace = "shop-prod"
	c, _ := n.startAttached(t, "web", firstOfPool)
	n.stopPods(t, c)
}

// TestCRIPodsAtOnce starts 20 pods at the same time, and stops them at the same time.
func TestCRIPodsAtOnce(t *testing.T) {
	n := newNode(t)
	defer stopDaemon(t, n.startPlugin(t))
	var all []lab.Container
	for i := range 20 {
		all = append(all, n.sleeper(fmt.Sprint("pod", i)))
	}
	atOnce(t, all, func(c lab.Container) error { _, err := n.cri.Start(c); return err })
	addresses := make(map[string]bool)
	for _, e := range n.ps(t) {
		if e.Phase != specs.PhaseAttached || len(e.Addresses) != 1 {
			t.Fatalf("berth ps shows %+v, want it attached with an address", e)
		}
		address := e.Addresses[0].Addr().String()
		addresses[address] = true
		n.expectReached(t, address)
	}
	if len(addresses) != len(all) {
		t.Errorf("%d pods have %d addresses: %v", len(all), len(addresses), addresses)
	}
	for _, e := range n.ps(t) {
		if !e.Counted || e.Counters.Receive.External.Unicast.Packets == 0 || len(e.Violations) != 0 {
			t.Errorf("berth ps shows %+v, want it counted, without violations", e)
		}
	}
	atOnce(t, all, func(c lab.Container) error { return n.cri.Stop(c.ID) })
	n.expectNothingLeft(t, n.before)
}

// atOnce calls do for all containers at the same time.
func atOnce(t *testing.T, all []lab.Container, do func(lab.Container) error) {
	t.Helper()
	var wait sync.WaitGroup
	for _, c := range all {
		wait.Go(func() {
			if err := do(c); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// TestCRIPluginKilled ends berth-nri by SIGKILL. Pods keep their interfaces; a
// sandbox that starts meanwhile is attached with its first container;
// a pod that ends meanwhile is released when the plugin is back.
func TestCRIPluginKilled(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	d := n.startPlugin(t)
	kept, shown := n.startAttached(t, "kept", firstOfPool)
	ended := n.sleeper("ended")
	_, err := n.cri.Start(ended)
	must(t, err)
	must(t, d.Kill())
	n.expectReached(t, firstOfPool)
	must(t, n.cri.Stop(ended.ID))

	missed, late := n.sleeper("missed"), n.sleeper("late")
	_, err = n.cri.Start(missed) // it starts without berth, because nothing requires the plugin
	must(t, err)
	n.startUnattached(t, missed.ID)
	lateID, err := n.cri.StartPod(late)
	must(t, err)

	d = n.startPlugin(t)
	defer stopDaemon(t, d)
	after := n.expectWhole(t, n.cri, kept.ID, shown.ContainerID, firstOfPool)
	if !after.Created.Equal(shown.Created) {
		t.Errorf("the attachment is of %s, and was of %s", after.Created, shown.Created)
	}
	must(t, n.cri.StartContainer(late))
	n.expectWhole(t, n.cri, late.ID, lateID, secondOfPool)
	n.startUnattached(t, missed.ID)
	if err := n.cri.StartContainer(missed); err == nil || !strings.Contains(err.Error(), "delete the pod") {
		t.Errorf("a further container of a pod that runs without berth: %v, want it refused", err)
	}
	n.stopPods(t, kept, late, missed)
}

// TestCRIPluginFrozen stops berth-nri by SIGSTOP: the runtime starts a pod without
// it, and the plugin reconnects when it continues.
func TestCRIPluginFrozen(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	d := n.startPlugin(t)
	defer stopDaemon(t, d)
	kept, shown := n.startAttached(t, "kept", firstOfPool)
	was := n.cri.Plugged()
	must(t, d.Freeze())
	late := n.sleeper("late")
	id, err := n.cri.StartPod(late)
	must(t, err)
	must(t, d.Thaw())
	n.waitPlugged(t, was, d)
	must(t, n.cri.StartContainer(late))
	n.expectWhole(t, n.cri, late.ID, id, secondOfPool)
	n.expectWhole(t, n.cri, kept.ID, shown.ContainerID, firstOfPool)
	n.stopPods(t, kept, late)
}

// TestCRITwoPlugins runs two instances of berth-nri, such as a service that was left
// beside a DaemonSet. Neither disturbs a pod or the other instance.
func TestCRITwoPlugins(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	defer stopDaemon(t, n.startPlugin(t))
	other := n.startPlugin(t)
	c, shown := n.startAttached(t, "web", firstOfPool)
	stopDaemon(t, other)
	must(t, n.cri.Restart(c.ID))
	n.expectWhole(t, n.cri, c.ID, shown.ContainerID, firstOfPool)
	n.stopPods(t, c)
}

// TestCRIPluginFirst starts berth-nri before containerd, as may happen at boot.
func TestCRIPluginFirst(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	must(t, n.cri.StopDaemon())
	was := n.cri.Plugged()
	d, err := n.cri.StartNRI()
	must(t, err)
	defer stopDaemon(t, d)
	must(t, n.cri.StartDaemon())
	n.waitPlugged(t, was, d)
	c, _ := n.startAttached(t, "web", firstOfPool)
	n.stopPods(t, c)
}

// TestCRIRuntimeRestarted ends the runtime, by SIGTERM and by SIGKILL, while pods
// run. The pods keep their interfaces and are released when they end, although
// containerd does not report the end of their sandboxes.
func TestCRIRuntimeRestarted(t *testing.T) {
	for name, end := range map[string]func(*lab.CRI) error{"stopped": (*lab.CRI).StopDaemon, "killed": (*lab.CRI).KillDaemon} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			d := n.startPlugin(t)
			defer stopDaemon(t, d)
			kept, shown := n.startAttached(t, "kept", firstOfPool)
			was := n.cri.Plugged()
			must(t, end(n.cri))
			n.expectReached(t, firstOfPool)
			must(t, n.cri.StartDaemon())
			n.waitPlugged(t, was, d)
			n.expectWhole(t, n.cri, kept.ID, shown.ContainerID, firstOfPool)
			fresh, _ := n.startAttached(t, "fresh", secondOfPool)
			must(t, n.cri.Stop(kept.ID))
			must(t, lab.Eventually(30*time.Second, func() error {
				if all := n.ps(t); len(all) != 1 {
					return fmt.Errorf("berth ps shows %+v, want one pod", all)
				}
				return nil
			}))
			n.stopPods(t, fresh)
			_, err := n.Berth("network", "rm", "lan")
			must(t, err)
		})
	}
}

// TestCRIHandler adds a runtime handler to the runtime's configuration by berth
// install, without NRI. berth uninstall restores the configuration.
func TestCRIHandler(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	config, err := os.ReadFile(n.cri.ConfigFile())
	must(t, err)
	_, err = n.Berth("install", "--engine", n.cri.Name(), "--engine-config", n.cri.ConfigFile())
	must(t, err)
	n.restartRuntime(t)
	n.runUnattached(t)
	n.cri.Handler = "berth"
	n.runUnattached(t)
	for _, shared := range []bool{false, true} {
		n.cri.SharedPID = shared
		n.runHandled(t, "handled")
	}
	refused := n.sleeper("refused")
	refused.Annotations = annotations{"berth/networks": "lam"}
	_, err = n.cri.Start(refused)
	n.expectRefused(t, err, "berth/networks[0]", `"lam"`, "lan")
	if hasCRIO() { // its file in hooks.d attaches the pods of other handlers
		n.cri.Handler = ""
		n.runHandled(t, "hooked")
	}

	_, err = n.Berth("uninstall", "--engine", n.cri.Name())
	must(t, err)
	if text, err := os.ReadFile(n.cri.ConfigFile()); err != nil || string(text) != string(config) {
		t.Errorf("uninstalled configuration is %s, %v, want %s", text, err, config)
	}
	n.restartRuntime(t)
	n.cri.Handler = ""
	c := n.sleeper("web")
	_, err = n.cri.Start(c)
	must(t, err)
	n.startUnattached(t, c.ID)
	n.stopPods(t, c)
}

// runHandled starts, restarts and stops a pod that is attached without NRI.
func (n *node) runHandled(t *testing.T, name string) {
	t.Helper()
	c := n.sleeper(name)
	_, err := n.cri.Start(c)
	must(t, err)
	n.expectWhole(t, n.cri, c.ID, n.runtimeID(t, c), firstOfPool)
	must(t, n.cri.Restart(c.ID))
	id := n.runtimeID(t, c)
	n.expectWhole(t, n.cri, c.ID, id, firstOfPool)
	n.restartRuntime(t)
	n.expectWhole(t, n.cri, c.ID, id, firstOfPool)
	n.stopPods(t, c)
}

// runtimeID returns the id of the container by which a pod was attached: its sandbox, or
// its first container if CRI-O runs no hook for the sandbox. CRI-O applies hooks.d to
// containers only, and starts a sandbox only if its containers share a PID namespace.
func (n *node) runtimeID(t *testing.T, c lab.Container) string {
	t.Helper()
	id, err := n.cri.SandboxID(c.ID)
	if hasCRIO() && (n.cri.Handler == "" || !n.cri.SharedPID) {
		id, err = n.cri.ContainerID(c.ID)
	}
	must(t, err)
	return id
}

// TestCRIInstalled lets containerd start the plugin that berth install has placed.
// Such a plugin has no flags, so it uses the directories of the whole machine, of
// which the lab has copies.
func TestCRIInstalled(t *testing.T) {
	n := &node{site: newSite(t)}
	n.Config, n.State, n.BPFFS = "/etc/berth", "/run/berth", "/sys/fs/bpf/berth"
	must(t, os.MkdirAll(filepath.Join(n.Config, "networks.d"), 0o755))
	t.Cleanup(func() { must(t, os.RemoveAll(n.Config)) })
	must(t, n.Network("lan", podLAN))
	n.agent(t)
	n.serveRuntime(t, "")
	n.takeBaseline(t)
	_, err := n.Berth("install", "--engine", "nri", "--engine-config", n.cri.ConfigFile())
	must(t, err)
	n.restartRuntime(t)
	c, shown := n.startAttached(t, "web", firstOfPool)
	n.restartRuntime(t)
	n.expectWhole(t, n.cri, c.ID, shown.ContainerID, firstOfPool)
	n.stopPods(t, c)
	n.runUnattached(t)

	_, err = n.Berth("uninstall", "--engine", "nri")
	must(t, err)
	if left, err := os.ReadDir(n.cri.PluginDir()); err != nil || len(left) != 0 {
		t.Errorf("uninstalled, there are %v, %v", left, err)
	}
	n.restartRuntime(t)
	_, err = n.cri.Start(c)
	must(t, err)
	n.startUnattached(t, c.ID)
	n.stopPods(t, c)
}
