package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"berth/internal/state"
	"berth/internal/testnet"
	"berth/specs"
)

// agentConfig writes [agent] of berth.toml.
func (l *lab) agentConfig(text string) {
	l.t.Helper()
	mustSucceed(l.t, os.MkdirAll(l.config, 0o755))
	mustSucceed(l.t, os.WriteFile(filepath.Join(l.config, "berth.toml"), []byte("[agent]\n"+text+"\n"), 0o644))
}

func infoLine(id, name, image string) string {
	return fmt.Sprintf(`berth_endpoint_info{container_id="%s",interface="net1",network="lan",parent="eth1",name="%s",image="%s",pod="",namespace="",mac="02:00:5e:00:53:01",driver="macvlan",mode="bridge"} 1`, id, name, image)
}

// knowDocker writes dockerd's file of a container, and makes the agent read dockerd's files.
func (l *lab) knowDocker(id, text string) (file string) {
	l.t.Helper()
	docker := l.t.TempDir()
	l.agentConfig(`docker = "` + docker + `"`)
	file = filepath.Join(docker, "containers", id, "config.v2.json")
	mustSucceed(l.t, os.MkdirAll(filepath.Dir(file), 0o700))
	mustSucceed(l.t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// TestNamesOfDocker: the first scrape after the attachment has the name in dockerd's file,
// and the name outlives the container, the file and the agent.
func TestNamesOfDocker(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	id := strings.Repeat("ab", 32)
	file := l.knowDocker(id, `{"Name":"/front","Config":{"Image":"nginx:1","Labels":{"app":"shop"}}}`)
	a := l.startAgent()
	web := l.attachContainer(id, 1)
	a.waitNamed(infoLine(id, "front", "nginx:1"))
	if e := l.endpointOf(id); e.Name != "front" || e.Labels["app"] != "shop" {
		t.Errorf("endpoint %+v", e)
	}
	mustSucceed(t, os.RemoveAll(filepath.Dir(file)))
	mustSucceed(t, web.newReleaser().Container(t.Context(), id))
	a.stopAgent(syscall.SIGKILL)
	a = l.startAgent()
	wantLine(t, a.scrapeMetrics(), infoLine(id, "front", "nginx:1"))
}

// waitNamed requires the agent to show an engine's name of a new container. The first scrape
// has it, unless the engine takes more than the tenth of a second that a scrape waits, as
// on a loaded machine.
func (a *agent) waitNamed(line string) {
	a.t.Helper()
	start := time.Now()
	first := a.scrapeMetrics()
	if time.Since(start) < 100*time.Millisecond {
		wantLine(a.t, first, line)
		return
	}
	testnet.Eventually(a.t, "the scrape has "+line, func() bool { return strings.Contains(a.scrapeMetrics(), line+"\n") })
}

// containerd is an instance that the test started, used by ctr.
type containerd struct {
	t           testing.TB
	dir, socket string
}

func newContainerd(t testing.TB) *containerd {
	t.Helper()
	dir, err := os.MkdirTemp("/run", "containerd")
	mustSucceed(t, err)
	d := &containerd{t, dir, filepath.Join(dir, "socket")}
	config := `version = 2
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing"]
`
	mustSucceed(t, os.WriteFile(filepath.Join(dir, "config.toml"), []byte(config), 0o600))
	mustSucceed(t, os.WriteFile(filepath.Join(dir, "spec.json"), []byte(`{"ociVersion":"1.0.2"}`), 0o600))
	return d
}

func (d *containerd) startDaemon() {
	d.t.Helper()
	cmd := exec.Command("containerd", "--config", filepath.Join(d.dir, "config.toml"), "--root", filepath.Join(d.dir, "root"),
		"--state", filepath.Join(d.dir, "state"), "--address", d.socket)
	mustSucceed(d.t, cmd.Start())
	d.t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	testnet.Eventually(d.t, "containerd answers", func() bool { return exec.Command("ctr", "--address", d.socket, "version").Run() == nil })
}

func (d *containerd) runCtr(args ...string) {
	d.t.Helper()
	out, err := exec.Command("ctr", append([]string{"--address", d.socket, "containers"}, args...)...).CombinedOutput()
	if err != nil {
		d.t.Fatalf("ctr %q: %v: %s", args, err, out)
	}
}

// TestNamesOfContainerd: containerd's answer precedes the annotations, is in the first
// scrape, and is followed. An agent that starts before containerd waits for it.
func TestNamesOfContainerd(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	d := newContainerd(t)
	l.agentConfig(`containerd = ["/run/absent.sock", "` + d.socket + `"]
metrics_info = ["name", "label:app"]`)
	a := l.startAgent()
	db := l.attachContainer("db", 2)
	named := func(id, name, app string) string {
		return fmt.Sprintf(`berth_endpoint_info{container_id="%s",interface="net1",network="lan",parent="eth1",name="%s",label_app="%s"} 1`, id, name, app)
	}
	wantLine(t, a.scrapeMetrics(), named("db", "db-name", "")) // from its annotations
	d.startDaemon()
	d.runCtr("create", "--config", filepath.Join(d.dir, "spec.json"), "--label", "nerdctl/name=front", "--label", "app=shop", "web")
	l.attachContainer("web", 1)
	a.waitNamed(named("web", "front", "shop"))
	d.runCtr("create", "--config", filepath.Join(d.dir, "spec.json"), "--label", "nerdctl/name=base", "db")
	testnet.Eventually(t, "the name that came late", func() bool { return strings.Contains(a.scrapeMetrics(), named("db", "base", "")) })
	d.runCtr("label", "web", "nerdctl/name=renamed")
	testnet.Eventually(t, "the new name", func() bool { return strings.Contains(a.scrapeMetrics(), named("web", "renamed", "shop")) })
	db.sendFrames(1)
	db.waitSent(1)
	if log := a.log.String(); strings.Contains(log, "absent.sock") {
		t.Errorf("a socket that is not there is in the log:\n%s", log)
	}
}

// TestNamesOfContainersInOneNamespace ends the first of two containers in a namespace: the row
// then has the other's name and image.
func TestNamesOfContainersInOneNamespace(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	docker := t.TempDir()
	l.agentConfig(`docker = "` + docker + `"`)
	l.startAgent()
	first, second := strings.Repeat("ab", 32), strings.Repeat("cd", 32)
	for id, text := range map[string]string{
		first:  `{"Name":"/front","Config":{"Image":"nginx:1"}}`,
		second: `{"Name":"/side","Config":{"Image":"envoy:2"}}`,
	} {
		dir := filepath.Join(docker, "containers", id)
		mustSucceed(t, os.MkdirAll(dir, 0o700))
		mustSucceed(t, os.WriteFile(filepath.Join(dir, "config.v2.json"), []byte(text), 0o600))
	}
	web := l.attachAs(first, 1, func(a *state.Attachment) { a.Containers = append(a.Containers, second) })
	testnet.Eventually(t, "both names", func() bool {
		e := l.endpointOf(first)
		return e.Name == "front" && e.Image == "nginx:1" && slices.Equal(e.ContainerNames, []string{"front", "side"})
	})
	mustSucceed(t, os.RemoveAll(filepath.Join(docker, "containers", first)))
	mustSucceed(t, web.newReleaser().Container(t.Context(), first))
	testnet.Eventually(t, "the other container's row", func() bool {
		e := l.endpointOf(second)
		return e.Name == "side" && e.Image == "envoy:2" && len(e.Containers) == 0
	})
	if e := l.endpointOf(second); e.Phase != specs.PhaseAttached {
		t.Errorf("endpoint %+v", e)
	}
}
