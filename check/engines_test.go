package check

import (
	"os"
	"strings"
	"testing"
)

// TestStaleConfiguration requires that an engine whose configuration names a program of berth's that is
// gone, or is none, fails, whatever file names it. A comment names nothing.
func TestStaleConfiguration(t *testing.T) {
	const hook = `{"version": "1.0.0", "hook": {"path": "/opt/berth 2/berth-hook-client"}, "stages": ["createRuntime", "poststop"]}`
	for name, c := range map[string]struct{ engine, path, text, want string }{
		"hooks.d":         {"podman", "usr/share/containers/oci/hooks.d/berth.json", hook, "/opt/berth 2/berth-hook-client"},
		"CDI":             {"podman", "etc/cdi/berth.json", `{"hooks": [{"path": "/opt/berth-hook", "args": ["berth-hook"]}]}`, "/opt/berth-hook"},
		"daemon.json":     {"dockerd", "etc/docker/daemon.json", `{"runtimes": {"b": {"path": "/usr/bin/berth-runtime-late"}}}`, "/usr/bin/berth-runtime-late"},
		"a script":        {"dockerd", "etc/docker/daemon.json", `{"runtimes": {"b": {"path": "/etc/berth/runtimes/berth-runtime-docker"}}}`, "/etc/berth/runtimes/berth-runtime-docker"},
		"containers.conf": {"podman", "etc/containers/containers.conf.d/99-berth.conf", "[engine.runtimes]\nberth = ['/opt/berth-runtime']\n", "/opt/berth-runtime"},
		"CRI-O":           {"crio", "etc/crio/crio.conf.d/99-berth.conf", "[crio.runtime.runtimes.berth]\nruntime_path = \"/opt/berth-runtime\"\n", "/opt/berth-runtime"},
		"containerd":      {"containerd", "etc/containerd/conf.d/99-berth.toml", "version = 3\nBinaryName = \"/opt/berth-runtime\"\n", "/opt/berth-runtime"},
		"a comment":       {"containerd", "etc/containerd/config.toml", "version = 2\n # BinaryName = \"/opt/berth-runtime\"\n", ""},
		"on PATH":         {"dockerd", "etc/docker/daemon.json", `{"runtimes": {"b": {"path": "berth-runtime"}}}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := makeRoot(t, map[string]string{"bin/" + c.engine: "", c.path: c.text})
			checker := &Checker{Root: dir, Path: []string{dir + "/bin"}}
			line := checker.Engines()[0]
			if want := "/" + c.path + " names " + c.want + ", which is no program"; (line.Result == Fail) != (c.want != "") || c.want != "" && !strings.Contains(line.Message, want) {
				t.Fatalf("%+v, want %q", line, want)
			}
			if c.want == "" {
				return
			}
			program := map[string]string{c.want: "", "bin/" + c.engine: "", c.path: c.text}
			checker.Root = makeRoot(t, program)
			checker.Path = []string{checker.Root + "/bin"}
			if line := checker.Engines()[0]; line.Result != Pass {
				t.Errorf("with the program: %+v", line)
			}
			if err := os.Chmod(checker.Root+c.want, 0o644); err != nil {
				t.Fatal(err)
			}
			if line := checker.Engines()[0]; line.Result != Fail {
				t.Errorf("a file without the right to execute it: %+v", line)
			}
		})
	}
}
