package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
	"golang.org/x/sys/unix"
	apps "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"

	"berth/internal/config"
	"berth/internal/testnet"
)

// runPlugin is the environment variable that makes the test binary run as berth-nri.
const runPlugin = "BERTH_NRI_RUN"

func TestMain(m *testing.M) {
	if os.Getenv(runPlugin) != "" {
		os.Exit(runProgram(os.Args[1:]))
	}
	adaptation.SetPluginRequestTimeout(30 * time.Second)
	adaptation.SetPluginRegistrationTimeout(30 * time.Second)
	testnet.Main(m)
}

// node is a host with a parent, a network and the runtime's side of NRI.
type node struct {
	*testing.T
	dirs           config.Dirs
	socket, parent string
}

func newNode(t *testing.T) *node {
	t.Helper()
	n := &node{T: t, parent: testnet.Unique("p"), socket: "/run/" + testnet.Unique("nri") + ".sock", dirs: config.Dirs{
		Config: t.TempDir(), State: "/run/" + testnet.Unique("berth"), BPFFS: "/sys/fs/bpf/" + testnet.Unique("none")}}
	testnet.Veth(t, n.parent, testnet.Here(t), "wire", testnet.Namespace(t))
	file := config.NetworkFile(n.dirs.Config, "lan")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	text := "parent = '" + n.parent + "'\n[[subnet]]\nsubnet = '192.0.2.0/24'\n[[subnet]]\nsubnet = '2001:db8::/64'\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return n
}

// procArgs returns the plugin's arguments for this node, for a shell.
func (n *node) procArgs() string {
	return fmt.Sprintf("%s=1 exec %s --config %s --state %s --bpffs %s", runPlugin, os.Args[0], n.dirs.Config, n.dirs.State, n.dirs.BPFFS)
}

func (n *node) newRuntime(plugins string) *adaptation.Adaptation {
	n.Helper()
	sync := func(ctx context.Context, tell adaptation.SyncCB) error { _, err := tell(ctx, nil, nil); return err }
	update := func(context.Context, []*api.ContainerUpdate) ([]*api.ContainerUpdate, error) { return nil, nil }
	r, err := adaptation.New("test", "1", sync, update, adaptation.WithSocketPath(n.socket),
		adaptation.WithPluginPath(plugins), adaptation.WithPluginConfigPath(n.TempDir()))
	if err != nil {
		n.Fatal(err)
	}
	if err := r.Start(); err != nil {
		n.Fatal(err)
	}
	n.Cleanup(r.Stop)
	return r
}

// newPod creates a pod's namespace at its own path, as runtimes do.
func (n *node) newPod() (ns *testnet.NS, path string) {
	n.Helper()
	ns, path = testnet.Namespace(n), "/run/"+testnet.Unique("netns")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		n.Fatal(err)
	}
	if err := unix.Mount(ns.Path(), path, "", unix.MS_BIND, ""); err != nil {
		n.Fatal(err)
	}
	n.Cleanup(func() { _ = unix.Unmount(path, unix.MNT_DETACH) })
	return ns, path
}

// pod returns a pod that selects a network, with its namespace at a path.
func (n *node) pod(network, path string) *api.PodSandbox {
	return &api.PodSandbox{
		Id: "pod-" + network, Name: "web", Namespace: "prod", Annotations: map[string]string{"berth/networks": network},
		Linux: &api.LinuxPodSandbox{Namespaces: []*api.LinuxNamespace{{Type: "network", Path: path}}},
	}
}

// mustAttach waits for the plugin and lets it attach a pod.
func (n *node) mustAttach(r *adaptation.Adaptation, ns *testnet.NS, path string) {
	n.Helper()
	run := func(networks string) error {
		return r.RunPodSandbox(n.Context(), &api.StateChangeEvent{Pod: n.pod(networks, path)})
	}
	testnet.Eventually(n, "the plugin refuses a network that does not exist", func() bool {
		err := run("nolan")
		return err != nil && strings.Contains(err.Error(), `berth/networks[0] "nolan": there is no such network in`)
	})
	if err := run("lan"); err != nil {
		n.Fatal(err)
	}
	got := testnet.Run(n, ns, "ip", "-o", "addr", "show", "net1")
	for _, want := range []string{"192.0.2.1/24", "2001:db8::1/64"} {
		if !strings.Contains(got, want) {
			n.Errorf("no %s in:\n%s", want, got)
		}
	}
}

