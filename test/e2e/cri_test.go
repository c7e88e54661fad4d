//go:build engines

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"berth/specs"
	"berth/test/lab"
)

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

// TestCRIRefusals requires that a refused pod fails with the reason, as often as a kubelet tries, and
// leaves nothing. The runtime starts again after that.
func TestCRIRefusals(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	must(t, n.Network("both", strings.ReplaceAll(lanNetwork, "192.0.2.", "203.0.113.")))
	must(t, n.Network("shop", strings.ReplaceAll("namespaces = [\"shop-*\"]\n"+podLAN, "192.0.2.", "198.18.0.")))
	plugin := n.startPlugin(t)
	defer stopDaemon(t, plugin)
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
		for range 2 {
			n.expectPodRefused(t, lab.Container{ID: n.id(name), Network: c.engine, Args: []string{"sleep", "600"},
				Annotations: annotations{"berth/networks": c.network}}, c.want...)
		}
	}
	must(t, n.cri.RemovePods())
	n.expectNothingLeft(t, before)
	was := n.cri.Plugged()
	n.restartRuntime(t)
	n.waitPlugged(t, was, plugin)
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
	n.startService(t) // berth install has named its client
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
	if got, want := n.served(t), 5; got < want { // each pod is attached and released, and one is refused
		t.Errorf("the service did %d runs, want %d", got, want)
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

// TestCRIDoctor requires that berth doctor --try starts pods, finds whether their annotations
// arrive, and leaves none.
func TestCRIDoctor(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	endpoint := "CONTAINER_RUNTIME_ENDPOINT=unix://" + n.cri.Socket()
	expect := func(result string) {
		t.Helper()
		n.expectDoctorFinds(t, "nri", map[string]string{"configured": "warn", "pods": result}, endpoint)
		if pods, err := n.cri.Crictl("pods", "--quiet"); err != nil || pods != "" {
			t.Errorf("doctor leaves the pods %s, %v", pods, err)
		}
	}
	expect("warn")
	n.expectNothingLeft(t, n.before)
	plugin := n.startPlugin(t)
	expect("pass")
	stopDaemon(t, plugin)
	n.expectNothingLeft(t, n.before)
}

// TestCRIMultus gives a running pod a second interface as Multus does: berth-cni is called with
// the pod's network namespace and names, between the runtime's own network and the pod's end.
func TestCRIMultus(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	c := n.sleeper("web")
	c.Annotations = nil
	_, err := n.cri.Start(c)
	must(t, err)
	sandbox, err := n.cri.SandboxID(c.ID)
	must(t, err)
	netNS := fmt.Sprintf("/proc/%d/ns/net", pidOf(t, n.cri, c.ID))
	conf := `{"cniVersion":"1.0.0","name":"lan","type":"berth-cni","network":"lan","capabilities":{"ips":true,"mac":true}}`
	call := func(command string) string {
		args := append([]string{"CNI_COMMAND=" + command, "CNI_CONTAINERID=" + sandbox, "CNI_NETNS=" + netNS, "CNI_IFNAME=net1",
			"CNI_PATH=/usr/lib/cni", "CNI_ARGS=IgnoreUnknown=true;K8S_POD_NAMESPACE=default;K8S_POD_NAME=" + c.ID +
				";K8S_POD_INFRA_CONTAINER_ID=" + sandbox + ";K8S_POD_UID=1",
			"sh", "-c", `printf %s "$0" | "$@"`, conf, filepath.Join(bin, "berth-cni")}, n.Flags()...)
		out, err := n.Run("env", args...)
		must(t, err)
		return out
	}
	if out := call("ADD"); !strings.Contains(out, firstOfPool+"/24") {
		t.Errorf("ADD returns %s", out)
	}
	n.expectWhole(t, n.cri, c.ID, sandbox, firstOfPool)
	call("DEL")
	n.expectReleased(t)
	n.stopPods(t, c)
}
