package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"berth/internal/config"
	"berth/internal/state"
)

// writePrograms creates files in place of berth's programs.
func (w *world) writePrograms() {
	w.t.Helper()
	w.env.bin = w.t.TempDir()
	for _, name := range []string{"berth-hook", "berth-runtime", "berth-nri", "berth-netavark", "berth-docker"} {
		if err := os.WriteFile(filepath.Join(w.env.bin, name), nil, 0o755); err != nil {
			w.t.Fatal(err)
		}
	}
}

func TestInstallAndUninstall(t *testing.T) {
	w := newWorld(t)
	w.writePrograms()
	file := filepath.Join(t.TempDir(), "daemon.json")
	const before = "{\n  \"live-restore\": true\n}\n"
	if err := os.WriteFile(file, []byte(before), 0o644); err != nil {
		t.Fatal(err)
	}
	install := []string{"install", "--engine", "docker", "--engine-config", file}
	read := func() string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	out, notes := w.mustRun(append(install, "--dry-run")...), w.err.String()
	if !strings.Contains(out, "+++ "+file) || !strings.Contains(notes, "nothing was written") || read() != before {
		t.Errorf("a dry run prints\n%s\nsays\n%s\nand leaves\n%s", out, notes, read())
	}
	out, notes = w.mustRun(install...), w.err.String()
	if !strings.Contains(out, `+    "berth": {`) || !strings.Contains(notes, "systemctl reload docker") || !strings.Contains(notes, "static_ips") {
		t.Errorf("an installation prints\n%s\nand says\n%s", out, notes)
	}
	if out, notes := w.mustRun(install...), w.err.String(); out != "" || !strings.Contains(notes, "nothing to change") {
		t.Errorf("a second one prints\n%s\nand says\n%s", out, notes)
	}
	if out := w.mustRun("uninstall", "--engine", "docker", "--dry-run"); !strings.Contains(out, `-    "berth": {`) || read() == before {
		t.Errorf("a dry run prints\n%s", out)
	}
	w.mustRun("uninstall", "--engine", "docker")
	if read() != before {
		t.Errorf("uninstalled it is\n%s", read())
	}
	if w.mustRun("uninstall", "--engine", "docker"); !strings.Contains(w.err.String(), "nothing is installed") {
		t.Errorf("a second time it says %s", &w.err)
	}
}

// TestUninstallNamesContainersOfNerdctl requires a warning that names the containers that were
// attached by CNI, and no other.
func TestUninstallNamesContainersOfNerdctl(t *testing.T) {
	w := newWorld(t)
	w.env.dirs = config.Dirs{Config: w.dir + "/etc", State: w.dir + "/run", BPFFS: w.bpffs}
	w.putRecord(1, func(*state.Attachment) {}) // by a hook
	if w.env.warnOfNerdctl(t.Context()); w.err.Len() > 0 {
		t.Errorf("without a container of nerdctl, it prints %s", &w.err)
	}
	w.putRecord(2, func(a *state.Attachment) { a.Door = &state.Door{Name: state.DoorCNI, Network: "lan"} })
	w.env.warnOfNerdctl(t.Context())
	if text := w.err.String(); strings.Count(text, "192.0.2.") != 1 || !strings.Contains(text, "run berth install --engine nerdctl again") {
		t.Errorf("it prints %q, want one container", text)
	}
}

// TestDevicesFollowNetworks: after the installation, added and removed networks change the devices.
func TestDevicesFollowNetworks(t *testing.T) {
	w := newWorld(t)
	w.writePrograms()
	dir := t.TempDir()
	has := func(name string) bool {
		text, err := os.ReadFile(filepath.Join(dir, "berth.json"))
		return err == nil && strings.Contains(string(text), `"name": "`+name+`"`)
	}
	if out, notes := w.mustRun("cdi", "generate", "--cdi-dir", dir), w.err.String(); out != "" || !strings.Contains(notes, "no network yet") {
		t.Errorf("generated of nothing: %q, %s", out, notes)
	}
	w.mustRun("network", "create", "lan", "-o", "parent=eth1")
	if out := w.mustRun("cdi", "generate", "--cdi-dir", dir); out != filepath.Join(dir, "berth.json")+"\n" || !has("lan") {
		t.Errorf("generated: %q", out)
	}
	w.mustRun("network", "create", "dmz", "-o", "parent=eth1")
	if has("dmz") {
		t.Error("what is generated once follows")
	}
	w.mustRun("install", "--engine", "cdi", "--cdi-dir", dir)
	w.mustRun("network", "create", "lab", "-o", "parent=eth1")
	w.mustRun("network", "rm", "dmz")
	if has("dmz") || !has("lan") || !has("lab") {
		t.Error("the devices are not the networks")
	}
}

func TestInstallUsage(t *testing.T) {
	w := newWorld(t)
	w.writePrograms()
	for _, args := range [][]string{
		{"install"}, {"install", "--engine", "lxc"}, {"install", "--engine", "cdi", "--default"},
		{"install", "docker"}, {"uninstall"}, {"cdi", "generate", "--cdi-dir", "x"}, {"cdi"},
	} {
		if code := w.runMain(args...); code != exitUsage {
			t.Errorf("berth %s: exit status %d, want %d", strings.Join(args, " "), code, exitUsage)
		}
	}
}

// TestInstallWritesAbsoluteDirectories: engines run the hook in other directories than the user's.
func TestInstallWritesAbsoluteDirectories(t *testing.T) {
	w := newWorld(t)
	w.writePrograms()
	t.Chdir(w.dir)
	dir := t.TempDir()
	w.writeFile("etc/networks.d/lan.toml", "parent = \"eth1\"\n")
	if code := Main(t.Context(), []string{"--config", "etc", "cdi", "generate", "--cdi-dir", dir}, w.env); code != exitOK {
		t.Fatalf("exit status %d: %s", code, &w.err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "berth.json"))
	if err != nil || !strings.Contains(string(text), `"`+w.dir+`/etc"`) {
		t.Errorf("%v: devices are %s", err, text)
	}
}
