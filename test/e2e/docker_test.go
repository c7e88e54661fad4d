//go:build engines

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"berth/test/lab"
)

func init() {
	engines["docker-late"] = docker
	engines["docker-bridge"] = func(t *testing.T, s *site) lab.Engine { return dockerWith(t, s, withBridge) }
	lives = append(lives, "docker-late")
	networkFirst["docker-bridge"] = false
	clientEngines["docker-late"] = docker
	killedServices = append(killedServices, "docker-late")
}

// Options of dockerd, in addition to those of the lab.
var (
	withBridge  = map[string]any{"bridge": nil} // docker's own, docker0
	liveRestore = map[string]any{"live-restore": true}
)

func docker(t *testing.T, s *site) lab.Engine { return dockerWith(t, s, liveRestore) }

func dockerWith(t *testing.T, s *site, options map[string]any) *lab.Docker {
	t.Helper()
	d := &lab.Docker{Host: s.Host, Rootfs: rootfs, Wrapper: lab.Wrapper{Runtime: "runc", Late: true}, Options: options}
	serveDaemon(t, d)
	return d
}

// TestDockerDevice requests a network by a CDI device, with docker's own runtime.
func TestDockerDevice(t *testing.T) {
	t.Parallel()
	s := newServedSite(t)
	dir := filepath.Join(s.Dir, "cdi")
	_, err := s.Berth("cdi", "generate", "--cdi-dir", dir)
	must(t, err)
	d := dockerWith(t, s, map[string]any{"cdi-spec-dirs": []string{dir}, "features": map[string]bool{"cdi": true}, "bridge": nil})
	d.Plain = true
	before := s.snapshot(t)
	c := s.sleeper("device")
	c.Annotations = nil
	id, err := d.StartWith(c, "--device", "berth/network=lan")
	must(t, err)
	s.expectWhole(t, d, c.ID, id, firstOfPool)
	must(t, d.Restart(c.ID))
	s.expectWhole(t, d, c.ID, id, firstOfPool)
	must(t, d.Stop(c.ID))
	s.expectNothingLeft(t, before)

	// With docker's network in addition, both would set a default route.
	c.Network = lab.EngineNetwork
	_, err = d.StartWith(c, "--device", "berth/network=lan")
	s.expectRefused(t, err, "default")
	s.expectReleased(t)
}

// TestDockerRestarts kills a container, and restarts dockerd, under each of docker's
// restart policies.
func TestDockerRestarts(t *testing.T) {
	t.Parallel()
	s := newServedSite(t)
	d := dockerWith(t, s, nil)
	before := s.snapshot(t)
	for _, policy := range []string{"always", "on-failure:5", "unless-stopped"} {
		t.Run(policy, func(t *testing.T) {
			c := s.sleeper("kept")
			id, err := d.StartWith(c, "--restart", policy)
			must(t, err)
			s.expectWhole(t, d, c.ID, id, firstOfPool)
			old := pidOf(t, d, c.ID)
			killProcess(t, old)
			s.waitRestarted(t, d, c.ID, old)
			s.expectWhole(t, d, c.ID, id, firstOfPool)
			must(t, d.Stop(c.ID))
			s.expectNothingLeft(t, before)
		})
	}
}

// waitRestarted waits until a container runs by another process than pid old.
func (s *site) waitRestarted(t *testing.T, e lab.Engine, name string, old int) {
	t.Helper()
	must(t, lab.Eventually(time.Minute, func() error {
		pid, err := e.PID(name)
		if err == nil && pid == old {
			err = fmt.Errorf("container %s still runs by process %d", name, old)
		}
		return err
	}))
}

