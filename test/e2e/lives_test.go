package e2e

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"berth/specs"
	"berth/test/lab"
)

// events are the events in a container's life other than start and end. An engine
// passes through all that apply to it, on one site.
var events = []struct {
	name    string
	applies func(lab.Engine) bool
	run     func(t *testing.T, s *site, e lab.Engine)
}{
	{"restart", always, restarted},
	{"killed", always, killed},
	{"shim killed", hasShim, shimKilled},
	{"engine restarted", hasDaemon, engineRestarted},
	{"host network", always, hostNetwork},
	{"shared namespace", always, sharedNamespace},
	{"user namespace", choosesUsers, userNamespace},
}

func always(lab.Engine) bool { return true }

// hasShim excludes runtimes that run without an engine.
func hasShim(e lab.Engine) bool {
	_, runtime := e.(*lab.Runc)
	return !runtime
}

func hasDaemon(e lab.Engine) bool {
	_, ok := e.(daemon)
	return ok
}

// choosesUsers excludes engines whose daemon decides for all containers whether they
// have a user namespace.
func choosesUsers(e lab.Engine) bool {
	switch e.(type) {
	case *lab.Docker, *lab.Nerdctl:
		return false
	}
	return true
}

// lives are the engines of TestEngineLives, one of each sort.
var lives = []string{"runc-wrapped", "crun-late", "podman-wrapped", "ctr-wrapped"}

func TestEngineLives(t *testing.T) {
	for _, engine := range lives {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			must(t, s.Network("lan", lanNetwork))
			s.agent(t)
			e := engines[engine](t, s)
			before := s.snapshot(t)
			for _, event := range events {
				if !event.applies(e) {
					continue
				}
				t.Run(event.name, func(t *testing.T) {
					event.run(t, s, e)
					s.expectNothingLeft(t, before)
				})
			}
		})
	}
}

// startWhole starts a container on the network lan and checks it by expectWhole.
func (s *site) startWhole(t *testing.T, e lab.Engine, c lab.Container) (id string) {
	t.Helper()
	c.Args, c.Annotations = []string{"sleep", "600"}, annotations{"berth/networks": "lan"}
	id, err := e.Start(c)
	must(t, err)
	s.expectWhole(t, e, c.ID, id, firstOfPool)
	return id
}

// expectReached checks that an address answers pings from the LAN.
func (s *site) expectReached(t *testing.T, address string) {
	t.Helper()
	expectPing(t, "from the LAN", func() (string, error) {
		return s.neighbor.Run("busybox", "ping", "-c", "1", "-W", "20", address)
	})
}

func restarted(t *testing.T, s *site, e lab.Engine) {
	id := s.startWhole(t, e, lab.Container{ID: s.id("one")})
	for range 2 {
		must(t, e.Restart(s.id("one")))
		s.expectWhole(t, e, s.id("one"), id, firstOfPool)
		if all := s.ps(t); len(all) != 1 || all[0].Phase != specs.PhaseAttached {
			t.Errorf("after a restart berth ps shows %+v, want one attachment", all)
		}
	}
	must(t, e.Stop(s.id("one")))
}

func killed(t *testing.T, s *site, e lab.Engine) {
	id := s.startWhole(t, e, lab.Container{ID: s.id("one")})
	killProcess(t, pidOf(t, e, s.id("one")))
	must(t, lab.Eventually(30*time.Second, func() error { return e.Restart(s.id("one")) }))
	s.expectWhole(t, e, s.id("one"), id, firstOfPool)
	killProcess(t, pidOf(t, e, s.id("one")))
	must(t, e.Stop(s.id("one")))
}

// shimKilled kills the engine's monitor process of a container. containerd then ends
// the container as usual. podman does so only on request, and without its hooks, so
// berth gc releases the attachment.
func shimKilled(t *testing.T, s *site, e lab.Engine) {
	s.startWhole(t, e, lab.Container{ID: s.id("one")})
	killProcess(t, parentOf(t, pidOf(t, e, s.id("one"))))
	if hasDaemon(e) {
		must(t, lab.Eventually(30*time.Second, func() error {
			if all := s.ps(t); len(all) != 0 {
				return fmt.Errorf("the shim is dead, and berth ps shows %+v", all)
			}
			return nil
		}))
	}
	// podman 5.4 may fail once with "conmon exited prematurely".
	must(t, lab.Eventually(30*time.Second, func() error { return e.Stop(s.id("one")) }))
	_, err := s.Berth("gc")
	must(t, err)
}

func engineRestarted(t *testing.T, s *site, e lab.Engine) {
	d := e.(daemon)
	id := s.startWhole(t, e, lab.Container{ID: s.id("one")})
	must(t, d.StopDaemon())
	s.expectReached(t, firstOfPool)
	must(t, d.StartDaemon())
	s.expectWhole(t, e, s.id("one"), id, firstOfPool)
	must(t, e.Stop(s.id("one")))
}

func hostNetwork(t *testing.T, s *site, e lab.Engine) {
	_, err := e.Start(lab.Container{ID: s.id("one"), Args: []string{"sleep", "600"},
		Annotations: annotations{"berth/networks": "lan"}, Network: lab.HostNetwork})
	s.expectRefused(t, err, "host", "network namespace")
}

