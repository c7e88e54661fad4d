package install

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"berth/engine/edit"
	"berth/internal/testnet"
)

// TestContainerdReadsIt requires that this machine's containerd reads the installed
// configuration as intended, with its own default configuration and with none.
func TestContainerdReadsIt(t *testing.T) {
	program := testnet.Program(t, "containerd")
	v, err := AskVersion(program)
	if err != nil {
		t.Fatal(err)
	}
	defaults, err := exec.Command(program, "config", "default").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"its default": string(defaults), "none": ""} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, "containerd="+v.Text+" runc", nil)
			if text != "" {
				h.write(containerdConfig, text, 0o644)
			}
			before := h.fileTree()
			o := h.options("containerd", Options{Flags: Flags{Default: true}})
			h.install(o)
			dumped, err := exec.Command(program, "--config", h.root+containerdConfig, "config", "dump").Output()
			if err != nil {
				t.Fatal(err)
			}
			checkDump(t, string(dumped), filepath.Join(o.Bin, runtimeProgram))
			h.uninstall(o)
			for path, was := range before {
				if got := h.fileTree()[path]; got != was {
					t.Errorf("%s after uninstalling: %s", path, edit.Diff(path, path, was, got))
				}
			}
			if _, err := os.Stat(h.root + containerdConfig); (err == nil) != (text != "") {
				t.Errorf("the configuration after uninstalling: %v", err)
			}
		})
	}
}

// checkDump compares containerd's effective configuration with the intended one.
func checkDump(t *testing.T, dump, program string) {
	t.Helper()
	values, err := edit.TOML.Decode(dump)
	if err != nil {
		t.Fatal(err)
	}
	version, _ := values["version"].(int64)
	at := func(path ...string) any {
		value, _ := edit.Lookup(values, append([]string{"plugins", criPlugin(version), "containerd"}, path...)...)
		return value
	}
	if got := at("default_runtime_name"); got != handler {
		t.Errorf("default runtime %q", got)
	}
	if got := at("runtimes", handler, "options", "BinaryName"); got != program {
		t.Errorf("program %q, want %q", got, program)
	}
	if got, _ := at("runtimes", handler, "pod_annotations").([]any); !slices.Contains(got, any("berth/*")) {
		t.Errorf("annotations %q", got)
	}
	if got := at("runtimes", "runc", "runtime_type"); got != runcShim {
		t.Errorf("runc's own runtime has type %q", got)
	}
}
