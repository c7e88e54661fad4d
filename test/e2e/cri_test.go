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

// A node is a site with containerd as Kubernetes uses it, driven by crictl.
type node struct {
	*site
	cri    *lab.CRI
	before snapshot
}

// newNode is a node that has run a pod, so that the bridge of pods is there.
func newNode(t *testing.T) *node {
	t.Helper()
	n := &node{site: newSite(t)}
	must(t, n.Network("lan", podLAN))
	n.agent(t)
	n.containerd(t)
	return n
}

// containerd starts containerd for the rest of the test.
func (n *node) containerd(t *testing.T) {
	t.Helper()
	n.cri = &lab.CRI{Containerd: lab.Containerd{Host: n.Host, Rootfs: rootfs}}
	serve(t, n.cri)
	n.settle(t)
}

// settle runs a pod that does not concern berth, and takes the snapshot.
func (n *node) settle(t *testing.T) {
	t.Helper()
	n.plain(t)
	must(t, lab.Eventually(10*time.Second, func() error {
		out, err := n.Run("ip", "-o", "link", "show", "pods0")
		if err == nil && !strings.Contains(out, "state DOWN") {
			err = fmt.Errorf("the bridge of pods is still %s", out)
		}
		return err
	}))
	n.before = n.snapshot(t)
}

// plain runs a pod that does not concern berth.
func (n *node) plain(t *testing.T) {
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

// plugin starts berth-nri, and waits until the runtime asks it about pods.
func (n *node) plugin(t *testing.T) *lab.Daemon {
	t.Helper()
	was := n.cri.Plugged()
	d, err := n.cri.StartNRI()
	must(t, err)
	n.plugged(t, was, d)
	return d
}

// plugged waits until a plugin is connected once more than it was.
func (n *node) plugged(t *testing.T, was int, d *lab.Daemon) {
	t.Helper()
	must(t, lab.Eventually(30*time.Second, func() error {
		if n.cri.Plugged() > was {
			return nil
		}
		log, _ := os.ReadFile(d.Log) // the error is enough
		return fmt.Errorf("berth-nri is not connected: %s", log)
	}))
}

// ends stops a daemon, which has to end well.
func ends(t *testing.T, d *lab.Daemon) {
	t.Helper()
	if err := d.Stop(); err != nil {
		t.Error(err)
	}
}

// started starts a pod and holds it to be whole.
func (n *node) started(t *testing.T, name, address string) (lab.Container, specs.Endpoint) {
	t.Helper()
	c := n.sleeper(name)
	id, err := n.cri.Start(c)
	must(t, err)
	return c, n.whole(t, n.cri, c.ID, id, address)
}

// bare holds a pod to run without an interface of berth's.
func (n *node) bare(t *testing.T, name string) {
	t.Helper()
	links, err := n.cri.Exec(name, "ip", "-o", "link")
	if err != nil || strings.Contains(links, "net1") {
		t.Errorf("pod %s has %s, %v, want no net1", name, links, err)
	}
}

// gone removes pods, after which nothing of them is left.
func (n *node) gone(t *testing.T, all ...lab.Container) {
	t.Helper()
	for _, c := range all {
		must(t, n.cri.Stop(c.ID))
	}
	n.nothingLeft(t, n.before)
}

// TestCRIPods is the life of two pods, by berth-nri as a service.
func TestCRIPods(t *testing.T) {
	for _, form := range []string{"list", "json"} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			must(t, n.Policy(openPolicy))
			defer ends(t, n.plugin(t))
			life(t, n.site, n.cri, form)
			n.nothingLeft(t, n.before)
		})
	}
}

// TestCRIContainers is what a pod's containers have: the status annotation, and
// the pod's interface also when a container is replaced.
func TestCRIContainers(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	defer ends(t, n.plugin(t))
	c, shown := n.started(t, "web", firstOfPool)
	text, err := n.cri.Inspect(c.ID)
	if err != nil || !strings.Contains(text, "k8s.v1.cni.cncf.io/network-status") || !strings.Contains(text, shown.MAC.String()) {
		t.Errorf("crictl inspect shows %s, %v, want a network status with MAC %s", text, err, shown.MAC)
	}
	if shown.Name != "" && !strings.Contains(shown.Name, c.ID) {
		t.Errorf("berth ps shows the name %q, want that of pod %s", shown.Name, c.ID)
	}
	must(t, n.cri.Restart(c.ID))
	after := n.whole(t, n.cri, c.ID, shown.ContainerID, firstOfPool)
	if !after.Created.Equal(shown.Created) {
		t.Errorf("with a new container the attachment is of %s, and was of %s", after.Created, shown.Created)
	}
	n.gone(t, c)
	n.plain(t)
}

