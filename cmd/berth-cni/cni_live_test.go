package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	cnitool "github.com/containernetworking/cni/cnitool/cmd"
	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	"golang.org/x/sys/unix"

	"berth/internal/config"
	"berth/internal/testnet"
)

// Environment variables that make the test binary run as berth-cni, or as cnitool, the
// command of CNI's own library.
const (
	runCNI  = "BERTH_CNI_RUN"
	runTool = "BERTH_CNITOOL_RUN"
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(runCNI) != "":
		os.Exit(runProgram(os.Args[1:]))
	case os.Getenv(runTool) != "":
		if err := cnitool.Execute(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	testnet.Main(m)
}

// hideCache hides the machine's cache of CNI, which cnitool writes, from the tests.
var hideCache = sync.OnceValue(func() error { return unix.Mount("tmpfs", "/var/lib", "tmpfs", 0, "") })

// node is a host with a parent, the network "lan", and directories of CNI.
type node struct {
	*testing.T
	dirs          config.Dirs
	parent        string
	plugins, conf string // directories
}

func newNode(t *testing.T) *node {
	t.Helper()
	if err := hideCache(); err != nil {
		t.Fatal(err)
	}
	n := &node{T: t, parent: testnet.Unique("p"), plugins: t.TempDir(), conf: t.TempDir(), dirs: config.Dirs{
		Config: t.TempDir(), State: "/run/" + testnet.Unique("berth"), BPFFS: "/sys/fs/bpf/" + testnet.Unique("none")}}
	testnet.Veth(t, n.parent, testnet.Here(t), "wire", testnet.Namespace(t))
	n.write(config.NetworkFile(n.dirs.Config, "lan"), "parent = '"+n.parent+"'\n[[subnet]]\nsubnet = '192.0.2.0/24'\ngateway = '192.0.2.1'\n", 0o644)
	n.write(n.dirs.Config+"/berth.toml", "[policy]\nstatic_ips = true\nstatic_macs = true\n", 0o644)
	testnet.Script(t, n.plugins+"/berth-cni", fmt.Sprintf("%s=1 exec %s --config %s --state %s --bpffs %s",
		runCNI, os.Args[0], n.dirs.Config, n.dirs.State, n.dirs.BPFFS))
	return n
}

func (n *node) write(path, text string, mode os.FileMode) {
	n.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		n.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		n.Fatal(err)
	}
}

// tool runs cnitool, and returns its output.
func (n *node) tool(env []string, args ...string) (string, error) {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(slices.Concat(os.Environ(), []string{runTool + "=1", "CNI_PATH=" + n.plugins, "NETCONFPATH=" + n.conf}), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// mustTool is tool for a command that must succeed.
func (n *node) mustTool(env []string, args ...string) string {
	n.Helper()
	out, err := n.tool(env, args...)
	if err != nil {
		n.Fatalf("cnitool %q: %v\n%s", args, err, out)
	}
	return out
}

// newPod creates a namespace at its own path, as runtimes do.
func (n *node) newPod() (ns *testnet.NS, path string) {
	n.Helper()
	ns, path = testnet.Namespace(n), "/run/"+testnet.Unique("netns")
	n.write(path, "", 0o600)
	if err := unix.Mount(ns.Path(), path, "", unix.MS_BIND, ""); err != nil {
		n.Fatal(err)
	}
	n.Cleanup(func() { _ = unix.Unmount(path, unix.MNT_DETACH) })
	return ns, path
}

// conflist is the file of docs/engines/cni.md, with a version.
const conflist = `{"cniVersion": %q, "name": "cni-%[1]s", "plugins": [{"type": "berth-cni", "network": "lan", "capabilities": {"ips": true, "mac": true}}]}`

// TestCnitool drives the plugin by CNI's own library, in each version.
func TestCnitool(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	request := []string{`CAP_ARGS={"ips": ["192.0.2.9/24"], "mac": "02:00:5e:00:53:09"}`, "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=a;K8S_POD_NAME=web"}
	for _, protocol := range []string{"0.3.1", "0.4.0", "1.0.0", "1.1.0"} {
		n.write(n.conf+"/"+protocol+".conflist", fmt.Sprintf(conflist, protocol), 0o644)
		ns, path := n.newPod()
		name := "cni-" + protocol
		out := n.mustTool(request, "add", name, path)
		for _, want := range []string{protocol, "192.0.2.9/24", "02:00:5e:00:53:09", path} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %s in\n%s", protocol, want, out)
			}
		}
		if got := testnet.Run(t, ns, "ip", "-o", "-4", "addr", "show", "eth0"); !strings.Contains(got, "192.0.2.9/24") {
			t.Errorf("%s: %s", protocol, got)
		}
		if protocol != "0.3.1" {
			n.mustTool(request, "check", name, path)
			testnet.Run(t, ns, "ip", "addr", "flush", "dev", "eth0")
			if out, err := n.tool(request, "check", name, path); err == nil || !strings.Contains(out, "has no address 192.0.2.9/24 any more") {
				t.Errorf("%s: check: %v\n%s", protocol, err, out)
			}
		}
		if protocol == "1.1.0" {
			n.mustTool(nil, "status", name, path)
		}
		if out, err := n.tool(request, "add", name, path); err == nil || !strings.Contains(out, `has an interface "eth0" already`) {
			t.Errorf("%s: a second add: %v\n%s", protocol, err, out)
		}
		n.mustTool(request, "del", name, path)
		n.mustTool(request, "del", name, path)
		if got := testnet.Run(t, ns, "ip", "-o", "link", "show", "type", "macvlan"); got != "" {
			t.Errorf("%s: left behind %s", protocol, got)
		}
	}
}