// sharedNamespace runs two containers in the namespace of the first. The attachment
// exists as long as one of them.
func sharedNamespace(t *testing.T, s *site, e lab.Engine) {
	s.startWhole(t, e, lab.Container{ID: s.id("one")})
	_, err := e.Start(lab.Container{ID: s.id("two"), Args: []string{"sleep", "600"}, Annotations: annotations{"berth/networks": "lan"}, Network: lab.Join(s.id("one"))})
	must(t, err)
	s.expectReached(t, firstOfPool)
	out, err := e.Exec(s.id("two"), "ip", "-o", "link")
	if err != nil || strings.Count(out, "\n") != 2 || !strings.Contains(out, "net1") {
		t.Errorf("the shared namespace has %s, %v, want lo and net1", out, err)
	}
	first, last := s.id("one"), s.id("two")
	if _, tied := e.(*lab.Podman); tied { // podman does not remove a container that another depends on
		first, last = last, first
	}
	must(t, e.Stop(first))
	s.expectReached(t, firstOfPool)
	must(t, e.Stop(last))
}

func userNamespace(t *testing.T, s *site, e lab.Engine) {
	if c, ok := e.(*lab.Containerd); ok {
		ignoredProgram(t, s, c)
	}
	s.startWhole(t, e, lab.Container{ID: s.id("one"), UserNS: true})
	out, err := e.Exec(s.id("one"), "cat", "/proc/self/uid_map")
	if err != nil || !strings.Contains(out, "100000") {
		t.Errorf("its users are %s, %v, want a namespace of their own", out, err)
	}
	must(t, e.Stop(s.id("one")))
}

// ignoredProgram checks that ctr of containerd 1.7 ignores --runc-binary for a container
// in a user namespace: its options of the task, the owner of the standard streams,
// replace those of the container. Such a container needs the hooks in its config.json.
func ignoredProgram(t *testing.T, s *site, c *lab.Containerd) {
	t.Helper()
	version, err := c.Version()
	must(t, err)
	if !strings.HasPrefix(version, "1.7.") {
		return
	}
	_, err = c.Start(lab.Container{ID: s.id("one"), Args: []string{"sleep", "600"}, Annotations: annotations{"berth/networks": "lan"}, UserNS: true})
	must(t, err)
	if all := s.ps(t); len(all) != 0 {
		t.Errorf("berth ps shows %+v: ctr %s uses --runc-binary with a user namespace", all, version)
	}
	must(t, c.Stop(s.id("one")))
	c.UsersHooked = true
}

// networkFirst are engines that make their own network after the container was
// created. The value is true if they do so only in a user namespace.
var networkFirst = map[string]bool{"containerd-late": false, "podman-late": true}

// TestEnginesNetworkFirst uses an engine that makes its own network after the
// container was created: berth's interface and default route come last.
func TestEnginesNetworkFirst(t *testing.T) {
	for engine, userns := range networkFirst {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			must(t, s.Network("lan", lanNetwork))
			s.agent(t)
			e := engines[engine](t, s)
			c := lab.Container{ID: s.id("one"), Args: []string{"sleep", "600"}, Network: lab.EngineNetwork, UserNS: userns,
				Annotations: annotations{"berth/networks": `[{"name":"lan","default-route":["192.0.2.1"]}]`}}
			id, err := e.Start(c)
			must(t, err)
			s.expectWhole(t, e, c.ID, id, firstOfPool)
			links, err := e.Exec(c.ID, "ip", "-o", "link")
			// The index does not give the order: a veth keeps its index of the host.
			if err != nil || !strings.Contains(links, " eth0") || !strings.Contains(links, " net1") {
				t.Errorf("its interfaces are %s, %v, want the engine's and berth's", links, err)
			}
			routes, err := e.Exec(c.ID, "ip", "route", "show", "default")
			if err != nil || strings.Count(routes, "default") != 1 || !strings.Contains(routes, "192.0.2.1 dev net1") {
				t.Errorf("its default routes are %s, %v, want berth's", routes, err)
			}
			must(t, e.Stop(c.ID))

			// Both set a default route, and the configuration prefers none.
			c.ID, c.Annotations = s.id("two"), annotations{"berth/networks": "lan"}
			_, err = e.Start(c)
			s.expectRefused(t, err, "default")
			s.expectReleased(t)
		})
	}
}

func pidOf(t *testing.T, e lab.Engine, id string) int {
	t.Helper()
	pid, err := e.PID(id)
	must(t, err)
	return pid
}

func killProcess(t *testing.T, pid int) {
	t.Helper()
	must(t, syscall.Kill(pid, syscall.SIGKILL))
}

// parentOf reads the fourth field of /proc/PID/stat (proc_pid_stat(5)).
func parentOf(t *testing.T, pid int) (parent int) {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	must(t, err)
	_, rest, _ := strings.Cut(string(stat), ") ")
	_, err = fmt.Sscanf(rest, "%s %d", new(string), &parent)
	must(t, err)
	return parent
}
