package e2e

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"berth/test/lab"
)

// TestHooksDSample compares the sample in deploy with the file that podman is tested
// with. Only the program's path and directories may differ.
func TestHooksDSample(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../deploy/hooks.d/berth.json")
	must(t, err)
	h := &lab.Host{Bin: "/usr/local/bin", Config: "/etc/berth", State: "/run/berth", BPFFS: "/sys/fs/bpf/berth",
		HookProgram: lab.HookClient}
	tested, err := h.HooksD()
	must(t, err)
	var got, want any
	must(t, json.Unmarshal(data, &got))
	must(t, json.Unmarshal(tested, &want))
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("deploy/hooks.d/berth.json differs from the file that podman is tested with (-tested +sample):\n%s", d)
	}
}