// TestLibraryCollects requires that GC by CNI's own library takes back an attachment that
// the library's cache has lost, and keeps a listed one.
func TestLibraryCollects(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.write(config.NetworkFile(n.dirs.Config, "lan"), "parent = '"+n.parent+"'\n", 0o644)
	list, err := libcni.ConfListFromBytes(fmt.Appendf(nil, conflist, "1.1.0"))
	if err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	lib := libcni.NewCNIConfigWithCacheDir([]string{n.plugins}, cache, nil)
	kept, lost := &libcni.RuntimeConf{ContainerID: "kept", IfName: "eth0"}, &libcni.RuntimeConf{ContainerID: "lost", IfName: "eth0"}
	var in []*testnet.NS
	for _, rt := range []*libcni.RuntimeConf{kept, lost} {
		ns, path := n.newPod()
		rt.NetNS, in = path, append(in, ns)
		if _, err := lib.AddNetworkList(t.Context(), list, rt); err != nil {
			t.Fatal(err)
		}
	}
	if err := lib.GetStatusNetworkList(t.Context(), list); err != nil {
		t.Error(err)
	}
	if err := os.RemoveAll(cache); err != nil {
		t.Fatal(err)
	}
	for _, valid := range [][]types.GCAttachment{{{ContainerID: "kept", IfName: "eth0"}}, nil} {
		if err := lib.GCNetworkList(t.Context(), list, &libcni.GCArgs{ValidAttachments: valid}); err != nil {
			t.Fatal(err)
		}
		for i, want := range []int{len(valid), 0} {
			if got := strings.Count(testnet.Run(t, in[i], "ip", "-o", "link", "show", "type", "macvlan"), "\n"); got != want {
				t.Errorf("%d interfaces in namespace %d, want %d", got, i, want)
			}
		}
	}
}

// TestTheDocumentedCommands runs the commands of docs/engines/cni.md with the file that it
// shows, in directories of the test.
func TestTheDocumentedCommands(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.write(config.NetworkFile(n.dirs.Config, "lan"), "parent = '"+n.parent+"'\n[[subnet]]\nsubnet = '192.0.2.0/24'\nip_range = '192.0.2.64/26'\n", 0o644)
	text, err := os.ReadFile("../../docs/engines/cni.md")
	if err != nil {
		t.Fatal(err)
	}
	n.write(n.conf+"/lan.conflist", fenced(t, string(text), "```json\n"), 0o644)
	testnet.Script(t, n.plugins+"/cnitool", fmt.Sprintf("%s=1 exec %s \"$@\"", runTool, os.Args[0]))
	commands := fenced(t, string(text), "in TestTheDocumentedCommands -->\n```console\n")
	for line := range strings.Lines(commands) {
		command, is := strings.CutPrefix(strings.TrimSpace(line), "# ")
		if !is {
			continue
		}
		command = strings.NewReplacer("/usr/lib/cni", n.plugins, "/etc/cni/net.d", n.conf).Replace(command)
		cmd := exec.Command("sh", "-c", command)
		cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":"+n.plugins)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
		if strings.Contains(command, "address show") && !strings.Contains(string(out), " 192.0.2.64/24 ") {
			t.Errorf("%s: %s", command, out)
		}
	}
}

// fenced returns the block of a page that follows a text, up to its closing fence.
func fenced(t *testing.T, page, after string) string {
	t.Helper()
	_, rest, found := strings.Cut(page, after)
	block, _, closed := strings.Cut(rest, "```")
	if !found || !closed || block == "" {
		t.Fatalf("the page has no block after %q", after)
	}
	return block
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		env  string
		code int
		want string
	}{
		{[]string{"--version"}, "", 0, "berth-cni devel"},
		{nil, "", 2, "is a CNI plugin, of the protocol's versions 0.3.1, 0.4.0, 1.0.0, 1.1.0"},
		{[]string{"x"}, "CNI_COMMAND=VERSION", 2, `unexpected argument "x"`},
		{[]string{"--what"}, "", 2, "flag provided but not defined: -what"},
		{nil, "CNI_COMMAND=VERSION", 0, `"supportedVersions"`},
		{nil, "CNI_COMMAND=ADD", 1, `"code": 4`},
	} {
		cmd := exec.Command(os.Args[0], c.args...)
		cmd.Env = slices.Concat(os.Environ(), []string{runCNI + "=1", c.env})
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != c.code || !strings.Contains(string(out), c.want) {
			t.Errorf("%q: %v\n%s", c.args, err, out)
		}
	}
}
