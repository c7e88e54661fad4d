package e2e

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"berth/test/lab"
)

// expectDoctor runs berth doctor with a test container for an engine, and compares
// the result of each check.
func (s *site) expectDoctor(t *testing.T, engine string, want map[string]string, env ...string) {
	t.Helper()
	s.drainEnded(t)
	s.waitRemoved(t)
	before := s.snapshot(t)
	s.expectDoctorFinds(t, engine, want, env...)
	if d := s.snapshot(t).difference(before); d != "" {
		t.Errorf("doctor leaves: %s", d)
	}
}

// expectDoctorFinds is expectDoctor for a site on which the engine's own interfaces end later.
func (s *site) expectDoctorFinds(t *testing.T, engine string, want map[string]string, env ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := s.Command(ctx, filepath.Join(bin, "berth"), "--config", s.Config, "--state", s.State, "--bpffs", s.BPFFS, "doctor", "--try", "--json", engine)
	cmd.Env = append(cmd.Environ(), env...)
	text, err := lab.Output(cmd)
	var lines []struct{ Subject, Check, Result, Message string }
	must(t, json.Unmarshal([]byte(text), &lines))
	got := make(map[string]string)
	failed := false
	for _, l := range lines {
		failed = failed || l.Result == "fail"
		if l.Subject == engine {
			got[l.Check] = l.Result
		}
	}
	if d := cmp.Diff(want, got); d != "" || failed != (err != nil) {
		t.Errorf("doctor (-want +got):\n%s\n%s\n%v", d, text, err)
	}
}

// TestDoctorTriesContainerd runs ctr with berth-runtime, which needs no
// installation.
func TestDoctorTriesContainerd(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	results := map[string]string{"version": "pass", "configured": "pass", "annotations": "warn"}
	s.expectDoctor(t, "containerd", results, "CONTAINERD_ADDRESS="+filepath.Join(s.Dir, "nobody"))
	c := &lab.Containerd{Host: s.Host, Rootfs: rootfs}
	must(t, c.StartDaemon())
	t.Cleanup(func() { must(t, c.StopDaemon()) })
	results["annotations"] = "pass"
	if version, err := c.Version(); err != nil || !strings.HasPrefix(version, "1.") {
		results["devices"] = "pass"
	}
	s.expectDoctor(t, "containerd", results, "CONTAINERD_ADDRESS="+filepath.Join(s.Dir, "containerd/socket"))
}

// criConfig configures a containerd with CRI, on a machine without overlayfs.
const criConfig = `version = 2
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing"]

[plugins."io.containerd.grpc.v1.cri"]
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
`

// TestInstalledContainerd checks that containerd's CRI plugin loads with berth's
// installed runtime; it does not load if the default runtime is invalid.
func TestInstalledContainerd(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	config := filepath.Join(s.Dir, "containerd.toml")
	must(t, os.WriteFile(config, []byte(criConfig), 0o644))
	_, err := s.Berth("install", "--engine", "containerd", "--default", "--engine-config", config)
	must(t, err)
	c := &lab.Containerd{Host: s.Host, Rootfs: rootfs, Config: config}
	must(t, c.StartDaemon())
	t.Cleanup(func() { must(t, c.StopDaemon()) })
	plugins, err := s.Run("ctr", "--address", filepath.Join(s.Dir, "containerd/socket"), "plugins", "ls")
	must(t, err)
	if !regexp.MustCompile(`(?m)^io\.containerd\.grpc\.v1\s+cri\s.*\bok\b`).MatchString(plugins) {
		log, _ := os.ReadFile(filepath.Join(s.Dir, "containerd/log"))
		t.Errorf("plugins of containerd:\n%s\n%s", plugins, log)
	}
	_, err = s.Berth("uninstall", "--engine", "containerd")
	must(t, err)
	if text, err := os.ReadFile(config); err != nil || string(text) != criConfig {
		t.Errorf("uninstalled it is %s, %v", text, err)
	}
}
