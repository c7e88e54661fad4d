package hook

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"berth/internal/config"
	"berth/internal/testnet"
)

func TestAheadArgument(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]ProbeRequest{
		"lan":                       {Network: "lan"},
		"lan=192.0.2.1":             {Network: "lan", Taken: []netip.Addr{netip.MustParseAddr("192.0.2.1")}},
		"lan=192.0.2.1,2001:db8::1": {Network: "lan", Taken: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}},
	} {
		got, err := ParseProbeRequest(text)
		if err != nil || !reflect.DeepEqual(got, want) || got.format() != text {
			t.Errorf("%q: %+v, %v, formatted %q", text, got, err, got.format())
		}
	}
	if _, err := ParseProbeRequest("lan=x"); err == nil {
		t.Error("a text that is no address was accepted")
	}
}

// A prober is a process with the directories and the networks as its arguments.
func TestStartProber(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program, written := filepath.Join(dir, "berth-hook"), filepath.Join(dir, "written")
	testnet.Script(t, program, "echo \"$@\" > "+written)
	start := StartProber(program, config.Dirs{Config: "/c", State: "/s"})
	if err := start([]ProbeRequest{{Network: "lan"}, {Network: "dmz", Taken: []netip.Addr{netip.MustParseAddr("192.0.2.9")}}}); err != nil {
		t.Fatal(err)
	}
	const want = "ahead /c /s lan dmz=192.0.2.9\n"
	testnet.Eventually(t, "the prober", func() bool { got, _ := os.ReadFile(written); return string(got) == want })
	if StartProber(filepath.Join(dir, "none"), config.Dirs{})(nil) == nil {
		t.Error("a program that does not exist was started")
	}
	if StartProberBeside(config.Dirs{}) != nil {
		t.Error("a berth-hook was found beside the test")
	}
}
