package docs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"berth/test/lab"
)

// bin is the directory of the programs in the pages.
const bin = "/usr/local/bin"

func TestMain(m *testing.M) {
	lab.Isolate()
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "docs:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// prepare copies the programs of the tree to that directory. This process has a mount
// namespace of its own.
func prepare() error {
	own := lab.Dir + "/bin"
	for _, what := range [][]string{{"./cmd/..."}, {"-tags", "hook", "./cmd/berth-hook", "./cmd/berth-cni", "./cmd/berth-netavark"}} {
		build := exec.Command("go", slices.Concat([]string{"build", "-trimpath", "-o", own + "/"}, what)...)
		build.Dir = "../.."
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if _, err := lab.Output(build); err != nil {
			return err
		}
	}
	if err := os.RemoveAll("/etc/berth"); err != nil {
		return err
	}
	return unix.Mount(own, bin, "", unix.MS_BIND, "")
}

// host is a host on a LAN, with the files of berth and the engines at their default
// paths.
type host struct {
	*lab.Host
	rootfs string
}

func newHost(t *testing.T) *host {
	t.Helper()
	lan, err := lab.NewSwitch("lan")
	must(t, err)
	machine, err := lab.NewHost("host", bin)
	must(t, err)
	must(t, lan.Plug(machine.Machine, "eth1"))
	h := &host{Host: machine, rootfs: filepath.Join(lab.Dir, "rootfs")}
	must(t, lab.Rootfs(h.rootfs))
	must(t, os.MkdirAll("/etc/berth/networks.d", 0o755))
	t.Setenv("PATH", h.shims(t)+":"+bin+":"+os.Getenv("PATH"))
	h.images(t)
	return h
}

// directory returns the directory in which a page's commands run. It has the root file
// system of a bundle.
func (h *host) directory(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, lab.Rootfs(dir+"/web/rootfs"))
	return dir
}

// wholeExec repeats ctr task exec if it prints nothing: it can lose the output of a command that ends
// at once (mended in containerd's pull request 13931).
const wholeExec = `if [ "$1 $2" = "task exec" ]; then
	for try in 1 2 3 4 5 6 7 8 9 10; do
		out=$(%[1]s "$@") || exit
		[ -z "$out" ] || break
	done
	echo "$out"
	exit
fi
exec %[1]s "$@"
`

// shims writes scripts that adapt runtimes to the cgroups and limits of this machine, and that
// go around a fault of ctr, into a directory at the head of PATH.
func (h *host) shims(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(lab.Dir, "shims")
	must(t, os.MkdirAll(dir, 0o755))
	for name, script := range map[string]string{
		// If cgroups are mixed, the unified hierarchy has no controller for shares.
		"runc": `[ ! -f config.json ] || sed -i 's/"cpu":{"shares":1024}/"cpu":{}/' config.json` + "\nexec %s \"$@\"\n",
		"crun": "exec %s --cgroup-manager=disabled \"$@\"\n",
		"ctr":  wholeExec,
	} {
		path, err := exec.LookPath(name)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, name), fmt.Appendf(nil, "#!/bin/sh\n"+script, path), 0o755))
	}
	return dir
}

// images adds the image busybox to podman and containerd, and starts the latter.
func (h *host) images(t *testing.T) {
	t.Helper()
	storage := lab.Dir + "/podman"
	writeFile(t, "/etc/containers/containers.conf", lab.ContainersConf())
	writeFile(t, "/etc/containers/storage.conf", fmt.Sprintf("[storage]\ndriver = \"vfs\"\ngraphroot = %q\nrunroot = %q\n", storage+"/root", storage+"/run"))
	h.containerd(t)
	image := lab.Dir + "/busybox.tar"
	out, err := h.shell(lab.Dir, fmt.Sprintf(`
		tar -C %s -c . | podman import - docker.io/library/busybox:latest
		podman save --format oci-archive -o %s docker.io/library/busybox:latest
		ctr image import %[2]s`, h.rootfs, image))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// containerd runs containerd for the rest of the test, at the socket that ctr uses.
func (h *host) containerd(t *testing.T) {
	t.Helper()
	dir := lab.Dir + "/containerd"
	config := dir + "/config.toml"
	writeFile(t, config, "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.internal.v1.opt\", \"io.containerd.internal.v1.tracing\"]\n")
	log, err := os.Create(dir + "/log")
	must(t, err)
	cmd := h.Command(context.Background(), "containerd", "--config", config, "--root", dir+"/root")
	cmd.Stdout, cmd.Stderr = log, log
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(unix.SIGTERM) // it may have ended
		_ = cmd.Wait()
	})
	must(t, lab.Eventually(time.Minute, func() error { _, err := h.shell(lab.Dir, "ctr version"); return err }))
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(text), 0o644))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