// TestCRIRefusals checks that a refused pod fails with the reason and leaves
// nothing.
func TestCRIRefusals(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	must(t, n.Network("both", strings.ReplaceAll(lanNetwork, "192.0.2.", "203.0.113.")))
	must(t, n.Network("shop", strings.ReplaceAll("namespaces = [\"shop-*\"]\n"+podLAN, "192.0.2.", "198.18.0.")))
	defer ends(t, n.plugin(t))
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
				t.Errorf("%s: the error does not say %q: %v", name, w, err)
			}
		}
	}
	n.nothingLeft(t, before)
	n.plain(t)
}

// TestCRINamespaces is a network for pods of some Kubernetes namespaces.
func TestCRINamespaces(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	must(t, n.Network("lan", "namespaces = [\"shop-*\"]\n"+podLAN))
	defer ends(t, n.plugin(t))
	n.cri.Namespace = "shop-prod"
	c, _ := n.started(t, "web", firstOfPool)
	n.gone(t, c)
}

// TestCRIPodsAtOnce is 20 pods that start at once and end at once.
func TestCRIPodsAtOnce(t *testing.T) {
	n := newNode(t)
	defer ends(t, n.plugin(t))
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
		n.reached(t, address)
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
	n.nothingLeft(t, n.before)
}

// atOnce does something with all containers at the same time.
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
	d := n.plugin(t)
	kept, shown := n.started(t, "kept", firstOfPool)
	ended := n.sleeper("ended")
	_, err := n.cri.Start(ended)
	must(t, err)
	must(t, d.Kill())
	n.reached(t, firstOfPool)
	must(t, n.cri.Stop(ended.ID))

	missed, late := n.sleeper("missed"), n.sleeper("late")
	_, err = n.cri.Start(missed) // without berth, as nothing requires it
	must(t, err)
	n.bare(t, missed.ID)
	lateID, err := n.cri.StartPod(late)
	must(t, err)

	d = n.plugin(t)
	defer ends(t, d)
	after := n.whole(t, n.cri, kept.ID, shown.ContainerID, firstOfPool)
	if !after.Created.Equal(shown.Created) {
		t.Errorf("the attachment is of %s, and was of %s", after.Created, shown.Created)
	}
	must(t, n.cri.StartContainer(late))
	n.whole(t, n.cri, late.ID, lateID, secondOfPool)
	n.bare(t, missed.ID)
	if err := n.cri.StartContainer(missed); err == nil || !strings.Contains(err.Error(), "delete the pod") {
		t.Errorf("a further container of a pod that runs without berth: %v, want it refused", err)
	}
	n.gone(t, kept, late, missed)
}

// secondOfPool is the address of the second container on the network lan.
const secondOfPool = "192.0.2.65"

// TestCRIPluginFrozen is a berth-nri that does not answer: the runtime starts
// the pod without it, and the plugin connects anew when it goes on.
func TestCRIPluginFrozen(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	d := n.plugin(t)
	defer ends(t, d)
	kept, shown := n.started(t, "kept", firstOfPool)
	was := n.cri.Plugged()
	must(t, d.Freeze())
	late := n.sleeper("late")
	id, err := n.cri.StartPod(late)
	must(t, err)
	must(t, d.Thaw())
	n.plugged(t, was, d)
	must(t, n.cri.StartContainer(late))
	n.whole(t, n.cri, late.ID, id, secondOfPool)
	n.whole(t, n.cri, kept.ID, shown.ContainerID, firstOfPool)
	n.gone(t, kept, late)
}

// TestCRITwoPlugins is two instances of berth-nri, as where a service was left
// beside a DaemonSet: they are in no pod's way, nor in each other's.
func TestCRITwoPlugins(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	defer ends(t, n.plugin(t))
	other := n.plugin(t)
	c, shown := n.started(t, "web", firstOfPool)
	ends(t, other)
	must(t, n.cri.Restart(c.ID))
	n.whole(t, n.cri, c.ID, shown.ContainerID, firstOfPool)
	n.gone(t, c)
}

// TestCRIPluginFirst is a boot at which berth-nri is there before containerd.
func TestCRIPluginFirst(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	must(t, n.cri.StopDaemon())
	was := n.cri.Plugged()
	d, err := n.cri.StartNRI()
	must(t, err)
	defer ends(t, d)
	must(t, n.cri.StartDaemon())
	n.plugged(t, was, d)
	c, _ := n.started(t, "web", firstOfPool)
	n.gone(t, c)
}