// TestDockerdKilled ends dockerd by SIGKILL. With live-restore its containers
// continue unchanged. Without it the next dockerd ends them, and starts those that
// have a restart policy.
func TestDockerdKilled(t *testing.T) {
	for _, live := range []bool{true, false} {
		t.Run(fmt.Sprintf("live-restore %t", live), func(t *testing.T) {
			t.Parallel()
			s := newServedSite(t)
			d := dockerWith(t, s, map[string]any{"live-restore": live})
			before := s.snapshot(t)
			c := s.sleeper("kept")
			id, err := d.StartWith(c, "--restart", "always")
			must(t, err)
			shown := s.expectWhole(t, d, c.ID, id, firstOfPool)
			old := pidOf(t, d, c.ID)
			must(t, d.KillDaemon())
			s.expectReached(t, firstOfPool)
			must(t, d.StartDaemon())
			if !live {
				s.waitRestarted(t, d, c.ID, old)
			}
			after := s.expectWhole(t, d, c.ID, id, firstOfPool)
			if kept := after.Created.Equal(shown.Created); kept != live {
				t.Errorf("live-restore %t: the attachment is of %s, and was of %s", live, after.Created, shown.Created)
			}
			if live && pidOf(t, d, c.ID) != old {
				t.Errorf("with live-restore the container was restarted")
			}
			must(t, d.Stop(c.ID))
			s.expectNothingLeft(t, before)
		})
	}
}

// TestDockerdStopped restarts dockerd by SIGTERM without live-restore: its
// containers end with it, and their addresses and MACs are free.
func TestDockerdStopped(t *testing.T) {
	t.Parallel()
	s := newServedSite(t)
	d := dockerWith(t, s, nil)
	before := s.snapshot(t)
	kept, gone := s.sleeper("kept"), s.sleeper("gone")
	_, err := d.StartWith(kept, "--restart", "always")
	must(t, err)
	_, err = d.Start(gone)
	must(t, err)
	s.expectReached(t, firstOfPool)
	must(t, d.StopDaemon())
	s.waitEmpty(t)
	must(t, d.StartDaemon())
	s.waitAttachedAt(t, firstOfPool)
	for _, c := range []lab.Container{kept, gone} {
		must(t, d.Stop(c.ID))
	}
	s.expectNothingLeft(t, before)
}

func appendTo(file, text string) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// TestDockerOwnNetworks attaches a container that is also on docker's bridge, and
// then containers on docker's macvlan of the same parent, and beside it.
func TestDockerOwnNetworks(t *testing.T) {
	t.Parallel()
	s := newServedSite(t)
	d := dockerWith(t, s, withBridge)
	must(t, s.Network("side", sideLAN))
	before := s.snapshot(t)
	c := s.sleeper("beside")
	c.Annotations = annotations{"berth/networks": "side"}
	c.Network = lab.EngineNetwork
	id, err := d.Start(c)
	must(t, err)
	s.expectWhole(t, d, c.ID, id, firstOfPool)
	out, err := d.Exec(c.ID, "ip", "-o", "-4", "address", "show", "eth0")
	if err != nil || !strings.Contains(out, "172.") {
		t.Errorf("docker's own interface has %s, %v", out, err)
	}
	must(t, d.Stop(c.ID))
	s.expectNothingLeft(t, before)

	_, err = d.Client("network", "create", "--driver", "macvlan", "--opt", "parent=eth1",
		"--subnet", foreignNet, "--gateway", foreignIP, "foreign")
	must(t, err)
	s.expectBesideForeign(t, d, func(plain bool) { d.Plain = plain })
}

// addRemapUser adds the user whose subordinate IDs dockerd uses with userns-remap.
var addRemapUser = sync.OnceValue(func() error {
	var all []error
	for file, line := range map[string]string{
		"/etc/passwd": "dockremap:x:999:999::/:/usr/sbin/nologin\n", "/etc/group": "dockremap:x:999:\n",
		"/etc/subuid": "dockremap:100000:65536\n", "/etc/subgid": "dockremap:100000:65536\n",
	} {
		all = append(all, appendTo(file, line))
	}
	return errors.Join(all...)
})

