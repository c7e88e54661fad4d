package entry

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"berth/internal/config"
)

var standard = config.Dirs{Config: config.DefaultConfig, State: config.DefaultState, BPFFS: config.DefaultBPFFS}

// TestHooksDSample compares the published sample with the code's output.
func TestHooksDSample(t *testing.T) {
	data, err := os.ReadFile("../../deploy/hooks.d/berth.json")
	if err != nil {
		t.Fatal(err)
	}
	var sample, written any
	if err := json.Unmarshal(data, &sample); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(HooksD("/usr/local/bin/berth-hook-client", standard)), &written); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(written, sample); d != "" {
		t.Errorf("deploy/hooks.d/berth.json (-written +sample):\n%s", d)
	}
}

func TestHook(t *testing.T) {
	h := Hook("/opt/berth-hook", config.Dirs{Config: "/c", State: config.DefaultState, BPFFS: "/b"}, "--network", "lan", "createRuntime")
	want := []string{"berth-hook", "--config", "/c", "--bpffs", "/b", "--network", "lan", "createRuntime"}
	if d := cmp.Diff(want, h.Args); d != "" || len(h.Env) == 0 || *h.Timeout != Timeout {
		t.Errorf("%+v (-want +got):\n%s", h, d)
	}
	if flags := Flags("--berth-", standard); flags != nil {
		t.Errorf("flags %q, want none for the standard directories", flags)
	}
}