// daemonSetCaps returns the capabilities of the plugin in the manifest, in the syntax of
// setpriv(1).
func daemonSetCaps(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../deploy/kubernetes/berth.yaml")
	if err != nil {
		t.Fatal(err)
	}
	caps := "-all"
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		var set apps.DaemonSet
		if err := yaml.Unmarshal([]byte(document), &set); err != nil {
			t.Fatal(err)
		}
		for _, c := range set.Spec.Template.Spec.Containers {
			if c.Name == "berth-nri" {
				for _, name := range c.SecurityContext.Capabilities.Add {
					caps += ",+" + strings.ToLower(string(name))
				}
			}
		}
	}
	if !strings.Contains(caps, "+") {
		t.Fatal("no capabilities in the manifest")
	}
	return caps
}

// TestRunsAsTheDaemonSetConfinesIt requires that the manifest's privileges are enough, with
// sysctls read-only as container engines mount them.
func TestRunsAsTheDaemonSetConfinesIt(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	ns, path := n.newPod()
	// Like an engine's container: private mounts, /proc/sys read-only.
	script := "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && " +
		n.procArgs() + " --socket " + n.socket
	cmd := exec.Command("unshare", "-m", "sh", "-c", strings.Replace(script, "exec ", "exec setpriv --no-new-privs --bounding-set="+daemonSetCaps(t)+" ", 1))
	log := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	n.mustAttach(n.newRuntime(t.TempDir()), ns, path)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil || !strings.Contains(string(status), "CapEff:\t0000000000203000\n") { // 12, 13 and 21
		t.Errorf("%v\n%s", err, status)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, log)
	}
	if strings.Contains(log.String(), "level=ERROR") != strings.Contains(log.String(), "nolan") {
		t.Errorf("log:\n%s", log)
	}
}

// TestSIGHUPIsIgnored requires that the plugin, which has nothing to reload, goes on after a
// SIGHUP, the signal that reloads the agent.
func TestSIGHUPIsIgnored(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	ns, path := n.newPod()
	script := n.procArgs() + " --socket " + n.socket
	cmd := exec.Command("sh", "-c", script)
	log := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	r := n.newRuntime(t.TempDir())
	n.mustAttach(r, ns, path)
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if err := r.StopPodSandbox(t.Context(), &api.StateChangeEvent{Pod: n.pod("lan", path)}); err != nil {
		t.Error(err)
	}
	testnet.Eventually(t, "the plugin has released the pod", func() bool {
		_, err := testnet.Netlink(t, ns).LinkByName("net1")
		return err != nil
	})
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, log)
	}
}

// TestTheRuntimeStartsIt requires that the runtime starts the plugin from its directory, and
// ends it.
func TestTheRuntimeStartsIt(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	plugins := t.TempDir()
	testnet.Script(t, filepath.Join(plugins, "10-berth"), n.procArgs())
	ns, path := n.newPod()
	n.mustAttach(n.newRuntime(plugins), ns, path)
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--version"}, 0, "berth-nri devel"},
		{[]string{"x"}, 2, `unexpected argument "x"`},
		{[]string{"--index", "1"}, 2, `--index "1": want two digits`},
		{[]string{"--index", "1x"}, 2, `--index "1x": want two digits`},
		{[]string{"--what"}, 2, "flag provided but not defined: -what"},
	} {
		cmd := exec.Command(os.Args[0], c.args...)
		cmd.Env = slices.Concat(os.Environ(), []string{runPlugin + "=1"})
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != c.code || !strings.Contains(string(out), c.want) {
			t.Errorf("%q: %v\n%s", c.args, err, out)
		}
	}
}