// TestDockerUsers runs dockerd with a user namespace for its containers.
func TestDockerUsers(t *testing.T) {
	must(t, addRemapUser())
	s := newSite(t)
	must(t, s.Network("lan", lanNetwork))
	d := dockerWith(t, s, map[string]any{"userns-remap": "default"})
	s.agent(t)
	before := s.snapshot(t)
	c := s.sleeper("users")
	id, err := d.Start(c)
	must(t, err)
	out, err := d.Exec(c.ID, "cat", "/proc/self/uid_map")
	if err != nil || !strings.Contains(out, "100000") {
		t.Errorf("its users are %s, %v, want a namespace of their own", out, err)
	}
	s.expectWhole(t, d, c.ID, id, firstOfPool)
	must(t, d.Stop(c.ID))
	s.expectNothingLeft(t, before)
}

// runUnattached runs a container without annotations, and a second program in it.
func runUnattached(t *testing.T, s *site, d *lab.Docker) {
	t.Helper()
	c := lab.Container{ID: s.id("plain"), Args: []string{"sleep", "600"}}
	_, err := d.Start(c)
	must(t, err)
	_, err = d.Exec(c.ID, "true")
	must(t, err)
	must(t, d.Stop(c.ID))
}

// composeFile is the compose file of docs/engines/docker.md.
const composeFile = `services:
  web:
    image: lab
    command: sleep 600
    runtime: berth
    network_mode: none
    annotations:
      berth/networks: lan
`

// TestDockerCompose runs compose up, restart and down on a project.
func TestDockerCompose(t *testing.T) {
	t.Parallel()
	s := newServedSite(t)
	d := dockerWith(t, s, nil)
	before := s.snapshot(t)
	file := filepath.Join(s.Dir, "compose.yaml")
	must(t, os.WriteFile(file, []byte(composeFile), 0o644))
	compose := func(args ...string) string {
		out, err := d.Client(append([]string{"compose", "--project-name", s.id("project"), "--file", file}, args...)...)
		must(t, err)
		return strings.TrimSpace(out)
	}
	compose("up", "--detach")
	id := compose("ps", "--quiet", "web")
	s.expectWhole(t, d, id, id, firstOfPool)
	compose("restart", "--timeout", "1")
	s.expectWhole(t, d, id, id, firstOfPool)
	compose("down", "--timeout", "1")
	s.expectNothingLeft(t, before)
}

// TestDockerInstalled installs berth for a user's docker, uses it, and uninstalls it.
// Containers without annotations run before, between and after, and berth uninstall
// restores daemon.json.
func TestDockerInstalled(t *testing.T) {
	t.Parallel()
	s := newServedSite(t)
	d := dockerWith(t, s, map[string]any{"runtimes": nil})
	d.Plain = true
	before := s.snapshot(t)
	config, err := os.ReadFile(d.ConfigFile())
	must(t, err)
	runUnattached(t, s, d)

	_, err = s.Berth("install", "--engine", "docker", "--engine-config", d.ConfigFile())
	must(t, err)
	must(t, d.ReloadDaemon())
	c := s.sleeper("web")
	var id string
	must(t, lab.Eventually(30*time.Second, func() (err error) { // until dockerd has read the file
		id, err = d.StartWith(c, "--runtime", "berth")
		return err
	}))
	s.expectWhole(t, d, c.ID, id, firstOfPool)
	must(t, d.Restart(c.ID))
	s.expectWhole(t, d, c.ID, id, firstOfPool)
	runUnattached(t, s, d)
	s.expectDoctorPasses(t, "docker", "DOCKER_HOST="+d.Socket())
	must(t, d.Stop(c.ID))

	_, err = s.Berth("uninstall", "--engine", "docker")
	must(t, err)
	must(t, d.StopDaemon())
	must(t, d.StartDaemon())
	_, err = s.Berth("uninstall", "--engine", "docker") // without the container, the program can be removed
	must(t, err)
	if text, err := os.ReadFile(d.ConfigFile()); err != nil || string(text) != string(config) {
		t.Errorf("uninstalled daemon.json is %s, %v, want %s", text, err, config)
	}
	runUnattached(t, s, d)
	if _, err := d.StartWith(c, "--runtime", "berth"); err == nil {
		t.Errorf("uninstalled, docker still has the runtime")
	}
	s.expectNothingLeft(t, before)
}
