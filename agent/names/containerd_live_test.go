package names

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"berth/internal/state"
	"berth/internal/testnet"
	"berth/specs"
)

func TestMain(m *testing.M) { testnet.Main(m) }

const containerdConfig = `version = 2
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing"]
`

// daemon is a containerd that the test started.
type daemon struct {
	t           *testing.T
	dir, socket string
	process     *exec.Cmd
}

func newDaemon(t *testing.T) *daemon {
	t.Helper()
	testnet.Need(t, testnet.Root)
	dir, err := os.MkdirTemp("/run", "containerd") // short enough for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, containerdConfig, dir, "config.toml")
	writeFile(t, `{"ociVersion":"1.0.2"}`, dir, "spec.json")
	return &daemon{t: t, dir: dir, socket: filepath.Join(dir, "socket")}
}

func (d *daemon) startDaemon() {
	d.t.Helper()
	d.process = exec.Command("containerd", "--config", filepath.Join(d.dir, "config.toml"), "--root", filepath.Join(d.dir, "root"),
		"--state", filepath.Join(d.dir, "state"), "--address", d.socket)
	if err := d.process.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { d.process.Process.Kill(); d.process.Wait() })
	testnet.Eventually(d.t, "containerd answers", func() bool { return exec.Command("ctr", "--address", d.socket, "version").Run() == nil })
}

func (d *daemon) stopDaemon() {
	d.t.Helper()
	d.process.Process.Kill()
	d.process.Wait()
}

func (d *daemon) runCtr(namespace string, args ...string) {
	d.t.Helper()
	args = append([]string{"--address", d.socket, "--namespace", namespace, "containers"}, args...)
	if out, err := exec.Command("ctr", args...).CombinedOutput(); err != nil {
		d.t.Fatalf("ctr %q: %v: %s", args, err, out)
	}
}

func (d *daemon) createContainer(namespace, id, label string) {
	d.t.Helper()
	d.runCtr(namespace, "create", "--config", filepath.Join(d.dir, "spec.json"), "--label", label, id)
}

// watchIDs follows a containerd until the test ends, and resumes after each error.
func watchIDs(t *testing.T, e Enricher) <-chan string {
	changed, ended := make(chan string, 100), make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			_ = e.Watch(ctx, func(id string) { changed <- id })
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return changed
}

func wantChange(t *testing.T, changed <-chan string, want string) {
	t.Helper()
	testnet.Eventually(t, "a change of "+want, func() bool {
		select {
		case id := <-changed:
			return id == want
		default:
			return false
		}
	})
}

func TestContainerd(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	c, err := Containerd(d.socket, []string{"default", "prod-*"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	changed := watchIDs(t, c)
	wantNames(t, c, "web", nil) // no socket is no error
	d.startDaemon()
	wantChange(t, changed, "")
	wantNames(t, c, "web", nil)

	d.createContainer("default", "web", "nerdctl/name=front")
	wantChange(t, changed, "web")
	wantNames(t, c, "web", &state.Names{Engine: specs.EngineContainerd, Name: "front"})
	d.runCtr("default", "label", "web", "nerdctl/name=renamed", "app=shop")
	wantChange(t, changed, "web")
	wantNames(t, c, "web", &state.Names{Engine: specs.EngineContainerd, Name: "renamed", Labels: map[string]string{"app": "shop"}})

	d.createContainer("hidden", "secret", "nerdctl/name=secret")
	d.createContainer("prod-a", "db", "io.kubernetes.pod.name=db-0")
	wantChange(t, changed, "db")
	wantNames(t, c, "secret", nil)
	wantNames(t, c, "db", &state.Names{Engine: specs.EngineContainerd, Name: "db-0", Pod: "db-0"})
	d.createContainer("prod-a", "web", "nerdctl/name=which")
	wantNames(t, c, "web", nil)
	wantNames(t, c, "not/an id", nil)
}

func TestContainerdComesAndGoes(t *testing.T) {
	t.Parallel()
	d := newDaemon(t)
	c, err := Containerd(d.socket, []string{"*"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	changed := watchIDs(t, c)
	d.startDaemon()
	d.createContainer("default", "web", "nerdctl/name=front")
	testnet.Eventually(t, "the name", func() bool {
		n, err := c.Names(t.Context(), "web")
		return err == nil && n != nil && n.Name == "front"
	})
	d.stopDaemon()
	if n, err := c.Names(t.Context(), "web"); err == nil {
		t.Errorf("a containerd that is gone said %+v, want an error", n)
	}
	for len(changed) > 0 {
		<-changed
	}
	d.startDaemon()
	wantChange(t, changed, "")
	testnet.Eventually(t, "the name again", func() bool {
		n, err := c.Names(t.Context(), "web")
		return err == nil && n != nil && n.Name == "front"
	})
}
