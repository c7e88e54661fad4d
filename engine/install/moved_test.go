package install

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAMovedEntryKeepsItsProgram requires that a program stays that a configuration still names after an
// uninstallation, because an administrator has renamed or copied berth's entry, and that it goes with the
// entry.
func TestAMovedEntryKeepsItsProgram(t *testing.T) {
	for name, c := range map[string]struct{ engine, programs, path, old, new string }{
		"docker, renamed":         {Docker, "dockerd=28.0.0 runc", daemonJSON, `"berth": {`, `"lan": {`},
		"docker, the default too": {Docker, "dockerd=28.0.0 runc", daemonJSON, `"berth": {`, `"lan": {"path": "/usr/bin/runc"}, "lan2": {`},
		"podman, copied":          {Podman, "podman=5.4.0 crun", "/etc/containers/containers.conf.d/99-berth.conf", "  berth = [", "  lan = [\"LINK\"]\n  berth = ["},
		"podman, by its path":     {Podman, "podman=5.4.0 crun", "/etc/containers/containers.conf", "x = 1", "x = 1\nruntime = 'LINK'"},
		"CRI-O, renamed":          {CRIO, "crio=1.31.0 crun runc", "/etc/crio/crio.conf.d/99-berth.conf", ".berth]", ".lan]"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, c.programs, nil)
			if c.old == "x = 1" {
				h.write(c.path, "[engine]\nx = 1\n", 0o644)
			}
			o := h.options(c.engine, Options{})
			before := h.fileTree()
			h.install(o)
			program := h.root + lateLink
			if c.engine == CRIO {
				program = h.root + "/etc/berth/runtimes/berth-runtime-crio"
			}
			text, err := os.ReadFile(h.root + c.path)
			if err != nil || !strings.Contains(string(text), c.old) {
				t.Fatalf("%s, %v", text, err)
			}
			h.write(c.path, strings.Replace(string(text), c.old, strings.ReplaceAll(c.new, "LINK", program), 1), 0o644)
			p := h.uninstall(o)
			if _, err := os.Lstat(program); err != nil || !strings.Contains(h.showPlan(p), "still names "+strings.TrimPrefix(program, h.root)) {
				t.Errorf("the program: %v\n%s", err, h.showPlan(p))
			}
			if original, there := before[c.path]; there {
				_, text, _ := strings.Cut(original, "\n")
				h.write(c.path, text, 0o644)
			} else if err := os.Remove(h.root + c.path); err != nil {
				t.Fatal(err)
			}
			h.uninstall(o)
			if d := cmp.Diff(before, h.fileTree()); d != "" {
				t.Errorf("without the entry (-before +after):\n%s", d)
			}
		})
	}
}

// TestADefaultInAnInlineTable requires that an uninstallation shows a default runtime that it cannot remove.
func TestADefaultInAnInlineTable(t *testing.T) {
	h := newHost(t, "podman=5.4.0 crun", nil)
	h.install(h.options(Podman, Options{}))
	h.write("/etc/containers/containers.conf", "engine = { runtime = 'berth' }\n", 0o644)
	p := h.uninstall(h.options(Podman, Options{}))
	if text := h.showPlan(p); !strings.Contains(text, `remove engine.runtime = "berth" by hand`) {
		t.Errorf("%s", text)
	}
}
