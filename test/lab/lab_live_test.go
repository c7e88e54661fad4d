package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	Isolate()
	if err := warnAlways("podman", "ctr"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// warnAlways puts scripts before the programs that warn on standard error, as engines do
// on an unusual machine.
func warnAlways(programs ...string) error {
	dir := filepath.Join(Dir, "warn")
	for _, name := range programs {
		path, err := exec.LookPath(name)
		if err != nil {
			return err
		}
		script := filepath.Join(dir, name)
		text := fmt.Sprintf("#!/bin/sh\necho 'time=now level=warning msg=\"a harmless warning\"' >&2\nexec %s \"$@\"\n", path)
		if err := firstError(writeFile(script, text), os.Chmod(script, 0o755)); err != nil {
			return err
		}
	}
	return os.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// hostWithScript makes a host whose berth-hook is a script that logs its input states.
func hostWithScript(t *testing.T) (h *Host, rootfs, log string) {
	t.Helper()
	dir := t.TempDir()
	rootfs, log = filepath.Join(dir, "rootfs"), filepath.Join(dir, "log")
	if err := Rootfs(rootfs); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\n{ tr -d '\\n\\t ' ; echo; } >>%s\n", log)
	if err := os.WriteFile(filepath.Join(dir, "berth-hook"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	h, err := NewHost(unique("lab"), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Remove(); err != nil {
			t.Error(err)
		}
	})
	return h, rootfs, log
}

var containerID = regexp.MustCompile(`^(one|[0-9a-f]{64})$`)

func TestEngines(t *testing.T) {
	engines := map[string]func(t *testing.T, h *Host, rootfs string) Engine{
		"runc": func(_ *testing.T, h *Host, rootfs string) Engine { return &Runc{Host: h, Rootfs: rootfs} },
		"podman": func(t *testing.T, h *Host, rootfs string) Engine {
			p := &Podman{Host: h, Rootfs: rootfs}
			if err := p.Setup(); err != nil {
				t.Fatal(err)
			}
			return p
		},
		"containerd": func(t *testing.T, h *Host, rootfs string) Engine {
			c := &Containerd{Host: h, Rootfs: rootfs}
			if err := c.StartDaemon(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := c.StopDaemon(); err != nil {
					t.Error(err)
				}
			})
			return c
		},
	}
	for name, makeEngine := range engines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, rootfs, log := hostWithScript(t)
			engine := makeEngine(t, h, rootfs)
			id, err := engine.Start(Container{
				ID: "one", Args: []string{"sleep", "60"}, Annotations: map[string]string{"berth/networks": "lan"},
			})
			if err != nil || !containerID.MatchString(id) {
				t.Fatalf("id %q, %v", id, err)
			}
			out, err := engine.Exec("one", "ip", "-o", "link")
			if err != nil || strings.Count(out, "\n") != 1 || !strings.Contains(out, "lo") {
				t.Errorf("the container has more than lo, or ip failed: %v %s", err, out)
			}
			if pid, err := engine.PID("one"); err != nil || pid <= 1 {
				t.Errorf("process %d, %v", pid, err)
			}
			if err := engine.Stop("one"); err != nil {
				t.Fatal(err)
			}
			states, err := os.ReadFile(log)
			if err != nil || strings.Count(string(states), `"berth/networks":"lan"`) != 2 {
				t.Errorf("want the states of two hook runs with the annotation, got %v: %s", err, states)
			}
		})
	}
}

func TestSwitch(t *testing.T) {
	s, err := NewSwitch(unique("switch"))
	if err != nil {
		t.Fatal(err)
	}
	a, err := NewMachine(unique("a"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewMachine(unique("b"))
	if err != nil {
		t.Fatal(err)
	}
	if err := firstError(s.Plug(a, "eth1", "192.0.2.1/24"), s.Plug(b, "eth1", "192.0.2.2/24")); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Run("busybox", "ping", "-c1", "-W5", "192.0.2.2"); err != nil {
		t.Error(err)
	}
	if err := firstError(a.Remove(), b.Remove(), s.Remove()); err != nil {
		t.Error(err)
	}
}

// ctr 1.7 deletes a network only with plugins in upstream's directory.
func TestPluginsAreInUpstreamsDirectoryToo(t *testing.T) {
	names, err := os.ReadDir("/usr/lib/cni")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range names {
		if _, err := os.Stat(filepath.Join("/opt/cni/bin", entry.Name())); err != nil {
			t.Error(err)
		}
	}
}
