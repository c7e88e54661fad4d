package cli

import (
	"strings"
	"testing"

	"berth/internal/state"
	"berth/specs"
)

// TestGC: a namespace without an ID is dead: its records are released, with no agent and no
// maps.
func TestGC(t *testing.T) {
	w := newWorld(t)
	const nothing = "attachments released: 0\ncounters drained: 0\nrecords of ended attachments removed: 0\n"
	mustEqual(t, "gc of nothing", nothing, w.mustRun("gc"))
	w.putRecord(5, func(a *state.Attachment) { a.NSID, a.Containers = 1<<30, []string{"dead"} })
	mustEqual(t, "gc", `
[
  {
    "released": [
      "0000000000000005/net1"
    ],
    "drained": 0,
    "pruned": 0,
    "partial": false
  }
]
`, w.mustRun("gc", "--json"))
	mustEqual(t, "ps", "", w.mustRun("ps", "-q"))
	mustEqual(t, "gc again", nothing, w.mustRun("gc"))
}

func TestGCOfAnUnusableState(t *testing.T) {
	w := newWorld(t)
	w.writeFile("run", "a file")
	w.mustFail(exitFailed, "run\": not a directory", "gc")
	if n := strings.Count(w.err.String(), "open directory"); n != 1 {
		t.Errorf("it is said %d times: %s", n, &w.err)
	}
}

// TestGCWithBrokenConfig: an administrator's mistake is reported, not worked around.
func TestGCWithBrokenConfig(t *testing.T) {
	w := newWorld(t)
	w.putRecord(5, func(a *state.Attachment) { a.NSID, a.Phase = 1<<30, specs.PhaseAttaching })
	w.writeFile("etc/berth.toml", "[agent]\nkeep_ended = \"soon\"\n")
	w.mustFail(exitFailed, w.dir+"/etc/berth.toml: ", "gc")
	mustEqual(t, "ps", "web\n", w.mustRun("ps", "-q"))
}