// TestCRIContainerdRestarted ends containerd, orderly and by SIGKILL, while pods
// run. The pods keep their interfaces and are released when they end, although containerd does not report the end of their sandboxes.
func TestCRIContainerdRestarted(t *testing.T) {
	for name, end := range map[string]func(*lab.CRI) error{"stopped": (*lab.CRI).StopDaemon, "killed": (*lab.CRI).KillDaemon} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			d := n.plugin(t)
			defer ends(t, d)
			kept, shown := n.started(t, "kept", firstOfPool)
			was := n.cri.Plugged()
			must(t, end(n.cri))
			n.reached(t, firstOfPool)
			must(t, n.cri.StartDaemon())
			n.plugged(t, was, d)
			n.whole(t, n.cri, kept.ID, shown.ContainerID, firstOfPool)
			fresh, _ := n.started(t, "fresh", secondOfPool)
			must(t, n.cri.Stop(kept.ID))
			must(t, lab.Eventually(30*time.Second, func() error {
				if all := n.ps(t); len(all) != 1 {
					return fmt.Errorf("berth ps shows %+v, want one pod", all)
				}
				return nil
			}))
			n.gone(t, fresh)
			_, err := n.Berth("network", "rm", "lan")
			must(t, err)
		})
	}
}

// TestCRIHandler is a runtime handler, which berth install adds to containerd's
// configuration, with NRI away; berth uninstall restores the configuration.
func TestCRIHandler(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	config, err := os.ReadFile(n.cri.ConfigFile())
	must(t, err)
	_, err = n.Berth("install", "--engine", "containerd", "--engine-config", n.cri.ConfigFile())
	must(t, err)
	must(t, n.cri.StopDaemon())
	must(t, n.cri.StartDaemon())
	n.plain(t)
	n.cri.Handler = "berth"
	n.plain(t)
	c, shown := n.started(t, "web", firstOfPool)
	must(t, n.cri.Restart(c.ID))
	n.whole(t, n.cri, c.ID, shown.ContainerID, firstOfPool)
	must(t, n.cri.StopDaemon())
	must(t, n.cri.StartDaemon())
	n.whole(t, n.cri, c.ID, shown.ContainerID, firstOfPool)
	n.gone(t, c)
	refused := n.sleeper("refused")
	refused.Annotations = annotations{"berth/networks": "lam"}
	_, err = n.cri.StartPod(refused)
	n.refused(t, err, "berth/networks[0]", `"lam"`, "lan")

	_, err = n.Berth("uninstall", "--engine", "containerd")
	must(t, err)
	if text, err := os.ReadFile(n.cri.ConfigFile()); err != nil || string(text) != string(config) {
		t.Errorf("uninstalled configuration is %s, %v, want %s", text, err, config)
	}
	must(t, n.cri.StopDaemon())
	must(t, n.cri.StartDaemon())
	n.cri.Handler = ""
	n.plain(t)
	n.nothingLeft(t, n.before)
}

// TestCRIInstalled is a plugin that containerd starts by itself, from where
// berth install has put it. Such a plugin has no flags, so berth's directories
// are those of the whole machine, which the lab has a copy of.
func TestCRIInstalled(t *testing.T) {
	n := &node{site: newSite(t)}
	n.Config, n.State, n.BPFFS = "/etc/berth", "/run/berth", "/sys/fs/bpf/berth"
	must(t, os.MkdirAll(filepath.Join(n.Config, "networks.d"), 0o755))
	t.Cleanup(func() { must(t, os.RemoveAll(n.Config)) })
	must(t, n.Network("lan", podLAN))
	n.agent(t)
	n.containerd(t)
	_, err := n.Berth("install", "--engine", "nri", "--engine-config", n.cri.ConfigFile())
	must(t, err)
	must(t, n.cri.StopDaemon())
	must(t, n.cri.StartDaemon())
	c, shown := n.started(t, "web", firstOfPool)
	must(t, n.cri.StopDaemon())
	must(t, n.cri.StartDaemon())
	n.whole(t, n.cri, c.ID, shown.ContainerID, firstOfPool)
	n.gone(t, c)
	n.plain(t)

	_, err = n.Berth("uninstall", "--engine", "nri")
	must(t, err)
	if left, err := os.ReadDir(n.cri.PluginDir()); err != nil || len(left) != 0 {
		t.Errorf("uninstalled, there are %v, %v", left, err)
	}
	must(t, n.cri.StopDaemon())
	must(t, n.cri.StartDaemon())
	_, err = n.cri.Start(c)
	must(t, err)
	n.bare(t, c.ID)
	n.gone(t, c)
}
